//! Anthropic Messages.

use super::{Call, Content, Part, Talk, Turn, id};
use crate::json::{Json, object};

pub(super) fn body(talk: &Talk) -> Json {
    let mut body = object([("model", "claude-opus-5-5".into()), ("max_tokens", Json::Raw("1024".into()))]);
    match talk.system.as_slice() {
        [] => {}
        [one] => body.set("system", one.as_str().into()),
        more => body.set("system", Json::Array(more.iter().map(|text| said(text)).collect())),
    }
    if let Some(tools) = &talk.tools {
        let tool = |tool: &super::Tool| {
            object([
                ("name", tool.name.as_str().into()),
                ("description", tool.description.as_str().into()),
                ("input_schema", object([("type", "object".into())])),
            ])
        };
        body.set("tools", Json::Array(tools.iter().map(tool).collect()));
    }
    let messages = talk.turns.iter().enumerate().flat_map(|(at, turn)| messages(at, turn));
    body.set("messages", Json::Array(messages.collect()));
    body
}

fn messages(at: usize, turn: &Turn) -> Vec<Json> {
    match turn {
        Turn::Odd(message) => vec![message.clone()],
        Turn::User(parts) => vec![match parts.as_slice() {
            [Part::Text(text)] => object([("role", "user".into()), ("content", text.as_str().into())]),
            parts => object([("role", "user".into()), ("content", self::parts(parts))]),
        }],
        Turn::Model { thinks, says, calls, adds } => {
            let mut blocks = Vec::new();
            if *thinks {
                blocks.push(object([
                    ("type", "thinking".into()),
                    ("thinking", "Hm [~lines 1-2] \u{2026}".into()),
                    ("signature", format!("EqQBCkYI{at}+/==").into()),
                ]));
            }
            blocks.extend(says.as_deref().map(said));
            blocks.extend(calls.iter().enumerate().map(|(nth, call)| {
                object([
                    ("type", "tool_use".into()),
                    ("id", id(at, nth).into()),
                    ("name", call.name.as_str().into()),
                    ("input", call.arguments.clone()),
                ])
            }));
            let mut all = vec![object([("role", "assistant".into()), ("content", Json::Array(blocks))])];
            if !calls.is_empty() {
                let results = calls.iter().enumerate().map(|(nth, call)| result(at, nth, call));
                let blocks = results.chain(adds.as_deref().map(said)).collect();
                all.push(object([("role", "user".into()), ("content", Json::Array(blocks))]));
            }
            all
        }
    }
}

fn result(at: usize, nth: usize, call: &Call) -> Json {
    let mut members: Vec<(String, Json)> =
        vec![("type".into(), "tool_result".into()), ("tool_use_id".into(), id(at, nth).into())];
    let mut content = |value| members.push(("content".into(), value));
    match &call.content {
        Content::Text(text) => content(text.as_str().into()),
        Content::Parts(parts) => content(self::parts(parts)),
        Content::Lone(text) => content(super::content::lone(text)),
        Content::Null => content(Json::Raw("null".into())),
        Content::Absent => {}
        Content::Twice(first, second) => {
            content(first.as_str().into());
            content(second.as_str().into());
        }
    }
    if call.is_error {
        members.push(("is_error".into(), true.into()));
    }
    Json::Object(members)
}

fn parts(parts: &[Part]) -> Json {
    Json::Array(
        parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => said(text),
                Part::Odd(block) => block.clone(),
                Part::Image => object([
                    ("type", "image".into()),
                    (
                        "source",
                        object([
                            ("type", "base64".into()),
                            ("media_type", "image/png".into()),
                            ("data", "iVBORw0KGgo=".into()),
                        ]),
                    ),
                ]),
            })
            .collect(),
    )
}

fn said(text: &str) -> Json {
    object([("type", "text".into()), ("text", text.into())])
}
