//! The prompt cache: an exact prefix that was sent before is cheaper.
//!
//! Anthropic writes at breakpoints (`cache_control` on a block, or at the top level for the last
//! block) and looks back 20 positions from each. OpenAI caches every prefix from 1,024 tokens on, in
//! steps of 128. Here both match at the ends of blocks and messages, never inside one.

use std::collections::HashSet;

use headroom_engine::catalogue::model;
use serde_json::Value;

use super::{prefix::Prefix, received::Usage};
use crate::Dialect;

const LOOKBACK: usize = 20;
const OPENAI_MINIMUM: usize = 1_024;
const OPENAI_STEP: usize = 128;
const GEMINI_MINIMUM: usize = 4_096;

/// Everything written so far.
#[derive(Debug, Default)]
pub(super) struct Cache(HashSet<[u8; 32]>);

impl Cache {
    /// Prices a request and remembers it.
    pub(super) fn price(&mut self, dialect: Dialect, body: &Value, prefix: &Prefix) -> Usage {
        match dialect {
            Dialect::Anthropic | Dialect::Converse => self.anthropic(body, prefix),
            Dialect::OpenAi | Dialect::Responses => self.automatic(prefix, OPENAI_MINIMUM, OPENAI_STEP),
            Dialect::Gemini => self.automatic(prefix, GEMINI_MINIMUM, 1),
        }
    }

    fn anthropic(&mut self, body: &Value, prefix: &Prefix) -> Usage {
        let total = prefix.total();
        let items = prefix.items();
        let mut breakpoints: Vec<usize> = (0..items.len()).filter(|&at| items[at].breakpoint).collect();
        if body.get("cache_control").is_some_and(|control| !control.is_null()) {
            breakpoints.extend((0..items.len()).rev().find(|&at| items[at].kind != "thinking"));
        }
        let minimum = model(body["model"].as_str().unwrap_or_default()).cache_minimum as usize;
        breakpoints.sort_unstable();
        breakpoints.retain(|&at| prefix.tokens(at + 1) >= minimum);
        let found = breakpoints.iter().filter_map(|&at| self.look_back(prefix, at)).max();
        let cache_read = found.map_or(0, |at| prefix.tokens(at + 1));
        let end = breakpoints.last().map_or(0, |&at| prefix.tokens(at + 1));
        self.0.extend(breakpoints.iter().map(|&at| prefix.hashes()[at]));
        Usage { total, cache_read, cache_write: end.saturating_sub(cache_read), output: 0 }
    }

    /// The last item at or before `from` that an earlier request wrote at.
    fn look_back(&self, prefix: &Prefix, from: usize) -> Option<usize> {
        let mut positions = 0;
        let mut run = "";
        for at in (0..=from).rev() {
            let kind = prefix.items()[at].kind.as_str();
            // A run of calls, or of results, is one position.
            if !(matches!(kind, "tool_use" | "tool_result") && kind == run) {
                positions += 1;
            }
            if positions > LOOKBACK {
                break;
            }
            if self.0.contains(&prefix.hashes()[at]) {
                return Some(at);
            }
            run = kind;
        }
        None
    }

    fn automatic(&mut self, prefix: &Prefix, minimum: usize, step: usize) -> Usage {
        let total = prefix.total();
        let known = prefix.hashes().iter().take_while(|hash| self.0.contains(*hash)).count();
        let read = prefix.tokens(known);
        self.0.extend(prefix.hashes());
        let cache_read = if read < minimum { 0 } else { read / step * step };
        Usage { total, cache_read, cache_write: 0, output: 0 }
    }
}
