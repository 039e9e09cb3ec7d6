//! What a ledger record holds, and how it is put back.
//!
//! ```text
//! the client's turn      [A0 seen, A1 seen]                       [next]
//! what the upstream saw  [A0 with our call] [results] [A1]        [next]
//! beside its own calls                                [A1 + ours] [results + next]
//! ```

mod restore;

use bytes::Bytes;

use super::{
    raw::Object,
    round::{Block, Kind},
};

pub(crate) use restore::{TurnView, restore};

const VERSION: u8 = 1;

/// One block, up to what clients change about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest([u8; 16]);

/// All that is hidden in one assistant turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Restoration {
    /// The messages between the model and us, as sent: JSON, joined by commas.
    pub(super) hidden: String,
    /// The visible blocks of the rounds in `hidden`; the client has them in front of its turn.
    pub(super) earlier: Vec<Digest>,
    /// The thinking of the rounds in `hidden`.
    pub(super) thinking: Vec<Digest>,
    /// The visible text of the rounds in `hidden`.
    pub(super) prefix: String,
    pub(super) mixed: Option<Mixed>,
}

/// Our calls beside the client's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mixed {
    /// Each call as JSON, and how many visible blocks of the last round stand before it.
    pub(super) calls: Vec<(u32, String)>,
    /// The visible blocks of the last round.
    pub(super) visible: u32,
    /// What answers our calls, each as JSON.
    pub(super) results: Vec<String>,
}

impl Digest {
    pub(super) fn of(block: &Block) -> Self {
        match &block.kind {
            Kind::Text(text) => Self::text(text),
            Kind::Thinking => Self::thinking(&block.raw),
            Kind::Call(call) => Self::new("call", &[&call.id]),
            Kind::Other(kind) => Self::new("block", &[kind]),
        }
    }

    /// White space aside: clients trim.
    fn text(text: &str) -> Self {
        let letters: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        Self::new("text", &[&letters])
    }

    fn thinking(raw: &str) -> Self {
        let object = Object::parse(raw);
        // Bedrock wraps it.
        let wrapped = object.as_ref().and_then(|object| object.object("reasoningContent"));
        let text = wrapped.as_ref().and_then(|wrapped| wrapped.object("reasoningText"));
        let object = text.or(wrapped).or(object);
        let field = |name| object.as_ref().and_then(|object| object.string(name)).unwrap_or_default();
        let sealed = Some(field("encrypted_content")).filter(|sealed| !sealed.is_empty());
        let mut parts = vec![field("thinking"), field("signature"), field("data")];
        let named =
            ["id", "text", "redactedContent"].map(|name| Some(field(name)).filter(|value| !value.is_empty()));
        parts.extend(named.into_iter().fold(sealed, Option::or));
        Self::new("thinking", &parts.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn new(kind: &str, parts: &[&str]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in [&[kind], parts].concat() {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let mut short = [0; 16];
        short.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(short)
    }
}

impl Restoration {
    pub(super) fn encode(&self) -> Bytes {
        let mut out = Writer::new(VERSION);
        out.text(&self.hidden);
        out.text(&self.prefix);
        for list in [&self.earlier, &self.thinking] {
            out.count(list.len());
            for digest in list {
                out.0.extend_from_slice(&digest.0);
            }
        }
        out.0.push(u8::from(self.mixed.is_some()));
        if let Some(mixed) = &self.mixed {
            out.count(mixed.visible as usize);
            out.count(mixed.calls.len());
            for (before, call) in &mixed.calls {
                out.count(*before as usize);
                out.text(call);
            }
            out.texts(&mixed.results);
        }
        out.into_bytes()
    }

    /// `None` for bytes that no version of ours wrote.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        if reader.take(1)? != [VERSION] {
            return None;
        }
        let hidden = reader.text()?;
        let prefix = reader.text()?;
        let (earlier, thinking) = (reader.digests()?, reader.digests()?);
        let mixed = match reader.take(1)? {
            [0] => None,
            [1] => {
                let visible = reader.count()?;
                let calls = (0..reader.count()?)
                    .map(|_| Some((reader.count()?, reader.text()?)))
                    .collect::<Option<_>>()?;
                let results = reader.texts()?;
                Some(Mixed { calls, visible, results })
            }
            _ => return None,
        };
        reader.0.is_empty().then_some(Self { hidden, earlier, thinking, prefix, mixed })
    }
}

/// Counts and lengths are four bytes, little-endian.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn new(version: u8) -> Self {
        Self(vec![version])
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.0.into()
    }

    pub(super) fn texts(&mut self, texts: &[String]) {
        self.count(texts.len());
        for text in texts {
            self.text(text);
        }
    }

    pub(super) fn count(&mut self, count: usize) {
        self.0.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }
}

pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub(super) fn texts(&mut self) -> Option<Vec<String>> {
        (0..self.count()?).map(|_| self.text()).collect()
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn count(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    pub(super) fn text(&mut self) -> Option<String> {
        let length = self.count()?;
        String::from_utf8(self.take(length as usize)?.to_vec()).ok()
    }

    fn digests(&mut self) -> Option<Vec<Digest>> {
        (0..self.count()?).map(|_| Some(Digest(self.take(16)?.try_into().ok()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digest() -> impl Strategy<Value = Digest> {
        any::<[u8; 16]>().prop_map(Digest)
    }

    fn mixed() -> impl Strategy<Value = Mixed> {
        (
            proptest::collection::vec((0u32..9, ".{0,9}"), 0..3),
            0u32..9,
            proptest::collection::vec(".{0,9}", 0..3),
        )
            .prop_map(|(calls, visible, results)| Mixed { calls, visible, results })
    }

    fn restoration() -> impl Strategy<Value = Restoration> {
        let digests = || proptest::collection::vec(digest(), 0..3);
        (".{0,20}", digests(), digests(), ".{0,20}", proptest::option::of(mixed())).prop_map(
            |(hidden, earlier, thinking, prefix, mixed)| Restoration {
                hidden,
                earlier,
                thinking,
                prefix,
                mixed,
            },
        )
    }

    proptest! {
        #[test]
        fn records_come_back(restoration in restoration()) {
            let bytes = restoration.encode();
            prop_assert_eq!(Restoration::decode(&bytes), Some(restoration));
            for cut in 0..bytes.len() {
                prop_assert_eq!(Restoration::decode(&bytes[..cut]), None);
            }
        }

        #[test]
        fn foreign_bytes_do_not(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(read) = Restoration::decode(&bytes) {
                prop_assert_eq!(read.encode(), bytes);
            }
        }
    }
}
