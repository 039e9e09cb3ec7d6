//! What was done, and why: counts and reasons, never content.

use std::sync::Arc;

use crate::{catalogue::Model, cost::Lineage, policy::Mode, reduce::Hidden};

/// What became of a request.
///
/// ```
/// use headroom_engine::compress;
/// let compressed = compress(r#"[{"role":"user","content":"hi"}]"#, "gpt-5.5")?;
/// assert_eq!(compressed.report().tokens_saved(), 0);
/// # Ok::<(), headroom_engine::ScanError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// What is known of the request's model.
    pub model: Model,
    /// How the request was treated.
    pub mode: Mode,
    /// Why it was not treated as the policy asks; `None` if it was.
    pub limited: Option<Reason>,
    /// The retrieval tool was added to the request's tools.
    pub tool_listed: bool,
    /// The retrieval tool is listed, but this turn's `tool_choice` forbids calling it.
    pub tool_forbidden: bool,
    /// Tokens of the retrieval tool's definition; 0 if it is not listed.
    pub tool_tokens: usize,
    /// The first message behind the model's last turn: what earlier requests have not carried.
    pub new_from: usize,
    /// The blocks that were looked at, in order.
    pub blocks: Vec<BlockReport>,
    /// Hidden exchanges that the ledger put back.
    pub restored: u32,
    /// Records that did not fit the conversation they were found for.
    pub unrestored: u32,
    /// Places where what was sent before is knowingly not repeated.
    pub declared_breaks: u32,
    /// Messages that left because the conversation would not have fitted, if any did.
    pub context: Option<ContextReport>,
    /// Which request this one continues; `None` if it was not rewritten.
    pub lineage: Option<Lineage>,
    /// What was done for the provider's cache.
    pub alignment: AlignReport,
    /// A step failed and the body went out as it came.
    pub failed_open: bool,
}

/// What became of dynamic values in the prefix: times, ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlignReport {
    /// Values found in the system prompt and leading developer messages, and in tool descriptions where
    /// the policy [keeps those steady](crate::Policy::steady_tools).
    pub found: u32,
    /// Those that were moved: all of them, or none.
    pub moved: u32,
    /// What only looks like one, and stays: whether it changes could be told only from other
    /// requests of the application.
    pub unsure: u32,
    /// What looks like one in tool definitions, and stays.
    pub in_tools: u32,
    /// The client's messages, from 0, behind which values are told: each in a message of its own, or, of
    /// Gemini and Converse, in a part of its own at the message's end.
    pub notes: Vec<usize>,
    /// Tool definitions went out as the conversation's first request wrote them, not as this one does.
    pub tools_restored: bool,
    /// Breakpoints that were set.
    pub breakpoints: u32,
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

/// What left a conversation that was too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContextReport {
    /// Messages that left.
    pub messages: usize,
    /// Their tokens, as they would have gone out.
    pub tokens: usize,
    /// The cut moved with this request: what stands behind it is not read from the cache.
    pub moved: bool,
    /// Even so the conversation is longer than it should be.
    pub too_long: bool,
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
    /// The tool that returned it; empty if unknown.
    pub tool: Arc<str>,
    /// The kind of content, where a specialist recognised it; of several the largest.
    pub kind: Option<&'static str>,
    /// How many parts it was routed as.
    pub parts: u32,
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

impl BlockReport {
    /// About how many tokens its markers take: ten of a handle's thirty digits, a third of the rest.
    #[must_use]
    pub fn marker_tokens(&self) -> usize {
        const HANDLE: usize = 31;
        let of = |hidden: &Hidden| match hidden.marker.len() {
            long if long > HANDLE + 10 => 11 + (long - HANDLE) / 3,
            short => short / 3,
        };
        self.hidden.iter().map(of).sum()
    }
}

/// Why a block, or a request, became what it became.
///
/// ```
/// use headroom_engine::Reason;
/// assert_eq!(Reason::Elided.name(), "elided");
/// assert!(Reason::Elided.replaced() && !Reason::Small.replaced());
/// ```
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
    /// The conversation began without the layer.
    NotOurs,
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
            Self::NotOurs => "not_ours",
        }
    }
}
