//! Writing tables: which there are, and their headers, rows and cells.

use super::{
    super::{
        cell::{is_bare, is_plain_key, quote_for},
        table::{Coding, Row, Shape, Table},
        tape::{Id, Kind, NONE},
        words::{MISSING, NAME},
    },
    Encoder, Frame,
};

impl Encoder<'_, '_> {
    /// The table that `id` is worth being written as.
    pub(super) fn table_at(&self, id: Id) -> Option<Table> {
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

    pub(super) fn worthwhile(&self, shape: Shape, rows: Vec<Row>) -> Option<Table> {
        let spare: usize = rows.iter().map(|row| self.spare(row.value)).sum();
        let table = Table::find(self.tape, self.twins, shape, rows)?;
        // What a table saves, leaving out could save more of.
        (table.gain(self.tape) > spare as i64).then_some(table)
    }

    /// The table as it can stand inside JSON: the header without escapes, odd rows told apart.
    pub(super) fn embedded(&self, mut table: Table) -> Option<Table> {
        let tape = self.tape;
        let mut changed = false;
        for column in &mut table.columns {
            // What cannot stand in the header stands in the rows, where it gets a name.
            if let Coding::Constant(id) | Coding::Default(id) = column.coding
                && !self.fits_string(id, false)
            {
                column.coding = Coding::Each { text: false };
                changed = true;
            }
        }
        let keys =
            table.columns.iter().flat_map(|column| &column.path).all(|key| is_plain_key(tape.inner(*key)));
        let rows = table.shape == Shape::Map
            || table.rows.iter().all(|row| {
                !row.odd
                    || table.shape == Shape::Table
                        && !matches!(tape.kind(row.value), Kind::Array | Kind::String)
            });
        // Rows that occur again are names, which is shorter still.
        let again = table.rows.iter().filter(|row| self.twins.worth(tape, row.value).is_some()).count();
        let pays = !changed || (table.gain(tape) > 0 && again * 2 < table.rows.len());
        (keys && rows && pays).then_some(table)
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

    pub(super) fn table(&mut self, table: &Table, of: Id, frame: Frame, depth: usize) {
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
