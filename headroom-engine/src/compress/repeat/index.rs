//! The lines that a conversation's tool results and calls show.

use std::{collections::HashMap, ops::Range, sync::Arc};

use super::{Earlier, shape::shape};

/// A byte that stands for itself in every JSON string.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// What the model still reads of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// All of it, as it is.
    All,
    /// These ranges of it, as they are; and, if `whole`, the rest in other words.
    Parts { ranges: Box<[Range<u32>]>, whole: bool },
}

impl Shown {
    pub(crate) fn whole(&self) -> bool {
        !matches!(self, Self::Parts { whole: false, .. })
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::All => 0,
            Self::Parts { ranges, .. } => size_of_val::<[Range<u32>]>(ranges),
        }
    }
}

/// No line before this one has the same hash.
const NONE: u32 = u32::MAX;

/// A line that is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) hash: u64,
    /// The text it stands in.
    pub(super) text: u32,
    /// Its place there.
    pub(super) line: u32,
    /// The last one before it with the same hash.
    before: u32,
}

/// All lines that are shown, in the order of the conversation.
#[derive(Debug, Default)]
pub(crate) struct Index {
    texts: Vec<Arc<Earlier>>,
    lines: Vec<Line>,
    last: HashMap<u64, u32>,
    /// Texts that are shown whole, by digest.
    wholes: HashMap<[u8; 32], u32>,
    /// The first text of each shape that is shown whole.
    shapes: HashMap<u64, u32>,
    /// How many calls were looked at.
    calls: usize,
    /// Behind each result that was looked at.
    marks: Vec<Mark>,
    bytes: usize,
}

/// Where an index stood.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// Of the conversation up to here.
    key: [u8; 32],
    texts: usize,
    lines: usize,
    calls: usize,
    bytes: usize,
    /// The text with the result's digest before it; `None` if the result is not shown whole.
    shadowed: Option<([u8; 32], Option<u32>)>,
}

impl Index {
    /// How many texts of results it accounts for.
    pub(crate) fn seen(&self) -> usize {
        self.marks.len()
    }

    /// How many of them a conversation with these keys has in common.
    pub(super) fn common(&self, keys: &[[u8; 32]]) -> usize {
        let most = self.marks.len().min(keys.len());
        // Each key holds the one before it.
        let (mut common, mut differ) = (0, most + 1);
        while common + 1 < differ {
            let middle = common.midpoint(differ);
            match self.marks[middle - 1].key == keys[middle - 1] {
                true => common = middle,
                false => differ = middle,
            }
        }
        common
    }

    /// Forgets what came behind the first `results`.
    pub(super) fn truncate(&mut self, results: usize) {
        let (texts, lines) = match results.checked_sub(1).and_then(|last| self.marks.get(last)) {
            Some(mark) => {
                (self.calls, self.bytes) = (mark.calls, mark.bytes);
                (mark.texts, mark.lines)
            }
            None => {
                *self = Self::default();
                return;
            }
        };
        for line in self.lines.drain(lines..).rev() {
            match line.before {
                NONE => self.last.remove(&line.hash),
                before => self.last.insert(line.hash, before),
            };
        }
        for (digest, before) in self.marks.drain(results..).rev().filter_map(|mark| mark.shadowed) {
            match before {
                None => self.wholes.remove(&digest),
                Some(before) => self.wholes.insert(digest, before),
            };
        }
        self.shapes.retain(|_, text| (*text as usize) < texts);
        self.texts.truncate(texts);
    }

    /// How many calls it accounts for.
    pub(crate) fn calls(&self) -> usize {
        self.calls
    }

    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The next result, if it can be pointed at, and what of it is still to be read; `key` is the
    /// conversation's, up to it.
    pub(crate) fn push_result(
        &mut self,
        key: [u8; 32],
        digest: [u8; 32],
        earlier: Option<Earlier>,
        shown: &Shown,
    ) {
        let mut shadowed = None;
        if let Some(earlier) = earlier {
            if shown.whole() {
                let text = u32::try_from(self.texts.len()).unwrap_or(NONE);
                shadowed = Some((digest, self.wholes.insert(digest, text)));
                if let Some(shape) = shape(earlier.text()) {
                    self.shapes.entry(shape).or_insert(text);
                }
            }
            match shown {
                Shown::All => self.push(earlier, std::slice::from_ref(&(0..u32::MAX))),
                Shown::Parts { ranges, whole } if *whole || !ranges.is_empty() => self.push(earlier, ranges),
                Shown::Parts { .. } => {}
            }
        }
        let (texts, lines) = (self.texts.len(), self.lines.len());
        self.bytes += size_of::<Mark>();
        self.marks.push(Mark { key, texts, lines, calls: self.calls, bytes: self.bytes, shadowed });
    }

    /// The next call. Of its arguments the lines are read that no JSON writes otherwise.
    pub(crate) fn push_call(&mut self, arguments: impl IntoIterator<Item = Earlier>) {
        self.calls += 1;
        for earlier in arguments {
            let plain = |line: &usize| earlier.line(*line).bytes().all(is_plain);
            let ranges = (0..earlier.len()).filter(plain).map(|line| earlier.inside(line..line + 1));
            let ranges =
                ranges.filter_map(|range| Some(range.start.try_into().ok()?..range.end.try_into().ok()?));
            let ranges: Vec<Range<u32>> = ranges.collect();
            self.push(earlier, &ranges);
        }
    }

    fn push(&mut self, earlier: Earlier, mut parts: &[Range<u32>]) {
        let text = u32::try_from(self.texts.len()).unwrap_or(NONE);
        self.bytes += 512 + earlier.text().len();
        for (line, hash) in earlier.hashes().enumerate() {
            // The newline behind a line need not be shown with it, nor the number before it: views
            // whose numbers are written otherwise still say which line is which.
            let inside = earlier.inside(line..line + 1);
            let range = inside.end - earlier.bare(line).len()..inside.end;
            while let [part, rest @ ..] = parts
                && (part.end as usize) < range.end
            {
                parts = rest;
            }
            let [part, ..] = parts else { break };
            let (Ok(at), Ok(number)) = (u32::try_from(self.lines.len()), u32::try_from(line)) else { break };
            if (part.start as usize) <= range.start && earlier.number(line).is_some() {
                let before = self.last.insert(hash, at).unwrap_or(NONE);
                self.lines.push(Line { hash, text, line: number, before });
                self.bytes += 56;
            }
        }
        self.texts.push(Arc::new(earlier));
    }

    pub(super) fn text(&self, at: u32) -> Option<&Arc<Earlier>> {
        self.texts.get(at as usize)
    }

    /// The text with this digest that was shown last.
    pub(super) fn whole(&self, digest: &[u8; 32]) -> Option<&Arc<Earlier>> {
        self.text(*self.wholes.get(digest)?)
    }

    /// The first text of this shape that is shown whole.
    pub(super) fn shaped(&self, shape: u64) -> Option<&Arc<Earlier>> {
        self.text(*self.shapes.get(&shape)?)
    }

    pub(super) fn get(&self, at: usize) -> Option<Line> {
        self.lines.get(at).copied()
    }

    /// The lines with this hash, the last one first.
    pub(super) fn with(&self, hash: u64) -> impl Iterator<Item = usize> + '_ {
        let first = self.last.get(&hash).copied();
        std::iter::successors(first, |at| {
            let before = self.lines.get(*at as usize)?.before;
            (before != NONE).then_some(before)
        })
        .map(|at| at as usize)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Holder, Place};
    use super::*;

    fn earlier(number: usize, text: &str) -> Earlier {
        Earlier::new(Place { holder: Holder::Result, number, part: None }, "a.rs", text)
    }

    fn key(text: &str) -> [u8; 32] {
        *blake3::hash(text.as_bytes()).as_bytes()
    }

    fn push(index: &mut Index, number: usize, text: &str) {
        index.push_call([earlier(number, &format!("call {number}\n{text}"))]);
        let shown = match number % 3 {
            0 => Shown::Parts { ranges: [0..5, 9..40].into(), whole: number.is_multiple_of(2) },
            _ => Shown::All,
        };
        index.push_result(key(&number.to_string()), key(text), Some(earlier(number, text)), &shown);
    }

    /// What can be asked of an index.
    fn known(index: &Index, texts: &[String]) -> String {
        let mut out = format!("{} {} {} ", index.seen(), index.calls(), index.bytes());
        for text in texts {
            out += &format!("{:?} ", index.whole(&key(text)).map(|earlier| earlier.place().number));
            let shaped = shape(text).and_then(|shape| index.shaped(shape));
            out += &format!("{:?} ", shaped.map(|earlier| earlier.place().number));
            for hash in earlier(0, text).hashes() {
                out += &format!("{:?} ", index.with(hash).collect::<Vec<_>>());
            }
        }
        out
    }

    #[test]
    fn only_whole_lines_that_are_shown_are_found() {
        let text = "one\ntwo\nthree\nfour";
        let mut index = Index::default();
        let shown = Shown::Parts { ranges: [0..3, 5..13].into(), whole: false };
        index.push_result([0; 32], key(text), Some(earlier(1, text)), &shown);
        let found: Vec<bool> =
            earlier(2, text).hashes().map(|hash| index.with(hash).next().is_some()).collect();
        assert_eq!(found, [true, false, true, false]);
        assert!(index.whole(&key(text)).is_none());
    }

    #[test]
    fn of_arguments_the_lines_that_json_writes_as_they_are() {
        let text = "plain\nsay \"it\"\n\ttab\né\n";
        let mut index = Index::default();
        index.push_call([earlier(1, text)]);
        let found: Vec<bool> =
            earlier(2, text).hashes().map(|hash| index.with(hash).next().is_some()).collect();
        assert_eq!(found, [true, false, false, false, true]);
    }

    proptest! {
        #[test]
        fn forgetting_is_never_having_seen(
            texts in proptest::collection::vec("([ab]{0,2}\n){0,12}|\\{\"[abc]\":[12]\\}", 1..8), keep in any::<prop::sample::Index>(),
        ) {
            let keep = keep.index(texts.len()) + 1;
            let mut index = Index::default();
            let mut fresh = Index::default();
            for (at, text) in texts.iter().enumerate() {
                push(&mut index, at, text);
                if at < keep {
                    push(&mut fresh, at, text);
                }
            }
            let keys: Vec<[u8; 32]> = (0..keep).map(|at| key(&at.to_string())).collect();
            let mut other = keys.clone();
            other.extend([[7; 32]; 3]);
            prop_assert_eq!(index.common(&keys), keep);
            prop_assert_eq!(index.common(&other), keep);
            index.truncate(keep);
            prop_assert_eq!(known(&index, &texts), known(&fresh, &texts));
        }
    }
}
