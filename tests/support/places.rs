//! Where a rewriting layer may write, found independently of the engine. A new dialect adds an arm.

use std::ops::Range;

use headroom_engine::Dialect;

use crate::json::{elements, members, only, span, text};

/// The dialects that the laws hold for.
pub const DIALECTS: [Dialect; 2] = [Dialect::AnthropicMessages, Dialect::OpenAiChat];

/// The literal of a text of a tool result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The message, from 0.
    pub message: usize,
    /// The block within the message, from 0.
    pub block: usize,
    /// The text within the block, from 0.
    pub part: usize,
    /// Where it stands, quotes included.
    pub span: Range<usize>,
    /// The result is flagged as an error.
    pub is_error: bool,
}

/// The texts of all tool results, in order.
///
/// # Panics
/// If `body` is not JSON, or of a dialect not known here.
#[must_use]
pub fn results(dialect: Dialect, body: &str) -> Vec<Place> {
    let mut found = Vec::new();
    for (message, raw) in elements(only(body, "messages").unwrap_or("")).into_iter().enumerate() {
        let content = only(raw, "content").unwrap_or("");
        match dialect {
            Dialect::AnthropicMessages => {
                for (block, raw) in elements(content).into_iter().enumerate() {
                    let names: Vec<String> = members(raw).into_iter().map(|(name, _)| name).collect();
                    let known = ["type", "content", "tool_use_id", "is_error", "text", "id", "name", "input"];
                    let twice = |name: &&str| names.iter().filter(|other| other == name).count() > 1;
                    let is_error = only(raw, "is_error") == Some("true");
                    if kind(raw) == "tool_result" && !known.iter().any(|name| twice(name)) {
                        for (part, literal) in texts(only(raw, "content").unwrap_or("")).enumerate() {
                            let span = span(body, literal);
                            found.push(Place { message, block, part, span, is_error });
                        }
                    }
                }
            }
            Dialect::OpenAiChat => {
                if role(raw) == "tool" {
                    for (part, literal) in texts(content).enumerate() {
                        let span = span(body, literal);
                        found.push(Place { message, block: 0, part, span, is_error: false });
                    }
                }
            }
            other => panic!("no places known for {}", other.name()),
        }
    }
    found
}

/// A string, or the texts of an array of parts.
fn texts(content: &str) -> impl Iterator<Item = &str> {
    let whole = content.starts_with('"').then_some(content);
    let part = |raw| if kind(raw) == "text" { only(raw, "text") } else { None };
    whole.into_iter().chain(elements(content).into_iter().filter_map(part)).filter(|raw| raw.starts_with('"'))
}

fn kind(raw: &str) -> String {
    only(raw, "type").and_then(text).unwrap_or_default()
}

/// A message's role.
#[must_use]
pub fn role(message: &str) -> String {
    only(message, "role").and_then(text).unwrap_or_default()
}

/// The messages, as they are written.
///
/// # Panics
/// If `body` is not JSON.
#[must_use]
pub fn messages(body: &str) -> Vec<&str> {
    elements(only(body, "messages").unwrap_or(""))
}

/// After how many messages a request of this conversation can end: wherever the model's turn is.
#[must_use]
pub fn ends(body: &str) -> Vec<usize> {
    let messages = messages(body);
    (1..=messages.len()).filter(|end| role(messages[end - 1]) != "assistant").collect()
}

/// The request with its first `count` messages, all else byte for byte.
///
/// # Panics
/// If it has fewer, or none is asked for.
#[must_use]
pub fn cut(body: &str, count: usize) -> String {
    let last = span(body, messages(body)[count - 1]);
    let array = span(body, only(body, "messages").expect("messages"));
    format!("{}{}", &body[..last.end], &body[array.end - 1..])
}
