//! A turn of the model as bytes.

mod anthropic;
mod converse;
mod gemini;
mod openai;
mod responses;

use headroom_engine::eventstream;
use serde_json::Value;

use super::{received::Received, script::Turn};
use crate::Dialect;

/// One server-sent event: its name, if the dialect names events, and its data.
#[derive(Debug)]
pub(super) struct Event {
    name: Option<&'static str>,
    data: String,
}

impl Event {
    fn named(name: &'static str, data: &Value) -> Self {
        Self { name: Some(name), data: data.to_string() }
    }

    fn data(data: &Value) -> Self {
        Self { name: None, data: data.to_string() }
    }

    /// As a frame: of Converse, or around one of Anthropic's events.
    pub(super) fn frame(&self, dialect: Dialect) -> Vec<u8> {
        let name = self.name.unwrap_or_default();
        let frame = match dialect {
            _ if name.ends_with("Exception") => eventstream::exception(name, &self.data),
            Dialect::Converse => eventstream::event(name, &self.data),
            _ => eventstream::chunk(&self.data),
        };
        frame.to_vec()
    }

    pub(super) fn bytes(&self, newline: &str) -> Vec<u8> {
        let name = self.name.map(|name| format!("event: {name}{newline}")).unwrap_or_default();
        format!("{name}data: {}{newline}{newline}", self.data).into_bytes()
    }
}

/// What the provider's own fields say of an answer.
#[derive(Debug)]
pub(super) struct Meta<'a> {
    pub(super) request: &'a Received,
    pub(super) id: String,
    pub(super) output: usize,
}

pub(super) fn json(meta: &Meta<'_>, turn: &Turn) -> Value {
    match meta.request.dialect() {
        Some(Dialect::OpenAi) => openai::json(meta, turn),
        Some(Dialect::Responses) => responses::json(meta, turn),
        Some(Dialect::Gemini) => gemini::json(meta, turn),
        Some(Dialect::Converse) => converse::json(meta, turn),
        _ => anthropic::json(meta, turn),
    }
}

pub(super) fn events(meta: &Meta<'_>, turn: &Turn) -> Vec<Event> {
    match meta.request.dialect() {
        Some(Dialect::OpenAi) => openai::events(meta, turn),
        Some(Dialect::Responses) => responses::events(meta, turn),
        Some(Dialect::Gemini) => gemini::events(meta, turn),
        Some(Dialect::Converse) => converse::events(meta, turn),
        _ => anthropic::events(meta, turn),
    }
}

/// The event that reports an error in a stream.
pub(super) fn error_event(dialect: Dialect, body: &Value) -> Event {
    match dialect {
        Dialect::Anthropic => Event::named("error", body),
        Dialect::Converse => Event::named("modelStreamErrorException", body),
        Dialect::OpenAi | Dialect::Gemini => Event::data(body),
        Dialect::Responses => {
            let error = &body["error"];
            let data = serde_json::json!({"type": "error", "sequence_number": 0, "code": error["type"],
                "message": error["message"], "param": null});
            Event::named("error", &data)
        }
    }
}

/// `text` in pieces of so many characters; one empty piece if there is none.
fn pieces(text: &str, characters: usize) -> Vec<&str> {
    let mut cuts: Vec<usize> = text.char_indices().step_by(characters).map(|(at, _)| at).collect();
    cuts.push(text.len());
    if cuts.len() == 1 {
        return vec![text];
    }
    cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect()
}
