//! Kompress: prose, by whole sentences.
//!
//! The *exact* stage says lines that stand above once (`codec` has the grammar). The *elide* stage
//! keeps sentences as they stand and leaves out the rest, run by run, behind markers that count in
//! lines of the whole source where whole lines go, in bytes elsewhere.
//!
//! It keeps the title, the first sentences, what names an error, headings, what is forbidden or
//! excepted, and then what scores best (`score`): what the causal query asks for, what leads its
//! section, what is central to it, what is specific. It hides what stands above already, and what
//! elaborates. A fenced or indented block, a short table and a list item stay or go whole; no
//! sentence is ever shortened.

mod block;
mod codec;
mod exact;
mod line;
mod recognise;
mod score;
mod select;
mod sentence;
mod text;
mod words;

use std::{ops::Range, sync::Arc};

use self::{
    codec::ProseCodec,
    text::{Text, Unit},
};
use crate::{
    ccr::Unit as Counted,
    reduce::{Context, Hints, Op, Reducer, Reduction, Segment},
};

/// Prose: documents, manuals, reports, books, retrieved passages.
///
/// ```
/// use headroom_engine::{compress::Kompress, reduce::{Hints, Reducer}};
/// let text = "The lease begins in March. It must not be ended before June. ".repeat(20);
/// assert!(Kompress.recognises(&text, Hints::default()));
/// assert!(!Kompress.recognises(&"let x = f(y);\n".repeat(100), Hints::default()));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Kompress;

impl Reducer for Kompress {
    fn kind(&self) -> &'static str {
        "prose"
    }

    fn recognises(&self, source: &str, hints: Hints<'_>) -> bool {
        recognise::is_prose(source, hints)
    }

    fn exact(&self, source: &str, _context: &Context<'_>) -> Option<Reduction> {
        fold_lines(source).map(|(reduction, _)| reduction)
    }

    fn elide(&self, source: &str, context: &Context<'_>) -> Option<Reduction> {
        let text = Text::new(source)?;
        let units = text.units();
        let hidden = select::hidden(&text, &units, context);
        if hidden.is_empty() {
            return self.exact(source, context);
        }
        let hidden: Vec<Range<usize>> = hidden.into_iter().map(|run| extent(&text, &units, run)).collect();
        let starts = std::iter::once(0).chain(hidden.iter().map(|range| range.end));
        let ends = hidden.iter().map(|range| range.start).chain(std::iter::once(source.len()));
        let kept: Vec<Range<usize>> = starts.zip(ends).map(|(start, end)| start..end).collect();
        let (spelled, _) = exact::spell(&text, &kept);
        let mut hidden = hidden.into_iter();
        let mut ops = Vec::new();
        for kept in spelled {
            ops.extend(kept);
            ops.extend(hidden.next().map(|range| elision(&text, range)));
        }
        Some(reduction(source, ops))
    }
}

/// `source` with each line that stands above said by what stands there, and about how many tokens
/// that saves; `None` if it saves hardly any.
pub(super) fn fold_lines(source: &str) -> Option<(Reduction, usize)> {
    let text = Text::new(source)?;
    let (ops, saved) = exact::spell(&text, std::slice::from_ref(&(0..source.len())));
    (saved >= 8).then(|| (reduction(source, ops.into_iter().flatten().collect()), saved))
}

/// The bytes that go with a run of units: whole lines if it begins and ends where lines do, with the
/// blank lines behind it; else to the end of its last sentence.
fn extent(text: &Text<'_>, units: &[Unit], run: Range<usize>) -> Range<usize> {
    let source = text.source();
    let first = units[run.start].start;
    // Indentation goes with its line.
    let line = text.start(text.line_of(first));
    let start = if source[line..first].trim_ascii().is_empty() { line } else { first };
    let next = units.get(run.end).map_or(source.len(), |unit| unit.start);
    let next_line = text.start(text.line_of(next));
    let behind = match source.get(next_line..next) {
        Some(indent) if next < source.len() && indent.trim_ascii().is_empty() => next_line,
        _ => next,
    };
    let whole = |at: usize| at == source.len() || text.is_start(at);
    if text.is_start(start) && whole(behind) {
        return start..behind;
    }
    start..units[run.end - 1].end
}

fn elision(text: &Text<'_>, range: Range<usize>) -> Op {
    let source = text.source();
    let lines = text.is_start(range.start) && (range.end == source.len() || text.is_start(range.end));
    let (unit, first, last) = if lines {
        (Counted::Lines, text.line_of(range.start) + 1, text.line_of(range.end - 1) + 1)
    } else {
        (Counted::Bytes, range.start + 1, range.end)
    };
    let behind = if lines && source[..range.end].ends_with('\n') { "\n" } else { "" };
    let note = String::new();
    Op::Elide { range, original: 0..source.len(), unit, first, last, note, frame: ("", behind) }
}

fn reduction(source: &str, ops: Vec<Op>) -> Reduction {
    Reduction { segments: vec![Segment { range: 0..source.len(), codec: Arc::new(ProseCodec), ops }] }
}

#[cfg(test)]
mod tests;
