//! A routed text: its parts reduced one by one, and put together.

use std::cell::OnceCell;

use super::Part;
use crate::reduce::{Context, Gate, Reducer, Reduction};

/// A text and its parts.
///
/// It is reduced for one block: what its parts become exactly is found once and kept, so that both
/// stages share it.
#[derive(Clone, Debug)]
pub struct Routed<'a> {
    source: &'a str,
    parts: Vec<Part<'a>>,
    /// Of each of several parts.
    settled: Vec<OnceCell<Settled>>,
}

/// One of several parts without elision.
#[derive(Clone, Debug)]
struct Settled {
    tokens: usize,
    /// With its tokens, if the gate took it.
    exact: Option<(Reduction, usize)>,
}

/// The reduction of a text, and the kind of its largest part that was reduced.
pub type Reduced = (&'static str, Reduction);

/// A part's length and kind.
type Sized = (usize, &'static str);

impl<'a> Routed<'a> {
    pub(super) fn new(source: &'a str, parts: Vec<Part<'a>>) -> Self {
        let settled = vec![OnceCell::new(); parts.len()];
        Self { source, parts, settled }
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
        self.reduce(|at, part, reducer| {
            if self.parts.len() == 1 {
                return reducer.exact(self.source, &part.context(context));
            }
            let (reduction, _) = self.settled(at, reducer, context, gate).exact.as_ref()?;
            Some(reduction.clone())
        })
    }

    /// What they do with elision. A part of several hides what saves `least` tokens beyond what it
    /// saves exactly, else it is exact.
    #[must_use]
    pub fn elide(&self, context: &Context<'_>, gate: &Gate<'_>, least: usize) -> Option<Reduced> {
        self.reduce(|at, part, reducer| {
            let context = part.context(context);
            if self.parts.len() == 1 {
                return reducer.elide(self.source, &context);
            }
            let Settled { tokens, exact } = self.settled(at, reducer, &context, gate);
            let exact = exact.as_ref();
            let limit = exact.map_or(*tokens, |(_, tokens)| *tokens).checked_sub(least);
            let elided = limit.and_then(|limit| {
                let source = &self.source[part.range.clone()];
                let elided = reducer.elide(source, &context)?;
                // What hides nothing is the exact stage again.
                if exact.is_some() && !elided.hides() {
                    return None;
                }
                let accepted = gate.pass(source, Some(*tokens), reducer.kind(), &elided).ok()?;
                (accepted.tokens_out <= limit).then_some(elided)
            });
            elided.or_else(|| exact.map(|(reduction, _)| reduction.clone()))
        })
    }

    /// Part `at` without elision, found once.
    fn settled(&self, at: usize, reducer: &dyn Reducer, context: &Context<'_>, gate: &Gate<'_>) -> &Settled {
        self.settled[at].get_or_init(|| {
            let part = &self.parts[at];
            let source = &self.source[part.range.clone()];
            let tokens = gate.counter.count(source);
            let exact = reducer.exact(source, &part.context(context)).and_then(|reduction| {
                let accepted = gate.pass(source, Some(tokens), reducer.kind(), &reduction).ok()?;
                accepted.rendered.hidden.is_empty().then_some((reduction, accepted.tokens_out))
            });
            Settled { tokens, exact }
        })
    }

    fn reduce(
        &self,
        each: impl Fn(usize, &Part<'a>, &'a dyn Reducer) -> Option<Reduction>,
    ) -> Option<Reduced> {
        let mut largest: Option<Sized> = None;
        let mut parts = Vec::with_capacity(self.parts.len());
        for (at, part) in self.parts.iter().enumerate() {
            let reduced = part.reducer.and_then(|reducer| Some((reducer.kind(), each(at, part, reducer)?)));
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
