//! SmartCrusher: JSON, written so that it costs few tokens and comes back token by token.
//!
//! A source is parsed once into an [offset tape](tape); nothing is interpreted, so number literals,
//! duplicate keys and unpaired surrogates come back as they were. What stays JSON loses its white
//! space. Like objects become tables, and a long value that occurs again is named where it stands
//! first and referred to afterwards. On top of that [selection](select) leaves items out behind
//! markers: of a list what says nothing new, of a single object runs of links and opaque strings.
//!
//! # Grammar
//!
//! ```text
//! output  = table | line *("\n" line)                 one line a document
//! line    = json | marker
//! table   = word " " header *("\n" row)               where the whole source is one table
//! word    = "$table" | "$map" | "$matrix" | "$lines"  objects in an array; in an object, whose keys
//!                                                     are the first cells; arrays in an array;
//!                                                     documents, one a line
//! header  = column *("," column)
//! column  = path [":str" | "=" cell | "?=" cell | "@" start step]
//! path    = key *("." key)                            keys of nested objects; quoted where needed
//! row     = cell *("," cell) | "=" json | marker      "=": an item that does not fit the columns
//! cell    = "" | literal | text | "'" text "'" | "`" text "`" | json
//! ```
//!
//! `:str` says that all cells are strings, also those that look like numbers; `=cell` that all rows
//! have this value and write none; `?=cell` that an empty cell means this value; `@0+2` that row `i`
//! (from 0) has `0 + 2i`. Elsewhere an empty cell is a missing key. A cell that is a number, `true`,
//! `false` or `null` is that literal, another is a string; `""` is the empty string and `"null"` a
//! string. A string stands without quotes unless it is empty, could be read otherwise, or holds a
//! comma, quote or backslash.
//!
//! ```text
//! [{"id":1,"ok":true,"at":{"x":1}},        $table id,ok=true,at.x
//!  {"id":2,"ok":true,"at":{"x":null}},     1,1
//!  {"id":3,"ok":true,"at":{"x":"1"}}]      2,null
//!                                          3,"1"
//! ```
//!
//! Inside JSON a table is an object with the word as its key: `{"$table":["header",row,...]}`. A
//! row is a JSON string of cells, or an array of values (`"$-"` for a missing one) where a cell
//! could not stand in a string without escapes; an item that does not fit is its JSON, of a map in
//! an object of its own.
//!
//! `{"$=1":value}`, or `$=1:text` as a cell, gives a value the name 1; `"$=1"` or `$=1` repeats it.
//!
//! A marker stands in place of items as a row, as a JSON string, or as a key with the value 0, and
//! in place of one string as a string. Source strings and keys that read like one of these words
//! get one `$` more, and `[~` gets one tilde more.
mod cell;
mod codec;
mod encode;
mod members;
mod select;
mod semantics;
mod table;
mod tape;
mod twins;
mod words;

use std::sync::Arc;

use self::{codec::JsonCodec, encode::Encoder, select::Selection, tape::Tape, twins::Twins};
use crate::reduce::{Context, Op, Reducer, Reduction, Segment};

/// JSON: documents and lines of documents.
#[derive(Clone, Copy, Debug, Default)]
pub struct SmartCrusher;

impl Reducer for SmartCrusher {
    fn kind(&self) -> &'static str {
        "json"
    }

    fn recognises(&self, source: &str) -> bool {
        parse(source).is_some()
    }

    fn exact(&self, source: &str, _context: &Context<'_>) -> Option<Reduction> {
        let tape = parse(source)?;
        reduction(source, Encoder::new(&tape, &Twins::of(&tape), None).run())
    }

    fn elide(&self, source: &str, context: &Context<'_>) -> Option<Reduction> {
        let tape = parse(source)?;
        let twins = Twins::of(&tape);
        let selection = Selection::new(&tape, &twins, context);
        reduction(source, Encoder::new(&tape, &twins, Some(&selection)).run())
    }
}

/// The tape of `source`, if it is made of objects and arrays.
fn parse(source: &str) -> Option<Tape<'_>> {
    let starts = source.trim_start_matches([' ', '\t', '\n', '\r']).starts_with(['{', '[']);
    if starts { Tape::parse(source) } else { None }
}

fn reduction(source: &str, ops: Vec<Op>) -> Option<Reduction> {
    let written = |op: &Op| match op {
        Op::Rewrite { text, .. } => text.len(),
        Op::Keep(range) => range.len(),
        Op::Elide { .. } => 20,
    };
    // The gate counts tokens; a token has a byte at least.
    let range = 0..source.len();
    (ops.iter().map(written).sum::<usize>() + 8 <= source.len())
        .then(|| Reduction { segments: vec![Segment { range, codec: Arc::new(JsonCodec), ops }] })
}

#[cfg(test)]
mod tests;
