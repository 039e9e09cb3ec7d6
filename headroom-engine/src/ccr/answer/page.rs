//! Which units go into one answer, and what stands between them.

use std::{collections::HashMap, fmt::Write as _, ops::Range};

use super::{
    FLOOR, clamp, cues, search,
    units::{Piece, Units, ceil, floor},
};
use crate::{
    ccr::{Handle, Unit},
    tokens::TokenCounter,
};

/// Tokens that a line saying where a part lies costs, about.
const GAP: usize = 10;
/// How many of an original's units around a hit are shown with it.
const CONTEXT: usize = 2;
/// How many units behind one of the best hits are shown where there is room.
const BODY: usize = 24;

/// Whether `text` has at most `budget` tokens; counts only where length does not tell.
pub(super) fn fits(text: &str, budget: usize, counter: &dyn TokenCounter) -> bool {
    text.len() <= budget || (text.len() / 64 <= budget && counter.count(text) <= budget)
}

/// The bytes from `first` to `last`, from 1, widened to whole characters.
pub(super) fn bytes(
    original: &str,
    handle: Handle,
    first: usize,
    last: usize,
    budget: usize,
    counter: &dyn TokenCounter,
) -> String {
    let wanted = clamp(first, last, original.len());
    let wanted = floor(original, wanted.start)..ceil(original, wanted.end);
    let end = wanted.start + prefix(&original[wanted.clone()], budget, counter);
    let mut out = format!("#{handle}: bytes {}-{end} of {}", wanted.start + 1, original.len());
    if end < wanted.end {
        let _ = write!(out, "; next: range \"bytes {}-{}\"", end + 1, wanted.end);
    }
    out.push('\n');
    out.push_str(&original[wanted.start..end]);
    out
}

/// How many bytes of the start of `text`, at least one character, have at most `budget` tokens.
fn prefix(text: &str, budget: usize, counter: &dyn TokenCounter) -> usize {
    if fits(text, budget, counter) {
        return text.len();
    }
    // Bytes double until too long, then halve the gap: the text counted stays within a small
    // multiple of what is returned.
    let (mut low, mut high) = (0, budget.min(text.len()));
    while high < text.len() && counter.count(&text[..floor(text, high)]) <= budget {
        low = high;
        high = (high * 2).min(text.len());
    }
    while high - low > 16 {
        let middle = low + (high - low) / 2;
        if counter.count(&text[..floor(text, middle)]) <= budget {
            low = middle;
        } else {
            high = middle;
        }
    }
    floor(text, low).max(ceil(text, 1))
}

/// One answer in the making.
pub(super) struct Page<'a> {
    pub(super) units: &'a Units<'a>,
    pub(super) handle: Handle,
    pub(super) budget: usize,
    pub(super) counter: &'a dyn TokenCounter,
}

impl Page<'_> {
    /// The first units of `within` that fit, and where to go on.
    pub(super) fn range(&self, within: Range<usize>, asked: Option<(usize, usize)>) -> String {
        let units = self.units;
        let slice = units.slice(within.start, within.end - 1);
        let beyond = asked.filter(|(first, last)| (*first).min(*last) > units.len());
        let mut out = format!("#{}: ", self.handle);
        if beyond.is_some() {
            let _ = write!(out, "there are only {}; ", units.amount());
        }
        if fits(slice, self.budget, self.counter) {
            let label = units.label(within.start, within.end - 1);
            let _ = write!(out, "{label} of {}\n{slice}", units.len());
            return out;
        }
        let end = within.start + self.head(within.clone(), self.budget);
        if end == within.start {
            // Not even one unit fits.
            let span = units.spans[within.start].clone();
            let kept = prefix(&units.text[span.clone()], self.budget, self.counter);
            let label = units.label(within.start, within.start);
            let _ = write!(
                out,
                "the start of {label} of {}; next: range \"bytes {}-{}\"\n{}",
                units.len(),
                span.start + kept + 1,
                units.spans[within.end - 1].end,
                &units.text[span.start..span.start + kept],
            );
            return out;
        }
        let label = units.label(within.start, end - 1);
        let _ = write!(
            out,
            "{label} of {}; next: range \"{}\"\n{}",
            units.len(),
            units.label(end, within.end - 1),
            units.slice(within.start, end - 1)
        );
        out
    }

    /// How many units from the start of `within` fit into `budget`.
    fn head(&self, within: Range<usize>, budget: usize) -> usize {
        self.fitting(within, budget, false)
    }

    fn fitting(&self, within: Range<usize>, budget: usize, back: bool) -> usize {
        let mut left = budget;
        let mut count = 0;
        for step in 0..within.len() {
            let at = if back { within.end - 1 - step } else { within.start + step };
            let Some(rest) =
                self.cost(self.units.spans[at].clone(), left).and_then(|cost| left.checked_sub(cost))
            else {
                break;
            };
            left = rest;
            count += 1;
        }
        count
    }

    /// The tokens of a span and its line end, `None` if certainly more than `most`.
    fn cost(&self, span: Range<usize>, most: usize) -> Option<usize> {
        (span.len() / 64 <= most).then(|| self.counter.count(&self.units.text[span]) + 1)
    }

    /// The start and the end of an original that does not fit.
    pub(super) fn ends(&self) -> String {
        let units = self.units;
        let tail_budget = self.budget / 4;
        let head = self.head(0..units.len(), self.budget - tail_budget - GAP);
        // Blank lines alone are no answer.
        if head == 0 || units.len() == 1 || units.slice(0, head - 1).trim().is_empty() {
            return self.long(&format!("too long, here are its start and end; {}", self.how()));
        }
        let tail = self.fitting(head..units.len(), tail_budget, true);
        let mut out = format!(
            "#{}: {} are too long for one answer, here are the first and last; {}\n{}",
            self.handle,
            units.amount(),
            self.how(),
            units.slice(0, head - 1),
        );
        if tail > 0 {
            let label = units.label(units.len() - tail, units.len() - 1);
            let _ = write!(out, "\n-- {label} --\n{}", units.slice(units.len() - tail, units.len() - 1));
        }
        out
    }

    /// The first and the last bytes.
    fn long(&self, note: &str) -> String {
        let text = self.units.text;
        let kept = prefix(text, self.budget * 3 / 4, self.counter);
        let mut out = format!("#{}: {}: {note}\n{}", self.handle, self.units.amount(), &text[..kept]);
        let rest = &text[kept..];
        // A byte is at most one token for byte-level vocabularies.
        let tail = ceil(rest, rest.len().saturating_sub(self.budget / 4 - GAP.min(self.budget / 4)));
        if tail < rest.len() {
            let _ = write!(out, "\n-- bytes {}-{} --\n{}", kept + tail + 1, text.len(), &rest[tail..]);
        }
        out
    }

    fn how(&self) -> &'static str {
        match (self.units.unit, self.units.len()) {
            (_, 1) => "more: query, or range \"bytes 1000-9000\"",
            (Unit::Items, _) => "more: range in items, e.g. \"20-40\", or query",
            _ => "more: range in lines, e.g. \"200-300\", or query",
        }
    }

    /// The pieces that answer `query`, in source order.
    pub(super) fn search(&self, query: &str, within: Range<usize>) -> String {
        let units = self.units;
        let pieces = units.pieces(within.clone(), self.budget * 2);
        let scores = search::scores(units.text, &pieces, query);
        let mut order: Vec<usize> = (0..pieces.len()).filter(|at| scores[*at] > 0.0).collect();
        let shown: String = query[..floor(query, 60)].chars().filter(|c| !c.is_control()).collect();
        if order.is_empty() {
            let mut page = String::new();
            let head = self.head(within.clone(), (self.budget / 4).max(FLOOR));
            let _ = write!(
                page,
                "#{}: nothing in {} of {} matches \"{shown}\"; ",
                self.handle,
                units.label(within.start, within.end - 1),
                units.len()
            );
            if head == 0 {
                let span = units.spans[within.start].clone();
                let kept = prefix(&units.text[span.clone()], (self.budget / 4).max(FLOOR), self.counter);
                let _ = write!(page, "it starts like this\n{}", &units.text[span.start..span.start + kept]);
            } else {
                let _ = write!(
                    page,
                    "here is {}; try other words or a range\n{}",
                    units.label(within.start, within.start + head - 1),
                    units.slice(within.start, within.start + head - 1)
                );
            }
            return page;
        }
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
        let (alone, same) = (cues::wants_alone(query), if cues::wants_variety(query) { 1 } else { 3 });
        let (picked, complete) = self.pick(&pieces, &order, alone, same);
        let mut out = format!(
            "#{}: {} matches in {} for \"{shown}\", {}",
            self.handle,
            order.len(),
            units.amount(),
            if complete {
                "all here with their surroundings"
            } else {
                "the best here; more: range or a narrower query"
            },
        );
        if picked.is_empty() {
            // Not even the best fits.
            let span = pieces[order[0]].span.clone();
            let kept = prefix(&units.text[span.clone()], self.budget.saturating_sub(GAP), self.counter);
            let end = span.start + kept;
            let _ = write!(out, "\n-- bytes {}-{end} --\n{}", span.start + 1, &units.text[span.start..end]);
        }
        let mut at = 0;
        while at < picked.len() {
            let start = at;
            while at + 1 < picked.len() && picked[at + 1] == picked[at] + 1 {
                at += 1;
            }
            let (first, last) = (&pieces[picked[start]], &pieces[picked[at]]);
            let label = if first.whole && last.whole {
                units.label(first.unit, last.unit)
            } else {
                let label = units.label(first.unit, last.unit);
                format!("in {label}, bytes {}-{}", first.span.start + 1, last.span.end)
            };
            let _ = write!(out, "\n-- {label} --\n{}", &units.text[first.span.start..last.span.end]);
            at += 1;
        }
        out
    }

    /// Which pieces to show, best first until the budget is used: at most `same` of each
    /// template, their surroundings unless `alone`, then the rest. Also whether all of `order` are among them.
    fn pick(&self, pieces: &[Piece], order: &[usize], alone: bool, same: u32) -> (Vec<usize>, bool) {
        let mut taken = vec![false; pieces.len()];
        let mut left = self.budget;
        let mut take = |at: usize, left: &mut usize| {
            if taken[at] {
                return true;
            }
            let near = (at > 0 && taken[at - 1]) || taken.get(at + 1) == Some(&true);
            let gap = if near {
                0
            } else if pieces[at].whole {
                GAP
            } else {
                2 * GAP
            };
            let room = left.saturating_sub(gap);
            let cost = self.cost(pieces[at].span.clone(), room).filter(|cost| *cost <= room);
            if let Some(cost) = cost {
                taken[at] = true;
                *left = room - cost;
            }
            cost.is_some()
        };
        let mut seen: HashMap<u64, u32> = HashMap::new();
        let mut later = Vec::new();
        let mut complete = true;
        let mut misses = 0;
        let mut first = Vec::new();
        for &at in order {
            let count = seen.entry(search::template(&self.units.text[pieces[at].span.clone()])).or_insert(0);
            *count += 1;
            if *count > same {
                later.push(at);
            } else {
                first.push(at);
            }
        }
        // A quarter is kept for surroundings and for more of the same.
        let reserve = if alone { 0 } else { self.budget / 4 };
        left -= reserve;
        let mut hits = Vec::new();
        for &at in &first {
            if take(at, &mut left) {
                hits.push(at);
            } else {
                complete = false;
                misses += 1;
                if misses > 64 || left < GAP {
                    break;
                }
            }
        }
        left += reserve;
        for &at in hits.iter().take(if alone { 0 } else { 64 }) {
            let from = at.saturating_sub(CONTEXT);
            for near in (from..at).rev().chain(at + 1..(at + 1 + CONTEXT).min(pieces.len())) {
                take(near, &mut left);
            }
        }
        // With much room left, what follows the best hits: the body behind a signature.
        for &at in hits.iter().take(if alone { 0 } else { 4 }) {
            for next in at + 1..(at + 1 + BODY).min(pieces.len()) {
                if left < self.budget / 2 || !take(next, &mut left) {
                    break;
                }
            }
        }
        misses = 0;
        for &at in first.iter().chain(&later) {
            if misses > 64 || left < GAP {
                complete = false;
                break;
            }
            if !take(at, &mut left) {
                complete = false;
                misses += 1;
            }
        }
        let picked: Vec<usize> = (0..pieces.len()).filter(|at| taken[*at]).collect();
        let complete = complete && order.iter().all(|at| taken[*at]);
        (picked, complete)
    }
}
