//! HtmlCompressor: pages, and other markup.
//!
//! The *exact* stage says tags that occur again once (`codec` has the grammar), or, where that
//! saves more, lines that occur again. The *elide* stage leaves out what no reader of the page sees
//! or looks for: scripts, style sheets, drawings, navigation, what stands beside the content,
//! banners that ask for consent, comments, references to other resources, and long attributes such
//! as embedded pictures. All text stays: headings, paragraphs, the texts of links, the cells of
//! tables.
//!
//! There is no tree: tags are found by one pass, and an element that nothing closes stays.

mod codec;
mod scan;

use std::sync::Arc;

use self::{
    codec::HtmlCodec,
    scan::{Kind, parts},
};
use super::{
    kompress::fold_lines,
    names::{Names, Spelling},
    weigh::weigh,
};
use crate::{
    ccr::{
        Unit,
        marker::{INTRODUCER, escape},
    },
    reduce::{Context, Hints, Op, Reducer, Reduction, Segment},
};

/// About the tokens of a marker: what is left out costs more.
const GAP: usize = 16;
/// Fewer tokens than these hidden in all are not worth a round trip.
const WORTH: usize = 60;
/// So many bytes are read to recognise markup.
const SAMPLE: usize = 16 << 10;

/// Pages and other markup.
///
/// ```
/// use headroom_engine::{compress::HtmlCompressor, reduce::{Hints, Reducer}};
/// assert!(HtmlCompressor.recognises("<!DOCTYPE html><html><body><p>Hello</p></body></html>", Hints::default()));
/// assert!(!HtmlCompressor.recognises("if a < b { f::<T>() }", Hints::default()));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct HtmlCompressor;

impl Reducer for HtmlCompressor {
    fn kind(&self) -> &'static str {
        "html"
    }

    fn recognises(&self, source: &str, _: Hints<'_>) -> bool {
        let body = source.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
        if !body.starts_with('<') {
            return false;
        }
        let head = &body[..body.floor_char_boundary(body.len().min(SAMPLE))];
        let start = head.get(..60).unwrap_or(head).to_ascii_lowercase();
        if ["<!doctype html", "<html", "<?xml"].iter().any(|known| start.starts_with(known)) {
            return true;
        }
        let parts = parts(head);
        let text: usize =
            parts.iter().filter(|(_, kind)| *kind == Kind::Text).map(|(range, _)| range.len()).sum();
        parts.len() >= 8 && text * 10 <= head.len() * 7
    }

    fn exact(&self, source: &str, _context: &Context<'_>) -> Option<Reduction> {
        let (ops, saved) = write(source, false);
        if let Some((lines, better)) = fold_lines(source)
            && better > saved
        {
            return Some(lines);
        }
        (saved >= 8).then(|| reduction(source, ops))
    }

    fn elide(&self, source: &str, context: &Context<'_>) -> Option<Reduction> {
        let (ops, _) = write(source, true);
        let hidden: usize = ops
            .iter()
            .filter(|op| matches!(op, Op::Elide { .. }))
            .map(|op| weigh(&source[op.range().clone()]))
            .sum();
        if hidden < WORTH { self.exact(source, context) } else { Some(reduction(source, ops)) }
    }
}

/// The operations for `source`, and about how many tokens names save in them.
fn write(source: &str, elide: bool) -> (Vec<Op>, usize) {
    let parts: Vec<_> = parts(source)
        .into_iter()
        .map(|(range, kind)| {
            let hidden = elide && kind == Kind::Unread && weigh(&source[range.clone()]) > GAP;
            let kind = if kind == Kind::Unread && !hidden { Kind::Text } else { kind };
            (range, kind)
        })
        .collect();
    let nameable = |text: &str| !text.contains([']']) && !text.contains(INTRODUCER);
    let tags = parts
        .iter()
        .filter(|(range, kind)| *kind == Kind::Tags && nameable(&source[range.clone()]))
        .map(|(range, _)| &source[range.clone()]);
    let mut names = Names::new(tags);
    let mut ops: Vec<Op> = Vec::new();
    let mut saved = 0;
    for (range, kind) in parts {
        let text = &source[range.clone()];
        let spelled = match kind {
            Kind::Tags => match names.spell(text) {
                Spelling::Whole => None,
                Spelling::Named(name) => Some(format!("[~{name}={text}]")),
                Spelling::Again(name) => {
                    saved += weigh(text).saturating_sub(3);
                    Some(format!("[~{name}]"))
                }
            },
            _ => None,
        };
        match (kind, spelled) {
            (Kind::Unread, _) => ops.push(Op::Elide {
                original: 0..source.len(),
                unit: Unit::Bytes,
                first: range.start + 1,
                last: range.end,
                note: String::new(),
                frame: ("", ""),
                range,
            }),
            (_, Some(written)) => match ops.last_mut() {
                Some(Op::Rewrite { range: last, text }) => {
                    last.end = range.end;
                    text.push_str(&written);
                }
                _ => ops.push(Op::Rewrite { range, text: written }),
            },
            (_, None) => match ops.last_mut() {
                Some(Op::Keep(last)) => last.end = range.end,
                // Short texts between named tags are written as one with them.
                Some(Op::Rewrite { range: last, text: written }) if !text.ends_with('[') => {
                    last.end = range.end;
                    escape(text, written);
                }
                _ => ops.push(Op::Keep(range)),
            },
        }
    }
    (ops, saved)
}

fn reduction(source: &str, ops: Vec<Op>) -> Reduction {
    Reduction { segments: vec![Segment { range: 0..source.len(), codec: Arc::new(HtmlCodec), ops }] }
}

#[cfg(test)]
mod tests;
