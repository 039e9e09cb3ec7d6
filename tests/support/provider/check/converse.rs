//! Bedrock Converse.

use serde_json::Value;

use super::{Checked, Rejection, array, is_name};

/// `stream` is none of the API's: it stands for the operation that a client chose.
const FIELDS: [&str; 10] = [
    "messages",
    "system",
    "inferenceConfig",
    "toolConfig",
    "guardrailConfig",
    "additionalModelRequestFields",
    "additionalModelResponseFieldPaths",
    "requestMetadata",
    "performanceConfig",
    "stream",
];
const BLOCKS: [&str; 7] =
    ["text", "image", "document", "toolUse", "toolResult", "reasoningContent", "cachePoint"];
const PARTS: [&str; 5] = ["text", "json", "image", "document", "video"];

pub(super) fn check(body: &Value) -> Checked {
    for name in body.as_object().into_iter().flat_map(|body| body.keys()) {
        if !FIELDS.contains(&name.as_str()) {
            return invalid(format!(
                "The model returned the following errors: {name}: extra fields not permitted"
            ));
        }
    }
    for tool in array(&body["toolConfig"], "tools") {
        let spec = &tool["toolSpec"];
        if spec.is_object() && !is_name(spec["name"].as_str().unwrap_or_default(), 64) {
            return invalid("Value at 'toolConfig.tools.member.toolSpec.name' failed to satisfy constraint");
        }
        if spec.is_object() && !spec["inputSchema"]["json"].is_object() {
            return invalid("The value at toolConfig.tools.toolSpec.inputSchema.json must be an object.");
        }
    }
    let mut asked: Vec<&str> = Vec::new();
    let mut before = "assistant";
    for (at, message) in array(body, "messages").iter().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        if role == before || !matches!(role, "user" | "assistant") {
            return invalid(if at == 0 {
                "A conversation must start with a user message. Try again with a conversation that starts with a user message."
            } else {
                "A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again."
            });
        }
        before = role;
        let blocks = array(message, "content");
        if blocks.is_empty() {
            return invalid(format!("The content field in the Message object at messages.{at} is empty."));
        }
        let mut given: Vec<&str> = Vec::new();
        for (nth, block) in blocks.iter().enumerate() {
            one_of(block, &BLOCKS, &format!("messages.{at}.content.{nth}"))?;
            if block["text"].as_str().is_some_and(|text| text.trim().is_empty()) {
                return invalid(format!(
                    "The text field in the ContentBlock object at messages.{at}.content.{nth} is blank. Add text to the text field, and try again."
                ));
            }
            let result = &block["toolResult"];
            if result.is_object() {
                given.push(result["toolUseId"].as_str().unwrap_or_default());
                for (part, value) in array(result, "content").iter().enumerate() {
                    let place = format!("messages.{at}.content.{nth}.toolResult.content.{part}");
                    one_of(value, &PARTS, &place)?;
                    if value.get("json").is_some_and(|json| !json.is_object()) {
                        return invalid(format!("The format of the value at {place}.json is invalid."));
                    }
                }
            }
        }
        asked.sort_unstable();
        given.sort_unstable();
        if role == "user" && given != asked {
            return invalid(format!(
                "Expected toolResult blocks at messages.{at}.content for the following Ids: {}",
                asked.join(", ")
            ));
        }
        asked = blocks.iter().filter_map(|block| block["toolUse"]["toolUseId"].as_str()).collect();
    }
    match before {
        "user" => Ok(()),
        _ => invalid("A conversation must end with a user message."),
    }
}

/// A union: one member, of those known.
fn one_of(value: &Value, known: &[&str], place: &str) -> Checked {
    let keys: Vec<&String> = value.as_object().into_iter().flat_map(|value| value.keys()).collect();
    match keys.as_slice() {
        [key] if known.contains(&key.as_str()) => Ok(()),
        _ => invalid(format!("Member must be a union with one value at {place}")),
    }
}

fn invalid(message: impl Into<String>) -> Checked {
    Err(Rejection::invalid(message))
}
