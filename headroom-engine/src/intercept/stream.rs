//! An exchange whose answers are streams of events.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{
    Parts, Ranked, RetrievalReport, Step,
    elements::Frames,
    exchange::{Ending, Exchange, Next, Texts},
    format,
    frame::{EVENT_CAP, Event, Frame},
    json::shown,
    raw::Object,
    round::{Block, Round, Usage},
    stored::Alias,
};
use crate::{ccr::Handle, cost, ledger::Record};

/// How far the current round's stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Open,
    /// Its last event has been seen.
    Complete,
    /// It has ended in an error event.
    Failed,
}

/// One dialect's way to take our calls out of a stream and to put several streams into one.
///
/// Until a call of ours has been seen, every event passes as it came.
pub(super) trait Splicer: Send {
    fn event(&mut self, event: Event, out: &mut VecDeque<Bytes>);
    /// A piece of an event that is too long to be read.
    fn piece(&mut self, bytes: Bytes, first: bool, out: &mut VecDeque<Bytes>);
    /// The stream has ended.
    fn close(&mut self, out: &mut VecDeque<Bytes>);
    fn state(&self) -> State;
    /// A call of ours has been seen, in this round or an earlier one.
    fn is_touched(&self) -> bool;
    /// The current round, which is complete; it is told once.
    fn round(&mut self) -> Round;
    /// The blocks of the current round as far as they have come, where later ones may hold thinking that
    /// is bound to what came before it.
    fn begun(&self) -> Vec<Block> {
        Vec::new()
    }
    /// What was counted in the current round so far.
    fn counted(&self) -> Usage {
        Usage::default()
    }
    /// What a round without a call of ours was counted at; nothing of it is needed any more. `None` if
    /// only the round says.
    fn passed(&mut self) -> Option<Usage> {
        None
    }
    /// The round is not the last.
    fn next_round(&mut self, texts: Texts, out: &mut VecDeque<Bytes>);
    /// The terminal events.
    fn release(&mut self, ending: &Ending, out: &mut VecDeque<Bytes>);
    /// The terminal events are held back until they are released, also where nothing of ours was seen.
    fn hold(&mut self) {}
    /// The current round's id at the provider.
    fn id(&self) -> Option<String> {
        None
    }
    /// The items that the client has, as JSON.
    fn items(&self) -> Option<String> {
        None
    }
    /// The whole answer as the terminal events have told it, as JSON; `None` if nothing was changed.
    fn merged(&self) -> Option<&str> {
        None
    }
    /// The event that ends a stream which cannot go on.
    fn error(&mut self, message: &str) -> Bytes;
    /// The same, made of the provider's answer to a request that it refused.
    fn refusal(&mut self, answer: &Object<'_>) -> Bytes {
        let message = answer.object("error").and_then(|error| error.string("message"));
        self.error(&message.unwrap_or_default())
    }
}

/// Answers the retrievals of a request whose answer is a stream of events.
///
/// Every event passes as soon as it is whole and as it came; only our own call and the terminal
/// events behind one are held. Text in front of a call is therefore with the client before the call
/// is seen, also where the request asks for one JSON document.
pub struct StreamExchange {
    exchange: Exchange,
    frames: Frames,
    splicer: Box<dyn Splicer>,
    ending: Option<Ending>,
    /// The terminal events, held until the ledger has what they tell.
    held: VecDeque<Bytes>,
    /// The next round's request, likewise.
    sending: Option<Bytes>,
}

impl StreamExchange {
    pub(super) fn new(parts: Parts) -> Self {
        Self::with_cap(parts, EVENT_CAP)
    }

    pub(super) fn with_cap(parts: Parts, cap: usize) -> Self {
        let tool = parts.tool.clone();
        let forgets = parts.recall == super::Recall::Forget;
        let format = format::of(parts.dialect);
        let (mut splicer, frames) = (format.splicer(tool, forgets), Frames::new(cap, format.framings()));
        let exchange = Exchange::new(parts, true);
        if exchange.keeps() {
            splicer.hold();
        }
        Self { exchange, frames, splicer, ending: None, held: VecDeque::new(), sending: None }
    }

    /// Takes bytes of the current round's stream. `out` gets what the client gets now.
    #[expect(clippy::needless_pass_by_value, reason = "the driver gives its frame away")]
    pub fn push(&mut self, chunk: Bytes, out: &mut VecDeque<Bytes>) {
        let from = out.len();
        self.frames.push(&chunk);
        while let Some(frame) = self.frames.next() {
            self.frame(frame, out);
        }
        self.rename(from, out);
    }

    /// The client's id of the answer before this one, in all that goes to it.
    fn rename(&self, from: usize, out: &mut VecDeque<Bytes>) {
        let Some(alias) = self.exchange.alias() else { return };
        for bytes in out.iter_mut().skip(from) {
            *bytes = alias.undo(std::mem::take(bytes));
        }
    }

    /// Takes the end of the current round's stream.
    pub fn end(&mut self, out: &mut VecDeque<Bytes>) -> Step {
        let mut last = VecDeque::new();
        while let Some(frame) = self.frames.finish() {
            self.frame(frame, &mut last);
        }
        self.frames = self.frames.again();
        self.splicer.close(&mut last);
        if self.splicer.state() == State::Open && self.exchange.round() > 0 {
            // A follow-up without its end is one that failed; an event without its end is none.
            self.failed(out);
            return Step::Done;
        }
        self.rename(0, &mut last);
        out.append(&mut last);
        if self.splicer.state() != State::Complete {
            // Cut short or failed: what has come is all there is, and no call in it is meant.
            return Step::Done;
        }
        if !self.splicer.is_touched()
            && !self.exchange.keeps()
            && let Some(usage) = self.splicer.passed()
        {
            self.exchange.count(usage);
            return Step::Done;
        }
        let round = self.splicer.round();
        self.exchange.is_called(self.splicer.id());
        let next = self.exchange.take(round);
        self.step(next, out)
    }

    /// Takes what the store had of the handles asked for.
    pub fn redeemed(&mut self, found: Vec<(Handle, String)>, out: &mut VecDeque<Bytes>) -> Step {
        match self.exchange.redeemed(found) {
            Some(next) => self.step(next, out),
            None => Step::Done,
        }
    }

    /// Takes what a [`Ranking`](super::Ranking) came to; `None` if it could not be run.
    pub fn ranked(&mut self, ranked: Option<Ranked>, out: &mut VecDeque<Bytes>) -> Step {
        match self.exchange.ranked(ranked) {
            Some(next) => self.step(next, out),
            None => Step::Done,
        }
    }

    /// Takes whether the ledger has the records.
    pub fn remembered(&mut self, acknowledged: bool, out: &mut VecDeque<Bytes>) -> Step {
        if let Some(body) = self.sending.take() {
            // Whether or not it is known: the call is made, and only an answer helps.
            return self.send(body, out);
        }
        if !self.held.is_empty() {
            let id = self.exchange.ids().filter(|_| !acknowledged);
            for bytes in std::mem::take(&mut self.held) {
                // An alias that nobody knows leads nowhere, so the client is told the last round's id.
                out.push_back(match &id {
                    Some(Alias { client, upstream }) => {
                        Alias { client: upstream.clone(), upstream: client.clone() }.undo(bytes)
                    }
                    None => bytes,
                });
            }
            self.ending = None;
            return Step::Done;
        }
        if let Some(ending) = self.ending.take() {
            if acknowledged || !self.exchange.is_durable() {
                self.splicer.release(&ending, out);
            } else {
                // What was streamed is bound to an exchange that nobody could restore.
                out.push_back(self.splicer.error("the answer could not be recorded"));
            }
        }
        Step::Done
    }

    /// A follow-up failed after bytes were sent: the dialect's error event ends the stream.
    pub fn failed(&mut self, out: &mut VecDeque<Bytes>) {
        self.ending = None;
        out.push_back(self.splicer.error("a follow-up request failed"));
    }

    /// A follow-up was refused with this answer after bytes were sent: what it says ends the stream,
    /// as it would have if there had been one request.
    pub fn refused(&mut self, answer: &[u8], out: &mut VecDeque<Bytes>) {
        let text = std::str::from_utf8(answer).ok().filter(|_| is_foreign(answer, self.exchange.tool()));
        let answer = text.and_then(Object::parse).filter(|answer| answer.object("error").is_some());
        let Some(answer) = answer else { return self.failed(out) };
        self.ending = None;
        let refusal = self.splicer.refusal(&answer);
        out.push_back(match self.exchange.alias() {
            Some(alias) => alias.undo(refusal),
            None => refusal,
        });
    }

    /// The round's last event has been seen: the end need not be awaited.
    #[must_use]
    pub fn round_complete(&self) -> bool {
        self.splicer.state() != State::Open
    }

    /// What the provider counted in the current round so far, where that comes in frames; `None` of other
    /// streams, whose bytes a [`Meter`](crate::cost::Meter) reads.
    #[must_use]
    pub fn counted(&self) -> Option<cost::Usage> {
        let Usage { input, output, cache_read, cache_write } = self.splicer.counted();
        let counted = cost::Usage { input, cache_read, cache_write, output };
        (self.is_framed() && counted != cost::Usage::default()).then_some(counted)
    }

    /// What the ledger is to keep of an exchange whose client leaves now, before the answer's end: the
    /// turn as it may come back, if it is bound to what is hidden.
    #[must_use]
    pub fn abandoned(&self) -> Vec<Record> {
        match self.ending {
            // It was not yet known that the ledger has it.
            Some(_) => self.exchange.record().into_iter().collect(),
            None if self.splicer.state() == State::Complete => Vec::new(),
            None => self.exchange.abandoned(self.splicer.begun()),
        }
    }

    /// What may be sent while the client waits.
    #[must_use]
    pub fn keep_alive(&self) -> Bytes {
        match self.is_framed() {
            true => self.exchange.format().keep_alive_frame(),
            false => Bytes::from_static(self.exchange.format().keep_alive()),
        }
    }

    /// The stream comes in frames that tell their own length, so that something can be sent behind
    /// any of them.
    #[must_use]
    pub fn is_framed(&self) -> bool {
        self.frames.is_framed()
    }

    /// What the retrievals came to.
    #[must_use]
    pub fn report(&self) -> &RetrievalReport {
        self.exchange.report()
    }

    fn send(&mut self, body: Bytes, out: &mut VecDeque<Bytes>) -> Step {
        self.splicer.next_round(self.exchange.texts(), out);
        Step::Send(body)
    }

    /// What is known of an answer that has begun: if nothing follows, it can be gone on with.
    fn interim(&self) -> Option<Record> {
        let items = self.splicer.items()?;
        self.exchange.stored(&self.exchange.ids()?.client, vec![("output".to_owned(), items)])
    }

    /// Holds the end of an answer that the provider stores.
    fn keep(&mut self, ending: &Ending, out: &mut VecDeque<Bytes>) -> Step {
        let mut held = VecDeque::new();
        self.splicer.release(ending, &mut held);
        self.rename(0, &mut held);
        self.held = held;
        let mut records: Vec<Record> = self.exchange.record().into_iter().collect();
        let shown = self.splicer.merged().map(shown).unwrap_or_default();
        let id = self.exchange.ids().map(|ids| ids.client);
        records.extend(id.and_then(|id| self.exchange.stored(&id, shown)));
        if records.is_empty() {
            out.append(&mut self.held);
            return Step::Done;
        }
        Step::Remember(records)
    }

    fn frame(&mut self, frame: Frame, out: &mut VecDeque<Bytes>) {
        match frame {
            Frame::Event(event) => self.splicer.event(event, out),
            Frame::Piece { bytes, first } => self.splicer.piece(bytes, first, out),
        }
    }

    fn step(&mut self, next: Next, out: &mut VecDeque<Bytes>) -> Step {
        match next {
            Next::Redeem(handles) => Step::Redeem(handles),
            Next::Rank(ranking) => Step::Rank(ranking),
            Next::Send(body) => match self.interim() {
                Some(record) => {
                    self.sending = Some(body);
                    Step::Remember(vec![record])
                }
                None => self.send(body, out),
            },
            Next::Finish(ending) if self.exchange.keeps() => self.keep(&ending, out),
            Next::Finish(_) if !self.splicer.is_touched() => Step::Done,
            Next::Finish(ending) => match self.exchange.record() {
                Some(record) => {
                    self.ending = Some(ending);
                    Step::Remember(vec![record])
                }
                None => {
                    self.splicer.release(&ending, out);
                    Step::Done
                }
            },
        }
    }
}

impl std::fmt::Debug for StreamExchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamExchange").field("report", self.report()).finish_non_exhaustive()
    }
}

/// Whether bytes that cannot be read may pass: not if the name of a tool of ours stands in them.
pub(super) fn is_foreign(bytes: &[u8], tool: &str) -> bool {
    tool.is_empty() || memchr::memmem::find(bytes, tool.as_bytes()).is_none()
}
