//! Parsers and writers under hostile input.
//!
//! A target is a function over bytes that panics where something is wrong, as cargo-fuzz wants it:
//!
//! ```text
//! fuzz_target!(|data: &[u8]| headroom_tests::fuzz::named("sse-anthropic").unwrap().run(data));
//! ```
//!
//! The test `fuzz` runs all of them on stable, over a small corpus and what a seeded mutator makes
//! of it, each for as long as the environment's `HEADROOM_FUZZ_SECONDS` says:
//! `HEADROOM_FUZZ_SECONDS=60 cargo test -p headroom-tests --test fuzz -- [TARGET…]`.

mod frames;
mod growth;
mod mutate;
mod streams;
mod texts;
mod wires;

use headroom_engine::Dialect;

pub use growth::{Growth, growth};
pub use mutate::Mutator;
pub use streams::{exchange, handle};

/// One thing to be fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    name: &'static str,
    run: fn(&[u8]),
    /// An input that is `times` as much.
    more: fn(&[u8], usize) -> Vec<u8>,
    corpus: &'static [&'static [u8]],
    /// The most bytes of an input that a mutation leaves.
    most: usize,
}

/// Bytes of an input, unless a target says otherwise.
const MOST: usize = 16 << 10;

macro_rules! corpus {
    ($($name:literal),* $(,)?) => { &[$(include_bytes!(concat!("corpus/", $name))),*] };
}

const EVENTS: &[&[u8]] = corpus![
    "sse/anthropic.txt",
    "sse/anthropic-mixed.txt",
    "sse/openai.txt",
    "sse/responses.txt",
    "sse/gemini.txt",
    "sse/odd.txt",
    "array/gemini.txt",
];
const ANSWERS: &[&[u8]] = corpus![
    "answer/anthropic.json",
    "answer/openai.json",
    "answer/responses.json",
    "answer/gemini.json",
    "answer/converse.json"
];
const BODIES: &[&[u8]] = corpus![
    "body/anthropic.json",
    "body/openai.json",
    "body/responses.json",
    "body/gemini.json",
    "body/converse.json"
];
/// A line a frame: see [`frames`].
const FRAMES: &[&[u8]] = corpus![
    "frames/anthropic.txt",
    "frames/anthropic-mixed.txt",
    "frames/converse.txt",
    "frames/converse-mixed.txt",
    "frames/odd.txt",
];
const TEXTS: &[&[u8]] = corpus![
    "text/log.txt",
    "text/rows.json",
    "text/search.txt",
    "text/diff.txt",
    "text/code.txt",
    "text/prose.txt",
    "text/table.txt",
    "text/page.html",
    "text/odd.txt",
];

const fn target(name: &'static str, run: fn(&[u8]), corpus: &'static [&'static [u8]]) -> Target {
    Target { name, run, more: growth::repeated, corpus, most: MOST }
}

impl Target {
    const fn grown(mut self, more: fn(&[u8], usize) -> Vec<u8>) -> Self {
        self.more = more;
        self
    }

    /// Of shorter inputs, where a run takes long: many short ones find more than few long ones.
    const fn up_to(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// The most bytes of an input.
    #[must_use]
    pub fn most(&self) -> usize {
        self.most
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs it over one input.
    ///
    /// # Panics
    /// If something is wrong.
    pub fn run(&self, data: &[u8]) {
        (self.run)(data);
    }

    /// What the mutator starts from.
    #[must_use]
    pub fn corpus(&self) -> Vec<Vec<u8>> {
        self.corpus.iter().map(|seed| streams::with_handle(seed)).collect()
    }
}

/// All of them.
#[rustfmt::skip]
pub const TARGETS: &[Target] = &[
    target("body-anthropic", |data| wires::body(Dialect::AnthropicMessages, data), BODIES).grown(wires::longer),
    target("body-openai", |data| wires::body(Dialect::OpenAiChat, data), BODIES).grown(wires::longer),
    target("body-responses", |data| wires::body(Dialect::OpenAiResponses, data), BODIES).grown(wires::longer),
    target("body-gemini", |data| wires::body(Dialect::Gemini, data), BODIES).grown(wires::longer),
    target("body-converse", |data| wires::body(Dialect::BedrockConverse, data), BODIES).grown(wires::longer),
    target("batch", wires::batch, corpus!["batch/two.json"]).grown(wires::longer),
    target("sse-anthropic", |data| streams::events(Dialect::AnthropicMessages, data), EVENTS),
    target("sse-openai", |data| streams::events(Dialect::OpenAiChat, data), EVENTS),
    target("sse-responses", |data| streams::events(Dialect::OpenAiResponses, data), EVENTS),
    target("sse-gemini", |data| streams::events(Dialect::Gemini, data), EVENTS),
    target("event-stream", frames::framer, FRAMES),
    target("frames-anthropic", |data| streams::framed(Dialect::AnthropicMessages, data), FRAMES),
    target("frames-converse", |data| streams::framed(Dialect::BedrockConverse, data), FRAMES),
    target("json-anthropic", |data| streams::answer(Dialect::AnthropicMessages, data), ANSWERS),
    target("json-openai", |data| streams::answer(Dialect::OpenAiChat, data), ANSWERS),
    target("json-responses", |data| streams::answer(Dialect::OpenAiResponses, data), ANSWERS),
    target("json-gemini", |data| streams::answer(Dialect::Gemini, data), ANSWERS),
    target("json-converse", |data| streams::answer(Dialect::BedrockConverse, data), ANSWERS),
    target("marker", texts::marker, corpus!["marker/some.txt", "marker/odd.txt"]),
    target("arguments", texts::arguments, corpus!["arguments/some.txt", "arguments/odd.txt"]),
    target("retrieval", texts::retrieval, TEXTS),
    target("specialists", texts::specialists, TEXTS).up_to(1 << 10),
    target("routed", texts::routed, TEXTS).up_to(1 << 10),
];

/// The one of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
