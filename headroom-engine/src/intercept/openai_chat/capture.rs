//! Rebuilds the assistant message from its deltas.

use super::call;
use crate::intercept::{
    pieces::Pieces,
    raw::{Object, Raw, decode, quoted},
    round::{Block, Kind},
};

/// The message while it streams.
#[derive(Debug, Default)]
pub(super) struct Capture {
    /// Escapes as they came.
    content: Pieces,
    has_text: bool,
    /// Fields we know nothing about.
    fields: Fields,
    pub(super) calls: Vec<CallCapture>,
}

/// One call while it streams.
#[derive(Debug, Default)]
pub(super) struct CallCapture {
    id: String,
    kind: String,
    /// Decoded.
    pub(super) name: String,
    arguments: Pieces,
    fields: Fields,
    /// Of another type than a function.
    pub(super) foreign: bool,
}

/// Fields of an object that arrives in pieces: strings and arrays grow, other values stand once.
#[derive(Debug, Default)]
struct Fields {
    values: Vec<(String, Field)>,
    lost: bool,
}

/// Strings and arrays without what encloses them.
#[derive(Debug)]
enum Field {
    Text(Pieces),
    Array(String),
    Once(String),
}

impl Capture {
    pub(super) fn delta(&mut self, delta: &Object<'_>) {
        for (key, value) in delta.members() {
            match key {
                "role" | "tool_calls" => {}
                "content" => match value.inner() {
                    Some(more) => self.content.push_str(more),
                    None => self.fields.lost |= !value.is_null(),
                },
                _ => self.fields.grow(key, value),
            }
        }
    }

    /// Whether the message that was told says anything.
    pub(super) fn has_text(&self) -> bool {
        self.has_text
    }

    /// The message, its blocks, and whether it is all there; nothing but that is left here.
    pub(super) fn message(&mut self, tool: &str) -> (String, Vec<Block>, bool) {
        let is_empty = self.content.is_empty();
        let mut content = self.content.take("\"");
        content.push('"');
        let text = decode(&content[1..content.len() - 1]);
        self.has_text = !text.trim().is_empty();
        let shown = if is_empty { "null" } else { &content };
        let calls: Vec<String> = self.calls.iter_mut().map(CallCapture::json).collect();
        let mut message = format!("{{\"role\":\"assistant\",\"content\":{shown}{}", self.fields.members());
        drop(content);
        if !calls.is_empty() {
            message.push_str(&format!(",\"tool_calls\":[{}]", calls.join(",")));
        }
        message.push('}');
        let mut blocks = Vec::new();
        if !is_empty {
            blocks.push(Block { raw: String::new(), kind: Kind::Text(text) });
        }
        blocks.extend(calls.iter().filter_map(|json| Some(call(Raw::parse(json)?, tool))));
        let whole = !self.fields.lost && self.calls.iter().all(|call| !call.fields.lost && !call.foreign);
        (message, blocks, whole)
    }
}

impl CallCapture {
    pub(super) fn delta(&mut self, delta: &Object<'_>) {
        for (key, value) in delta.members() {
            match key {
                "index" => {}
                "id" => set(&mut self.id, value),
                "type" => set(&mut self.kind, value),
                "function" => {
                    for (key, value) in value.object().iter().flat_map(Object::members) {
                        match key {
                            "name" => self.name.push_str(&value.string().unwrap_or_default()),
                            "arguments" => self.arguments.push_str(value.inner().unwrap_or_default()),
                            _ => self.fields.lost |= !value.is_null(),
                        }
                    }
                }
                "custom" => self.foreign = true,
                _ => self.fields.grow(key, value),
            }
        }
    }

    pub(super) fn has_arguments(&self) -> bool {
        !self.arguments.is_empty()
    }

    fn json(&mut self) -> String {
        let kind = if self.kind.is_empty() { "function" } else { &self.kind };
        format!(
            "{{\"id\":\"{}\",\"type\":\"{kind}\",\"function\":{{\"name\":{},\"arguments\":\"{}\"}}{}}}",
            self.id,
            quoted(&self.name),
            self.arguments.take(""),
            self.fields.members()
        )
    }
}

/// Takes a string that stands once, though some servers repeat it or send it empty.
fn set(slot: &mut String, value: Raw<'_>) {
    if let Some(inner) = value.inner().filter(|inner| !inner.is_empty()) {
        inner.clone_into(slot);
    }
}

impl Fields {
    fn grow(&mut self, key: &str, value: Raw<'_>) {
        if value.is_null() {
            return;
        }
        let new = Field::of(value);
        match self.values.iter_mut().find(|(name, _)| name == key) {
            None => self.values.push((key.to_owned(), new)),
            Some((_, old)) => match (old, new) {
                (Field::Text(old), Field::Text(mut more)) => old.push_str(&more.take("")),
                (Field::Array(old), Field::Array(more)) => {
                    if !old.is_empty() && !more.is_empty() {
                        old.push(',');
                    }
                    old.push_str(&more);
                }
                (Field::Once(old), Field::Once(new)) => self.lost |= *old != new,
                _ => self.lost = true,
            },
        }
    }

    fn members(&mut self) -> String {
        self.values.iter_mut().map(|(key, value)| format!(",{}:{}", quoted(key), value.json())).collect()
    }
}

impl Field {
    fn of(value: Raw<'_>) -> Self {
        match (value.inner(), value.array()) {
            (Some(inner), _) => {
                let mut text = Pieces::default();
                text.push_str(inner);
                Self::Text(text)
            }
            (_, Some(items)) => {
                Self::Array(items.iter().map(|item| item.text()).collect::<Vec<_>>().join(","))
            }
            _ => Self::Once(value.text().to_owned()),
        }
    }

    fn json(&mut self) -> String {
        match self {
            Self::Text(inner) => {
                let mut literal = inner.take("\"");
                literal.push('"');
                literal
            }
            Self::Array(items) => format!("[{items}]"),
            Self::Once(json) => json.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(deltas: &[&str]) -> Capture {
        let mut capture = Capture::default();
        for delta in deltas {
            capture.delta(&Raw::parse(delta).unwrap().object().unwrap());
        }
        capture
    }

    #[test]
    fn edge_46_fields_we_do_not_know_come_back() {
        let mut capture = capture(&[
            r#"{"role":"assistant","content":"","refusal":null,"reasoning_content":"a"}"#,
            r#"{"content":null,"reasoning_content":"\u00e9","reasoning_details":[{"t":1.0}]}"#,
            r#"{"content":"x","reasoning_details":[{"t":2}]}"#,
        ]);
        let (message, _, whole) = capture.message("ours");
        assert_eq!(
            message,
            r#"{"role":"assistant","content":"x","reasoning_content":"a\u00e9","reasoning_details":[{"t":1.0},{"t":2}]}"#
        );
        assert!(whole);
    }

    #[test]
    fn what_cannot_be_merged_is_known_to_be_lost() {
        assert!(!capture(&[r#"{"audio":{"data":"a"}}"#, r#"{"audio":{"data":"b"}}"#]).message("ours").2);
        assert!(!capture(&[r#"{"content":[]}"#]).message("ours").2);
    }

    #[test]
    fn a_call_keeps_what_stands_beside_it() {
        let mut call = CallCapture::default();
        for delta in [
            r#"{"index":0,"id":"c","type":"function","function":{"name":"ou","arguments":""},"extra_content":{"sig":"s"}}"#,
            r#"{"index":0,"id":"","function":{"name":"rs","arguments":"{\"a"}}"#,
            r#"{"index":0,"function":{"arguments":"\":1}"}}"#,
        ] {
            call.delta(&Raw::parse(delta).unwrap().object().unwrap());
        }
        assert_eq!(
            call.json(),
            r#"{"id":"c","type":"function","function":{"name":"ours","arguments":"{\"a\":1}"},"extra_content":{"sig":"s"}}"#
        );
    }
}
