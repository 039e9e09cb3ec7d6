//! SmartCrusher: JSON, written so that it costs few tokens and comes back token by token.
//!
//! A source is parsed once into an offset tape; nothing is interpreted, so number literals,
//! duplicate keys and unpaired surrogates come back as they were. What stays JSON loses its white
//! space. Like objects become tables, and a long value that occurs again is named where it stands
//! first and referred to afterwards. On top of that selection leaves items out behind
//! markers: of a list what says nothing new, of a single object runs of links and opaque strings.
//!
//! # Grammar
//!
//! ```text
//! output  = table | list | line *("\n" line)          one line a document
//! line    = json | marker
//! table   = word " " header *("\n" row)               where the whole source is one table
//! word    = "$table" | "$map" | "$matrix" | "$lines"  objects in an array; in an object, whose keys
//!                                                     are the first cells; arrays in an array;
//!                                                     documents, one a line
//! header  = column *("," column)
//! column  = path [":str" | "=" cell | "?=" cell | "@" start step]
//! path    = key *("." key)                            keys of nested objects; quoted where needed
//! list    = "$list" " " pattern *("\n" number *("," number))
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
//! A list of strings that differ in their numbers only is a pattern, with `#` for each number that
//! is not the same in all, and the numbers of each string: `$list` and the pattern, then a line
//! each; inside JSON `{"$list":["pattern","1,2",...]}`.
//!
//! `{"$=1":value}`, or `$=1:text` as a cell, gives a value the name 1; `"$=1"` or `$=1` repeats it.
//!
//! A marker stands in place of items as a row, as a JSON string, or as a key with the value 0, and
//! in place of one string as a string. Source strings and keys that read like one of these words
//! get one `$` more, and `[~` gets one tilde more.
mod cell;
mod codec;
mod encode;
mod list;
mod members;
mod pieces;
mod select;
pub(super) mod semantics;
mod table;
pub(super) mod tape;
mod twins;
mod words;

use std::{ops::Range, sync::Arc};

use self::{
    codec::JsonCodec,
    encode::Encoder,
    pieces::{Piece, pieces},
    select::Selection,
    tape::Tape,
    twins::Twins,
};
use crate::reduce::{Context, Hints, Op, Reducer, Reduction, Segment, Verbatim};

/// JSON: documents and lines of documents.
///
/// ```
/// use headroom_engine::{compress::SmartCrusher, rank::Query, reduce::{Context, Reducer, render}};
/// # use headroom_engine::{ccr::HandleKey, tokens::O200k};
/// let row = |n| format!(r#"{{"id": {n}, "name": "user {n}", "ok": true}}"#);
/// let source = format!("[{}, {}, {}, {}, {}]", row(1), row(2), row(4), row(8), row(9));
/// let query = Query::default();
/// let context = Context { query: &query, tool: "", hints: Default::default(), is_error: false, counter: &O200k, stakes: headroom_engine::reduce::Stakes::flat(250) };
/// let reduction = SmartCrusher.exact(&source, &context).expect("it gets shorter");
/// let text = render(&source, &reduction, SmartCrusher.kind(), &HandleKey::default()).text;
/// assert_eq!(text, "$table id,name,ok=true\n1,user 1\n2,user 2\n4,user 4\n8,user 8\n9,user 9");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SmartCrusher;

impl Reducer for SmartCrusher {
    fn kind(&self) -> &'static str {
        "json"
    }

    fn recognises(&self, source: &str, _: Hints<'_>) -> bool {
        !pieces(source).is_empty()
    }

    fn exact(&self, source: &str, _context: &Context<'_>) -> Option<Reduction> {
        reduction(source, |tape| Encoder::new(tape, &Twins::of(tape), None).run())
    }

    fn elide(&self, source: &str, context: &Context<'_>) -> Option<Reduction> {
        reduction(source, |tape| {
            let twins = Twins::of(tape);
            let selection = Selection::new(tape, &twins, context);
            Encoder::new(tape, &twins, Some(&selection)).run()
        })
    }
}

/// The JSON pieces of `source` as `write` says, the others as they are; `None` if it gets no
/// shorter.
fn reduction(source: &str, write: impl Fn(&Tape<'_>) -> Vec<Op>) -> Option<Reduction> {
    let segments: Vec<Segment> = pieces(source)
        .into_iter()
        .map(|Piece { range, tape }| match tape {
            Some(tape) => {
                let ops = write(&tape).into_iter().map(|op| moved(op, range.start)).collect();
                Segment { range, codec: Arc::new(JsonCodec), ops }
            }
            None => Segment { codec: Arc::new(Verbatim), ops: vec![Op::Keep(range.clone())], range },
        })
        .collect();
    let written = |op: &Op| match op {
        Op::Rewrite { text, .. } => text.len(),
        Op::Keep(range) => range.len(),
        Op::Elide { .. } => 20,
    };
    // The gate counts tokens, of which 8 are to be saved; a token has a byte at least.
    let written: usize = segments.iter().flat_map(|segment| &segment.ops).map(written).sum();
    (!segments.is_empty() && written + 8 <= source.len()).then_some(Reduction { segments })
}

/// `op` with its ranges moved `by` bytes.
fn moved(mut op: Op, by: usize) -> Op {
    let shift = |range: &mut Range<usize>| *range = range.start + by..range.end + by;
    match &mut op {
        Op::Keep(range) | Op::Rewrite { range, .. } => shift(range),
        Op::Elide { range, original, .. } => {
            shift(range);
            shift(original);
        }
    }
    op
}

#[cfg(test)]
mod tests;
