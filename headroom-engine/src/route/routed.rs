//! A routed text: its parts reduced one by one, and put together.

use super::Part;
use crate::reduce::{Accepted, Context, Gate, Reducer, Reduction};

/// A text and its parts.
#[derive(Clone, Debug)]
pub struct Routed<'a> {
    source: &'a str,
    parts: Vec<Part<'a>>,
}

/// The reduction of a text, and the kind of its largest part that was reduced.
pub type Reduced = (&'static str, Reduction);

/// A part's length and kind.
type Sized = (usize, &'static str);

impl<'a> Routed<'a> {
    pub(super) fn new(source: &'a str, parts: Vec<Part<'a>>) -> Self {
        Self { source, parts }
    }

    /// The parts, tiling the text.
    #[must_use]
    pub fn parts(&self) -> &[Part<'a>] {
        &self.parts
    }

    /// The kind of its largest part that has a specialist.
    #[must_use]
    pub fn kind(&self) -> Option<&'static str> {
        let kinds = self.parts.iter().filter_map(|part| Some((part.range.len(), part.kind()?)));
        kinds.reduce(larger).map(|(_, kind)| kind)
    }

    /// What the specialists do exactly. Of several parts each one passes `gate` on its own: one
    /// that is refused leaves only itself as it is.
    #[must_use]
    pub fn exact(&self, context: &Context<'_>, gate: &Gate<'_>) -> Option<Reduced> {
        self.reduce(|part, reducer, whole| {
            let context = part.context(context);
            let source = &self.source[part.range.clone()];
            let reduction = reducer.exact(source, &context)?;
            if whole {
                return Some(reduction);
            }
            taken(gate, source, None, reducer, reduction, false).map(|(reduction, _)| reduction)
        })
    }

    /// What they do with elision. A part of several hides what saves `least` tokens beyond what it
    /// saves exactly, else it is exact.
    #[must_use]
    pub fn elide(&self, context: &Context<'_>, gate: &Gate<'_>, least: usize) -> Option<Reduced> {
        self.reduce(|part, reducer, whole| {
            let context = part.context(context);
            let source = &self.source[part.range.clone()];
            if whole {
                return reducer.elide(source, &context);
            }
            let tokens = gate.counter.count(source);
            let take = |reduction, may_hide| taken(gate, source, Some(tokens), reducer, reduction, may_hide);
            let exact = reducer.exact(source, &context).and_then(|reduction| take(reduction, false));
            let limit = exact.as_ref().map_or(tokens, |(_, accepted)| accepted.tokens_out).checked_sub(least);
            let elided = limit.and_then(|limit| {
                let elided = take(reducer.elide(source, &context)?, true)?;
                (elided.1.tokens_out <= limit).then_some(elided)
            });
            elided.or(exact).map(|(reduction, _)| reduction)
        })
    }

    fn reduce(
        &self,
        each: impl Fn(&Part<'a>, &'a dyn Reducer, bool) -> Option<Reduction>,
    ) -> Option<Reduced> {
        let whole = self.parts.len() == 1;
        let mut largest: Option<Sized> = None;
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let reduced =
                part.reducer.and_then(|reducer| Some((reducer.kind(), each(part, reducer, whole)?)));
            parts.push(match reduced {
                Some((kind, reduction)) => {
                    let this = (part.range.len(), kind);
                    largest = Some(largest.map_or(this, |largest| larger(largest, this)));
                    reduction.shifted(part.range.start)
                }
                None => Reduction::kept(part.range.clone()),
            });
        }
        largest.map(|(_, kind)| (kind, Reduction::joined(parts)))
    }
}

/// The first of the largest.
fn larger(first: Sized, other: Sized) -> Sized {
    if other.0 > first.0 { other } else { first }
}

fn taken(
    gate: &Gate<'_>,
    source: &str,
    tokens: Option<usize>,
    reducer: &dyn Reducer,
    reduction: Reduction,
    may_hide: bool,
) -> Option<(Reduction, Accepted)> {
    let accepted = gate.pass(source, tokens, reducer.kind(), &reduction).ok()?;
    (may_hide || accepted.rendered.hidden.is_empty()).then_some((reduction, accepted))
}
