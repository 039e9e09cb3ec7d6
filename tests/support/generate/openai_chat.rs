//! OpenAI Chat Completions.

use super::{Call, Content, Part, Talk, Turn, id};
use crate::json::{Json, Spelling, object};

pub(super) fn body(talk: &Talk) -> Json {
    let mut body = object([("model", "gpt-5.5".into()), ("temperature", Json::Raw("0.70".into()))]);
    let mut messages: Vec<Json> = talk
        .system
        .iter()
        .enumerate()
        .map(|(at, text)| message(if at == 0 { "system" } else { "developer" }, text.as_str().into()))
        .collect();
    messages.extend(talk.turns.iter().enumerate().flat_map(|(at, turn)| self::messages(at, turn)));
    body.set("messages", Json::Array(messages));
    if let Some(tools) = &talk.tools {
        let tool = |tool: &super::Tool| {
            let function = object([
                ("name", tool.name.as_str().into()),
                ("description", tool.description.as_str().into()),
                ("parameters", object([("type", "object".into())])),
            ]);
            object([("type", "function".into()), ("function", function)])
        };
        body.set("tools", Json::Array(tools.iter().map(tool).collect()));
    }
    body
}

fn messages(at: usize, turn: &Turn) -> Vec<Json> {
    match turn {
        Turn::Odd(message) => vec![message.clone()],
        Turn::User(parts) => vec![match parts.as_slice() {
            [Part::Text(text)] => message("user", text.as_str().into()),
            parts => message("user", self::parts(parts)),
        }],
        Turn::Model { thinks, says, calls, adds } => {
            let content = says.as_deref().map_or(Json::Raw("null".into()), Json::from);
            let mut first = message("assistant", content);
            if *thinks {
                first.set("reasoning_content", "Hm [~lines 1-2]".into());
            }
            if !calls.is_empty() {
                let call = |(nth, call): (usize, &Call)| {
                    let function = object([
                        ("name", call.name.as_str().into()),
                        ("arguments", call.arguments.spell(Spelling::PYTHON).into()),
                    ]);
                    let id = id(at, nth).into();
                    object([("id", id), ("type", "function".into()), ("function", function)])
                };
                first.set("tool_calls", Json::Array(calls.iter().enumerate().map(call).collect()));
            }
            let mut all = vec![first];
            all.extend(calls.iter().enumerate().map(|(nth, call)| result(at, nth, call)));
            all.extend(adds.as_deref().map(|text| message("user", text.into())));
            all
        }
    }
}

fn result(at: usize, nth: usize, call: &Call) -> Json {
    let mut result = object([("role", "tool".into()), ("tool_call_id", id(at, nth).into())]);
    match &call.content {
        Content::Text(text) => result.set("content", text.as_str().into()),
        Content::Parts(parts) => result.set("content", self::parts(parts)),
        Content::Lone(text) => result.set("content", super::content::lone(text)),
        Content::Null => result.set("content", Json::Raw("null".into())),
        Content::Absent => {}
        Content::Twice(first, second) => {
            let part = Json::Object(vec![
                ("type".into(), "text".into()),
                ("text".into(), first.as_str().into()),
                ("text".into(), second.as_str().into()),
            ]);
            result.set("content", Json::Array(vec![part]));
        }
    }
    result
}

fn parts(parts: &[Part]) -> Json {
    Json::Array(
        parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => object([("type", "text".into()), ("text", text.as_str().into())]),
                Part::Odd(block) => block.clone(),
                Part::Image => object([
                    ("type", "image_url".into()),
                    ("image_url", object([("url", "data:image/png;base64,iVBORw0KGgo=".into())])),
                ]),
            })
            .collect(),
    )
}

fn message(role: &str, content: Json) -> Json {
    object([("role", role.into()), ("content", content)])
}
