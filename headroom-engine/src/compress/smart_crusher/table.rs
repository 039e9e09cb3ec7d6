//! Finding the table in a list of like things.

use std::collections::HashSet;

use super::{
    tape::{Id, Kind, NONE, Tape, is_literal},
    twins::Twins,
    words,
};

/// More keys than this are no table.
const MAX_COLUMNS: usize = 96;
/// Objects in rows become columns `a.b` down to this depth.
const MAX_FLATTEN: usize = 4;

/// What the rows of a table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Objects in an array.
    Table,
    /// Objects in an object; its keys are the first column.
    Map,
    /// Arrays of one length in an array.
    Matrix,
    /// Documents, one a line.
    Lines,
}

impl Shape {
    pub(super) const ALL: [Self; 4] = [Self::Table, Self::Map, Self::Matrix, Self::Lines];

    /// The word that introduces it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Table => words::TABLE,
            Self::Map => words::MAP,
            Self::Matrix => words::MATRIX,
            Self::Lines => words::LINES,
        }
    }
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Its key in a map, else [`NONE`].
    pub(super) key: Id,
    pub(super) value: Id,
    /// It does not fit the columns and is written as it is.
    pub(super) odd: bool,
}

impl Row {
    /// The first of its nodes.
    pub(super) fn first(&self) -> Id {
        if self.key == NONE { self.value } else { self.key }
    }
}

/// One column: a path of keys and a cell for each row.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// The nodes of its keys; empty in a matrix.
    pub(super) path: Vec<Id>,
    /// [`NONE`] where a row lacks it.
    pub(super) cells: Vec<Id>,
    pub(super) coding: Coding,
}

/// How a column is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// A cell a row; `text` if all are strings and some look like something else.
    Each {
        text: bool,
    },
    Constant(Id),
    Default(Id),
    Sequence {
        start: i64,
        step: i64,
    },
}

/// Like things, by rows and columns.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) shape: Shape,
    pub(super) rows: Vec<Row>,
    pub(super) columns: Vec<Column>,
}

impl Table {
    /// The table in `rows`, if their keys agree well enough and come in one order.
    pub(super) fn find(tape: &Tape<'_>, twins: &Twins, shape: Shape, rows: Vec<Row>) -> Option<Self> {
        let mut rows = rows;
        let values: Vec<Id> = rows.iter().map(|row| row.value).collect();
        let mut columns = Vec::new();
        if shape == Shape::Matrix {
            let width = tape.children(rows.first()?.value).count();
            if !(2..=MAX_COLUMNS).contains(&width) {
                return None;
            }
            let mut cells = vec![vec![NONE; rows.len()]; width];
            for (at, row) in rows.iter_mut().enumerate() {
                let fits = tape.kind(row.value) == Kind::Array && tape.children(row.value).count() == width;
                row.odd = !fits;
                if fits {
                    tape.children(row.value).zip(&mut cells).for_each(|(id, column)| column[at] = id);
                }
            }
            let column = |cells| Column { path: Vec::new(), cells, coding: Coding::Each { text: false } };
            columns.extend(cells.into_iter().map(column));
        } else {
            let layout = Layout::of(tape, &values)?;
            rows.iter_mut().zip(&layout.odd).for_each(|(row, odd)| row.odd = *odd);
            for (key, cells) in layout.columns {
                flatten(tape, twins, vec![key], cells, 1, &mut columns);
            }
        }
        let odd = rows.iter().filter(|row| row.odd).count();
        if odd * 4 > rows.len() || rows.len() - odd < 2 {
            return None;
        }
        let mut table = Self { shape, rows, columns };
        table.code(tape);
        Some(table)
    }

    /// Chooses how each column is written.
    fn code(&mut self, tape: &Tape<'_>) {
        let regular: Vec<bool> = self.rows.iter().map(|row| !row.odd).collect();
        let mut counted = false;
        for column in &mut self.columns {
            let cells = &column.cells;
            let present = || cells.iter().zip(&regular).filter(|(_, regular)| **regular).map(|(id, _)| *id);
            column.coding = constant(tape, present())
                .or_else(|| sequence(tape, cells, &regular).filter(|_| std::mem::replace(&mut counted, true)))
                .or_else(|| default(tape, present()))
                .unwrap_or_else(|| {
                    let strings = || present().filter(|id| *id != NONE);
                    let text = strings().all(|id| tape.kind(id) == Kind::String)
                        && strings().any(|id| is_literal(tape.inner(id)));
                    Coding::Each { text }
                });
        }
    }

    /// Tokens that the table saves over plain JSON, roughly: its keys cost once, not once a row.
    pub(super) fn gain(&self, tape: &Tape<'_>) -> i64 {
        let regular = self.rows.iter().filter(|row| !row.odd).count() as i64;
        let tokens = |id: Id| 1 + (tape.end(id) - tape.start(id)) as i64 / 5;
        let mut gain = -10;
        for column in &self.columns {
            // A flattened path is written once, its braces are saved in each row.
            let key: i64 = column.path.last().map_or(0, |key| tokens(*key));
            gain -= column.path.iter().map(|key| tokens(*key)).sum::<i64>() + 1;
            let missing = column.cells.iter().filter(|id| **id == NONE).count() as i64;
            gain += match column.coding {
                Coding::Each { .. } => {
                    (regular - missing) * key - missing - if self.shape == Shape::Matrix { 1 } else { 0 }
                }
                Coding::Constant(id) => regular * (key + tokens(id)) - tokens(id),
                Coding::Default(id) => regular * (key + 1) - tokens(id),
                Coding::Sequence { .. } => regular * (key + 2) - 4,
            };
        }
        gain
    }
}

/// The keys of like objects in an order that all rows but the odd ones follow.
struct Layout {
    columns: Vec<(Id, Vec<Id>)>,
    odd: Vec<bool>,
}

impl Layout {
    /// `None` if some value is no object or the keys have too little in common.
    fn of(tape: &Tape<'_>, values: &[Id]) -> Option<Self> {
        let mut keys: Vec<(&str, Id)> = Vec::new();
        let mut odd = vec![false; values.len()];
        let mut present = 0;
        for (value, odd) in values.iter().zip(&mut odd).filter(|(value, _)| **value != NONE) {
            if tape.kind(*value) != Kind::Object || tape.is_empty(*value) {
                *odd = true;
                continue;
            }
            let mut at = 0;
            for (key, _) in tape.members(*value) {
                let name = tape.slice(key);
                if keys.get(at).is_some_and(|(known, _)| *known == name) {
                } else if let Some(further) = keys[at..].iter().position(|(known, _)| *known == name) {
                    at += further;
                } else if keys[..at].iter().any(|(known, _)| *known == name) {
                    *odd = true;
                    break;
                } else if keys.len() == MAX_COLUMNS {
                    return None;
                } else {
                    keys.insert(at, (name, key));
                }
                at += 1;
                present += 1;
            }
        }
        let rows = values.iter().zip(&odd).filter(|(value, odd)| **value != NONE && !**odd).count();
        if keys.is_empty() || present * 5 < rows * keys.len() * 2 {
            return None;
        }
        let mut columns: Vec<(Id, Vec<Id>)> =
            keys.iter().map(|(_, key)| (*key, vec![NONE; values.len()])).collect();
        for (row, value) in values.iter().enumerate().filter(|(row, value)| **value != NONE && !odd[*row]) {
            let mut at = 0;
            for (key, value) in tape.members(*value) {
                at += keys[at..].iter().position(|(known, _)| *known == tape.slice(key))?;
                columns[at].1[row] = value;
                at += 1;
            }
        }
        Some(Self { columns, odd })
    }
}

/// Splits a column of objects that have the same keys into one column for each key.
fn flatten(
    tape: &Tape<'_>,
    twins: &Twins,
    path: Vec<Id>,
    cells: Vec<Id>,
    depth: usize,
    out: &mut Vec<Column>,
) {
    let objects = || {
        let mut present = cells.iter().filter(|id| **id != NONE);
        present.clone().count() * 2 >= cells.len()
            && present.all(|id| tape.kind(*id) == Kind::Object && !tape.is_empty(*id))
    };
    if depth < MAX_FLATTEN && out.len() < MAX_COLUMNS && objects() && !repeats(tape, twins, &cells) {
        let layout = Layout::of(tape, &cells).filter(|layout| !layout.odd.contains(&true));
        if let Some(layout) = layout {
            for (key, cells) in layout.columns {
                let mut path = path.clone();
                path.push(key);
                flatten(tape, twins, path, cells, depth + 1, out);
            }
            return;
        }
    }
    out.push(Column { path, cells, coding: Coding::Each { text: false } });
}

/// Whether a few large objects fill most of a column: as references they cost less than as columns.
fn repeats(tape: &Tape<'_>, twins: &Twins, cells: &[Id]) -> bool {
    let present = || cells.iter().filter(|id| **id != NONE);
    let bytes: usize = present().map(|id| tape.end(*id) - tape.start(*id)).sum();
    if bytes < 200 * present().count() {
        return false;
    }
    let distinct: HashSet<u64> = present().map(|id| twins.hash(*id)).collect();
    distinct.len() > 1 && distinct.len() * 2 <= present().count()
}

fn constant(tape: &Tape<'_>, mut cells: impl Iterator<Item = Id>) -> Option<Coding> {
    let first = cells.next().filter(|id| *id != NONE)?;
    cells.all(|id| id != NONE && tape.slice(id) == tape.slice(first)).then_some(Coding::Constant(first))
}

/// The value of at least 4 in 5 cells, where none is missing (Boyer and Moore's majority vote).
fn default(tape: &Tape<'_>, cells: impl Iterator<Item = Id> + Clone) -> Option<Coding> {
    let (mut candidate, mut votes, mut total) = (NONE, 0usize, 0usize);
    for id in cells.clone() {
        if id == NONE {
            return None;
        }
        total += 1;
        if votes == 0 {
            (candidate, votes) = (id, 1);
        } else if tape.slice(id) == tape.slice(candidate) {
            votes += 1;
        } else {
            votes -= 1;
        }
    }
    if total < 5 || votes == 0 {
        return None;
    }
    let count = cells.filter(|id| tape.slice(*id) == tape.slice(candidate)).count();
    (count * 5 >= total * 4).then_some(Coding::Default(candidate))
}

/// The arithmetic sequence that the cells are, indexed by row.
fn sequence(tape: &Tape<'_>, cells: &[Id], regular: &[bool]) -> Option<Coding> {
    let integer = |id: Id| {
        let text = (id != NONE && tape.kind(id) == Kind::Number).then(|| tape.slice(id))?;
        text.parse::<i64>().ok().filter(|_| text != "-0")
    };
    if cells.len() < 5 || regular.contains(&false) {
        return None;
    }
    let start = integer(cells[0])?;
    let step = integer(cells[1])?.checked_sub(start)?;
    let at = |row: usize| start.checked_add(step.checked_mul(row as i64)?);
    let fits = step != 0
        && cells.iter().enumerate().all(|(row, id)| integer(*id).is_some_and(|n| at(row) == Some(n)));
    fits.then_some(Coding::Sequence { start, step })
}
