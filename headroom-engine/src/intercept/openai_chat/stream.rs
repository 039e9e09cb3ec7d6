//! Takes our calls out of a Chat Completions stream and puts the streams of several rounds into one.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{
    IDENTITY,
    capture::{CallCapture, Capture},
    counts, error_event, finish, identity, stop, trimmed, usage,
};
use crate::intercept::{
    exchange::{Ending, FILLER, Texts},
    frame::Event,
    raw::{Object, Raw, keep_elements, quoted},
    round::{Round, Stop, Usage},
    stream::{Splicer, State, is_foreign},
};

/// A call of the current round; its number is its place in the capture.
struct Slot {
    upstream: Option<u64>,
    fate: Fate,
    /// The index the client knows it by, once it does.
    client: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Its name is not known, or may go on.
    Open,
    Ours,
    Client,
}

/// An event that waits until the calls in it are told apart.
struct Waiting {
    event: Event,
    /// The slot of each of its `tool_calls`.
    calls: Vec<usize>,
    /// It comes with the `finish_reason` or behind it.
    last: bool,
}

/// How a chunk that may hold a `finish_reason` is written.
#[derive(Clone, Copy)]
enum Write<'a> {
    /// It holds none.
    Plain,
    /// Another round follows.
    Mid,
    Last(&'a Ending),
}

/// The splicer of this dialect.
pub(in crate::intercept) struct Stream {
    tool: String,
    /// Stands between the texts of two rounds.
    joint: &'static str,
    later: bool,
    touched: bool,
    state: State,
    capture: Capture,
    slots: Vec<Slot>,
    /// The next call's index at the client.
    next: u64,
    stop: Option<Stop>,
    usage: Usage,
    /// Raw values of the first round.
    identity: Vec<(&'static str, String)>,
    /// The client has text from an earlier round.
    text_before: bool,
    /// The client has text from this round.
    text: bool,
    waiting: VecDeque<Waiting>,
    /// What came with the `finish_reason` and behind it.
    held: Vec<Waiting>,
    end: Option<Event>,
    blind: bool,
    unread: bool,
}

impl Stream {
    pub(in crate::intercept) fn new(tool: String) -> Self {
        Self {
            tool,
            joint: "",
            later: false,
            touched: false,
            state: State::Open,
            capture: Capture::default(),
            slots: Vec::new(),
            next: 0,
            stop: None,
            usage: Usage::default(),
            identity: Vec::new(),
            text_before: false,
            text: false,
            waiting: VecDeque::new(),
            held: Vec::new(),
            end: None,
            blind: false,
            unread: false,
        }
    }

    fn chunk(&mut self, event: &Event, data: &Object<'_>, out: &mut VecDeque<Bytes>) {
        let choice = choice(data);
        if let Some(counts) = data.object("usage") {
            self.usage = usage(&counts);
        }
        if choice.is_some() && self.identity.is_empty() {
            let value = |key| Some((key, data.get(key)?.text().to_owned()));
            self.identity = IDENTITY.into_iter().filter_map(value).collect();
        }
        let mut calls = Vec::new();
        if let Some(delta) = choice.as_ref().and_then(|choice| choice.object("delta")) {
            self.capture.delta(&delta);
            for item in delta.get("tool_calls").and_then(Raw::array).unwrap_or_default() {
                calls.push(item.object().map_or(usize::MAX, |item| self.call(&item)));
            }
        }
        if let Some(reason) = choice.and_then(|choice| choice.string("finish_reason")) {
            self.stop = Some(stop(&reason));
            self.decide_all(true);
        }
        if calls.is_empty() && self.waiting.is_empty() && !self.touched {
            return out.push_back(event.raw());
        }
        self.waiting.push_back(Waiting { event: event.clone(), calls, last: self.stop.is_some() });
        self.drain(out);
    }

    /// Notes a piece of a call and tells whose it is as soon as that is certain.
    fn call(&mut self, item: &Object<'_>) -> usize {
        let upstream = item.number("index");
        let starts = item.string("id").is_some_and(|id| !id.is_empty());
        let known = match upstream {
            Some(_) => self.slots.iter().position(|slot| slot.upstream == upstream),
            // Some servers leave the index out.
            None if starts => None,
            None => self.slots.len().checked_sub(1),
        };
        let at = known.unwrap_or_else(|| {
            self.slots.push(Slot { upstream, fate: Fate::Open, client: None });
            self.capture.calls.push(CallCapture::default());
            self.slots.len() - 1
        });
        let call = &mut self.capture.calls[at];
        call.delta(item);
        if self.slots[at].fate == Fate::Open {
            if call.foreign || !self.tool.starts_with(&call.name) {
                self.decide(at, false);
            } else if call.has_arguments() && !call.name.is_empty() {
                let ours = call.name == self.tool;
                self.decide(at, ours);
            }
        }
        at
    }

    fn decide(&mut self, at: usize, ours: bool) {
        self.touched |= ours;
        self.slots[at].fate = if ours { Fate::Ours } else { Fate::Client };
    }

    /// No name goes on any more.
    fn decide_all(&mut self, complete: bool) {
        for at in 0..self.slots.len() {
            if self.slots[at].fate == Fate::Open {
                let name = &self.capture.calls[at].name;
                // Of a stream that was cut short, nothing that may have become ours is shown.
                let ours = if complete { *name == self.tool } else { !name.is_empty() };
                self.decide(at, ours);
            }
        }
    }

    fn is_open(&self, waiting: &Waiting) -> bool {
        waiting.calls.iter().any(|at| self.slots.get(*at).is_some_and(|slot| slot.fate == Fate::Open))
    }

    fn drain(&mut self, out: &mut VecDeque<Bytes>) {
        while self.waiting.front().is_some_and(|front| !self.is_open(front)) {
            let Some(front) = self.waiting.pop_front() else { break };
            if front.last && self.touched {
                self.held.push(front);
            } else {
                out.extend(self.write(&front, Write::Plain));
            }
        }
    }

    /// The chunk as the client gets it; `None` if nothing of it is left.
    fn write(&mut self, waiting: &Waiting, how: Write<'_>) -> Option<Bytes> {
        let event = &waiting.event;
        for at in &waiting.calls {
            let Some(slot) = self.slots.get_mut(*at) else { continue };
            if slot.fate == Fate::Client && slot.client.is_none() {
                let client = slot.upstream.filter(|_| !self.touched).unwrap_or(self.next);
                slot.client = Some(client);
                self.next = client + 1;
            }
        }
        if !self.touched {
            return Some(event.raw());
        }
        let data = event.data().and_then(Object::parse)?;
        let mut edits = Vec::new();
        if self.later {
            let value =
                |key| self.identity.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str());
            edits.extend(identity(&data, value));
        }
        if let Write::Last(ending) = how {
            edits.extend(counts(&data, ending));
        }
        let Some(choice) = choice(&data) else {
            return (!matches!(how, Write::Mid)).then(|| event.edited(edits));
        };
        let mut ends = false;
        if let Some(reason) = choice.get("finish_reason").filter(|reason| !reason.is_null()) {
            match how {
                Write::Last(ending) => {
                    ends = true;
                    edits.extend(finish(&choice, ending));
                }
                Write::Plain | Write::Mid => edits.push((reason.span(), "null".to_owned())),
            }
        }
        let Some(delta) = choice.object("delta") else {
            return ends.then(|| event.edited(edits));
        };
        let mut gone: Vec<&str> = if self.later { vec!["role"] } else { Vec::new() };
        let client = |at: usize| self.slots.get(at).and_then(|slot| slot.client);
        if let Some(calls) = delta.get("tool_calls") {
            let items = calls.array().unwrap_or_default();
            let keep: Vec<bool> = waiting.calls.iter().map(|at| client(*at).is_some()).collect();
            if keep.contains(&true) {
                edits.extend(keep_elements(calls, &items, &keep));
                for (item, at) in items.iter().zip(&waiting.calls) {
                    let index = item.object().and_then(|item| item.get("index"));
                    if let (Some(client), Some(index)) = (client(*at), index)
                        && index.number() != Some(client)
                    {
                        edits.push((index.span(), client.to_string()));
                    }
                }
            } else if !keep.is_empty() {
                gone.push("tool_calls");
            }
        }
        if let (true, Some(content)) = (self.later, delta.get("content"))
            && let Some(inner) = content.inner().filter(|_| self.text_before && !self.text)
        {
            let start = trimmed(inner);
            if start.is_empty() {
                gone.push("content");
            } else {
                self.text = true;
                let joint = quoted(self.joint);
                edits.push((content.span(), format!("{}{start}\"", joint.trim_end_matches('"').to_owned())));
            }
        }
        let says = |(key, value): (&str, Raw<'_>)| {
            !gone.contains(&key) && !value.is_null() && value.inner() != Some("")
        };
        if !ends && !gone.is_empty() && !delta.members().any(says) {
            return None;
        }
        edits.extend(delta.without(|key| gone.contains(&key)));
        Some(event.edited(edits))
    }

    fn filler(&self) -> Bytes {
        let value = |key: &str| {
            self.identity.iter().find(|(name, _)| *name == key).map_or("null", |(_, value)| value.as_str())
        };
        format!(
            "data: {{\"id\":{},\"object\":\"chat.completion.chunk\",\"created\":{},\"model\":{},\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{}}},\"finish_reason\":null}}]}}\n\n",
            value("id"),
            value("created"),
            value("model"),
            quoted(FILLER)
        )
        .into()
    }
}

impl Splicer for Stream {
    fn event(&mut self, event: Event, out: &mut VecDeque<Bytes>) {
        let done = self.state != State::Open;
        if done && self.touched {
            return;
        }
        let Some(text) = event.data() else {
            return out.push_back(event.raw());
        };
        if text.trim() == "[DONE]" && !done {
            self.state = State::Complete;
            self.decide_all(self.stop.is_some());
            self.drain(out);
            if self.touched {
                self.end = Some(event);
            } else {
                out.push_back(event.raw());
            }
            return;
        }
        let Some(data) = Object::parse(text) else {
            // A piece of an event could be a piece of our call; no reader takes it anyway.
            if event.is_whole() {
                out.push_back(event.raw());
            }
            return;
        };
        if done {
            out.push_back(event.raw());
        } else if data.get("error").is_some_and(|error| !error.is_null()) && choice(&data).is_none() {
            self.state = State::Failed;
            self.waiting.clear();
            out.push_back(event.raw());
        } else if data.get("choices").is_some() {
            self.chunk(&event, &data, out);
        } else {
            out.push_back(event.raw());
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

    fn close(&mut self, out: &mut VecDeque<Bytes>) {
        if self.state == State::Open {
            self.decide_all(self.stop.is_some());
            self.drain(out);
            if self.stop.is_some() {
                // Some servers send no `[DONE]`.
                self.state = State::Complete;
            }
        }
    }

    fn state(&self) -> State {
        self.state
    }

    fn is_touched(&self) -> bool {
        self.touched
    }

    fn round(&mut self) -> Round {
        let (message, blocks, whole) = self.capture.message(&self.tool);
        Round {
            message,
            blocks,
            stop: self.stop.unwrap_or(Stop::Cut),
            usage: self.usage,
            rebuilt: whole && !self.unread,
        }
    }

    fn passed(&mut self) -> Option<Usage> {
        self.capture = Capture::default();
        Some(self.usage)
    }

    fn next_round(&mut self, texts: Texts, out: &mut VecDeque<Bytes>) {
        for waiting in std::mem::take(&mut self.held) {
            out.extend(self.write(&waiting, Write::Mid));
        }
        if let Texts::Joined(joint) = texts {
            self.joint = joint;
        }
        self.text_before |= self.capture.has_text();
        self.text = false;
        self.later = true;
        self.state = State::Open;
        self.capture = Capture::default();
        self.slots.clear();
        self.stop = None;
        self.usage = Usage::default();
        self.end = None;
        self.unread = false;
    }

    fn release(&mut self, ending: &Ending, out: &mut VecDeque<Bytes>) {
        if ending.filler {
            out.push_back(self.filler());
        }
        for waiting in std::mem::take(&mut self.held) {
            out.extend(self.write(&waiting, Write::Last(ending)));
        }
        out.extend(self.end.take().map(|end| end.raw()));
    }

    fn error(&mut self, message: &str) -> Bytes {
        error_event(message)
    }

    fn refusal(&mut self, answer: &Object<'_>) -> Bytes {
        format!("data: {}\n\n", answer.in_one_line()).into()
    }
}

/// The one choice of a chunk.
fn choice<'a>(data: &Object<'a>) -> Option<Object<'a>> {
    data.get("choices")?.array()?.first()?.object()
}
