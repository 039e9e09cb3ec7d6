//! Collects operations in source order.

use std::ops::Range;

use crate::{
    ccr::{Unit, marker},
    reduce::Op,
};

/// Collects operations on a source of lines, in order; the original of everything it leaves out is
/// the whole source.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    source: &'a str,
    /// What is still to be cut from kept lines.
    cuts: &'a [Range<usize>],
    ops: Vec<Op>,
    pending: Option<(Range<usize>, String)>,
}

impl<'a> Writer<'a> {
    /// Leaves out the ranges `cuts`, each within a line, wherever their lines are kept.
    pub(super) fn new(source: &'a str, cuts: &'a [Range<usize>]) -> Self {
        Self { source, cuts, ops: Vec::new(), pending: None }
    }

    pub(super) fn finish(mut self) -> Vec<Op> {
        self.flush();
        self.ops
    }

    /// Whether something is cut from what is left before the end of `range`.
    pub(super) fn is_cut(&self, range: &Range<usize>) -> bool {
        self.cuts.first().is_some_and(|cut| cut.start < range.end)
    }

    /// Keeps source text as it is.
    pub(super) fn keep(&mut self, range: Range<usize>) {
        if self.is_cut(&range) {
            let first = self.cuts.first().map_or(range.end, |cut| cut.start);
            self.keep(range.start..first);
            self.text(first..range.end);
            return;
        }
        self.flush();
        match self.ops.last_mut() {
            Some(Op::Keep(last)) if last.end == range.start => last.end = range.end,
            _ => self.ops.push(Op::Keep(range)),
        }
    }

    /// Writes what stands for `range`.
    pub(super) fn rewrite(&mut self, range: Range<usize>, write: impl FnOnce(&mut String)) {
        let (pending, text) = self.pending.get_or_insert_with(|| (range.start..range.start, String::new()));
        pending.end = range.end;
        write(text);
    }

    /// Writes source text that does not start a line, without what is cut from it.
    pub(super) fn text(&mut self, range: Range<usize>) {
        let source = self.source;
        let mut from = range.start;
        while let Some((cut, rest)) = self.cuts.split_first().filter(|(cut, _)| cut.start < range.end) {
            self.cuts = rest;
            self.rewrite(from..cut.start, |out| marker::escape(&source[from..cut.start], out));
            self.elide(cut.clone(), Unit::Bytes, cut.start + 1..cut.end, String::new(), "");
            from = cut.end;
        }
        self.rewrite(from..range.end, |out| marker::escape(&source[from..range.end], out));
    }

    /// Leaves out `range`, the lines `lines` from 0.
    pub(super) fn lines(&mut self, range: Range<usize>, lines: Range<usize>, note: String) {
        self.elide(range, Unit::Lines, lines.start + 1..lines.end, note, "\n");
    }

    fn elide(
        &mut self,
        range: Range<usize>,
        unit: Unit,
        numbers: Range<usize>,
        note: String,
        behind: &'static str,
    ) {
        self.flush();
        self.ops.push(Op::Elide {
            range,
            original: 0..self.source.len(),
            unit,
            first: numbers.start,
            last: numbers.end,
            note,
            frame: ("", behind),
        });
    }

    fn flush(&mut self) {
        if let Some((range, text)) = self.pending.take() {
            self.ops.push(Op::Rewrite { range, text });
        }
    }
}
