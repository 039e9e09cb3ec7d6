//! One answer of the model, in the terms that all dialects share.

use super::picture::Picture;

/// A complete assistant turn.
#[derive(Clone, Debug)]
pub(super) struct Round {
    /// The assistant message as the next request carries it.
    pub(super) message: String,
    pub(super) blocks: Vec<Block>,
    pub(super) stop: Stop,
    pub(super) usage: Usage,
    /// `message` holds all there was.
    pub(super) rebuilt: bool,
}

/// Why the model stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It said what it wanted to; its calls are meant.
    Complete,
    /// It was cut off, refused or paused; its calls may be partial.
    Cut,
}

#[derive(Clone, Debug)]
pub(super) struct Block {
    /// JSON, as it stands (or would stand) in the answer; of a text that has been [told](Block::told),
    /// nothing.
    pub(super) raw: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Decoded.
    Text(String),
    Thinking,
    Call(Call),
    /// With the block's type.
    Other(String),
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    /// JSON, or what the model wrote instead.
    pub(super) arguments: String,
    /// A call of the retrieval tool.
    pub(super) ours: bool,
}

/// Tokens, as the upstream counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) cache_read: u64,
    pub(super) cache_write: u64,
}

/// The result of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) is_error: bool,
    /// Behind the text.
    pub(super) picture: Option<Picture>,
}

impl Block {
    pub(super) fn call(&self) -> Option<&Call> {
        match &self.kind {
            Kind::Call(call) => Some(call),
            _ => None,
        }
    }

    /// Drops what was said of a text beside its decoded form: its message has been written.
    pub(super) fn told(&mut self) {
        if matches!(self.kind, Kind::Text(_)) {
            self.raw = String::new();
        }
    }

    pub(super) fn is_ours(&self) -> bool {
        self.call().is_some_and(|call| call.ours)
    }

    pub(super) fn is_thinking(&self) -> bool {
        matches!(self.kind, Kind::Thinking)
    }

    /// Text without any letter in it: no request may carry it, and clients drop it.
    pub(super) fn is_blank(&self) -> bool {
        matches!(&self.kind, Kind::Text(text) if text.trim().is_empty())
    }

    /// Whether it counts among the blocks that a client shows and sends back.
    pub(super) fn is_visible(&self) -> bool {
        !self.is_ours() && !self.is_thinking() && !self.is_blank()
    }
}

impl Round {
    pub(super) fn ours(&self) -> impl Iterator<Item = &Call> {
        self.blocks.iter().filter_map(Block::call).filter(|call| call.ours)
    }

    /// Whether the client is asked to run a tool.
    pub(super) fn calls_client(&self) -> bool {
        self.blocks.iter().any(|block| block.call().is_some_and(|call| !call.ours))
    }
}
