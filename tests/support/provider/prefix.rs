//! A conversation as the model reads it: a chain of hashes with running token counts.
//!
//! The prompt cache and the binding of thinking both ask the same thing, whether everything before
//! a point is what it was. Here that is one hash a block, made from the JSON values without
//! `cache_control`, adjacent messages of one role flowing together as the provider merges them.

use std::collections::{BTreeMap, HashMap};

use headroom_engine::tokens::{O200k, TokenCounter};
use serde_json::{Value, json};

use crate::Dialect;

/// What an image costs, whatever its size.
const IMAGE_TOKENS: usize = 1_500;
/// What separates blocks.
const FRAME_TOKENS: usize = 3;

/// One block (Anthropic) or message (OpenAI), or a tool.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) kind: String,
    pub(super) breakpoint: bool,
    pub(super) tokens: usize,
}

/// The chain of one request.
#[derive(Clone, Debug, Default)]
pub(super) struct Prefix {
    hashes: Vec<[u8; 32]>,
    items: Vec<Item>,
    /// Before each assistant block: message, block, chain before it.
    anchors: Vec<(usize, usize, [u8; 32])>,
    end: [u8; 32],
}

/// Token counts of items seen before.
pub(super) type Counts = HashMap<[u8; 32], usize>;

impl Prefix {
    pub(super) fn of(dialect: Dialect, body: &Value, counts: &mut Counts) -> Self {
        let mut prefix =
            Self { end: *blake3::hash(body["model"].to_string().as_bytes()).as_bytes(), ..Self::default() };
        let listed = if dialect == Dialect::Converse { &body["toolConfig"]["tools"] } else { &body["tools"] };
        for tool in listed.as_array().into_iter().flatten() {
            prefix.push("tool", tool, counts);
        }
        for block in blocks(&body["system"]) {
            prefix.push("system", &block, counts);
        }
        let messages = body[dialect.list()].as_array().into_iter().flatten();
        for (at, message) in messages.enumerate() {
            let role = message["role"].as_str().unwrap_or_default();
            if dialect != Dialect::Anthropic {
                prefix.push(role, message, counts);
                continue;
            }
            for (index, block) in blocks(&message["content"]).into_iter().enumerate() {
                if role == "assistant" {
                    prefix.anchors.push((at, index, prefix.end));
                }
                prefix.push(role, &block, counts);
            }
        }
        prefix
    }

    pub(super) fn hashes(&self) -> &[[u8; 32]] {
        &self.hashes
    }

    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    /// The chain at the end.
    pub(super) fn end(&self) -> [u8; 32] {
        self.end
    }

    /// The chain before a block of an assistant message.
    pub(super) fn before(&self, message: usize, block: usize) -> Option<[u8; 32]> {
        self.anchors.iter().find(|(at, index, _)| (*at, *index) == (message, block)).map(|(_, _, hash)| *hash)
    }

    /// Tokens of the first `items` items.
    pub(super) fn tokens(&self, items: usize) -> usize {
        self.items[..items].iter().map(|item| item.tokens).sum()
    }

    pub(super) fn total(&self) -> usize {
        self.tokens(self.items.len())
    }

    fn push(&mut self, role: &str, value: &Value, counts: &mut Counts) {
        let breakpoint = value.get("cache_control").is_some_and(|control| !control.is_null());
        let own = digest(role, value);
        let tokens = *counts.entry(own).or_insert_with(|| FRAME_TOKENS + count(role, value));
        let kind = value["type"].as_str().unwrap_or(role).to_owned();
        self.end = link(self.end, own);
        self.hashes.push(self.end);
        self.items.push(Item { kind, breakpoint, tokens });
    }
}

/// The chain behind a further block.
pub(super) fn extend(chain: [u8; 32], role: &str, value: &Value) -> [u8; 32] {
    link(chain, digest(role, value))
}

/// A string is one text block.
pub(crate) fn blocks(content: &Value) -> Vec<Value> {
    match content {
        Value::String(text) => vec![json!({"type": "text", "text": text})],
        Value::Array(blocks) => blocks.clone(),
        _ => Vec::new(),
    }
}

fn link(chain: [u8; 32], own: [u8; 32]) -> [u8; 32] {
    *blake3::keyed_hash(&chain, &own).as_bytes()
}

fn digest(role: &str, value: &Value) -> [u8; 32] {
    let mut value = value.clone();
    strip(&mut value);
    let mut hasher = blake3::Hasher::new();
    hasher.update(role.as_bytes());
    hasher.update(&[0]);
    hash(&value, &mut hasher);
    *hasher.finalize().as_bytes()
}

/// A value by its JSON text, with the fields of objects in one order: a provider does not ask for
/// theirs, and whether `serde_json` keeps it is up to whoever else is in the build.
fn hash(value: &Value, hasher: &mut blake3::Hasher) {
    match value {
        Value::Object(fields) => {
            hasher.update(b"{");
            for (name, value) in fields.iter().collect::<BTreeMap<_, _>>() {
                hasher.update(json!(name).to_string().as_bytes());
                hash(value, hasher);
            }
            hasher.update(b"}");
        }
        Value::Array(values) => {
            hasher.update(b"[");
            values.iter().for_each(|value| hash(value, hasher));
            hasher.update(b"]");
        }
        plain => {
            hasher.update(plain.to_string().as_bytes()).update(b",");
        }
    }
}

/// Takes `cache_control` off a block and its parts, never out of tool arguments.
fn strip(value: &mut Value) {
    let Value::Object(fields) = value else { return };
    fields.remove("cache_control");
    if let Some(Value::Array(parts)) = fields.get_mut("content") {
        for part in parts {
            if let Value::Object(fields) = part {
                fields.remove("cache_control");
            }
        }
    }
}

/// Tokens that a model reads of this.
fn count(role: &str, value: &Value) -> usize {
    let text = |value: &Value| O200k.count(value.as_str().unwrap_or_default());
    let content = |content: &Value| match content {
        Value::Array(parts) => parts.iter().map(part).sum(),
        other => text(other),
    };
    if role == "tool" && value.get("role").is_none() {
        return O200k.count(&value.to_string());
    }
    match value["type"].as_str() {
        Some("tool_result") => content(&value["content"]),
        Some("tool_use") => text(&value["name"]) + O200k.count(&value["input"].to_string()),
        Some("thinking") => text(&value["thinking"]),
        Some(_) => part(value),
        None => {
            let calls = value["tool_calls"].as_array().into_iter().flatten();
            let calls = calls.map(|call| {
                text(&call["function"]["name"]) + text(&call["function"]["arguments"]) + FRAME_TOKENS
            });
            content(&value["content"]) + calls.sum::<usize>()
        }
    }
}

fn part(value: &Value) -> usize {
    match value["type"].as_str() {
        Some("text") => O200k.count(value["text"].as_str().unwrap_or_default()),
        Some("image" | "image_url") => IMAGE_TOKENS,
        _ => O200k.count(&value.to_string()),
    }
}
