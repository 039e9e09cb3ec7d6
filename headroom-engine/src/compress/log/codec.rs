//! The grammar of what the LogCompressor writes, and its reader.
//!
//! Source lines stand as they are. A line that begins with `[~` and something that is no tilde is
//! ours (look-alikes in the source have one tilde more, see [`marker::escape`]):
//!
//! ```text
//! [~same 12]               the line above, 12 times more
//! [~then 8]                the 8 lines that followed the line above where it last stood before
//! [~a:]LINE                LINE, which is called `a` from here on
//! [~a 18:03:52 _ ^.7]      `a` again, its numbers replaced in order; `_` and what is not given
//!                          stay as they are, `^.7` replaces the end, as many characters as it
//!                          has (a number is a slot, see `template`)
//! [~next 8: HEAD[~]TAIL]   each of the 8 lines below stands between HEAD and TAIL
//! [~before 60 from 7: HEAD[~]TAIL]
//!                          before each of the 60 lines below stands HEAD, a number and TAIL; the
//!                          number counts up from 7
//! [~paint 8: ^=SEQUENCE]   in the 8 lines below each `^` is that control sequence; more pairs may
//!                          follow, each behind a space
//! [~legend: ...]           says this to the reader; stands for nothing
//! [~lines 57-98 #...]      a marker: those lines are left out
//! ```
//!
//! Everything but the markers decodes byte for byte from the output alone.

use std::{borrow::Cow, collections::HashMap};

use super::{super::fold::History, paint::strip, template::slots};
use crate::{
    ccr::{Marker, marker},
    reduce::{Codec, DecodeError, Equality, Piece},
};

/// The reader's explanation of named lines.
pub(super) const LEGEND_NAMES: &str = "[~legend: [~a:] names a line; [~a 7 _ 9] is that line with its numbers replaced in order, _ unchanged]\n";

/// Reads and escapes the grammar above.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LogCodec;

impl Codec for LogCodec {
    fn equality(&self) -> Equality {
        Equality::Bytes
    }

    fn escape(&self, kept: &str, out: &mut String) {
        marker::escape(kept, out);
    }

    fn decode<'a>(&self, text: &'a str, sink: &mut dyn FnMut(Piece<'a>)) -> Result<(), DecodeError> {
        Reader { sink, history: History::default(), names: HashMap::new() }.read(text)
    }
}

/// The `at`-th name: `a` to `z`, then `aa` and on, three letters at most.
pub(super) fn name(at: usize) -> Option<String> {
    let mut left = at + 1;
    let mut letters = Vec::new();
    while left > 0 {
        left -= 1;
        letters.push(b'a' + (left % 26) as u8);
        left /= 26;
    }
    letters.reverse();
    if letters.len() > 3 {
        return None;
    }
    String::from_utf8(letters).ok()
}

struct Reader<'s, 'a> {
    sink: &'s mut dyn FnMut(Piece<'a>),
    history: History,
    names: HashMap<&'a str, Cow<'a, str>>,
}

const BROKEN: DecodeError = DecodeError("a broken log directive");

impl<'a> Reader<'_, 'a> {
    fn read(&mut self, text: &'a str) -> Result<(), DecodeError> {
        let mut rest = text;
        while !rest.is_empty() {
            if !is_ours(rest.as_bytes()) {
                let end = next_ours(rest);
                let plain = marker::unescape(&rest[..end]).ok_or(DecodeError("a bare introducer"))?;
                self.emit(plain);
                rest = &rest[end..];
                continue;
            }
            if let Some((marker, length)) = Marker::parse_prefix(rest) {
                rest = &rest[length..];
                rest = rest.strip_prefix('\n').unwrap_or(rest);
                self.history.clear();
                (self.sink)(Piece::Hidden(marker));
                continue;
            }
            let (line, after) = rest.split_once('\n').ok_or(BROKEN)?;
            rest = self.directive(line, after).ok_or(BROKEN)?;
        }
        Ok(())
    }

    /// Carries out the directive `line` and returns what is left to read of `rest`.
    fn directive(&mut self, line: &'a str, mut rest: &'a str) -> Option<&'a str> {
        let inner = &line[2..];
        if inner.starts_with("legend: ") {
            return Some(rest);
        }
        let length = inner.bytes().take_while(u8::is_ascii_lowercase).count();
        let (word, inner) = inner.split_at(length);
        if (1..=3).contains(&length) {
            if let Some(named) = inner.strip_prefix(":]") {
                let named = marker::unescape(named)?;
                self.names.insert(word, named.clone());
                self.emit(named);
                self.emit(Cow::Borrowed("\n"));
                return Some(rest);
            }
            let filled = fill(self.names.get(word)?, inner.strip_suffix(']')?)?;
            self.emit(Cow::Owned(filled));
            return Some(rest);
        }
        let inner = inner.strip_prefix(' ')?.strip_suffix(']')?;
        match word {
            "same" | "then" => {
                let again = self.history.read(word, inner)?;
                self.emit(Cow::Owned(again));
            }
            "next" => {
                let (count, frame) = inner.split_once(": ")?;
                let (head, tail) = frame.split_once("[~]")?;
                let (head, tail) = (marker::unescape(head)?, marker::unescape(tail)?);
                for _ in 0..count.parse::<usize>().ok()? {
                    let (body, after) = rest.split_once('\n')?;
                    self.emit(Cow::Owned(format!("{head}{}{tail}\n", marker::unescape(body)?)));
                    rest = after;
                }
            }
            "before" => {
                let (counts, frame) = inner.split_once(": ")?;
                let (count, first) = counts.split_once(" from ")?;
                let (head, tail) = frame.split_once("[~]")?;
                let (head, tail) = (marker::unescape(head)?, marker::unescape(tail)?);
                let first: u64 = first.parse().ok()?;
                for number in 0..count.parse::<u64>().ok()? {
                    let (body, after) = rest.split_once('\n')?;
                    self.emit(Cow::Owned(format!("{head}{}{tail}\n", first.checked_add(number)?)));
                    self.emit(Cow::Owned(format!("{}\n", marker::unescape(body)?)));
                    rest = after;
                }
            }
            "paint" => {
                let (count, pairs) = inner.split_once(": ")?;
                let mut palette = Vec::new();
                for pair in pairs.split(' ') {
                    let stand_in = pair.chars().next()?;
                    palette.push((stand_in, pair[stand_in.len_utf8()..].strip_prefix('=')?));
                }
                for _ in 0..count.parse::<usize>().ok()? {
                    let (body, after) = rest.split_once('\n')?;
                    self.emit(Cow::Owned(strip(&marker::unescape(body)?, &palette) + "\n"));
                    rest = after;
                }
            }
            _ => return None,
        }
        Some(rest)
    }

    fn emit(&mut self, text: Cow<'a, str>) {
        self.history.push(&text);
        if !text.is_empty() {
            (self.sink)(Piece::Text(text));
        }
    }
}

/// Whether `text` begins with something that is not source text.
fn is_ours(text: &[u8]) -> bool {
    text.starts_with(b"[~") && text.get(2) != Some(&b'~')
}

/// Where the next thing that is ours starts; the end of `text` if there is none.
fn next_ours(text: &str) -> usize {
    memchr::memmem::find_iter(text.as_bytes(), marker::INTRODUCER)
        .find(|at| is_ours(&text.as_bytes()[*at..]))
        .unwrap_or(text.len())
}

/// The line `named` with its slots replaced by `values` (each behind a space), and a newline.
fn fill(named: &str, values: &str) -> Option<String> {
    let mut values = match values.strip_prefix(' ') {
        Some(values) => values.split(' '),
        None if values.is_empty() => {
            return Some(format!("{named}\n"));
        }
        None => return None,
    };
    let mut line = String::with_capacity(named.len() + 8);
    let mut at = 0;
    for slot in slots(named) {
        let Some(value) = values.next() else { break };
        line.push_str(&named[at..slot.start]);
        let was = &named[slot.clone()];
        match value.strip_prefix('^') {
            Some(end) => {
                line.push_str(was.get(..was.len().checked_sub(end.len())?)?);
                line.push_str(end);
            }
            None => line.push_str(if value == "_" { was } else { value }),
        }
        at = slot.end;
    }
    line.push_str(&named[at..]);
    line.push('\n');
    values.next().is_none().then_some(line)
}
