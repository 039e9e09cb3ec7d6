//! The words that stand for a value: a placeholder where it was, a note where it is told.
//!
//! ```text
//! The current time is [time: see below].        in the prefix, for ever the same
//! [time: 2026-11-22 17:51:06]                   behind the user's words
//! ```

use bytes::Bytes;

/// What no source may hold for its values to be moved: it could not be told from a placeholder.
pub(super) const LOOKS_LIKE: &str = ": see below]";

/// The text in a value's place.
pub(super) fn placeholder(name: &str) -> String {
    format!("[{name}{LOOKS_LIKE}")
}

/// Tells values; empty if there are none.
pub(super) fn note<'a>(values: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let told: Vec<String> = values.map(|(name, value)| format!("[{name}: {value}]")).collect();
    told.join("\n")
}

/// The names and values that a note tells; `None` if it is none.
pub(super) fn told(note: &str) -> Option<Vec<(&str, &str)>> {
    if note.is_empty() {
        return Some(Vec::new());
    }
    let inner = note.strip_prefix('[')?.strip_suffix(']')?;
    inner.split("]\n[").map(|told| told.split_once(": ")).collect()
}

/// How many notes a record keeps: conversations may begin alike and differ in their values alone.
const MOST: usize = 8;
const VERSION: u8 = 0x41;

/// The notes told at one point, the latest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Notes(Vec<String>);

impl Notes {
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    pub(super) fn latest(&self) -> Option<&str> {
        self.0.first().map(String::as_str)
    }

    /// The same with `note` as the latest.
    pub(super) fn with(mut self, note: &str) -> Self {
        self.0.retain(|other| other != note);
        self.0.insert(0, note.to_owned());
        self.0.truncate(MOST);
        self
    }

    pub(super) fn encode(&self) -> Bytes {
        let mut out = vec![VERSION];
        for note in &self.0 {
            out.extend_from_slice(&u32::try_from(note.len()).unwrap_or(u32::MAX).to_le_bytes());
            out.extend_from_slice(note.as_bytes());
        }
        out.into()
    }

    /// `None` for bytes that no version of ours wrote.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(&[VERSION])?;
        let mut notes = Vec::new();
        while let Some((length, behind)) = rest.split_first_chunk::<4>() {
            let (note, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize)?;
            notes.push(String::from_utf8(note.to_vec()).ok()?);
            rest = behind;
        }
        rest.is_empty().then_some(Self(notes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn notes_are_read_back() {
        let values = [("time", "2026-11-22 17:51:06"), ("log", "a [x]\nb: c"), ("session id 2", "s:9")];
        assert_eq!(told(&note(values.into_iter())), Some(values.to_vec()));
        assert_eq!(told(""), Some(Vec::new()));
        assert_eq!((told("time: x"), told("[time]")), (None, None));
    }

    #[test]
    fn the_latest_comes_first_and_the_oldest_is_dropped() {
        let all = (0..20).fold(Notes::default(), |notes, n| notes.with(&n.to_string()));
        assert_eq!((all.latest(), all.iter().count()), (Some("19"), MOST));
        assert_eq!(all.with("13").latest(), Some("13"));
    }

    proptest! {
        #[test]
        fn records_come_back(notes in proptest::collection::vec(".{0,9}", 0..4)) {
            let notes = Notes(notes);
            prop_assert_eq!(Notes::decode(&notes.encode()), Some(notes));
        }

        #[test]
        fn foreign_bytes_do_not(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Some(read) = Notes::decode(&bytes) {
                prop_assert_eq!(read.encode(), bytes);
            }
        }
    }
}
