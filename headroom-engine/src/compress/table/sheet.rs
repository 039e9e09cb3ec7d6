//! A table found in a text: its style, its columns, and which of its rows fit them.

use std::ops::Range;

use super::{
    column::separator,
    heading::can_write,
    style::{Line, Slot, Style, Word},
};

/// More columns than these are no table.
pub(super) const MAX_COLUMNS: usize = 128;
/// Wider columns are text.
const MAX_WIDTH: usize = 2000;

/// A table in a source.
#[derive(Clone, Debug)]
pub(super) struct Sheet<'s> {
    /// All of it, header and rules too.
    pub(super) range: Range<usize>,
    pub(super) style: Style,
    /// The names of the columns; empty if it has none.
    pub(super) names: Vec<&'s str>,
    pub(super) slots: Vec<Slot>,
    /// Where the rows begin.
    pub(super) body: usize,
    /// The line of the source, from 0, that the first row is.
    pub(super) line: usize,
    pub(super) rows: Vec<Row>,
    /// The cells of all regular rows.
    cells: Vec<&'s str>,
    /// It is surely a table, so that rows may be left out.
    pub(super) sure: bool,
}

/// A row, with what ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) range: Range<usize>,
    pub(super) kind: Kind,
}

/// How a row is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its cells start here.
    Cells(usize),
    Rule,
    /// As it is.
    Odd,
}

/// A row as it was read, before it is known whether it can be drawn from its cells.
#[derive(Clone, Debug)]
pub(super) struct Read<'s> {
    pub(super) range: Range<usize>,
    /// As many as there are columns, or it is odd.
    pub(super) cells: Vec<&'s str>,
}

impl<'s> Sheet<'s> {
    /// The table with these rows, as far as they can be drawn; the header is tried first, and is a
    /// row like others if it cannot. `None` if fewer than four in five rows can.
    ///
    /// `head` is where the table begins, `line` the line of its first row.
    pub(super) fn new(
        source: &'s str,
        style: Style,
        slots: Vec<Slot>,
        head: usize,
        names: Option<Vec<&'s str>>,
        line: usize,
        read: Vec<Read<'s>>,
    ) -> Option<Self> {
        let columns = slots.len();
        let (first, last) = (read.first()?, read.last()?);
        if !(1..=MAX_COLUMNS).contains(&columns) || slots.iter().any(|slot| slot.width > MAX_WIDTH) {
            return None;
        }
        let mut sheet = Self {
            range: head..last.range.end,
            style,
            names: names.unwrap_or_default(),
            slots,
            body: first.range.start,
            line,
            rows: Vec::with_capacity(read.len()),
            cells: Vec::with_capacity(read.len() * columns),
            sure: true,
        };
        let mut drawn = String::new();
        for Read { range, cells } in read {
            let kind = sheet.kind(&source[range.clone()], &cells, &mut drawn);
            if let Kind::Cells(_) = kind {
                sheet.cells.extend(cells);
            }
            sheet.rows.push(Row { range, kind });
        }
        let regular = sheet.regular().count();
        let odd = sheet.rows.iter().filter(|row| row.kind == Kind::Odd).count();
        if regular < 2 || odd * 4 > regular {
            return None;
        }
        sheet.style.header = !sheet.names.is_empty();
        drawn.clear();
        sheet.style.head(&sheet.slots, sheet.names.iter().copied(), &mut drawn);
        let separator = separator(&sheet);
        if drawn != source[head..sheet.body] || !sheet.names.iter().all(|name| can_write(name, separator)) {
            sheet.behead(source);
        }
        Some(sheet)
    }

    /// Takes the header for rows like others.
    fn behead(&mut self, source: &str) {
        self.style.header = false;
        self.names.clear();
        let mut start = self.range.start;
        let mut above = Vec::new();
        for text in source[start..self.body].split_inclusive('\n') {
            above.push(Row { range: start..start + text.len(), kind: Kind::Odd });
            start += text.len();
        }
        self.line = self.line.saturating_sub(above.len());
        self.body = self.range.start;
        self.rows.splice(0..0, above);
    }

    /// How the row `text` can be written.
    fn kind(&self, text: &str, cells: &[&str], drawn: &mut String) -> Kind {
        let text = if self.style.word == Word::Tuples {
            text
        } else {
            let end = self.style.line_end();
            text.strip_suffix(end).unwrap_or(text)
        };
        drawn.clear();
        if cells.len() == self.slots.len() {
            self.style.draw(Line::Body, &self.slots, cells.iter().copied(), drawn);
            let text =
                if self.style.word == Word::Tuples { text.get(..drawn.len()).unwrap_or("") } else { text };
            if *drawn == text {
                return Kind::Cells(self.cells.len());
            }
            drawn.clear();
        }
        self.style.rule(&self.slots, drawn);
        if !drawn.is_empty() && *drawn == text { Kind::Rule } else { Kind::Odd }
    }

    /// The cells of a row; empty if it has none of its own.
    pub(super) fn cells(&self, row: usize) -> &[&'s str] {
        match self.rows[row].kind {
            Kind::Cells(start) => &self.cells[start..start + self.slots.len()],
            _ => &[],
        }
    }

    /// The cell of a regular row.
    pub(super) fn cell(&self, row: usize, column: usize) -> Option<&'s str> {
        self.cells(row).get(column).copied()
    }

    /// The rows that fit the columns.
    pub(super) fn regular(&self) -> impl Iterator<Item = usize> + Clone + '_ {
        (0..self.rows.len()).filter(|row| matches!(self.rows[*row].kind, Kind::Cells(_)))
    }
}
