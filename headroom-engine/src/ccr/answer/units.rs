//! What an original is made of: lines, items, and the pieces a search ranks.

use std::ops::Range;

use super::super::Unit;

/// A piece longer than this many bytes is always taken apart.
const LONG: usize = 2000;
/// How deep a long JSON item is taken apart.
const DEPTH: usize = 64;

/// The lines or items of an original.
pub(super) struct Units<'a> {
    pub(super) text: &'a str,
    pub(super) unit: Unit,
    pub(super) spans: Vec<Range<usize>>,
}

impl<'a> Units<'a> {
    pub(super) fn lines(text: &'a str) -> Self {
        let mut spans = Vec::new();
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', text.as_bytes()) {
            spans.push(start..end);
            start = end + 1;
        }
        if start < text.len() {
            spans.push(start..text.len());
        }
        Self { text, unit: Unit::Lines, spans }
    }

    /// The elements or members of a JSON array or object; `None` if `text` is neither or empty.
    pub(super) fn items(text: &'a str) -> Option<Self> {
        let spans = children(text, 0..text.len())?;
        (!spans.is_empty()).then_some(Self { text, unit: Unit::Items, spans })
    }

    /// The units that `unit` names, or what the text looks like.
    pub(super) fn of(text: &'a str, unit: Option<Unit>) -> Self {
        if unit == Some(Unit::Lines) {
            return Self::lines(text);
        }
        Self::items(text).unwrap_or_else(|| Self::lines(text))
    }

    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// How many there are, in words.
    pub(super) fn amount(&self) -> String {
        match self.len() {
            1 => format!("1 {}", &self.unit.word()[..4]),
            len => format!("{len} {}", self.unit.word()),
        }
    }

    /// The source text from unit `first` to unit `last`, both from 0.
    pub(super) fn slice(&self, first: usize, last: usize) -> &'a str {
        &self.text[self.spans[first].start..self.spans[last].end]
    }

    /// "line" or "item" with its number or numbers, from 0 here, from 1 in the text.
    pub(super) fn label(&self, first: usize, last: usize) -> String {
        let word = self.unit.word();
        if first == last {
            format!("{} {}", &word[..word.len() - 1], first + 1)
        } else {
            format!("{word} {}-{}", first + 1, last + 1)
        }
    }

    /// The pieces a search ranks: the units among `within` (from 0), those longer than `long`
    /// bytes in parts.
    pub(super) fn pieces(&self, within: Range<usize>, long: usize) -> Vec<Piece> {
        let long = long.clamp(100, LONG);
        let mut pieces = Vec::with_capacity(within.len());
        let mut stack: Vec<(Range<usize>, usize)> = Vec::new();
        for unit in within {
            stack.push((self.spans[unit].clone(), 0));
            while let Some((span, depth)) = stack.pop() {
                if span.len() <= long {
                    pieces.push(Piece { whole: depth == 0, span, unit });
                    continue;
                }
                let inner = (self.unit == Unit::Items && depth < DEPTH)
                    .then(|| children(self.text, value_of(self.text, span.clone())))
                    .flatten()
                    .filter(|inner| !inner.is_empty());
                match inner {
                    Some(inner) => stack.extend(inner.into_iter().rev().map(|child| (child, depth + 1))),
                    None => {
                        chunks(self.text, span, long / 3, &mut |span| {
                            pieces.push(Piece { span, unit, whole: false });
                        });
                    }
                }
            }
        }
        pieces
    }
}

/// What a search ranks: a unit, or a part of a long one.
pub(super) struct Piece {
    pub(super) span: Range<usize>,
    /// The unit it is or lies in, from 0.
    pub(super) unit: usize,
    /// Whether it is that unit.
    pub(super) whole: bool,
}

/// The value of a member `"key": value`; anything else as it is.
pub(super) fn value_of(text: &str, span: Range<usize>) -> Range<usize> {
    let bytes = text.as_bytes();
    if bytes.get(span.start) == Some(&b'"')
        && let Some(end) = string_end(bytes, span.start, span.end)
    {
        let colon = white(bytes, end, span.end);
        if colon < span.end && bytes[colon] == b':' {
            return white(bytes, colon + 1, span.end)..span.end;
        }
    }
    span
}

fn white(bytes: &[u8], mut at: usize, end: usize) -> usize {
    while at < end && matches!(bytes[at], b' ' | b'\t' | b'\n' | b'\r') {
        at += 1;
    }
    at
}

/// Behind the closing quote of the string that opens at `at`.
fn string_end(bytes: &[u8], at: usize, end: usize) -> Option<usize> {
    quote_end(bytes, at, end, b'"')
}

fn quote_end(bytes: &[u8], at: usize, end: usize, quote: u8) -> Option<usize> {
    let mut at = at + 1;
    loop {
        at += memchr::memchr2(quote, b'\\', bytes.get(at..end)?)?;
        if bytes[at] == quote {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The elements or members directly inside the one JSON container that `span` holds, or the tuples
/// in a list as Python prints it.
pub(super) fn children(text: &str, span: Range<usize>) -> Option<Vec<Range<usize>>> {
    let bytes = text.as_bytes();
    let open = white(bytes, span.start, span.end);
    if open >= span.end || !matches!(bytes[open], b'[' | b'{') {
        return None;
    }
    let mut spans = Vec::new();
    let python = bytes[open..span.end].starts_with(b"[(");
    let mut depth = 0usize;
    let mut start = None;
    let mut solid = open + 1; // behind the last byte that is not white
    let mut at = open;
    while at < span.end {
        let byte = bytes[at];
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {
                at += 1;
                continue;
            }
            b',' if depth == 1 => {
                spans.push(start.take()?..solid);
                at += 1;
                continue;
            }
            b']' | b'}' if depth == 1 => {
                match start.take() {
                    Some(start) => spans.push(start..solid),
                    None if spans.is_empty() => {}
                    None => return None,
                }
                return (white(bytes, at + 1, span.end) == span.end).then_some(spans);
            }
            _ => {}
        }
        if depth == 1 && start.is_none() {
            start = Some(at);
        }
        match byte {
            b'"' => {
                at = string_end(bytes, at, span.end)?;
                solid = at;
                continue;
            }
            b'\'' if python => {
                at = quote_end(bytes, at, span.end, b'\'')?;
                solid = at;
                continue;
            }
            b'(' if python => depth += 1,
            b')' if python && depth < 2 => return None,
            b')' if python => depth -= 1,
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
        solid = at;
    }
    None
}

/// Cuts `span` into parts of at most about `most` bytes, behind a space or comma where one is near.
fn chunks(text: &str, span: Range<usize>, most: usize, each: &mut dyn FnMut(Range<usize>)) {
    let mut start = span.start;
    while span.end - start > most {
        let limit = floor(text, start + most);
        let near = floor(text, start + most / 2);
        let end = memchr::memrchr3(b' ', b',', b';', &text.as_bytes()[near..limit])
            .map_or(limit, |at| near + at + 1);
        each(start..end);
        start = end;
    }
    each(start..span.end);
}

/// The nearest character boundary at or before `at`.
pub(super) fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The nearest character boundary at or behind `at`.
pub(super) fn ceil(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn items(text: &str) -> Option<Vec<&str>> {
        let units = Units::items(text)?;
        Some(units.spans.iter().map(|span| &text[span.clone()]).collect())
    }

    #[test]
    fn items_are_cut_textually() {
        assert_eq!(
            items(" [1.0, {\"a\":[1,2]} ,\n\"x,]\\\"\" ] ").unwrap(),
            ["1.0", "{\"a\":[1,2]}", "\"x,]\\\"\""]
        );
        assert_eq!(items("{\"a\": 1 , \"b\":[2,3]}").unwrap(), ["\"a\": 1", "\"b\":[2,3]"]);
        for none in ["", "1", "[]", "[1", "[1,]", "[,1]", "[1] x", "{\"a\":1}\n{\"b\":2}", "[\"open]"] {
            assert_eq!(items(none), None, "{none}");
        }
    }

    #[test]
    fn tuples_are_items() {
        assert_eq!(
            items("[('a, (b', 1, [2, 3]), ('it\\'s', None, (4,)), (\"x)\",)]").unwrap(),
            ["('a, (b', 1, [2, 3])", "('it\\'s', None, (4,))", "(\"x)\",)"]
        );
        for none in ["[(1))]", "[('open)]", "[(1]"] {
            assert_eq!(items(none), None, "{none}");
        }
    }

    #[test]
    fn a_deep_document_needs_no_stack() {
        let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
        let units = Units::items(&deep).unwrap();
        assert_eq!(units.len(), 1);
        assert!(!units.pieces(0..1, LONG).is_empty());
    }

    proptest! {
        #[test]
        fn pieces_are_in_order_and_short(texts in proptest::collection::vec(".{0,40}", 0..40), times in 1usize..80) {
            let value = serde_json::json!({"a": texts.join(" ").repeat(times), "b": texts, "c": [texts, times]});
            let text = value.to_string();
            for units in [Units::items(&text).unwrap(), Units::lines(&text)] {
                let mut end = 0;
                for piece in units.pieces(0..units.len(), LONG) {
                    prop_assert!(piece.span.start >= end && piece.span.end <= text.len());
                    prop_assert!(piece.span.len() <= LONG);
                    prop_assert!(text.get(piece.span.clone()).is_some());
                    end = piece.span.end;
                }
            }
        }
    }
}
