//! The grammar of what the DiffCompressor writes, and its reader.
//!
//! ```text
//! [~git index 1f2e3d..4c5b6a 100644]    the two lines `diff --git a/x b/x` and `index ...`, named by
//! --- a/x                               the two lines that follow
//! +++ b/x
//! +[~a:]license: MIT                    a text, named
//! +  [~a]                               the text again
//! [~lines 57-98: +3 -2 #...]            a marker: those lines are left out
//! ```
//!
//! Every other line is the source's own. It decodes byte for byte, markers aside.

use std::borrow::Cow;

use super::super::names::{LineReader, is_ours};
use crate::{
    ccr::marker,
    reduce::{Codec, DecodeError, Equality, Piece},
};

/// What the header of a file becomes: see the module.
pub(super) const GIT: &str = "[~git index ";

/// Reads and escapes the grammar above.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DiffCodec;

impl Codec for DiffCodec {
    fn equality(&self) -> Equality {
        Equality::Bytes
    }

    fn escape(&self, kept: &str, out: &mut String) {
        marker::escape(kept, out);
    }

    fn decode<'a>(&self, text: &'a str, sink: &mut dyn FnMut(Piece<'a>)) -> Result<(), DecodeError> {
        let mut reader = LineReader::new(sink);
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(header) = rest.strip_prefix(GIT) {
                rest = git(header, &mut *reader.sink).ok_or(DecodeError("a broken file header"))?;
            } else if is_ours(rest) {
                rest = reader.marker(rest)?;
            } else {
                rest = reader.line(rest)?;
            }
        }
        Ok(())
    }
}

/// Emits the two lines that stand for `header`, and returns what follows it.
fn git<'a>(header: &'a str, sink: &mut dyn FnMut(Piece<'a>)) -> Option<&'a str> {
    let (index, rest) = header.split_once("]\n")?;
    let (old, below) = rest.strip_prefix("--- ")?.split_once('\n')?;
    let new = below.strip_prefix("+++ ")?.split('\n').next()?;
    for part in [
        Cow::Borrowed("diff --git "),
        marker::unescape(old)?,
        Cow::Borrowed(" "),
        marker::unescape(new)?,
        Cow::Borrowed("\nindex "),
        marker::unescape(index)?,
        Cow::Borrowed("\n"),
    ] {
        sink(Piece::Text(part));
    }
    Some(rest)
}
