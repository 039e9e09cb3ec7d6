//! Takes our calls out of a Messages stream and puts the streams of several rounds into one.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{capture::Capture, error_event, event, message, stop, usage};
use crate::intercept::{
    exchange::{Ending, FILLER, Texts},
    frame::Event,
    raw::{Object, quoted},
    round::{Block, Round, Stop, Usage},
    stream::{Splicer, State, is_foreign},
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
    stop: Stop,
    usage: Usage,
    /// The usage with which the round started.
    started: Option<String>,
    /// The event that comes in pieces is withheld.
    blind: bool,
    /// An event of this round went by unread.
    unread: bool,
    /// The stream comes in frames of Amazon's.
    framed: bool,
    /// What Amazon measured in the rounds before.
    metrics: Metrics,
    /// Terminal events.
    delta: Option<Event>,
    end: Option<Event>,
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
            stop: Stop::Cut,
            usage: Usage::default(),
            started: None,
            blind: false,
            unread: false,
            framed: false,
            metrics: Metrics::default(),
            delta: None,
            end: None,
        }
    }

    fn start_block(&mut self, event: &Event, data: &Object<'_>, out: &mut VecDeque<Bytes>) {
        let Some(start) = data.get("content_block") else {
            return out.push_back(event.raw());
        };
        let upstream = data.number("index").unwrap_or(self.next);
        let capture = Capture::new(start);
        let block = super::block(start, &self.tool);
        let bound = (self.later || self.touched) && self.forgets && block.is_thinking();
        let withheld = block.is_ours() || bound;
        self.touched |= block.is_ours();
        let client = (!withheld).then_some(if self.touched { self.next } else { upstream });
        if let Some(client) = client {
            self.next = client + 1;
            out.push_back(renumbered(event, data, client));
        }
        self.slots.push(Slot { upstream, client, capture });
    }

    fn within_block(&mut self, event: &Event, data: &Object<'_>, out: &mut VecDeque<Bytes>) {
        let upstream = data.number("index");
        let Some(slot) = self.slots.iter_mut().rev().find(|slot| Some(slot.upstream) == upstream) else {
            let known = data.string("type").is_some_and(|kind| kind.starts_with("content_block"));
            if !(self.touched && known) {
                out.push_back(event.raw());
            }
            return;
        };
        if let Some(delta) = data.object("delta") {
            slot.capture.delta(&delta);
        }
        if let Some(client) = slot.client {
            out.push_back(renumbered(event, data, client));
        }
    }

    fn message_delta(&mut self, event: Event, data: &Object<'_>, out: &mut VecDeque<Bytes>) {
        if let Some(reason) = data.object("delta").and_then(|delta| delta.string("stop_reason")) {
            self.stop = stop(Some(&reason));
        }
        if let Some(counts) = data.object("usage") {
            // Cumulative; what it leaves out stands in the start.
            let now = usage(&counts);
            self.usage = Usage {
                input: now.input.max(self.usage.input),
                output: now.output,
                cache_read: now.cache_read.max(self.usage.cache_read),
                cache_write: now.cache_write.max(self.usage.cache_write),
            };
        }
        if self.touched {
            self.delta = Some(event);
        } else {
            out.push_back(event.raw());
        }
    }

    /// The last `message_delta`, with what all rounds came to.
    fn merged_delta(&self, event: &Event, ending: &Ending) -> Option<Bytes> {
        let data = Object::parse(event.data()?)?;
        let mut edits = Vec::new();
        let reason = data.object("delta").and_then(|delta| delta.get("stop_reason"));
        if let Some(reason) =
            reason.filter(|reason| !ending.calls_client && reason.inner() == Some("tool_use"))
        {
            edits.push((reason.span(), "\"end_turn\"".to_owned()));
        }
        if let (Some(output), Some(counts)) = (ending.output, data.object("usage")) {
            if let Some(counted) = counts.get("output_tokens") {
                edits.push((counted.span(), output.to_string()));
            }
            // The client has the first round's start; this round's would say what the context holds.
            let start = self.started.as_deref().and_then(Object::parse);
            let missing = |key: &&str| {
                let value = start.as_ref()?.get(key).filter(|value| !value.is_null())?;
                counts.get(key).is_none().then(|| format!("\"{key}\":{}", value.text()))
            };
            let keys = ["input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"];
            let members: Vec<String> = keys.iter().filter_map(missing).collect();
            if !members.is_empty() {
                edits.push(counts.with(&members.join(",")));
            }
        }
        Some(event.edited(edits))
    }
}

impl Splicer for Stream {
    fn event(&mut self, event: Event, out: &mut VecDeque<Bytes>) {
        let done = self.state != State::Open;
        self.framed |= event.is_framed();
        if done && self.touched {
            return;
        }
        if event.is_failure() {
            self.state = State::Failed;
            return out.push_back(event.raw());
        }
        if self.framed && !event.is_whole() {
            return;
        }
        let Some(text) = event.data() else {
            return out.push_back(event.raw());
        };
        let Some(data) = Object::parse(text) else {
            // A piece of an event could be a piece of our call; no reader takes it anyway.
            if event.is_whole() {
                out.push_back(event.raw());
            }
            return;
        };
        match data.string("type").as_deref() {
            _ if done => out.push_back(event.raw()),
            Some("message_start") => {
                if let Some(counts) = data.object("message").and_then(|message| message.get("usage")) {
                    self.usage = counts.object().map(|counts| usage(&counts)).unwrap_or_default();
                    self.started = Some(counts.text().to_owned());
                }
                if !self.later {
                    out.push_back(event.raw());
                }
            }
            Some("content_block_start") => self.start_block(&event, &data, out),
            Some("message_delta") => {
                let held = event.clone();
                self.message_delta(held, &data, out);
            }
            Some("message_stop") => {
                self.state = State::Complete;
                self.metrics.add(&data);
                if self.touched {
                    self.end = Some(event.clone());
                } else {
                    out.push_back(event.raw());
                }
            }
            Some("error") => {
                self.state = State::Failed;
                out.push_back(event.raw());
            }
            _ if data.get("index").is_some() => self.within_block(&event, &data, out),
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

    fn close(&mut self, _: &mut VecDeque<Bytes>) {}

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
            stop: self.stop,
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
        self.stop = Stop::Cut;
        self.usage = Usage::default();
        self.started = None;
        self.unread = false;
        self.delta = None;
        self.end = None;
    }

    fn release(&mut self, ending: &Ending, out: &mut VecDeque<Bytes>) {
        if ending.filler {
            out.extend(filler(self.framed, self.next));
            self.next += 1;
        }
        if let Some(delta) = self.delta.take() {
            out.push_back(self.merged_delta(&delta, ending).unwrap_or_else(|| delta.raw()));
        }
        if let Some(end) = self.end.take() {
            out.push_back(self.metrics.merged(&end, ending).unwrap_or_else(|| end.raw()));
        }
    }

    fn error(&mut self, message: &str) -> Bytes {
        error_event(message, self.framed)
    }

    fn refusal(&mut self, answer: &Object<'_>) -> Bytes {
        if self.framed {
            let said = answer.object("error").and_then(|error| error.string("message"));
            return error_event(&said.unwrap_or_default(), true);
        }
        event(false, "error", &answer.in_one_line())
    }
}

/// What Amazon measures of an invocation, in the last event: the first byte of the first round, the
/// input of the last, and of all what adds up.
#[derive(Debug, Default)]
struct Metrics {
    output: u64,
    latency: u64,
    first_byte: Option<u64>,
}

impl Metrics {
    const KEY: &str = "amazon-bedrock-invocationMetrics";

    fn add(&mut self, data: &Object<'_>) {
        let Some(metrics) = data.object(Self::KEY) else { return };
        let count = |key| metrics.number(key);
        self.output += count("outputTokenCount").unwrap_or_default();
        self.latency += count("invocationLatency").unwrap_or_default();
        self.first_byte = self.first_byte.or(count("firstByteLatency"));
    }

    fn merged(&self, event: &Event, ending: &Ending) -> Option<Bytes> {
        ending.output?;
        let data = Object::parse(event.data()?)?;
        let metrics = data.object(Self::KEY)?;
        let edit = |key, count: Option<u64>| Some((metrics.get(key)?.span(), count?.to_string()));
        let edits = [
            edit("outputTokenCount", Some(self.output)),
            edit("invocationLatency", Some(self.latency)),
            edit("firstByteLatency", self.first_byte),
        ];
        Some(event.edited(edits.into_iter().flatten().collect()))
    }
}

fn renumbered(event: &Event, data: &Object<'_>, client: u64) -> Bytes {
    match data.get("index") {
        Some(index) if index.number() != Some(client) => {
            event.edited(vec![(index.span(), client.to_string())])
        }
        _ => event.raw(),
    }
}

fn filler(framed: bool, index: u64) -> [Bytes; 3] {
    let start = "{\"type\":\"text\",\"text\":\"\"}";
    let delta = format!("{{\"type\":\"text_delta\",\"text\":{}}}", quoted(FILLER));
    [("start", "content_block", start), ("delta", "delta", &delta), ("stop", "", "")].map(
        |(kind, key, value)| {
            let kind = format!("content_block_{kind}");
            let member = if key.is_empty() { String::new() } else { format!(",\"{key}\":{value}") };
            event(framed, &kind, &format!("{{\"type\":\"{kind}\",\"index\":{index}{member}}}"))
        },
    )
}
