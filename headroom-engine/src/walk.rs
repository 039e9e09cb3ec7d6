//! One pass over a conversation: which of its texts may be rewritten, and its hash behind every
//! message. What stands behind a message depends on nothing that follows it, so that a conversation
//! that goes on is walked on from there.

use std::{collections::HashMap, sync::Arc};

use crate::{
    align::Dynamic,
    ccr::HandleKey,
    compress::repeat::{Holder, Place},
    eligible::{self, Asked, Candidate},
    history::{self, Chain},
    ledger::LedgerKey,
    price::Size,
    wire::{Arguments, BlockKind, Conversation, Message, Role, media, text::Str},
};

/// A conversation, as far as it was walked.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    /// In front of the first message.
    begin: Step,
    /// Behind each.
    steps: Vec<Step>,
    /// Of what [`Dynamic`] says of messages.
    aligned: [u8; 32],
    candidates: Vec<Arc<Candidate>>,
    calls: Vec<Arc<Called>>,
}

/// What stands behind a message.
#[derive(Clone, Debug)]
struct Step {
    key: LedgerKey,
    /// Bytes so far, as [`length`] counts them.
    bytes: usize,
    candidates: usize,
    results: usize,
    calls: usize,
    /// Of the calls so far.
    written: [u8; 32],
    /// What the user said last, its ends if it is long, and a digest of all of it.
    user: Option<Arc<Asked>>,
    asked: [u8; 32],
}

/// A tool call, looked at once however many results answer it.
#[derive(Debug)]
struct Called {
    id: Option<Str>,
    place: (usize, usize),
    name: Arc<str>,
    /// Of the name and the arguments.
    digest: [u8; 32],
}

/// Calls by their ids; of those with the same, the last.
struct Calls<'a> {
    body: &'a str,
    /// Those of earlier requests that stand in front of it all and have not been looked at.
    earlier: usize,
    by_id: HashMap<&'a str, Arc<Called>>,
}

impl<'a> Calls<'a> {
    fn new(body: &'a str, earlier: usize) -> Self {
        Self { body, earlier, by_id: HashMap::new() }
    }

    fn push(&mut self, call: &Arc<Called>) {
        if let Some(id) = &call.id {
            self.by_id.insert(id.raw(self.body), Arc::clone(call));
        }
    }

    /// One of `all`.
    fn get(&mut self, all: &[Arc<Called>], id: &str) -> Option<Arc<Called>> {
        /// What a result answers is most often one of the last calls.
        const NEAR: usize = 8;
        if let Some(call) = self.by_id.get(id) {
            return Some(Arc::clone(call));
        }
        let earlier = all[..self.earlier].iter().rev();
        let is_it = |call: &&Arc<Called>| call.id.as_ref().is_some_and(|it| it.raw(self.body) == id);
        if let Some(call) = earlier.clone().take(NEAR).find(is_it) {
            return Some(Arc::clone(call));
        }
        self.earlier = 0;
        for call in earlier {
            if let Some(id) = &call.id {
                // Later ones are there already.
                self.by_id.entry(id.raw(self.body)).or_insert_with(|| Arc::clone(call));
            }
        }
        self.by_id.get(id).cloned()
    }
}

impl Walk {
    /// In front of the first message.
    pub(crate) fn begin(
        body: &str,
        conversation: &Conversation,
        dynamic: &Dynamic,
        model: &str,
        key: &HandleKey,
    ) -> Self {
        let mut chain = Chain::new(key, model, &history::system_digests(body, conversation, dynamic));
        if let Some(previous) = conversation.previous.as_ref().and_then(|id| id.decode(body)) {
            chain.push_previous(&previous);
        }
        let tools = conversation.tools.as_ref().map_or(0, |tools| solid(&body[tools.span.clone()]));
        let begin = Step {
            key: chain.key(),
            bytes: dynamic.constant_bytes() + dynamic.constant_tools(tools),
            candidates: 0,
            results: 0,
            calls: 0,
            written: [0; 32],
            user: None,
            asked: [0; 32],
        };
        let aligned = dynamic.digest();
        Self { begin, steps: Vec::new(), aligned, candidates: Vec::new(), calls: Vec::new() }
    }

    /// Whether all that stands around the messages is the same.
    pub(crate) fn began_as(&self, other: &Self) -> bool {
        let around = |walk: &Self| (walk.begin.key, walk.begin.bytes, walk.aligned);
        around(self) == around(other)
    }

    /// The first `messages` of a walk that began as this one, which has not left the beginning.
    pub(crate) fn resumed(self, known: &Self, messages: usize) -> Self {
        if !self.began_as(known) {
            return self;
        }
        let steps = known.steps[..messages.min(known.steps.len())].to_vec();
        let last = steps.last().unwrap_or(&self.begin);
        Self {
            candidates: known.candidates[..last.candidates].to_vec(),
            calls: known.calls[..last.calls].to_vec(),
            steps,
            ..self
        }
    }

    /// Goes on to the end. Every text that is new is hashed once.
    pub(crate) fn finish(mut self, body: &str, conversation: &Conversation, dynamic: &Dynamic) -> Self {
        let mut calls = Calls::new(body, self.calls.len());
        for (at, message) in conversation.messages.iter().enumerate().skip(self.steps.len()) {
            self.pass(body, at, message, dynamic, &mut calls);
        }
        self
    }

    fn pass<'a>(
        &mut self,
        body: &'a str,
        at: usize,
        message: &Message,
        dynamic: &Dynamic,
        calls: &mut Calls<'a>,
    ) {
        let mut step = self.last().clone();
        let prefix = Size::of_bytes(step.bytes);
        let first = self.candidates.len();
        step.bytes += length(body, message);
        let mut spoke = false;
        for (block_at, block) in message.blocks.iter().enumerate() {
            match &block.kind {
                BlockKind::Call { id, name, arguments } => {
                    let (name, digest) = called(body, name.as_ref(), arguments);
                    step.calls += 1;
                    step.written =
                        *blake3::Hasher::new().update(&step.written).update(&digest).finalize().as_bytes();
                    let called = Arc::new(Called { id: id.clone(), place: (at, block_at), name, digest });
                    calls.push(&called);
                    self.calls.push(called);
                }
                BlockKind::Result { call, is_error, texts } => {
                    let called = call.as_ref().and_then(|call| calls.get(&self.calls, call.raw(body)));
                    let query = causal(called.as_deref(), &step.asked);
                    let tool =
                        called.as_ref().map_or_else(|| Arc::from(""), |called| Arc::clone(&called.name));
                    step.results += 1;
                    let span = &body[block.span.clone()];
                    let declares = media::declares(span);
                    for (part, text) in texts.iter().enumerate() {
                        let inside = text.range.start.saturating_sub(block.span.start);
                        let mut candidate = Candidate {
                            media_type: declares.then(|| media::declared(span, inside)).flatten(),
                            message: at,
                            block: block_at,
                            part,
                            text: text.clone(),
                            digest: history::text_digest(body, text),
                            query,
                            own: [0; 32],
                            tool: Arc::clone(&tool),
                            is_error: *is_error,
                            place: Place {
                                holder: Holder::Result,
                                number: step.results,
                                part: (texts.len() > 1).then_some(part + 1),
                            },
                            calls: step.calls,
                            prefix,
                            written: step.written,
                            call: called.as_ref().map(|called| called.place),
                            given: None,
                            user: step.user.clone(),
                        };
                        candidate.seal();
                        self.candidates.push(candidate.into());
                    }
                }
                BlockKind::Text(_) => spoke = true,
                _ => {}
            }
        }
        step.candidates = self.candidates.len();
        // Candidates of this message stand in the order in which the chain meets their texts.
        let mut digests = self.candidates[first..].iter().map(|candidate| candidate.digest);
        let mut chain = Chain::behind(step.key);
        chain.push_message(body, message, dynamic, &mut |_| digests.next().unwrap_or_default());
        step.key = chain.key();
        if message.role == Role::User && spoke {
            let said = eligible::said(body, message);
            step.asked = *blake3::hash(said.as_bytes()).as_bytes();
            step.user = Some(Asked::new(&eligible::ends(&said).join(" ")).into());
        }
        self.steps.push(step);
    }

    /// The candidates, the hash behind the last message, and the key behind each.
    pub(crate) fn into_parts(self) -> (Vec<Arc<Candidate>>, Chain, Vec<LedgerKey>) {
        let chain = Chain::behind(self.last().key);
        (self.candidates, chain, self.steps.iter().map(|step| step.key).collect())
    }

    /// All of it, in words; LedgerKey keeps to itself what it is.
    #[cfg(test)]
    pub(crate) fn told(&self) -> String {
        let keys: Vec<_> = self.steps.iter().map(|step| step.key.to_bytes()).collect();
        format!("{keys:?} {self:?}")
    }

    fn last(&self) -> &Step {
        self.steps.last().unwrap_or(&self.begin)
    }

    /// About the bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        const COUNTS: usize = 2 * size_of::<usize>();
        let mut users: Vec<&Arc<Asked>> = self.steps.iter().filter_map(|step| step.user.as_ref()).collect();
        users.dedup_by(|one, other| Arc::ptr_eq(one, other));
        users.iter().map(|user| user.bytes()).sum::<usize>()
            + self.steps.len() * size_of::<Step>()
            + self.candidates.len() * (size_of::<Candidate>() + COUNTS)
            + self.calls.len() * (size_of::<Called>() + COUNTS)
    }
}

/// About the bytes of a message, whatever stands between its tokens and however its strings are
/// spelled. What the [`Dynamic`] values stand in is not counted.
fn length(body: &str, message: &Message) -> usize {
    if message.role == Role::System {
        return 0;
    }
    let one = |text: &Str| text.canonical(body).len();
    let blocks = message.blocks.iter().map(|block| match &block.kind {
        BlockKind::Text(text) => one(text),
        BlockKind::Result { texts, .. } => texts.iter().map(one).sum(),
        BlockKind::Call { arguments: Arguments::Value(span), .. } => solid(&body[span.clone()]),
        BlockKind::Call { arguments: Arguments::Text(text), .. } => solid(&text.canonical(body)),
        BlockKind::Call { arguments: Arguments::None, .. } | BlockKind::Thinking | BlockKind::Other => 0,
    });
    blocks.sum()
}

/// About the bytes of `json` that are no white space, the same for every spelling of its strings.
fn solid(json: &str) -> usize {
    // Sums of comparisons, many bytes at once: it is asked of every call's arguments on every turn.
    let sum = |bytes: &[u8], least: u8| {
        let chunks = bytes.chunks(usize::from(u8::MAX));
        chunks.map(|chunk| usize::from(chunk.iter().map(|byte| u8::from(*byte >= least)).sum::<u8>())).sum()
    };
    let worth = |bytes: &[u8]| -> usize {
        let solid: usize = sum(bytes, b' ' + 1);
        match bytes.is_ascii() {
            true => solid,
            // Two for what is 2 or 3 bytes long and four for 4, not one for each.
            false => solid + 2 * sum(bytes, 0xc0) + 2 * sum(bytes, 0xf0) - sum(bytes, 0x80),
        }
    };
    let (mut count, mut at) = (0, 0);
    loop {
        let rest = &json.as_bytes()[at..];
        let plain = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
        count += worth(&rest[..plain]);
        let (length, worth) = match rest.get(plain + 1) {
            _ if plain == rest.len() => return count,
            Some(b'u') => {
                let digits = rest.get(plain + 2..plain + 6).and_then(|digits| str::from_utf8(digits).ok());
                let worth = match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
                    Some(0x20) => 0,
                    Some(..0x80) => 1,
                    _ => 2,
                };
                (6, worth)
            }
            _ => (2, 1),
        };
        count += worth;
        at = json.len().min(at + plain + length);
    }
}

/// A digest of what the causal query is made of.
fn causal(called: Option<&Called>, asked: &[u8; 32]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(asked);
    if let Some(called) = called {
        hasher.update(&called.digest);
    }
    *hasher.finalize().as_bytes()
}

/// A call's name, and a digest of it and the arguments.
fn called(body: &str, name: Option<&Str>, arguments: &Arguments) -> (Arc<str>, [u8; 32]) {
    let name = name.and_then(|name| name.decode(body)).unwrap_or_default();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(name.len() as u64).to_le_bytes());
    hasher.update(name.as_bytes());
    hasher.update(match arguments {
        Arguments::None => b"",
        Arguments::Value(span) => &body.as_bytes()[span.clone()],
        Arguments::Text(text) => text.raw(body).as_bytes(),
    });
    (name.into(), *hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_the_same_however_they_are_spelled() {
        let one = r#"{"a":"x y\u00e9 \ud83d\ude00\n/","b":[1,2]}"#;
        let other = "{ \"a\" : \"\\u0078 y\u{e9}\\u0020\u{1f600}\\u000a\\/\",\n\"b\": [1, 2] }";
        assert_eq!(solid(one), solid(other));
        assert_eq!(solid(r#"{"a": 1}"#), 7);
        assert_eq!((solid("\\u12"), solid("\\")), (2, 1));
    }
}
