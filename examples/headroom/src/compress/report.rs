//! What was done, as JSON.

use headroom_engine::{BlockReport, ccr::Handle};
use serde::Serialize;

use super::work::Outcome;
use crate::why;

/// One input's report: `headroom compress --json`.
#[derive(Debug, Serialize)]
pub(crate) struct Json<'a> {
    file: Option<&'a str>,
    input: &'static str,
    bytes_in: usize,
    bytes_out: usize,
    /// Of the blocks that were replaced.
    tokens_in: usize,
    tokens_out: usize,
    tokens_saved: usize,
    /// Of the retrieval tool's definition; 0 if it is not listed.
    tool_tokens: usize,
    /// Why the request was not treated as the policy asks.
    limited: Option<&'static str>,
    failed_open: bool,
    handles: Vec<String>,
    blocks: Vec<Block<'a>>,
}

#[derive(Debug, Serialize)]
struct Block<'a> {
    message: usize,
    block: usize,
    part: usize,
    tool: &'a str,
    kind: Option<&'static str>,
    outcome: &'static str,
    why: &'static str,
    tokens_in: usize,
    tokens_out: usize,
    tokens_exact: usize,
    hidden: Vec<Hidden>,
}

#[derive(Debug, Serialize)]
struct Hidden {
    handle: String,
    /// Of the block's text: the part that is not visible.
    from_byte: usize,
    to_byte: usize,
}

impl<'a> Json<'a> {
    pub(crate) fn new(file: Option<&'a str>, bytes_in: usize, outcome: &'a Outcome) -> Self {
        let report = &outcome.report;
        Self {
            file,
            input: outcome.input.name(),
            bytes_in,
            bytes_out: outcome.body.len(),
            tokens_in: report.tokens_in(),
            tokens_out: report.tokens_out(),
            tokens_saved: report.tokens_saved(),
            tool_tokens: report.tool_tokens,
            limited: report.limited.map(headroom_engine::Reason::name),
            failed_open: report.failed_open,
            handles: outcome.originals.handles().iter().map(Handle::to_string).collect(),
            blocks: report.blocks.iter().map(Block::new).collect(),
        }
    }

    /// One line.
    pub(crate) fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl<'a> Block<'a> {
    fn new(block: &'a BlockReport) -> Self {
        let hidden = block.hidden.iter().map(|hidden| Hidden {
            handle: hidden.handle.to_string(),
            from_byte: hidden.range.start,
            to_byte: hidden.range.end,
        });
        Self {
            message: block.message,
            block: block.block,
            part: block.part,
            tool: &block.tool,
            kind: block.kind,
            outcome: block.reason.name(),
            why: why::block(block.reason),
            tokens_in: block.tokens_in,
            tokens_out: block.tokens_out,
            tokens_exact: block.tokens_exact,
            hidden: hidden.collect(),
        }
    }
}
