//! The grammar of what Kompress writes, and its reader.
//!
//! ```text
//! [~same 12]               the line above, 12 times more
//! [~then 8]                the 8 lines that followed the line above where it last stood before
//! [~a:]LINE                LINE, which is called `a` from here on
//! [~a]                     LINE again
//! [~lines 57-98 #...]      a marker: those lines are left out
//! One sentence. [~bytes 90-120] Another.
//! ```
//!
//! Everything else is the source's own text. It decodes byte for byte, markers aside.

use std::{borrow::Cow, cell::RefCell};

use super::super::{
    fold::History,
    names::{LineReader, is_ours},
};
use crate::{
    ccr::{Marker, marker},
    reduce::{Codec, DecodeError, Equality, Piece},
};

/// Reads and escapes the grammar above.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ProseCodec;

impl Codec for ProseCodec {
    fn equality(&self) -> Equality {
        Equality::Bytes
    }

    fn escape(&self, kept: &str, out: &mut String) {
        marker::escape(kept, out);
    }

    fn decode<'a>(&self, text: &'a str, sink: &mut dyn FnMut(Piece<'a>)) -> Result<(), DecodeError> {
        let history = RefCell::new(History::default());
        let mut both = |piece: Piece<'a>| {
            match &piece {
                Piece::Text(text) => history.borrow_mut().push(text),
                Piece::Hidden(_) => history.borrow_mut().clear(),
            }
            sink(piece);
        };
        let mut reader = LineReader::new(&mut both);
        let mut rest = text;
        while !rest.is_empty() {
            if let Some((word, count, after)) = repeat(rest) {
                let again = history.borrow_mut().read(word, count);
                let again = again.ok_or(DecodeError("a broken repeat"))?;
                (reader.sink)(Piece::Text(Cow::Owned(again)));
                rest = after;
            } else if is_ours(rest)
                && let Some((_, length)) = Marker::parse_prefix(rest)
                && rest.as_bytes().get(length) == Some(&b'\n')
            {
                rest = reader.marker(rest)?;
            } else {
                rest = reader.line(rest)?;
            }
        }
        Ok(())
    }
}

/// Reads a line such as `[~same 12]`: its word, its count, and what follows it.
fn repeat(text: &str) -> Option<(&str, &str, &str)> {
    if !text.starts_with("[~same ") && !text.starts_with("[~then ") {
        return None;
    }
    let (inner, after) = text.strip_prefix(marker::INTRODUCER)?.split_once("]\n")?;
    let (word, count) = inner.split_once(' ')?;
    count.bytes().all(|byte| byte.is_ascii_digit()).then_some((word, count, after))
}
