//! A validating JSON scanner that reports where values stand and copies nothing.
//!
//! One pass: a caller either steps into a value or skips it, and every byte is looked at once.
//! What it accepts is exactly RFC 8259; `serde_json` is its oracle in the tests.

use std::{borrow::Cow, fmt, ops::Range, sync::Arc};

use super::{Message, text::Str};

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

/// The messages at the front of the array that begins at some offset, if they were read before.
pub(crate) type Known<'a> = &'a dyn Fn(usize) -> Vec<Arc<Message>>;

/// Walks one JSON document.
pub(crate) struct Scanner<'a> {
    body: &'a str,
    at: usize,
    known: Option<Known<'a>>,
}

impl fmt::Debug for Scanner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scanner").field("at", &self.at).finish_non_exhaustive()
    }
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(body: &'a str) -> Self {
        Self { body, at: 0, known: None }
    }

    /// A scanner that does not read again what is `known`.
    pub(crate) fn knowing(body: &'a str, known: Known<'a>) -> Self {
        Self { body, at: 0, known: Some(known) }
    }

    /// A scanner of the value at `at` of `body`.
    #[cfg(feature = "image")]
    pub(crate) fn at(body: &'a str, at: usize) -> Self {
        Self { body, at, known: None }
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
        self.members(|scanner, key| each(scanner, &key))
    }

    /// The same, for who keeps the keys: they are the body's own text where nothing is escaped.
    pub(crate) fn members(
        &mut self,
        mut each: impl FnMut(&mut Self, Cow<'a, str>) -> Result<()>,
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
            each(self, decoded)?;
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
    pub(crate) fn array(&mut self, each: impl FnMut(&mut Self) -> Result<()>) -> Result<Range<usize>> {
        self.array_behind(None, each)
    }

    /// What is known of the array that comes next: messages at its front.
    pub(crate) fn known(&mut self) -> Vec<Arc<Message>> {
        self.peek();
        self.known.map_or_else(Vec::new, |known| known(self.at))
    }

    /// Steps into an array, of which the elements up to the offset `known`, where one ends, were read
    /// before.
    pub(crate) fn array_behind(
        &mut self,
        mut known: Option<usize>,
        mut each: impl FnMut(&mut Self) -> Result<()>,
    ) -> Result<Range<usize>> {
        self.take(b'[')?;
        let start = self.at - 1;
        if known.is_none() && self.peek() == b']' {
            self.at += 1;
            return Ok(start..self.at);
        }
        loop {
            match known.take() {
                Some(end) => self.at = end,
                None => each(self)?,
            }
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

    /// Steps through values with commas between them, to the end; `each` must consume one.
    pub(crate) fn run(&mut self, mut each: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        loop {
            each(self)?;
            match self.peek() {
                b',' => self.at += 1,
                _ => return self.end(),
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
                    return Ok(Str::new(start..self.at, escaped, odd));
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
    }
}
