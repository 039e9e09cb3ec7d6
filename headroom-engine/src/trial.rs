//! The parts of one text through their specialists and the gate.

use crate::{
    reduce::{Accepted, Context, Gate, Reduction, Refusal},
    report::Reason,
    route::Part,
};

/// How one text may be reduced.
pub(crate) struct Trial<'a> {
    pub(crate) gate: Gate<'a>,
    pub(crate) source: &'a str,
    pub(crate) context: Context<'a>,
    /// Something may be hidden.
    pub(crate) may_elide: bool,
    /// Errors of at most so many tokens hide nothing.
    pub(crate) error_limit: usize,
    /// The least tokens that hiding must save beyond exact rewriting.
    pub(crate) hidden_limit: usize,
}

/// What became of a text.
pub(crate) struct Tried {
    pub(crate) accepted: Option<Accepted>,
    /// The kind of its largest part that was reduced; of its largest part, if none was.
    pub(crate) kind: Option<&'static str>,
    /// Why the last reduction was refused.
    pub(crate) refused: Reason,
    pub(crate) tokens_in: usize,
    pub(crate) tokens_exact: usize,
}

/// A part that the gate took, exactly and with elision.
struct Piece {
    exact: Option<(Reduction, Accepted)>,
    elided: Option<(Reduction, Accepted)>,
    tokens_exact: usize,
}

impl Trial<'_> {
    /// Every part on its own, then all of them as one. One refusal leaves only its part as it is.
    pub(crate) fn run(&self, parts: &[Part<'_>]) -> Tried {
        let mut refused = Reason::NothingToGain;
        let tokens_in = self.context.counter.count(self.source);
        let may_elide = self.may_elide && !(self.context.is_error && tokens_in <= self.error_limit);
        if let [part] = parts {
            let piece = self.piece(part, tokens_in, may_elide, &mut refused);
            let accepted = piece.elided.or(piece.exact).map(|(_, accepted)| accepted);
            return Tried {
                accepted,
                kind: part.kind(),
                refused,
                tokens_in,
                tokens_exact: piece.tokens_exact,
            };
        }
        let mut reductions = Vec::with_capacity(parts.len());
        let (mut largest, mut reduced) = (None, None);
        let mut tokens_exact = tokens_in;
        for part in parts {
            let kept = Reduction::kept(part.range.clone());
            let tokens =
                part.reducer.map_or(0, |_| self.context.counter.count(&self.source[part.range.clone()]));
            let piece = self.piece(part, tokens, may_elide, &mut refused);
            tokens_exact -= tokens - piece.tokens_exact.min(tokens);
            let taken = piece.elided.or(piece.exact);
            if part.reducer.is_some() {
                let of = (part.range.len(), part.kind());
                largest = larger(largest, of);
                reduced = if taken.is_some() { larger(reduced, of) } else { reduced };
            }
            reductions.push(taken.map_or(kept, |(reduction, _)| reduction.shifted(part.range.start)));
        }
        let kind = reduced.or(largest).and_then(|(_, kind)| kind);
        let accepted = reduced.is_some().then(|| {
            let joined = Reduction::joined(reductions);
            self.pass(self.source, tokens_in, kind, &joined, &mut refused)
        });
        Tried { accepted: accepted.flatten(), kind, refused, tokens_in, tokens_exact }
    }

    fn piece(&self, part: &Part<'_>, tokens_in: usize, may_elide: bool, refused: &mut Reason) -> Piece {
        let mut piece = Piece { exact: None, elided: None, tokens_exact: tokens_in };
        let Some(reducer) = part.reducer else { return piece };
        let source = &self.source[part.range.clone()];
        let context = part.context(&self.context);
        let mut take = |reduction: Option<Reduction>, may_hide: bool| {
            let reduction = reduction?;
            let accepted = self.pass(source, tokens_in, Some(reducer.kind()), &reduction, refused)?;
            if !may_hide && !accepted.rendered.hidden.is_empty() {
                *refused = Reason::Undecodable;
                return None;
            }
            Some((reduction, accepted))
        };
        piece.exact = take(reducer.exact(source, &context), false);
        piece.tokens_exact = piece.exact.as_ref().map_or(tokens_in, |(_, accepted)| accepted.tokens_out);
        if may_elide && piece.tokens_exact > self.hidden_limit {
            piece.elided = take(reducer.elide(source, &context), true)
                .filter(|(_, accepted)| accepted.tokens_out + self.hidden_limit <= piece.tokens_exact);
        }
        piece
    }

    fn pass(
        &self,
        source: &str,
        tokens_in: usize,
        kind: Option<&'static str>,
        reduction: &Reduction,
        refused: &mut Reason,
    ) -> Option<Accepted> {
        match self.gate.pass(source, Some(tokens_in), kind.unwrap_or_default(), reduction) {
            Ok(accepted) => return Some(accepted),
            Err(Refusal::NotSmaller) => *refused = Reason::NotSmaller,
            Err(Refusal::Untiled | Refusal::Undecodable) => *refused = Reason::Undecodable,
        }
        None
    }
}

type Sized = (usize, Option<&'static str>);

fn larger(best: Option<Sized>, other: Sized) -> Option<Sized> {
    Some(best.filter(|best| best.0 >= other.0).unwrap_or(other))
}
