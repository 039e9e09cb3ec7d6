//! Gemini.

use serde_json::{Value, json};

use super::{Event, Meta, pieces};
use crate::provider::script::{Block, Turn};

pub(super) fn json(meta: &Meta<'_>, turn: &Turn) -> Value {
    chunk(meta, &parts(turn), Some(stop(turn)))
}

pub(super) fn events(meta: &Meta<'_>, turn: &Turn) -> Vec<Event> {
    let mut cut: Vec<Value> = Vec::new();
    for part in parts(turn) {
        match part["text"].as_str().filter(|_| part.as_object().is_some_and(|part| part.len() == 1)) {
            Some(text) => cut.extend(pieces(text, turn.delta).into_iter().map(|text| json!({"text": text}))),
            None => cut.push(part),
        }
    }
    let said = cut.iter().map(|part| chunk(meta, std::slice::from_ref(part), None));
    let end = chunk(meta, &[], Some(stop(turn)));
    said.chain([end]).map(|chunk| Event::data(&chunk)).collect()
}

fn stop(turn: &Turn) -> &'static str {
    turn.stop.unwrap_or("STOP")
}

/// Of calls, the first is signed.
fn parts(turn: &Turn) -> Vec<Value> {
    let mut signed = false;
    let part = |block: &Block| match block {
        Block::Text(text) => json!({"text": text}),
        Block::Thinking(text) => json!({"text": text, "thought": true}),
        Block::Call { id, name, arguments } => {
            let args: Value = serde_json::from_str(arguments).unwrap_or_default();
            let args = if args.is_object() { args } else { json!({}) };
            let mut part = json!({"functionCall": {"id": id, "name": name, "args": args}});
            if !std::mem::replace(&mut signed, true) {
                part["thoughtSignature"] = "c2lnbmVk".into();
            }
            part
        }
        Block::Other(value) => value.clone(),
    };
    turn.blocks.iter().map(part).collect()
}

fn chunk(meta: &Meta<'_>, parts: &[Value], finish: Option<&str>) -> Value {
    let usage = meta.request.usage();
    let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
    if let Some(reason) = finish {
        candidate["finishReason"] = reason.into();
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": usage.total,
            "candidatesTokenCount": meta.output,
            "totalTokenCount": usage.total + meta.output,
            "cachedContentTokenCount": usage.cache_read,
        },
        "modelVersion": "gemini-3-pro",
        "responseId": meta.id,
    })
}
