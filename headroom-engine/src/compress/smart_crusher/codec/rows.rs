//! Reading tables: a row at a time.

use super::{
    super::{
        cell::{self, Cell, Heading, Rule},
        table::Shape,
        tape::{Id, Tape},
        words::NAME,
    },
    Reader,
};
use crate::{
    ccr::{Marker, Unit},
    reduce::DecodeError,
};

/// The commas of a list: one in front of every item but the first, none behind a marker, whose
/// range holds it.
#[derive(Default)]
pub(super) struct Commas {
    due: bool,
}

impl Commas {
    pub(super) fn next(&mut self, reader: &mut Reader<'_, '_>) {
        if std::mem::replace(&mut self.due, true) {
            reader.out.push(',');
        }
    }

    pub(super) fn hidden(&mut self, reader: &mut Reader<'_, '_>) {
        if std::mem::take(&mut self.due) {
            reader.out.push(',');
        }
    }
}

/// A table that is being read.
pub(super) struct Rows<'h> {
    shape: Shape,
    headings: Vec<Heading<'h>>,
    commas: Commas,
    /// The number of the next row, from 0.
    at: usize,
}

impl<'h> Rows<'h> {
    pub(super) fn open(reader: &mut Reader<'_, '_>, shape: Shape, headings: Vec<Heading<'h>>) -> Self {
        reader.out.push_str(match shape {
            Shape::Table | Shape::Matrix => "[",
            Shape::Map => "{",
            Shape::Lines => "",
        });
        Self { shape, headings, commas: Commas::default(), at: 0 }
    }

    pub(super) fn close(self, reader: &mut Reader<'_, '_>) {
        reader.out.push_str(match self.shape {
            Shape::Table | Shape::Matrix => "]",
            Shape::Map => "}",
            Shape::Lines => "",
        });
    }

    pub(super) fn next(&mut self, reader: &mut Reader<'_, '_>) {
        if self.shape == Shape::Lines {
            reader.out.push('\n');
        } else {
            self.commas.next(reader);
        }
        self.at += 1;
    }

    pub(super) fn hidden(&mut self, reader: &mut Reader<'_, '_>, marker: Marker) {
        if self.shape != Shape::Lines {
            self.commas.hidden(reader);
        }
        if matches!(marker.unit(), Unit::Items | Unit::Lines) {
            self.at = marker.last();
        }
        reader.hidden(marker);
    }

    /// Writes a row from a line of cells.
    pub(super) fn cells<'c>(
        &mut self,
        reader: &mut Reader<'_, '_>,
        line: &'c str,
        cells: &mut Vec<Cell<'c>>,
    ) -> Result<(), DecodeError> {
        let own = |heading: &Heading<'_>| matches!(heading.rule, Rule::Each { .. } | Rule::Default(_));
        let cellless = self.shape != Shape::Map && !self.headings.iter().any(own);
        cells.clear();
        if !(cellless && line.is_empty()) {
            cell::split(line, cells)?;
        }
        self.row(reader, cells.iter().map(|cell| (*cell != Cell::Empty).then_some(Value::Cell(*cell))))
    }

    /// Writes a row from the values that it has of its own, `None` for an empty cell.
    pub(super) fn row<'c>(
        &mut self,
        reader: &mut Reader<'_, '_>,
        mut values: impl Iterator<Item = Option<Value<'c>>>,
    ) -> Result<(), DecodeError> {
        let index = self.at as i64;
        self.next(reader);
        if self.shape == Shape::Map {
            let key = values.next().flatten().ok_or(DecodeError("a row without key"))?;
            reader.item(key, true)?;
            reader.out.push(':');
        }
        let matrix = self.shape == Shape::Matrix;
        reader.out.push(if matrix { '[' } else { '{' });
        let mut open: &[&str] = &[];
        let mut due = false;
        for Heading { path, rule } in &self.headings {
            let short = DecodeError("a row too short");
            let value = match *rule {
                Rule::Each { .. } => values.next().ok_or(short)?,
                Rule::Default(cell) => Some(values.next().ok_or(short)?.unwrap_or(Value::Cell(cell))),
                Rule::Constant(cell) => Some(Value::Cell(cell)),
                Rule::Sequence { start, step } => {
                    let number = step.checked_mul(index).and_then(|n| n.checked_add(start));
                    Some(Value::Number(number.ok_or(DecodeError("a sequence too long"))?))
                }
            };
            let Some(value) = value else { continue };
            if let Some((last, parents)) = path.split_last() {
                let common = open.iter().zip(parents).take_while(|(a, b)| a == b).count();
                for _ in common..open.len() {
                    reader.out.push('}');
                    due = true;
                }
                for key in &parents[common..] {
                    reader.key(key, &mut due)?;
                    reader.out.push('{');
                    due = false;
                }
                open = parents;
                reader.key(last, &mut due)?;
            } else if std::mem::replace(&mut due, true) {
                reader.out.push(',');
            }
            reader.item(value, *rule == Rule::Each { text: true })?;
            due = true;
        }
        for _ in open {
            reader.out.push('}');
        }
        reader.out.push(if matrix { ']' } else { '}' });
        match values.next() {
            None => Ok(()),
            Some(_) => Err(DecodeError("a row too long")),
        }
    }
}

/// A value of a row.
#[derive(Clone, Copy)]
pub(super) enum Value<'c> {
    Cell(Cell<'c>),
    Node(&'c Tape<'c>, Id, usize),
    Number(i64),
}

impl Reader<'_, '_> {
    fn key(&mut self, key: &str, due: &mut bool) -> Result<(), DecodeError> {
        self.out.push_str(if *due { ",\"" } else { "\"" });
        self.literal(key)?;
        self.out.push_str("\":");
        *due = true;
        Ok(())
    }

    fn string(&mut self, bare: &str) -> Result<(), DecodeError> {
        self.out.push('"');
        self.literal(bare)?;
        self.out.push('"');
        Ok(())
    }

    /// Writes a value; `text`: it is a string whatever it looks like.
    fn item(&mut self, value: Value<'_>, text: bool) -> Result<(), DecodeError> {
        match value {
            Value::Node(tape, id, depth) => self.value(tape, id, depth),
            Value::Number(number) => {
                self.out.push_str(&number.to_string());
                Ok(())
            }
            Value::Cell(Cell::Empty) => Err(DecodeError("an empty cell")),
            Value::Cell(Cell::Json(json)) if json.starts_with(['{', '[']) => self.json(json, 0),
            Value::Cell(Cell::Json(json)) if json.starts_with('"') => self.quoted(json),
            Value::Cell(Cell::Json(json)) if !text => self.literal(json),
            Value::Cell(Cell::Json(bare) | Cell::Bare(bare)) => match bare.split_once(':') {
                Some((name, bare)) if name.starts_with(NAME) => {
                    self.define(name, |reader| reader.string(bare))
                }
                _ if bare.starts_with(NAME) => self.refer(bare),
                _ => self.string(bare),
            },
        }
    }
}
