//! The grammar of what the CodeCompressor writes, and its reader.
//!
//! Lines stand as they are. A line with a bare `[~` is ours:
//!
//! ```text
//! [~from line 13, each numbered like "    13\t"]   the lines below had gutters, left out
//! [~20]                                            the next line is number 20
//! [~end]                                           the lines below had no gutter
//! [~again 12-20]                                   lines 12 to 20 of this text once more
//!     # [~lines 57-98 #...]                        a marker, in a comment of the language
//! ```
//!
//! It decodes byte for byte from the output alone, markers aside.

use std::borrow::Cow;

use super::view::Gutter;
use crate::{
    ccr::{Marker, marker},
    reduce::{Codec, DecodeError, Equality, Piece},
};

/// Lines between two numbers of a view.
pub(super) const NUMBERED: u32 = 5;
pub(super) const FROM: &str = "[~from line ";
pub(super) const LIKE: &str = ", each numbered like \"";
pub(super) const LIKE_END: &str = "\"]\n";
pub(super) const END: &str = "[~end]\n";
pub(super) const AGAIN: &str = "[~again ";

/// Reads and escapes the grammar above.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CodeCodec;

impl Codec for CodeCodec {
    fn equality(&self) -> Equality {
        Equality::Bytes
    }

    fn escape(&self, kept: &str, out: &mut String) {
        marker::escape(kept, out);
    }

    fn decode<'a>(&self, text: &'a str, sink: &mut dyn FnMut(Piece<'a>)) -> Result<(), DecodeError> {
        let mut reader = Reader { sink, gutter: None, next: None, lines: Vec::new(), whole: true };
        let mut rest = text;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |at| at + 1);
            let (line, after) = rest.split_at(end);
            reader.line(line)?;
            rest = after;
        }
        Ok(())
    }
}

const BROKEN: DecodeError = DecodeError("a broken line of ours");

struct Reader<'s, 'a> {
    sink: &'s mut dyn FnMut(Piece<'a>),
    gutter: Option<Gutter<'a>>,
    /// The number of the next line, where lines are numbered.
    next: Option<u32>,
    /// What was decoded, line by line.
    lines: Vec<Cow<'a, str>>,
    /// Nothing was left out so far, so that lines can be counted.
    whole: bool,
}

impl<'a> Reader<'_, 'a> {
    fn line(&mut self, line: &'a str) -> Result<(), DecodeError> {
        let bare = marker::introducers(line).find(|at| line.as_bytes().get(at + 2) != Some(&b'~'));
        if let Some(at) = bare {
            return self.ours(line, at);
        }
        if let (Some(number), Some(gutter)) = (self.next, self.gutter) {
            let mut text = String::with_capacity(line.len() + 8);
            gutter.write(number, &mut text);
            (self.sink)(Piece::Text(Cow::Owned(text)));
            self.next = number.checked_add(1);
        }
        let text = marker::unescape(line).ok_or(BROKEN)?;
        self.lines.push(text.clone());
        (self.sink)(Piece::Text(text));
        Ok(())
    }

    fn ours(&mut self, line: &'a str, at: usize) -> Result<(), DecodeError> {
        let text = &line[at..];
        if let Some((marker, length)) = Marker::parse_prefix(text) {
            let framed = matches!(line[..at].trim_ascii(), "" | "#" | "//");
            if !framed || !matches!(&text[length..], "" | "\n") {
                return Err(BROKEN);
            }
            (self.next, self.whole) = (None, false);
            (self.sink)(Piece::Hidden(marker));
            return Ok(());
        }
        let known = at == 0 && self.directive(text).is_some();
        if known { Ok(()) } else { Err(BROKEN) }
    }

    fn directive(&mut self, text: &'a str) -> Option<()> {
        if let Some(rest) = text.strip_prefix(FROM) {
            let (number, like) = rest.strip_suffix(LIKE_END)?.split_once(LIKE)?;
            let (gutter, written, end) = Gutter::read_whole(like)?;
            (end == like.len() && written.to_string() == number).then_some(())?;
            (self.gutter, self.next) = (Some(gutter), Some(written));
        } else if text == END {
            self.next = None;
        } else if let Some(rest) = text.strip_prefix(AGAIN) {
            let (first, last) = rest.strip_suffix("]\n")?.split_once('-')?;
            let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
            (self.whole && self.next.is_none()).then_some(())?;
            let again = self.lines.get(first.checked_sub(1)?..last)?.to_vec();
            for line in again {
                self.lines.push(line.clone());
                (self.sink)(Piece::Text(line));
            }
        } else {
            self.gutter?;
            self.next = Some(text.strip_prefix("[~")?.strip_suffix("]\n")?.parse().ok()?);
        }
        Some(())
    }
}
