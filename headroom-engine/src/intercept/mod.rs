//! Answers to the model's retrievals, given on the way back: the client sees one ordinary answer.
//!
//! A [`Continuation`] belongs to one request whose rewritten form lists the retrieval tool. Its
//! answer is fed to a [`JsonExchange`] or a [`StreamExchange`], which says what to do next
//! ([`Step`]). Where the answer calls the tool, the call is kept from the client, the original is
//! looked up, and the conversation goes on in a follow-up request whose answer is spliced in behind
//! what the client has. Calls of the client's own tools pass; where an answer holds both, ours are
//! answered in the client's next request, out of the ledger.
//!
//! What is held of a stream is the model's own turn, once, since a follow-up must repeat it; while a
//! follow-up runs, its body and the turn's decoded text. Of a turn without a call of ours nothing is
//! kept behind its end.
//!
//! Nothing here does I/O, waits, or panics, whatever the bytes. An answer that holds no call of
//! ours leaves byte for byte as it came.

mod anthropic;
#[cfg(feature = "bedrock")]
mod bedrock;
mod elements;
mod exchange;
mod format;
mod frame;
#[cfg(feature = "bedrock")]
mod framed;
mod gemini;
mod json;
mod openai_chat;
mod openai_responses;
mod picture;
mod pieces;
mod ranking;
mod raw;
pub(crate) mod record;
mod report;
mod round;
pub(crate) mod stored;
mod stream;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use bytes::Bytes;

pub use json::JsonExchange;
pub use ranking::{Ranked, Ranking};
pub use report::RetrievalReport;
pub use stored::{Alias, Stored};
pub use stream::StreamExchange;

use crate::{
    ccr::Handle,
    ledger::{LedgerKey, Record},
    tokens::TokenCounter,
    wire::Dialect,
};

/// Follow-up requests for one answer, unless the policy says otherwise.
pub(crate) const MAX_ROUNDS: u32 = 3;

/// What the caller of an exchange does next.
#[derive(Clone, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// Look these up in the store (they are not in the request), then call `redeemed`.
    Redeem(Vec<Handle>),
    /// Run this where it may take a while, then call `ranked`. Only for long originals; short ones
    /// are read at once.
    Rank(Ranking),
    /// Send this body as the next round's request, under the same head, and feed its answer.
    Send(Bytes),
    /// Put these into the ledger, then call `remembered`.
    Remember(Vec<Record>),
    /// Nothing more will come.
    Done,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redeem(handles) => f.debug_tuple("Redeem").field(handles).finish(),
            Self::Rank(ranking) => f.debug_tuple("Rank").field(ranking).finish(),
            Self::Send(body) => write!(f, "Send({} bytes)", body.len()),
            Self::Remember(records) => f.debug_tuple("Remember").field(records).finish(),
            Self::Done => f.write_str("Done"),
        }
    }
}

/// Everything needed to answer the retrievals of one request.
#[derive(Debug)]
pub struct Continuation {
    parts: Parts,
}

/// What a [`Continuation`] is made of.
pub(crate) struct Parts {
    pub(crate) dialect: Dialect,
    /// The body as it was sent.
    pub(crate) request: Bytes,
    /// The offset of the last byte of its messages: the `]` that closes them.
    pub(crate) messages_end: usize,
    /// The name under which our tool is listed.
    pub(crate) tool: String,
    /// After this many rounds, calls are told to do without.
    pub(crate) max_rounds: u32,
    pub(crate) recall: Recall,
    pub(crate) originals: Arc<dyn Source>,
    pub(crate) counter: Arc<dyn TokenCounter>,
    /// The most tokens returned in one round.
    pub(crate) answer_budget: usize,
    /// The most tokens a prompt may have; `None` if it is not known.
    pub(crate) window: Option<usize>,
    pub(crate) history: Arc<dyn History>,
    /// What is known of the conversation at the provider, where it keeps it.
    pub(crate) thread: Option<stored::Thread>,
}

/// What becomes of a hidden exchange on later turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recall {
    /// It is recorded, and restored when the conversation comes again. A `durable` record is
    /// acknowledged before anything that is bound to it can be relied on.
    Restore { durable: bool },
    /// It is not, so nothing that is bound to it may reach the client.
    Forget,
}

/// The originals that stand in the request.
pub(crate) trait Source: Send + Sync {
    /// Every handle, with its kind, in the order of the request.
    fn handles(&self) -> Vec<(Handle, &'static str)>;
    fn get(&self, handle: Handle) -> Option<String>;
}

/// The conversation so far.
pub(crate) trait History: Send + Sync {
    /// The key of the conversation that goes on with this assistant turn.
    fn turn(&self, visible: &[Item]) -> LedgerKey;
}

/// One thing in an assistant turn as the client sees it. Thinking and blank text are left out; a
/// client may trim texts, join neighbours, or cut them otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Text(String),
    Call {
        id: String,
        name: String,
        /// JSON.
        arguments: String,
    },
    /// A block of another kind, as JSON.
    Other(String),
}

impl Continuation {
    pub(crate) fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// For an answer that is one JSON document.
    #[must_use]
    pub fn json(self) -> JsonExchange {
        JsonExchange::new(self.parts)
    }

    /// For an answer that is a stream of events.
    #[must_use]
    pub fn stream(self) -> StreamExchange {
        StreamExchange::new(self.parts)
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts")
            .field("dialect", &self.dialect)
            .field("recall", &self.recall)
            .finish_non_exhaustive()
    }
}
