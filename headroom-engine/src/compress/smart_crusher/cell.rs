//! Cells and headers: what a value looks like between two commas.

use super::tape::{is_literal, string_end};
use crate::reduce::DecodeError;

/// How a cell is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell<'t> {
    /// Nothing between two commas: the key is missing, or the column's default.
    Empty,
    /// A JSON literal.
    Json(&'t str),
    /// A string that needs no JSON quotes; between `'` or backticks, or not.
    Bare(&'t str),
}

/// Whether a string's inner text can stand without quotes. `text`: its column holds only strings.
pub(super) fn is_bare(inner: &str, text: bool) -> bool {
    let bytes = inner.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    !matches!(first, b'{' | b'[' | b'\'' | b'`' | b'=' | b' ')
        && *last != b' '
        && memchr::memchr3(b'"', b'\\', b',', bytes).is_none()
        && (text || !is_literal(inner))
}

/// The quote that a string's inner text can stand between inside a JSON string.
pub(super) fn quote_for(inner: &str) -> Option<char> {
    let bytes = inner.as_bytes();
    if memchr::memchr2(b'"', b'\\', bytes).is_some() {
        return None;
    }
    ['\'', '`'].into_iter().find(|quote| memchr::memchr(*quote as u8, bytes).is_none())
}

/// Reads the cell at the start of `text`; returns it with its length.
pub(super) fn read(text: &str) -> Result<(Cell<'_>, usize), DecodeError> {
    let bytes = text.as_bytes();
    let (cell, length) = match bytes.first() {
        None | Some(b',') => (Cell::Empty, 0),
        Some(b'"') => {
            let end = string_end(bytes, 0).ok_or(DecodeError("an open string"))?;
            (Cell::Json(&text[..end]), end)
        }
        Some(b'{' | b'[') => {
            let end = container_end(bytes).ok_or(DecodeError("an open container"))?;
            (Cell::Json(&text[..end]), end)
        }
        Some(quote @ (b'\'' | b'`')) => {
            let end = memchr::memchr(*quote, &bytes[1..]).ok_or(DecodeError("an open apostrophe"))?;
            (Cell::Bare(&text[1..=end]), end + 2)
        }
        Some(_) => {
            let end = memchr::memchr(b',', bytes).unwrap_or(bytes.len());
            let cell = &text[..end];
            (if is_literal(cell) { Cell::Json(cell) } else { Cell::Bare(cell) }, end)
        }
    };
    match bytes.get(length) {
        None | Some(b',') => Ok((cell, length)),
        Some(_) => Err(DecodeError("text behind a cell")),
    }
}

/// Reads the JSON string at the start of `text`; returns it with its length.
pub(super) fn read_key(text: &str) -> Result<(&str, usize), DecodeError> {
    let end = text.starts_with('"').then(|| string_end(text.as_bytes(), 0)).flatten();
    end.map(|end| (&text[..end], end)).ok_or(DecodeError("no key"))
}

/// The cells of a line.
pub(super) fn split<'t>(line: &'t str, cells: &mut Vec<Cell<'t>>) -> Result<(), DecodeError> {
    let mut rest = line;
    loop {
        let (cell, length) = read(rest)?;
        cells.push(cell);
        match rest[length..].strip_prefix(',') {
            Some(more) => rest = more,
            None => return Ok(()),
        }
    }
}

fn container_end(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0usize);
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = string_end(bytes, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

/// Whether a key's inner text can stand in a path without quotes.
pub(super) fn is_plain_key(inner: &str) -> bool {
    !inner.is_empty()
        && inner.bytes().all(is_plain_key_byte)
        && !inner.starts_with(' ')
        && !inner.ends_with(' ')
}

fn is_plain_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/' | b' ' | b'$') || !byte.is_ascii()
}

/// A column as its header describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heading<'t> {
    /// The keys that lead to the value, as inner texts of JSON strings; empty in a matrix.
    pub(super) path: Vec<&'t str>,
    pub(super) rule: Rule<'t>,
}

/// What a header says about a column's cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule<'t> {
    /// Each row has its own.
    Each { text: bool },
    /// All rows have this one.
    Constant(Cell<'t>),
    /// An empty cell means this one.
    Default(Cell<'t>),
    /// Row `i`, from 0, has `start + i * step`.
    Sequence { start: i64, step: i64 },
}

/// Reads a header line.
pub(super) fn headings(line: &str) -> Result<Vec<Heading<'_>>, DecodeError> {
    let mut headings = Vec::new();
    let mut rest = line;
    loop {
        let mut path = Vec::new();
        loop {
            let end = if rest.starts_with('"') {
                let end = string_end(rest.as_bytes(), 0).ok_or(DecodeError("an open key"))?;
                path.push(&rest[1..end - 1]);
                end
            } else {
                let end = rest.bytes().position(|byte| !is_plain_key_byte(byte)).unwrap_or(rest.len());
                if end > 0 {
                    path.push(&rest[..end]);
                }
                end
            };
            rest = &rest[end..];
            match rest.strip_prefix('.') {
                Some(more) => rest = more,
                None => break,
            }
        }
        let rule = if let Some(more) = rest.strip_prefix('=') {
            let (cell, length) = read(more)?;
            rest = &more[length..];
            Rule::Constant(cell)
        } else if let Some(more) = rest.strip_prefix("?=") {
            let (cell, length) = read(more)?;
            rest = &more[length..];
            Rule::Default(cell)
        } else if let Some(more) = rest.strip_prefix('@') {
            let end = memchr::memchr(b',', more.as_bytes()).unwrap_or(more.len());
            rest = &more[end..];
            let sign = more[..end].rfind(['+', '-']).filter(|at| *at > 0).ok_or(DecodeError("a sequence"))?;
            let number = |text: &str| text.parse::<i64>().map_err(|_| DecodeError("a sequence"));
            Rule::Sequence { start: number(&more[..sign])?, step: number(&more[sign..end])? }
        } else if let Some(more) = rest.strip_prefix(":str") {
            rest = more;
            Rule::Each { text: true }
        } else {
            Rule::Each { text: false }
        };
        headings.push(Heading { path, rule });
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None if rest.is_empty() => return Ok(headings),
            None => return Err(DecodeError("text behind a column")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_tell_types_apart() {
        let mut cells = Vec::new();
        split(r#"1,,"1",null,"null",'a, b',it's,[1,"]"],2024-01-01"#, &mut cells).unwrap();
        use Cell::{Bare, Empty, Json};
        assert_eq!(
            cells,
            [
                Json("1"),
                Empty,
                Json("\"1\""),
                Json("null"),
                Json("\"null\""),
                Bare("a, b"),
                Bare("it's"),
                Json("[1,\"]\"]"),
                Bare("2024-01-01"),
            ]
        );
        assert!(split("'a", &mut cells).is_err() && split("\"a\"b", &mut cells).is_err());
    }

    #[test]
    fn headings_read_back() {
        let read = headings(r#"id,a.b=x,"a.b"?=1,n@-5-2,zip:str"#).unwrap();
        assert_eq!(read[1], Heading { path: vec!["a", "b"], rule: Rule::Constant(Cell::Bare("x")) });
        assert_eq!(read[2], Heading { path: vec!["a.b"], rule: Rule::Default(Cell::Json("1")) });
        assert_eq!(read[3].rule, Rule::Sequence { start: -5, step: -2 });
        assert_eq!(read[4].rule, Rule::Each { text: true });
        assert!(headings("a b~c").is_err());
    }
}
