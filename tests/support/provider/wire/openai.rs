//! OpenAI Chat Completions.

use serde_json::{Value, json};

use super::{Event, Meta, pieces};
use crate::provider::script::{Block, Turn};

/// The answers' `created`: a constant, so that equal runs give equal bytes.
const CREATED: u64 = 1_795_000_000;

pub(super) fn json(meta: &Meta<'_>, turn: &Turn) -> Value {
    let text = text(turn);
    let calls: Vec<Value> = calls(turn)
        .map(|(id, name, arguments)| {
            json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
        })
        .collect();
    let content = if text.is_empty() && !calls.is_empty() { Value::Null } else { text.into() };
    let mut message = json!({"role": "assistant", "content": content, "refusal": null, "annotations": []});
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    let mut answer = head(meta, "chat.completion");
    answer["choices"] =
        json!([{"index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason(turn)}]);
    answer["usage"] = usage(meta);
    answer
}

pub(super) fn events(meta: &Meta<'_>, turn: &Turn) -> Vec<Event> {
    let with_usage = meta.request.json()["stream_options"]["include_usage"] == true;
    let chunk = |delta: Value, finish: Value| {
        let mut chunk = head(meta, "chat.completion.chunk");
        chunk["choices"] = json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]);
        if with_usage {
            chunk["usage"] = Value::Null;
        }
        Event::data(&chunk)
    };
    let text = text(turn);
    let content = if text.is_empty() && turn.calls() { Value::Null } else { "".into() };
    let mut out = vec![chunk(json!({"role": "assistant", "content": content, "refusal": null}), Value::Null)];
    for piece in pieces(&text, turn.delta).into_iter().filter(|piece| !piece.is_empty()) {
        out.push(chunk(json!({"content": piece}), Value::Null));
    }
    for (index, (id, name, arguments)) in calls(turn).enumerate() {
        let start = json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}});
        out.push(chunk(json!({"tool_calls": [start]}), Value::Null));
        for piece in pieces(arguments, turn.delta) {
            let delta = json!({"index": index, "function": {"arguments": piece}});
            out.push(chunk(json!({"tool_calls": [delta]}), Value::Null));
        }
    }
    out.push(chunk(json!({}), finish_reason(turn).into()));
    if with_usage {
        let mut last = head(meta, "chat.completion.chunk");
        last["choices"] = json!([]);
        last["usage"] = usage(meta);
        out.push(Event::data(&last));
    }
    out.push(Event { name: None, data: "[DONE]".to_owned() });
    out
}

fn head(meta: &Meta<'_>, object: &str) -> Value {
    json!({
        "id": meta.id,
        "object": object,
        "created": CREATED,
        "model": meta.request.model(),
        "service_tier": "default",
        "system_fingerprint": "fp_double",
    })
}

fn usage(meta: &Meta<'_>) -> Value {
    let usage = meta.request.usage();
    json!({
        "prompt_tokens": usage.total,
        "completion_tokens": meta.output,
        "total_tokens": usage.total + meta.output,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    })
}

fn text(turn: &Turn) -> String {
    turn.blocks
        .iter()
        .filter_map(|block| if let Block::Text(text) = block { Some(text.as_str()) } else { None })
        .collect()
}

fn calls(turn: &Turn) -> impl Iterator<Item = (&str, &str, &str)> {
    turn.blocks.iter().filter_map(|block| match block {
        Block::Call { id, name, arguments } => Some((id.as_str(), name.as_str(), arguments.as_str())),
        _ => None,
    })
}

fn finish_reason(turn: &Turn) -> &'static str {
    turn.stop.unwrap_or(if turn.calls() { "tool_calls" } else { "stop" })
}
