//! The rows.
//!
//! Sources: the providers' pages on prompt caching, preserved thinking, models and prices. A model
//! whose minimum is not published takes its predecessor's. Rows dated earlier rest on what was
//! published then; prices that no page of the provider states are left out.

use std::{borrow::Cow::Borrowed, sync::LazyLock};

use super::{Cliff, LongCache, Matching, Model, Price, Tokenizer};

const CHECKED: &str = "2026-11-22";
/// Superseded models, as last listed.
const OLDER: &str = "2026-03-31";

/// Bound to its prefix, or not.
const BOUND: bool = true;
const FREE: bool = false;

const MINUTES: u32 = 60;
const HOURS: u32 = 60 * MINUTES;

/// For models nobody listed: checks the prefix, since believing otherwise could break a request;
/// nothing is placed or moved for a cache that nobody promised.
pub(super) static UNKNOWN: Model = Model {
    stem: Borrowed(""),
    checks_prefix: true,
    window: None,
    price: None,
    cliff: None,
    matching: Matching::None,
    cache_minimum: 1024,
    cache_read: 0.1,
    cache_write: 1.25,
    cache_seconds: 5 * MINUTES,
    cache_long: None,
    tokenizer: Tokenizer::Unknown,
    as_of: Borrowed(CHECKED),
};

fn claude(stem: &'static str, checks_prefix: bool, cache_minimum: u32, cache_read: f64) -> Model {
    Model {
        stem: Borrowed(stem),
        checks_prefix,
        window: None,
        price: None,
        cliff: None,
        matching: Matching::Breakpoints { most: 4, lookback: 20 },
        cache_minimum,
        cache_read,
        cache_write: 1.25,
        cache_seconds: 5 * MINUTES,
        cache_long: Some(LongCache { seconds: HOURS, write: 2.0 }),
        tokenizer: Tokenizer::Claude,
        as_of: Borrowed(CHECKED),
    }
}

/// OpenAI before GPT-5.6: automatic, in memory, writes for nothing.
fn automatic(stem: &'static str, cache_read: f64) -> Model {
    Model {
        stem: Borrowed(stem),
        checks_prefix: FREE,
        window: None,
        price: None,
        cliff: None,
        matching: Matching::Automatic { step: 128 },
        cache_minimum: 1024,
        cache_read,
        cache_write: 1.0,
        cache_seconds: 5 * MINUTES,
        cache_long: None,
        tokenizer: Tokenizer::O200k,
        as_of: Borrowed(OLDER),
    }
}

/// OpenAI from GPT-5.6 on: exact, written at a price.
fn exact(stem: &'static str, cache_read: f64) -> Model {
    Model {
        matching: Matching::Exact { most: 4, lookback: 80 },
        cache_write: 1.25,
        cache_seconds: 30 * MINUTES,
        cache_long: Some(LongCache { seconds: 12 * HOURS, write: 2.5 }),
        as_of: Borrowed(CHECKED),
        ..automatic(stem, cache_read)
    }
}

/// Gemini from 2.5 on: implicit, best effort, writes for nothing; the discount is Vertex's.
fn implicit(stem: &'static str, cache_minimum: u32) -> Model {
    Model {
        matching: Matching::Automatic { step: 1 },
        cache_minimum,
        tokenizer: Tokenizer::Unknown,
        as_of: Borrowed("2026-10-13"),
        ..automatic(stem, 0.1)
    }
}

impl Model {
    fn window(self, tokens: u32) -> Self {
        Self { window: Some(tokens), ..self }
    }

    fn price(self, input: f64, output: f64) -> Self {
        Self { price: Some(Price { input, output }), ..self }
    }

    fn cliff(self, above: u32, times: f64) -> Self {
        Self { cliff: Some(Cliff { above, input: times, output: times }), ..self }
    }

    fn older(self) -> Self {
        Self { as_of: Borrowed(OLDER), ..self }
    }

    fn uncached(self) -> Self {
        Self { matching: Matching::None, tokenizer: Tokenizer::Cl100k, ..self }
    }
}

const MILLION: u32 = 1_000_000;

pub(super) static MODELS: LazyLock<Vec<Model>> = LazyLock::new(|| {
    vec![
        claude("claude-fable-5", FREE, 512, 0.1),
        claude("claude-fable-5-1", BOUND, 512, 0.025).window(MILLION).price(10.0, 50.0),
        claude("claude-fable-5-2", BOUND, 512, 0.025),
        claude("claude-mythos-5", FREE, 512, 0.1),
        claude("claude-mythos-5-1", BOUND, 512, 0.025),
        claude("claude-mythos-5-2", BOUND, 512, 0.025),
        claude("claude-mythos-preview", FREE, 2048, 0.1),
        claude("claude-opus-5", FREE, 512, 0.1).window(MILLION).price(5.0, 25.0),
        claude("claude-opus-5-5", BOUND, 512, 0.05).window(MILLION).price(4.0, 20.0),
        claude("claude-sonnet-5", FREE, 1024, 0.1),
        claude("claude-sonnet-5-5", BOUND, 1024, 0.05).window(MILLION).price(2.0, 10.0),
        claude("claude-haiku-5-5", BOUND, 1024, 0.1).window(MILLION).price(0.10, 0.50).cliff(100_000, 5.0),
        claude("claude-opus-4-8", FREE, 1024, 0.1),
        claude("claude-opus-4-7", FREE, 2048, 0.1),
        claude("claude-opus-4-6", FREE, 4096, 0.1),
        claude("claude-opus-4-5", FREE, 4096, 0.1).price(5.0, 25.0).older(),
        claude("claude-opus-4-1", FREE, 1024, 0.1).price(15.0, 75.0).older(),
        claude("claude-opus-4", FREE, 1024, 0.1).price(15.0, 75.0).older(),
        // A million with a beta header, at twice the price of the prompt beyond 200,000; the answer's
        // surcharge is half as much.
        claude_long("claude-sonnet-4-6"),
        claude_long("claude-sonnet-4-5"),
        claude_long("claude-sonnet-4"),
        claude("claude-haiku-4-5", FREE, 4096, 0.1).window(200_000).price(1.0, 5.0).older(),
        claude("claude-haiku-3-5", FREE, 2048, 0.1).window(200_000).price(0.8, 4.0).older(),
        claude("3-5-haiku", FREE, 2048, 0.1).window(200_000).price(0.8, 4.0).older(),
        claude("claude", FREE, 1024, 0.1),
        exact("gpt-5-6", 0.1),
        exact("gpt-6", 0.1),
        exact("gpt-6-1-sol", 0.05),
        automatic("gpt-5-5", 0.1),
        automatic("gpt-5-4", 0.1).window(MILLION).price(2.5, 15.0),
        automatic("gpt-5-4-mini", 0.1).window(MILLION).price(0.75, 4.5),
        automatic("gpt-5-4-nano", 0.1).window(MILLION).price(0.2, 1.25),
        automatic("gpt-5", 0.1).window(400_000).price(1.25, 10.0),
        automatic("gpt-5-mini", 0.1).window(400_000).price(0.25, 2.0),
        automatic("gpt-5-nano", 0.1).window(400_000).price(0.05, 0.4),
        automatic("gpt-4-1", 0.25).window(1_047_576).price(2.0, 8.0),
        automatic("gpt-4-1-mini", 0.25).window(1_047_576).price(0.4, 1.6),
        automatic("gpt-4-1-nano", 0.25).window(1_047_576).price(0.1, 0.4),
        automatic("gpt-4o", 0.5).window(128_000).price(2.5, 10.0),
        automatic("gpt-4o-mini", 0.5).window(128_000).price(0.15, 0.6),
        automatic("gpt-4", 1.0).uncached(),
        automatic("gpt-3-5", 1.0).uncached(),
        automatic("gpt", 0.1),
        automatic("o1", 0.5).window(200_000).price(15.0, 60.0),
        automatic("o3", 0.25).window(200_000).price(2.0, 8.0),
        automatic("o3-mini", 0.5).window(200_000).price(1.1, 4.4),
        automatic("o4-mini", 0.25).window(200_000).price(1.1, 4.4),
        implicit("gemini-2-5", 2048),
        implicit("gemini-3", 4096),
        implicit("gemini-4", 4096),
    ]
});

fn claude_long(stem: &'static str) -> Model {
    let row = claude(stem, FREE, 1024, 0.1).window(MILLION).price(3.0, 15.0).older();
    Model { cliff: Some(Cliff { above: 200_000, input: 2.0, output: 1.5 }), ..row }
}
