//! What was done to a request, as JSON: counts and reasons, never content.

use headroom_tower::{BlockReport, RewriteReport};
use serde_json::{Value, json};

/// The report of a rewrite.
pub(crate) fn report(report: &RewriteReport) -> Value {
    json!({
        "tokens_before": report.tokens_in(),
        "tokens_after": report.tokens_out(),
        "tokens_saved": report.tokens_saved(),
        "tool_listed": report.tool_listed,
        "limited": report.limited.map(|reason| reason.name()),
        "blocks": report.blocks.iter().map(block).collect::<Vec<_>>(),
    })
}

fn block(block: &BlockReport) -> Value {
    json!({
        "message": block.message,
        "block": block.block,
        "part": block.part,
        "tool": &*block.tool,
        "kind": block.kind,
        "became": block.reason.name(),
        "tokens_before": block.tokens_in,
        "tokens_after": block.tokens_out,
        "handles": block.hidden.iter().map(|hidden| hidden.handle.to_string()).collect::<Vec<_>>(),
    })
}
