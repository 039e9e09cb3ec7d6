//! What stays visible when a log is elided.

use std::ops::Range;

use super::{
    blocks::{continuations, thin, tracebacks},
    line::{Line, Log, Marks, mix},
    template::{ByHash, Count, count},
};
use crate::{
    rank::{Bm25, Query},
    reduce::Context,
};

/// Lines kept at both ends.
const ENDS: usize = 5;
/// About the tokens of a marker without a handle, and what a gap between kept lines must cost to be
/// worth one.
const GAP: usize = 16;
/// Fewer tokens than these hidden in all are not worth a round trip.
const WORTH: usize = 250;

/// The runs of lines to leave out, in order; empty if that is not worth it.
pub(super) fn hidden(log: &Log<'_>, context: &Context<'_>) -> Vec<Range<usize>> {
    let total: usize = log.lines().iter().map(|line| usize::from(line.cost)).sum();
    if total < WORTH || log.len() < 3 * ENDS {
        return Vec::new();
    }
    let mut selection = Selection::new(log, total);
    selection.ends();
    selection.tracebacks();
    selection.errors(context.is_error);
    selection.summaries();
    selection.warnings();
    selection.rare();
    selection.asked(context.query);
    let hidden = selection.gaps();
    let cost: usize = hidden.iter().cloned().flatten().map(|at| usize::from(log.line(at).cost)).sum();
    if cost < WORTH.max(total / 8) { Vec::new() } else { hidden }
}

/// The most lines kept for the causal query.
const MOST_ASKED: usize = 40;

struct Selection<'l, 'a> {
    log: &'l Log<'a>,
    total: usize,
    keep: Vec<bool>,
    /// Lines that a traceback accounts for.
    traced: Vec<bool>,
    literals: ByHash<Count>,
    ends: Vec<u32>,
}

impl<'l, 'a> Selection<'l, 'a> {
    fn new(log: &'l Log<'a>, total: usize) -> Self {
        Self {
            log,
            total,
            keep: vec![false; log.len()],
            traced: vec![false; log.len()],
            literals: count(log.lines().iter().map(key).enumerate()),
            ends: continuations(log),
        }
    }

    fn ends(&mut self) {
        let len = self.log.len();
        self.keep[..ENDS].fill(true);
        self.keep[len - ENDS..].fill(true);
    }

    fn cost(&self, at: usize) -> usize {
        usize::from(self.log.line(at).cost)
    }

    fn is_end(&self, at: usize) -> bool {
        self.literals
            .get(&key(self.log.line(at)))
            .is_none_or(|count| count.first as usize == at || count.last as usize == at)
    }

    /// Tracebacks whose exception is new, and the last of each kind.
    fn tracebacks(&mut self) {
        let found = tracebacks(self.log);
        let kinds = count(found.iter().map(|trace| key(self.log.line(trace.exception))).enumerate());
        for (number, trace) in found.iter().enumerate() {
            self.traced[trace.lines.clone()].fill(true);
            let kind = &kinds[&key(self.log.line(trace.exception))];
            if kind.first as usize == number || kind.last as usize == number {
                for at in trace.thinned() {
                    self.keep[at] = true;
                }
            }
            // An exception is kept like any other error.
            self.traced[trace.exception] = false;
        }
    }

    /// Every distinct error, first and last, with what belongs to it; all of them if they are few.
    fn errors(&mut self, all: bool) {
        let errors: Vec<usize> = (0..self.log.len())
            .filter(|at| self.log.line(*at).marks.has(Marks::ERROR) && (all || !self.traced[*at]))
            .collect();
        let cost: usize = errors.iter().map(|at| self.cost(*at)).sum();
        let all = all || cost * 20 <= self.total;
        let chosen: Vec<usize> = errors.into_iter().filter(|at| all || self.is_end(*at)).collect();
        let (before, after) = match chosen.len() {
            0..=30 => (1, 2),
            31..=100 => (0, 1),
            _ => (0, 0),
        };
        for at in chosen {
            let end = self.ends[at + 1] as usize;
            for line in thin(at..end) {
                self.keep[line] = true;
            }
            let panicked = memchr::memmem::find(self.log.text(at).as_bytes(), b"panic").is_some();
            let after = if panicked { 3 } else { after };
            let around = at.saturating_sub(before)..(end + after).min(self.log.len());
            self.keep[around.start..at].fill(true);
            if end == at + 1 {
                self.keep[end..around.end].fill(true);
            }
        }
    }

    fn summaries(&mut self) {
        for at in 0..self.log.len() {
            if self.log.line(at).marks.has(Marks::SUMMARY) && self.is_end(at) {
                self.keep[at] = true;
            }
        }
    }

    /// Distinct warnings, the rarest first, while they cost little.
    fn warnings(&mut self) {
        let rare = |selection: &Self, most: u32| -> Vec<usize> {
            (0..selection.log.len())
                .filter(|at| {
                    let line = selection.log.line(*at);
                    line.marks.has(Marks::WARN)
                        && !selection.keep[*at]
                        && selection
                            .literals
                            .get(&key(line))
                            .is_some_and(|count| count.count <= most && count.first as usize == *at)
                })
                .collect()
        };
        let once = rare(self, 2);
        self.within(&once, (self.total / 12).max(300));
        let first = rare(self, u32::MAX);
        self.within(&first, (self.total / 24).max(150));
    }

    /// Lines of a shape seen once or twice, unless most are.
    fn rare(&mut self) {
        let shapes = count(self.log.lines().iter().map(|line| line.shape).enumerate());
        let rare: Vec<usize> = (0..self.log.len())
            .filter(|at| {
                let line = self.log.line(*at);
                let few = shapes.get(&line.shape).is_some_and(|count| count.count <= 2);
                few && !self.keep[*at] && !self.traced[*at] && !line.marks.has(Marks::BLANK)
            })
            .collect();
        if rare.len() * 4 <= self.log.len() {
            self.within(&rare, self.total / 24);
        }
    }

    /// Keeps lines, in order, until they cost more than `budget`.
    fn within(&mut self, lines: &[usize], mut budget: usize) {
        for at in lines {
            let cost = self.cost(*at);
            if cost > budget {
                continue;
            }
            budget -= cost;
            self.keep[*at] = true;
        }
    }

    /// What the causal query asks for: the lines that hold its rare terms.
    fn asked(&mut self, query: &Query) {
        let mentioned = mentioned(self.log, query);
        if !mentioned.contains(&true) {
            return;
        }
        let line = |at: usize| if mentioned[at] { self.log.text(at) } else { "" };
        let scores = Bm25::new(query, (0..self.log.len()).map(line));
        let best = scores.scores().iter().copied().fold(0.0, f32::max);
        // A term in one line of twenty is worth `ln 20`.
        let least = (best * 0.5).max(3.0);
        let mut hits: Vec<usize> = (0..self.log.len()).filter(|at| scores.score(*at) >= least).collect();
        hits.sort_by(|left, right| {
            scores.score(*right).total_cmp(&scores.score(*left)).then(left.cmp(right))
        });
        hits.truncate(MOST_ASKED);
        self.within(&hits, (self.total / 16).max(150));
    }

    /// The runs that are not kept and cost more than a marker.
    fn gaps(&self) -> Vec<Range<usize>> {
        let mut gaps: Vec<Range<usize>> = Vec::new();
        let mut at = 0;
        while at < self.keep.len() {
            if self.keep[at] {
                at += 1;
                continue;
            }
            let end = (at..self.keep.len()).find(|line| self.keep[*line]).unwrap_or(self.keep.len());
            if (at..end).map(|line| self.cost(line)).sum::<usize>() > GAP {
                gaps.push(at..end);
            }
            at = end;
        }
        gaps
    }
}

/// What makes a line the same as another: its words, not its numbers; of an error also its code.
fn key(line: &Line) -> u64 {
    if line.marks.has(Marks::ERROR) { line.shape } else { line.literal }
}

/// What a run that is left out holds beside the ordinary, in a word or two.
pub(super) fn note(log: &Log<'_>, lines: Range<usize>) -> String {
    let number = |marks: Marks| lines.clone().filter(|at| log.line(*at).marks.has(marks)).count();
    match (number(Marks::ERROR), number(Marks::WARN)) {
        (0, 0) => String::new(),
        (0, warnings) => format!("{warnings} WARN"),
        (errors, _) => format!("{errors} ERROR"),
    }
}

/// The lines that hold a term of `query` which few lines hold. Only these are worth scoring: a
/// cheap pass over the bytes, so that a long log costs one look at each word.
fn mentioned(log: &Log<'_>, query: &Query) -> Vec<bool> {
    let mut terms: Vec<u64> =
        query.iter().filter(|term| term.is_ascii()).map(|term| hash_lower(term.as_bytes())).collect();
    terms.sort_unstable();
    terms.dedup();
    let beyond_ascii = query.iter().any(|term| !term.is_ascii());
    let mut filter = [0u64; 64];
    for term in &terms {
        filter[(term >> 58) as usize] |= 1 << (term >> 52 & 63);
    }
    let mut frequency = vec![0u32; terms.len()];
    let mut held: Vec<(u32, u32)> = Vec::new();
    let mut mentioned = vec![false; log.len()];
    for at in 0..log.len() {
        let text = log.text(at).as_bytes();
        let first = held.len();
        let mut from = 0;
        while from < text.len() {
            let length = text[from..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
            if length > 1 {
                let hash = hash_lower(&text[from..from + length]);
                if filter[(hash >> 58) as usize] >> (hash >> 52 & 63) & 1 == 1 {
                    if let Ok(term) = terms.binary_search(&hash) {
                        let term = term as u32;
                        if !held[first..].contains(&(at as u32, term)) {
                            held.push((at as u32, term));
                            frequency[term as usize] += 1;
                        }
                    }
                }
            }
            from += length.max(1);
        }
        mentioned[at] = beyond_ascii && !text.is_ascii();
    }
    let few = (log.len() / 20).max(2) as u32;
    for (at, term) in held {
        mentioned[at as usize] |= frequency[term as usize] <= few;
    }
    mentioned
}

/// Hashes a word as if it were lower case.
fn hash_lower(word: &[u8]) -> u64 {
    word.iter().fold(word.len() as u64, |hash, byte| mix(hash, u64::from(byte | 0x20)))
}
