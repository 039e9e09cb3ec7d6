//! Lines that belong together: tracebacks, stack traces, compiler diagnostics.

use std::ops::Range;

use super::line::{Log, Marks};

/// The longest exception message, in lines behind its first, that is taken for one.
const MESSAGE: usize = 6;
/// Lines kept at a thinned block's head (three Python frames) and tail (four).
const HEAD: usize = 6;
const TAIL: usize = 8;
/// The longest diagnostic that is kept whole, in lines.
const DIAGNOSTIC: usize = 40;

/// A Python traceback: its first line, and its exception's first line and end.
#[derive(Clone, Debug)]
pub(super) struct Traceback {
    /// From `Traceback` to the end of the exception's message.
    pub(super) lines: Range<usize>,
    /// Where the exception's name and message stand; the last line, if the log ends before it.
    pub(super) exception: usize,
}

/// All tracebacks, in order, wherever in their lines they stand.
pub(super) fn tracebacks(log: &Log<'_>) -> Vec<Traceback> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < log.len() {
        let start = at;
        at += 1;
        if !log.line(start).marks.has(Marks::ERROR) {
            continue;
        }
        let Some(column) = memchr::memmem::find(log.text(start).as_bytes(), b"Traceback (most recent") else {
            continue;
        };
        let inside = |line: usize| {
            let text = log.text(line).as_bytes();
            text.len() <= column || matches!(text[column], b' ' | b'\t')
        };
        while at < log.len() && inside(at) && !(log.line(at).marks.has(Marks::BLANK) && column > 0) {
            at += 1;
        }
        let exception = at.min(log.len() - 1);
        let mut end = exception + 1;
        let plain = Marks::BLANK.and(Marks::TIMED).and(Marks::LEVELLED).and(Marks::SUMMARY).and(Marks::TOOL);
        while column == 0 && end < log.len() && end <= exception + MESSAGE && !log.line(end).marks.has(plain)
        {
            end += 1;
        }
        found.push(Traceback { lines: start..end, exception });
        at = end.max(start + 1);
    }
    found
}

impl Traceback {
    /// The lines to keep: the first and the last frames, and all of the exception.
    pub(super) fn thinned(&self) -> impl Iterator<Item = usize> {
        thin(self.lines.start..self.exception, HEAD).chain(self.exception..self.lines.end)
    }
}

/// The lines of a block to keep: its head and its tail, or all of a diagnostic.
pub(super) fn kept(log: &Log<'_>, lines: Range<usize>) -> impl Iterator<Item = usize> {
    let is_frame = |at: usize| log.text(at).trim_start().starts_with("at ");
    let diagnostic = lines.len() <= DIAGNOSTIC && lines.len() > 1 && !is_frame(lines.start + 1);
    thin(lines, if diagnostic { DIAGNOSTIC } else { HEAD })
}

fn thin(lines: Range<usize>, head: usize) -> impl Iterator<Item = usize> {
    let head = (lines.start + 1 + head).min(lines.end);
    let tail = lines.end.saturating_sub(TAIL).max(head);
    (lines.start..head).chain(tail..lines.end)
}

/// For each line, where the run of lines that continue what stands before them ends: frames,
/// source excerpts with carets, notes, indented details.
pub(super) fn continuations(log: &Log<'_>) -> Vec<u32> {
    let mut ends = vec![0; log.len() + 1];
    ends[log.len()] = log.len() as u32;
    for at in (0..log.len()).rev() {
        ends[at] = if continues(log, at) { ends[at + 1] } else { at as u32 };
    }
    ends
}

fn continues(log: &Log<'_>, at: usize) -> bool {
    let marks = log.line(at).marks;
    if marks.has(Marks::CONTINUES) {
        return true;
    }
    let indented = log.text(at).starts_with([' ', '\t']);
    indented && !marks.has(Marks::BLANK.and(Marks::TIMED).and(Marks::LEVELLED).and(Marks::TOOL))
}
