//! Takes our calls out of a ConverseStream and puts the streams of several rounds into one.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{capture::Capture, counts, ended, message, stop, usage};
use crate::{
    eventstream,
    intercept::{
        exchange::{Ending, FILLER, Texts},
        frame::Event,
        raw::{Object, Raw, quoted},
        round::{Block, Round, Stop, Usage},
        stream::{Splicer, State, is_foreign},
    },
};

/// A block of the current round.
struct Slot {
    upstream: u64,
    /// The index the client knows it by; `None` if it is withheld.
    client: Option<u64>,
    capture: Capture,
}

/// The splicer of this dialect.
pub(in crate::intercept) struct Stream {
    tool: String,
    /// Thinking behind a hidden exchange is withheld.
    forgets: bool,
    later: bool,
    touched: bool,
    state: State,
    slots: Vec<Slot>,
    /// The next block's index at the client.
    next: u64,
    stop: Option<Stop>,
    usage: Usage,
    /// Milliseconds that all rounds took.
    latency: u64,
    /// The event that comes in pieces is withheld.
    blind: bool,
    /// An event of this round went by unread.
    unread: bool,
    /// Terminal events.
    end: Option<Event>,
    metadata: Option<Event>,
}

impl Stream {
    pub(in crate::intercept) fn new(tool: String, forgets: bool) -> Self {
        Self {
            tool,
            forgets,
            later: false,
            touched: false,
            state: State::Open,
            slots: Vec::new(),
            next: 0,
            stop: None,
            usage: Usage::default(),
            latency: 0,
            blind: false,
            unread: false,
            end: None,
            metadata: None,
        }
    }

    /// The slot of an event's block; a block of text or reasoning begins with its first delta.
    fn slot(&mut self, data: &Object<'_>, start: Option<Raw<'_>>) -> Option<&mut Slot> {
        let upstream = data.number("contentBlockIndex")?;
        if let Some(at) = self.slots.iter().rposition(|slot| slot.upstream == upstream) {
            return self.slots.get_mut(at);
        }
        let name = start.and_then(Raw::object).and_then(|start| start.object("toolUse")?.string("name"));
        let ours = !self.tool.is_empty() && name.as_deref() == Some(&*self.tool);
        let reasons = data.object("delta").is_some_and(|delta| delta.get("reasoningContent").is_some());
        let bound = (self.later || self.touched) && self.forgets && reasons;
        self.touched |= ours;
        let client = (!ours && !bound).then_some(if self.touched { self.next } else { upstream });
        if let Some(client) = client {
            self.next = client + 1;
        }
        let capture = start.map_or_else(Capture::default, Capture::start);
        self.slots.push(Slot { upstream, client, capture });
        self.slots.last_mut()
    }

    fn within_block(&mut self, event: &Event, data: &Object<'_>, out: &mut VecDeque<Bytes>) {
        let Some(slot) = self.slot(data, data.get("start")) else {
            return out.push_back(event.raw());
        };
        if let Some(delta) = data.object("delta") {
            slot.capture.delta(&delta);
        }
        if let Some(client) = slot.client {
            out.push_back(renumbered(event, data, client));
        }
    }

    /// The last `metadata`, with what all rounds came to.
    fn merged_metadata(&self, event: &Event, ending: &Ending) -> Option<Bytes> {
        let data = Object::parse(event.data()?)?;
        let mut edits: Vec<_> =
            data.object("usage").into_iter().flat_map(|usage| counts(&usage, ending)).collect();
        if let Some(latency) = data.object("metrics").and_then(|metrics| metrics.get("latencyMs"))
            && ending.output.is_some()
        {
            edits.push((latency.span(), self.latency.to_string()));
        }
        Some(event.edited(edits))
    }
}

impl Splicer for Stream {
    fn event(&mut self, event: Event, out: &mut VecDeque<Bytes>) {
        let done = self.state != State::Open;
        if done && self.touched {
            return;
        }
        if event.is_failure() {
            self.state = State::Failed;
            return out.push_back(event.raw());
        }
        let data = event.data().and_then(Object::parse);
        let Some(data) = data.filter(|_| event.is_whole()) else {
            // A piece of an event could be a piece of our call; no reader takes it anyway.
            if event.is_whole() && is_foreign(&event.raw(), &self.tool) {
                out.push_back(event.raw());
            }
            return;
        };
        match event.name() {
            // Not in frames: nothing that could be spliced.
            None if !is_foreign(&event.raw(), &self.tool) => {}
            _ if done => out.push_back(event.raw()),
            Some("messageStart") if self.later => {}
            Some("contentBlockStart" | "contentBlockDelta" | "contentBlockStop") => {
                self.within_block(&event, &data, out);
            }
            Some("messageStop") => {
                self.stop = Some(stop(&data.string("stopReason").unwrap_or_default()));
                if self.touched {
                    self.end = Some(event.clone());
                } else {
                    out.push_back(event.raw());
                }
            }
            Some("metadata") => {
                self.usage = data.object("usage").map(|counts| usage(&counts)).unwrap_or_default();
                let metrics = data.object("metrics");
                self.latency += metrics.and_then(|metrics| metrics.number("latencyMs")).unwrap_or_default();
                if self.stop.is_some() {
                    self.state = State::Complete;
                }
                if self.touched {
                    self.metadata = Some(event.clone());
                } else {
                    out.push_back(event.raw());
                }
            }
            _ => out.push_back(event.raw()),
        }
    }

    fn piece(&mut self, bytes: Bytes, first: bool, out: &mut VecDeque<Bytes>) {
        self.unread = true;
        if first {
            self.blind = self.touched || !is_foreign(&bytes, &self.tool);
        }
        if !self.blind && (self.state != State::Failed || !self.touched) {
            out.push_back(bytes);
        }
    }

    fn close(&mut self, _: &mut VecDeque<Bytes>) {
        if self.state == State::Open && self.stop.is_some() {
            self.state = State::Complete;
        }
    }

    fn state(&self) -> State {
        self.state
    }

    fn is_touched(&self) -> bool {
        self.touched
    }

    fn round(&mut self) -> Round {
        let (mut blocks, whole): (Vec<Block>, Vec<bool>) =
            std::mem::take(&mut self.slots).iter_mut().map(|slot| slot.capture.block(&self.tool)).unzip();
        let message = message(&blocks);
        blocks.iter_mut().for_each(Block::told);
        Round {
            message,
            blocks,
            stop: self.stop.unwrap_or(Stop::Cut),
            usage: self.usage,
            rebuilt: !self.unread && whole.iter().all(|whole| *whole),
        }
    }

    fn counted(&self) -> Usage {
        self.usage
    }

    fn begun(&self) -> Vec<Block> {
        self.slots.iter().map(|slot| slot.capture.clone().block(&self.tool).0).collect()
    }

    fn passed(&mut self) -> Option<Usage> {
        self.slots.clear();
        Some(self.usage)
    }

    fn next_round(&mut self, _: Texts, _: &mut VecDeque<Bytes>) {
        self.later = true;
        self.state = State::Open;
        self.slots.clear();
        self.stop = None;
        self.usage = Usage::default();
        self.unread = false;
        self.end = None;
        self.metadata = None;
    }

    fn release(&mut self, ending: &Ending, out: &mut VecDeque<Bytes>) {
        if ending.filler {
            let (index, text) = (self.next, quoted(FILLER));
            let delta = format!("{{\"contentBlockIndex\":{index},\"delta\":{{\"text\":{text}}}}}");
            out.push_back(eventstream::event("contentBlockDelta", &delta));
            let stop = format!("{{\"contentBlockIndex\":{index}}}");
            out.push_back(eventstream::event("contentBlockStop", &stop));
            self.next += 1;
        }
        if let Some(end) = self.end.take() {
            let edit = end.data().and_then(Object::parse).and_then(|data| ended(&data, ending));
            out.push_back(end.edited(edit.into_iter().collect()));
        }
        if let Some(metadata) = self.metadata.take() {
            out.push_back(self.merged_metadata(&metadata, ending).unwrap_or_else(|| metadata.raw()));
        }
    }

    fn error(&mut self, message: &str) -> Bytes {
        eventstream::exception("modelStreamErrorException", message)
    }
}

fn renumbered(event: &Event, data: &Object<'_>, client: u64) -> Bytes {
    match data.get("contentBlockIndex") {
        Some(index) if index.number() != Some(client) => {
            event.edited(vec![(index.span(), client.to_string())])
        }
        _ => event.raw(),
    }
}
