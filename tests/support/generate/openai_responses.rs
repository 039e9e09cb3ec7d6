//! OpenAI Responses, as a client writes it that keeps its own history.

use super::{Call, Content, Part, Talk, Turn, id};
use crate::json::{Json, Spelling, object};

pub(super) fn body(talk: &Talk) -> Json {
    let mut body = object([("model", "gpt-5.5".into()), ("temperature", Json::Raw("0.70".into()))]);
    body.set("store", false.into());
    let mut system = talk.system.iter();
    if let Some(first) = system.next() {
        body.set("instructions", first.as_str().into());
    }
    let mut items: Vec<Json> = system.map(|text| message("developer", text.as_str().into())).collect();
    items.extend(talk.turns.iter().enumerate().flat_map(|(at, turn)| self::items(at, turn)));
    body.set("input", Json::Array(items));
    if let Some(tools) = &talk.tools {
        let tool = |tool: &super::Tool| {
            object([
                ("type", "function".into()),
                ("name", tool.name.as_str().into()),
                ("description", tool.description.as_str().into()),
                ("parameters", object([("type", "object".into())])),
            ])
        };
        body.set("tools", Json::Array(tools.iter().map(tool).collect()));
    }
    body
}

fn items(at: usize, turn: &Turn) -> Vec<Json> {
    match turn {
        Turn::Odd(item) => vec![item.clone()],
        Turn::User(parts) => vec![match parts.as_slice() {
            [Part::Text(text)] => message("user", text.as_str().into()),
            parts => message("user", self::parts(parts)),
        }],
        Turn::Model { thinks, says, calls, adds } => {
            let mut all = Vec::new();
            if *thinks {
                all.push(object([
                    ("type", "reasoning".into()),
                    ("summary", Json::Array(Vec::new())),
                    ("encrypted_content", "Hm [~lines 1-2]".into()),
                ]));
            }
            all.extend(says.as_deref().map(|text| {
                let part = object([("type", "output_text".into()), ("text", text.into())]);
                let mut said = message("assistant", Json::Array(vec![part]));
                said.set("type", "message".into());
                said.set("phase", "commentary".into());
                said
            }));
            all.extend(calls.iter().enumerate().map(|(nth, call)| self::call(at, nth, call)));
            all.extend(calls.iter().enumerate().map(|(nth, call)| result(at, nth, call)));
            all.extend(adds.as_deref().map(|text| message("user", text.into())));
            all
        }
    }
}

/// A name that no function may have is a custom tool's.
fn is_custom(call: &Call) -> bool {
    call.name.contains(' ')
}

fn call(at: usize, nth: usize, call: &Call) -> Json {
    let arguments = call.arguments.spell(Spelling::PYTHON).into();
    let (kind, field) =
        if is_custom(call) { ("custom_tool_call", "input") } else { ("function_call", "arguments") };
    object([
        ("type", kind.into()),
        ("call_id", id(at, nth).into()),
        ("name", call.name.as_str().into()),
        (field, arguments),
    ])
}

fn result(at: usize, nth: usize, call: &Call) -> Json {
    let kind = if is_custom(call) { "custom_tool_call_output" } else { "function_call_output" };
    let mut members: Vec<(String, Json)> =
        vec![("type".into(), kind.into()), ("call_id".into(), id(at, nth).into())];
    let mut output = |value| members.push(("output".into(), value));
    match &call.content {
        Content::Text(text) => output(text.as_str().into()),
        Content::Parts(parts) => output(self::parts(parts)),
        Content::Lone(text) => output(super::content::lone(text)),
        Content::Null => output(Json::Raw("null".into())),
        Content::Absent => {}
        Content::Twice(first, second) => {
            output(first.as_str().into());
            output(second.as_str().into());
        }
    }
    Json::Object(members)
}

fn parts(parts: &[Part]) -> Json {
    let part = |part: &Part| match part {
        Part::Text(text) => object([("type", "input_text".into()), ("text", text.as_str().into())]),
        Part::Odd(block) => block.clone(),
        Part::Image => object([
            ("type", "input_image".into()),
            ("image_url", "data:image/png;base64,iVBORw0KGgo=".into()),
        ]),
    };
    Json::Array(parts.iter().map(part).collect())
}

fn message(role: &str, content: Json) -> Json {
    object([("role", role.into()), ("content", content)])
}
