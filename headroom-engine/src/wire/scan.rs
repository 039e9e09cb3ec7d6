//! A validating JSON scanner that reports where values stand and copies nothing.
//!
//! One pass: a caller either steps into a value or skips it, and every byte is looked at once.
//! What it accepts is exactly RFC 8259; `serde_json` is its oracle in the tests.

use std::{borrow::Cow, ops::Range};

/// Why a body cannot be scanned. It then goes out whole, as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// Not UTF-8.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// Not JSON.
    #[error("the body is not JSON: unexpected byte or end at offset {0}")]
    Syntax(usize),
    /// A field of the request itself stands there twice, so that readers may disagree about it.
    #[error("a field is given twice, at offset {0}")]
    Duplicate(usize),
    /// Not the shape of this dialect's requests.
    #[error("not a request of this dialect: {0}")]
    Shape(&'static str),
}

type Result<T> = std::result::Result<T, ScanError>;

/// A JSON string literal: where it stands, quotes included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Str {
    pub(crate) range: Range<usize>,
    escaped: bool,
    /// Holds an escape that could be spelled otherwise: `\u` or `\/`.
    odd: bool,
}

impl Str {
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

/// Walks one JSON document.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    body: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(body: &'a str) -> Self {
        Self { body, at: 0 }
    }

    pub(crate) fn body(&self) -> &'a str {
        self.body
    }

    /// The field read last was there before.
    pub(crate) fn duplicate(&self) -> ScanError {
        ScanError::Duplicate(self.at)
    }

    fn error<T>(&self) -> Result<T> {
        Err(ScanError::Syntax(self.at))
    }

    /// The first byte of the next value, white space skipped; 0 at the end.
    pub(crate) fn peek(&mut self) -> u8 {
        let bytes = self.body.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return *byte;
            }
            self.at += 1;
        }
        0
    }

    fn take(&mut self, byte: u8) -> Result<()> {
        if self.peek() != byte || self.at == self.body.len() {
            return self.error();
        }
        self.at += 1;
        Ok(())
    }

    /// Nothing but white space may follow.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.peek();
        if self.at == self.body.len() { Ok(()) } else { self.error() }
    }

    /// Steps into an object; `each` gets every decoded key and must consume its value.
    pub(crate) fn object(
        &mut self,
        mut each: impl FnMut(&mut Self, &str) -> Result<()>,
    ) -> Result<Range<usize>> {
        self.take(b'{')?;
        let start = self.at - 1;
        if self.peek() == b'}' {
            self.at += 1;
            return Ok(start..self.at);
        }
        loop {
            let key = self.string()?;
            self.take(b':')?;
            // A key that no text can spell is none of those we look for.
            let decoded = key.decode(self.body).unwrap_or(Cow::Borrowed("\u{fffd}"));
            each(self, &decoded)?;
            match self.peek() {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Ok(start..self.at);
                }
                _ => return self.error(),
            }
        }
    }

    /// Steps into an array; `each` must consume one element.
    pub(crate) fn array(&mut self, mut each: impl FnMut(&mut Self) -> Result<()>) -> Result<Range<usize>> {
        self.take(b'[')?;
        let start = self.at - 1;
        if self.peek() == b']' {
            self.at += 1;
            return Ok(start..self.at);
        }
        loop {
            each(self)?;
            match self.peek() {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Ok(start..self.at);
                }
                _ => return self.error(),
            }
        }
    }

    /// Consumes a string.
    pub(crate) fn string(&mut self) -> Result<Str> {
        self.take(b'"')?;
        let start = self.at - 1;
        let bytes = self.body.as_bytes();
        let (mut escaped, mut odd) = (false, false);
        loop {
            self.at += plain(&bytes[self.at..]);
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Str { range: start..self.at, escaped, odd });
                }
                Some(b'\\') => {
                    escaped = true;
                    match bytes.get(self.at + 1) {
                        Some(b'"' | b'\\' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
                        Some(b'/') => {
                            odd = true;
                            self.at += 2;
                        }
                        Some(b'u') => {
                            let digits = bytes.get(self.at + 2..self.at + 6);
                            if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                                return self.error();
                            }
                            odd = true;
                            self.at += 6;
                        }
                        _ => return self.error(),
                    }
                }
                _ => return self.error(),
            }
        }
    }

    /// A string, or `None` for any other value, which is skipped.
    pub(crate) fn string_or_skip(&mut self) -> Result<Option<Str>> {
        if self.peek() == b'"' { self.string().map(Some) } else { self.skip().map(|_| None) }
    }

    /// Consumes any value. Memory is a byte per level of nesting; there is no recursion.
    pub(crate) fn skip(&mut self) -> Result<Range<usize>> {
        let mut open: Vec<u8> = Vec::new();
        self.peek();
        let start = self.at;
        loop {
            // A value.
            match self.peek() {
                b'"' => {
                    self.string()?;
                }
                b'{' => {
                    self.at += 1;
                    if self.peek() != b'}' {
                        self.string()?;
                        self.take(b':')?;
                        open.push(b'}');
                        continue;
                    }
                    self.at += 1;
                }
                b'[' => {
                    self.at += 1;
                    if self.peek() != b']' {
                        open.push(b']');
                        continue;
                    }
                    self.at += 1;
                }
                b't' => self.word("true")?,
                b'f' => self.word("false")?,
                b'n' => self.word("null")?,
                _ => self.number()?,
            }
            // What may follow it.
            loop {
                let Some(close) = open.last() else {
                    return Ok(start..self.at);
                };
                match self.peek() {
                    b',' => {
                        self.at += 1;
                        if *close == b'}' {
                            self.string()?;
                            self.take(b':')?;
                        }
                        break;
                    }
                    byte if byte == *close => {
                        self.at += 1;
                        open.pop();
                    }
                    _ => return self.error(),
                }
            }
        }
    }

    fn word(&mut self, word: &str) -> Result<()> {
        if !self.body.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return self.error();
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<()> {
        let bytes = self.body.as_bytes();
        let digits = |at: &mut usize| {
            let from = *at;
            while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
                *at += 1;
            }
            *at > from
        };
        let mut at = self.at;
        if bytes.get(at) == Some(&b'-') {
            at += 1;
        }
        let mut good = if bytes.get(at) == Some(&b'0') {
            at += 1;
            true
        } else {
            digits(&mut at)
        };
        if good && bytes.get(at) == Some(&b'.') {
            at += 1;
            good = digits(&mut at);
        }
        if good && matches!(bytes.get(at), Some(b'e' | b'E')) {
            at += 1;
            if matches!(bytes.get(at), Some(b'+' | b'-')) {
                at += 1;
            }
            good = digits(&mut at);
        }
        if !good {
            return self.error();
        }
        self.at = at;
        Ok(())
    }
}

/// How many bytes at the front of `bytes` are neither a quote, a backslash nor a control character.
///
/// Eight at a time: a byte `b` of `word` is zero in `word ^ pattern` exactly if it equals the
/// pattern's, and the classic zero-byte test finds the first one (Lamport 1975; "Bit Twiddling
/// Hacks", "Determine if a word has a zero byte").
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let mut done = 0;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let word = u64::from_le_bytes([
            chunk[0], chunk[1], chunk[2], chunk[3], chunk[4], chunk[5], chunk[6], chunk[7],
        ]);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let found = control | zero(word ^ (ONES * 0x22)) | zero(word ^ (ONES * 0x5c));
        if found != 0 {
            return done + (found.trailing_zeros() / 8) as usize;
        }
        done += 8;
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    let rest = chunks.remainder();
    done + rest.iter().position(special).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn valid(text: &str) -> bool {
        let mut scanner = Scanner::new(text);
        scanner.skip().and_then(|_| scanner.end()).is_ok()
    }

    /// The naive twin. Its depth limit is lifted by `RawValue`.
    fn oracle(text: &str) -> bool {
        serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
    }

    #[test]
    fn accepts_and_rejects_what_serde_json_does() {
        for text in [
            "{}",
            "[]",
            "[1,]",
            "{,}",
            "[1 2]",
            "\"\\x\"",
            "\"\\ud800\"",
            "-",
            "-0",
            "01",
            "1.",
            "1.e3",
            "1e+9",
            "nul",
            "nulll",
            "\"a\nb\"",
            "\"\u{7f}\"",
            "[[[]]]",
            "[}",
            "{\"a\":1,}",
            "{\"a\"}",
            "",
            " ",
            "1 1",
            "\"\\u12g4\"",
            "\u{feff}1",
            "[\"abcdefgh\\\"ijklmnop\"]",
            "\"é\u{1f600}\"",
            "\0",
            "[1]\0",
            "{\"a\":\0}",
        ] {
            assert_eq!(valid(text), oracle(text), "{text:?}");
        }
    }

    #[test]
    fn deep_nesting_needs_no_stack() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        assert!(valid(&deep));
        assert!(!valid(&deep[..deep.len() - 1]));
    }

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

    #[test]
    fn steps_into_containers() {
        let text = r#" {"a" : [1, "x", {"b":[]}], "\u0062":true } "#;
        let mut scanner = Scanner::new(text);
        let mut keys = Vec::new();
        let span = scanner
            .object(|scanner, key| {
                keys.push(key.to_owned());
                if key == "a" {
                    let mut count = 0;
                    scanner.array(|scanner| {
                        count += 1;
                        scanner.skip().map(drop)
                    })?;
                    assert_eq!(count, 3);
                    return Ok(());
                }
                scanner.skip().map(drop)
            })
            .unwrap();
        assert_eq!((keys, &text[span]), (vec!["a".into(), "b".into()], text.trim()));
        scanner.end().unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn agrees_with_serde_json(text in r#"[\[\]{}:,"\\ntrue01.eE+\-\n é]{0,24}"#) {
            prop_assert_eq!(valid(&text), oracle(&text));
        }

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
