//! Reading back what the encoder wrote.

mod rows;

use std::{borrow::Cow, collections::HashMap, ops::Range};

use self::rows::{Commas, Rows, Value};
use super::{
    cell::{self, headings},
    encode::MAX_DEPTH,
    list,
    table::Shape,
    tape::{Id, Kind, MAX_BYTES, Tape},
    words::{self, LIST, MISSING, NAME},
};
use crate::{
    ccr::{Marker, Unit, marker},
    reduce::{Codec, DecodeError, Equality, Piece},
};

/// The codec of [`SmartCrusher`](super::SmartCrusher): JSON with tables and markers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct JsonCodec;

impl Codec for JsonCodec {
    fn equality(&self) -> Equality {
        Equality::JsonTokens
    }

    fn escape(&self, kept: &str, out: &mut String) {
        marker::escape(kept, out);
    }

    fn decode<'a>(&self, text: &'a str, sink: &mut dyn FnMut(Piece<'a>)) -> Result<(), DecodeError> {
        let mut reader = Reader { out: String::new(), sent: 0, named: HashMap::new(), sink };
        reader.document(text)?;
        reader.flush();
        Ok(())
    }
}

/// Rows stand deeper in the output than in the source: in an array in a member of an object.
const MAX_OUTPUT_DEPTH: usize = 4 * MAX_DEPTH;

struct Reader<'a, 'k> {
    /// All that was decoded, and how much of it was handed over.
    out: String,
    sent: usize,
    /// Where the values with names stand in `out`.
    named: HashMap<u32, Range<usize>>,
    sink: &'k mut dyn FnMut(Piece<'a>),
}

impl Reader<'_, '_> {
    fn flush(&mut self) {
        if self.out.len() > self.sent {
            (self.sink)(Piece::Text(Cow::Owned(self.out[self.sent..].to_owned())));
            self.sent = self.out.len();
        }
    }

    /// Reads a value that gets a name: nothing in it may be left out.
    fn define(
        &mut self,
        name: &str,
        value: impl FnOnce(&mut Self) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let number = number_of(name)?;
        let (start, sent) = (self.out.len(), self.sent);
        value(self)?;
        if self.sent != sent {
            return Err(DecodeError("a named value is not whole"));
        }
        self.named.insert(number, start..self.out.len());
        Ok(())
    }

    /// Repeats the value of a name.
    fn refer(&mut self, name: &str) -> Result<(), DecodeError> {
        let range = self.named.get(&number_of(name)?).cloned().ok_or(DecodeError("an unknown name"))?;
        if self.out.len() + range.len() > 2 * MAX_BYTES {
            return Err(DecodeError("too large"));
        }
        let value = self.out[range].to_owned();
        self.out.push_str(&value);
        Ok(())
    }

    fn document(&mut self, text: &str) -> Result<(), DecodeError> {
        let mut lines = text.split('\n');
        let first = lines.next().unwrap_or_default();
        if let Some(pattern) = first.strip_prefix(LIST).and_then(|rest| rest.strip_prefix(' ')) {
            return self.list(pattern, lines.map(Ok));
        }
        let shape = Shape::ALL
            .into_iter()
            .find_map(|shape| Some((shape, first.strip_prefix(shape.word())?.strip_prefix(' ')?)));
        let Some((shape, header)) = shape else {
            for line in text.split('\n') {
                match bare_marker(line) {
                    Some(marker) => self.hidden(marker?),
                    None => self.json(line, 0)?,
                }
                self.out.push('\n');
            }
            return Ok(());
        };
        let mut table = Rows::open(self, shape, headings(header)?);
        let mut cells = Vec::new();
        for line in lines {
            if let Some(marker) = bare_marker(line) {
                table.hidden(self, marker?);
            } else if let Some(odd) = line.strip_prefix('=') {
                table.next(self);
                if shape == Shape::Map {
                    let (key, length) = cell::read_key(odd)?;
                    let value = odd[length..].strip_prefix(':').ok_or(DecodeError("an odd member"))?;
                    self.literal(key)?;
                    self.out.push(':');
                    self.json(value, 0)?;
                } else {
                    self.json(odd, 0)?;
                }
            } else {
                table.cells(self, line, &mut cells)?;
            }
        }
        table.close(self);
        Ok(())
    }

    /// The strings of `pattern` with the numbers of `rows`.
    fn list<'r>(
        &mut self,
        pattern: &str,
        rows: impl Iterator<Item = Result<&'r str, DecodeError>>,
    ) -> Result<(), DecodeError> {
        self.out.push('[');
        let mut commas = Commas::default();
        for row in rows {
            commas.next(self);
            list::read(pattern, row?, &mut self.out)?;
        }
        self.out.push(']');
        Ok(())
    }

    /// JSON text with tables in it.
    fn json(&mut self, text: &str, depth: usize) -> Result<(), DecodeError> {
        let tape = Tape::parse(text).ok_or(DecodeError("no JSON"))?;
        tape.roots().try_for_each(|root| self.value(&tape, root, depth))
    }

    fn literal(&mut self, literal: &str) -> Result<(), DecodeError> {
        words::read(literal, &mut self.out)
    }

    /// A JSON string, or the marker of one that was left out.
    fn quoted(&mut self, quoted: &str) -> Result<(), DecodeError> {
        match bare_marker(&quoted[1..quoted.len() - 1]) {
            Some(marker) => {
                self.hidden(marker?);
                Ok(())
            }
            None => self.literal(quoted),
        }
    }

    fn hidden(&mut self, marker: Marker) {
        self.flush();
        (self.sink)(Piece::Hidden(marker));
    }

    fn value(&mut self, tape: &Tape<'_>, id: Id, depth: usize) -> Result<(), DecodeError> {
        match tape.kind(id) {
            Kind::Array if depth < MAX_OUTPUT_DEPTH => {
                self.out.push('[');
                let mut commas = Commas::default();
                for child in tape.children(id) {
                    match items_of(tape, child) {
                        Some(marker) => {
                            commas.hidden(self);
                            self.hidden(marker);
                        }
                        None => {
                            commas.next(self);
                            self.value(tape, child, depth + 1)?;
                        }
                    }
                }
                self.out.push(']');
                Ok(())
            }
            Kind::Object if depth < MAX_OUTPUT_DEPTH => {
                if let Some(list) = list_of(tape, id) {
                    let text = |id: Id| (tape.kind(id) == Kind::String).then(|| tape.inner(id));
                    let mut rows = tape.children(list).map(|row| text(row).ok_or(DecodeError("no row")));
                    let pattern = rows.next().ok_or(DecodeError("a list without pattern"))??;
                    return self.list(pattern, rows);
                }
                if let Some((shape, rows)) = embedded(tape, id) {
                    return self.embedded(tape, shape, rows, depth + 1);
                }
                if let Some((key, value)) =
                    tape.members(id).next().filter(|(key, _)| tape.inner(*key).starts_with(NAME))
                {
                    return self.define(tape.inner(key), |reader| reader.value(tape, value, depth + 1));
                }
                self.out.push('{');
                let mut commas = Commas::default();
                for (key, value) in tape.members(id) {
                    match marker_of(tape, key) {
                        Some(marker) => {
                            commas.hidden(self);
                            self.hidden(marker?);
                        }
                        None => {
                            commas.next(self);
                            self.literal(tape.slice(key))?;
                            self.out.push(':');
                            self.value(tape, value, depth + 1)?;
                        }
                    }
                }
                self.out.push('}');
                Ok(())
            }
            Kind::String if tape.inner(id).starts_with(NAME) => self.refer(tape.inner(id)),
            Kind::String => self.quoted(tape.slice(id)),
            _ => self.literal(tape.slice(id)),
        }
    }

    /// `{"$table":["header",row,...]}`.
    fn embedded(&mut self, tape: &Tape<'_>, shape: Shape, rows: Id, depth: usize) -> Result<(), DecodeError> {
        let mut rows = tape.children(rows);
        let header = rows.next().filter(|id| tape.kind(*id) == Kind::String);
        let header = tape.inner(header.ok_or(DecodeError("a table without header"))?);
        let mut table = Rows::open(self, shape, headings(header)?);
        let mut cells = Vec::new();
        for row in rows {
            if let Some(marker) = marker_of(tape, row) {
                table.hidden(self, marker?);
                continue;
            }
            match tape.kind(row) {
                Kind::String => {
                    table.cells(self, tape.inner(row), &mut cells)?;
                }
                Kind::Array => {
                    let missing = |id| tape.kind(id) == Kind::String && tape.inner(id) == MISSING;
                    let value = |id| (!missing(id)).then_some(Value::Node(tape, id, depth + 1));
                    table.row(self, tape.children(row).map(value))?;
                }
                Kind::Object if shape == Shape::Map => {
                    table.next(self);
                    let (key, value) = tape.members(row).next().ok_or(DecodeError("an odd member"))?;
                    self.literal(tape.slice(key))?;
                    self.out.push(':');
                    self.value(tape, value, depth)?;
                }
                _ => {
                    table.next(self);
                    self.value(tape, row, depth)?;
                }
            }
        }
        table.close(self);
        Ok(())
    }
}

fn number_of(name: &str) -> Result<u32, DecodeError> {
    let digits = name.strip_prefix(NAME).and_then(|digits| digits.parse().ok());
    digits.ok_or(DecodeError("a broken name"))
}

/// The marker that a line begins with.
fn bare_marker(line: &str) -> Option<Result<Marker, DecodeError>> {
    let rest = line.strip_prefix(marker::INTRODUCER)?;
    (!rest.starts_with('~')).then(|| line.parse().map_err(|_| DecodeError("a broken marker")))
}

/// The marker that a string holds.
fn marker_of(tape: &Tape<'_>, id: Id) -> Option<Result<Marker, DecodeError>> {
    (tape.kind(id) == Kind::String).then(|| bare_marker(tape.inner(id))).flatten()
}

/// The marker of items that stands in their place; one of bytes stands in a string's place.
fn items_of(tape: &Tape<'_>, id: Id) -> Option<Marker> {
    marker_of(tape, id)?.ok().filter(|marker| marker.unit() != Unit::Bytes)
}

fn embedded(tape: &Tape<'_>, id: Id) -> Option<(Shape, Id)> {
    let (key, value) = tape.members(id).next()?;
    let shape = Shape::ALL.into_iter().find(|shape| shape.word() == tape.inner(key))?;
    (tape.kind(value) == Kind::Array).then_some((shape, value))
}

fn list_of(tape: &Tape<'_>, id: Id) -> Option<Id> {
    let (key, value) = tape.members(id).next()?;
    (tape.inner(key) == LIST && tape.kind(value) == Kind::Array).then_some(value)
}
