//! One text as the result of a tool, treated by the engine.

use std::ops::Range;

use headroom_engine::{
    Dialect, Engine, Policy, RequestContext,
    ccr::{Handle, answer},
    reduce::Hidden,
    tokens::O200k,
};
use serde_json::json;

use crate::wire::{self, Body};

/// The tool that every file of a corpus is a result of.
pub(crate) const TOOL: &str = "read_file";

/// The most tokens a retrieval returns: the policy's default.
pub(crate) const ANSWER_TOKENS: usize = 8000;

/// What became of a text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Treated {
    /// What the model reads.
    pub(crate) output: String,
    pub(crate) hidden: Vec<Hidden>,
    /// What the handle of each hidden range gives back.
    pub(crate) originals: Vec<Option<String>>,
}

impl Treated {
    /// The elided ranges whose handles redeem, with the handle; touching ones as one.
    pub(crate) fn redeemable(&self, source: &str) -> Vec<(Handle, Range<usize>)> {
        let both = self.hidden.iter().zip(&self.originals);
        let good = both.filter(|(hidden, original)| redeems(source, hidden, original.as_deref()));
        let mut out: Vec<(Handle, Range<usize>)> = Vec::new();
        for (hidden, _) in good {
            match out.last_mut() {
                Some((handle, last)) if *handle == hidden.handle && last.end == hidden.range.start => {
                    last.end = hidden.range.end;
                }
                _ => out.push((hidden.handle, hidden.range.clone())),
            }
        }
        out
    }

    /// Elided ranges whose handles do not redeem.
    pub(crate) fn unredeemable(&self, source: &str) -> usize {
        let both = self.hidden.iter().zip(&self.originals);
        both.filter(|(hidden, original)| !redeems(source, hidden, original.as_deref())).count()
    }

    /// What one call with `handle` and `query` returns.
    pub(crate) fn answer(&self, handle: Handle, query: &str) -> String {
        let place = self.hidden.iter().position(|hidden| hidden.handle == handle);
        let original = place.and_then(|at| self.originals.get(at)?.as_deref()).unwrap_or_default();
        let request = answer::Request::new(handle, ANSWER_TOKENS).query(query);
        answer(original, &request, &O200k)
    }
}

/// Whether a handle gave back exactly the original that the report names, and it holds the range.
pub(crate) fn redeems(source: &str, hidden: &Hidden, original: Option<&str>) -> bool {
    original.is_some()
        && original == source.get(hidden.original.clone())
        && hidden.original.start <= hidden.range.start
        && hidden.range.end <= hidden.original.end
}

/// Treats `source` as the result of a call of [`TOOL`] behind the user's `query`. A body that cannot
/// be read leaves the text as it was.
pub(crate) fn treat(engine: &Engine, source: &str, path: &str, query: &str, policy: &Policy) -> Treated {
    let untouched = Treated { output: source.to_owned(), ..Treated::default() };
    let body = request(source, path, query);
    let context = RequestContext::new(Dialect::AnthropicMessages);
    let Ok(scanned) = engine.scan(body.into(), &context) else { return untouched };
    let rewrite = scanned.rewrite(policy, &[]);
    let read = std::str::from_utf8(&rewrite.body).ok();
    let read = read.and_then(|body| Body::read(body, wire::Dialect::Anthropic));
    let Some(output) = read.and_then(|body| body.results().last().map(|piece| piece.text.clone())) else {
        return Treated::default();
    };
    let hidden: Vec<Hidden> = rewrite.report.blocks.into_iter().flat_map(|block| block.hidden).collect();
    let listed = rewrite.report.tool_listed;
    let redeem = |hidden: &Hidden| listed.then(|| rewrite.originals.get(hidden.handle)).flatten();
    Treated { output, originals: hidden.iter().map(redeem).collect(), hidden }
}

fn request(text: &str, path: &str, query: &str) -> Vec<u8> {
    let schema = json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]});
    let body = json!({
        "model": "claude-sonnet-4-5",
        "max_tokens": 1024,
        "tools": [{"name": TOOL, "description": "Reads a file.", "input_schema": schema}],
        "messages": [
            {"role": "user", "content": query},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": TOOL, "input": {"path": path}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": text}]},
        ],
    });
    body.to_string().into_bytes()
}
