//! Writing a table as operations, in source order.

use std::ops::Range;

use super::{
    column::{Coding, Each, codings, separator},
    heading::Heading,
    note::note,
    sheet::{Kind, Sheet},
    style::Word,
};
use crate::{
    ccr::{Unit, marker},
    reduce::Op,
};

/// Stands before a row that is written as it is.
pub(super) const PLAIN: &str = "[~]";
/// Stands for a rule.
pub(super) const RULE: &str = "[~-]";

/// The operations for `sheet` without the rows of `runs`.
pub(super) fn encode(source: &str, sheet: &Sheet<'_>, runs: &[Range<usize>]) -> Vec<Op> {
    let tuples = sheet.style.word == Word::Tuples;
    let separator = separator(sheet);
    let mut shown = vec![true; sheet.rows.len()];
    runs.iter().for_each(|run| shown[run.clone()].fill(false));
    for (row, shown) in shown.iter_mut().enumerate() {
        *shown &= sheet.cells(row).iter().all(|cell| !cell.contains([separator, '\r', '\n']));
    }
    let mut codings = codings(sheet);
    let out = header(sheet, separator, &shown, &mut codings);
    let mut writer = Writer { ops: Vec::new(), out, from: sheet.range.start };
    let mut above: Option<usize> = None;
    let mut runs = runs.iter().peekable();
    let mut row = 0;
    while row < sheet.rows.len() {
        if let Some(run) = runs.next_if(|run| run.start == row) {
            let range = sheet.rows[row].range.start..sheet.rows[run.end - 1].range.end;
            let (unit, before, original) = if tuples {
                (Unit::Items, 0, sheet.range.clone())
            } else {
                (Unit::Lines, sheet.line, 0..source.len())
            };
            writer.elide(Op::Elide {
                range,
                original,
                unit,
                first: before + run.start + 1,
                last: before + run.end,
                note: note(sheet, run.clone()),
                frame: ("", "\n"),
            });
            (row, above) = (run.end, None);
            continue;
        }
        let range = sheet.rows[row].range.clone();
        let ended = if tuples { row + 1 < sheet.rows.len() } else { source[..range.end].ends_with('\n') };
        let mut cells = String::new();
        if shown[row] {
            write_cells(sheet, &codings, separator, (row, above), &mut cells);
        }
        match sheet.rows[row].kind {
            // A last row that writes nothing would not be seen.
            Kind::Cells(_) if shown[row] && (ended || !cells.is_empty()) => {
                marker::escape(&cells, &mut writer.out);
                above = Some(row);
            }
            Kind::Rule => {
                writer.out.push_str(RULE);
                above = None;
            }
            _ => {
                writer.out.push_str(PLAIN);
                marker::escape(row_text(source, sheet, range.clone()), &mut writer.out);
                above = None;
            }
        }
        if ended {
            writer.out.push('\n');
        }
        row += 1;
    }
    writer.finish(sheet.range.end)
}

/// The header line; what cannot be said in it is not hoisted.
fn header(sheet: &Sheet<'_>, separator: char, shown: &[bool], codings: &mut [Coding<'_>]) -> String {
    let widths = widths(sheet, shown);
    let word = sheet.style.word;
    let mut header = String::new();
    for (at, coding) in codings.iter_mut().enumerate() {
        if at > 0 {
            header.push(separator);
        }
        let slot = sheet.slots[at];
        let wide = sheet.style.is_padded() && slot.width != widths[at];
        let name = sheet.names.get(at).copied().unwrap_or("");
        let start = header.len();
        let mut heading = Heading { name, slot, wide, coding: *coding };
        if heading.write(word, separator, &mut header).is_none() {
            header.truncate(start);
            *coding = Coding::Each(Each::default());
            heading.coding = *coding;
            // Names that cannot be written are not taken for names.
            let _ = heading.write(word, separator, &mut header);
        }
    }
    let mut out = String::new();
    sheet.style.write(separator, &mut out);
    marker::escape(&header, &mut out);
    out.push('\n');
    out
}

/// Writes the cells that a row has of its own.
fn write_cells(
    sheet: &Sheet<'_>,
    codings: &[Coding<'_>],
    separator: char,
    (row, above): (usize, Option<usize>),
    out: &mut String,
) {
    let mut first = true;
    for (column, coding) in codings.iter().enumerate() {
        let Coding::Each(each) = coding else { continue };
        if !std::mem::take(&mut first) {
            out.push(separator);
        }
        let above = above.and_then(|above| sheet.cell(above, column));
        each.write(sheet.cell(row, column).unwrap_or(""), above, out);
    }
}

/// The text of a row without what ends it.
fn row_text<'s>(source: &'s str, sheet: &Sheet<'_>, range: Range<usize>) -> &'s str {
    let text = &source[range];
    if sheet.style.word == Word::Tuples {
        return text.rfind(')').map_or(text, |at| &text[..=at]);
    }
    text.strip_suffix('\n').unwrap_or(text)
}

/// The widths that the header and the rows in `shown` have.
fn widths(sheet: &Sheet<'_>, shown: &[bool]) -> Vec<usize> {
    if !sheet.style.is_padded() {
        return vec![0; sheet.slots.len()];
    }
    let mut widths: Vec<usize> = (0..sheet.slots.len())
        .map(|column| sheet.names.get(column).map_or(0, |name| name.chars().count()))
        .collect();
    for row in sheet.regular().filter(|row| shown[*row]) {
        for (width, cell) in widths.iter_mut().zip(sheet.cells(row)) {
            *width = (*width).max(cell.chars().count());
        }
    }
    widths
}

struct Writer {
    ops: Vec<Op>,
    /// Written since the last operation, and where the source that it stands for begins.
    out: String,
    from: usize,
}

impl Writer {
    fn elide(&mut self, op: Op) {
        let Range { start, end } = op.range().clone();
        let text = std::mem::take(&mut self.out);
        self.ops.push(Op::Rewrite { range: self.from..start, text });
        self.ops.push(op);
        self.from = end;
    }

    fn finish(mut self, end: usize) -> Vec<Op> {
        self.ops.push(Op::Rewrite { range: self.from..end, text: self.out });
        self.ops
    }
}
