//! What stays visible when code is elided.
//!
//! Whole things go: a module of tests, a comment but for its first line, imports that nothing names,
//! the inside of a long literal, the body of a function. Bodies go from the least worth a token to
//! the most; those whose names the causal query speaks of ([`topics`](super::topics)) go last, and
//! the body of a function that it names whole, or whose line was asked for, stays.

use super::{
    super::weigh::weigh,
    outline::{NONE, Outline, RunKind},
    topics,
};
use std::ops::Range;

use crate::rank::{Query, terms};

/// About the tokens of a marker with its frame; cheaper runs stay.
const MARKER: usize = 20;
/// Less is not worth a marker where something larger could go.
const LEAST: usize = 36;
/// What a word that a name shares with the query is worth, a token of the body: as much as the
/// whole of a body of a hundred tokens.
const NAMED: f32 = 0.01;
/// Imports up to this many stay.
const IMPORTS: usize = 8;

/// What is asked of a selection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) query: &'a Query,
    /// The line that the call asked for.
    pub(super) line: Option<usize>,
    /// Of the whole, what is to be left out, in percent.
    pub(super) percent: usize,
    /// The fewest tokens of a body that are worth asking for.
    pub(super) least: usize,
    /// Imports that nothing names may go.
    pub(super) imports: bool,
}

/// The runs of lines of `lines` to leave out, in order, each with its kind.
pub(super) fn hidden(code: &str, lines: &[&str], outline: &Outline, asked: Asked<'_>) -> Vec<Hidden> {
    let costs: Vec<u32> =
        lines.iter().map(|line| u32::try_from(weigh(line)).unwrap_or(u32::MAX) + 1).collect();
    let total: usize = costs.iter().map(|cost| *cost as usize).sum();
    let mut selection = Selection {
        code,
        lines,
        outline,
        costs,
        kinds: vec![Kind::Kept; lines.len()],
        left: total * asked.percent / 100,
    };
    selection.runs(RunKind::Tests);
    selection.runs(RunKind::Comment);
    if asked.imports {
        selection.imports();
    }
    selection.runs(RunKind::Literal);
    selection.bodies(asked);
    selection.gaps()
}

/// Lines to leave out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hidden {
    pub(super) lines: Range<usize>,
    /// A comment can be written there.
    pub(super) code: bool,
    pub(super) note: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Kept,
    /// Among code.
    Code(&'static str),
    /// Within a text or a comment.
    Text,
}

struct Selection<'a> {
    code: &'a str,
    lines: &'a [&'a str],
    outline: &'a Outline,
    costs: Vec<u32>,
    kinds: Vec<Kind>,
    /// Tokens still to be left out.
    left: usize,
}

impl Selection<'_> {
    fn cost(&self, lines: impl Iterator<Item = usize>) -> usize {
        lines.filter(|at| self.kinds[*at] == Kind::Kept).map(|at| self.costs[at] as usize).sum()
    }

    fn hide(&mut self, lines: &Range<usize>, kind: Kind) {
        let cost = self.cost(lines.clone());
        self.left = self.left.saturating_sub(cost.saturating_sub(MARKER));
        for at in lines.clone() {
            if self.kinds[at] == Kind::Kept {
                self.kinds[at] = kind;
            }
        }
    }

    fn runs(&mut self, kind: RunKind) {
        let outline = self.outline;
        let mut runs: Vec<(usize, usize)> = outline
            .runs
            .iter()
            .enumerate()
            .filter(|(_, run)| run.kind == kind)
            .map(|(at, run)| (self.cost(run.lines.clone()), at))
            .filter(|(cost, _)| *cost >= LEAST)
            .collect();
        runs.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        for (_, at) in runs {
            let run = &outline.runs[at];
            let declares = kind == RunKind::Literal && run.lines.clone().any(|at| outline.pinned[at]);
            if self.left == 0 || declares {
                continue;
            }
            let note = if kind == RunKind::Tests { "tests" } else { "" };
            self.hide(&run.lines, if run.code { Kind::Code(note) } else { Kind::Text });
        }
    }

    /// Imports whose names occur nowhere else, where there are many.
    fn imports(&mut self) {
        let imports: Vec<Range<usize>> = self
            .outline
            .runs
            .iter()
            .filter(|run| run.kind == RunKind::Imports)
            .map(|run| run.lines.clone())
            .collect();
        if self.left == 0 || imports.iter().map(Range::len).sum::<usize>() <= IMPORTS {
            return;
        }
        let mut rest = std::collections::HashSet::new();
        let inside = |at: usize| imports.iter().any(|lines| lines.contains(&at));
        for (at, line) in self.lines.iter().enumerate() {
            if self.kinds[at] == Kind::Kept && !inside(at) {
                rest.extend(words(line));
            }
        }
        for lines in imports {
            let unused = |at: &usize| words(self.lines[*at]).last().is_some_and(|word| !rest.contains(word));
            let mut at = lines.start;
            while at < lines.end {
                let end = (at..lines.end).find(|at| !unused(at)).unwrap_or(lines.end);
                if end - at > IMPORTS {
                    self.hide(&(at..end), Kind::Code("imports"));
                }
                at = end + 1;
            }
        }
    }

    /// Bodies, those of the least worth a token first, until enough is left out.
    fn bodies(&mut self, asked: Asked<'_>) {
        let outline = self.outline;
        let (worth, alike) = (self.worth(asked.query), self.alike(asked.query));
        let mut starts = vec![0];
        starts.extend(self.lines.iter().scan(0, |at, line| {
            *at += line.len();
            Some(*at)
        }));
        let least = LEAST.max(asked.least);
        let mut bodies: Vec<(f32, usize)> = Vec::new();
        for (at, item) in outline.items.iter().enumerate() {
            let cost = self.own(at);
            let name = self.code[item.name.clone()].to_ascii_lowercase();
            let named = name.len() > 2 && asked.query.contains(&name);
            let here = asked.line.is_some_and(|line| {
                let head = starts.partition_point(|start| *start <= item.name.start) - 1;
                head.min(item.body.start) <= line + 2 && line < item.body.end + 2
            });
            if cost < least || (named && !item.test) || here {
                continue;
            }
            let value = if item.test { 0.5 } else { 1.0 } + worth[at];
            bodies.push((value / cost as f32 + NAMED * alike[at], at));
        }
        bodies.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (_, at) in bodies {
            if self.left == 0 {
                break;
            }
            let cost = self.own(at);
            if cost < least {
                continue;
            }
            self.left = self.left.saturating_sub(cost - MARKER);
            for line in outline.items[at].body.clone() {
                if outline.holds(at, line) {
                    self.kinds[line] = Kind::Code("");
                }
            }
        }
    }

    /// What leaving out a body leaves out.
    fn own(&self, item: usize) -> usize {
        self.cost(self.outline.items[item].body.clone().filter(|at| self.outline.holds(item, *at)))
    }

    /// How much each body answers the query: the rare terms of the query on its lines.
    fn worth(&self, query: &Query) -> Vec<f32> {
        let mut worth = vec![0.0; self.outline.items.len()];
        if query.is_empty() {
            return worth;
        }
        for (at, line) in self.lines.iter().enumerate() {
            let owner = self.outline.owner[at];
            if owner == NONE {
                continue;
            }
            terms(line, &mut |term| {
                if term.len() > 3 && query.contains(term) {
                    worth[owner as usize] += 0.25;
                }
            });
        }
        worth
    }

    /// How much each name is one that the query speaks of; what stands in a function goes where that
    /// goes.
    fn alike(&self, query: &Query) -> Vec<f32> {
        let items = &self.outline.items;
        let mut alike = topics::weights(query, items.iter().map(|item| &self.code[item.name.clone()]));
        for (at, item) in items.iter().enumerate() {
            // What is around it stands before it.
            let around = alike.get(item.parent as usize).copied().unwrap_or(0.0);
            alike[at] = alike[at].max(around);
        }
        alike
    }

    /// The runs that are left out and cost more than a marker; blank lines go with what is around
    /// them.
    fn gaps(mut self) -> Vec<Hidden> {
        let blank: Vec<usize> = (1..self.lines.len().saturating_sub(1))
            .filter(|at| self.kinds[*at] == Kind::Kept && self.lines[*at].trim_ascii().is_empty())
            .collect();
        for at in blank {
            if let (Kind::Code(note), Kind::Code(next)) = (self.kinds[at - 1], self.kinds[at + 1]) {
                self.kinds[at] = Kind::Code(if note == next { note } else { "" });
            }
        }
        let mut gaps = Vec::new();
        let mut at = 0;
        while at < self.kinds.len() {
            let code = match self.kinds[at] {
                Kind::Kept => {
                    at += 1;
                    continue;
                }
                Kind::Code(_) => true,
                Kind::Text => false,
            };
            let same = |kind: Kind| match kind {
                Kind::Kept => false,
                Kind::Code(_) => code,
                Kind::Text => !code,
            };
            let end = (at..self.kinds.len()).find(|at| !same(self.kinds[*at])).unwrap_or(self.kinds.len());
            let first = self.kinds[at];
            let note = match first {
                Kind::Code(note) if self.kinds[at..end].iter().all(|kind| *kind == first) => note,
                _ => "",
            };
            // Blank lines at the end stay.
            let mut last = end;
            while last > at && self.lines[last - 1].trim_ascii().is_empty() {
                last -= 1;
            }
            if self.costs[at..last].iter().map(|cost| *cost as usize).sum::<usize>() > MARKER {
                gaps.push(Hidden { lines: at..last, code, note });
            }
            at = end;
        }
        gaps
    }
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}
