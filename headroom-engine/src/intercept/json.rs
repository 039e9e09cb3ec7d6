//! An exchange whose answers are JSON documents.

use bytes::Bytes;

use super::{
    Parts, Ranked, RetrievalReport, Step,
    exchange::{Ending, Exchange, Next, Texts},
    format::Answers,
    raw::Object,
    round::{Block, Round},
    stored::Alias,
};
use crate::{ccr::Handle, ledger::Record};

/// What reading an answer back must show, where the provider has it in several.
const SHOWN: [&str; 3] = ["output", "created_at", "usage"];

/// Those members of an answer.
pub(super) fn shown(answer: &str) -> Vec<(String, String)> {
    let answer = Object::parse(answer);
    let value = |name: &str| Some((name.to_owned(), answer.as_ref()?.get(name)?.text().to_owned()));
    SHOWN.into_iter().filter_map(value).collect()
}

fn id(body: &[u8]) -> Option<String> {
    Object::parse(std::str::from_utf8(body).ok()?)?.string("id")
}

/// Answers the retrievals of a request whose answer is one JSON document.
///
/// Feed it each answer until it says [`Step::Done`], then take the body for the client.
pub struct JsonExchange {
    exchange: Exchange,
    /// The answer to the client's own request.
    first: Option<Bytes>,
    last: Option<Bytes>,
    /// What the client is to see, and whether a call of ours stands before it.
    blocks: Vec<(bool, Block)>,
    ending: Option<Ending>,
    /// No record could be kept, so that nothing may be bound to one.
    forget: bool,
    /// A body that passes as it came.
    whole: Option<Bytes>,
}

impl JsonExchange {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            exchange: Exchange::new(parts, false),
            first: None,
            last: None,
            blocks: Vec::new(),
            ending: None,
            forget: false,
            whole: None,
        }
    }

    /// Takes a complete 2xx body of the current round.
    pub fn response(&mut self, body: Bytes) -> Step {
        let Some(round) = self.read(&body) else {
            // Not an answer we know: an error in a 2xx, or no JSON at all.
            return self.pass(body);
        };
        self.exchange.is_called(id(&body));
        if self.first.is_none() {
            if round.ours().next().is_none() {
                let _ = self.exchange.take(round);
                let step = self.pass(body);
                return self.stored(Vec::new()).map_or(step, |record| Step::Remember(vec![record]));
            }
            self.first = Some(body.clone());
        }
        if self.exchange.texts() == Texts::Last {
            self.blocks.retain(|(_, block)| !matches!(block.kind, super::round::Kind::Text(_)));
        }
        let mut behind = self.exchange.round() > 0;
        for block in &round.blocks {
            behind |= block.is_ours();
            if !block.is_ours() {
                self.blocks.push((behind, block.clone()));
            }
        }
        self.last = Some(body);
        let next = self.exchange.take(round);
        self.step(next)
    }

    /// Takes what the store had of the handles asked for.
    pub fn redeemed(&mut self, found: Vec<(Handle, String)>) -> Step {
        match self.exchange.redeemed(found) {
            Some(next) => self.step(next),
            None => Step::Done,
        }
    }

    /// Takes what a [`Ranking`](super::Ranking) came to; `None` if it could not be run.
    pub fn ranked(&mut self, ranked: Option<Ranked>) -> Step {
        match self.exchange.ranked(ranked) {
            Some(next) => self.step(next),
            None => Step::Done,
        }
    }

    /// Takes whether the ledger has the records.
    pub fn remembered(&mut self, acknowledged: bool) -> Step {
        self.forget = !acknowledged && self.exchange.is_durable();
        Step::Done
    }

    /// A follow-up could not be had; the caller passes on that answer or error itself.
    pub fn failed(&mut self) {
        self.ending = None;
    }

    /// The body for the client: pointer-identical to the answer if no call of ours was in it.
    #[must_use]
    pub fn into_body(self) -> Bytes {
        let body = self.body();
        match self.exchange.alias() {
            Some(alias) => alias.undo(body),
            None => body,
        }
    }

    fn body(&self) -> Bytes {
        if let Some(whole) = &self.whole {
            return whole.clone();
        }
        let (Some(first), Some(last)) = (&self.first, &self.last) else {
            return Bytes::new();
        };
        let (Ok(first), Ok(last)) = (std::str::from_utf8(first), std::str::from_utf8(last)) else {
            return Bytes::new();
        };
        let forgets = self.forget || self.exchange.forgets();
        let seen = |(behind, block): &&(bool, Block)| !(forgets && *behind && block.is_thinking());
        let blocks: Vec<&Block> = self.blocks.iter().filter(seen).map(|(_, block)| block).collect();
        let ending = self.ending.unwrap_or(Ending {
            filler: !blocks.iter().any(|block| block.is_visible()),
            calls_client: false,
            output: None,
        });
        let texts = self.exchange.texts();
        let tool = self.exchange.tool();
        let answers = Answers { first, last, blocks: &blocks, ending: &ending, texts, tool };
        let body = Bytes::from(self.exchange.format().merge(&answers));
        // The client has heard of no id yet, so it gets the one that can be gone on with.
        match self.exchange.ids().filter(|_| self.exchange.keeps()) {
            Some(Alias { client, upstream }) => Alias { client: upstream, upstream: client }.undo(body),
            None => body,
        }
    }

    fn stored(&self, shown: Vec<(String, String)>) -> Option<Record> {
        self.exchange.stored(&self.exchange.ids()?.upstream, shown)
    }

    /// What the retrievals came to.
    #[must_use]
    pub fn report(&self) -> &RetrievalReport {
        self.exchange.report()
    }

    fn read(&self, body: &[u8]) -> Option<Round> {
        let answer = Object::parse(std::str::from_utf8(body).ok()?)?;
        self.exchange.format().round(&answer, self.exchange.tool())
    }

    /// An answer that passes, but for what it repeats of our request.
    fn pass(&mut self, body: Bytes) -> Step {
        let text = std::str::from_utf8(&body).ok();
        let scrubbed = text.and_then(|text| self.exchange.format().scrub(text, self.exchange.tool()));
        self.whole = Some(scrubbed.map_or(body, Bytes::from));
        Step::Done
    }

    fn step(&mut self, next: Next) -> Step {
        match next {
            Next::Redeem(handles) => Step::Redeem(handles),
            Next::Rank(ranking) => Step::Rank(ranking),
            Next::Send(body) => Step::Send(body),
            Next::Finish(ending) => {
                self.ending = Some(ending);
                let mut records: Vec<Record> = self.exchange.record().into_iter().collect();
                if self.exchange.keeps() {
                    let body = self.body();
                    records.extend(self.stored(std::str::from_utf8(&body).map(shown).unwrap_or_default()));
                    self.whole = Some(body);
                }
                if records.is_empty() { Step::Done } else { Step::Remember(records) }
            }
        }
    }
}

impl std::fmt::Debug for JsonExchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JsonExchange").field("report", self.report()).finish_non_exhaustive()
    }
}
