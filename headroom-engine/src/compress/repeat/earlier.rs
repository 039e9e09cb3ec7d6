//! A text that can be pointed at: its lines, and what readers call them.

use std::{
    hash::{DefaultHasher, Hasher},
    ops::Range,
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

/// Equal for equal lines; what else is equal the gate finds out.
fn hash(line: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(line.as_bytes());
    hasher.finish()
}
