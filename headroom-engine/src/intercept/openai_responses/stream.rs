//! Takes our calls out of a Responses stream and puts the streams of several rounds into one.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{IDENTITY, block, counts, filler, filler_id, identity, message, part, round, without_tool};
use crate::intercept::{
    exchange::{Ending, FILLER, Texts},
    frame::Event,
    raw::{Edit, Object, Raw, quoted, splice},
    round::{Round, Stop, Usage},
    stream::{Splicer, State, is_foreign},
};

/// An item of the current round.
struct Slot {
    upstream: u64,
    id: Option<String>,
    /// The index the client knows it by; `None` if it is withheld.
    client: Option<u64>,
    /// The whole item, once it is done.
    item: Option<String>,
}

/// The splicer of this dialect.
pub(in crate::intercept) struct Stream {
    tool: String,
    later: bool,
    touched: bool,
    state: State,
    slots: Vec<Slot>,
    /// The next item's index at the client.
    next: u64,
    /// The next event's number at the client.
    sequence: u64,
    /// Raw values of the first round.
    identity: Vec<(&'static str, String)>,
    /// The items of earlier rounds that the client has.
    shown: Vec<String>,
    /// The terminal event.
    end: Option<Event>,
    blind: bool,
    unread: bool,
    /// The end waits until it is released.
    holds: bool,
    /// What came behind it.
    behind: Vec<Bytes>,
    /// The whole answer, as told at the end.
    merged: Option<String>,
}

impl Stream {
    pub(in crate::intercept) fn new(tool: String) -> Self {
        Self {
            tool,
            later: false,
            touched: false,
            state: State::Open,
            slots: Vec::new(),
            next: 0,
            sequence: 0,
            identity: Vec::new(),
            shown: Vec::new(),
            end: None,
            blind: false,
            unread: false,
            holds: false,
            behind: Vec::new(),
            merged: None,
        }
    }

    /// Passes an event on under the client's own numbers, with `edits` made besides.
    fn pass(&mut self, event: &Event, data: &Object<'_>, mut edits: Vec<Edit>, out: &mut VecDeque<Bytes>) {
        if let Some(number) = data.get("sequence_number") {
            if self.touched {
                if number.number() != Some(self.sequence) {
                    edits.push((number.span(), self.sequence.to_string()));
                }
                self.sequence += 1;
            } else {
                self.sequence = number.number().unwrap_or(self.sequence) + 1;
            }
        }
        if self.later
            && let (Some(id), Some(answer)) = (self.value("id"), data.get("response_id"))
        {
            edits.push((answer.span(), id.to_owned()));
        }
        // What was cut off in the middle stays so, as long as nothing follows it.
        let same = edits.is_empty() && !self.touched;
        out.push_back(if same { event.raw() } else { event.edited(edits) });
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.identity.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
    }

    /// The edits of an answer within an event: the first round's identity, the client's own tools.
    fn answer_edits(&self, answer: &Object<'_>) -> Vec<Edit> {
        let mut edits = without_tool(answer, &self.tool);
        if self.later {
            edits.extend(identity(answer, |key| self.value(key)));
        }
        edits
    }

    fn started(&mut self, event: &Event, data: &Object<'_>, out: &mut VecDeque<Bytes>) {
        let Some(answer) = data.object("response") else {
            return self.pass(event, data, Vec::new(), out);
        };
        if self.later {
            return;
        }
        if self.identity.is_empty() {
            let value = |key| Some((key, answer.get(key)?.text().to_owned()));
            self.identity = IDENTITY.into_iter().filter_map(value).collect();
        }
        let edits = self.answer_edits(&answer);
        self.pass(event, data, edits, out);
    }

    /// Takes note of a new item, and tells whether it is the client's.
    fn add(&mut self, item: Raw<'_>, upstream: Option<u64>) -> usize {
        let upstream = upstream.unwrap_or(self.slots.len() as u64);
        let ours = block(item, &self.tool).is_ours();
        self.touched |= ours;
        let client = (!ours).then_some(if self.touched { self.next } else { upstream });
        self.next = client.map_or(self.next, |client| self.next.max(client + 1));
        let id = item.object().and_then(|item| item.string("id"));
        self.slots.push(Slot { upstream, id, client, item: None });
        self.slots.len() - 1
    }

    fn of_item(&mut self, event: &Event, data: &Object<'_>, out: &mut VecDeque<Bytes>) {
        let kind = data.string("type").unwrap_or_default();
        let (index, id) = (data.number("output_index"), data.string("item_id"));
        let known = self.slots.iter().rposition(|slot| match index {
            Some(index) => slot.upstream == index,
            None => id.is_some() && slot.id == id,
        });
        let item = data.get("item").filter(|_| kind.starts_with("response.output_item."));
        let at = match (known, item) {
            (Some(at), _) => at,
            (None, Some(item)) => self.add(item, index),
            // Of an item that was never added: it could be a call of ours.
            (None, None) => {
                if !self.touched && !kind.starts_with("response.function_call_arguments.") {
                    self.pass(event, data, Vec::new(), out);
                }
                return;
            }
        };
        let slot = &mut self.slots[at];
        if kind == "response.output_item.done" {
            slot.item = item.map(|item| item.text().to_owned());
        }
        let Some(client) = slot.client else { return };
        let moved = data.get("output_index").filter(|index| index.number() != Some(client));
        let edits = moved.map(|index| (index.span(), client.to_string())).into_iter().collect();
        self.pass(event, data, edits, out);
    }

    fn ended(&mut self, event: &Event, data: &Object<'_>, out: &mut VecDeque<Bytes>) {
        self.state = State::Complete;
        let Some(answer) = data.object("response") else {
            return self.pass(event, data, Vec::new(), out);
        };
        // Some servers tell of an item in the last event only.
        for (index, item) in answer.get("output").and_then(Raw::array).unwrap_or_default().iter().enumerate()
        {
            let at = match self.slots.iter().position(|slot| slot.upstream == index as u64) {
                Some(at) => at,
                None => self.add(*item, Some(index as u64)),
            };
            self.slots[at].item.get_or_insert_with(|| item.text().to_owned());
        }
        self.end = Some(event.clone());
        if !self.touched && !self.holds {
            let edits = self.answer_edits(&answer);
            self.pass(event, data, edits, out);
        }
    }

    fn failed(&mut self, event: &Event, data: &Object<'_>, out: &mut VecDeque<Bytes>) {
        self.state = State::Failed;
        let mut edits = Vec::new();
        if let Some(answer) = data.object("response") {
            edits = self.answer_edits(&answer);
            if self.touched
                && let Some(output) = answer.get("output")
            {
                edits.push((output.span(), format!("[{}]", self.all().join(","))));
            }
        }
        self.pass(event, data, edits, out);
    }

    /// The items of all rounds that the client has.
    fn all(&self) -> Vec<&str> {
        let mut now: Vec<&Slot> = self.slots.iter().filter(|slot| slot.client.is_some()).collect();
        now.sort_by_key(|slot| slot.client);
        let now = now.into_iter().filter_map(|slot| slot.item.as_deref());
        self.shown.iter().map(String::as_str).chain(now).collect()
    }

    /// The client has the current round's items.
    fn show(&mut self) {
        self.shown = self.all().into_iter().map(str::to_owned).collect();
        self.slots.clear();
    }

    fn add_filler(&mut self, out: &mut VecDeque<Bytes>) {
        let answer = self.value("id").and_then(|id| Raw::parse(id)?.string()).unwrap_or_default();
        let (id, whole) = (filler_id(&answer), filler(&answer));
        let (index, empty, full, text) = (self.next, part(""), part(FILLER), quoted(FILLER));
        let place = format!("\"item_id\":{},\"output_index\":{index},\"content_index\":0", quoted(&id));
        let added = message(&id, "in_progress", "[]");
        for (kind, fields) in [
            ("output_item.added", format!("\"output_index\":{index},\"item\":{added}")),
            ("content_part.added", format!("{place},\"part\":{empty}")),
            ("output_text.delta", format!("{place},\"delta\":{text},\"logprobs\":[]")),
            ("output_text.done", format!("{place},\"text\":{text},\"logprobs\":[]")),
            ("content_part.done", format!("{place},\"part\":{full}")),
            ("output_item.done", format!("\"output_index\":{index},\"item\":{whole}")),
        ] {
            out.push_back(event(&format!("response.{kind}"), &mut self.sequence, &fields));
        }
        self.next += 1;
        self.shown.push(whole);
    }

    fn terminal(&mut self, event: &Event, ending: &Ending, out: &mut VecDeque<Bytes>) -> Option<()> {
        let data = Object::parse(event.data()?)?;
        let answer = data.object("response")?;
        let mut edits = self.answer_edits(&answer);
        edits.extend(counts(&answer, ending));
        if let Some(output) = answer.get("output").filter(|_| self.touched) {
            edits.push((output.span(), format!("[{}]", self.all().join(","))));
        }
        if self.holds && self.touched {
            let told = splice(event.data()?, edits.clone());
            let told = Object::parse(&told).and_then(|data| Some(data.get("response")?.text().to_owned()));
            self.merged = told;
        }
        self.pass(event, &data, edits, out);
        Some(())
    }
}

impl Splicer for Stream {
    fn event(&mut self, event: Event, out: &mut VecDeque<Bytes>) {
        let done = self.state != State::Open;
        if done && self.touched {
            return;
        }
        if done && self.end.is_some() && self.holds {
            return self.behind.push(event.raw());
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
            Some("response.created" | "response.queued" | "response.in_progress") => {
                self.started(&event, &data, out);
            }
            Some("response.completed" | "response.incomplete") => self.ended(&event, &data, out),
            Some("response.failed" | "error") => self.failed(&event, &data, out),
            _ if data.get("output_index").is_some() || data.get("item_id").is_some() => {
                self.of_item(&event, &data, out);
            }
            _ => self.pass(&event, &data, Vec::new(), out),
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
        self.slots.sort_by_key(|slot| slot.upstream);
        let items: Vec<Raw<'_>> =
            self.slots.iter().filter_map(|slot| Raw::parse(slot.item.as_deref()?)).collect();
        let end = self.end.as_ref().and_then(Event::data).and_then(Object::parse);
        let answer = end.and_then(|data| data.object("response"));
        let mut read = match &answer {
            Some(answer) => round(answer, &items, &self.tool),
            None => Round {
                message: String::new(),
                blocks: Vec::new(),
                stop: Stop::Cut,
                usage: Usage::default(),
                rebuilt: false,
            },
        };
        // Of a call that never was done, the answer holds nothing to go on with.
        let lost = self.slots.iter().any(|slot| slot.item.is_none());
        read.rebuilt &= !self.unread && !lost;
        read
    }

    fn next_round(&mut self, _: Texts, _: &mut VecDeque<Bytes>) {
        self.show();
        self.later = true;
        self.state = State::Open;
        self.end = None;
        self.unread = false;
    }

    fn release(&mut self, ending: &Ending, out: &mut VecDeque<Bytes>) {
        if ending.filler {
            self.show();
            self.add_filler(out);
        }
        if let Some(end) = self.end.take() {
            let _ = self.terminal(&end, ending, out);
        }
        out.extend(self.behind.drain(..));
    }

    fn hold(&mut self) {
        self.holds = true;
    }

    fn id(&self) -> Option<String> {
        let end = self.end.as_ref().and_then(Event::data).and_then(Object::parse);
        end?.object("response")?.string("id")
    }

    fn items(&self) -> Option<String> {
        Some(format!("[{}]", self.all().join(",")))
    }

    fn merged(&self) -> Option<&str> {
        self.merged.as_deref()
    }

    fn error(&mut self, message: &str) -> Bytes {
        let fields = format!("\"code\":\"server_error\",\"message\":{},\"param\":null", quoted(message));
        event("error", &mut self.sequence, &fields)
    }

    fn refusal(&mut self, answer: &Object<'_>) -> Bytes {
        let error = answer.object("error");
        let said = |key| error.as_ref().and_then(|error| error.string(key));
        let (code, message) = (said("code").or_else(|| said("type")), said("message"));
        let [code, message] = [code, message].map(|text| quoted(&text.unwrap_or_default()));
        let fields = format!("\"code\":{code},\"message\":{message},\"param\":null");
        event("error", &mut self.sequence, &fields)
    }
}

fn event(kind: &str, sequence: &mut u64, fields: &str) -> Bytes {
    let number = *sequence;
    *sequence += 1;
    format!("event: {kind}\ndata: {{\"type\":\"{kind}\",\"sequence_number\":{number},{fields}}}\n\n").into()
}
