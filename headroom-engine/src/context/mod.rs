//! IntelligentContext: what leaves a conversation that would not fit the model's window.
//!
//! Whole *units* leave: an assistant's calls and all of their results, never one without the other.
//! What stays: the system prompt, every message a person wrote, assistant text without calls, and
//! the last [`RECENT`] units. One marker, appended to the message before the first gap, redeems all
//! that left.
//!
//! The cut is a state machine over the conversation. At every place where a request ended, if what
//! is left is above the high-water mark, units leave, the least valuable for their size first, until
//! it is below the low-water mark; what has left stays out. So the cut is a pure function of the
//! conversation, a longer conversation repeats the cuts of a shorter one, and it moves rarely, in
//! large steps, each a declared break.

mod apply;
mod measure;
mod score;

pub(crate) use apply::{Cut, KIND, text_of};
pub(crate) use measure::{Counts, measure};

use std::ops::Range;

use score::Sign;

use crate::{
    catalogue::{Model, Tokenizer},
    policy::ContextPolicy,
};

/// Units that never leave: the newest ones, which the model is working with.
const RECENT: usize = 4;

/// Marks between which a conversation's size moves, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    high: usize,
    low: usize,
}

impl Marks {
    /// Marks for a prompt of at most `most` tokens. A cut goes down to five eighths, so that the
    /// prefix it changes is paid for by many turns.
    pub(crate) fn below(most: usize) -> Self {
        Self { high: most, low: most / 8 * 5 }
    }

    /// Whether a body of so many bytes fits, whatever its tokens: none is shorter than a byte.
    pub(crate) fn fits_bytes(self, bytes: usize) -> bool {
        bytes <= self.high
    }
}

/// Room left for the answer: an eighth of the window, up to this many tokens.
const ANSWER: usize = 32_000;

/// The most tokens a prompt may have; `None` if nothing limits it. With `binds`, thinking is bound to
/// what stands before it: only the window counts.
pub(crate) fn most(policy: ContextPolicy, model: &Model, binds: bool) -> Option<usize> {
    let window = model.window.map(|window| {
        let window = window as usize;
        let most = window - (window / 8).min(ANSWER);
        if model.tokenizer == Tokenizer::O200k { most } else { most / FOREIGN.1 * FOREIGN.0 }
    });
    match policy {
        ContextPolicy::Keep => None,
        ContextPolicy::Window => window,
        ContextPolicy::Tokens(_) if binds => window,
        ContextPolicy::Tokens(tokens) => Some(window.map_or(tokens, |window| tokens.min(window))),
    }
}

/// Other vocabularies than the one we count with take up to a quarter more tokens for the same text.
const FOREIGN: (usize, usize) = (4, 5);

/// A message, as far as the cut is concerned.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    /// Its tokens as it goes out.
    pub(crate) tokens: usize,
    /// An assistant's message: a request ended before it.
    pub(crate) assistant: bool,
}

/// A closed unit: an assistant's calls with all of their results.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    /// Its messages.
    pub(crate) messages: Range<usize>,
    pub(crate) sign: Sign,
}

/// What leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Messages, ascending.
    pub(crate) dropped: Vec<usize>,
    /// Messages in front of the last cut, which moved at this place.
    pub(crate) moved_at: usize,
    /// Tokens that leave.
    pub(crate) tokens: usize,
    /// Even so it is above the high-water mark.
    pub(crate) too_long: bool,
}

/// What leaves of `entries`, beside which `fixed` tokens of system prompt and tools are sent.
pub(crate) fn plan(entries: &[Entry], units: &[Unit], fixed: usize, marks: Marks) -> Plan {
    let mut plan = Plan::default();
    let mut out = vec![false; units.len()];
    let mut size = fixed;
    for at in 0..=entries.len() {
        let ends = at == entries.len() || entries[at].assistant;
        plan.too_long = ends && size > marks.high;
        if plan.too_long && cut(entries, units, &mut out, &mut size, at, marks) {
            plan.moved_at = at;
            plan.too_long = size > marks.high;
        }
        size += entries.get(at).map_or(0, |entry| entry.tokens);
    }
    for (unit, _) in units.iter().zip(&out).filter(|(_, out)| **out) {
        plan.tokens += weight(entries, unit);
        plan.dropped.extend(unit.messages.clone());
    }
    plan
}

/// Lets units before message `at` leave until `size` is below the low-water mark. Whether any did.
fn cut(
    entries: &[Entry],
    units: &[Unit],
    out: &mut [bool],
    size: &mut usize,
    at: usize,
    marks: Marks,
) -> bool {
    let closed = units.partition_point(|unit| unit.messages.end <= at);
    let old = closed.saturating_sub(RECENT);
    let values = score::values(&units[..closed]);
    let mut order: Vec<usize> = (0..old).filter(|unit| !out[*unit]).collect();
    let density = |unit: usize| values[unit] / weight(entries, &units[unit]).max(1) as f64;
    order.sort_by(|a, b| density(*a).total_cmp(&density(*b)).then(a.cmp(b)));
    let before = *size;
    for unit in order {
        if *size <= marks.low {
            break;
        }
        out[unit] = true;
        *size -= weight(entries, &units[unit]);
    }
    *size < before
}

fn weight(entries: &[Entry], unit: &Unit) -> usize {
    entries[unit.messages.clone()].iter().map(|entry| entry.tokens).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A task, then calls and results of the given sizes.
    fn conversation(sizes: &[usize]) -> (Vec<Entry>, Vec<Unit>) {
        let mut entries = vec![Entry { tokens: 10, assistant: false }];
        let mut units = Vec::new();
        for (at, tokens) in sizes.iter().enumerate() {
            units.push(Unit {
                messages: entries.len()..entries.len() + 2,
                sign: Sign { subjects: vec![format!("file{}", at % 3)], ..Sign::default() },
            });
            entries.push(Entry { tokens: 5, assistant: true });
            entries.push(Entry { tokens: *tokens, assistant: false });
        }
        (entries, units)
    }

    #[test]
    fn what_fits_stays() {
        let (entries, units) = conversation(&[100; 6]);
        assert_eq!(plan(&entries, &units, 50, Marks::below(1000)), Plan::default());
    }

    #[test]
    fn a_cut_goes_down_to_the_low_mark_and_keeps_what_is_recent() {
        let (entries, units) = conversation(&[100; 20]);
        let plan = plan(&entries, &units, 0, Marks::below(1000));
        let size: usize = entries.iter().map(|entry| entry.tokens).sum();
        assert!(size - plan.tokens <= 1000 && !plan.too_long);
        assert!(plan.dropped.iter().all(|message| (1..entries.len() - 2 * RECENT).contains(message)));
        assert!(plan.dropped.len().is_multiple_of(2));
    }

    #[test]
    fn what_cannot_fit_is_said() {
        let (entries, units) = conversation(&[5000; 3]);
        let plan = plan(&entries, &units, 0, Marks::below(1000));
        assert!(plan.too_long && plan.dropped.is_empty());
    }

    proptest! {
        #[test]
        fn a_longer_conversation_repeats_the_cuts_of_a_shorter_one(
            sizes in prop::collection::vec(1usize..400, 1..60),
            most in 300usize..3000,
        ) {
            let (entries, units) = conversation(&sizes);
            let mut before = Plan::default();
            let mut moves = 0;
            for upto in (1..=entries.len()).step_by(2) {
                let known = units.partition_point(|unit| unit.messages.end <= upto);
                let now = plan(&entries[..upto], &units[..known], 0, Marks::below(most));
                prop_assert!(before.dropped.iter().all(|message| now.dropped.contains(message)));
                if now.dropped != before.dropped {
                    moves += 1;
                    prop_assert_eq!(now.moved_at, upto);
                }
                let size: usize = entries[..upto].iter().map(|entry| entry.tokens).sum();
                prop_assert!(now.too_long || size - now.tokens <= most);
                before = now;
            }
            // Each move frees three eighths of the marks, or all there is.
            let total: usize = sizes.iter().sum::<usize>() + 5 * sizes.len();
            prop_assert!(moves <= 2 + total / (most / 8 * 3 / 2).max(1), "{} moves", moves);
        }
    }
}
