//! SearchCompressor: what grep, ripgrep, git grep and find print.
//!
//! The *exact* stage writes a path once above its lines ([`codec`] has the grammar). The *elide*
//! stage keeps the lines that the causal query asks for, definitions, and one line of each file
//! where it can ([`select`]); each file that is left out is named in its marker.

mod codec;
mod line;
mod listing;
mod paint;
mod recognise;
mod select;
mod spell;

use std::sync::Arc;

use self::{
    codec::SearchCodec,
    line::Hits,
    listing::Listing,
    paint::{PaintCodec, Painted},
    spell::Choice,
};
use crate::reduce::{Codec, Context, Hints, Op, Reducer, Reduction, Segment, Verbatim};

/// Search output: hits with path and line, with or without headings, and lists of paths.
///
/// ```
/// use headroom_engine::{compress::SearchCompressor, reduce::Reducer};
/// assert!(SearchCompressor.recognises("src/a.rs:12:fn main() {\nsrc/a.rs:40:fn run() {\nsrc/b.rs:3:mod a;\n", Default::default()));
/// assert!(!SearchCompressor.recognises("10:00:01 INFO started\n10:00:02 ERROR disk full\n", Default::default()));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SearchCompressor;

impl Reducer for SearchCompressor {
    fn kind(&self) -> &'static str {
        "search"
    }

    fn recognises(&self, source: &str, _: Hints<'_>) -> bool {
        recognise::is_listing(source) || recognise::is_hits(source)
    }

    fn exact(&self, source: &str, context: &Context<'_>) -> Option<Reduction> {
        if recognise::is_listing(source) {
            return Listing::new(source).exact(context);
        }
        if paint::is_painted(source) {
            return painted(source, None);
        }
        let hits = Hits::new(source);
        if hits.is_headed() {
            return None;
        }
        let (ops, saved) = spell::spell(&hits, &Choice::default());
        (saved > 0).then(|| reduction(source, Arc::new(SearchCodec), ops))
    }

    fn elide(&self, source: &str, context: &Context<'_>) -> Option<Reduction> {
        if recognise::is_listing(source) {
            let listing = Listing::new(source);
            return listing.elide(context).or_else(|| listing.exact(context));
        }
        if paint::is_painted(source) {
            return painted(source, Some(context));
        }
        let hits = Hits::new(source);
        let choice = select::choose(&hits, context);
        if choice.gaps.is_empty() && choice.cuts.is_empty() {
            return self.exact(source, context);
        }
        let codec: Arc<dyn Codec> = if hits.is_headed() { Arc::new(Verbatim) } else { Arc::new(SearchCodec) };
        let (ops, _) = spell::spell(&hits, &choice);
        Some(reduction(source, codec, ops))
    }
}

/// Output in colours: as without them, and elided if there is a `context`.
fn painted(source: &str, context: Option<&Context<'_>>) -> Option<Reduction> {
    let painted = Painted::new(source)?;
    let hits = Hits::new(&painted.plain);
    let mut choice = context.map(|context| select::choose(&hits, context)).unwrap_or_default();
    // A place within a line is another one in colours.
    choice.cuts.clear();
    let codec = PaintCodec::new(hits.is_headed());
    let ops = painted.ops(codec.inner(), spell::spell(&hits, &choice).0)?;
    Some(reduction(source, Arc::new(codec), ops))
}

fn reduction(source: &str, codec: Arc<dyn Codec>, ops: Vec<Op>) -> Reduction {
    Reduction { segments: vec![Segment { range: 0..source.len(), codec, ops }] }
}

#[cfg(test)]
mod tests;
