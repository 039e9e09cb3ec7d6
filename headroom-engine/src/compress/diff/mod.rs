//! DiffCompressor: patches, as git, diff and merges print them, with the commits around them.
//!
//! The *exact* stage says repeated texts once and a git header in one line less ([`codec`] has the
//! grammar). The *elide* stage leaves out context, then the files and hunks that the causal query
//! does not ask for ([`select`]): names, modes, renames and hunk headers stay, and every changed
//! line stays or is counted.

mod codec;
mod patch;
mod select;
mod spell;

use std::sync::Arc;

use self::{codec::DiffCodec, patch::Patch, spell::Choice};
use crate::reduce::{Context, Hints, Reducer, Reduction, Segment};

/// Patches: `git diff`, `git show`, `git log -p`, `git format-patch`, `diff -u`.
///
/// ```
/// use headroom_engine::{compress::DiffCompressor, reduce::Reducer};
/// assert!(DiffCompressor.recognises("--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n", Default::default()));
/// assert!(!DiffCompressor.recognises("- a list\n+ of things\n", Default::default()));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct DiffCompressor;

impl Reducer for DiffCompressor {
    fn kind(&self) -> &'static str {
        "diff"
    }

    fn recognises(&self, source: &str, _: Hints<'_>) -> bool {
        patch::may_be(source) && Patch::new(patch::head(source)).is_patch()
    }

    fn exact(&self, source: &str, _context: &Context<'_>) -> Option<Reduction> {
        let (ops, saved) = spell::spell(&Patch::new(source), &Choice::default());
        saved.then(|| reduction(source, ops))
    }

    fn elide(&self, source: &str, context: &Context<'_>) -> Option<Reduction> {
        let patch = Patch::new(source);
        let choice = select::choose(&patch, context);
        let (ops, saved) = spell::spell(&patch, &choice);
        (saved || !choice.gaps.is_empty() || !choice.cuts.is_empty()).then(|| reduction(source, ops))
    }
}

fn reduction(source: &str, ops: Vec<crate::reduce::Op>) -> Reduction {
    Reduction { segments: vec![Segment { range: 0..source.len(), codec: Arc::new(DiffCodec), ops }] }
}

#[cfg(test)]
mod tests;
