//! What is noted of an answer that the provider stores, so that it can be read back and gone on with.

use super::Exchange;
use crate::{
    ccr::answer::limit_reached,
    intercept::{
        round::{Answer, Block, Call, Round},
        stored::{Alias, Called, Stored, Thread},
    },
    ledger::Record,
};

/// What a record of a stored answer is made of.
#[derive(Default)]
pub(super) struct Kept {
    rounds: Vec<String>,
    /// Our calls of all rounds.
    hidden: Vec<String>,
    /// What answers those of the last one.
    pub(super) results: Vec<String>,
    calls: Vec<Called>,
}

impl Exchange {
    /// What the provider keeps of this answer can be read back and gone on with.
    pub(in crate::intercept) fn keeps(&self) -> bool {
        self.parts.thread.as_ref().is_some_and(|thread| thread.kept)
    }

    /// The alias under which the client knows the answer before this one.
    pub(in crate::intercept) fn alias(&self) -> Option<&Alias> {
        self.parts.thread.as_ref().and_then(|thread| thread.previous.as_ref())
    }

    /// The ids of the first and the current round at the provider.
    pub(in crate::intercept) fn ids(&self) -> Option<Alias> {
        let (first, last) = (self.kept.rounds.first()?, self.kept.rounds.last()?);
        Some(Alias { client: first.clone(), upstream: last.clone() })
    }

    /// The provider calls the current round's answer `id`.
    pub(in crate::intercept) fn is_called(&mut self, id: Option<String>) {
        self.kept.rounds.extend(id.filter(|_| self.parts.thread.is_some()));
    }

    /// What is to be known of the answer that the client calls `client`, and of which it has been
    /// `shown` these members; `None` where the provider stores none.
    pub(in crate::intercept) fn stored(&self, client: &str, shown: Vec<(String, String)>) -> Option<Record> {
        let Thread { key, previous, asked, hidden, .. } =
            self.parts.thread.as_ref().filter(|thread| thread.kept && !client.is_empty())?;
        let Kept { rounds, hidden: more, results, calls } = &self.kept;
        let stored = Stored {
            tool: self.parts.tool.clone(),
            client: client.to_owned(),
            rounds: rounds.clone(),
            previous: previous.as_ref().map(|alias| alias.client.clone()).unwrap_or_default(),
            asked: asked.clone(),
            pending: results.clone(),
            hidden: [hidden.as_slice(), more].concat(),
            calls: calls.clone(),
            shown,
        };
        Some(stored.record(key))
    }

    /// Takes note of the calls of a round that the provider stores.
    pub(super) fn keep(&mut self, round: &Round) {
        self.kept.hidden.extend(round.ours().map(|call| call.id.clone()));
        let calls = round.blocks.iter().filter_map(Block::call).filter(|call| !call.ours);
        self.kept.calls = calls.map(|call| Called::new(&call.id, &call.name, &call.arguments)).collect();
        // Whatever becomes of it: no answer can be gone on with before its calls are answered.
        let unanswered = |call: &Call| Answer {
            id: call.id.clone(),
            text: limit_reached().to_owned(),
            is_error: true,
            picture: None,
        };
        let unanswered: Vec<Answer> = round.ours().map(unanswered).collect();
        self.kept.results = self.format.results(&unanswered, &self.parts.tool);
    }
}
