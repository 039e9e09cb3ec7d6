//! Repeats inside one block: lines that stand above are not said again.
//!
//! ```text
//! [~same 12]   the line above, 12 times more
//! [~then 8]    the 8 lines that followed the line above where it last stood before
//! ```
//!
//! [`Repeats`] finds what can be said so, [`History`] reads it back. "Above" and "before" reach back
//! to the last marker, since a reader must see what is referred to.

use std::ops::Range;

use super::hash::{ByHash, hash_bytes};

/// A source of lines, by number.
pub(super) trait Lines {
    /// Line `at` without its newline.
    fn text(&self, at: usize) -> &str;

    /// About the tokens of line `at`, its newline included.
    fn cost(&self, at: usize) -> usize;

    /// Whether both lines are complete and `right` says what `left` says.
    fn is_same(&self, left: usize, right: usize) -> bool;
}

/// What need not be said again behind a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// So many times that line.
    Same(usize),
    /// So many lines, which followed it before.
    Then(usize),
}

/// About the tokens of `[~same 12]` and of `[~then 8]`.
pub(super) const COST: usize = 6;

impl Repeat {
    /// The number of lines that it stands for.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Same(count) | Self::Then(count) => count,
        }
    }

    /// How it is written.
    pub(super) fn text(self) -> String {
        match self {
            Self::Same(count) => format!("[~same {count}]\n"),
            Self::Then(count) => format!("[~then {count}]\n"),
        }
    }
}

/// Where the lines written so far stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Repeats {
    stood: ByHash<usize>,
}

impl Repeats {
    /// Notes lines that were written or said, in order.
    pub(super) fn note(&mut self, lines: &impl Lines, range: Range<usize>) {
        for at in range {
            self.stood.insert(hash_bytes(lines.text(at).as_bytes()), at);
        }
    }

    /// Forgets all lines: a marker stands here.
    pub(super) fn clear(&mut self) {
        self.stood.clear();
    }

    /// What of the lines behind `at`, up to `end`, need not be said once `at` is.
    pub(super) fn find(&self, lines: &impl Lines, at: usize, end: usize) -> Option<Repeat> {
        let repeats = (at + 1..end).take_while(|next| lines.is_same(at, *next)).count();
        if repeats > 0 && lines.cost(at) * repeats > COST {
            return Some(Repeat::Same(repeats));
        }
        let before = *self.stood.get(&hash_bytes(lines.text(at).as_bytes()))?;
        if lines.text(before) != lines.text(at) {
            return None;
        }
        let most = (end - at - 1).min(at - before - 1);
        let count = (1..=most).take_while(|step| lines.is_same(before + step, at + step)).count();
        let cost: usize = (at + 1..=at + count).map(|line| lines.cost(line)).sum();
        (cost > COST + 4 * count.min(4)).then_some(Repeat::Then(count))
    }
}

/// What was decoded since the last marker.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    text: String,
    /// Where a line, by its hash, ends in `text`: the last but the last line.
    followed: ByHash<usize>,
    indexed: usize,
}

/// More than a source can hold.
const LONGEST: usize = u32::MAX as usize;

impl History {
    /// Notes decoded text.
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Forgets all text: a marker stands here.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.followed.clear();
        self.indexed = 0;
    }

    /// The last line, without its newline.
    fn last(&self) -> Option<Range<usize>> {
        let whole = self.text.strip_suffix('\n')?;
        let start = memchr::memrchr(b'\n', whole.as_bytes()).map_or(0, |at| at + 1);
        Some(start..whole.len())
    }

    /// What the text of a [`Repeat`], `[~` and `]` aside, stands for: `same 12`.
    pub(super) fn read(&mut self, word: &str, count: &str) -> Option<String> {
        let count = count.parse().ok()?;
        match word {
            "same" => self.same(count),
            "then" => self.then(count),
            _ => None,
        }
    }

    fn same(&self, count: usize) -> Option<String> {
        let line = format!("{}\n", &self.text[self.last()?]);
        (count.checked_mul(line.len())? <= LONGEST).then(|| line.repeat(count))
    }

    fn then(&mut self, count: usize) -> Option<String> {
        let last = self.last()?;
        while self.indexed < last.start {
            let end = self.indexed + memchr::memchr(b'\n', &self.text.as_bytes()[self.indexed..])?;
            self.followed.insert(hash_bytes(&self.text.as_bytes()[self.indexed..end]), end + 1);
            self.indexed = end + 1;
        }
        let from = *self.followed.get(&hash_bytes(&self.text.as_bytes()[last]))?;
        let mut end = from;
        for _ in 0..count {
            end += memchr::memchr(b'\n', self.text.get(end..)?.as_bytes())? + 1;
        }
        Some(self.text[from..end].to_owned())
    }
}
