//! Writing: the tape as operations, in source order.

mod rows;

use std::{collections::HashMap, ops::Range};

use super::{
    list::List,
    select::Selection,
    semantics::{Meaning, is_error_text, meaning},
    table::{Row, Shape},
    tape::{Id, Kind, NONE, Tape},
    twins::Twins,
    words::{Escapes, NAME},
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
            None => match self.list_at(root) {
                Some(list) => self.list(&list, root, Frame::Line),
                None => self.value(root, 0),
            },
        }
    }

    /// The pattern of the list of strings `id`, where nothing of it is left out.
    fn list_at(&self, id: Id) -> Option<List> {
        if self.tape.kind(id) != Kind::Array || self.spare(id) > 0 {
            return None;
        }
        let list = List::find(self.tape, id)?;
        let under = match id.checked_sub(1).filter(|key| self.tape.is_key(*key)) {
            Some(key) => meaning(self.tape.inner(key)),
            None => Meaning::Other,
        };
        // Errors stay as they are, so that they can be read; they differ in numbers alone.
        if self.tape.children(id).next().is_some_and(|item| is_error_text(self.tape.inner(item), under)) {
            return None;
        }
        self.choose(|selection| selection.container(id)).is_empty().then_some(list)
    }

    fn list(&mut self, list: &List, id: Id, frame: Frame) {
        let [open, next, close] = match frame {
            Frame::Line => ["$list ", "\n", ""],
            Frame::Element => ["{\"$list\":[\"", "\",\"", "\"]}"],
        };
        self.out.push_str(open);
        self.out.push_str(&list.pattern);
        let tape = self.tape;
        for item in tape.children(id) {
            self.out.push_str(next);
            list.write(tape.inner(item), &mut self.out);
        }
        self.out.push_str(close);
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
            Kind::Array | Kind::Object => match self.table_at(id).and_then(|table| self.embedded(table)) {
                Some(table) => self.table(&table, id, Frame::Element, depth),
                None => match self.list_at(id) {
                    Some(list) => self.list(&list, id, Frame::Element),
                    None => self.container(id, kind, depth),
                },
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
