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
//! 90:[~a:]goto fail;                    a text, named
//! 95:  [~a]                             src/hmac.c:95:  goto fail;
//! ```
//!
//! Where the output begins with [`BREAKS`], a line `--` stands between any two lines under paths
//! whose numbers or paths do not go on.
//!
//! Every other line is the source's own. It decodes byte for byte, markers aside.

use std::borrow::Cow;

use super::{
    super::names::{LineReader, is_ours},
    line::{lines, numbered},
};
use crate::{
    ccr::marker,
    reduce::{Codec, DecodeError, Equality, Piece},
};

/// What stands before a source line that would be read as one of ours.
const PLAIN: &str = "[~]";

/// Says that `--` is left out.
pub(super) const BREAKS: &str = "[~--]\n";

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
        let (breaks, text) = match text.strip_prefix(BREAKS) {
            Some(text) => (true, text),
            None => (false, text),
        };
        Reader { lines: LineReader::new(sink), breaks, path: None, last: None }.read(text)
    }
}

struct Reader<'s, 'a> {
    lines: LineReader<'s, 'a>,
    breaks: bool,
    path: Option<Cow<'a, str>>,
    /// The number of the line before, if that was under a path and its path still stands.
    last: Option<Option<&'a str>>,
}

impl<'a> Reader<'_, 'a> {
    fn read(&mut self, text: &'a str) -> Result<(), DecodeError> {
        let mut rest = text;
        while !rest.is_empty() {
            if is_ours(rest) {
                self.last = None;
                if let Some(line) = rest.strip_prefix(PLAIN) {
                    self.path = None;
                    rest = self.lines.line(line)?;
                    continue;
                }
                rest = self.lines.marker(rest)?;
            } else if let Some((end, separator)) = numbered(rest) {
                rest = self.hit(end, separator, rest)?;
            } else if let Some((heading, below)) = rest.split_once('\n')
                && heading != "--"
                && numbered(below).is_some()
            {
                self.path = Some(marker::unescape(heading).ok_or(DecodeError("a broken path"))?);
                self.last = self.last.map(|_| None);
                rest = below;
            } else {
                if !rest.starts_with("--\n") {
                    self.path = None;
                }
                self.last = None;
                rest = self.lines.line(rest)?;
            }
        }
        Ok(())
    }

    /// Emits the line under the path at the start of `rest`, once for each of its numbers.
    fn hit(&mut self, end: usize, separator: u8, rest: &'a str) -> Result<&'a str, DecodeError> {
        let path = self.path.clone().ok_or(DecodeError("a line without its path"))?;
        let separator = match separator {
            b':' => ":",
            b'-' => "-",
            _ => "=",
        };
        let (numbers, text) = rest.split_at(end);
        let mut after = text;
        for number in numbers.split(',') {
            if self.breaks && self.last.is_some_and(|last| !last.is_some_and(|last| goes_on(last, number))) {
                (self.lines.sink)(Piece::Text(Cow::Borrowed("--\n")));
            }
            self.last = Some(Some(number));
            (self.lines.sink)(Piece::Text(path.clone()));
            if end > 0 {
                (self.lines.sink)(Piece::Text(Cow::Borrowed(separator)));
                (self.lines.sink)(Piece::Text(Cow::Borrowed(number)));
            }
            after = self.lines.line(text)?;
        }
        Ok(after)
    }
}

/// Whether the line numbered `next` comes right behind the one numbered `last`.
pub(super) fn goes_on(last: &str, next: &str) -> bool {
    match (last.parse::<u64>(), next.parse::<u64>()) {
        (Ok(last), Ok(next)) => last.checked_add(1) == Some(next),
        _ => false,
    }
}
