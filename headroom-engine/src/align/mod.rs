//! CacheAligner: dynamic values leave the prefix, so that the provider's cache finds it again.
//!
//! A value that changes from request to request, or from conversation to conversation, leaves a
//! constant placeholder in the system prompt and is told behind the user's words. All of them are
//! told behind the first words, which makes that a function of the conversation as long as they stay
//! the same. Those that change are told again behind the last words of the request in which they
//! changed, and the ledger keeps each note where it stood.
//!
//! A note is a user's message of its own (Anthropic Messages, Chat Completions, Responses; a developer's
//! behind outputs in Responses, since a user's would end the turn that reasoning is kept for), or a
//! further part of the user's message (Gemini, Converse, where roles alternate): see [`place`]. What the
//! provider keeps itself, chained or stored Responses and cached contents of Gemini, is left alone.
//!
//! Values in tool definitions are reported, and moved only if the policy says so; so is the order of
//! tools kept: see [`tools`].

pub(crate) mod breakpoint;
mod find;
mod label;
mod note;
mod place;
mod shape;
pub(crate) mod tools;

use std::{collections::HashMap, ops::Range};

use note::Notes;

use crate::{
    ledger::{LedgerKey, Record},
    report::{AlignReport, Report},
    wire::{
        Conversation, Dialect, Role,
        splice::Edit,
        text::{Str, quote, unescape},
    },
};

/// More values than this are data.
const MOST: usize = 16;

/// The dynamic values of a request's prefix.
#[derive(Debug, Default)]
pub(crate) struct Dynamic {
    texts: Vec<Text>,
    values: Vec<Value>,
    /// Those of tool definitions, which are moved only if the policy says so.
    tool_values: Vec<Value>,
    unsure: u32,
    in_tools: u32,
    bytes: usize,
}

/// A literal that holds some.
#[derive(Debug)]
struct Text {
    start: usize,
    /// The inside of the literal with placeholders, in its canonical spelling.
    aligned: String,
}

#[derive(Debug)]
struct Value {
    /// Unlike every other's of the request.
    name: String,
    value: String,
    /// In the body, as it is spelled there.
    span: Range<usize>,
}

/// A point of the conversation at which a request may have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) message: usize,
    pub(crate) key: LedgerKey,
}

/// What moving the values came down to.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    pub(crate) edits: Vec<Edit>,
    pub(crate) records: Vec<Record>,
}

impl Moved {
    /// How far behind its closing quote an input of words alone ends, now that it is an array.
    pub(crate) fn opens(&self, conversation: &Conversation) -> usize {
        let span = &conversation.messages_span;
        let words = conversation.messages.first().is_some_and(|words| words.span == *span);
        let tail = self.edits.iter().find(|edit| words && edit.span == (span.end..span.end));
        tail.map_or(0, |edit| edit.text.len())
    }
}

impl Dynamic {
    /// Looks through the system prompt and the leading developer messages.
    pub(crate) fn find(body: &str, conversation: &Conversation) -> Self {
        let mut dynamic = Self::default();
        if let Some(tools) = &conversation.tools {
            dynamic.in_tools = find::count(&body[tools.span.clone()]);
        }
        let leading = conversation.messages.iter().take_while(|message| message.role == Role::System);
        let developer = leading.flat_map(|message| message.texts());
        let texts: Vec<(&Str, Spelled)> = conversation
            .system
            .iter()
            .chain(developer)
            .filter_map(|text| Some((text, Spelled::of(text.raw(body))?)))
            .collect();
        let ambiguous = texts.iter().any(|(_, spelled)| spelled.text.contains(note::LOOKS_LIKE));
        for (literal, spelled) in &texts {
            let found = find::find(&spelled.text);
            dynamic.bytes += spelled.text.len();
            dynamic.unsure += found.unsure;
            let count = found.values.len();
            if ambiguous || dynamic.values.len() + count > MOST {
                dynamic.unsure += u32::try_from(count).unwrap_or(u32::MAX);
            } else if count > 0 {
                let (values, aligned) = dynamic.take(literal, spelled, &found.values);
                dynamic.values.extend(values);
                dynamic.texts.extend(aligned.map(|aligned| Text { start: literal.range.start, aligned }));
            }
        }
        if dynamic.in_tools > 0 && !ambiguous {
            dynamic.find_in_tools(body, conversation);
        }
        dynamic
    }

    fn find_in_tools(&mut self, body: &str, conversation: &Conversation) {
        let literals = tools::descriptions(body, conversation);
        let texts: Vec<(&Str, Spelled)> =
            literals.iter().filter_map(|text| Some((text, Spelled::of(text.raw(body))?))).collect();
        if texts.iter().any(|(_, spelled)| spelled.text.contains(note::LOOKS_LIKE)) {
            return;
        }
        for (literal, spelled) in &texts {
            let found = find::find(&spelled.text).values;
            if self.values.len() + self.tool_values.len() + found.len() <= MOST {
                let (values, _) = self.take(literal, spelled, &found);
                self.tool_values.extend(values);
            }
        }
    }

    /// Takes values of tool definitions for those of the prompt.
    pub(crate) fn with_tools(&mut self) {
        let moved = u32::try_from(self.tool_values.len()).unwrap_or(u32::MAX);
        self.in_tools = self.in_tools.saturating_sub(moved);
        self.values.append(&mut self.tool_values);
    }

    /// The values of a text by names of their own, and the inside of its literal with placeholders.
    fn take(&self, literal: &Str, spelled: &Spelled, found: &[find::Value]) -> (Vec<Value>, Option<String>) {
        let mut aligned = String::with_capacity(spelled.text.len());
        let mut from = 0;
        let mut values: Vec<Value> = Vec::with_capacity(found.len());
        for value in found {
            let named = self.values.iter().chain(&self.tool_values).chain(&values);
            let same = named.filter(|other| other.name.trim_end_matches(SUFFIX) == value.name);
            let name = match same.count() {
                0 => value.name.clone(),
                before => format!("{} {}", value.name, before + 1),
            };
            aligned.push_str(&spelled.text[from..value.range.start]);
            aligned.push_str(&note::placeholder(&name));
            from = value.range.end;
            let inside = literal.range.start + 1;
            let span = inside + spelled.raw(value.range.start)..inside + spelled.raw(value.range.end);
            values.push(Value { name, value: spelled.text[value.range.clone()].to_owned(), span });
        }
        aligned.push_str(&spelled.text[from..]);
        // Our decoder must give the source back, or nothing is moved.
        if undo(&aligned, values.iter().map(|value| (&*value.name, &*value.value))) != spelled.text {
            return (Vec::new(), None);
        }
        let mut quoted = String::new();
        quote(&aligned, &mut quoted);
        (values, Some(quoted[1..quoted.len() - 1].to_owned()))
    }

    /// The part of the body at `span`, with placeholders for the values in it.
    pub(crate) fn within(&self, body: &str, span: &Range<usize>) -> String {
        let inside = |edit: &Edit| span.start <= edit.span.start && edit.span.end <= span.end;
        let mut edits: Vec<Edit> = self.placeholders().filter(inside).collect();
        edits.sort_by_key(|edit| edit.span.start);
        let mut out = String::with_capacity(span.len());
        let mut from = span.start;
        for edit in edits {
            out.push_str(&body[from..edit.span.start]);
            out.push_str(&edit.text);
            from = edit.span.end;
        }
        out + &body[from..span.end]
    }

    /// Bytes of tool definitions, of `all` that are no white space, that do not change.
    pub(crate) fn constant_tools(&self, all: usize) -> usize {
        let solid = |value: &Value| value.value.bytes().filter(|byte| !byte.is_ascii_whitespace()).count();
        all.saturating_sub(self.tool_values.iter().map(solid).sum())
    }

    /// The inside of the literal with placeholders for its values; `None` if it holds none.
    pub(crate) fn aligned(&self, literal: &Str) -> Option<&str> {
        self.texts.iter().find(|text| text.start == literal.range.start).map(|text| &*text.aligned)
    }

    /// Of all that [`aligned`](Self::aligned) says.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for text in &self.texts {
            for number in [text.start, text.aligned.len()] {
                hasher.update(&(number as u64).to_le_bytes());
            }
            hasher.update(text.aligned.as_bytes());
        }
        *hasher.finalize().as_bytes()
    }

    /// Bytes of all texts that were looked through.
    pub(crate) fn prompt_bytes(&self) -> usize {
        self.bytes
    }

    /// The same without the values.
    pub(crate) fn constant_bytes(&self) -> usize {
        self.bytes.saturating_sub(self.values.iter().map(|value| value.value.len()).sum())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Says what is dynamic, moved or not.
    pub(crate) fn report(&self, report: &mut Report) {
        report.alignment = AlignReport {
            found: u32::try_from(self.values.len()).unwrap_or(u32::MAX),
            unsure: self.unsure,
            in_tools: self.in_tools,
            ..AlignReport::default()
        };
    }

    fn note(&self, tell: impl Fn(&Value) -> bool) -> String {
        let values = self.values.iter().filter(|value| tell(value));
        note::note(values.map(|value| (&*value.name, &*value.value)))
    }

    /// Puts placeholders for the values and tells them: what was told before as it was told, as far
    /// as `records` know it.
    pub(crate) fn move_values(&self, at: &Ground<'_>, records: &[Record], report: &mut Report) -> Moved {
        let mut moved = Moved::default();
        let (Some(first), Some(last)) = (at.points.first(), at.points.last()) else {
            // Nobody has spoken yet: the prompt alone is asked to answer.
            if let Some(place) = place::behind_prompt(at.dialect, at.conversation) {
                moved.edits.extend(place.edits(&self.note(|_| true)));
                report.alignment.notes.push(at.conversation.messages.len() - 1);
                self.stand_in(&mut moved, report);
            }
            return moved;
        };
        let known: HashMap<LedgerKey, Notes> =
            records.iter().filter_map(|record| Some((record.key, Notes::decode(&record.value)?))).collect();
        // Behind the last words, the request may have ended before: a prefill, a message nobody knows.
        let ends = last.message + 1 == at.conversation.messages.len();
        let mut told: HashMap<&str, String> = HashMap::new();
        let mut notes: Vec<(usize, String)> = Vec::new();
        for point in at.points {
            let here = known.get(&point.key);
            let writes = point == last && (ends || here.is_none());
            let before = here.filter(|_| !writes).and_then(|notes| self.best(notes, point == first));
            let note = match before {
                Some(before) => {
                    // Told now as then, it needs no ledger.
                    let again = point == first && before == self.note(|_| true);
                    let put_back = u32::from(!again && !before.is_empty());
                    report.restored += put_back;
                    report.declared_breaks += put_back;
                    before.to_owned()
                }
                None if point == first => {
                    // Whether other values stood there is not known.
                    report.declared_breaks += u32::from(!writes);
                    self.note(|_| true)
                }
                None if writes => self.note(|value| told.get(&*value.name) != Some(&value.value)),
                None => continue,
            };
            let latest = here.and_then(Notes::latest);
            let new = before.is_none() && latest.map_or(!note.is_empty(), |latest| latest != note);
            if new {
                let notes = here.cloned().unwrap_or_default().with(&note);
                moved.records.push(Record::new(point.key, notes.encode()));
            }
            for (name, value) in note::told(&note).unwrap_or_default() {
                if let Some(known) = self.values.iter().find(|value| value.name == name) {
                    told.insert(&known.name, value.to_owned());
                }
            }
            if !note.is_empty() {
                notes.push((point.message, note));
            }
        }
        for (message, note) in notes {
            let Some(place) = place::place(at.dialect, at.conversation, message) else { continue };
            report.alignment.notes.push(message);
            moved.edits.extend(place.edits(&note));
        }
        self.stand_in(&mut moved, report);
        moved
    }

    /// Puts the placeholders where the values stand.
    fn stand_in(&self, moved: &mut Moved, report: &mut Report) {
        moved.edits.extend(self.placeholders());
        report.alignment.moved = report.alignment.found;
    }

    fn placeholders(&self) -> impl Iterator<Item = Edit> {
        self.values.iter().map(|value| {
            let mut literal = String::new();
            quote(&note::placeholder(&value.name), &mut literal);
            Edit { span: value.span.clone(), text: literal[1..literal.len() - 1].into() }
        })
    }

    /// Of what was told at a point, that of this conversation: the one that agrees in most values,
    /// of those the latest. `whole` if it must tell all of them.
    fn best<'a>(&self, notes: &'a Notes, whole: bool) -> Option<&'a str> {
        let agrees = |note: &str| {
            let told = note::told(note)?;
            let known = |(name, _): &(&str, &str)| self.values.iter().any(|value| value.name == *name);
            if !told.iter().all(known) || (whole && told.len() != self.values.len()) {
                return None;
            }
            let same = |(name, value): &&(&str, &str)| {
                self.values.iter().any(|own| own.name == *name && own.value == *value)
            };
            Some(told.iter().filter(same).count())
        };
        // The first of the best: `max_by_key` takes the last.
        let ranked = notes.iter().enumerate().filter_map(|(at, note)| Some((agrees(note)?, at, note)));
        ranked.max_by_key(|(same, at, _)| (*same, std::cmp::Reverse(*at))).map(|(.., note)| note)
    }
}

/// Digits and blanks, as they number names.
const SUFFIX: [char; 11] = [' ', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];

/// The request that values are moved in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) conversation: &'a Conversation,
    pub(crate) points: &'a [Point],
}

/// The points of a conversation: `keys` are those behind each message.
pub(crate) fn points(dialect: Dialect, conversation: &Conversation, keys: &[LedgerKey]) -> Vec<Point> {
    let point = |(message, key): (usize, &LedgerKey)| {
        place::place(dialect, conversation, message).map(|_| Point { message, key: *key })
    };
    keys.iter().enumerate().filter_map(point).collect()
}

/// An entry that tells nothing but that a request of ours ended here.
pub(crate) fn signature(key: LedgerKey) -> Record {
    Record::new(key, Notes::default().encode())
}

/// The text whose placeholders stand for `values`, in order.
pub(crate) fn undo<'a>(aligned: &str, values: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::with_capacity(aligned.len());
    let mut rest = aligned;
    for (name, value) in values {
        let placeholder = note::placeholder(name);
        let Some((before, behind)) = rest.split_once(&placeholder) else { break };
        out.push_str(before);
        out.push_str(value);
        rest = behind;
    }
    out + rest
}

/// A decoded literal, and where its bytes stand in the spelled one.
struct Spelled {
    text: String,
    /// Behind each escape: offsets decoded and spelled.
    escapes: Vec<(usize, usize)>,
}

impl Spelled {
    /// `None` for what is no text.
    fn of(raw: &str) -> Option<Self> {
        let mut text = String::with_capacity(raw.len());
        let mut escapes = Vec::new();
        let mut at = 0;
        while let Some(next) = memchr::memchr(b'\\', &raw.as_bytes()[at..]) {
            text.push_str(&raw[at..at + next]);
            at += next;
            let high = raw.get(at + 2..at + 4).map(str::to_ascii_lowercase);
            let pair = matches!(high.as_deref(), Some("d8" | "d9" | "da" | "db"));
            let length = match raw.as_bytes().get(at + 1)? {
                b'u' if pair => 12,
                b'u' => 6,
                _ => 2,
            };
            text.push_str(&unescape(raw.get(at..at + length)?)?);
            at += length;
            escapes.push((text.len(), at));
        }
        text.push_str(&raw[at..]);
        Some(Self { text, escapes })
    }

    /// Where a decoded offset, at the end of a character, is spelled.
    fn raw(&self, decoded: usize) -> usize {
        let before = self.escapes.partition_point(|(end, _)| *end <= decoded);
        let (end, spelled) = before.checked_sub(1).map_or((0, 0), |at| self.escapes[at]);
        spelled + decoded - end
    }
}

#[cfg(test)]
mod tests;
