//! What to leave out of a table: the [axes](super::super::axes) choose among its rows.

use std::ops::Range;

use super::{
    super::{
        axes::{self, Cell, Rows},
        smart_crusher::semantics::{Meaning, is_error_text, meaning},
        weigh::weigh,
    },
    sheet::{Kind, Sheet},
    style::Word,
};
use crate::{ccr::marker::INTRODUCER, reduce::Context};

/// The rows to leave out.
pub(super) fn choose(source: &str, sheet: &Sheet<'_>, context: &Context<'_>) -> Vec<Range<usize>> {
    if !sheet.sure {
        return Vec::new();
    }
    let meanings = (0..sheet.slots.len())
        .map(|column| sheet.names.get(column).map_or(Meaning::Other, |name| meaning(bare(name))))
        .collect();
    axes::choose(&SheetRows { source, sheet, meanings }, context.query, context.stakes.worth())
}

struct SheetRows<'a, 's> {
    source: &'s str,
    sheet: &'a Sheet<'s>,
    /// What the name of each column says of its cells.
    meanings: Vec<Meaning>,
}

impl SheetRows<'_, '_> {
    fn row(&self, at: usize) -> &str {
        &self.source[self.sheet.rows[at].range.clone()]
    }
}

impl Rows for SheetRows<'_, '_> {
    fn len(&self) -> usize {
        self.sheet.rows.len()
    }

    fn weight(&self, at: usize) -> usize {
        let cells = self.sheet.cells(at);
        if cells.is_empty() { weigh(self.row(at)) } else { cells.iter().map(|cell| 1 + weigh(cell)).sum() }
    }

    fn is_odd(&self, at: usize) -> bool {
        self.sheet.rows[at].kind == Kind::Odd
    }

    /// Errors, rows that hold a marker, and the last tuple, which closes its list.
    fn must_stay(&self, at: usize) -> bool {
        let row = self.row(at);
        let closes = self.sheet.style.word == Word::Tuples && at + 1 == self.sheet.rows.len();
        if closes || row.contains(INTRODUCER) {
            return true;
        }
        let cells = self.sheet.cells(at);
        if cells.is_empty() {
            return is_error_text(row, Meaning::Other);
        }
        let is_error = |(cell, meaning): (&&str, &Meaning)| {
            let cell = bare(cell);
            !cell.is_empty() && is_error_text(cell, *meaning)
        };
        cells.iter().zip(&self.meanings).any(is_error)
    }

    fn columns(&self) -> usize {
        self.sheet.slots.len()
    }

    fn cell(&self, column: usize, at: usize) -> Option<Cell<'_>> {
        let cell = bare(self.sheet.cell(at, column)?);
        if cell.is_empty() || cell == "None" || cell == "NULL" {
            return None;
        }
        let number = cell.strip_suffix('%').unwrap_or(cell);
        let is_number = number.parse::<f64>().is_ok_and(f64::is_finite);
        Some(if is_number { Cell::Number(number) } else { Cell::Text(cell) })
    }

    fn text(&self, at: usize, out: &mut String) {
        out.push_str(self.row(at));
        out.push(' ');
    }
}

/// A cell without its quotes.
fn bare(cell: &str) -> &str {
    let inner = |quote| cell.strip_prefix(quote).and_then(|rest: &str| rest.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(cell)
}
