use std::ops::Range;

use super::{Op, Reduction};
use crate::ccr::{Handle, HandleKey, Marker};

/// A reduction as text, and what it left out.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// What the model reads.
    pub text: String,
    /// Every elided range, in source order.
    pub hidden: Vec<Hidden>,
    /// Where each segment of the reduction lies in `text`.
    pub segments: Vec<Range<usize>>,
}

/// An elided range of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    /// What is not visible.
    pub range: Range<usize>,
    /// The part of the source that `handle` redeems.
    pub original: Range<usize>,
    /// What redeems it.
    pub handle: Handle,
    /// Where the marker stands in the rendered text.
    pub marker: Range<usize>,
}

/// Turns a reduction of `source` into text. The only place that writes markers.
///
/// The handle is written out by the first marker of an original and left to it by the markers that
/// follow directly.
///
/// # Panics
/// If a range of `reduction` is not a range of `source` on character boundaries; the engine
/// catches it and keeps the block as it was.
#[must_use]
pub fn render(source: &str, reduction: &Reduction, kind: &str, key: &HandleKey) -> Rendered {
    let mut text = String::with_capacity(source.len() / 2);
    let mut hidden = Vec::new();
    let mut segments = Vec::with_capacity(reduction.segments.len());
    let mut last: Option<(Range<usize>, Handle)> = None;
    for segment in &reduction.segments {
        let start = text.len();
        for op in &segment.ops {
            match op {
                Op::Keep(range) => segment.codec.escape(&source[range.clone()], &mut text),
                Op::Rewrite { text: rewritten, .. } => text.push_str(rewritten),
                Op::Elide { range, original, unit, first, last: end, note, frame } => {
                    let known = last.as_ref().filter(|(of, _)| of == original).map(|(_, handle)| *handle);
                    let handle = known.unwrap_or_else(|| Handle::new(key, kind, &source[original.clone()]));
                    let marker = Marker::new(*unit, *first, *end, note, known.is_none().then_some(handle));
                    text.push_str(frame.0);
                    let at = text.len();
                    text.push_str(&marker.to_string());
                    hidden.push(Hidden {
                        range: range.clone(),
                        original: original.clone(),
                        handle,
                        marker: at..text.len(),
                    });
                    text.push_str(frame.1);
                    last = Some((original.clone(), handle));
                }
            }
        }
        segments.push(start..text.len());
    }
    Rendered { text, hidden, segments }
}
