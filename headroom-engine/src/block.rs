//! What becomes of one block: its specialist, the gate, and the memo of blocks seen before.

mod key;

use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

pub(crate) use self::key::Candidates;
use crate::{
    catalogue::Model,
    ccr::{self, plan::Treatment},
    compress::repeat::{self, Earlier, Index, Shown},
    eligible::{self, Candidate},
    engine::Inner,
    memo::{Key, Outcome},
    policy::{Policy, ToolPolicy},
    price::Stakes,
    reduce::{Accepted, Context, Gate, Op, Reduction, Refusal, Witness},
    report::Reason,
    route::Routed,
    wire::{BlockKind, Conversation, splice::Text, text::quote},
};

/// Texts shorter than this, in bytes, cannot save the least that counts.
const SMALL: usize = 64;

/// The kind of a block that points at earlier ones.
const REPEAT: &str = "repeat";

/// The kind of a block whose keys an earlier one shows.
const SHAPE: &str = "shape";

/// What leaving out keys must save beyond what else is exact, in tokens: the reader has to look them up.
const KEYS: usize = 8;

/// The blocks of one request, under its treatment.
pub(crate) struct Blocks<'a> {
    engine: &'a Inner,
    body: &'a str,
    conversation: &'a Conversation,
    candidates: &'a [Arc<Candidate>],
    policy: &'a Policy,
    model: &'a Model,
    may_hide: bool,
    /// Of each block: everything that decides what becomes of it.
    keys: Arc<[Key]>,
    /// What became of the first ones.
    done: Vec<Arc<Outcome>>,
    /// What those show, where it was needed.
    index: Option<Index>,
}

impl<'a> Blocks<'a> {
    pub(crate) fn new(
        engine: &'a Inner,
        body: &'a str,
        conversation: &'a Conversation,
        candidates: &'a Candidates,
        treatment: Treatment,
        policy: &'a Policy,
        model: &'a Model,
    ) -> Self {
        let may_hide = treatment.retrievable().is_some();
        let request = key::of_request(engine, policy, model, may_hide);
        let keys = candidates.keys(request, may_hide, policy.refers());
        let candidates = candidates.all();
        let done = Vec::with_capacity(candidates.len());
        Self { engine, body, conversation, candidates, policy, model, may_hide, keys, done, index: None }
    }

    /// Bytes of the blocks that would have to be reduced: they are looked at, and the memo does not
    /// know them. What stands before one that it knows was met with it.
    pub(crate) fn new_bytes(&self) -> usize {
        let looked_at = self.candidates.iter().zip(&*self.keys).rev();
        let looked_at = looked_at.filter(|(candidate, _)| self.exempt(candidate).is_none());
        let unseen = looked_at.take_while(|(_, key)| !self.engine.memo.contains(key));
        unseen.map(|(candidate, _)| candidate.text.range.len()).sum()
    }

    /// What becomes of each block, in order.
    pub(crate) fn outcomes(mut self) -> Vec<Arc<Outcome>> {
        let keys = Arc::clone(&self.keys);
        for (candidate, key) in self.candidates.iter().zip(&*keys) {
            let outcome = self.outcome(candidate, key);
            self.done.push(outcome);
        }
        if let Some(index) = self.index {
            self.engine.indexes.put(index);
        }
        self.done
    }

    fn outcome(&mut self, candidate: &Candidate, key: &Key) -> Arc<Outcome> {
        if let Some(reason) = self.exempt(candidate) {
            return Arc::new(Outcome::kept(None, reason));
        }
        if let Some(known) = self.engine.memo.get(key) {
            return known;
        }
        let work = AssertUnwindSafe(|| self.reduce(candidate));
        let outcome = Arc::new(catch_unwind(work).unwrap_or_else(|_| Outcome::kept(None, Reason::Panicked)));
        self.engine.memo.insert(*key, Arc::clone(&outcome));
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

    /// What the blocks so far show, and the calls before the next one: as the last request left it,
    /// and what came since.
    fn index(&mut self) -> &Index {
        let so_far = &self.keys[..self.done.len()];
        let index = self.index.take().or_else(|| self.engine.indexes.take(so_far));
        let mut index = index.unwrap_or_default();
        let calls = self.conversation.messages.iter().flat_map(|message| &message.blocks);
        let calls = calls.filter_map(|block| match &block.kind {
            BlockKind::Call { name, arguments, .. } => Some((name, arguments)),
            _ => None,
        });
        let mut calls = calls.skip(index.calls());
        let mut push_calls = |index: &mut Index, upto: usize| {
            for (name, arguments) in calls.by_ref().take(upto.saturating_sub(index.calls())) {
                let name = name.as_ref().and_then(|name| name.decode(self.body)).unwrap_or_default();
                index.push_call(eligible::written(self.body, index.calls() + 1, &name, arguments));
            }
        };
        let done = self.candidates.iter().zip(so_far).zip(&self.done);
        for ((candidate, key), outcome) in done.skip(index.seen()) {
            push_calls(&mut index, candidate.calls);
            let text = candidate.text.decode(self.body).filter(|_| outcome.reason != Reason::Small);
            let earlier = text.map(|text| {
                let words = candidate.said(self.body, self.conversation).words(&candidate.tool);
                Earlier::new(candidate.place, &words, &text)
            });
            index.push_result(*key, candidate.digest, earlier, &outcome.shown);
        }
        if let Some(next) = self.candidates.get(self.done.len()) {
            push_calls(&mut index, next.calls);
        }
        self.index.insert(index)
    }

    /// The block, for the first time: exactly, and with elision where that hides enough.
    fn reduce(&mut self, candidate: &Candidate) -> Outcome {
        let Some(source) = candidate.text.decode(self.body) else {
            return Outcome::kept(None, Reason::NotText);
        };
        let (engine, policy) = (self.engine, self.policy);
        let counter = &*engine.counter;
        let most = |found: &repeat::Found| found.bytes() * 2 >= source.len();
        let (found, like) = match policy.refers().then(|| self.index()) {
            Some(index) => {
                let found = repeat::find(&source, &candidate.digest, index, counter);
                let other = !found.as_ref().is_some_and(most);
                (found, other.then(|| repeat::like(&source, index)).flatten())
            }
            None => (None, None),
        };
        let said = candidate.said(self.body, self.conversation);
        let hints = said.hints();
        // What is mostly repeated is nothing else.
        let repeated = found.as_ref().is_some_and(most);
        let routed = (!repeated).then(|| engine.router.route(&source, hints));
        let kind = routed.as_ref().and_then(Routed::kind);
        if kind.is_none() && found.is_none() && like.is_none() {
            return Outcome::kept(None, Reason::NoSpecialist);
        }
        let chance = policy.chance_of(&candidate.tool, kind.unwrap_or(REPEAT));
        let stakes = Stakes::new(policy, self.model, candidate.prefix, chance);
        let query =
            candidate.causal_query(self.body, self.conversation).scored_by(Arc::clone(&engine.scorer));
        let context = Context {
            query: &query,
            tool: &candidate.tool,
            hints,
            is_error: candidate.is_error,
            counter,
            stakes,
        };
        let tokens_in = counter.count(&source);
        let mut trial = Trial {
            gate: Gate { counter, key: &engine.key },
            witness: engine.witness.as_deref(),
            source: &source,
            tokens_in,
            refused: Reason::NothingToGain,
        };
        let gate = trial.gate;
        let least = stakes.worth();

        let exact = routed.as_ref().and_then(|routed| routed.exact(&context, &gate));
        let exact = exact.and_then(|(kind, reduction)| trial.take(kind, &reduction, false));
        // The parts between references, in order.
        let mut rests: Vec<Routed<'_>> = Vec::new();
        let referring = found.as_ref().and_then(|found| {
            let mut special = false;
            let reduction = found.reduction(&source, |part| {
                rests.push(engine.router.route(part, hints));
                let (_, reduction) = rests.last()?.exact(&context, &gate)?;
                special = true;
                Some(reduction)
            });
            trial.take(REPEAT, &reduction, false).or_else(|| {
                // References alone, where a part's specialist is refused.
                special.then(|| trial.take(REPEAT, &found.reduction(&source, |_| None), false))?
            })
        });
        let like = like.and_then(|like| trial.take(SHAPE, &like, false));
        let exact = fewer(fewer(referring, exact, 0), like, KEYS);
        let tokens_exact = exact.as_ref().map_or(tokens_in, |taken| taken.accepted.tokens_out);

        let may_elide = self.may_elide(candidate, tokens_in) && tokens_exact > least;
        let elided = routed.as_ref().filter(|_| may_elide).and_then(|routed| {
            let (kind, reduction) = routed.elide(&context, &gate, least)?;
            // What hides nothing is the exact stage again.
            (exact.is_none() || reduction.hides()).then(|| trial.take(kind, &reduction, true))?
        });
        let referring = found.as_ref().filter(|_| may_elide).and_then(|found| {
            let mut hides = false;
            let mut rests = rests.iter();
            let reduction = found.reduction(&source, |_| {
                let routed = rests.next()?;
                let elided = routed.elide(&context, &gate, least);
                hides |= elided.is_some();
                elided.or_else(|| routed.exact(&context, &gate)).map(|(_, reduction)| reduction)
            });
            hides.then(|| trial.take(REPEAT, &reduction, true))?
        });
        let elided = fewer(referring, elided, least)
            .filter(|taken| taken.accepted.tokens_out.saturating_add(least) <= tokens_exact);
        let parts =
            routed.as_ref().map_or(1, |routed| u32::try_from(routed.parts().len()).unwrap_or(u32::MAX));

        let Some(Taken { kind, accepted, shown }) = elided.or(exact) else {
            let kept = Outcome::kept(kind.or(found.map(|_| REPEAT)), trial.refused);
            return Outcome { parts, tokens_in, tokens_out: tokens_in, ..kept };
        };
        let hides = !accepted.rendered.hidden.is_empty();
        let mut literal = String::new();
        quote(&accepted.rendered.text, &mut literal);
        Outcome {
            kind: Some(kind),
            parts,
            reason: if hides { Reason::Elided } else { Reason::Exact },
            literal: Text::known(literal),
            tokens_in,
            tokens_out: accepted.tokens_out,
            tokens_exact,
            hidden: accepted.rendered.hidden.into(),
            shown,
        }
    }

    fn may_elide(&self, candidate: &Candidate, tokens_in: usize) -> bool {
        self.may_hide
            && self.policy.for_tool(&candidate.tool) == ToolPolicy::Retrievable
            && !(candidate.is_error && tokens_in <= self.policy.error_limit())
    }
}

/// What the gate took.
struct Taken {
    kind: &'static str,
    accepted: Accepted,
    shown: Shown,
}

/// The first, unless the other saves more by more than `margin` tokens.
fn fewer(first: Option<Taken>, other: Option<Taken>, margin: usize) -> Option<Taken> {
    match (first, other) {
        (Some(first), Some(other))
            if other.accepted.tokens_out.saturating_add(margin) < first.accepted.tokens_out =>
        {
            Some(other)
        }
        (first, other) => first.or(other),
    }
}

/// What stays as it is, as far as its codec does not write it otherwise.
fn shown(source: &str, reduction: &Reduction, whole: bool) -> Shown {
    let mut ranges: Vec<Range<u32>> = Vec::new();
    let mut written = String::new();
    for segment in &reduction.segments {
        for op in &segment.ops {
            let Op::Keep(range) = op else { continue };
            let kept = &source[range.clone()];
            written.clear();
            segment.codec.escape(kept, &mut written);
            let (Ok(start), Ok(end)) = (u32::try_from(range.start), u32::try_from(range.end)) else { break };
            match ranges.last_mut() {
                _ if written != kept => {}
                Some(last) if last.end == start => last.end = end,
                _ => ranges.push(start..end),
            }
        }
    }
    Shown::Parts { ranges: ranges.into(), whole }
}

/// Reductions of one source before the gate.
struct Trial<'a> {
    gate: Gate<'a>,
    witness: Option<&'a dyn Witness>,
    source: &'a str,
    tokens_in: usize,
    /// Why the last one was refused.
    refused: Reason,
}

impl Trial<'_> {
    fn take(&mut self, kind: &'static str, reduction: &Reduction, may_hide: bool) -> Option<Taken> {
        match self.gate.pass(self.source, Some(self.tokens_in), kind, reduction) {
            Ok(accepted) if may_hide || accepted.rendered.hidden.is_empty() => {
                if let Some(witness) = self.witness {
                    witness.taken(self.source, kind, reduction);
                }
                let whole = accepted.rendered.hidden.is_empty() && ![REPEAT, SHAPE].contains(&kind);
                let shown = shown(self.source, reduction, whole);
                return Some(Taken { kind, accepted, shown });
            }
            Err(Refusal::NotSmaller) => self.refused = Reason::NotSmaller,
            Ok(_) | Err(Refusal::Untiled | Refusal::Undecodable) => self.refused = Reason::Undecodable,
        }
        None
    }
}
