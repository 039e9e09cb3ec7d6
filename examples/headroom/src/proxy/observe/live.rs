//! Requests under way, without their content.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use headroom_tower::Report;
use serde::Serialize;

use crate::proxy::wire::Wire;

/// The oldest so many are told of.
const TOLD: usize = 50;

/// What is known of a request whose answer has not ended.
#[derive(Clone, Debug)]
struct Open {
    wire: Wire,
    came: Instant,
    answering: bool,
    model: Option<String>,
    saved: usize,
}

/// One request, as `/stats` lists it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Seen {
    id: u64,
    dialect: &'static str,
    /// Known once the upstream has answered.
    model: Option<String>,
    /// `asking` or `answering`.
    state: &'static str,
    age_ms: f64,
    /// Tokens of its blocks.
    saved: usize,
}

/// By number, from 1.
#[derive(Debug, Default)]
pub(super) struct Live(Mutex<(u64, BTreeMap<u64, Open>)>);

impl Live {
    fn with<T>(&self, work: impl FnOnce(&mut (u64, BTreeMap<u64, Open>)) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The number of a request that begins.
    pub(super) fn begin(&self, wire: Wire, came: Instant) -> u64 {
        self.with(|(count, open)| {
            *count += 1;
            open.insert(*count, Open { wire, came, answering: false, model: None, saved: 0 });
            *count
        })
    }

    /// The answer's head is here.
    pub(super) fn answers(&self, id: u64, report: Option<&Report>) {
        let rewrite = report.and_then(Report::rewrite);
        self.with(|(_, open)| {
            if let Some(one) = open.get_mut(&id) {
                one.answering = true;
                one.model = rewrite.map(|it| it.model.stem.to_string()).filter(|name| !name.is_empty());
                one.saved = rewrite.map_or(0, |it| it.tokens_saved());
            }
        });
    }

    pub(super) fn end(&self, id: u64) {
        self.with(|(_, open)| open.remove(&id));
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.with(|(_, open)| open.len())
    }

    /// The oldest first.
    pub(super) fn all(&self) -> Vec<Seen> {
        let seen = |(id, one): (&u64, &Open)| Seen {
            id: *id,
            dialect: one.wire.name(),
            model: one.model.clone(),
            state: if one.answering { "answering" } else { "asking" },
            age_ms: super::ms(one.came.elapsed()),
            saved: one.saved,
        };
        self.with(|(_, open)| open.iter().take(TOLD).map(seen).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_told_of_until_it_ends() {
        let live = Live::default();
        let one = live.begin(Wire::OpenAi, Instant::now());
        let two = live.begin(Wire::OpenAi, Instant::now());
        live.answers(two, None);
        assert_eq!(
            live.all().iter().map(|it| (it.id, it.state)).collect::<Vec<_>>(),
            [(one, "asking"), (two, "answering")]
        );
        live.end(one);
        live.end(one);
        live.answers(one, None);
        assert_eq!((live.count(), live.all()[0].id), (1, two));
    }
}
