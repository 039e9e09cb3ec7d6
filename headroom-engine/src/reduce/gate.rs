use std::ops::Range;

use super::{Equality, Op, Piece, Reduction, Rendered, json, render};
use crate::{
    ccr::{HandleKey, Unit},
    tokens::TokenCounter,
};

/// The gate that every reduction passes: it renders, runs the decoder, and counts real tokens.
///
/// ```
/// use headroom_engine::{
///     ccr::HandleKey,
///     reduce::{Gate, Reduction, Refusal},
///     tokens::O200k,
/// };
/// let gate = Gate { counter: &O200k, key: &HandleKey::default() };
/// let source = "nothing is gained by keeping all of it";
/// let kept = Reduction::kept(0..source.len());
/// assert_eq!(gate.pass(source, None, "text", &kept).err(), Some(Refusal::NotSmaller));
/// assert_eq!(gate.pass(source, None, "text", &Reduction::kept(0..7)).err(), Some(Refusal::Untiled));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Gate<'a> {
    /// Counts both sides.
    pub counter: &'a dyn TokenCounter,
    /// Hashes handles.
    pub key: &'a HandleKey,
}

/// A reduction that the gate took.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// The text and what it hides.
    pub rendered: Rendered,
    /// Tokens of the source.
    pub tokens_in: usize,
    /// Tokens of the text, markers and legends included.
    pub tokens_out: usize,
}

/// Why the gate refused a reduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The ops do not tile the source.
    #[error("the operations do not tile the source")]
    Untiled,
    /// The decoder does not rebuild the source from the text.
    #[error("the output does not decode to the source")]
    Undecodable,
    /// The tokens do not shrink by at least max(8, 5 %).
    #[error("the output is not smaller by at least 8 tokens and 5 %")]
    NotSmaller,
}

/// The least that a replacement must save: max(8 tokens, 5 %), the never-worse law.
pub(crate) fn saves_enough(tokens_in: usize, tokens_out: usize) -> bool {
    tokens_out + tokens_in.div_ceil(20).max(8) <= tokens_in
}

impl Gate<'_> {
    /// Takes or refuses `reduction` as the replacement of `source`.
    ///
    /// # Errors
    /// The first reason to refuse it.
    ///
    /// # Panics
    /// As [`render`](super::render).
    pub fn pass(
        &self,
        source: &str,
        tokens_in: Option<usize>,
        kind: &str,
        reduction: &Reduction,
    ) -> Result<Accepted, Refusal> {
        if !tiles(source, reduction) {
            return Err(Refusal::Untiled);
        }
        let rendered = render(source, reduction, kind, self.key);
        if !decodes(source, reduction, &rendered) {
            return Err(Refusal::Undecodable);
        }
        // At least one token for every 8 bytes more, or it is not worth counting.
        if rendered.text.len() > source.len() + source.len() / 4 {
            return Err(Refusal::NotSmaller);
        }
        let tokens_in = tokens_in.unwrap_or_else(|| self.counter.count(source));
        let tokens_out = self.counter.count(&rendered.text);
        if !saves_enough(tokens_in, tokens_out) {
            return Err(Refusal::NotSmaller);
        }
        Ok(Accepted { rendered, tokens_in, tokens_out })
    }
}

fn tiles(source: &str, reduction: &Reduction) -> bool {
    let mut at = 0;
    for segment in &reduction.segments {
        if segment.range.start != at {
            return false;
        }
        for op in &segment.ops {
            let range = op.range();
            if range.start != at || range.end < at || !source.is_char_boundary(range.end) {
                return false;
            }
            at = range.end;
        }
        if segment.range.end != at {
            return false;
        }
    }
    at == source.len()
}

/// Runs each segment's decoder over its text and compares with the source, byte by byte or token
/// by token; a marker must account for exactly the op that it was written for.
fn decodes(source: &str, reduction: &Reduction, rendered: &Rendered) -> bool {
    let mut hidden = rendered.hidden.iter();
    let mut named = None;
    let mut lines = Lines::default();
    reduction.segments.iter().zip(&rendered.segments).all(|(segment, text)| {
        let equality = segment.codec.equality();
        let source = &source[..segment.range.end];
        let mut elided = segment.ops.iter().filter(|op| matches!(op, Op::Elide { .. }));
        let mut at = segment.range.start;
        let mut good = true;
        let read = segment.codec.decode(&rendered.text[text.clone()], &mut |piece| {
            if !good {
                return;
            }
            good = match piece {
                Piece::Text(decoded) => advance(equality, source, at, &decoded).map(|end| at = end).is_some(),
                Piece::Hidden(marker) => match (elided.next(), hidden.next()) {
                    (Some(Op::Elide { range, original, unit, first, last, .. }), Some(hidden)) => {
                        if equality == Equality::JsonTokens {
                            at = json::skip_white(source, at);
                        }
                        named = marker.handle().or(named);
                        let honest = (marker.unit(), marker.first(), marker.last()) == (*unit, *first, *last)
                            && named == Some(hidden.handle)
                            && original.start <= range.start
                            && range.end <= original.end
                            && numbers_fit(source, range, original, (*unit, *first, *last), &mut lines);
                        let here = at == range.start;
                        at = range.end;
                        honest && here
                    }
                    _ => false,
                },
            };
        });
        if equality == Equality::JsonTokens {
            at = json::skip_white(source, at);
        }
        read.is_ok() && good && at == segment.range.end && elided.next().is_none()
    })
}

fn advance(equality: Equality, source: &str, at: usize, decoded: &str) -> Option<usize> {
    match equality {
        Equality::Bytes => {
            source.as_bytes()[at..].starts_with(decoded.as_bytes()).then_some(at + decoded.len())
        }
        Equality::JsonTokens => json::advance(source, at, decoded),
    }
}

/// Whether a marker's numbers say what was left out, so that a retrieval by range returns it.
/// Items are the specialist's to number; lines and bytes can be checked here.
fn numbers_fit(
    source: &str,
    range: &Range<usize>,
    original: &Range<usize>,
    (unit, first, last): (Unit, usize, usize),
    lines: &mut Lines,
) -> bool {
    let before = range.start - original.start;
    match unit {
        Unit::Lines => {
            let inside = &source[range.clone()];
            let through = inside.strip_suffix('\n').unwrap_or(inside);
            lines.before(source, original.start, range.start) + 1 == first
                && first + newlines(through) == last
        }
        Unit::Bytes => before + 1 == first && before + range.len() == last,
        Unit::Items | Unit::Images => true,
    }
}

/// Counts the lines before the markers of one original, each line once: markers come in order.
#[derive(Default)]
struct Lines {
    original: usize,
    at: usize,
    count: usize,
}

impl Lines {
    /// How many lines end between `original` and `at`.
    fn before(&mut self, source: &str, original: usize, at: usize) -> usize {
        if self.original != original || at < self.at {
            *self = Self { original, at: original, count: 0 };
        }
        self.count += newlines(&source[self.at..at]);
        self.at = at;
        self.count
    }
}

fn newlines(text: &str) -> usize {
    memchr::memchr_iter(b'\n', text.as_bytes()).count()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Segment, Verbatim};
    use super::*;
    use crate::tokens::O200k;

    fn source() -> String {
        (1..=100).map(|n| format!("line {n} of the source says something\n")).collect()
    }

    fn elide(source: &str, range: Range<usize>, first: usize, last: usize) -> Reduction {
        let all = 0..source.len();
        Reduction {
            segments: vec![Segment {
                range: all.clone(),
                codec: Arc::new(Verbatim),
                ops: vec![
                    Op::Keep(0..range.start),
                    Op::Elide {
                        range: range.clone(),
                        original: all,
                        unit: Unit::Lines,
                        first,
                        last,
                        note: String::new(),
                        frame: ("", "\n"),
                    },
                    Op::Keep(range.end..source.len()),
                ],
            }],
        }
    }

    fn pass(source: &str, reduction: &Reduction) -> Result<Accepted, Refusal> {
        Gate { counter: &O200k, key: &HandleKey::default() }.pass(source, None, "text", reduction)
    }

    fn lines(source: &str, first: usize, last: usize) -> Range<usize> {
        let at = |line: usize| source.split_inclusive('\n').take(line).map(str::len).sum();
        at(first - 1)..at(last)
    }

    #[test]
    fn takes_an_honest_elision() {
        let source = source();
        let accepted = pass(&source, &elide(&source, lines(&source, 11, 90), 11, 90)).unwrap();
        assert!(accepted.rendered.text.contains("\n[~lines 11-90 #"));
        assert!(accepted.tokens_out < accepted.tokens_in / 4);
        assert_eq!(accepted.rendered.hidden[0].original, 0..source.len());
    }

    #[test]
    fn refuses_false_numbers_gaps_and_small_gains() {
        let source = source();
        let range = lines(&source, 11, 90);
        assert_eq!(pass(&source, &elide(&source, range.clone(), 11, 89)).unwrap_err(), Refusal::Undecodable);
        assert_eq!(pass(&source, &elide(&source, range.clone(), 10, 89)).unwrap_err(), Refusal::Undecodable);
        let mut gap = elide(&source, range, 11, 90);
        gap.segments[0].ops[0] = Op::Keep(0..3);
        assert_eq!(pass(&source, &gap).unwrap_err(), Refusal::Untiled);
        assert_eq!(
            pass(&source, &elide(&source, lines(&source, 11, 12), 11, 12)).unwrap_err(),
            Refusal::NotSmaller
        );
    }

    #[test]
    fn source_that_looks_like_a_marker_stays_text() {
        let source = format!("[~lines 1-2 #{}]\n{}", "1".repeat(30), source());
        let accepted = pass(&source, &elide(&source, lines(&source, 11, 90), 11, 90)).unwrap();
        assert!(accepted.rendered.text.starts_with("[~~lines 1-2"));
    }
}
