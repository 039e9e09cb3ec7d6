//! String literals: their text, and how it is spelled.

use std::{borrow::Cow, ops::Range};

/// A JSON string literal: where it stands, quotes included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Str {
    pub(crate) range: Range<usize>,
    escaped: bool,
    /// Holds an escape that could be spelled otherwise: `\u` or `\/`.
    odd: bool,
}

impl Str {
    /// A literal at `range`; `escaped` if it holds any escape, `odd` if one that could be spelled
    /// otherwise.
    pub(super) fn new(range: Range<usize>, escaped: bool, odd: bool) -> Self {
        Self { range, escaped, odd }
    }

    /// The text between the quotes, escapes as they are.
    pub(crate) fn raw<'a>(&self, body: &'a str) -> &'a str {
        &body[self.range.start + 1..self.range.end - 1]
    }

    /// The decoded text; `None` if it holds a lone surrogate, which no UTF-8 text can.
    pub(crate) fn decode<'a>(&self, body: &'a str) -> Option<Cow<'a, str>> {
        let raw = self.raw(body);
        if self.escaped { unescape(raw).map(Cow::Owned) } else { Some(Cow::Borrowed(raw)) }
    }

    /// Whether the decoded text is longer than `limit` bytes, however it is spelled.
    pub(crate) fn longer_than(&self, limit: usize, body: &str) -> bool {
        let raw = self.raw(body).len();
        // No escape is shorter than what it stands for, nor more than six times as long.
        raw > limit
            && (!self.escaped
                || raw > 6 * limit
                || self.decode(body).is_none_or(|decoded| decoded.len() > limit))
    }

    /// The one spelling of its text that [`quote`] writes; its own spelling if it is no text.
    /// Most literals are spelled so already, and are not copied.
    pub(crate) fn canonical<'a>(&self, body: &'a str) -> Cow<'a, str> {
        let raw = self.raw(body);
        match self.odd.then(|| unescape(raw)).flatten() {
            None => Cow::Borrowed(raw),
            Some(text) => {
                let mut quoted = String::new();
                quote(&text, &mut quoted);
                quoted.pop();
                quoted.remove(0);
                Cow::Owned(quoted)
            }
        }
    }
}

/// Decodes the inside of a string literal. `None` if it holds a lone surrogate, or is no such inside.
pub(crate) fn unescape(raw: &str) -> Option<String> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let kind = *rest.as_bytes().get(at + 1)?;
        let mut length = 2;
        out.push(match kind {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => {
                let high = hex4(rest, at + 2)?;
                length = 6;
                if (0xd800..0xdc00).contains(&high) {
                    if rest.get(at + 6..at + 8) != Some("\\u") {
                        return None;
                    }
                    let low = hex4(rest, at + 8).filter(|low| (0xdc00..0xe000).contains(low))?;
                    length = 12;
                    char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))?
                } else {
                    char::from_u32(high)?
                }
            }
            other if other.is_ascii() => char::from(other),
            _ => return None,
        });
        rest = &rest[at + length..];
    }
    out.push_str(rest);
    Some(out)
}

fn hex4(text: &str, at: usize) -> Option<u32> {
    // A sign is a digit to `from_str_radix`.
    let digits = text.get(at..at + 4).filter(|digits| !digits.starts_with('+'))?;
    u32::from_str_radix(digits, 16).ok()
}

/// Appends `text` as a JSON string literal, quotes included, escaping only what must be.
pub(crate) fn quote(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.reserve(text.len() + text.len() / 16 + 2);
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0x08 => "\\b",
            0x0c => "\\f",
            0..=0x1f => "",
            _ => continue,
        };
        out.push_str(&text[from..at]);
        out.push_str(short);
        if short.is_empty() {
            out.push_str("\\u00");
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
        from = at + 1;
    }
    out.push_str(&text[from..]);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::scan::Scanner;

    #[test]
    fn lone_surrogates_do_not_decode() {
        for (text, decoded) in [
            (r#""\ud800""#, None),
            (r#""\ud800x""#, None),
            (r#""\ud800\u0041""#, None),
            (r#""\udc00""#, None),
            (r#""\ud83d\ude00""#, Some("😀")),
            (r#""a\/\u00e9\b\f\n\r\t\\\"""#, Some("a/é\u{8}\u{c}\n\r\t\\\"")),
        ] {
            let string = Scanner::new(text).string().unwrap();
            assert_eq!(string.decode(text).as_deref(), decoded, "{text}");
        }
    }

    #[test]
    fn what_is_no_literal_does_not_decode() {
        for raw in ["\\", "a\\é", "\\u12", "\\u+041", "\\u00é1"] {
            assert_eq!(unescape(raw), None, "{raw}");
        }
    }

    #[test]
    fn one_text_has_one_canonical_spelling() {
        for (spelled, canonical) in [
            (r#""a\u00e9\/""#, "aé/"),
            (r#""aé/""#, "aé/"),
            (r#""\u001B\n""#, r"\u001b\n"),
            (r#""\ud800""#, r"\ud800"),
        ] {
            let string = Scanner::new(spelled).string().unwrap();
            assert_eq!(string.canonical(spelled), canonical);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn quoting_comes_back(text in any::<String>(), control in "[\\x00-\\x1f\"\\\\a]{0,20}") {
            let text = text + &control;
            let mut literal = String::new();
            quote(&text, &mut literal);
            let read = serde_json::from_str::<String>(&literal).ok();
            prop_assert_eq!(read.as_deref(), Some(text.as_str()));
            let string = Scanner::new(&literal).string().unwrap();
            let back = string.decode(&literal);
            prop_assert_eq!(back.as_deref(), Some(text.as_str()));
        }
    }
}
