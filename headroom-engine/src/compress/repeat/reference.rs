//! The text of a reference.

use std::{borrow::Cow, fmt};

use memchr::memchr;

use super::{Holder, Place, gutter::Gutter};
use crate::ccr::marker::{is_note, number};

/// The introducer of references. Kept text has one more `=` behind every one of its own.
pub(super) const INTRODUCER: &str = "[=";

/// How the lines are numbered here, where that differs from where they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Here {
    /// As there: the bytes are the same.
    Same,
    /// In the same style, from this number.
    From(usize),
    /// In the style of this first number.
    Styled(String),
    /// Not at all.
    Bare,
}

/// Points at lines of an earlier tool result, or at the whole of it.
///
/// ```text
/// [=same as lines 12-57 of result 7: parse.rs]
/// [=lines 59-80 here 60-81]          the same result as the reference before it
/// [=same as result 7: pytest -q]
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The first and the last line; `None` for the whole result.
    pub lines: Option<(usize, usize)>,
    /// The result; `None` where the reference before this one names it.
    pub of: Option<Place>,
    /// How they are numbered here.
    pub here: Here,
    /// A few words that say which result that is; may be empty.
    pub note: String,
}

impl Reference {
    /// Parses the reference at the start of `text` and returns it with its length in bytes.
    #[must_use]
    pub fn parse_prefix(text: &str) -> Option<(Self, usize)> {
        let end = memchr(b']', text.as_bytes())? + 1;
        let inner = text[..end].strip_prefix(INTRODUCER)?.strip_suffix(']')?;
        let (said, note) = match inner.split_once(": ") {
            Some((said, note)) if !note.is_empty() && note.chars().all(is_note) => (said, note),
            Some(_) => return None,
            None => (inner, ""),
        };
        let (rest, named) = match said.strip_prefix("same as ") {
            Some(rest) => (rest, true),
            None => (said, false),
        };
        let (rest, lines) = match rest.strip_prefix("lines ") {
            Some(rest) => {
                let (numbers, rest) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
                (rest, Some(span(numbers)?))
            }
            None => (rest, None),
        };
        let holder = [Holder::Result, Holder::Call].into_iter().find_map(|holder| {
            let rest = if lines.is_some() { rest.strip_prefix(" of ")? } else { rest };
            Some((holder, rest.strip_prefix(holder.word())?.strip_prefix(' ')?))
        });
        let (rest, of) = match holder {
            Some((holder, rest)) => {
                let (digits, rest) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
                let (number, part) = match digits.split_once('.') {
                    Some((result, part)) => (number(result)?, Some(number(part)?)),
                    None => (number(digits)?, None),
                };
                (rest, Some(Place { holder, number, part }))
            }
            None => (rest, None),
        };
        let here = match rest.strip_prefix(" here ") {
            None if rest.is_empty() => Here::Same,
            None => return None,
            Some("bare") => Here::Bare,
            Some(quoted) if quoted.starts_with('"') => {
                let gutter = quoted.strip_prefix('"')?.strip_suffix('"')?;
                let (_, _, length) = Gutter::of(gutter)?;
                (length == gutter.len()).then(|| Here::Styled(gutter.to_owned()))?
            }
            Some(numbers) => {
                let (first, last) = span(numbers)?;
                let (from, to) = lines?;
                (last - first == to - from).then_some(Here::From(first))?
            }
        };
        let sound = named == of.is_some()
            && (of.is_some() || note.is_empty())
            && (lines.is_some() || (of.is_some() && here == Here::Same));
        sound.then(|| (Self { lines, of, here, note: note.to_owned() }, end))
    }
}

/// `FIRST-LAST`, or one number for both.
fn span(numbers: &str) -> Option<(usize, usize)> {
    let (first, last) = match numbers.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(numbers)?, number(numbers)?),
    };
    (first >= 1 && first <= last && (first != last || !numbers.contains('-'))).then_some((first, last))
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = |f: &mut fmt::Formatter<'_>, first: usize, last: usize| {
            write!(f, "{first}")?;
            if last > first { write!(f, "-{last}") } else { Ok(()) }
        };
        f.write_str(INTRODUCER)?;
        if self.of.is_some() {
            f.write_str("same as ")?;
        }
        if let Some((first, last)) = self.lines {
            f.write_str("lines ")?;
            span(f, first, last)?;
        }
        if let Some(place) = self.of {
            f.write_str(if self.lines.is_some() { " of " } else { "" })?;
            write!(f, "{} {}", place.holder.word(), place.number)?;
            if let Some(part) = place.part {
                write!(f, ".{part}")?;
            }
        }
        match &self.here {
            Here::Same => {}
            Here::Bare => f.write_str(" here bare")?,
            Here::Styled(gutter) => write!(f, " here \"{gutter}\"")?,
            Here::From(number) => {
                f.write_str(" here ")?;
                let (first, last) = self.lines.unwrap_or((1, 1));
                span(f, *number, number + (last - first))?;
            }
        }
        if !self.note.is_empty() {
            write!(f, ": {}", self.note)?;
        }
        f.write_str("]")
    }
}

/// The first introducer in `text` that kept text does not account for.
pub(super) fn bare_introducer(text: &str) -> Option<usize> {
    looks(text, b'=').find(|at| text.as_bytes().get(at + INTRODUCER.len()) != Some(&b'='))
}

/// Where `text` holds `[` and `second`.
fn looks(text: &str, second: u8) -> impl Iterator<Item = usize> + '_ {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'[', bytes).filter(move |at| bytes.get(at + 1) == Some(&second))
}

/// Writes `kept` with one `=` more behind every `[=`, and one `~` more behind every `[~`.
pub(super) fn escape(kept: &str, out: &mut String) {
    let mut from = 0;
    for at in memchr::memchr_iter(b'[', kept.as_bytes()) {
        if let Some(second @ (b'=' | b'~')) = kept.as_bytes().get(at + 1) {
            out.push_str(&kept[from..at + 2]);
            out.push(char::from(*second));
            from = at + 2;
        }
    }
    out.push_str(&kept[from..]);
}

/// The inverse of [`escape`]; `None` if `text` holds a bare introducer.
pub(super) fn unescape(text: &str) -> Option<Cow<'_, str>> {
    let mut out = String::new();
    let mut from = 0;
    for at in memchr::memchr_iter(b'[', text.as_bytes()) {
        if let Some(second @ (b'=' | b'~')) = text.as_bytes().get(at + 1) {
            if text.as_bytes().get(at + 2) != Some(second) {
                return None;
            }
            out.push_str(&text[from..at + 2]);
            from = at + 3;
        }
    }
    if from == 0 {
        return Some(Cow::Borrowed(text));
    }
    out.push_str(&text[from..]);
    Some(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::{O200k, TokenCounter};
    use proptest::prelude::*;

    #[test]
    fn a_reference_costs_few_tokens() {
        let of = Some(Place { holder: Holder::Result, number: 17, part: None });
        let first = Reference { lines: Some((123, 157)), of, here: Here::Same, note: "parse.rs".to_owned() };
        let next =
            Reference { lines: Some((159, 180)), of: None, here: Here::From(160), note: String::new() };
        assert_eq!(first.to_string(), "[=same as lines 123-157 of result 17: parse.rs]");
        assert_eq!(next.to_string(), "[=lines 159-180 here 160-181]");
        let tokens = [first, next].map(|reference| O200k.count(&reference.to_string()));
        assert!(tokens[0] <= 17 && tokens[1] <= 13, "{tokens:?}");
    }

    #[test]
    fn forged_and_broken_references_do_not_parse() {
        for bad in [
            "[=]",
            "[=lines 0-3]",
            "[=lines 3-2]",
            "[=lines 3-3]",
            "[=lines 1-2: note]",
            "[=same as lines 1-2]",
            "[=lines 1-2 of result 3]",
            "[=result 3]",
            "[=same as result 03]",
            "[=same as result 3 here 4]",
            "[=lines 1-2 here 4-6]",
            "[=lines 1-2 here \"x\"]",
            "[=lines 1-2 here ]",
            "[==same as result 3]",
            "[=same as result 3: ]",
            "[=same as result 3: a\"b]",
            "[=lines 1-2",
        ] {
            assert_eq!(Reference::parse_prefix(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn display_and_parse_agree(
            first in 1usize..5000, more in 0usize..50, result in 1usize..300, part in proptest::option::of(1usize..9),
            named: bool, call: bool, here in 0usize..4, note in "[a-z./ -]{0,12}",
        ) {
            let here = match here {
                0 => Here::Same,
                1 => Here::From(first + 7),
                2 => Here::Styled("    12\t".into()),
                _ => Here::Bare,
            };
            let holder = if call { Holder::Call } else { Holder::Result };
            let of = named.then_some(Place { holder, number: result, part });
            let note = if named { note.trim().to_owned() } else { String::new() };
            let reference = Reference { lines: Some((first, first + more)), of, here, note };
            let text = reference.to_string();
            prop_assert_eq!(Reference::parse_prefix(&format!("{text}x")), Some((reference, text.len())));
        }

        #[test]
        fn escaping_comes_back(text in "[\\[~=a #\\]é]{0,40}") {
            let mut out = String::new();
            escape(&text, &mut out);
            prop_assert_eq!(bare_introducer(&out), None);
            let back = unescape(&out);
            prop_assert_eq!(back.as_deref(), Some(text.as_str()));
        }
    }
}
