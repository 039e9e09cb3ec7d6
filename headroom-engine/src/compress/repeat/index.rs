//! The lines that a conversation's tool results show.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hasher},
    ops::Range,
    sync::Arc,
};

use super::gutter::{Gutter, Rows, rows};

/// What holds a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// A tool result.
    Result,
    /// A tool call: one of its arguments.
    Call,
}

impl Holder {
    /// The word in a reference.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Result => "result",
            Self::Call => "call",
        }
    }
}

/// Which text of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// What holds it.
    pub holder: Holder,
    /// Which one of those in the conversation, from 1.
    pub number: usize,
    /// Its text, from 1; `None` where it is the only one. Of a call: its string arguments, in the
    /// order of their names.
    pub part: Option<usize>,
}

/// An earlier text, as the client sent it.
#[derive(Debug)]
pub struct Earlier {
    place: Place,
    note: Box<str>,
    text: Box<str>,
    /// Where each line starts.
    starts: Vec<u32>,
    rows: Vec<Rows>,
}

impl Earlier {
    /// The text at `place`; `note` says in a few words which one that is.
    #[must_use]
    pub fn new(place: Place, note: &str, text: &str) -> Self {
        let newlines = memchr::memchr_iter(b'\n', text.as_bytes());
        // Longer texts than 4 GiB have no lines that could be pointed at.
        let starts = std::iter::once(0).chain(newlines.map(|at| at + 1));
        let starts = starts.map_while(|at| u32::try_from(at).ok()).collect();
        let mut earlier = Self { place, note: note.into(), text: text.into(), starts, rows: Vec::new() };
        earlier.rows = rows((0..earlier.len()).map(|line| earlier.line(line)));
        earlier
    }

    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// All of it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn note(&self) -> &str {
        &self.note
    }

    /// How many lines it has; one more than newlines.
    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// Where `lines` stand, the newline behind the last one included.
    fn range(&self, lines: Range<usize>) -> Range<usize> {
        let at = |line: usize| self.starts.get(line).map_or(self.text.len(), |at| *at as usize);
        at(lines.start)..at(lines.end)
    }

    /// Where `lines` stand, without the newline behind the last one.
    pub(super) fn inside(&self, lines: Range<usize>) -> Range<usize> {
        let newline = usize::from(lines.end < self.len());
        let range = self.range(lines);
        range.start..range.end - newline
    }

    /// Line `line`, from 0, without its newline.
    pub(super) fn line(&self, line: usize) -> &str {
        &self.text[self.inside(line..line + 1)]
    }

    pub(super) fn rows_of(&self, line: usize) -> Option<&Rows> {
        let at = self.rows.partition_point(|rows| rows.lines.end <= line);
        self.rows.get(at).filter(|rows| rows.lines.contains(&line))
    }

    /// Whether `line` goes on from the one before it: both numbered in one row, or neither.
    pub(super) fn joined(&self, line: usize) -> bool {
        let row = |line| self.rows_of(line).map(|rows| rows.lines.start);
        self.rows.is_empty() || row(line) == row(line - 1)
    }

    /// The line without its number.
    pub(super) fn bare(&self, line: usize) -> &str {
        let text = self.line(line);
        self.rows_of(line).map_or(text, |rows| rows.bare(line, text))
    }

    pub(super) fn gutter(&self, line: usize) -> Option<Gutter> {
        self.rows_of(line).map(|rows| rows.gutter)
    }

    /// What a reader calls `line`; `None` if nothing is called so, or something before it.
    pub(super) fn number(&self, line: usize) -> Option<usize> {
        if self.rows.is_empty() {
            return Some(line + 1);
        }
        let number = self.rows_of(line)?.number_of(line);
        (self.numbered(number, number)?.start == line).then_some(number)
    }

    /// The lines that a reader calls `first` to `last`.
    pub(super) fn numbered(&self, first: usize, last: usize) -> Option<Range<usize>> {
        let count = last.checked_sub(first)? + 1;
        let from = match self.rows.is_empty() {
            true => first.checked_sub(1)?,
            false => {
                let holds = |rows: &&Rows| (rows.number..rows.number + rows.lines.len()).contains(&first);
                let rows = self.rows.iter().find(holds)?;
                let from = rows.lines.start + (first - rows.number);
                (from + count <= rows.lines.end).then_some(from)?
            }
        };
        (from + count <= self.len()).then(|| from..from + count)
    }

    /// Of every line as it is compared: without its number.
    pub(super) fn hashes(&self) -> impl Iterator<Item = u64> + '_ {
        let mut rows = self.rows.iter().peekable();
        (0..self.len()).map(move |line| {
            while rows.next_if(|rows| rows.lines.end <= line).is_some() {}
            let text = self.line(line);
            let numbered = rows.peek().filter(|rows| rows.lines.contains(&line));
            hash(numbered.map_or(text, |rows| rows.bare(line, text)))
        })
    }
}

/// A byte that stands for itself in every JSON string.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

/// Equal for equal lines; what else is equal the gate finds out.
fn hash(line: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(line.as_bytes());
    hasher.finish()
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
    /// How many results were looked at, and how many calls.
    seen: usize,
    calls: usize,
    bytes: usize,
}

impl Index {
    /// How many texts of results it accounts for.
    pub(crate) fn seen(&self) -> usize {
        self.seen
    }

    /// How many calls it accounts for.
    pub(crate) fn calls(&self) -> usize {
        self.calls
    }

    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The next result, if it can be pointed at, and what of it is still to be read.
    pub(crate) fn push_result(&mut self, earlier: Option<Earlier>, digest: [u8; 32], shown: &Shown) {
        self.seen += 1;
        let Some(earlier) = earlier else { return };
        if shown.whole() {
            self.wholes.insert(digest, u32::try_from(self.texts.len()).unwrap_or(NONE));
        }
        match shown {
            Shown::All => self.push(earlier, &[0..u32::MAX]),
            Shown::Parts { ranges, whole } if *whole || !ranges.is_empty() => self.push(earlier, ranges),
            Shown::Parts { .. } => {}
        }
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
        self.bytes += 512 + earlier.text.len();
        for (line, hash) in earlier.hashes().enumerate() {
            // The newline behind a line need not be shown with it.
            let range = earlier.inside(line..line + 1);
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
