//! Reads references back.

use std::sync::Arc;

use super::{
    Earlier, Here, Reference,
    gutter::Gutter,
    reference::{bare_introducer, escape, unescape},
};
use crate::reduce::{Codec, DecodeError, Equality, Piece};

/// Source text with references in it: reads the lines they point at from earlier results.
#[derive(Clone, Debug)]
pub struct Repeats {
    earlier: Vec<Arc<Earlier>>,
}

impl Repeats {
    /// References into these results.
    pub fn new(earlier: impl IntoIterator<Item = Arc<Earlier>>) -> Self {
        Self { earlier: earlier.into_iter().collect() }
    }

    fn resolve(&self, reference: &Reference, last: &mut Option<Arc<Earlier>>) -> Result<String, DecodeError> {
        if let Some(place) = reference.of {
            *last = self.earlier.iter().find(|earlier| earlier.place() == place).cloned();
        }
        let earlier = last.as_ref().ok_or(DecodeError("a reference to nothing"))?;
        let Some((first, end)) = reference.lines else { return Ok(earlier.text().to_owned()) };
        let lines = earlier.numbered(first, end).ok_or(DecodeError("a reference to no lines"))?;
        let styled = match &reference.here {
            Here::Styled(gutter) => Gutter::of(gutter).map(|(style, number, _)| (style, number)),
            Here::From(number) => earlier.gutter(lines.start).map(|style| (style, *number)),
            Here::Same | Here::Bare => None,
        };
        if styled.is_none() && matches!(reference.here, Here::Styled(_) | Here::From(_)) {
            return Err(DecodeError("a reference to lines without numbers"));
        }
        let mut out = String::new();
        for (at, line) in lines.enumerate() {
            if at > 0 {
                out.push('\n');
            }
            match styled {
                Some((style, number)) => {
                    style.write(number + at, &mut out);
                    out.push_str(earlier.bare(line));
                }
                None if reference.here == Here::Bare => out.push_str(earlier.bare(line)),
                None => out.push_str(earlier.line(line)),
            }
        }
        Ok(out)
    }
}

impl Codec for Repeats {
    fn equality(&self) -> Equality {
        Equality::Bytes
    }

    fn escape(&self, kept: &str, out: &mut String) {
        escape(kept, out);
    }

    fn decode<'a>(&self, text: &'a str, sink: &mut dyn FnMut(Piece<'a>)) -> Result<(), DecodeError> {
        let kept = |text: &'a str, sink: &mut dyn FnMut(Piece<'a>)| {
            let text = unescape(text).ok_or(DecodeError("a bare introducer"))?;
            if !text.is_empty() {
                sink(Piece::Text(text));
            }
            Ok(())
        };
        let mut last = None;
        let mut rest = text;
        while let Some(at) = bare_introducer(rest) {
            kept(&rest[..at], sink)?;
            let (reference, length) =
                Reference::parse_prefix(&rest[at..]).ok_or(DecodeError("a broken reference"))?;
            sink(Piece::Text(self.resolve(&reference, &mut last)?.into()));
            rest = &rest[at + length..];
        }
        kept(rest, sink)
    }
}
