//! An exchange whose answers are JSON documents.

use bytes::Bytes;

use super::{
    Parts, RetrievalReport, Step, anthropic,
    exchange::{Ending, Exchange, Next, Texts},
    openai_chat,
    raw::Raw,
    round::{Block, Round},
};
use crate::{ccr::Handle, wire::Dialect};

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
            self.whole = Some(body);
            return Step::Done;
        };
        if self.first.is_none() {
            if round.ours().next().is_none() {
                let _ = self.exchange.take(round);
                self.whole = Some(body);
                return Step::Done;
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
        if let Some(whole) = self.whole {
            return whole;
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
        match self.exchange.dialect() {
            Dialect::AnthropicMessages => anthropic::merge(first, last, &blocks, &ending),
            Dialect::OpenAiChat => openai_chat::merge(first, last, &blocks, &ending, self.exchange.texts()),
        }
        .into()
    }

    /// What the retrievals came to.
    #[must_use]
    pub fn report(&self) -> &RetrievalReport {
        self.exchange.report()
    }

    fn read(&self, body: &[u8]) -> Option<Round> {
        let object = Raw::parse(std::str::from_utf8(body).ok()?)?.object()?;
        match self.exchange.dialect() {
            Dialect::AnthropicMessages => anthropic::round(&object, self.exchange.tool()),
            Dialect::OpenAiChat => openai_chat::round(&object, self.exchange.tool()),
        }
    }

    fn step(&mut self, next: Next) -> Step {
        match next {
            Next::Redeem(handles) => Step::Redeem(handles),
            Next::Send(body) => Step::Send(body),
            Next::Finish(ending) => {
                self.ending = Some(ending);
                self.exchange.record().map_or(Step::Done, |record| Step::Remember(vec![record]))
            }
        }
    }
}

impl std::fmt::Debug for JsonExchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JsonExchange").field("report", self.report()).finish_non_exhaustive()
    }
}
