//! What to leave out of lists: the [axes](super::super::axes) choose among their items.

use std::{cell::RefCell, ops::Range};

use super::{
    super::axes::{self, Cell, MIN_ITEMS, Rows},
    members::{self, Members},
    semantics::{Meaning, holds_error, meaning},
    table::{Row, Shape, Table},
    tape::{Id, Kind, NONE, Tape},
    twins::Twins,
};
use crate::{ccr::marker::INTRODUCER, rank::Query, reduce::Context};

/// Chooses the items to leave out of each list of a tape.
#[derive(Debug)]
pub(super) struct Selection<'t, 's> {
    tape: &'t Tape<'s>,
    twins: &'t Twins,
    query: &'t Query,
    worth: usize,
    members: Members,
    /// What a key means, by its hash modulo the size: keys repeat, so nearly all are found here.
    meanings: RefCell<Vec<(u64, Meaning)>>,
}

impl<'t, 's> Selection<'t, 's> {
    pub(super) fn new(tape: &'t Tape<'s>, twins: &'t Twins, context: &Context<'t>) -> Self {
        let query = context.query;
        Self {
            tape,
            twins,
            query,
            worth: context.stakes.worth(),
            members: if context.is_error { Members::none(tape) } else { Members::of(tape, twins, query) },
            meanings: RefCell::new(vec![(0, Meaning::Other); 512]),
        }
    }

    /// The documents to leave out, where each is a line of its own.
    pub(super) fn lines(&self, roots: &[Id]) -> Vec<Range<usize>> {
        let rows: Vec<Row> = roots.iter().map(|&value| Row { key: NONE, value, odd: false }).collect();
        if self.are_lines(&rows) { self.choose(&rows, &[], Meaning::Other) } else { Vec::new() }
    }

    /// Whether document `n` is line `n`, so that lines can be counted for documents.
    fn are_lines(&self, rows: &[Row]) -> bool {
        let mut lines = self.tape.text().split_inclusive('\n');
        let mut start = 0;
        rows.iter().all(|row| {
            let end = start + lines.next().map_or(0, str::len);
            let inside = start <= self.tape.start(row.value) && self.tape.end(row.value) <= end;
            start = end;
            inside
        })
    }

    /// Tokens in the subtree of `id` that may be left out of single objects, roughly.
    pub(super) fn spare(&self, id: Id) -> usize {
        self.members.spare(id)
    }

    /// The members of an object to leave out because nobody reads them unasked.
    pub(super) fn members(&self, id: Id) -> Vec<Range<usize>> {
        if self.tape.kind(id) != Kind::Object || self.members.spare(id) == 0 {
            return Vec::new();
        }
        members::runs(self.tape, self.query, id).into_iter().map(|(run, _)| run).collect()
    }

    /// The elements or members of a container to leave out.
    pub(super) fn container(&self, id: Id) -> Vec<Range<usize>> {
        let tape = self.tape;
        let rows: Vec<Row> = match tape.kind(id) {
            Kind::Array => tape.children(id).map(|value| Row { key: NONE, value, odd: false }).collect(),
            _ => tape.members(id).map(|(key, value)| Row { key, value, odd: false }).collect(),
        };
        if rows.len() < MIN_ITEMS {
            return Vec::new();
        }
        let object = tape.kind(id) == Kind::Object;
        let kind = |row: &Row| tape.kind(row.value);
        if object && !rows.iter().all(|row| kind(row) == kind(&rows[0])) {
            return Vec::new();
        }
        if rows.iter().any(|row| !tape.is_scalar(row.value)) {
            let shape = if object { Shape::Map } else { Shape::Table };
            let table = Table::find(tape, self.twins, shape, rows.clone());
            let columns = table.as_ref().map(|table| &table.columns[..]).unwrap_or_default();
            let columns: Vec<&[Id]> = columns.iter().map(|column| &column.cells[..]).collect();
            return self.choose(&rows, &columns, self.meaning_above(id));
        }
        let cells: Vec<Id> = rows.iter().map(|row| row.value).collect();
        self.choose(&rows, &[&cells], self.meaning_above(id))
    }

    /// The rows of a table to leave out.
    pub(super) fn table(&self, table: &Table, of: Id) -> Vec<Range<usize>> {
        if table.shape == Shape::Lines && !self.are_lines(&table.rows) {
            return Vec::new();
        }
        let columns: Vec<&[Id]> = table.columns.iter().map(|column| &column.cells[..]).collect();
        self.choose(&table.rows, &columns, self.meaning_above(of))
    }

    fn choose(&self, rows: &[Row], columns: &[&[Id]], under: Meaning) -> Vec<Range<usize>> {
        axes::choose(&Items { selection: self, rows, columns, under }, self.query, self.worth)
    }

    /// About how many tokens a row takes.
    fn weight(&self, row: &Row) -> usize {
        let tape = self.tape;
        let scalars =
            (row.first()..tape.after(row.value)).filter(|id| tape.is_scalar(*id) && !tape.is_key(*id));
        1 + scalars.map(|id| 1 + (tape.end(id) - tape.start(id)) / 4).sum::<usize>()
    }

    /// What the key of a container means: an item of `errors` is an error.
    fn meaning_above(&self, id: Id) -> Meaning {
        match id.checked_sub(1).filter(|_| id != NONE) {
            Some(key) if self.tape.is_key(key) => self.meaning(key),
            _ => Meaning::Other,
        }
    }

    fn meaning(&self, key: Id) -> Meaning {
        let mut meanings = self.meanings.borrow_mut();
        let hash = self.twins.hash(key);
        let slot = hash as usize % meanings.len();
        if meanings[slot].0 != hash {
            meanings[slot] = (hash, meaning(self.tape.inner(key)));
        }
        meanings[slot].1
    }

    /// Whether a row holds an error, or is a marker already.
    fn must_stay(&self, row: &Row, under: Meaning) -> bool {
        let tape = self.tape;
        let marker = tape.kind(row.value) == Kind::String && tape.inner(row.value).starts_with(INTRODUCER);
        marker || holds_error(tape, row.first(), tape.after(row.value), under, |key| self.meaning(key))
    }
}

/// Items of a list, as the axes see them.
struct Items<'a, 't, 's> {
    selection: &'a Selection<'t, 's>,
    rows: &'a [Row],
    columns: &'a [&'a [Id]],
    under: Meaning,
}

impl Rows for Items<'_, '_, '_> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn weight(&self, at: usize) -> usize {
        self.selection.weight(&self.rows[at])
    }

    fn is_odd(&self, at: usize) -> bool {
        self.rows[at].odd
    }

    fn must_stay(&self, at: usize) -> bool {
        self.selection.must_stay(&self.rows[at], self.under)
    }

    fn columns(&self) -> usize {
        self.columns.len()
    }

    fn cell(&self, column: usize, at: usize) -> Option<Cell<'_>> {
        let tape = self.selection.tape;
        let id = self.columns[column][at];
        (id != NONE).then(|| match tape.kind(id) {
            Kind::Number => Cell::Number(tape.slice(id)),
            _ if tape.is_scalar(id) => Cell::Text(tape.slice(id)),
            _ => Cell::Nested,
        })
    }

    /// Its values; of keys only those that name rows of a map.
    fn text(&self, at: usize, out: &mut String) {
        let tape = self.selection.tape;
        let row = &self.rows[at];
        if row.key != NONE {
            out.push_str(tape.inner(row.key));
            out.push(' ');
        }
        for id in row.value..tape.after(row.value) {
            if !tape.is_key(id) && tape.is_scalar(id) {
                out.push_str(tape.slice(id));
                out.push(' ');
            }
        }
    }
}
