//! A text as lines and as units: what is kept or left out whole.

use std::ops::Range;

use super::{
    super::{fold::Lines, weigh::weigh},
    block,
};

/// What a unit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A title, with its underline.
    Heading,
    /// A sentence, or a line of text that no sentence reaches beyond.
    Sentence,
    /// An item of a list.
    Item,
    /// A fenced or indented block, or what looks like code without either.
    Code,
    /// A table, or a row of a long one.
    Row,
    /// A ruler, or a line that only opens or closes something.
    Rule,
}

/// A part of the text that stays whole. It reaches to the start of the next one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unit {
    pub(super) start: usize,
    /// Where its own text ends, white space behind it aside.
    pub(super) end: usize,
    pub(super) kind: Kind,
    /// The number of its section: what stands under one heading.
    pub(super) section: u32,
    /// It begins a paragraph.
    pub(super) opens: bool,
    /// About its tokens.
    pub(super) cost: u32,
}

/// A source, its lines and its units.
#[derive(Clone, Debug)]
pub(super) struct Text<'a> {
    source: &'a str,
    starts: Vec<u32>,
    costs: Vec<u32>,
}

impl<'a> Text<'a> {
    /// Finds the lines of `source`; `None` if it is too large for 32-bit offsets.
    pub(super) fn new(source: &'a str) -> Option<Self> {
        u32::try_from(source.len()).ok()?;
        let mut starts = Vec::with_capacity(source.len() / 48 + 2);
        let mut costs = Vec::with_capacity(source.len() / 48 + 2);
        let mut at = 0;
        for line in source.split_inclusive('\n') {
            starts.push(at as u32);
            costs.push(1 + weigh(line.strip_suffix('\n').unwrap_or(line)) as u32);
            at += line.len();
        }
        Some(Self { source, starts, costs })
    }

    pub(super) fn source(&self) -> &'a str {
        self.source
    }

    /// The number of lines.
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// Where line `at` starts; the end of the source for one past the last.
    pub(super) fn start(&self, at: usize) -> usize {
        self.starts.get(at).map_or(self.source.len(), |start| *start as usize)
    }

    /// Line `at` without its newline.
    pub(super) fn line(&self, at: usize) -> &'a str {
        let whole = &self.source[self.start(at)..self.start(at + 1)];
        whole.strip_suffix('\n').unwrap_or(whole)
    }

    /// The lines that lie wholly, newline included, within a range of bytes.
    pub(super) fn lines_within(&self, range: &Range<usize>) -> Range<usize> {
        let first = self.starts.partition_point(|start| (*start as usize) < range.start);
        let behind = self.starts.partition_point(|start| (*start as usize) <= range.end);
        let last = if range.end >= self.source.len() { self.len() } else { behind.saturating_sub(1) };
        first..last.max(first)
    }

    /// The number of the line, from 0, in which the byte `at` lies.
    pub(super) fn line_of(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start as usize <= at).saturating_sub(1)
    }

    /// Whether a line starts at the byte `at`.
    pub(super) fn is_start(&self, at: usize) -> bool {
        at == 0 || self.source.as_bytes()[at - 1] == b'\n'
    }

    /// The units, in order; the first starts where the first text does.
    pub(super) fn units(&self) -> Vec<Unit> {
        block::units(self)
    }
}

impl Lines for Text<'_> {
    fn text(&self, at: usize) -> &str {
        self.line(at)
    }

    fn cost(&self, at: usize) -> usize {
        self.costs[at] as usize
    }

    fn is_same(&self, left: usize, right: usize) -> bool {
        self.start(right + 1) > 0
            && self.source.as_bytes()[self.start(right + 1) - 1] == b'\n'
            && self.line(left) == self.line(right)
    }
}
