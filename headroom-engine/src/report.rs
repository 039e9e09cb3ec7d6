//! What was done, and why: counts and reasons, never content.

use crate::{policy::Mode, reduce::Hidden};

/// What became of a request.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// How the request was treated.
    pub mode: Mode,
    /// Why it was not treated as the policy asks; `None` if it was.
    pub limited: Option<Reason>,
    /// The retrieval tool was added to the request's tools.
    pub tool_listed: bool,
    /// The retrieval tool is listed, but this turn's `tool_choice` forbids calling it.
    pub tool_forbidden: bool,
    /// The blocks that were looked at, in order.
    pub blocks: Vec<BlockReport>,
    /// Hidden exchanges that the ledger put back.
    pub restored: u32,
    /// Records that did not fit the conversation they were found for.
    pub unrestored: u32,
    /// Places where what was sent before is knowingly not repeated.
    pub declared_breaks: u32,
    /// A step failed and the body went out as it came.
    pub failed_open: bool,
}

impl Report {
    /// Tokens of the replaced blocks, before.
    #[must_use]
    pub fn tokens_in(&self) -> usize {
        self.blocks.iter().filter(|block| block.reason.replaced()).map(|block| block.tokens_in).sum()
    }

    /// Tokens of the replaced blocks, after, markers and legends included.
    #[must_use]
    pub fn tokens_out(&self) -> usize {
        self.blocks.iter().filter(|block| block.reason.replaced()).map(|block| block.tokens_out).sum()
    }

    /// Tokens saved in this request's blocks.
    #[must_use]
    pub fn tokens_saved(&self) -> usize {
        self.tokens_in() - self.tokens_out()
    }
}

/// What became of one block.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BlockReport {
    /// The message it stands in, from 0.
    pub message: usize,
    /// The block within the message, from 0.
    pub block: usize,
    /// The text within the block, from 0.
    pub part: usize,
    /// The kind of content, where a specialist recognised it.
    pub kind: Option<&'static str>,
    /// What became of it, and why.
    pub reason: Reason,
    /// Its tokens before; 0 where they were not counted.
    pub tokens_in: usize,
    /// Its tokens after.
    pub tokens_out: usize,
    /// Its tokens after exact rewriting alone; 0 where it was not tried.
    pub tokens_exact: usize,
    /// What was left out.
    pub hidden: Vec<Hidden>,
}

/// Why a block, or a request, became what it became.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Rewritten exactly.
    Exact,
    /// Partly left out, behind markers.
    Elided,
    /// Too short to save anything.
    Small,
    /// No specialist recognises it.
    NoSpecialist,
    /// Its specialist found nothing to gain.
    NothingToGain,
    /// The result would not have been smaller by enough.
    NotSmaller,
    /// The decoder did not rebuild it. A bug of the specialist; nothing was lost.
    Undecodable,
    /// The specialist panicked. A bug; nothing was lost.
    Panicked,
    /// The tool's policy keeps it.
    ToolPolicy,
    /// What the retrieval tool returned.
    Retrieved,
    /// A string that is no text (a lone surrogate).
    NotText,
    /// The policy switches everything off.
    PolicyOff,
    /// The policy allows exact rewrites only.
    PolicyExact,
    /// Several answers are asked for; their calls cannot be intercepted.
    SeveralAnswers,
    /// The provider keeps the conversation, so that a later request may go on with it elsewhere.
    Stateful,
    /// Nobody intercepts the answer on this route.
    RouteExact,
    /// The client's tools cannot return bulk, so ours is not worth its price.
    NoBulkTool,
    /// The client lists a retrieval tool of its own.
    ClientOwned,
}

impl Reason {
    /// Whether the block was replaced.
    #[must_use]
    pub fn replaced(self) -> bool {
        matches!(self, Self::Exact | Self::Elided)
    }

    /// A stable name for logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Elided => "elided",
            Self::Small => "small",
            Self::NoSpecialist => "no_specialist",
            Self::NothingToGain => "nothing_to_gain",
            Self::NotSmaller => "not_smaller",
            Self::Undecodable => "undecodable",
            Self::Panicked => "panicked",
            Self::ToolPolicy => "tool_policy",
            Self::Retrieved => "retrieved",
            Self::NotText => "not_text",
            Self::PolicyOff => "policy_off",
            Self::PolicyExact => "policy_exact",
            Self::SeveralAnswers => "several_answers",
            Self::Stateful => "stateful",
            Self::RouteExact => "route_exact",
            Self::NoBulkTool => "no_bulk_tool",
            Self::ClientOwned => "client_owned",
        }
    }
}
