//! Writing: the tape as operations, in source order.

use std::{collections::HashMap, ops::Range};

use super::{
    cell::{is_bare, is_plain_key, quote_for},
    select::Selection,
    table::{Coding, Row, Shape, Table},
    tape::{Id, Kind, NONE, Tape},
    twins::Twins,
    words::{Escapes, MISSING, NAME},
};
use crate::{ccr::Unit, reduce::Op};

/// Tables and elisions are made down to this depth; what is deeper is only minified.
pub(super) const MAX_DEPTH: usize = 48;

/// Lists in lists are shortened down to this depth.
const MAX_LISTS: usize = 3;

/// Where a value was written that may get a name.
#[derive(Clone, Copy, Debug)]
struct Written {
    /// Its number; 0 as long as it has none.
    number: u32,
    op: usize,
    start: usize,
    end: usize,
    /// It is a bare cell.
    bare: bool,
}

/// How rows are framed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Frame {
    /// A line each: the table is the whole text.
    Line,
    /// An element each of a JSON array.
    Element,
}

/// Turns a tape into operations that tile its text.
#[derive(Debug)]
pub(super) struct Encoder<'t, 's> {
    tape: &'t Tape<'s>,
    twins: &'t Twins,
    /// What to leave out; `None` for the exact stage.
    selection: Option<&'t Selection<'t, 's>>,
    ops: Vec<Op>,
    /// Text written since the last operation, and where the source that it stands for begins.
    out: String,
    from: usize,
    escapes: Escapes,
    /// Inside how many lists whose items were chosen.
    lists: usize,
    /// Values that occur again, by their hashes, as far as they have been written.
    written: HashMap<u64, Written>,
    names: u32,
    /// Inside how many values that are kept whole to get a name.
    whole: usize,
    /// Text to be put in later: operation, offset, text.
    inserts: Vec<(usize, usize, String)>,
}

impl<'t, 's> Encoder<'t, 's> {
    pub(super) fn new(
        tape: &'t Tape<'s>,
        twins: &'t Twins,
        selection: Option<&'t Selection<'t, 's>>,
    ) -> Self {
        let out = String::with_capacity(tape.text().len() / 2);
        Self {
            tape,
            twins,
            selection,
            ops: Vec::new(),
            out,
            from: 0,
            escapes: Escapes::of(tape.text()),
            lists: 0,
            written: HashMap::new(),
            names: 0,
            whole: 0,
            inserts: Vec::new(),
        }
    }

    /// The operations for the whole text.
    pub(super) fn run(mut self) -> Vec<Op> {
        let roots: Vec<Id> = self.tape.roots().collect();
        match roots[..] {
            [root] => self.root(root),
            _ => self.lines(&roots),
        }
        let end = self.tape.text().len();
        self.ops.push(Op::Rewrite { range: self.from..end, text: self.out });
        name(&mut self.ops, self.inserts);
        self.ops
    }

    fn root(&mut self, root: Id) {
        match self.table_at(root) {
            Some(table) => self.table(&table, root, Frame::Line, 0),
            None => self.value(root, 0),
        }
    }

    fn lines(&mut self, roots: &[Id]) {
        let rows = roots.iter().map(|&value| Row { key: NONE, value, odd: false }).collect();
        if let Some(table) = self.worthwhile(Shape::Lines, rows) {
            return self.table(&table, NONE, Frame::Line, 0);
        }
        let runs = self.choose(|selection| selection.lines(roots));
        let mut runs = runs.into_iter().peekable();
        let mut row = 0;
        while row < roots.len() {
            if row > 0 {
                self.out.push('\n');
            }
            match runs.next_if(|run| run.start == row) {
                Some(run) => {
                    let range = self.tape.start(roots[row])..self.tape.end(roots[run.end - 1]);
                    row = run.end;
                    self.elide(range, NONE, run, ("", ""));
                }
                None => {
                    self.value(roots[row], 1);
                    row += 1;
                }
            }
        }
    }

    /// A value as JSON.
    fn value(&mut self, id: Id, depth: usize) {
        let worth = self.twins.worth(self.tape, id);
        if let Some(number) = worth.and_then(|hash| self.name_of(hash)) {
            return self.out.push_str(&format!("\"{NAME}{number}\""));
        }
        // A name saves more than leaving parts out of each occurrence.
        let whole = worth.is_some() && self.spare(id) == 0;
        self.whole += usize::from(whole);
        let (op, start) = (self.ops.len(), self.out.len());
        self.plain_value(id, depth);
        self.whole -= usize::from(whole);
        if let Some(hash) = worth {
            self.wrote(hash, op, start, false);
        }
    }

    /// Tokens that may be left out of single objects below `id`.
    fn spare(&self, id: Id) -> usize {
        self.selection.filter(|_| self.whole == 0).map_or(0, |selection| selection.spare(id))
    }

    fn is_opaque(&self, id: Id) -> bool {
        self.tape.is_scalar(id) && self.spare(id) > 0
    }

    fn plain_value(&mut self, id: Id, depth: usize) {
        let kind = self.tape.kind(id);
        if self.is_opaque(id) {
            return self.elide_string(id);
        }
        if depth >= MAX_DEPTH || self.tape.is_empty(id) {
            return self.minify(id);
        }
        match kind {
            Kind::Array | Kind::Object => match self.table_at(id).filter(|table| self.embeds(table)) {
                Some(table) => self.table(&table, id, Frame::Element, depth),
                None => self.container(id, kind, depth),
            },
            _ => self.minify(id),
        }
    }

    /// The number of a value that has been written, which gets its name now if it has none.
    fn name_of(&mut self, hash: u64) -> Option<u32> {
        let written = self.written.get_mut(&hash)?;
        if written.number == 0 {
            self.names += 1;
            written.number = self.names;
            let Written { number, op, start, end, bare } = *written;
            if bare {
                self.inserts.push((op, start, format!("{NAME}{number}:")));
            } else {
                self.inserts.push((op, start, format!("{{\"{NAME}{number}\":")));
                self.inserts.push((op, end, "}".to_owned()));
            }
        }
        Some(written.number)
    }

    /// Notes where a value stands, if nothing in it was left out.
    fn wrote(&mut self, hash: u64, op: usize, start: usize, bare: bool) {
        if op == self.ops.len() {
            let end = self.out.len();
            self.written.entry(hash).or_insert(Written { number: 0, op, start, end, bare });
        }
    }

    fn container(&mut self, id: Id, kind: Kind, depth: usize) {
        let object = kind == Kind::Object;
        let mut runs = self.choose(|selection| selection.container(id));
        let chosen = usize::from(!runs.is_empty());
        self.lists += chosen;
        if runs.is_empty() && self.spare(id) > 0 {
            runs = self.selection.map(|selection| selection.members(id)).unwrap_or_default();
        }
        let mut runs = runs.into_iter().peekable();
        let mut children = self.tape.children(id);
        let (open, close) = if object { ('{', '}') } else { ('[', ']') };
        self.out.push(open);
        let mut item = 0;
        let mut first = true;
        while let Some(child) = children.next() {
            if !std::mem::take(&mut first) {
                self.out.push(',');
            }
            if let Some(run) = runs.next_if(|run| run.start == item) {
                let mut last = child;
                if object {
                    last = children.next().unwrap_or(last);
                }
                for _ in run.start + 1..run.end {
                    last = children.next().unwrap_or(last);
                    if object {
                        last = children.next().unwrap_or(last);
                    }
                }
                let end = children.clone().next().map_or(self.tape.end(last), |next| self.tape.start(next));
                item = run.end;
                self.elide(
                    self.tape.start(child)..end,
                    id,
                    run,
                    if object { ("\"", "\":0") } else { ("\"", "\"") },
                );
                continue;
            }
            if object {
                self.minify(child);
                self.out.push(':');
                if let Some(value) = children.next() {
                    self.value(value, depth + 1);
                }
            } else {
                self.value(child, depth + 1);
            }
            item += 1;
        }
        self.lists -= chosen;
        self.out.push(close);
    }

    /// The runs to leave out of a list, if it may still be shortened: what is in a list in a list in
    /// a list that was is left as it is, which bounds the work by the size of the source.
    fn choose(&self, runs: impl FnOnce(&Selection<'t, 's>) -> Vec<Range<usize>>) -> Vec<Range<usize>> {
        self.selection.filter(|_| self.lists < MAX_LISTS).map(runs).unwrap_or_default()
    }

    /// Leaves out the items of `run` of the container `of`, or lines of the whole text.
    fn elide(&mut self, range: Range<usize>, of: Id, run: Range<usize>, frame: (&'static str, &'static str)) {
        let text = std::mem::take(&mut self.out);
        self.ops.push(Op::Rewrite { range: self.from..range.start, text });
        self.from = range.end;
        let (unit, original) = match of {
            NONE => (Unit::Lines, 0..self.tape.text().len()),
            _ => (Unit::Items, self.tape.start(of)..self.tape.end(of)),
        };
        let (first, last) = (run.start + 1, run.end);
        self.ops.push(Op::Elide { range, original, unit, first, last, note: String::new(), frame });
    }

    /// Leaves out a whole string.
    fn elide_string(&mut self, id: Id) {
        let text = std::mem::take(&mut self.out);
        let range = self.tape.start(id)..self.tape.end(id);
        self.ops.push(Op::Rewrite { range: self.from..range.start, text });
        self.from = range.end;
        let (unit, first, last) = (Unit::Bytes, 1, range.len());
        let frame = ("\"", "\"");
        self.ops.push(Op::Elide {
            original: range.clone(),
            range,
            unit,
            first,
            last,
            note: String::new(),
            frame,
        });
    }

    /// The subtree without white space.
    fn minify(&mut self, id: Id) {
        let escapes = self.escapes;
        self.tape.minify(id, &mut self.out, |text, out| escapes.write(text, out));
    }

    fn push(&mut self, text: &str) {
        self.escapes.write(text, &mut self.out);
    }

    /// The table that `id` is worth being written as.
    fn table_at(&self, id: Id) -> Option<Table> {
        let tape = self.tape;
        match tape.kind(id) {
            Kind::Array => {
                let mut children = tape.children(id);
                let shape = match (tape.kind(children.next()?), tape.kind(children.next()?)) {
                    (Kind::Array, Kind::Array) => Shape::Matrix,
                    (Kind::Object, _) | (_, Kind::Object) => Shape::Table,
                    _ => return None,
                };
                self.worthwhile(
                    shape,
                    tape.children(id).map(|value| Row { key: NONE, value, odd: false }).collect(),
                )
            }
            Kind::Object => {
                let mut members = tape.members(id);
                let object = |member: Option<(Id, Id)>| {
                    member.is_some_and(|(_, value)| tape.kind(value) == Kind::Object)
                };
                if !object(members.next()) || !object(members.next()) {
                    return None;
                }
                self.worthwhile(
                    Shape::Map,
                    tape.members(id).map(|(key, value)| Row { key, value, odd: false }).collect(),
                )
            }
            _ => None,
        }
    }

    fn worthwhile(&self, shape: Shape, rows: Vec<Row>) -> Option<Table> {
        let spare: usize = rows.iter().map(|row| self.spare(row.value)).sum();
        let table = Table::find(self.tape, self.twins, shape, rows)?;
        // What a table saves, leaving out could save more of.
        (table.gain(self.tape) > spare as i64).then_some(table)
    }

    /// Whether a table can stand inside JSON: the header without escapes, odd rows told apart.
    fn embeds(&self, table: &Table) -> bool {
        let tape = self.tape;
        let keys =
            table.columns.iter().flat_map(|column| &column.path).all(|key| is_plain_key(tape.inner(*key)));
        let codings = table.columns.iter().all(|column| match column.coding {
            Coding::Constant(id) | Coding::Default(id) => self.fits_string(id, false),
            _ => true,
        });
        let rows = table.shape == Shape::Map
            || table.rows.iter().all(|row| {
                !row.odd
                    || table.shape == Shape::Table
                        && !matches!(tape.kind(row.value), Kind::Array | Kind::String)
            });
        keys && codings && rows
    }

    /// Whether a cell can stand inside a JSON string as it is.
    fn fits_string(&self, id: Id, text: bool) -> bool {
        if self.is_opaque(id) {
            return false;
        }
        match self.tape.kind(id) {
            Kind::String => {
                let inner = self.tape.inner(id);
                is_bare(inner, text) || quote_for(inner).is_some()
            }
            Kind::Array | Kind::Object => {
                memchr::memchr2(b'"', b'\\', self.tape.slice(id).as_bytes()).is_none()
            }
            _ => true,
        }
    }

    fn table(&mut self, table: &Table, of: Id, frame: Frame, depth: usize) {
        let runs = self.choose(|selection| selection.table(table, of));
        let chosen = usize::from(!runs.is_empty());
        self.lists += chosen;
        let mut runs = runs.into_iter().peekable();
        if frame == Frame::Element {
            self.out.push_str("{\"");
        }
        self.out.push_str(table.shape.word());
        self.out.push_str(if frame == Frame::Element { "\":[\"" } else { " " });
        self.header(table, frame);
        if frame == Frame::Element {
            self.out.push('"');
        }
        let mut at = 0;
        while let Some(row) = table.rows.get(at) {
            self.out.push(if frame == Frame::Line { '\n' } else { ',' });
            if let Some(run) = runs.next_if(|run| run.start == at) {
                let last = self.tape.end(table.rows[run.end - 1].value);
                let end = match table.rows.get(run.end) {
                    Some(next) if table.shape != Shape::Lines => self.tape.start(next.first()),
                    _ => last,
                };
                at = run.end;
                let quotes = if frame == Frame::Line { ("", "") } else { ("\"", "\"") };
                self.elide(self.tape.start(row.first())..end, of, run, quotes);
                continue;
            }
            match (frame, row.odd) {
                (_, true) => self.odd_row(row, frame, depth),
                (Frame::Line, false) => self.row(table, at, frame, depth),
                (Frame::Element, false) if self.row_fits_string(table, at) => {
                    self.out.push('"');
                    self.row(table, at, frame, depth);
                    self.out.push('"');
                }
                (Frame::Element, false) => self.array_row(table, at, depth),
            }
            at += 1;
        }
        self.lists -= chosen;
        if frame == Frame::Element {
            self.out.push_str("]}");
        }
    }

    fn header(&mut self, table: &Table, frame: Frame) {
        for (at, column) in table.columns.iter().enumerate() {
            if at > 0 {
                self.out.push(',');
            }
            for (at, key) in column.path.iter().enumerate() {
                if at > 0 {
                    self.out.push('.');
                }
                let inner = self.tape.inner(*key);
                self.push(if is_plain_key(inner) { inner } else { self.tape.slice(*key) });
            }
            match column.coding {
                Coding::Each { text } => self.out.push_str(if text { ":str" } else { "" }),
                Coding::Constant(id) => {
                    self.out.push('=');
                    self.cell(id, false, frame);
                }
                Coding::Default(id) => {
                    self.out.push_str("?=");
                    self.cell(id, false, frame);
                }
                Coding::Sequence { start, step } => {
                    self.out.push_str(&format!("@{start}{step:+}"));
                }
            }
        }
    }

    /// The cells that a row writes itself: with `true` where a column of strings is.
    fn own_cells<'a>(&self, table: &'a Table, row: usize) -> impl Iterator<Item = (Id, Coding)> + use<'a> {
        table.columns.iter().filter_map(move |column| match column.coding {
            Coding::Constant(_) | Coding::Sequence { .. } => None,
            coding => Some((column.cells[row], coding)),
        })
    }

    fn row(&mut self, table: &Table, row: usize, frame: Frame, depth: usize) {
        let mut first = true;
        if table.rows[row].key != NONE {
            self.cell(table.rows[row].key, true, frame);
            first = false;
        }
        for (id, coding) in self.own_cells(table, row) {
            if !std::mem::take(&mut first) {
                self.out.push(',');
            }
            match coding {
                _ if id == NONE => {}
                Coding::Default(default) if self.tape.slice(default) == self.tape.slice(id) => {}
                Coding::Each { text } => self.own_cell(id, text, frame, depth),
                _ => self.own_cell(id, false, frame, depth),
            }
        }
    }

    /// A cell that may be a reference or be referred to.
    fn own_cell(&mut self, id: Id, text: bool, frame: Frame, depth: usize) {
        let worth = self.twins.worth(self.tape, id);
        if let Some(number) = worth.and_then(|hash| self.name_of(hash)) {
            return self.out.push_str(&format!("{NAME}{number}"));
        }
        let bare =
            self.tape.kind(id) == Kind::String && !self.is_opaque(id) && is_bare(self.tape.inner(id), text);
        if frame == Frame::Line && !bare {
            return match self.tape.is_scalar(id) {
                true => self.value(id, depth),
                false => self.value(id, depth + 1),
            };
        }
        let (op, start) = (self.ops.len(), self.out.len());
        self.cell(id, text, frame);
        if let Some(hash) = worth.filter(|_| bare) {
            self.wrote(hash, op, start, true);
        }
    }

    fn row_fits_string(&self, table: &Table, row: usize) -> bool {
        let key = table.rows[row].key;
        (key == NONE || self.fits_string(key, true))
            && self
                .own_cells(table, row)
                .all(|(id, coding)| id == NONE || self.fits_string(id, coding == Coding::Each { text: true }))
    }

    fn array_row(&mut self, table: &Table, row: usize, depth: usize) {
        self.out.push('[');
        let mut first = true;
        if table.rows[row].key != NONE {
            self.minify(table.rows[row].key);
            first = false;
        }
        for (id, _) in self.own_cells(table, row) {
            if !std::mem::take(&mut first) {
                self.out.push(',');
            }
            if id == NONE {
                self.out.push('"');
                self.out.push_str(MISSING);
                self.out.push('"');
            } else {
                self.value(id, depth + 1);
            }
        }
        self.out.push(']');
    }

    fn odd_row(&mut self, row: &Row, frame: Frame, depth: usize) {
        let key = row.key != NONE;
        match frame {
            Frame::Line => self.out.push('='),
            Frame::Element if key => self.out.push('{'),
            Frame::Element => {}
        }
        if key {
            self.minify(row.key);
            self.out.push(':');
        }
        self.value(row.value, depth + 1);
        if key && frame == Frame::Element {
            self.out.push('}');
        }
    }

    /// A cell as it is; as JSON where it is not a string.
    fn cell(&mut self, id: Id, text: bool, frame: Frame) {
        if self.tape.kind(id) != Kind::String {
            return self.minify(id);
        }
        let inner = self.tape.inner(id);
        if is_bare(inner, text) {
            self.push(inner);
        } else if frame == Frame::Element {
            let quote = quote_for(inner).unwrap_or('\'');
            self.out.push(quote);
            self.push(inner);
            self.out.push(quote);
        } else {
            self.push(self.tape.slice(id));
        }
    }
}

/// Puts `inserts` into the texts of `ops`.
fn name(ops: &mut [Op], mut inserts: Vec<(usize, usize, String)>) {
    inserts.sort_by_key(|(op, offset, _)| (*op, *offset));
    let mut inserts = inserts.into_iter().peekable();
    while let Some(&(op, _, _)) = inserts.peek() {
        let Some(Op::Rewrite { text, .. }) = ops.get_mut(op) else { return };
        let mut named = String::with_capacity(text.len() + 64);
        let mut from = 0;
        while let Some((_, offset, insert)) = inserts.next_if(|(at, _, _)| *at == op) {
            named.push_str(&text[from..offset]);
            named.push_str(&insert);
            from = offset;
        }
        named.push_str(&text[from..]);
        *text = named;
    }
}
