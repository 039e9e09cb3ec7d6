//! SmartCrusher: JSON.
mod cell;
mod codec;
mod encode;
mod members;
mod select;
mod semantics;
mod table;
mod tape;
mod twins;

use std::sync::Arc;

use self::{codec::JsonCodec, encode::Encoder, select::Selection, table::Shape, tape::Tape, twins::Twins};
use crate::reduce::{Context, Reducer, Reduction, Segment};

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
        reduction(source, Encoder::new(&tape, &Twins::of(&tape), None))
    }

    fn elide(&self, source: &str, context: &Context<'_>) -> Option<Reduction> {
        let tape = parse(source)?;
        let twins = Twins::of(&tape);
        let selection = Selection::new(&tape, &twins, context.query);
        reduction(source, Encoder::new(&tape, &twins, Some(&selection)))
    }
}

/// The tape of `source`, unless it holds words of our own grammar.
fn parse(source: &str) -> Option<Tape<'_>> {
    let starts = source.trim_start_matches([' ', '\t', '\n', '\r']).starts_with(['{', '[']);
    if !starts || speaks_our_grammar(source) {
        return None;
    }
    Tape::parse(source)
}

fn speaks_our_grammar(source: &str) -> bool {
    let words = || Shape::ALL.iter().map(|shape| shape.word()).chain([encode::MISSING]);
    memchr::memmem::find_iter(source.as_bytes(), "\"$").any(|at| {
        let rest = &source[at + 1..];
        if rest.starts_with(encode::NAME) {
            return true;
        }
        words().any(|word| rest.strip_prefix(word).is_some_and(|rest| rest.starts_with('"')))
    })
}

fn reduction(source: &str, encoder: Encoder<'_, '_>) -> Option<Reduction> {
    let range = 0..source.len();
    let ops = encoder.run();
    Some(Reduction { segments: vec![Segment { range, codec: Arc::new(JsonCodec), ops }] })
}
