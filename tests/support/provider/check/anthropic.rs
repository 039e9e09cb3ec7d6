//! Anthropic Messages.

use std::collections::HashSet;

use headroom_engine::catalogue::model;
use serde_json::Value;

use super::{Checked, Rejection, array, is_name};
use crate::provider::prefix::blocks;

const MAX_BREAKPOINTS: usize = 4;

pub(super) fn check(body: &Value) -> Checked {
    for field in ["model", "messages", "max_tokens"] {
        if body[field].is_null() {
            return Err(Rejection::invalid(format!("{field}: Field required")));
        }
    }
    if body["max_tokens"].as_u64().is_none() {
        return Err(Rejection::invalid("max_tokens: Input should be a valid integer"));
    }
    if body["messages"].as_array().is_none_or(Vec::is_empty) {
        return Err(Rejection::invalid("messages: at least one message is required"));
    }
    tools(body)?;
    contents(body)?;
    pairing(body)?;
    breakpoints(body)
}

fn tools(body: &Value) -> Checked {
    let mut names = HashSet::new();
    for (at, tool) in array(body, "tools").iter().enumerate() {
        let name = tool["name"].as_str().unwrap_or_default();
        if !is_name(name, 128) {
            return Err(Rejection::invalid(format!(
                "tools.{at}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
            )));
        }
        if !names.insert(name) {
            return Err(Rejection::invalid("tools: Tool names must be unique."));
        }
        let custom = tool.get("type").is_none_or(|kind| kind == "custom");
        if custom && tool["input_schema"]["type"] != "object" {
            return Err(Rejection::invalid(format!("tools.{at}.custom.input_schema: Field required")));
        }
    }
    let choice = body["tool_choice"]["type"].as_str();
    if names.is_empty() && choice.is_some() {
        return Err(Rejection::invalid("tool_choice: may only be specified while providing tools"));
    }
    let forced = body["tool_choice"]["name"].as_str().filter(|_| choice == Some("tool"));
    match forced {
        Some(name) if !names.contains(name) => {
            Err(Rejection::invalid(format!("tool_choice.name: Tool '{name}' not found in provided tools")))
        }
        _ => Ok(()),
    }
}

/// Roles, empty content, and what each block needs.
fn contents(body: &Value) -> Checked {
    let messages = array(body, "messages");
    let thinking = matches!(body["thinking"]["type"].as_str(), Some("enabled" | "adaptive"));
    for (at, message) in messages.iter().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        if !matches!(role, "user" | "assistant" | "system") {
            return Err(Rejection::invalid(format!(
                "messages.{at}.role: Input should be 'user' or 'assistant'"
            )));
        }
        let blocks = blocks(&message["content"]);
        let last = at + 1 == messages.len();
        if blocks.is_empty() && !(last && role == "assistant") {
            return Err(Rejection::invalid(format!(
                "messages.{at}: all messages must have non-empty content except for the optional final assistant message"
            )));
        }
        if role == "assistant" && blocks.last().is_some_and(is_thinking) {
            return Err(Rejection::invalid(format!(
                "messages.{at}: The final block in an assistant message cannot be `thinking`."
            )));
        }
        for (index, block) in blocks.iter().enumerate() {
            self::block(role, block)
                .map_err(|reason| Rejection::invalid(format!("messages.{at}.content.{index}{reason}")))?;
        }
    }
    if messages[0]["role"] != "user" {
        return Err(Rejection::invalid("messages: first message must use the \"user\" role"));
    }
    let prefilled = messages.last().is_some_and(|message| message["role"] == "assistant");
    if prefilled && (thinking || model(body["model"].as_str().unwrap_or_default()).checks_prefix) {
        return Err(Rejection::invalid(
            "This model does not support assistant message prefill. The conversation must end with a user message.",
        ));
    }
    Ok(())
}

fn block(role: &str, block: &Value) -> Result<(), String> {
    let kind = block["type"].as_str().unwrap_or_default();
    match (kind, role) {
        ("text", _) if block["text"].as_str().is_none_or(str::is_empty) => {
            Err(": text content blocks must be non-empty".to_owned())
        }
        ("tool_use", "assistant") => {
            if !block["input"].is_object() {
                return Err(".tool_use.input: Input should be a valid dictionary".to_owned());
            }
            if !is_name(block["name"].as_str().unwrap_or_default(), 200) {
                return Err(".tool_use.name: String should match pattern '^[a-zA-Z0-9_-]{1,200}$'".to_owned());
            }
            if !is_name(block["id"].as_str().unwrap_or_default(), usize::MAX) {
                return Err(".tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'".to_owned());
            }
            Ok(())
        }
        ("tool_use", _) => Err(": `tool_use` blocks can only be in `assistant` messages".to_owned()),
        ("tool_result", "user") => match &block["content"] {
            Value::Null | Value::String(_) => Ok(()),
            Value::Array(parts) if parts.iter().all(|part| part["type"].is_string()) => Ok(()),
            _ => Err(".tool_result.content: Input should be a valid string or list".to_owned()),
        },
        ("tool_result", _) => Err(": `tool_result` blocks can only be in `user` messages".to_owned()),
        ("", _) => Err(".type: Field required".to_owned()),
        _ => Ok(()),
    }
}

fn is_thinking(block: &Value) -> bool {
    matches!(block["type"].as_str(), Some("thinking" | "redacted_thinking"))
}

/// Every call answered at once in the next user message, first of all there, and nothing else
/// answered. Adjacent messages of one role count as one.
fn pairing(body: &Value) -> Checked {
    let mut seen = HashSet::new();
    let mut open: Vec<(usize, String)> = Vec::new();
    let mut before = "";
    let mut other_content = false;
    let mut answered = HashSet::new();
    for (at, message) in array(body, "messages").iter().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        if role == "system" {
            continue;
        }
        if role != before {
            if role == "assistant" {
                unanswered(&open)?;
                open.clear();
            }
            other_content = false;
            answered.clear();
        }
        before = role;
        for (index, block) in blocks(&message["content"]).iter().enumerate() {
            let id = |key: &str| block[key].as_str().unwrap_or_default().to_owned();
            match block["type"].as_str() {
                Some("tool_use") => {
                    if !seen.insert(id("id")) {
                        return Err(Rejection::invalid("messages: `tool_use` ids must be unique"));
                    }
                    open.push((at, id("id")));
                }
                Some("tool_result") => {
                    let id = id("tool_use_id");
                    if answered.contains(&id) {
                        return Err(Rejection::invalid(format!(
                            "messages.{at}.content.{index}: each tool_use must have a single result. Found multiple `tool_result` blocks with id: {id}"
                        )));
                    }
                    let Some(which) = open.iter().position(|(_, call)| *call == id) else {
                        return Err(Rejection::invalid(format!(
                            "messages.{at}.content.{index}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
                        )));
                    };
                    if other_content {
                        // A result behind other content does not count as an answer.
                        return unanswered(&open);
                    }
                    open.remove(which);
                    answered.insert(id);
                }
                _ if role == "user" => other_content = true,
                _ => {}
            }
        }
    }
    unanswered(&open)
}

fn unanswered(open: &[(usize, String)]) -> Checked {
    let Some((at, _)) = open.first() else { return Ok(()) };
    let ids: Vec<&str> = open.iter().map(|(_, id)| id.as_str()).collect();
    Err(Rejection::invalid(format!(
        "messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
        ids.join(", ")
    )))
}

fn breakpoints(body: &Value) -> Checked {
    let marked = |value: &Value| value.get("cache_control").is_some_and(|control| !control.is_null());
    let mut found = usize::from(marked(body));
    found += array(body, "tools").iter().filter(|tool| marked(tool)).count();
    found += array(body, "system").iter().filter(|block| marked(block)).count();
    for block in array(body, "messages").iter().flat_map(|message| array(message, "content")) {
        found += usize::from(marked(block));
        found += array(block, "content").iter().filter(|part| marked(part)).count();
    }
    if found > MAX_BREAKPOINTS {
        return Err(Rejection::invalid(format!(
            "A maximum of {MAX_BREAKPOINTS} blocks with cache_control may be provided. Found {found}."
        )));
    }
    Ok(())
}
