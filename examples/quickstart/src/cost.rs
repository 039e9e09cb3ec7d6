//! What tokens cost.

use headroom_engine::catalogue;
use headroom_tests::{Dialect, client::Billed};

/// US dollars for a million tokens.
struct Price {
    input: f64,
    output: f64,
}

/// List prices of Claude Opus 4.5 and GPT-5, taken on 2026-11-22 for the whole family: the ratio of
/// the two columns does not depend on them.
const ANTHROPIC: Price = Price { input: 5.0, output: 25.0 };
const OPENAI: Price = Price { input: 1.25, output: 10.0 };

/// Dollars for what was billed, by the price of the dialect's family and the model's cache rules.
pub(crate) fn dollars(dialect: Dialect, model: &str, billed: Billed) -> f64 {
    let price = match dialect {
        Dialect::Anthropic => ANTHROPIC,
        _ => OPENAI,
    };
    let rules = catalogue::model(model);
    let tokens = |count: u64| count as f64;
    let input = tokens(billed.uncached)
        + tokens(billed.cache_read) * rules.cache_read
        + tokens(billed.cache_write) * rules.cache_write;
    (input * price.input + tokens(billed.output) * price.output) / 1e6
}
