//! JSON text read in place: values know where they stand, so that they can be echoed or cut out
//! byte for byte.

use std::{borrow::Cow, ops::Range};

use crate::wire::{scan::Scanner, text::quote};

/// A replacement of a range of some text.
pub(super) type Edit = (Range<usize>, String);

/// A JSON value and where it starts in the document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw<'a> {
    text: &'a str,
    at: usize,
}

/// A JSON object's members, in order.
#[derive(Debug)]
pub(super) struct Object<'a> {
    raw: Raw<'a>,
    members: Vec<(Cow<'a, str>, Raw<'a>)>,
}

impl<'a> Raw<'a> {
    /// The one value in `document`; `None` if that is not JSON.
    pub(super) fn parse(document: &'a str) -> Option<Self> {
        let mut scanner = Scanner::new(document);
        let span = scanner.skip().ok()?;
        scanner.end().ok()?;
        Some(Self { text: &document[span.clone()], at: span.start })
    }

    /// The one value in a span of `document`, with offsets of the document.
    pub(super) fn within(document: &'a str, span: Range<usize>) -> Option<Self> {
        let value = Self::parse(document.get(span.clone())?)?;
        Some(Self { at: value.at + span.start, ..value })
    }

    pub(super) fn text(self) -> &'a str {
        self.text
    }

    pub(super) fn span(self) -> Range<usize> {
        self.at..self.at + self.text.len()
    }

    pub(super) fn is_null(self) -> bool {
        self.text == "null"
    }

    /// The values of a span of `document` that stand with commas between them.
    pub(super) fn run(document: &'a str, span: Range<usize>) -> Option<(Self, Vec<Self>)> {
        let text = document.get(span.clone())?;
        let whole = Self { text, at: span.start };
        let mut items = Vec::new();
        Scanner::new(text)
            .run(|scanner| {
                items.push(whole.child(scanner.skip()?));
                Ok(())
            })
            .ok()?;
        Some((whole, items))
    }

    /// What stands between the brackets of an array or an object.
    fn inside(self) -> Self {
        self.child(1..self.text.len() - 1)
    }

    fn child(self, span: Range<usize>) -> Self {
        Self { text: &self.text[span.clone()], at: self.at + span.start }
    }

    pub(super) fn object(self) -> Option<Object<'a>> {
        if !self.text.starts_with('{') {
            return None;
        }
        let mut members = Vec::new();
        Scanner::new(self.text)
            .members(|scanner, key| {
                let span = scanner.skip()?;
                members.push((key, self.child(span)));
                Ok(())
            })
            .ok()?;
        Some(Object { raw: self, members })
    }

    pub(super) fn array(self) -> Option<Vec<Self>> {
        if !self.text.starts_with('[') {
            return None;
        }
        let mut items = Vec::new();
        Scanner::new(self.text)
            .array(|scanner| {
                items.push(self.child(scanner.skip()?));
                Ok(())
            })
            .ok()?;
        Some(items)
    }

    /// The inside of a string literal, escapes as they are.
    pub(super) fn inner(self) -> Option<&'a str> {
        self.text.strip_prefix('"')?.strip_suffix('"')
    }

    /// The decoded text of a string; a lone surrogate becomes U+FFFD.
    pub(super) fn string(self) -> Option<String> {
        self.inner().map(decode)
    }

    pub(super) fn number(self) -> Option<u64> {
        self.text.parse().ok()
    }
}

impl<'a> Object<'a> {
    /// The object that `document` is; `None` if it is none.
    pub(super) fn parse(document: &'a str) -> Option<Self> {
        let start = document.len() - document.trim_ascii_start().len();
        let whole = Raw { text: &document[start..], at: start };
        let mut members = Vec::new();
        let mut scanner = Scanner::new(whole.text);
        let member = |scanner: &mut Scanner<'a>, key: Cow<'a, str>| {
            let span = scanner.skip()?;
            members.push((key, whole.child(span)));
            Ok(())
        };
        let span = scanner.members(member).ok()?;
        scanner.end().ok()?;
        Some(Self { raw: whole.child(span), members })
    }

    /// The object without line breaks, which in JSON stand only between values.
    pub(super) fn in_one_line(&self) -> String {
        self.raw.text.replace(['\n', '\r'], " ")
    }

    /// The member's value; of several, the last.
    pub(super) fn get(&self, key: &str) -> Option<Raw<'a>> {
        self.members.iter().rev().find(|(name, _)| name == key).map(|(_, value)| *value)
    }

    pub(super) fn string(&self, key: &str) -> Option<String> {
        self.get(key)?.string()
    }

    pub(super) fn object(&self, key: &str) -> Option<Object<'a>> {
        self.get(key)?.object()
    }

    pub(super) fn number(&self, key: &str) -> Option<u64> {
        self.get(key)?.number()
    }

    /// Whether the member is this string.
    pub(super) fn is(&self, key: &str, text: &str) -> bool {
        self.string(key).as_deref() == Some(text)
    }

    pub(super) fn members(&self) -> impl Iterator<Item = (&str, Raw<'a>)> {
        self.members.iter().map(|(key, value)| (&**key, *value))
    }

    /// Edits that remove the members `gone` names.
    pub(super) fn without(&self, gone: impl Fn(&str) -> bool) -> Vec<Edit> {
        let ends: Vec<usize> = self.members.iter().map(|(_, value)| value.span().end).collect();
        let keep: Vec<bool> = self.members.iter().map(|(key, _)| !gone(key)).collect();
        cut(self.raw.inside(), &ends, &keep)
    }

    /// The edit that puts `member` (`"key":value`) behind the last one.
    pub(super) fn with(&self, member: &str) -> Edit {
        let at = self.members.last().map_or(self.raw.at + 1, |(_, value)| value.span().end);
        let comma = if self.members.is_empty() { "" } else { "," };
        (at..at, format!("{comma}{member}"))
    }
}

/// Edits that leave of an array only the elements to `keep`.
pub(super) fn keep_elements(array: Raw<'_>, items: &[Raw<'_>], keep: &[bool]) -> Vec<Edit> {
    let ends: Vec<usize> = items.iter().map(|item| item.span().end).collect();
    cut(array.inside(), &ends, keep)
}

/// Edits that leave of a [run](Raw::run) only the values to `keep`.
pub(super) fn keep_of_run(run: Raw<'_>, items: &[Raw<'_>], keep: &[bool]) -> Vec<Edit> {
    let ends: Vec<usize> = items.iter().map(|item| item.span().end).collect();
    cut(run, &ends, keep)
}

/// Removes runs of elements or members with the commas that would be left over.
fn cut(inside: Raw<'_>, ends: &[usize], keep: &[bool]) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut item = 0;
    while item < ends.len() {
        if keep.get(item).copied().unwrap_or(true) {
            item += 1;
            continue;
        }
        let first = item;
        while item < ends.len() && !keep.get(item).copied().unwrap_or(true) {
            item += 1;
        }
        let range = if first > 0 {
            ends[first - 1]..ends[item - 1]
        } else if item == ends.len() {
            inside.span()
        } else {
            let behind = &inside.text[ends[item - 1] - inside.at..];
            let comma = behind.find(',').map_or(0, |at| at + 1);
            inside.at..ends[item - 1] + comma
        };
        edits.push((range, String::new()));
    }
    edits
}

/// `text` with the edits made; they must not overlap. Insertions at one place keep their order.
pub(super) fn splice(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let mut out = String::with_capacity(text.len() + edits.iter().map(|(_, new)| new.len()).sum::<usize>());
    let mut from = 0;
    for (range, new) in edits {
        out.push_str(text.get(from..range.start).unwrap_or_default());
        out.push_str(&new);
        from = range.end.max(from);
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

/// A string literal.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::new();
    quote(text, &mut out);
    out
}

/// Decodes the inside of a valid string literal; a lone surrogate becomes U+FFFD.
pub(super) fn decode(inner: &str) -> String {
    if inner.contains('\\') { Chars::new(inner).map(|(_, c)| c).collect() } else { inner.to_owned() }
}

/// The characters of a string literal's inside, each with the offset behind its spelling.
#[derive(Clone, Debug)]
pub(super) struct Chars<'a> {
    inner: &'a str,
    at: usize,
}

impl<'a> Chars<'a> {
    pub(super) fn new(inner: &'a str) -> Self {
        Self { inner, at: 0 }
    }

    fn hex(&self, at: usize) -> Option<u32> {
        let digits = self.inner.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(digits, 16).ok()
    }
}

impl Iterator for Chars<'_> {
    type Item = (usize, char);

    fn next(&mut self) -> Option<Self::Item> {
        let c = self.inner.get(self.at..)?.chars().next()?;
        if c != '\\' {
            self.at += c.len_utf8();
            return Some((self.at, c));
        }
        let kind = self.inner[self.at + 1..].chars().next().unwrap_or('\\');
        let (length, c) = match kind {
            'n' => (2, '\n'),
            't' => (2, '\t'),
            'r' => (2, '\r'),
            'b' => (2, '\u{8}'),
            'f' => (2, '\u{c}'),
            'u' => match (self.hex(self.at), self.hex(self.at + 6)) {
                (Some(high @ 0xd800..=0xdbff), Some(low @ 0xdc00..=0xdfff)) => (
                    12,
                    char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)).unwrap_or('\u{fffd}'),
                ),
                (Some(code), _) => (6, char::from_u32(code).unwrap_or('\u{fffd}')),
                (None, _) => (2, 'u'),
            },
            other => (1 + other.len_utf8(), other),
        };
        self.at = (self.at + length).min(self.inner.len());
        Some((self.at, c))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_know_where_they_stand() {
        let text = r#" {"a": [1, "x\ud83d\ude00"], "b": {"c": null}} "#;
        let object = Object::parse(text).unwrap();
        let items = object.get("a").and_then(Raw::array).unwrap();
        assert_eq!(&text[items[1].span()], items[1].text());
        assert_eq!(items[1].string().as_deref(), Some("x😀"));
        assert!(object.object("b").unwrap().get("c").unwrap().is_null());
        assert_eq!(decode("\\ud83dx"), "\u{fffd}x");
        assert!(Raw::parse("{} x").is_none());
    }

    proptest! {
        #[test]
        fn cuts_leave_valid_json(keep in proptest::collection::vec(any::<bool>(), 0..6), space in " {0,2}") {
            let fields: Vec<String> = (0..keep.len()).map(|at| format!("\"k{at}\"{space}:{space}[{at},{{}}]")).collect();
            let object = format!("{{{space}{}{space}}}", fields.join(&format!("{space},{space}")));
            let left: Vec<usize> = (0..keep.len()).filter(|at| keep[*at]).collect();
            let view = Object::parse(&object).unwrap();
            let cut = splice(&object, view.without(|key| !keep[key[1..].parse::<usize>().unwrap()]));
            let cut: serde_json::Value = serde_json::from_str(&cut).unwrap();
            let expected: serde_json::Map<_, _> =
                left.iter().map(|at| (format!("k{at}"), serde_json::json!([at, {}]))).collect();
            prop_assert_eq!(cut, serde_json::Value::Object(expected));

            let elements: Vec<String> = (0..keep.len()).map(|at| format!("{at}")).collect();
            let array = format!("[{space}{}{space}]", elements.join(&format!("{space},{space}")));
            let view = Raw::parse(&array).unwrap();
            let cut = splice(&array, keep_elements(view, &view.array().unwrap(), &keep));
            prop_assert_eq!(&serde_json::from_str::<Vec<usize>>(&cut).unwrap(), &left);

            let (run, items) = Raw::run(&array, 1..array.len() - 1).unwrap_or((view, Vec::new()));
            prop_assert_eq!(items.len(), keep.len());
            let cut = splice(&array, keep_of_run(run, &items, &keep));
            prop_assert_eq!(serde_json::from_str::<Vec<usize>>(&cut).unwrap(), left);
        }

        #[test]
        fn decoding_agrees_with_serde(text in any::<String>()) {
            let literal = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(Raw::parse(&literal).unwrap().string(), Some(text.clone()));
            let ascii: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
            prop_assert_eq!(decode(&ascii), text);
        }
    }
}
