//! OpenAI Responses.

use serde_json::{Value, json};

use super::{Event, Meta, pieces};
use crate::provider::script::{Block, Turn};

const CREATED: u64 = 1_795_000_000;

pub(super) fn json(meta: &Meta<'_>, turn: &Turn) -> Value {
    answer(meta, status(turn), &items(meta, turn))
}

pub(super) fn events(meta: &Meta<'_>, turn: &Turn) -> Vec<Event> {
    let items = items(meta, turn);
    let mut out = Vec::new();
    let mut say = |kind: &'static str, fields: Value| {
        let mut data = json!({"type": kind, "sequence_number": out.len()});
        data.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        out.push(Event::named(kind, &data));
    };
    let begun = json!({"response": answer(meta, "in_progress", &[])});
    say("response.created", begun.clone());
    say("response.in_progress", begun);
    for (at, item) in items.iter().enumerate() {
        let id = &item["id"];
        let mut empty = item.clone();
        empty["status"] = "in_progress".into();
        match item["type"].as_str() {
            Some("message") => {
                empty["content"] = json!([]);
                say("response.output_item.added", json!({"output_index": at, "item": empty}));
                let place = |key: &str, value: Value| json!({"item_id": id, "output_index": at, "content_index": 0, key: value});
                let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
                let text = item["content"][0]["text"].as_str().unwrap_or_default();
                say("response.content_part.added", place("part", part("")));
                for piece in pieces(text, turn.delta) {
                    say("response.output_text.delta", place("delta", piece.into()));
                }
                say("response.output_text.done", place("text", text.into()));
                say("response.content_part.done", place("part", part(text)));
            }
            Some("function_call") => {
                empty["arguments"] = "".into();
                say("response.output_item.added", json!({"output_index": at, "item": empty}));
                let arguments = item["arguments"].as_str().unwrap_or_default();
                for piece in pieces(arguments, turn.delta) {
                    let delta = json!({"item_id": id, "output_index": at, "delta": piece});
                    say("response.function_call_arguments.delta", delta);
                }
                let done = json!({"item_id": id, "output_index": at, "arguments": arguments});
                say("response.function_call_arguments.done", done);
            }
            _ => say("response.output_item.added", json!({"output_index": at, "item": item})),
        }
        say("response.output_item.done", json!({"output_index": at, "item": item}));
    }
    let end = if status(turn) == "completed" { "response.completed" } else { "response.incomplete" };
    say(end, json!({"response": answer(meta, status(turn), &items)}));
    out
}

fn status(turn: &Turn) -> &'static str {
    turn.stop.unwrap_or("completed")
}

fn items(meta: &Meta<'_>, turn: &Turn) -> Vec<Value> {
    let id = |kind: &str, at: usize| format!("{kind}_{}{at}", meta.id.trim_start_matches("resp_"));
    let item = |(at, block): (usize, &Block)| match block {
        Block::Text(text) => json!({
            "id": id("msg", at), "type": "message", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
        }),
        Block::Thinking(text) => json!({
            "id": id("rs", at), "type": "reasoning", "summary": [], "encrypted_content": format!("sealed {text}"),
        }),
        Block::Call { id, name, arguments } => json!({
            "id": format!("fc_{id}"), "type": "function_call", "status": "completed", "call_id": id,
            "name": name, "arguments": arguments,
        }),
        Block::Other(value) => value.clone(),
    };
    turn.blocks.iter().enumerate().map(item).collect()
}

/// The answer, which repeats what the request said of it.
fn answer(meta: &Meta<'_>, status: &str, output: &[Value]) -> Value {
    let request = meta.request.json();
    let usage = meta.request.usage();
    let begun = status == "in_progress";
    let usage = json!({
        "input_tokens": usage.total,
        "input_tokens_details": {"cached_tokens": usage.cache_read},
        "output_tokens": meta.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.total + meta.output,
    });
    json!({
        "id": meta.id,
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "model": meta.request.model(),
        "output": output,
        "store": request["store"] != false,
        "previous_response_id": request["previous_response_id"],
        "instructions": request["instructions"],
        "tools": request["tools"].as_array().cloned().unwrap_or_default(),
        "tool_choice": if request["tool_choice"].is_null() { "auto".into() } else { request["tool_choice"].clone() },
        "usage": if begun { Value::Null } else { usage },
    })
}
