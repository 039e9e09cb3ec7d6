//! The rolling hash of a conversation, as the client tells it: what the ledger is keyed by.
//!
//! It covers roles, types, texts, ids, results, and arguments as sorted values. It leaves out what a
//! client may change without changing what was said: `cache_control`, thinking, white space at the
//! ends of what a person or the model wrote, how text is cut into blocks, and how JSON is spelled.
//! Dynamic values of the system prompt count as their placeholders.

use crate::{
    align::Dynamic,
    ccr::HandleKey,
    intercept,
    ledger::LedgerKey,
    wire::{
        Arguments, BlockKind, Conversation, Message, Role,
        scan::{ScanError, Scanner},
        text::Str,
    },
};

/// One thing said in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    /// Text; adjacent texts are one.
    Text(&'a str),
    /// A tool call.
    Call {
        id: &'a str,
        name: &'a str,
        /// The arguments as JSON.
        arguments: &'a str,
    },
    /// Anything else, hashed by its owner.
    Digest([u8; 32]),
}

/// The hash of a conversation up to some message.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    state: [u8; 32],
}

impl Chain {
    /// A conversation with `model`: what one model said, thinking above all, is not put before another.
    pub(crate) fn new(key: &HandleKey, model: &str, system: &[[u8; 32]]) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(key.bytes());
        hasher.update(b"ledger 1");
        tagged(&mut hasher, b'm', model.as_bytes());
        for digest in system {
            hasher.update(digest);
        }
        Self { state: *hasher.finalize().as_bytes() }
    }

    /// A conversation up to where its key is `key`.
    pub(crate) fn behind(key: LedgerKey) -> Self {
        Self { state: key.to_bytes() }
    }

    /// Goes on with an answer that stands elsewhere.
    pub(crate) fn push_previous(&mut self, id: &str) {
        let mut hasher = blake3::Hasher::new_keyed(&self.state);
        tagged(&mut hasher, b'p', id.as_bytes());
        self.state = *hasher.finalize().as_bytes();
    }

    /// Moves on over one message.
    pub(crate) fn push(&mut self, role: Role, items: &[Item<'_>]) {
        let mut hasher = blake3::Hasher::new_keyed(&self.state);
        hasher.update(&[role as u8]);
        let mut items = items.iter().peekable();
        while let Some(item) = items.next() {
            match item {
                Item::Text(text) => {
                    let mut whole = std::borrow::Cow::Borrowed(*text);
                    while let Some(Item::Text(more)) = items.peek() {
                        whole.to_mut().push_str(more);
                        items.next();
                    }
                    // A turn of several rounds is several texts, and clients trim or join each.
                    let said: std::borrow::Cow<'_, str> = match role {
                        Role::Assistant => whole.split_whitespace().collect::<String>().into(),
                        _ => whole.trim().into(),
                    };
                    if !said.is_empty() {
                        tagged(&mut hasher, b't', said.as_bytes());
                    }
                }
                Item::Call { id, name, arguments } => {
                    tagged(&mut hasher, b'i', id.as_bytes());
                    tagged(&mut hasher, b'n', name.as_bytes());
                    tagged(&mut hasher, b'a', &sorted(arguments));
                }
                Item::Digest(digest) => tagged(&mut hasher, b'd', digest),
            }
        }
        self.state = *hasher.finalize().as_bytes();
    }

    pub(crate) fn key(&self) -> LedgerKey {
        LedgerKey::from_bytes(self.state)
    }

    /// Moves on over a scanned message; `result` gives the digest of a text of a tool result.
    pub(crate) fn push_message(
        &mut self,
        body: &str,
        message: &Message,
        dynamic: &Dynamic,
        result: &mut dyn FnMut(&Str) -> [u8; 32],
    ) {
        let decoded: Vec<Owned<'_>> = message
            .blocks
            .iter()
            .map(|block| match &block.kind {
                BlockKind::Text(text) => match dynamic.aligned(text) {
                    Some(aligned) => Owned::Text(aligned.into()),
                    None => text
                        .decode(body)
                        .map_or_else(|| Owned::Digest(raw_digest(text.raw(body))), Owned::Text),
                },
                BlockKind::Call { id, name, arguments } => Owned::Call {
                    id: text_of(id.as_ref(), body),
                    name: text_of(name.as_ref(), body),
                    arguments: match arguments {
                        Arguments::None => "".into(),
                        Arguments::Value(span) => body[span.clone()].into(),
                        Arguments::Text(text) => text_of(Some(text), body),
                    },
                },
                BlockKind::Result { call, texts, .. } => {
                    let mut hasher = blake3::Hasher::new();
                    tagged(&mut hasher, b'c', text_of(call.as_ref(), body).as_bytes());
                    for text in texts {
                        hasher.update(&result(text));
                    }
                    Owned::Digest(*hasher.finalize().as_bytes())
                }
                BlockKind::Thinking => Owned::None,
                BlockKind::Other => Owned::Digest(sorted(&body[block.span.clone()])),
            })
            .collect();
        let items: Vec<Item<'_>> = decoded.iter().filter_map(Owned::item).collect();
        self.push(message.role, &items);
    }
}

impl intercept::History for Chain {
    fn turn(&self, visible: &[intercept::Item]) -> LedgerKey {
        let items: Vec<Item<'_>> = visible
            .iter()
            .map(|item| match item {
                intercept::Item::Text(text) => Item::Text(text),
                intercept::Item::Call { id, name, arguments } => Item::Call { id, name, arguments },
                intercept::Item::Other(json) => Item::Digest(sorted(json)),
            })
            .collect();
        let mut chain = self.clone();
        chain.push(Role::Assistant, &items);
        chain.key()
    }
}

enum Owned<'a> {
    Text(std::borrow::Cow<'a, str>),
    Call {
        id: std::borrow::Cow<'a, str>,
        name: std::borrow::Cow<'a, str>,
        arguments: std::borrow::Cow<'a, str>,
    },
    Digest([u8; 32]),
    None,
}

impl Owned<'_> {
    fn item(&self) -> Option<Item<'_>> {
        Some(match self {
            Self::Text(text) => Item::Text(text),
            Self::Call { id, name, arguments } => Item::Call { id, name, arguments },
            Self::Digest(digest) => Item::Digest(*digest),
            Self::None => return None,
        })
    }
}

fn text_of<'a>(text: Option<&Str>, body: &'a str) -> std::borrow::Cow<'a, str> {
    text.map_or("".into(), |text| text.decode(body).unwrap_or(text.raw(body).into()))
}

/// The digest of the system prompt's texts.
pub(crate) fn system_digests(body: &str, conversation: &Conversation, dynamic: &Dynamic) -> Vec<[u8; 32]> {
    let digest = |text| match dynamic.aligned(text) {
        Some(aligned) => *blake3::hash(aligned.as_bytes()).as_bytes(),
        None => text_digest(body, text),
    };
    conversation.system.iter().map(digest).collect()
}

/// The digest of a string's text, however it is spelled.
pub(crate) fn text_digest(body: &str, text: &Str) -> [u8; 32] {
    *blake3::hash(text.canonical(body).as_bytes()).as_bytes()
}

fn raw_digest(raw: &str) -> [u8; 32] {
    *blake3::Hasher::new().update(b"raw").update(raw.as_bytes()).finalize().as_bytes()
}

fn tagged(hasher: &mut blake3::Hasher, tag: u8, bytes: &[u8]) {
    hasher.update(&[tag]);
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

/// Deeper than this, JSON is hashed as it is spelled.
const DEPTH: usize = 64;

/// A digest of JSON as a value: keys in any order, any spelling of strings, `cache_control` left
/// out. Text that is not JSON is hashed as it is.
pub(crate) fn sorted(json: &str) -> [u8; 32] {
    let mut scanner = Scanner::new(json);
    value_digest(&mut scanner, 0)
        .and_then(|digest| scanner.end().map(|()| digest))
        .unwrap_or_else(|_| raw_digest(json))
}

fn value_digest(scanner: &mut Scanner<'_>, depth: usize) -> Result<[u8; 32], ScanError> {
    let mut hasher = blake3::Hasher::new();
    match scanner.peek() {
        b'{' if depth < DEPTH => {
            let mut members = Vec::new();
            scanner.object(|scanner, key| {
                let value = value_digest(scanner, depth + 1)?;
                if key != "cache_control" {
                    members.push((key.to_owned(), value));
                }
                Ok(())
            })?;
            members.sort();
            hasher.update(b"{");
            for (key, value) in members {
                tagged(&mut hasher, b'k', key.as_bytes());
                hasher.update(&value);
            }
        }
        b'[' if depth < DEPTH => {
            hasher.update(b"[");
            scanner.array(|scanner| {
                hasher.update(&value_digest(scanner, depth + 1)?);
                Ok(())
            })?;
        }
        b'"' => {
            let text = scanner.string()?;
            hasher.update(b"\"");
            hasher.update(&text_digest(scanner.body(), &text));
        }
        _ => {
            let span = scanner.skip()?;
            tagged(&mut hasher, b'v', &scanner.body().as_bytes()[span]);
        }
    }
    Ok(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain() -> Chain {
        Chain::new(&HandleKey::default(), "model", &[])
    }

    fn key(items: &[Item<'_>]) -> LedgerKey {
        let mut chain = chain();
        chain.push(Role::Assistant, items);
        chain.key()
    }

    fn call(arguments: &str) -> Item<'_> {
        Item::Call { id: "c1", name: "run", arguments }
    }

    #[test]
    fn what_a_client_may_vary_does_not_matter() {
        assert_eq!(key(&[Item::Text(" a"), Item::Text("b\n")]), key(&[Item::Text("ab")]));
        assert_eq!(
            key(&[Item::Text(" "), call(r#"{"a":1,"b":"é"}"#)]),
            key(&[call(r#"{ "b":"\u00e9", "a":1 }"#)])
        );
        assert_eq!(sorted(r#"{"a":[1],"cache_control":{"type":"ephemeral"}}"#), sorted(r#"{"a":[1]}"#));
    }

    #[test]
    fn what_was_said_does() {
        let text = key(&[Item::Text("a")]);
        assert_ne!(text, key(&[Item::Text("b")]));
        assert_ne!(key(&[call(r#"{"a":1}"#)]), key(&[call(r#"{"a":1.0}"#)]));
        assert_ne!(sorted(r#"{"a":{"b":1}}"#), sorted(r#"{"a":1,"b":1}"#));
        let mut user = chain();
        user.push(Role::User, &[Item::Text("a")]);
        assert_ne!(user.key(), text);
        let mut twice = chain();
        twice.push(Role::Assistant, &[Item::Text("a")]);
        twice.push(Role::Assistant, &[Item::Text("a")]);
        assert_ne!(twice.key(), text);
    }

    #[test]
    fn deep_arguments_are_hashed_as_spelled() {
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(sorted(&deep), sorted(&deep));
    }
}
