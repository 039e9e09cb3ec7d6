//! What stays visible when a text is elided.

use std::ops::Range;

use super::{
    score::{Score, scores},
    text::{Kind, Text, Unit},
};
use crate::reduce::Context;

/// About the tokens of a marker without a handle, and what a gap must cost to be worth one.
const GAP: usize = 16;
/// The beginning of a text stays, up to so many tokens.
const OPENING: u32 = 160;

/// The runs of units to leave out, in order; empty if that is not worth it.
pub(super) fn hidden(text: &Text<'_>, units: &[Unit], context: &Context<'_>) -> Vec<Range<usize>> {
    let total: usize = units.iter().map(|unit| unit.cost as usize).sum();
    if total < 2 * context.stakes.worth() || units.len() < 6 {
        return Vec::new();
    }
    let scores = scores(text, units, context.query);
    let mut selection =
        Selection { units, scores: &scores, keep: vec![false; units.len()], left: budget(total) };
    selection.opening();
    selection.errors(if context.is_error { total } else { total / 10 });
    selection.headings(total / 12);
    selection.negations(total / 12);
    selection.best();
    selection.titles();
    let hidden = selection.gaps();
    let cost: usize = hidden.iter().cloned().flatten().map(|at| units[at].cost as usize).sum();
    if cost < context.stakes.worth().max(total / 10) { Vec::new() } else { hidden }
}

/// The tokens to keep of `total`: of a short text more than half, of a long one about two fifths.
fn budget(total: usize) -> usize {
    let share = 0.32 + 0.22 * (1500.0 / (total as f64).max(1500.0)).sqrt();
    (total as f64 * share) as usize
}

struct Selection<'s> {
    units: &'s [Unit],
    scores: &'s [Score],
    keep: Vec<bool>,
    /// Tokens that may still be kept.
    left: usize,
}

impl Selection<'_> {
    fn take(&mut self, at: usize) {
        if !std::mem::replace(&mut self.keep[at], true) {
            self.left = self.left.saturating_sub(self.units[at].cost as usize);
        }
    }

    /// The title and what stands first.
    fn opening(&mut self) {
        let mut cost = 0;
        for at in 0..self.units.len() {
            cost += self.units[at].cost;
            if at > 1 && cost > OPENING {
                break;
            }
            self.take(at);
        }
    }

    /// Units that name errors, each once, while they cost no more than `most`.
    fn errors(&mut self, most: usize) {
        let errors = (0..self.units.len()).filter(|at| self.scores[*at].errs && !self.scores[*at].again);
        self.within(errors.collect(), most);
    }

    /// Headings, if they cost no more than `most`; then those of what is kept must do.
    fn headings(&mut self, most: usize) {
        let headings = self.units.iter().filter(|unit| unit.kind == Kind::Heading);
        if headings.map(|unit| unit.cost as usize).sum::<usize>() <= most {
            for at in 0..self.units.len() {
                if self.units[at].kind == Kind::Heading {
                    self.take(at);
                }
            }
        }
    }

    /// What forbids or excepts, while it costs no more than `most`.
    fn negations(&mut self, most: usize) {
        let mut negations: Vec<usize> =
            (0..self.units.len()).filter(|at| self.scores[*at].negates && !self.scores[*at].again).collect();
        self.rank(&mut negations);
        self.within(negations, most);
    }

    fn within(&mut self, units: Vec<usize>, mut most: usize) {
        for at in units {
            let cost = self.units[at].cost as usize;
            if cost <= most && !self.keep[at] {
                most -= cost;
                self.take(at);
            }
        }
    }

    fn rank(&self, units: &mut [usize]) {
        units.sort_by(|left, right| {
            self.scores[*right].value.total_cmp(&self.scores[*left].value).then(left.cmp(right))
        });
    }

    /// The best of the rest, as long as the budget lasts.
    fn best(&mut self) {
        let mut rest: Vec<usize> = (0..self.units.len()).filter(|at| !self.keep[*at]).collect();
        self.rank(&mut rest);
        for at in rest {
            if (self.units[at].cost as usize) <= self.left {
                self.take(at);
            }
        }
    }

    /// The headings of what is kept.
    fn titles(&mut self) {
        let mut heading = None;
        for at in 0..self.units.len() {
            if self.units[at].kind == Kind::Heading {
                heading = Some(at);
            } else if self.keep[at]
                && let Some(heading) = heading.take()
            {
                self.keep[heading] = true;
            }
        }
    }

    /// The runs that are not kept and cost more than a marker.
    fn gaps(&self) -> Vec<Range<usize>> {
        let mut gaps: Vec<Range<usize>> = Vec::new();
        let mut at = 0;
        while at < self.keep.len() {
            let end = (at..self.keep.len()).find(|unit| self.keep[*unit]).unwrap_or(self.keep.len());
            let cost: usize = self.units[at..end].iter().map(|unit| unit.cost as usize).sum();
            if cost > GAP {
                gaps.push(at..end);
            }
            at = end + 1;
        }
        gaps
    }
}
