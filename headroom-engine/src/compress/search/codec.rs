//! The grammar of what the SearchCompressor writes, and its reader.
//!
//! A line that starts with numbers and a separator (`:` matched, `-` near a match, `=` its
//! function) belongs to the path above it; several numbers share one text; a line that starts
//! with `:` has no number. The path stands on a line of its own, directly above the first:
//!
//! ```text
//! src/hmac.c
//! 66-  if(keylen > max)                 src/hmac.c-66-  if(keylen > max)
//! 68,79:      goto fail;                src/hmac.c:68:      goto fail;  and the same at 79
//! [~lines 57-98: src/md5.c x3 #...]     a marker: those lines are left out
//! [~]12:30 and no hit                   12:30 and no hit
//! ```
//!
//! Every other line is the source's own. It decodes byte for byte, markers aside.

use std::borrow::Cow;

use super::line::{lines, numbered};
use crate::{
    ccr::{Marker, marker},
    reduce::{Codec, DecodeError, Equality, Piece},
};

/// What stands before a source line that would be read as one of ours.
const PLAIN: &str = "[~]";

/// Reads and escapes the grammar above.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SearchCodec;

impl Codec for SearchCodec {
    fn equality(&self) -> Equality {
        Equality::Bytes
    }

    fn escape(&self, kept: &str, out: &mut String) {
        for range in lines(kept) {
            let line = &kept[range];
            if numbered(line).is_some() {
                out.push_str(PLAIN);
            }
            marker::escape(line, out);
        }
    }

    fn decode<'a>(&self, text: &'a str, sink: &mut dyn FnMut(Piece<'a>)) -> Result<(), DecodeError> {
        let mut path: Option<Cow<'a, str>> = None;
        let mut rest = text;
        while !rest.is_empty() {
            if is_ours(rest) {
                if let Some(line) = rest.strip_prefix(PLAIN) {
                    rest = plain(line, sink)?;
                    path = None;
                    continue;
                }
                let (marker, length) = Marker::parse_prefix(rest).ok_or(BROKEN)?;
                rest = rest[length..].strip_prefix('\n').ok_or(BROKEN)?;
                sink(Piece::Hidden(marker));
            } else if let Some((end, separator)) = numbered(rest) {
                let path = path.as_ref().ok_or(DecodeError("a line without its path"))?;
                rest = hit(path, end, separator, rest, sink)?;
            } else if let Some((heading, below)) = rest.split_once('\n')
                && heading != "--"
                && numbered(below).is_some()
            {
                path = Some(marker::unescape(heading).ok_or(BROKEN)?);
                rest = below;
            } else {
                if !rest.starts_with("--\n") {
                    path = None;
                }
                rest = plain(rest, sink)?;
            }
        }
        Ok(())
    }
}

const BROKEN: DecodeError = DecodeError("a broken marker");

/// Whether `text` begins with something that is not source text.
fn is_ours(text: &str) -> bool {
    text.starts_with(marker::INTRODUCER) && text.as_bytes().get(2) != Some(&b'~')
}

/// Emits the line under `path` at the start of `rest`, once for each of its numbers.
fn hit<'a>(
    path: &Cow<'a, str>,
    end: usize,
    separator: u8,
    rest: &'a str,
    sink: &mut dyn FnMut(Piece<'a>),
) -> Result<&'a str, DecodeError> {
    let separator = match separator {
        b':' => ":",
        b'-' => "-",
        _ => "=",
    };
    let (numbers, text) = rest.split_at(end);
    if end == 0 {
        sink(Piece::Text(path.clone()));
        return plain(text, sink);
    }
    let mut after = text;
    for number in numbers.split(',') {
        for part in [path.clone(), Cow::Borrowed(separator), Cow::Borrowed(number)] {
            sink(Piece::Text(part));
        }
        after = plain(text, sink)?;
    }
    Ok(after)
}

/// Emits the line at the start of `rest`, with what is left out within it, and returns what
/// follows.
fn plain<'a>(rest: &'a str, sink: &mut dyn FnMut(Piece<'a>)) -> Result<&'a str, DecodeError> {
    let end = memchr::memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |at| at + 1);
    let (mut line, after) = rest.split_at(end);
    while let Some(at) = bare_introducer(line) {
        emit(&line[..at], sink)?;
        let (marker, length) = Marker::parse_prefix(&line[at..]).ok_or(BROKEN)?;
        sink(Piece::Hidden(marker));
        line = &line[at + length..];
    }
    emit(line, sink)?;
    Ok(after)
}

fn emit<'a>(text: &'a str, sink: &mut dyn FnMut(Piece<'a>)) -> Result<(), DecodeError> {
    if !text.is_empty() {
        sink(Piece::Text(marker::unescape(text).ok_or(BROKEN)?));
    }
    Ok(())
}

/// The first `[~` that is not escaped by a second tilde.
fn bare_introducer(text: &str) -> Option<usize> {
    memchr::memmem::find_iter(text.as_bytes(), marker::INTRODUCER).find(|at| is_ours(&text[*at..]))
}
