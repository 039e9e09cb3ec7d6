//! What tells the dialects' answers apart, in one place a dialect.

use bytes::Bytes;

#[cfg(feature = "bedrock")]
use super::bedrock;
use super::{
    anthropic,
    exchange::{Ending, Texts},
    gemini, openai_chat, openai_responses,
    raw::Object,
    round::{Answer, Block, Round, Usage},
    stream::Splicer,
};
use crate::wire::Dialect;

/// How the answers of one dialect are read, continued and put together.
pub(super) trait Format: Send + Sync {
    /// Reads a JSON answer; `None` if it is none, or holds several.
    fn round(&self, answer: &Object<'_>, tool: &str) -> Option<Round>;

    /// One answer out of several: identity of the first, content of all, the rest of the last.
    fn merge(&self, answers: &Answers<'_>) -> String;

    /// An answer without our tool in what it repeats of the request; `None` if it repeats nothing.
    fn scrub(&self, _answer: &str, _tool: &str) -> Option<String> {
        None
    }

    /// What answers our calls, each as JSON, in their order.
    fn results(&self, answers: &[Answer], tool: &str) -> Vec<String>;

    /// Whether a result may hold an image.
    fn shows_pictures(&self) -> bool {
        false
    }

    /// The messages that carry `results`, as JSON joined by commas.
    fn carry(&self, results: &[String]) -> String {
        results.join(",")
    }

    /// The request with its messages as an array, and the offset of that array's `]`; `None` if
    /// they are one.
    fn opened(&self, _request: &[u8], _end: usize) -> Option<(Bytes, usize)> {
        None
    }

    /// Whether our calls stand among blocks such as this one, which a client sees.
    fn neighbours(&self, block: &Block) -> bool {
        block.is_visible()
    }

    /// What becomes of the rounds' texts; `structured` ones are one JSON document.
    fn texts(&self, _structured: bool) -> Texts {
        Texts::Blocks
    }

    /// All tokens of a prompt: what was read from a cache is counted among its input, or beside it.
    fn prompt(&self, usage: &Usage) -> u64 {
        usage.input
    }

    /// Whether the answer's text must be one JSON document.
    fn asks_for_structure(&self, request: &Object<'_>) -> bool;

    /// Takes our calls out of a stream; `forgets` withholds thinking behind a hidden exchange.
    fn splicer(&self, tool: String, forgets: bool) -> Box<dyn Splicer>;

    /// What may be sent while the client waits.
    fn keep_alive(&self) -> &'static [u8] {
        b": keep-alive\n\n"
    }

    /// How a stream may come.
    fn framings(&self) -> Framings {
        Framings::Events
    }

    /// What may be sent while the client of such a stream waits.
    fn keep_alive_frame(&self) -> Bytes {
        Bytes::new()
    }
}

/// How the streams of a dialect may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framings {
    /// As server-sent events.
    Events,
    /// As these, or as one JSON array.
    EventsOrArray,
    /// As these, or in frames of Amazon's.
    #[cfg(feature = "bedrock")]
    EventsOrFrames,
    /// In frames of Amazon's alone.
    #[cfg(feature = "bedrock")]
    Frames,
}

/// The answers of all rounds.
pub(super) struct Answers<'a> {
    pub(super) first: &'a str,
    pub(super) last: &'a str,
    /// What the client is to see of all of them.
    pub(super) blocks: &'a [&'a Block],
    pub(super) ending: &'a Ending,
    pub(super) texts: Texts,
    pub(super) tool: &'a str,
}

/// The format of a dialect.
pub(super) fn of(dialect: Dialect) -> &'static dyn Format {
    match dialect {
        Dialect::AnthropicMessages => &anthropic::Messages,
        Dialect::OpenAiChat => &openai_chat::Chat,
        Dialect::OpenAiResponses => &openai_responses::Responses,
        Dialect::Gemini => &gemini::Gemini,
        #[cfg(feature = "bedrock")]
        Dialect::BedrockConverse => &bedrock::Converse,
    }
}
