//! A prompt-cache simulator: what a session's input costs, in tokens at the base input price.
//!
//! Two views. [`Flat`] takes the whole previous prefix as cached (read 0.1, write 1.25).
//! [`Provider`] follows the provider's own rules of November 2026 from a dated table: minimum sizes,
//! breakpoints, look-back, steps. Every turn is taken to come within the entry's life time.

use std::collections::HashSet;

use crate::wire::Dialect;

/// A part of the prefix that is cached as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Of its text and everything else that decides equality.
    pub(crate) hash: u64,
    pub(crate) tokens: u64,
    pub(crate) breakpoint: bool,
    /// Position as Anthropic's look-back counts: a run of calls is one, a run of results is one.
    pub(crate) position: usize,
}

/// The price of reading cached tokens, over the base input price.
pub(crate) const READ: f64 = 0.1;
/// The price of writing them.
pub(crate) const WRITE: f64 = 1.25;
/// The price of an output token.
pub(crate) const OUTPUT: f64 = 5.0;

/// The whole previous prefix cached.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flat {
    before: Vec<Block>,
}

impl Flat {
    /// The cost of the session's next request.
    pub(crate) fn request(&mut self, blocks: &[Block]) -> f64 {
        let same = self.before.iter().zip(blocks).take_while(|(a, b)| a.hash == b.hash).count();
        let cost = READ * sum(&blocks[..same]) + WRITE * sum(&blocks[same..]);
        self.before = blocks.to_vec();
        cost
    }
}

fn sum(blocks: &[Block]) -> f64 {
    blocks.iter().map(|block| block.tokens).sum::<u64>() as f64
}

/// How a provider finds cached prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Matching {
    /// At breakpoints the client sets; entries up to `lookback` positions before each are found.
    Breakpoints { most: usize, lookback: usize },
    /// Automatic, any earlier prefix, in steps of so many tokens; writing is free.
    Steps(u64),
    /// Exactly at written breakpoints: one managed at the request's end and those of the client.
    Exact { most: usize },
    /// Not cached.
    None,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    stem: &'static str,
    minimum: u64,
    read: f64,
    write: f64,
    matching: Matching,
}

const ANTHROPIC: Matching = Matching::Breakpoints { most: 4, lookback: 20 };

const fn claude(stem: &'static str, minimum: u64, read: f64) -> Rule {
    Rule { stem, minimum, read, write: WRITE, matching: ANTHROPIC }
}

const fn automatic(stem: &'static str, read: f64) -> Rule {
    Rule { stem, minimum: 1024, read, write: 1.0, matching: Matching::Steps(128) }
}

const fn exact(stem: &'static str, read: f64) -> Rule {
    Rule { stem, minimum: 1024, read, write: WRITE, matching: Matching::Exact { most: 4 } }
}

/// Providers' rules as of November 2026; the first stem found in the model's name wins.
///
/// Anthropic: minimum prefixes and read prices by model (models not named in its page are taken at
/// the largest minimum). OpenAI: automatic caching up to GPT-5.5, exact breakpoints from GPT-5.6; its
/// read discounts before GPT-5 (0.5 for 4o and o1, 0.25 for 4.1) are those of its price list.
const RULES: &[Rule] = &[
    claude("opus-5-5", 512, 0.05),
    claude("opus-5", 512, 0.1),
    claude("fable-5-1", 512, 0.025),
    claude("fable-5-2", 4096, 0.025),
    claude("fable-5", 512, 0.1),
    claude("mythos-5-1", 512, 0.025),
    claude("mythos-5", 512, 0.1),
    claude("sonnet-5-5", 4096, 0.05),
    claude("sonnet-5", 1024, 0.1),
    claude("sonnet-4", 1024, 0.1),
    claude("opus-4-8", 1024, 0.1),
    claude("opus-4-7", 2048, 0.1),
    claude("opus-4-6", 4096, 0.1),
    claude("opus-4-5", 4096, 0.1),
    claude("opus-4", 1024, 0.1),
    claude("haiku-3-5", 2048, 0.1),
    claude("3-5-haiku", 2048, 0.1),
    claude("claude", 4096, 0.1),
    exact("gpt-6", 0.1),
    exact("gpt-5.6", 0.1),
    automatic("gpt-5", 0.1),
    automatic("gpt-4.1", 0.25),
    automatic("gpt-4o", 0.5),
    automatic("o1", 0.5),
    Rule { stem: "", minimum: 0, read: 1.0, write: 1.0, matching: Matching::None },
];

/// The provider's cache as one session sees it.
#[derive(Clone, Debug)]
pub(crate) struct Provider {
    rule: Rule,
    /// Hashes of the prefixes that earlier requests wrote.
    entries: HashSet<u64>,
}

impl Provider {
    pub(crate) fn new(model: &str, dialect: Dialect) -> Self {
        let model = if dialect == Dialect::Anthropic && !model.contains("claude") { "claude" } else { model };
        let found = RULES.iter().find(|rule| model.contains(rule.stem));
        Self { rule: *found.unwrap_or(&RULES[RULES.len() - 1]), entries: HashSet::new() }
    }

    /// The cost of the session's next request.
    ///
    /// A conversation in which the client never sets a breakpoint is priced with Anthropic's
    /// automatic one, on its last block.
    pub(crate) fn request(&mut self, blocks: &[Block]) -> f64 {
        let prefixes = prefixes(blocks);
        let big = |upto: usize| prefixes[upto].1 >= self.rule.minimum;
        let last = blocks.len();
        match self.rule.matching {
            Matching::None => prefixes[last].1 as f64,
            Matching::Steps(step) => {
                let seen = (1..=last).rev().find(|upto| self.entries.contains(&prefixes[*upto].0));
                let hit = seen.map_or(0, |upto| prefixes[upto].1 / step * step);
                let hit = if hit >= self.rule.minimum { hit } else { 0 };
                self.entries.extend(prefixes.iter().map(|(hash, _)| *hash));
                self.rule.read * hit as f64 + (prefixes[last].1 - hit) as f64
            }
            Matching::Breakpoints { most, lookback } => {
                let mut marks = marks(blocks, most);
                if marks.is_empty() {
                    marks.push(last);
                }
                let found = |mark: usize| {
                    let position = blocks[mark - 1].position;
                    (1..=mark)
                        .rev()
                        .take_while(|upto| blocks[*upto - 1].position + lookback > position)
                        .find(|upto| self.entries.contains(&prefixes[*upto].0))
                };
                let hit = marks.iter().filter_map(|mark| found(*mark)).max().unwrap_or(0);
                self.settle(&prefixes, hit, &marks, big(*marks.iter().max().unwrap_or(&0)))
            }
            Matching::Exact { most } => {
                let mut marks = marks(blocks, most - 1);
                marks.push(last);
                let known = (1..=last).rev().filter(|upto| self.entries.contains(&prefixes[*upto].0));
                let hit = known.max().unwrap_or(0);
                self.settle(&prefixes, hit, &marks, big(last))
            }
        }
    }

    /// Prices a hit up to block `hit`, writes up to the last mark, the rest at the base price.
    fn settle(&mut self, prefixes: &[(u64, u64)], hit: usize, marks: &[usize], writes: bool) -> f64 {
        let end = if writes { marks.iter().copied().max().unwrap_or(0).max(hit) } else { hit };
        let minimum = self.rule.minimum;
        self.entries.extend(
            marks
                .iter()
                .map(|mark| prefixes[*mark])
                .filter(|(_, tokens)| *tokens >= minimum)
                .map(|(hash, _)| hash),
        );
        let (read, written, all) = (prefixes[hit].1, prefixes[end].1, prefixes[prefixes.len() - 1].1);
        self.rule.read * read as f64 + self.rule.write * (written - read) as f64 + (all - written) as f64
    }
}

/// The hash and the tokens of the first `n` blocks, for every `n` from 0.
fn prefixes(blocks: &[Block]) -> Vec<(u64, u64)> {
    let mut all = vec![(0, 0)];
    let (mut hash, mut tokens) = (0u64, 0);
    for block in blocks {
        hash = (hash.rotate_left(5) ^ block.hash).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        tokens += block.tokens;
        all.push((hash, tokens));
    }
    all
}

/// The last `most` breakpoints, each as the number of blocks up to it.
fn marks(blocks: &[Block], most: usize) -> Vec<usize> {
    let marked = blocks.iter().enumerate().filter(|(_, block)| block.breakpoint).map(|(at, _)| at + 1);
    let all: Vec<usize> = marked.collect();
    all[all.len().saturating_sub(most)..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(spec: &[(u64, u64)]) -> Vec<Block> {
        let block = |(position, (hash, tokens)): (usize, &(u64, u64))| Block {
            hash: *hash,
            tokens: *tokens,
            breakpoint: false,
            position,
        };
        spec.iter().enumerate().map(block).collect()
    }

    #[test]
    fn flat_reads_what_is_equal_and_writes_the_rest() {
        let mut flat = Flat::default();
        assert_eq!(flat.request(&blocks(&[(1, 1000), (2, 200)])), 1500.0);
        assert_eq!(flat.request(&blocks(&[(1, 1000), (2, 200), (3, 40)])), 120.0 + 50.0);
        assert_eq!(flat.request(&blocks(&[(1, 1000), (9, 200), (3, 40)])), 100.0 + 300.0);
    }

    #[test]
    fn anthropic_caches_from_its_minimum_and_bills_the_tail_at_base_price() {
        let mut cache = Provider::new("claude-sonnet-4-5", Dialect::Anthropic);
        assert_eq!(cache.request(&blocks(&[(1, 1000)])), 1000.0, "below 1,024: a silent no-op");
        assert_eq!(
            cache.request(&blocks(&[(1, 1000), (2, 100)])),
            1100.0 * 1.25,
            "nothing was written before"
        );
        assert_eq!(cache.request(&blocks(&[(1, 1000), (2, 100), (3, 80)])), 110.0 + 100.0);
        let mut own = blocks(&[(1, 1000), (2, 100), (3, 80), (4, 60)]);
        own[1].breakpoint = true;
        assert_eq!(cache.request(&own), 110.0 + 140.0, "the client's own breakpoint is the only one");
    }

    #[test]
    fn anthropic_looks_back_twenty_positions() {
        let long = |count: u64| blocks(&(1..=count).map(|hash| (hash, 1000)).collect::<Vec<_>>());
        let mut cache = Provider::new("claude-sonnet-4-5", Dialect::Anthropic);
        cache.request(&long(10));
        assert_eq!(cache.clone().request(&long(29)), 1000.0 + 19.0 * 1250.0);
        assert_eq!(cache.request(&long(30)), 30.0 * 1250.0, "twenty positions further nothing is found");
    }

    #[test]
    fn openai_hits_in_steps_and_writes_for_nothing() {
        let mut cache = Provider::new("gpt-4o", Dialect::OpenAi);
        assert_eq!(cache.request(&blocks(&[(1, 1300)])), 1300.0);
        assert_eq!(cache.request(&blocks(&[(1, 1300), (2, 100)])), 1280.0 * 0.5 + 120.0);
        let mut small = Provider::new("gpt-4o", Dialect::OpenAi);
        small.request(&blocks(&[(1, 1000)]));
        assert_eq!(small.request(&blocks(&[(1, 1000), (2, 100)])), 1100.0);
    }

    #[test]
    fn gpt_5_6_matches_written_prefixes_exactly() {
        let mut cache = Provider::new("gpt-5.6", Dialect::OpenAi);
        assert_eq!(cache.request(&blocks(&[(1, 1000), (2, 200)])), 1500.0);
        assert_eq!(cache.request(&blocks(&[(1, 1000), (2, 200), (3, 40)])), 120.0 + 50.0);
        assert_eq!(
            cache.request(&blocks(&[(1, 1000), (9, 200)])),
            1500.0,
            "no fall-back to an unmarked prefix"
        );
    }

    #[test]
    fn unknown_models_are_not_cached() {
        assert_eq!(Provider::new("glm-4.6", Dialect::OpenAi).request(&blocks(&[(1, 9000)])), 9000.0);
    }
}
