//! Colours: taken off search output where they follow from its structure, and put back.
//!
//! Tools paint paths, numbers, separators and matches always alike. What is written in front of
//! each is said once, on the first line; what is matched is painted wherever it stands:
//!
//! ```text
//! [~colors A|B|C|D|E|F|G|M|N|word]
//! path:12:a word            ApathB:C12D:EaM wordN         (F path G above its lines)
//! ```
//!
//! A line that still holds an escape is the source's own.

use std::{borrow::Cow, ops::Range, sync::Arc};

use super::{
    codec::SearchCodec,
    line::{is_heading, lines, numbered, place},
};
use crate::{
    ccr::marker,
    reduce::{Codec, DecodeError, Equality, Op, Piece, Verbatim},
};

const ESCAPE: u8 = 0x1b;
const START: &str = "[~colors ";
/// How many boundaries a palette has, and how many words at most.
const BOUNDARIES: usize = 9;
const WORDS: usize = 8;

/// What stands in front of the parts of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Palette<'a> {
    /// Path, separator, number, separator, text; a heading and its end; a match and its end.
    before: [&'a str; BOUNDARIES],
    words: Vec<&'a str>,
}

/// Whether `text` holds an escape.
pub(super) fn is_painted(text: &str) -> bool {
    memchr::memchr(ESCAPE, text.as_bytes()).is_some()
}

/// `text` without colours.
pub(super) fn bare(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    strokes(text, &mut |plain, _| out.push_str(plain));
    out
}

/// Search output without its colours, and the way back.
#[derive(Debug)]
pub(super) struct Painted<'a> {
    source: &'a str,
    palette: Palette<'a>,
    pub(super) plain: String,
    /// Where lines start: in `plain`, and in the source.
    starts: Vec<(usize, usize)>,
}

impl<'a> Painted<'a> {
    /// `None` where the colours do not follow from the structure.
    pub(super) fn new(source: &'a str) -> Option<Self> {
        let palette = Palette::learn(source)?;
        let mut plain = String::with_capacity(source.len() / 2);
        let mut starts = Vec::new();
        let (mut bared, mut raw) = (0usize, 0usize);
        let mut again = String::new();
        for range in lines(source) {
            let line = &source[range.clone()];
            starts.push((plain.len(), range.start));
            let start = plain.len();
            strokes(line, &mut |text, _| plain.push_str(text));
            again.clear();
            palette.paint(&plain[start..], &mut again);
            if again == line {
                bared += usize::from(line.len() > plain.len() - start);
                continue;
            }
            if !is_painted(line) {
                return None;
            }
            raw += 1;
            plain.truncate(start);
            plain.push_str(line);
        }
        starts.push((plain.len(), source.len()));
        (raw * 4 < bared).then_some(Self { source, palette, plain, starts })
    }

    /// The operations `ops` on the plain text as operations on the source.
    pub(super) fn ops(&self, codec: &dyn Codec, ops: Vec<Op>) -> Option<Vec<Op>> {
        let mut out = vec![Op::Rewrite { range: 0..0, text: self.palette.to_line() }];
        for op in ops {
            out.push(match op {
                Op::Keep(range) => {
                    let mut text = String::new();
                    codec.escape(&self.plain[range.clone()], &mut text);
                    Op::Rewrite { range: self.place(&range)?, text }
                }
                Op::Rewrite { range, text } => Op::Rewrite { range: self.place(&range)?, text },
                Op::Elide { range, unit, first, last, note, frame, .. } => Op::Elide {
                    range: self.place(&range)?,
                    original: 0..self.source.len(),
                    unit,
                    first,
                    last,
                    note,
                    frame,
                },
            });
        }
        Some(out)
    }

    fn place(&self, range: &Range<usize>) -> Option<Range<usize>> {
        let at = |plain: usize| {
            let found = self.starts.binary_search_by_key(&plain, |(plain, _)| *plain).ok()?;
            Some(self.starts[found].1)
        };
        Some(at(range.start)?..at(range.end)?)
    }
}

/// Calls `each` with the stretches of `text` between escapes, and the escapes in front of each.
fn strokes<'a>(text: &'a str, each: &mut dyn FnMut(&'a str, &'a str)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        while let Some(length) = sequence(&bytes[at..]) {
            at += length;
        }
        let end = (at..bytes.len())
            .find(|at| bytes[*at] == ESCAPE && sequence(&bytes[*at..]).is_some())
            .unwrap_or(bytes.len());
        each(&text[at..end], &text[start..at]);
        at = end;
    }
}

/// The length of `ESC [ ... m` or `ESC [ K` at the start of `bytes`.
fn sequence(bytes: &[u8]) -> Option<usize> {
    let inner = bytes.strip_prefix(b"\x1b[")?;
    let digits = inner.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b';').count();
    matches!(inner.get(digits), Some(b'm' | b'K')).then_some(digits + 3)
}

impl<'a> Palette<'a> {
    /// Reads the colours off the first lines that show them, and collects the words matched.
    fn learn(source: &'a str) -> Option<Self> {
        let mut palette = Self::default();
        let (mut headings, mut hits) = (false, false);
        for range in lines(source) {
            let line = source[range].trim_end_matches(['\n', '\r']);
            if !is_painted(line) {
                continue;
            }
            let mut plain = String::with_capacity(line.len());
            let mut at: Vec<(usize, &'a str, &'a str)> = Vec::new();
            strokes(line, &mut |text, before| {
                at.push((plain.len(), before, text));
                plain.push_str(text);
            });
            let before = |place: usize| {
                at.iter()
                    .find(|(start, before, _)| *start == place && !before.is_empty())
                    .map_or("", |(_, before, _)| *before)
            };
            let Some((path, number)) = parts(&plain) else {
                if !headings && is_heading(&plain) {
                    (palette.before[5], palette.before[6]) = (before(0), before(plain.len()));
                    headings = true;
                }
                continue;
            };
            let behind: Vec<&(usize, &'a str, &'a str)> =
                at.iter().filter(|(start, before, _)| *start > number + 1 && !before.is_empty()).collect();
            if behind.len().is_multiple_of(2) && !hits {
                palette.before[0] = before(0);
                if path > 0 {
                    (palette.before[1], palette.before[2]) = (before(path), before(path + 1));
                }
                (palette.before[3], palette.before[4]) = (before(number), before(number + 1));
                hits = true;
            }
            if let [first, last, ..] = behind[..]
                && behind.len().is_multiple_of(2)
                && palette.before[7].is_empty()
            {
                (palette.before[7], palette.before[8]) = (first.1, last.1);
            }
            for (_, before, text) in &at {
                let matched = !palette.before[7].is_empty() && before.ends_with(palette.before[7]);
                if matched && !text.is_empty() && !palette.words.contains(text) && palette.words.len() < WORDS
                {
                    palette.words.push(text);
                }
            }
        }
        let plain = palette.before.iter().chain(&palette.words).all(|part| !part.contains(['|', ']', '\n']));
        (hits && plain).then_some(palette)
    }

    fn to_line(&self) -> String {
        let parts: Vec<&str> = self.before.iter().chain(&self.words).copied().collect();
        format!("{START}{}]\n", parts.join("|"))
    }

    fn read(line: &'a str) -> Option<Self> {
        let mut parts = line.strip_prefix(START)?.strip_suffix(']')?.split('|');
        let mut before = [""; BOUNDARIES];
        for before in &mut before {
            *before = parts.next()?;
        }
        Some(Self { before, words: parts.collect() })
    }

    /// Writes `line` in its colours.
    fn paint(&self, line: &str, out: &mut String) {
        let body = line.trim_end_matches(['\n', '\r']);
        let end = &line[body.len()..];
        let [path, separator, number, behind, text, heading, over, ..] = self.before;
        if is_painted(line) {
            out.push_str(line);
        } else if let Some((path_end, number_end)) = parts(body) {
            out.push_str(path);
            if path_end > 0 {
                for part in [&body[..path_end], separator, &body[path_end..=path_end], number] {
                    out.push_str(part);
                }
            }
            let digits = if path_end > 0 { path_end + 1 } else { 0 };
            for part in [&body[digits..number_end], behind, &body[number_end..=number_end], text] {
                out.push_str(part);
            }
            let is_match = body.as_bytes()[number_end] == b':';
            self.matches(&body[number_end + 1..], is_match, out);
            out.push_str(end);
        } else if is_heading(body) {
            for part in [heading, body, over, end] {
                out.push_str(part);
            }
        } else {
            out.push_str(line);
        }
    }

    /// Writes `text` with every word in it painted, from the left, the longer of two at one place.
    fn matches(&self, text: &str, is_match: bool, out: &mut String) {
        let mut words: Vec<(&str, Option<usize>)> = self.words.iter().map(|word| (*word, Some(0))).collect();
        words.retain(|(word, _)| is_match && !word.is_empty());
        let mut from = 0;
        for (word, next) in &mut words {
            *next = text.find(*word);
        }
        loop {
            for (word, next) in words.iter_mut().filter(|(_, next)| next.is_some_and(|next| next < from)) {
                *next = text[from..].find(*word).map(|at| from + at);
            }
            let found = words.iter().filter_map(|(word, next)| Some((*next.as_ref()?, *word)));
            let Some((at, word)) = found.min_by_key(|(at, word)| (*at, std::cmp::Reverse(word.len()))) else {
                break;
            };
            for part in [&text[from..at], self.before[7], word, self.before[8]] {
                out.push_str(part);
            }
            from = at + word.len();
        }
        out.push_str(&text[from..]);
    }
}

/// Where path and number of a hit end; a line under a heading has no path.
fn parts(line: &str) -> Option<(usize, usize)> {
    match numbered(line) {
        Some((end, _)) if end > 0 && !line[..end].contains(',') => Some((0, end)),
        _ => place(line),
    }
}

/// Reads what `inner` reads, and paints it.
#[derive(Clone, Debug)]
pub(super) struct PaintCodec {
    inner: Arc<dyn Codec>,
}

impl PaintCodec {
    pub(super) fn new(is_headed: bool) -> Self {
        Self { inner: if is_headed { Arc::new(Verbatim) } else { Arc::new(SearchCodec) } }
    }

    pub(super) fn inner(&self) -> &dyn Codec {
        &*self.inner
    }
}

impl Codec for PaintCodec {
    fn equality(&self) -> Equality {
        Equality::Bytes
    }

    fn escape(&self, kept: &str, out: &mut String) {
        marker::escape(kept, out);
    }

    fn decode<'a>(&self, text: &'a str, sink: &mut dyn FnMut(Piece<'a>)) -> Result<(), DecodeError> {
        let (first, text) = text.split_once('\n').ok_or(DecodeError("no colors"))?;
        let palette = Palette::read(first).ok_or(DecodeError("broken colors"))?;
        let mut line = String::new();
        let flush = |line: &mut String, sink: &mut dyn FnMut(Piece<'a>)| {
            let mut painted = String::with_capacity(2 * line.len());
            palette.paint(line, &mut painted);
            line.clear();
            if !painted.is_empty() {
                sink(Piece::Text(Cow::Owned(painted)));
            }
        };
        self.inner.decode(text, &mut |piece| match piece {
            Piece::Text(text) => {
                for part in text.split_inclusive('\n') {
                    line.push_str(part);
                    if part.ends_with('\n') {
                        flush(&mut line, sink);
                    }
                }
            }
            hidden @ Piece::Hidden(_) => {
                flush(&mut line, sink);
                sink(hidden);
            }
        })?;
        flush(&mut line, sink);
        Ok(())
    }
}
