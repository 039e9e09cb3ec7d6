//! Takes our calls out of a Gemini stream and puts the streams of several rounds into one.
//!
//! Calls come whole. No event says that the stream is at its end: the last one has a
//! `finishReason`, and in an array a bracket follows.

use std::{borrow::Cow, collections::VecDeque};

use bytes::Bytes;

use super::{
    IDENTITY, block, candidate, counts, filler, identity, message, sign, signature, signed, stop, usage,
    with_parts,
};
use crate::intercept::{
    exchange::{Ending, Texts},
    frame::Event,
    pieces::Pieces,
    raw::{Edit, Object, Raw, decode, quoted, splice},
    round::{Block, Kind, Round, Stop, Usage},
    stream::{Splicer, State, is_foreign},
};

/// How a held chunk is written.
#[derive(Clone, Copy)]
enum Write<'a> {
    Plain,
    /// Another round follows.
    Mid,
    Last(&'a Ending),
}

/// A part of the current round.
enum Part {
    /// Text that was cut for streaming, escapes as they came.
    Text(Pieces),
    Block(Block),
}

/// The splicer of this dialect.
pub(in crate::intercept) struct Stream {
    tool: String,
    later: bool,
    touched: bool,
    state: State,
    parts: Vec<Part>,
    stop: Option<Stop>,
    usage: Usage,
    /// Raw values of the first round.
    identity: Vec<(&'static str, String)>,
    /// The signature of a call of ours, for the client's next.
    signature: Option<String>,
    /// Chunks that came with the `finishReason` or behind it, and the parts of each that are left.
    held: Vec<(Event, Vec<String>)>,
    /// The bracket that closes an array.
    end: Option<Event>,
    /// Elements are written into an array.
    array: bool,
    /// The client has an element.
    begun: bool,
    blind: bool,
    unread: bool,
}

impl Stream {
    pub(in crate::intercept) fn new(tool: String) -> Self {
        Self {
            tool,
            later: false,
            touched: false,
            state: State::Open,
            parts: Vec::new(),
            stop: None,
            usage: Usage::default(),
            identity: Vec::new(),
            signature: None,
            held: Vec::new(),
            end: None,
            array: false,
            begun: false,
            blind: false,
            unread: false,
        }
    }

    /// An event as it came.
    fn pass(&mut self, event: &Event, out: &mut VecDeque<Bytes>) {
        if self.array && self.touched {
            let data = event.data().unwrap_or_default().to_owned();
            return self.push(event, &data, out);
        }
        self.begun |= event.data().is_some();
        out.push_back(event.raw());
    }

    /// An event with other data: an element, or one of the stream's own events.
    fn push(&mut self, event: &Event, data: &str, out: &mut VecDeque<Bytes>) {
        if self.array {
            let before = if self.begun { ",\n" } else { "[" };
            out.push_back(format!("{before}{data}").into());
        } else {
            let whole = 0..event.data().map_or(0, str::len);
            out.push_back(event.edited(vec![(whole, data.to_owned())]));
        }
        self.begun = true;
    }

    fn chunk(&mut self, event: &Event, data: &Object<'_>, out: &mut VecDeque<Bytes>) {
        if let Some(counts) = data.object("usageMetadata") {
            self.usage = usage(&counts);
        }
        if self.identity.is_empty() && !self.later {
            let value = |key| Some((key, data.get(key)?.text().to_owned()));
            self.identity = IDENTITY.into_iter().filter_map(value).collect();
        }
        let candidate = candidate(data);
        let content = candidate.as_ref().and_then(|candidate| candidate.object("content"));
        let parts = content.and_then(|content| content.get("parts")).and_then(Raw::array).unwrap_or_default();
        let mut left = Vec::new();
        for part in parts {
            if self.is_text(part) {
                left.push(Cow::Borrowed(part.text()));
                continue;
            }
            let block = block(part, &self.tool);
            if block.is_ours() {
                self.touched = true;
                let call = |part: &Part| matches!(part, Part::Block(block) if block.call().is_some());
                let first = !self.parts.iter().any(call);
                self.signature = self.signature.take().or_else(|| signature(&block.raw).filter(|_| first));
            } else {
                let call = block.call().is_some();
                let taken = if call { self.signature.take() } else { None };
                let resigned = taken.and_then(|signature| signed(&block.raw, &signature));
                left.push(resigned.map_or(Cow::Borrowed(part.text()), Cow::Owned));
            }
            self.parts.push(Part::Block(block));
        }
        if let Some(reason) = candidate.and_then(|candidate| candidate.string("finishReason")) {
            self.stop = Some(stop(&reason));
        }
        if !self.touched {
            self.pass(event, out);
        } else if self.stop.is_some() {
            self.held.push((event.clone(), left.into_iter().map(Cow::into_owned).collect()));
        } else {
            self.write(event, &left, Write::Plain, out);
        }
    }

    /// Notes a part that is text and nothing else: what was cut for streaming becomes one again.
    fn is_text(&mut self, part: Raw<'_>) -> bool {
        let Some(part) = part.object() else { return false };
        let mut members = part.members();
        let (Some(("text", text)), None) = (members.next(), members.next()) else { return false };
        let Some(more) = text.inner() else { return false };
        if !matches!(self.parts.last(), Some(Part::Text(_))) {
            self.parts.push(Part::Text(Pieces::default()));
        }
        if let Some(Part::Text(text)) = self.parts.last_mut() {
            text.push_str(more);
        }
        true
    }

    fn write(&mut self, event: &Event, left: &[impl AsRef<str>], how: Write<'_>, out: &mut VecDeque<Bytes>) {
        let Some((data, text)) = event.data().and_then(|text| Some((Object::parse(text)?, text))) else {
            return;
        };
        let mut edits: Vec<Edit> = Vec::new();
        if self.later {
            let value =
                |key| self.identity.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str());
            edits.extend(identity(&data, value));
        }
        let candidate = candidate(&data);
        let content = candidate.as_ref().and_then(|candidate| candidate.object("content"));
        let had = content.and_then(|content| content.get("parts"));
        match how {
            Write::Plain | Write::Mid if left.is_empty() => return,
            Write::Plain => {}
            Write::Mid => {
                if let Some(candidate) = &candidate {
                    edits.extend(candidate.without(|key| matches!(key, "finishReason" | "finishMessage")));
                }
            }
            Write::Last(ending) => edits.extend(counts(&data, ending)),
        }
        let filled = matches!(how, Write::Last(Ending { filler: true, .. }));
        if let Some(candidate) = &candidate
            && (had.is_some() || filled)
        {
            let filler = filled.then(filler);
            let parts: Vec<&str> = left.iter().map(AsRef::as_ref).chain(filler.as_deref()).collect();
            edits.push(with_parts(candidate, &parts.join(",")));
        }
        let data = splice(text, edits);
        self.push(event, &data, out);
    }
}

impl Splicer for Stream {
    fn event(&mut self, event: Event, out: &mut VecDeque<Bytes>) {
        self.array |= event.is_element();
        if self.state == State::Failed {
            // An array is still to be closed.
            if !self.touched {
                out.push_back(event.raw());
            }
            return;
        }
        let Some(text) = event.data() else {
            // White space, a comment, or the bracket that closes the array.
            let closes = event.is_whole();
            if self.array && self.touched {
                self.end = self.end.take().or(Some(event).filter(|_| closes));
            } else if closes || !self.array || event.raw().trim_ascii().is_empty() {
                out.push_back(event.raw());
            }
            return;
        };
        let Some(data) = Object::parse(text) else {
            // A piece of an event could be a piece of our call; no reader takes it anyway.
            if event.is_whole() {
                self.pass(&event, out);
            }
            return;
        };
        if data.get("error").is_some_and(|error| !error.is_null()) && data.get("candidates").is_none() {
            self.state = State::Failed;
            self.pass(&event, out);
            if self.array && self.touched {
                out.push_back(Bytes::from_static(b"]"));
            }
        } else {
            self.chunk(&event, &data, out);
        }
    }

    fn piece(&mut self, bytes: Bytes, first: bool, out: &mut VecDeque<Bytes>) {
        self.unread = true;
        if first {
            self.blind = self.touched || !is_foreign(&bytes, &self.tool);
        }
        if !self.blind && (self.state != State::Failed || !self.touched) {
            self.begun = true;
            out.push_back(bytes);
        }
    }

    fn close(&mut self, _: &mut VecDeque<Bytes>) {
        if self.state == State::Open
            && self.stop.is_some()
            && (self.end.is_some() || !self.array || !self.touched)
        {
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
        let block = |part| match part {
            Part::Text(mut text) => {
                let mut raw = text.take("{\"text\":\"");
                let kind = Kind::Text(decode(&raw[9..]));
                raw.push_str("\"}");
                Block { raw, kind }
            }
            Part::Block(block) => block,
        };
        let mut blocks: Vec<Block> = std::mem::take(&mut self.parts).into_iter().map(block).collect();
        let message = message(&blocks);
        sign(&mut blocks);
        blocks.iter_mut().for_each(Block::told);
        Round {
            message,
            blocks,
            stop: self.stop.unwrap_or(Stop::Cut),
            usage: self.usage,
            rebuilt: !self.unread,
        }
    }

    fn passed(&mut self) -> Option<Usage> {
        self.parts.clear();
        Some(self.usage)
    }

    fn next_round(&mut self, _: Texts, out: &mut VecDeque<Bytes>) {
        for (event, left) in std::mem::take(&mut self.held) {
            self.write(&event, &left, Write::Mid, out);
        }
        self.later = true;
        self.state = State::Open;
        self.parts.clear();
        self.stop = None;
        self.usage = Usage::default();
        self.signature = None;
        self.end = None;
        self.unread = false;
    }

    fn release(&mut self, ending: &Ending, out: &mut VecDeque<Bytes>) {
        let held = std::mem::take(&mut self.held);
        let last = held.len().saturating_sub(1);
        for (at, (event, left)) in held.iter().enumerate() {
            // The first has the `finishReason`, behind which nobody reads on.
            let ending = Ending { filler: ending.filler && at == 0, ..*ending };
            if at == 0 || at == last || !left.is_empty() {
                self.write(event, left, Write::Last(&ending), out);
            }
        }
        if let Some(end) = self.end.take() {
            let close = if self.begun { end.raw() } else { Bytes::from_static(b"[]") };
            out.push_back(close);
        }
    }

    fn error(&mut self, message: &str) -> Bytes {
        let message = quoted(message);
        self.ends(&format!("{{\"error\":{{\"code\":500,\"message\":{message},\"status\":\"INTERNAL\"}}}}"))
    }

    fn refusal(&mut self, answer: &Object<'_>) -> Bytes {
        self.ends(&answer.in_one_line())
    }
}

impl Stream {
    /// The last element or event: this error.
    fn ends(&self, error: &str) -> Bytes {
        match (self.array, self.begun) {
            (true, true) => format!(",\n{error}]").into(),
            (true, false) => format!("[{error}]").into(),
            (false, _) => format!("data: {error}\n\n").into(),
        }
    }
}
