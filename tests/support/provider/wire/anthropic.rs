//! Anthropic Messages.

use serde_json::{Value, json};

use super::{Event, Meta, pieces};
use crate::provider::{
    binding::sign,
    prefix::extend,
    script::{Block, Turn},
};

pub(super) fn json(meta: &Meta<'_>, turn: &Turn) -> Value {
    let mut message = head(meta);
    message["content"] = blocks(meta, turn).into();
    message["stop_reason"] = stop_reason(turn).into();
    message["usage"]["output_tokens"] = meta.output.into();
    message
}

pub(super) fn events(meta: &Meta<'_>, turn: &Turn) -> Vec<Event> {
    let mut out =
        vec![Event::named("message_start", &json!({"type": "message_start", "message": head(meta)}))];
    for (index, (block, signed)) in turn.blocks.iter().zip(blocks(meta, turn)).enumerate() {
        let (empty, deltas) = parts(block, signed, turn.delta);
        let start = json!({"type": "content_block_start", "index": index, "content_block": empty});
        out.push(Event::named("content_block_start", &start));
        if index == 0 && turn.pings {
            out.push(Event::named("ping", &json!({"type": "ping"})));
        }
        for delta in deltas {
            let delta = json!({"type": "content_block_delta", "index": index, "delta": delta});
            out.push(Event::named("content_block_delta", &delta));
        }
        out.push(Event::named("content_block_stop", &json!({"type": "content_block_stop", "index": index})));
    }
    let end = json!({
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason(turn), "stop_sequence": null},
        "usage": {"output_tokens": meta.output},
    });
    out.push(Event::named("message_delta", &end));
    out.push(Event::named("message_stop", &json!({"type": "message_stop"})));
    out
}

fn head(meta: &Meta<'_>) -> Value {
    let usage = meta.request.usage();
    json!({
        "id": meta.id,
        "type": "message",
        "role": "assistant",
        "model": meta.request.model(),
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": {
            "input_tokens": usage.uncached(),
            "cache_creation_input_tokens": usage.cache_write,
            "cache_read_input_tokens": usage.cache_read,
            "output_tokens": 1,
        },
    })
}

fn stop_reason(turn: &Turn) -> &'static str {
    turn.stop.unwrap_or(if turn.calls() { "tool_use" } else { "end_turn" })
}

/// The blocks as the client will send them back, thinking signed under all that stands before it.
fn blocks(meta: &Meta<'_>, turn: &Turn) -> Vec<Value> {
    let mut chain = meta.request.prefix.end();
    let mut out = Vec::new();
    for block in &turn.blocks {
        let block = match block {
            Block::Text(text) => json!({"type": "text", "text": text}),
            Block::Thinking(thinking) => {
                let signature = sign(meta.request.model(), thinking, chain);
                json!({"type": "thinking", "thinking": thinking, "signature": signature})
            }
            Block::Call { id, name, arguments } => {
                let input: Value = serde_json::from_str(arguments).unwrap_or(Value::Null);
                json!({"type": "tool_use", "id": id, "name": name, "input": input})
            }
            Block::Other(value) => value.clone(),
        };
        chain = extend(chain, "assistant", &block);
        out.push(block);
    }
    out
}

/// A block's start and its deltas.
fn parts(block: &Block, signed: Value, size: usize) -> (Value, Vec<Value>) {
    match block {
        Block::Text(text) => {
            let deltas =
                pieces(text, size).into_iter().map(|text| json!({"type": "text_delta", "text": text}));
            (json!({"type": "text", "text": ""}), deltas.collect())
        }
        Block::Thinking(thinking) => {
            let deltas = pieces(thinking, size)
                .into_iter()
                .map(|text| json!({"type": "thinking_delta", "thinking": text}))
                .chain([json!({"type": "signature_delta", "signature": signed["signature"]})]);
            (json!({"type": "thinking", "thinking": "", "signature": ""}), deltas.collect())
        }
        Block::Call { id, name, arguments } => {
            // The real stream opens a call's input with an empty piece.
            let deltas = [""]
                .into_iter()
                .chain(pieces(arguments, size))
                .map(|text| json!({"type": "input_json_delta", "partial_json": text}));
            (json!({"type": "tool_use", "id": id, "name": name, "input": {}}), deltas.collect())
        }
        Block::Other(_) => (signed, Vec::new()),
    }
}
