//! Gemini.

use super::{Call, Content, Part, Talk, Turn, id};
use crate::json::{Json, object};

pub(super) fn body(talk: &Talk) -> Json {
    let config = object([("temperature", Json::Raw("0.70".into()))]);
    let mut body = object([("generationConfig", config)]);
    if !talk.system.is_empty() {
        let parts = talk.system.iter().map(|text| said(text)).collect();
        body.set("systemInstruction", object([("parts", Json::Array(parts))]));
    }
    let contents = talk.turns.iter().enumerate().flat_map(|(at, turn)| contents(at, turn)).collect();
    body.set("contents", Json::Array(contents));
    if let Some(tools) = &talk.tools {
        let tool = |tool: &super::Tool| {
            object([
                ("name", tool.name.as_str().into()),
                ("description", tool.description.as_str().into()),
                ("parameters", object([("type", "OBJECT".into())])),
            ])
        };
        let declared: Vec<Json> = tools.iter().map(tool).collect();
        let tools = match declared.is_empty() {
            true => Vec::new(),
            false => vec![object([("functionDeclarations", Json::Array(declared))])],
        };
        body.set("tools", Json::Array(tools));
    }
    body
}

fn contents(at: usize, turn: &Turn) -> Vec<Json> {
    match turn {
        Turn::Odd(content) => vec![content.clone()],
        Turn::User(parts) => vec![content("user", parts.iter().map(part).collect())],
        Turn::Model { thinks, says, calls, adds } => {
            let mut parts = Vec::new();
            if *thinks {
                parts.push(object([("text", "Hm [~lines 1-2]".into()), ("thought", true.into())]));
            }
            parts.extend(says.as_deref().map(said));
            parts.extend(calls.iter().enumerate().map(|(nth, call)| {
                let mut part =
                    object([("functionCall", function(at, nth, call, "args", call.arguments.clone()))]);
                if nth == 0 {
                    part.set("thoughtSignature", "c2lnbmVk".into());
                }
                part
            }));
            let mut all = vec![content("model", parts)];
            let results = calls.iter().enumerate().map(|(nth, call)| {
                object([("functionResponse", function(at, nth, call, "response", response(call)))])
            });
            let back: Vec<Json> = results.chain(adds.as_deref().map(said)).collect();
            if !back.is_empty() {
                all.push(content("user", back));
            }
            all
        }
    }
}

/// A call or its response; only every other turn's calls have ids.
fn function(at: usize, nth: usize, call: &Call, field: &str, value: Json) -> Json {
    let mut function = object([("name", call.name.as_str().into()), (field, value)]);
    if at.is_multiple_of(2) {
        function.set("id", id(at, nth).into());
    }
    function
}

fn response(call: &Call) -> Json {
    let key = if call.is_error { "error" } else { "output" };
    match &call.content {
        Content::Text(text) => object([(key, text.as_str().into()), ("code", Json::Raw("0".into()))]),
        Content::Parts(parts) => object([("content", Json::Array(parts.iter().map(typed).collect()))]),
        Content::Lone(text) => object([(key, super::content::lone(text))]),
        Content::Null => object([(key, Json::Raw("null".into()))]),
        Content::Absent => object([]),
        Content::Twice(first, second) => {
            object([(key, first.as_str().into()), (key, second.as_str().into())])
        }
    }
}

/// A part of what an MCP server returned.
fn typed(part: &Part) -> Json {
    match part {
        Part::Text(text) => object([("type", "text".into()), ("text", text.as_str().into())]),
        Part::Odd(block) => block.clone(),
        Part::Image => object([("type", "image".into()), ("data", "iVBORw0KGgo=".into())]),
    }
}

fn part(part: &Part) -> Json {
    match part {
        Part::Text(text) => said(text),
        Part::Odd(block) => block.clone(),
        Part::Image => {
            let data = object([("mimeType", "image/png".into()), ("data", "iVBORw0KGgo=".into())]);
            object([("inlineData", data)])
        }
    }
}

fn said(text: &str) -> Json {
    object([("text", text.into())])
}

fn content(role: &str, parts: Vec<Json>) -> Json {
    object([("role", role.into()), ("parts", Json::Array(parts))])
}
