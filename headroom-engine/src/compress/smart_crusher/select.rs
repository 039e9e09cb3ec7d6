//! What to leave out: rows that say nothing new, in runs that are worth a marker.
//!
//! Kept are, along five axes: the ends, errors, what stands out (numbers, categories seen once),
//! what answers the query, and where a level changes.

use std::{cell::RefCell, collections::HashMap, ops::Range};

use super::{
    members::{self, Members},
    semantics::{Meaning, holds_error, meaning},
    table::{Row, Shape, Table},
    tape::{Id, Kind, NONE, Tape},
    twins::Twins,
};
use crate::{
    ccr::marker::INTRODUCER,
    rank::{Bm25, Query, change_points, outliers},
    reduce::Context,
};

/// Lists shorter than this are kept.
const MIN_ITEMS: usize = 12;
/// The fewest tokens worth a retrieval: what all runs of a list hide together.
const MIN_HIDDEN: usize = 240;
/// The fewest tokens worth a marker: about three times what it costs.
const MIN_RUN: usize = 40;

/// Chooses the items to leave out of each list of a tape.
#[derive(Debug)]
pub(super) struct Selection<'t, 's> {
    tape: &'t Tape<'s>,
    twins: &'t Twins,
    query: &'t Query,
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
        let count = rows.len();
        if count < MIN_ITEMS {
            return Vec::new();
        }
        let weights: Vec<usize> = rows.iter().map(|row| self.weight(row)).collect();
        let total: usize = weights.iter().sum();
        if total < MIN_HIDDEN {
            return Vec::new();
        }
        let mut keep = vec![false; count];
        // The ends, and an odd row among regular ones.
        let budget = budget(count, total / count);
        let head = (budget / 4).max(2);
        keep[..head].fill(true);
        keep[count - (budget / 8).max(2)..].fill(true);
        let odd = rows.iter().filter(|row| row.odd).count();
        for (keep, row) in keep.iter_mut().zip(rows) {
            *keep |= (row.odd && odd * 10 <= count) || self.must_stay(row, under);
        }
        let mut interesting = Vec::new();
        for cells in columns {
            self.stand_out(cells, &mut keep, &mut interesting);
        }
        self.relevant(rows, &mut keep, &mut interesting, budget);
        let mut left = budget.saturating_sub(keep.iter().filter(|keep| **keep).count());
        for at in interesting {
            if left > 0 && !keep[at] {
                keep[at] = true;
                left -= 1;
            }
        }
        spread(&mut keep, left);
        runs(&keep, &weights)
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

    /// Outliers, change points and rare categories of a column.
    fn stand_out(&self, cells: &[Id], keep: &mut [bool], interesting: &mut Vec<usize>) {
        let tape = self.tape;
        let present: Vec<usize> = (0..cells.len()).filter(|at| cells[*at] != NONE).collect();
        if present.len() * 20 <= cells.len() {
            // A key that few rows have.
            present.into_iter().for_each(|at| keep[at] = true);
            return;
        }
        let numbers: Vec<(usize, f64)> = present
            .iter()
            .filter(|at| tape.kind(cells[**at]) == Kind::Number)
            .filter_map(|at| {
                Some((*at, tape.slice(cells[*at]).parse().ok().filter(|n: &f64| n.is_finite())?))
            })
            .collect();
        if numbers.len() * 2 > present.len() {
            let values: Vec<f64> = numbers.iter().map(|(_, value)| *value).collect();
            let out = outliers(&values);
            numbers.iter().zip(&out).filter(|(_, out)| **out).for_each(|((at, _), _)| keep[*at] = true);
            if !values.is_sorted_by(|a, b| a < b) {
                for change in change_points(&values, 4) {
                    interesting.extend([numbers[change - 1].0, numbers[change].0]);
                }
            }
        }
        self.rare(cells, &present, keep);
    }

    /// Keeps the rows whose value occurs once in a column of few values.
    fn rare(&self, cells: &[Id], present: &[usize], keep: &mut [bool]) {
        let tape = self.tape;
        let limit = (1.5 * (present.len() as f64).sqrt()) as usize;
        let mut seen: HashMap<&str, (usize, usize)> = HashMap::new();
        for &at in present {
            if !tape.is_scalar(cells[at]) {
                return;
            }
            seen.entry(tape.slice(cells[at])).or_insert((0, at)).0 += 1;
            if seen.len() > limit {
                return;
            }
        }
        for (count, at) in seen.into_values() {
            if count == 1 {
                keep[at] = true;
            }
        }
    }

    /// Keeps the rows that alone hold a term of the query; the next best are interesting.
    fn relevant(&self, rows: &[Row], keep: &mut [bool], interesting: &mut Vec<usize>, budget: usize) {
        if self.query.is_empty() {
            return;
        }
        let tape = self.tape;
        let mut text = String::new();
        let mut ends = Vec::with_capacity(rows.len());
        for row in rows {
            if row.key != NONE {
                text.push_str(tape.inner(row.key));
                text.push(' ');
            }
            for id in row.value..tape.after(row.value) {
                if !tape.is_key(id) && tape.is_scalar(id) {
                    text.push_str(tape.slice(id));
                    text.push(' ');
                }
            }
            ends.push(text.len());
        }
        let mut start = 0;
        let documents = ends.iter().map(|end| &text[std::mem::replace(&mut start, *end)..*end]);
        let bm25 = Bm25::new(self.query, documents);
        let mut scored: Vec<usize> = (0..rows.len()).filter(|at| bm25.score(*at) > 0.0).collect();
        for &at in &scored {
            keep[at] |= bm25.rarest(at).is_some_and(|count| count <= 2);
        }
        scored.sort_by(|a, b| bm25.score(*b).total_cmp(&bm25.score(*a)).then(a.cmp(b)));
        scored.truncate(budget / 3);
        interesting.splice(0..0, scored);
    }
}

/// How many of `count` items of about `weight` tokens to keep if nothing speaks for more: 50 of
/// 1,000, 16 of 100, fewer where they are large.
fn budget(count: usize, weight: usize) -> usize {
    ((1.6 * (count as f64).sqrt()).round() as usize).min(1500 / weight.max(1)).max(6)
}

/// Keeps `left` items more, in a few blocks all over the list: what is usual in it.
fn spread(keep: &mut [bool], left: usize) {
    let blocks = left.div_ceil(8);
    for block in 0..blocks {
        let start = (block + 1) * keep.len() / (blocks + 1);
        let end = (start + left / blocks).min(keep.len());
        keep[start..end].fill(true);
    }
}

/// The runs to leave out: each worth its marker, together worth a retrieval.
fn runs(keep: &[bool], weights: &[usize]) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let (mut at, mut hidden) = (0, 0);
    while at < keep.len() {
        let start = at;
        while at < keep.len() && !keep[at] {
            at += 1;
        }
        let weight: usize = weights[start..at].iter().sum();
        if weight >= MIN_RUN {
            hidden += weight;
            runs.push(start..at);
        }
        at = at.max(start + 1);
    }
    if hidden < MIN_HIDDEN {
        runs.clear();
    }
    runs
}
