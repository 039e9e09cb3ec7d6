//! Bedrock Converse.

use super::{Call, Content, Part, Talk, Turn, id};
use crate::json::{Json, object};

pub(super) fn body(talk: &Talk) -> Json {
    let mut body = object([("inferenceConfig", object([("temperature", Json::Raw("0.70".into()))]))]);
    if !talk.system.is_empty() {
        body.set("system", Json::Array(talk.system.iter().map(|text| said(text)).collect()));
    }
    let messages = talk.turns.iter().enumerate().flat_map(|(at, turn)| messages(at, turn)).collect();
    body.set("messages", Json::Array(messages));
    if let Some(tools) = &talk.tools {
        let tool = |tool: &super::Tool| {
            let schema = object([("json", object([("type", "object".into())]))]);
            let spec = object([
                ("name", tool.name.as_str().into()),
                ("description", tool.description.as_str().into()),
                ("inputSchema", schema),
            ]);
            object([("toolSpec", spec)])
        };
        let tools = Json::Array(tools.iter().map(tool).collect());
        body.set("toolConfig", object([("tools", tools)]));
    }
    body
}

fn messages(at: usize, turn: &Turn) -> Vec<Json> {
    match turn {
        Turn::Odd(message) => vec![message.clone()],
        Turn::User(parts) => vec![message("user", parts.iter().map(part).collect())],
        Turn::Model { thinks, says, calls, adds } => {
            let mut blocks = Vec::new();
            if *thinks {
                let text = object([
                    ("text", "Hm [~lines 1-2] \u{2026}".into()),
                    ("signature", format!("EqQBCkYI{at}+/==").into()),
                ]);
                blocks.push(object([("reasoningContent", object([("reasoningText", text)]))]));
            }
            blocks.extend(says.as_deref().map(said));
            blocks.extend(calls.iter().enumerate().map(|(nth, call)| {
                let call = object([
                    ("toolUseId", id(at, nth).into()),
                    ("name", call.name.as_str().into()),
                    ("input", call.arguments.clone()),
                ]);
                object([("toolUse", call)])
            }));
            let mut all = vec![message("assistant", blocks)];
            if !calls.is_empty() {
                let results = calls.iter().enumerate().map(|(nth, call)| result(at, nth, call));
                let mut blocks: Vec<Json> = results.chain(adds.as_deref().map(said)).collect();
                if at.is_multiple_of(3) {
                    blocks.push(object([("cachePoint", object([("type", "default".into())]))]));
                }
                all.push(message("user", blocks));
            }
            all
        }
    }
}

fn result(at: usize, nth: usize, call: &Call) -> Json {
    let mut members: Vec<(String, Json)> = vec![("toolUseId".into(), id(at, nth).into())];
    let mut content = |parts: Vec<Json>| members.push(("content".into(), Json::Array(parts)));
    match &call.content {
        // What an MCP server calls structured.
        Content::Text(text) if at % 4 == 3 => {
            let value = object([("output", text.as_str().into()), ("code", Json::Raw("0".into()))]);
            content(vec![object([("json", value)])]);
        }
        Content::Text(text) => content(vec![said(text)]),
        Content::Parts(parts) => content(parts.iter().map(part).collect()),
        Content::Lone(text) => content(vec![object([("text", super::content::lone(text))])]),
        Content::Null => members.push(("content".into(), Json::Raw("null".into()))),
        Content::Absent => {}
        Content::Twice(first, second) => {
            content(vec![said(first)]);
            content(vec![said(second)]);
        }
    }
    if call.is_error {
        members.push(("status".into(), "error".into()));
    }
    object([("toolResult", Json::Object(members))])
}

fn part(part: &Part) -> Json {
    match part {
        Part::Text(text) => said(text),
        Part::Odd(block) => block.clone(),
        Part::Image => {
            let source = object([("bytes", "iVBORw0KGgo=".into())]);
            object([("image", object([("format", "png".into()), ("source", source)]))])
        }
    }
}

fn said(text: &str) -> Json {
    object([("text", text.into())])
}

fn message(role: &str, blocks: Vec<Json>) -> Json {
    object([("role", role.into()), ("content", Json::Array(blocks))])
}
