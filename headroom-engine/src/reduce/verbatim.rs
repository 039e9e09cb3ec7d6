use super::{Codec, DecodeError, Equality, Piece};
use crate::ccr::{Marker, marker};

/// Source text with markers in it: the grammar of everything that keeps lines as they are.
///
/// A marker may be followed by one newline that belongs to it (its frame), which is how a whole
/// line is left out; text that follows on the same line follows directly.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verbatim;

impl Codec for Verbatim {
    fn equality(&self) -> Equality {
        Equality::Bytes
    }

    fn escape(&self, kept: &str, out: &mut String) {
        marker::escape(kept, out);
    }

    fn decode<'a>(&self, text: &'a str, sink: &mut dyn FnMut(Piece<'a>)) -> Result<(), DecodeError> {
        let mut rest = text;
        while let Some(at) = bare_introducer(rest) {
            emit(&rest[..at], sink)?;
            let (marker, length) = Marker::parse_prefix(&rest[at..]).ok_or(DecodeError("a broken marker"))?;
            rest = &rest[at + length..];
            // A marker on a line of its own carries the newline of its frame.
            rest = rest.strip_prefix('\n').unwrap_or(rest);
            sink(Piece::Hidden(marker));
        }
        emit(rest, sink)
    }
}

fn emit<'a>(text: &'a str, sink: &mut dyn FnMut(Piece<'a>)) -> Result<(), DecodeError> {
    let text = marker::unescape(text).ok_or(DecodeError("a bare introducer"))?;
    if !text.is_empty() {
        sink(Piece::Text(text));
    }
    Ok(())
}

/// The first `[~` that is not escaped by a second tilde.
fn bare_introducer(text: &str) -> Option<usize> {
    marker::introducers(text).find(|at| text.as_bytes().get(at + marker::INTRODUCER.len()) != Some(&b'~'))
}
