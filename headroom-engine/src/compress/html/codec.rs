//! The grammar of what the HtmlCompressor writes, and its reader.
//!
//! ```text
//! [~a=</td><td class="x">]   tags, which are called `a` from here on
//! [~a]                       the same tags again
//! [~bytes 90-120 #...]       a marker: those bytes are left out
//! ```
//!
//! Everything else is the source's own text. It decodes byte for byte, markers aside.

use std::{borrow::Cow, collections::HashMap};

use crate::{
    ccr::{Marker, marker},
    reduce::{Codec, DecodeError, Equality, Piece},
};

/// Reads and escapes the grammar above.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HtmlCodec;

const BROKEN: DecodeError = DecodeError("broken markup");

impl Codec for HtmlCodec {
    fn equality(&self) -> Equality {
        Equality::Bytes
    }

    fn escape(&self, kept: &str, out: &mut String) {
        marker::escape(kept, out);
    }

    fn decode<'a>(&self, text: &'a str, sink: &mut dyn FnMut(Piece<'a>)) -> Result<(), DecodeError> {
        let mut names: HashMap<&str, &str> = HashMap::new();
        let mut rest = text;
        while !rest.is_empty() {
            let ours = marker::introducers(rest).find(|at| rest.as_bytes().get(at + 2) != Some(&b'~'));
            let (plain, behind) = rest.split_at(ours.unwrap_or(rest.len()));
            if !plain.is_empty() {
                sink(Piece::Text(marker::unescape(plain).ok_or(BROKEN)?));
            }
            rest = behind;
            if rest.is_empty() {
                break;
            }
            let letters = rest[2..].bytes().take_while(u8::is_ascii_lowercase).count();
            let (name, after) = rest[2..].split_at(letters);
            if let Some(tags) = after.strip_prefix('=') {
                let (tags, after) = tags.split_once(']').ok_or(BROKEN)?;
                names.insert(name, tags);
                sink(Piece::Text(Cow::Borrowed(tags)));
                rest = after;
            } else if let Some(after) = after.strip_prefix(']') {
                sink(Piece::Text(Cow::Borrowed(names.get(name).ok_or(BROKEN)?)));
                rest = after;
            } else {
                let (marker, length) = Marker::parse_prefix(rest).ok_or(BROKEN)?;
                sink(Piece::Hidden(marker));
                rest = &rest[length..];
            }
        }
        Ok(())
    }
}
