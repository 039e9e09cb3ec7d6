//! OpenAI Chat Completions.

use std::collections::HashSet;

use serde_json::Value;

use super::{Checked, Rejection, array, is_name};

pub(super) fn check(body: &Value) -> Checked {
    if !body["model"].is_string() {
        return Err(Rejection::invalid("you must provide a model parameter"));
    }
    if !body["messages"].is_array() {
        return Err(Rejection::invalid("Missing required parameter: 'messages'.")
            .param("messages")
            .code("missing_required_parameter"));
    }
    if array(body, "messages").is_empty() {
        return Err(too_short("messages"));
    }
    if !body["stream_options"].is_null() && body["stream"] != true {
        return Err(Rejection::invalid(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        )
        .param("stream_options"));
    }
    tools(body)?;
    contents(body)?;
    pairing(body)
}

fn too_short(field: &str) -> Rejection {
    Rejection::invalid(format!(
        "Invalid '{field}': empty array. Expected an array with minimum length 1, but got an empty array instead."
    ))
    .param(field)
    .code("empty_array")
}

fn tools(body: &Value) -> Checked {
    if body["tools"].is_null() {
        for field in ["tool_choice", "parallel_tool_calls"] {
            if !body[field].is_null() {
                return Err(Rejection::invalid(format!(
                    "'{field}' is only allowed when 'tools' are specified."
                ))
                .param(field));
            }
        }
        return Ok(());
    }
    if array(body, "tools").is_empty() {
        return Err(too_short("tools"));
    }
    for (at, tool) in array(body, "tools").iter().enumerate() {
        let field = match tool["type"].as_str() {
            Some("function") => &tool["function"],
            Some("custom") => &tool["custom"],
            _ => {
                return Err(Rejection::invalid(format!("Missing required parameter: 'tools[{at}].type'."))
                    .param(format!("tools[{at}].type"))
                    .code("missing_required_parameter"));
            }
        };
        if !is_name(field["name"].as_str().unwrap_or_default(), 64) {
            return Err(Rejection::invalid(format!(
                "Invalid 'tools[{at}].function.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
            ))
            .param(format!("tools[{at}].function.name"))
            .code("invalid_value"));
        }
    }
    Ok(())
}

fn contents(body: &Value) -> Checked {
    for (at, message) in array(body, "messages").iter().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        if !matches!(role, "system" | "developer" | "user" | "assistant" | "tool" | "function") {
            return Err(Rejection::invalid(format!(
                "Invalid value: '{role}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'."
            ))
            .param(format!("messages[{at}].role"))
            .code("invalid_value"));
        }
        let calls = &message["tool_calls"];
        if calls.as_array().is_some_and(Vec::is_empty) {
            return Err(too_short(&format!("messages[{at}].tool_calls")));
        }
        let spoken = !calls.is_null() || !message["refusal"].is_null() || !message["function_call"].is_null();
        if message["content"].is_null() && !(role == "assistant" && spoken) {
            return Err(Rejection::invalid(format!(
                "Invalid value for 'content': expected a string, got null. (messages[{at}])"
            ))
            .param(format!("messages[{at}].content")));
        }
        for (index, call) in array(message, "tool_calls").iter().enumerate() {
            let function = &call["function"];
            let whole =
                call["id"].is_string() && function["name"].is_string() && function["arguments"].is_string();
            if !whole && call["type"] != "custom" {
                let field = format!("messages[{at}].tool_calls[{index}]");
                return Err(Rejection::invalid(format!(
                    "Missing required parameter: '{field}.function.arguments'."
                ))
                .param(field)
                .code("missing_required_parameter"));
            }
        }
    }
    Ok(())
}

/// Every call answered before the next message that is no tool message, in any order.
fn pairing(body: &Value) -> Checked {
    let mut open: Vec<&str> = Vec::new();
    let mut seen = HashSet::new();
    let mut asked = false;
    for (at, message) in array(body, "messages").iter().enumerate() {
        if message["role"] == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or_default();
            let Some(which) = open.iter().position(|call| *call == id) else {
                let message = if asked {
                    format!(
                        "Invalid parameter: 'tool_call_id' of '{id}' not found in 'tool_calls' of previous message."
                    )
                } else {
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.".to_owned()
                };
                return Err(Rejection::invalid(message).param(format!("messages.[{at}].role")));
            };
            open.remove(which);
            continue;
        }
        unanswered(&open, at)?;
        asked = !array(message, "tool_calls").is_empty();
        for call in array(message, "tool_calls") {
            let id = call["id"].as_str().unwrap_or_default();
            if !seen.insert(id) {
                return Err(Rejection::invalid(format!(
                    "Duplicate value for 'tool_call_id' of '{id}' in message[{at}]"
                )));
            }
            open.push(id);
        }
    }
    unanswered(&open, array(body, "messages").len())
}

fn unanswered(open: &[&str], at: usize) -> Checked {
    if open.is_empty() {
        return Ok(());
    }
    Err(Rejection::invalid(format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: {}",
        open.join(", ")
    ))
    .param(format!("messages.[{at}].role")))
}
