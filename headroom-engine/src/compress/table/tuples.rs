//! Lists of tuples as Python prints them.

use super::{
    find::MIN_ROWS,
    sheet::{MAX_COLUMNS, Read, Sheet},
    style::{Slot, Style, Word},
};

/// Brackets in brackets up to this depth.
const MAX_DEPTH: usize = 32;

/// The lists of tuples in `source`, each at the end of its line.
pub(super) fn sheets(source: &str) -> Vec<Sheet<'_>> {
    let mut sheets: Vec<Sheet<'_>> = Vec::new();
    let mut from = 0;
    while let Some(at) = memchr::memmem::find(&source.as_bytes()[from..], b"[(") {
        let start = from + at;
        let (found, next) = list(source, start);
        sheets.extend(found);
        from = next.max(start + 2);
    }
    sheets
}

/// The list that begins at `start`, if it is one of tuples of one length, and how far it was read.
fn list(source: &str, start: usize) -> (Option<Sheet<'_>>, usize) {
    let bytes = source.as_bytes();
    let mut read: Vec<Read<'_>> = Vec::new();
    let mut wrapped = None;
    let mut at = start + 1;
    loop {
        let Some((cells, end)) = tuple(source, at) else { return (None, at) };
        let rest = &bytes[end..];
        let (separator, last) = match rest {
            [b']', ..] => (1, true),
            [b',', b' ', b'(', ..] if wrapped != Some(true) => (2, false),
            [b',', b'\n', b' ', b'(', ..] if wrapped != Some(false) => (3, false),
            _ => return (None, end),
        };
        read.push(Read { range: at..end + separator, cells });
        at = end + separator;
        if last {
            break;
        }
        wrapped = Some(separator == 3);
    }
    let closed = matches!(bytes.get(at), None | Some(b'\n' | b'\r'));
    if !closed || read.len() < MIN_ROWS {
        return (None, at);
    }
    let columns = read[0].cells.len();
    if !(1..=MAX_COLUMNS).contains(&columns) {
        return (None, at);
    }
    let mut style = Style::new(Word::Tuples);
    style.long_ends = wrapped == Some(true);
    let slots = vec![Slot::default(); columns];
    (Sheet::new(source, style, slots, start, None, 0, read), at)
}

/// The cells of the tuple at `at`, and where it ends.
fn tuple(source: &str, at: usize) -> Option<(Vec<&str>, usize)> {
    let bytes = source.as_bytes();
    if bytes.get(at) != Some(&b'(') {
        return None;
    }
    let mut cells = Vec::new();
    let mut start = at + 1;
    let mut at = start;
    let mut depth = 0;
    loop {
        match bytes.get(at)? {
            b'\n' | b'\r' => return None,
            quote @ (b'\'' | b'"') => {
                at = string_end(bytes, at, *quote)?;
                continue;
            }
            b'(' | b'[' | b'{' if depth == MAX_DEPTH => return None,
            b'(' | b'[' | b'{' => depth += 1,
            b')' if depth == 0 => {
                // A comma behind the only cell.
                if start < at {
                    cells.push(&source[start..at]);
                }
                return Some((cells, at + 1));
            }
            b')' | b']' | b'}' => depth = usize::checked_sub(depth, 1)?,
            b',' if depth == 0 => {
                cells.push(&source[start..at]);
                if cells.len() > MAX_COLUMNS {
                    return None;
                }
                start = at + 1 + usize::from(bytes.get(at + 1) == Some(&b' '));
                at = start;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
}

/// Behind the quote that closes the string that opens at `at`.
fn string_end(bytes: &[u8], at: usize, quote: u8) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at += memchr::memchr3(quote, b'\\', b'\n', bytes.get(at..)?)?;
        match bytes[at] {
            b'\\' => at += 2,
            b'\n' => return None,
            _ => return Some(at + 1),
        }
    }
}
