//! OpenAI Responses.

use serde_json::Value;

use super::{Checked, Rejection, array, is_name};

const OUTPUTS: [&str; 2] = ["function_call_output", "custom_tool_call_output"];

pub(super) fn check(body: &Value) -> Checked {
    if !body["model"].is_string() {
        return Err(Rejection::invalid("Missing required parameter: 'model'."));
    }
    if !body["messages"].is_null() {
        return Err(Rejection::invalid(
            "Unsupported parameter: 'messages'. In the Responses API, this parameter has moved to 'input'.",
        ));
    }
    for (at, tool) in array(body, "tools").iter().enumerate() {
        if tool["type"] == "function" && !is_name(tool["name"].as_str().unwrap_or_default(), 64) {
            return Err(Rejection::invalid(format!("Missing required parameter: 'tools[{at}].name'.")));
        }
    }
    if body["input"].is_string() {
        return Ok(());
    }
    if array(body, "input").is_empty() {
        return Err(Rejection::invalid("Missing required parameter: 'input'.").param("input"));
    }
    let mut open: Vec<&str> = Vec::new();
    for (at, item) in array(body, "input").iter().enumerate() {
        let string = |field: &str| item[field].as_str();
        match string("type").unwrap_or("message") {
            "message" => message(item, at)?,
            "reasoning" => {
                let sealed = string("encrypted_content").is_some_and(|sealed| !sealed.is_empty());
                if body["store"] == false && !sealed {
                    return Err(Rejection::new(
                        404,
                        "invalid_request_error",
                        format!(
                            "Item with id '{}' not found. Items are not persisted when `store` is set to false. Try again with `store` set to true, or remove this item from your input.",
                            string("id").unwrap_or_default()
                        ),
                    ));
                }
            }
            "function_call" => {
                let (Some(id), Some(_), Some(_)) = (string("call_id"), string("name"), string("arguments"))
                else {
                    return Err(missing(at, "call_id"));
                };
                if open.contains(&id) {
                    return Err(Rejection::invalid(format!("Duplicate call_id {id} in input[{at}].")));
                }
                open.push(id);
            }
            kind if OUTPUTS.contains(&kind) => {
                let id = string("call_id").unwrap_or_default();
                let Some(which) = open.iter().position(|call| *call == id) else {
                    return Err(Rejection::invalid(format!(
                        "No tool call found for function call output with call_id {id}."
                    )));
                };
                open.remove(which);
                if !item["output"].is_string() && !item["output"].is_array() {
                    return Err(missing(at, "output"));
                }
            }
            other => {
                return Err(
                    Rejection::invalid(format!("Invalid value: '{other}'.")).param(format!("input[{at}]"))
                );
            }
        }
    }
    match open.first() {
        None => Ok(()),
        Some(id) => Err(Rejection::invalid(format!("No tool output found for function call {id}."))),
    }
}

fn message(item: &Value, at: usize) -> Checked {
    let role = item["role"].as_str().unwrap_or_default();
    let kinds: &[&str] = match role {
        "user" | "system" | "developer" => &["input_text", "input_image", "input_file"],
        "assistant" => &["output_text", "refusal"],
        _ => return Err(missing(at, "role")),
    };
    if item["content"].is_string() {
        return Ok(());
    }
    let part = |part: &Value| kinds.contains(&part["type"].as_str().unwrap_or_default());
    match item["content"].as_array() {
        Some(parts) if parts.iter().all(part) => Ok(()),
        _ => Err(missing(at, "content")),
    }
}

fn missing(at: usize, field: &str) -> Rejection {
    let param = format!("input[{at}].{field}");
    Rejection::invalid(format!("Missing required parameter: '{param}'.")).param(param)
}
