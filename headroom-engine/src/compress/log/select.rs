//! What stays visible when a log is elided.

use std::ops::Range;

use super::{
    super::hash::{ByHash, mix},
    blocks::{continuations, kept, tracebacks},
    line::{Line, Log, Marks},
    template::{Count, count},
};
use crate::{
    rank::{Query, terms},
    reduce::Context,
};

/// Lines kept at both ends.
const ENDS: usize = 5;
/// About the tokens of a marker without a handle, and what a gap between kept lines must cost to be
/// worth one.
const GAP: usize = 16;

/// The runs of lines to leave out, in order; empty if that is not worth it.
pub(super) fn hidden(log: &Log<'_>, context: &Context<'_>) -> Vec<Range<usize>> {
    let total: usize = log.lines().iter().map(|line| usize::from(line.cost)).sum();
    if total < context.stakes.worth() || log.len() < 3 * ENDS {
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
    if cost < context.stakes.worth().max(total / 8) { Vec::new() } else { hidden }
}

/// The most lines kept for the causal query.
const MOST_ASKED: usize = 24;

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
        let (chosen, more): (Vec<usize>, Vec<usize>) =
            errors.into_iter().partition(|at| all || self.is_end(*at));
        let (before, after) = match chosen.len() {
            0..=30 => (1, 2),
            31..=100 => (0, 1),
            _ => (0, 0),
        };
        self.headings(&chosen);
        for at in chosen {
            let end = self.unit(at);
            let panicked = memchr::memmem::find(self.log.text(at).as_bytes(), b"panic").is_some();
            let after = if panicked { 3 } else { after };
            let around = at.saturating_sub(before)..(end + after).min(self.log.len());
            self.keep[around.start..at].fill(true);
            if end == at + 1 {
                self.keep[end..around.end].fill(true);
            }
        }
        // The same error at another place is another error to whoever has to mend it.
        let placed: Vec<usize> = more.into_iter().filter(|at| self.is_placed(*at)).collect();
        for at in self.within(&placed, (self.total / 16).max(300)) {
            self.unit(at);
        }
    }

    /// What the chosen lines stand under: the title of their section, and, where they are indented,
    /// the line that they are indented under.
    fn headings(&mut self, chosen: &[usize]) {
        let mut chosen = chosen.iter().copied().peekable();
        let (mut title, mut above) = (None, None);
        for at in 0..self.log.len() {
            let marks = self.log.line(at).marks;
            let indented = self.log.text(at).starts_with([' ', '\t']);
            if chosen.next_if_eq(&at).is_some() {
                for heading in title.take().into_iter().chain(if indented { above.take() } else { None }) {
                    self.keep[heading] = true;
                }
            }
            if marks.has(Marks::HEADING) {
                title = Some(at);
            } else if marks.has(Marks::SUMMARY) {
                title = None;
            }
            if !indented && !marks.has(Marks::BLANK) {
                above = Some(at);
            }
        }
    }

    /// Keeps line `at` and what continues it, thinned; returns where that ends.
    fn unit(&mut self, at: usize) -> usize {
        let end = self.ends[at + 1] as usize;
        for line in kept(self.log, at..end.max(at + 1)) {
            self.keep[line] = true;
        }
        end.max(at + 1)
    }

    /// Whether line `at`, or the line behind it, names a place in a file.
    fn is_placed(&self, at: usize) -> bool {
        let place = |at: usize| self.log.line(at).marks.has(Marks::PLACE);
        place(at)
            || (at + 1 < self.log.len() && place(at + 1) && self.log.line(at + 1).marks.has(Marks::CONTINUES))
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
        let once = self.within(&once, (self.total / 12).max(300));
        for at in once {
            self.unit(at);
        }
        let first = rare(self, u32::MAX);
        self.within(&first, (self.total / 24).max(150));
        let placed: Vec<usize> = (0..self.log.len())
            .filter(|at| self.log.line(*at).marks.has(Marks::WARN) && !self.keep[*at] && self.is_placed(*at))
            .collect();
        self.within(&placed, (self.total / 24).max(150));
    }

    /// Lines of a shape seen once or twice, unless most are.
    fn rare(&mut self) {
        let shapes = count(self.log.lines().iter().map(|line| line.shape).enumerate());
        let rare: Vec<usize> = (0..self.log.len())
            .filter(|at| {
                let line = self.log.line(*at);
                let few = shapes.get(&line.shape).is_some_and(|count| count.count <= 2);
                let dull = line.marks.has(Marks::BLANK.and(Marks::PASSED).and(Marks::HEADING));
                few && !dull && !self.keep[*at] && !self.traced[*at]
            })
            .collect();
        if rare.len() * 4 <= self.log.len() {
            self.within(&rare, self.total / 24);
        }
        // Lines that only mention trouble, in a name, where that is rare.
        let mentions: Vec<usize> = (0..self.log.len())
            .filter(|at| {
                let line = self.log.line(*at);
                let few = self.literals.get(&key(line)).is_some_and(|count| count.count <= 2);
                few && line.marks.has(Marks::MENTION) && !line.marks.has(Marks::PASSED) && !self.traced[*at]
            })
            .collect();
        if mentions.len() * 20 <= self.log.len() {
            self.within(&mentions, self.total / 50);
        }
    }

    /// Keeps lines, in order, until they cost more than `budget`; returns which.
    fn within(&mut self, lines: &[usize], mut budget: usize) -> Vec<usize> {
        let mut kept = Vec::new();
        for at in lines {
            let cost = self.cost(*at);
            if cost > budget {
                continue;
            }
            budget -= cost;
            self.keep[*at] = true;
            kept.push(*at);
        }
        kept
    }

    /// What the causal query asks for: the lines that hold its rare terms.
    fn asked(&mut self, query: &Query) {
        let mut hits = asked(self.log, query);
        let best = hits.iter().map(|hit| hit.score).fold(0.0, f32::max);
        hits.retain(|hit| hit.unique || hit.score >= best * 0.5);
        hits.sort_by(|left, right| right.score.total_cmp(&left.score).then(left.line.cmp(&right.line)));
        let lines: Vec<usize> = hits.iter().take(MOST_ASKED).map(|hit| hit.line).collect();
        self.within(&lines, (self.total / 24).max(150));
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

/// A line that holds terms of the query which few lines hold.
struct Hit {
    line: usize,
    /// The sum of the terms' inverse document frequencies, as BM25 has them: lines are too short
    /// and too alike for its other parts to matter.
    score: f32,
    /// One of the terms stands in three lines at most.
    unique: bool,
}

/// The lines that hold a rare term of `query`, in order: one look at each word of the log.
fn asked(log: &Log<'_>, query: &Query) -> Vec<Hit> {
    let mut wanted: Vec<u64> = query.iter().map(|term| hash_lower(term.as_bytes())).collect();
    wanted.sort_unstable();
    wanted.dedup();
    if wanted.is_empty() {
        return Vec::new();
    }
    let beyond_ascii = query.iter().any(|term| !term.is_ascii());
    let mut filter = [0u64; 64];
    for hash in &wanted {
        filter[(hash >> 58) as usize] |= 1 << (hash >> 52 & 63);
    }
    let mut frequency = vec![0u32; wanted.len()];
    let mut held: Vec<(usize, usize)> = Vec::new();
    for at in 0..log.len() {
        let first = held.len();
        let mut word = |hash: u64| {
            if filter[(hash >> 58) as usize] >> (hash >> 52 & 63) & 1 == 0 {
                return;
            }
            if let Ok(term) = wanted.binary_search(&hash)
                && !held[first..].contains(&(at, term))
            {
                held.push((at, term));
                frequency[term] += 1;
            }
        };
        let text = log.text(at);
        if beyond_ascii && !text.is_ascii() {
            terms(text, &mut |term| word(hash_lower(term.as_bytes())));
            continue;
        }
        let mut rest = text.as_bytes();
        while let Some(start) = rest.iter().position(u8::is_ascii_alphanumeric) {
            rest = &rest[start..];
            let length = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
            if length > 1 {
                word(hash_lower(&rest[..length]));
            }
            rest = &rest[length..];
        }
    }
    let all = log.len() as f32;
    let few = (log.len() / 50).max(2) as u32;
    let mut hits: Vec<Hit> = Vec::new();
    for (line, term) in held {
        if frequency[term] > few {
            continue;
        }
        let count = frequency[term] as f32;
        let score = (1.0 + (all - count + 0.5) / (count + 0.5)).ln();
        let unique = frequency[term] <= 3;
        match hits.last_mut() {
            Some(hit) if hit.line == line => {
                hit.score += score;
                hit.unique |= unique;
            }
            _ => hits.push(Hit { line, score, unique }),
        }
    }
    hits
}

/// Hashes a word as if it were lower case.
fn hash_lower(word: &[u8]) -> u64 {
    word.iter().fold(word.len() as u64, |hash, byte| mix(hash, u64::from(byte | 0x20)))
}
