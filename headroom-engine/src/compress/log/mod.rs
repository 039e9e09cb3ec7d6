//! LogCompressor: build, test, CI and system logs, and raw terminal bytes.
//!
//! The *exact* stage says repeated lines and blocks once, and says lines that differ from an
//! earlier one in numbers by their numbers ([`codec`] has the grammar). The *elide* stage keeps
//! what a reader of a log looks for ([`select`]) and leaves out the rest, run by run, behind
//! markers that count in lines of the whole source.

mod blocks;
mod codec;
mod exact;
mod judge;
mod line;
mod paint;
mod recognise;
mod select;
mod template;
mod words;

use std::{ops::Range, sync::Arc};

use self::{codec::LogCodec, line::Log};
use crate::{
    ccr::Unit,
    reduce::{Context, Hints, Op, Reducer, Reduction, Segment},
};

/// Build, test, CI and system logs.
///
/// ```
/// use headroom_engine::{compress::LogCompressor, reduce::Reducer};
/// assert!(LogCompressor.recognises("12:00:01 INFO started\n12:00:02 ERROR disk full\n", Default::default()));
/// assert!(!LogCompressor.recognises("{\"level\": \"error\"}", Default::default()));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct LogCompressor;

impl Reducer for LogCompressor {
    fn kind(&self) -> &'static str {
        "log"
    }

    fn recognises(&self, source: &str, _: Hints<'_>) -> bool {
        recognise::is_log(source)
    }

    fn exact(&self, source: &str, _context: &Context<'_>) -> Option<Reduction> {
        let log = Log::new(source)?;
        let (ops, saved) = exact::spell(&log, std::slice::from_ref(&(0..log.len())));
        (saved >= 8).then(|| reduction(source, ops.into_iter().flatten().collect()))
    }

    fn elide(&self, source: &str, context: &Context<'_>) -> Option<Reduction> {
        let log = Log::new(source)?;
        let hidden = select::hidden(&log, context);
        if hidden.is_empty() {
            return self.exact(source, context);
        }
        let (spelled, _) = exact::spell(&log, &between(&hidden, log.len()));
        let mut hidden = hidden.into_iter();
        let mut numbers = Numbers::default();
        let mut ops = Vec::new();
        for kept in spelled {
            ops.extend(kept);
            ops.extend(hidden.next().map(|lines| elision(&log, lines, &mut numbers)));
        }
        Some(reduction(source, ops))
    }
}

/// The stretches before, between and behind `hidden`; the first and the last may be empty.
fn between(hidden: &[Range<usize>], len: usize) -> Vec<Range<usize>> {
    let starts = std::iter::once(0).chain(hidden.iter().map(|lines| lines.end));
    let ends = hidden.iter().map(|lines| lines.start).chain(std::iter::once(len));
    starts.zip(ends).map(|(start, end)| start..end).collect()
}

/// The marker for `lines`, which are numbered as the source's lines if they are just those.
fn elision(log: &Log<'_>, lines: Range<usize>, numbers: &mut Numbers) -> Op {
    let range = log.start(lines.start)..log.start(lines.end);
    let (unit, first, last) = if log.is_begun(lines.start) && log.is_begun(lines.end) {
        (Unit::Lines, numbers.before(log.source(), range.start) + 1, numbers.before(log.source(), range.end))
    } else {
        (Unit::Bytes, range.start + 1, range.end)
    };
    let note = select::note(log, lines);
    Op::Elide { range, original: 0..log.source().len(), unit, first, last, note, frame: ("", "\n") }
}

/// Counts the source's lines from front to back.
#[derive(Default)]
struct Numbers {
    at: usize,
    lines: usize,
}

impl Numbers {
    /// The number of newlines before `at`, which never goes back.
    fn before(&mut self, source: &str, at: usize) -> usize {
        self.lines += memchr::memchr_iter(b'\n', &source.as_bytes()[self.at..at]).count();
        self.at = at;
        self.lines
    }
}

fn reduction(source: &str, ops: Vec<Op>) -> Reduction {
    Reduction { segments: vec![Segment { range: 0..source.len(), codec: Arc::new(LogCodec), ops }] }
}

#[cfg(test)]
mod tests;
