//! Bedrock Converse.

use serde_json::{Value, json};

use super::{Event, Meta, pieces};
use crate::provider::script::{Block, Turn};

pub(super) fn json(meta: &Meta<'_>, turn: &Turn) -> Value {
    let content: Vec<Value> = turn.blocks.iter().map(block).collect();
    json!({
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": stop(turn),
        "usage": usage(meta),
        "metrics": {"latencyMs": 100},
    })
}

pub(super) fn events(meta: &Meta<'_>, turn: &Turn) -> Vec<Event> {
    let mut events = vec![Event::named("messageStart", &json!({"role": "assistant", "p": "abcd"}))];
    for (at, said) in turn.blocks.iter().enumerate() {
        let delta = |delta: Value| {
            Event::named("contentBlockDelta", &json!({"contentBlockIndex": at, "delta": delta, "p": "ab"}))
        };
        match said {
            Block::Text(text) => {
                events.extend(pieces(text, turn.delta).into_iter().map(|text| delta(json!({"text": text}))));
            }
            Block::Thinking(text) => {
                let piece = |text| delta(json!({"reasoningContent": {"text": text}}));
                events.extend(pieces(text, turn.delta).into_iter().map(piece));
                events.push(delta(json!({"reasoningContent": {"signature": "c2lnbmVk"}})));
            }
            Block::Call { id, name, arguments } => {
                let start = json!({"toolUse": {"toolUseId": id, "name": name}});
                let start = json!({"contentBlockIndex": at, "start": start});
                events.push(Event::named("contentBlockStart", &start));
                let piece = |input| delta(json!({"toolUse": {"input": input}}));
                events.extend(pieces(arguments, turn.delta).into_iter().map(piece));
            }
            Block::Other(value) => events.push(delta(value.clone())),
        }
        events.push(Event::named("contentBlockStop", &json!({"contentBlockIndex": at})));
    }
    events.push(Event::named("messageStop", &json!({"stopReason": stop(turn)})));
    events.push(Event::named("metadata", &json!({"usage": usage(meta), "metrics": {"latencyMs": 100}})));
    events
}

fn stop(turn: &Turn) -> &'static str {
    turn.stop.unwrap_or(if turn.calls() { "tool_use" } else { "end_turn" })
}

fn block(block: &Block) -> Value {
    match block {
        Block::Text(text) => json!({"text": text}),
        Block::Thinking(text) => {
            json!({"reasoningContent": {"reasoningText": {"text": text, "signature": "c2lnbmVk"}}})
        }
        Block::Call { id, name, arguments } => {
            let input: Value = serde_json::from_str(arguments).unwrap_or_default();
            let input = if input.is_object() { input } else { json!({}) };
            json!({"toolUse": {"toolUseId": id, "name": name, "input": input}})
        }
        Block::Other(value) => value.clone(),
    }
}

fn usage(meta: &Meta<'_>) -> Value {
    let usage = meta.request.usage();
    json!({
        "inputTokens": usage.uncached(),
        "outputTokens": meta.output,
        "totalTokens": usage.total + meta.output,
        "cacheReadInputTokens": usage.cache_read,
        "cacheWriteInputTokens": usage.cache_write,
    })
}
