//! The marker: the one text that stands where something was left out.
//!
//! ```text
//! [~lines 57-98 #730185021946520397154428690315]
//! [~items 4-480: status ok 470, failed 7 #730185021946520397154428690315]
//! [~lines 140-300]                         the same original as the marker before it
//! [~images 3: 2400x1600, here 1024x682 #730185021946520397154428690315]
//! ```
//!
//! Numbers count from 1 and include both ends. Nothing else in our output starts with `[~` and one
//! tilde: [`escape`] gives every such run in kept text one tilde more, [`unescape`] takes it away.

use std::{borrow::Cow, fmt, str::FromStr};

use super::handle::Handle;

/// What the numbers of a marker count.
///
/// ```
/// assert_eq!(headroom_engine::ccr::Unit::Lines.word(), "lines");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// Lines of the original, as `str::lines` splits them at `\n`.
    Lines,
    /// Elements of the original, a JSON array, or members of a JSON object.
    Items,
    /// Bytes of the original.
    Bytes,
    /// Images of the conversation; the original is one of them.
    Images,
}

impl Unit {
    const ALL: [Self; 4] = [Self::Lines, Self::Items, Self::Bytes, Self::Images];

    /// The word in the marker.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Items => "items",
            Self::Bytes => "bytes",
            Self::Images => "images",
        }
    }
}

/// A parsed marker.
///
/// ```
/// use headroom_engine::ccr::{Marker, Unit};
/// let marker = Marker::new(Unit::Lines, 57, 98, "all well", None);
/// assert_eq!(marker.to_string(), "[~lines 57-98: all well]");
/// assert_eq!("[~lines 57-98: all well]".parse(), Ok(marker));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    unit: Unit,
    first: usize,
    last: usize,
    note: String,
    handle: Option<Handle>,
}

impl Marker {
    /// A marker for `first..=last` (from 1) of the original that `handle` names.
    ///
    /// Characters that the grammar reserves or that JSON would escape are dropped from `note`.
    #[must_use]
    pub fn new(unit: Unit, first: usize, last: usize, note: &str, handle: Option<Handle>) -> Self {
        let note: String = note.chars().filter(|c| is_note(*c)).collect();
        Self { unit, first, last, note: note.trim().to_owned(), handle }
    }

    /// What the numbers count.
    #[must_use]
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// The first unit left out, from 1.
    #[must_use]
    pub fn first(&self) -> usize {
        self.first
    }

    /// The last unit left out.
    #[must_use]
    pub fn last(&self) -> usize {
        self.last
    }

    /// The handle, or `None` where the marker before this one names the same original.
    #[must_use]
    pub fn handle(&self) -> Option<Handle> {
        self.handle
    }

    /// Parses the marker at the start of `text` and returns it with its length in bytes.
    #[must_use]
    pub fn parse_prefix(text: &str) -> Option<(Self, usize)> {
        let end = memchr::memchr(b']', text.as_bytes())? + 1;
        let inner = text[..end].strip_prefix("[~")?.strip_suffix(']')?;
        let (inner, handle) = match inner.rsplit_once(" #") {
            Some((inner, digits)) => (inner, Some(digits.parse().ok()?)),
            None => (inner, None),
        };
        let (counts, note) = inner.split_once(": ").unwrap_or((inner, ""));
        if !note.chars().all(is_note)
            || note.trim() != note
            || (inner.len() > counts.len() && note.is_empty())
        {
            return None;
        }
        let (word, numbers) = counts.split_once(' ')?;
        let unit = Unit::ALL.into_iter().find(|unit| unit.word() == word)?;
        let (first, last) = match numbers.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(numbers)?, number(numbers)?),
        };
        let one_way_to_write_it = first != last || !numbers.contains('-');
        (first >= 1 && first <= last && one_way_to_write_it)
            .then(|| (Self { unit, first, last, note: note.to_owned(), handle }, end))
    }
}

pub(crate) fn is_note(c: char) -> bool {
    !matches!(c, '[' | ']' | '#' | '"' | '\\' | '~') && !c.is_control()
}

pub(crate) fn number(digits: &str) -> Option<usize> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    plain.then(|| digits.parse().ok()).flatten()
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[~{} {}", self.unit.word(), self.first)?;
        if self.last != self.first {
            write!(f, "-{}", self.last)?;
        }
        if !self.note.is_empty() {
            write!(f, ": {}", self.note)?;
        }
        if let Some(handle) = self.handle {
            write!(f, " #{handle}")?;
        }
        f.write_str("]")
    }
}

/// The text is not a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a marker: expected [~lines FIRST-LAST #HANDLE]")]
pub struct ParseMarkerError;

impl FromStr for Marker {
    type Err = ParseMarkerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match Self::parse_prefix(text) {
            Some((marker, length)) if length == text.len() => Ok(marker),
            _ => Err(ParseMarkerError),
        }
    }
}

/// The introducer of everything in our output that is not source text.
pub const INTRODUCER: &str = "[~";

/// Where `text` holds the introducer.
pub(crate) fn introducers(text: &str) -> impl Iterator<Item = usize> + '_ {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'[', bytes).filter(|at| bytes.get(at + 1) == Some(&b'~'))
}

/// Writes `kept` to `out`, with one tilde more behind every `[~`.
pub fn escape(kept: &str, out: &mut String) {
    let mut from = 0;
    for at in introducers(kept) {
        out.push_str(&kept[from..at + INTRODUCER.len()]);
        out.push('~');
        from = at + INTRODUCER.len();
    }
    out.push_str(&kept[from..]);
}

/// The inverse of [`escape`]. `None` if `text` holds a bare introducer.
#[must_use]
pub fn unescape(text: &str) -> Option<Cow<'_, str>> {
    let mut out = String::new();
    let mut from = 0;
    for at in introducers(text) {
        let end = at + INTRODUCER.len();
        if text.as_bytes().get(end) != Some(&b'~') {
            return None;
        }
        out.push_str(&text[from..end]);
        from = end + 1;
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
    use crate::{
        ccr::HandleKey,
        tokens::{O200k, TokenCounter},
    };
    use proptest::prelude::*;

    fn handle() -> Handle {
        Handle::new(&HandleKey::default(), "text", "x")
    }

    #[test]
    fn at_most_24_tokens_with_its_counts() {
        for unit in Unit::ALL {
            let marker = Marker::new(unit, 123_456, 234_567, "", Some(handle()));
            let tokens = O200k.count(&marker.to_string());
            assert!(tokens <= 24, "{marker} is {tokens} tokens");
        }
    }

    #[test]
    fn forged_and_broken_markers_do_not_parse() {
        for bad in [
            "[~lines]",
            "[~lines 0-3]",
            "[~lines 5-3]",
            "[~lines 3-3]",
            "[~lines 03]",
            "[~rows 1-2]",
            "[~lines 1-2: ]",
            "[~lines 1-2 #12]",
            "[~lines 1-2",
            "[~lines 1-2: a#b]",
            "[~~lines 1-2]",
            "x[~lines 1]",
            "[~lines 1-2 ]",
        ] {
            assert_eq!(bad.parse::<Marker>(), Err(ParseMarkerError), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn display_and_parse_agree(first in 1usize..10_000, more in 0usize..10_000, note in ".{0,30}", full: bool) {
            let marker = Marker::new(Unit::Lines, first, first + more, &note, full.then(handle));
            prop_assert_eq!(marker.to_string().parse::<Marker>(), Ok(marker));
        }

        #[test]
        fn escaping_comes_back(text in "[\\[~a #\\]é]{0,40}") {
            let mut out = String::new();
            escape(&text, &mut out);
            let back = unescape(&out);
            prop_assert_eq!(back.as_deref(), Some(text.as_str()));
        }
    }
}
