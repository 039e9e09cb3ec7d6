//! What becomes of one block: its specialist, the gate, and the memo of blocks seen before.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use crate::{
    ccr::{self, plan::Treatment},
    eligible::Candidate,
    engine::Inner,
    memo::{Key, Outcome},
    policy::{Policy, ToolPolicy},
    reduce::{Accepted, Context, Gate, Refusal},
    report::Reason,
    route::Reduced,
    wire::{Conversation, text::quote},
};

/// Texts shorter than this, in bytes, cannot save the least that counts.
const SMALL: usize = 64;

/// The blocks of one request, under its treatment.
pub(crate) struct Blocks<'a> {
    engine: &'a Inner,
    body: &'a str,
    conversation: &'a Conversation,
    policy: &'a Policy,
    may_hide: bool,
    epoch: [u8; 32],
}

impl<'a> Blocks<'a> {
    pub(crate) fn new(
        engine: &'a Inner,
        body: &'a str,
        conversation: &'a Conversation,
        treatment: Treatment,
        policy: &'a Policy,
    ) -> Self {
        let may_hide = treatment.retrievable().is_some();
        Self { engine, body, conversation, policy, may_hide, epoch: policy.epoch(&engine.facts) }
    }

    /// Whether the block would have to be reduced: it is looked at, and the memo does not know it.
    pub(crate) fn is_new(&self, candidate: &Candidate) -> bool {
        self.exempt(candidate).is_none() && !self.engine.memo.contains(&self.key(candidate))
    }

    /// What becomes of the block.
    pub(crate) fn outcome(&self, candidate: &Candidate) -> Arc<Outcome> {
        if let Some(reason) = self.exempt(candidate) {
            return Arc::new(Outcome::kept(None, reason));
        }
        let key = self.key(candidate);
        if let Some(known) = self.engine.memo.get(&key) {
            return known;
        }
        let work = AssertUnwindSafe(|| self.reduce(candidate));
        let outcome = Arc::new(catch_unwind(work).unwrap_or_else(|_| Outcome::kept(None, Reason::Panicked)));
        self.engine.memo.insert(key, Arc::clone(&outcome));
        outcome
    }

    /// Why a block is not even looked at; `None` if it is.
    fn exempt(&self, candidate: &Candidate) -> Option<Reason> {
        if !candidate.text.longer_than(SMALL, self.body) {
            Some(Reason::Small)
        } else if ccr::is_retrieval_name(&candidate.tool, self.policy.retrieval_tool()) {
            Some(Reason::Retrieved)
        } else {
            (self.policy.for_tool(&candidate.tool) == ToolPolicy::Off).then_some(Reason::ToolPolicy)
        }
    }

    /// Everything that decides what becomes of a block.
    fn key(&self, candidate: &Candidate) -> Key {
        let mut hasher = blake3::Hasher::new_keyed(self.engine.key.bytes());
        hasher.update(&self.epoch);
        hasher.update(&candidate.digest);
        hasher.update(&candidate.query);
        hasher.update(&[
            u8::from(self.may_hide),
            u8::from(candidate.is_error),
            self.policy.for_tool(&candidate.tool) as u8,
        ]);
        *hasher.finalize().as_bytes()
    }

    /// The block, for the first time: exactly, and with elision where that hides enough.
    fn reduce(&self, candidate: &Candidate) -> Outcome {
        let Some(source) = candidate.text.decode(self.body) else {
            return Outcome::kept(None, Reason::NotText);
        };
        let said = candidate.said(self.body, self.conversation);
        let hints = said.hints();
        let routed = self.engine.router.route(&source, hints);
        let Some(kind) = routed.kind() else {
            return Outcome::kept(None, Reason::NoSpecialist);
        };
        let query =
            candidate.causal_query(self.body, self.conversation).scored_by(Arc::clone(&self.engine.scorer));
        let counter = &*self.engine.counter;
        let context =
            Context { query: &query, tool: &candidate.tool, hints, is_error: candidate.is_error, counter };
        let tokens_in = counter.count(&source);
        let mut trial = Trial {
            gate: Gate { counter, key: &self.engine.key },
            source: &source,
            tokens_in,
            refused: Reason::NothingToGain,
        };
        let exact = trial.take(routed.exact(&context, &trial.gate), false);
        let tokens_exact = exact.as_ref().map_or(tokens_in, |(_, accepted)| accepted.tokens_out);
        let least = self.policy.hidden_limit();
        let elided = self
            .may_elide(candidate, tokens_in, tokens_exact)
            .then(|| trial.take(routed.elide(&context, &trial.gate, least), true))
            .flatten()
            .filter(|(_, accepted)| accepted.tokens_out + least <= tokens_exact);
        let parts = u32::try_from(routed.parts().len()).unwrap_or(u32::MAX);
        let Some((kind, accepted)) = elided.or(exact) else {
            let kept = Outcome::kept(Some(kind), trial.refused);
            return Outcome { parts, tokens_in, tokens_out: tokens_in, ..kept };
        };
        let hides = !accepted.rendered.hidden.is_empty();
        let mut literal = String::new();
        quote(&accepted.rendered.text, &mut literal);
        Outcome {
            kind: Some(kind),
            parts,
            reason: if hides { Reason::Elided } else { Reason::Exact },
            literal: literal.into(),
            tokens_in,
            tokens_out: accepted.tokens_out,
            tokens_exact,
            hidden: accepted.rendered.hidden.into(),
        }
    }

    fn may_elide(&self, candidate: &Candidate, tokens_in: usize, tokens_exact: usize) -> bool {
        self.may_hide
            && self.policy.for_tool(&candidate.tool) == ToolPolicy::Retrievable
            && tokens_exact > self.policy.hidden_limit()
            && !(candidate.is_error && tokens_in <= self.policy.error_limit())
    }
}

/// Reductions of one source before the gate.
struct Trial<'a> {
    gate: Gate<'a>,
    source: &'a str,
    tokens_in: usize,
    /// Why the last one was refused.
    refused: Reason,
}

impl Trial<'_> {
    fn take(&mut self, reduced: Option<Reduced>, may_hide: bool) -> Option<(&'static str, Accepted)> {
        let (kind, reduction) = reduced?;
        match self.gate.pass(self.source, Some(self.tokens_in), kind, &reduction) {
            Ok(accepted) if may_hide || accepted.rendered.hidden.is_empty() => return Some((kind, accepted)),
            Err(Refusal::NotSmaller) => self.refused = Reason::NotSmaller,
            Ok(_) | Err(Refusal::Untiled | Refusal::Undecodable) => self.refused = Reason::Undecodable,
        }
        None
    }
}
