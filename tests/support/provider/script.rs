//! What the model says, and how it arrives.

use std::{fmt, future::Future, sync::Arc};

use serde_json::Value;
use tokio::sync::watch;

use super::Received;

/// Decides what the double answers to a request that it has found valid.
pub trait Script: Send + Sync + 'static {
    /// The answer to `request`.
    fn answer(&self, request: &Received) -> Reply;
}

impl<F: Fn(&Received) -> Reply + Send + Sync + 'static> Script for F {
    fn answer(&self, request: &Received) -> Reply {
        self(request)
    }
}

impl<S: Script> Script for Arc<S> {
    fn answer(&self, request: &Received) -> Reply {
        (**self).answer(request)
    }
}

/// One answer.
#[derive(Clone, Debug)]
pub enum Reply {
    /// What a model says.
    Turn(Turn),
    /// The provider's error of this status, in the dialect's shape.
    Error {
        /// HTTP status.
        status: u16,
        /// `overloaded_error`, `rate_limit_error`, ...
        kind: &'static str,
        /// For people.
        message: String,
        /// Further headers, such as `retry-after`.
        headers: Vec<(&'static str, String)>,
    },
    /// Anything else: an HTML error page, a coded body.
    Raw {
        /// HTTP status.
        status: u16,
        /// All headers.
        headers: Vec<(&'static str, String)>,
        /// The body.
        body: Vec<u8>,
    },
    /// No head ever comes.
    Stall,
}

impl Reply {
    /// An error without further headers.
    #[must_use]
    pub fn error(status: u16, kind: &'static str, message: &str) -> Self {
        Self::Error { status, kind, message: message.to_owned(), headers: Vec::new() }
    }
}

impl From<Turn> for Reply {
    fn from(turn: Turn) -> Self {
        Self::Turn(turn)
    }
}

/// A block of the model's answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Words.
    Text(String),
    /// Reasoning; the double signs it. OpenAI Chat has no place for it and leaves it out.
    Thinking(String),
    /// A tool call; `arguments` is JSON text and is sent as it is.
    Call {
        /// Names the call.
        id: String,
        /// The tool.
        name: String,
        /// JSON text, or what a model took for it.
        arguments: String,
    },
    /// Any other block of the Anthropic dialect, sent whole in its start event.
    Other(Value),
}

impl Block {
    /// A tool call.
    #[must_use]
    pub fn call(id: impl Into<String>, name: impl Into<String>, arguments: impl fmt::Display) -> Self {
        Self::Call { id: id.into(), name: name.into(), arguments: arguments.to_string() }
    }
}

/// How bytes of a stream are cut into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One frame an event.
    Events,
    /// Frames of so many bytes, wherever events end.
    Bytes(usize),
    /// Everything at once, as far as no gate stands between.
    Whole,
}

/// How a stream ends before its time; in a JSON answer, how the body does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The dialect's error event (JSON: an error answer), then the end.
    Error {
        /// `overloaded_error`, ...
        kind: &'static str,
        /// For people.
        message: String,
    },
    /// The body ends, as if all were said.
    Eof,
    /// Nothing more comes.
    Stall,
    /// The connection breaks.
    Reset,
}

/// A turn of the model, with what shapes its way over the wire.
#[derive(Clone, Debug)]
pub struct Turn {
    pub(super) blocks: Vec<Block>,
    pub(super) stop: Option<&'static str>,
    pub(super) delta: usize,
    pub(super) framing: Framing,
    pub(super) newline: &'static str,
    pub(super) pings: bool,
    pub(super) gates: Vec<(usize, Gate)>,
    pub(super) fault: Option<(usize, Fault)>,
}

impl Turn {
    /// These blocks, in deltas of 24 characters, a frame an event.
    #[must_use]
    pub fn new(blocks: impl Into<Vec<Block>>) -> Self {
        Self {
            blocks: blocks.into(),
            stop: None,
            delta: 24,
            framing: Framing::Events,
            newline: "\n",
            pings: true,
            gates: Vec::new(),
            fault: None,
        }
    }

    /// One block of text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::new([Block::Text(text.into())])
    }

    /// The stop reason, in the dialect's own word; else it follows from the blocks.
    #[must_use]
    pub fn stop(mut self, reason: &'static str) -> Self {
        self.stop = Some(reason);
        self
    }

    /// Characters in a delta; at least one.
    #[must_use]
    pub fn delta(mut self, characters: usize) -> Self {
        self.delta = characters.max(1);
        self
    }

    /// How the stream is cut into frames.
    #[must_use]
    pub fn framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// What ends a line: `"\n"`, `"\r\n"` or `"\r"`.
    #[must_use]
    pub fn newline(mut self, newline: &'static str) -> Self {
        self.newline = newline;
        self
    }

    /// Whether Anthropic streams carry a `ping` event.
    #[must_use]
    pub fn pings(mut self, pings: bool) -> Self {
        self.pings = pings;
        self
    }

    /// Holds event number `event` (from 0) and all behind it back until `gate` opens. In a JSON
    /// answer every gate holds the whole body.
    #[must_use]
    pub fn gate(mut self, event: usize, gate: &Gate) -> Self {
        self.gates.push((event, gate.clone()));
        self
    }

    /// Ends the stream like this in place of event number `event` (from 0).
    #[must_use]
    pub fn fault(mut self, event: usize, fault: Fault) -> Self {
        self.fault = Some((event, fault));
        self
    }

    /// What is said.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    pub(super) fn calls(&self) -> bool {
        self.blocks.iter().any(|block| matches!(block, Block::Call { .. }))
    }
}

/// Holds a stream back until a test opens it. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Lets everything through, now and later.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Completes when the gate is open.
    pub fn opened(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut seen = self.0.subscribe();
        async move {
            let _ = seen.wait_for(|open| *open).await;
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}
