//! What must be the same with the layer and without, and what a client must never hear.

use std::sync::LazyLock;

use headroom_engine::ccr::{ToolShape, definition};
use headroom_tests::provider::{Provider, RETRIEVAL_TOOL};
use serde_json::Value;

use crate::{
    bed::OURS,
    driver::{Outcome, Turn},
};

/// Fails if the SDK handed out anything else than it would have without the layer.
pub(crate) fn same(what: &str, layered: &Outcome, direct: &Outcome) {
    assert_eq!(error(layered), error(direct), "{what}: how it failed");
    assert_eq!(layered.turns.len(), direct.turns.len(), "{what}: turns");
    for (at, (layered, direct)) in layered.turns.iter().zip(&direct.turns).enumerate() {
        assert_eq!(layered.heard, direct.heard, "{what}: the text of turn {at}");
        let (layered, direct) = (message(layered), message(direct));
        let differs = layered.iter().zip(&direct).find_map(|(layered, direct)| difference(layered, direct));
        assert_eq!(differs, None, "{what}: the message of turn {at}");
        assert_eq!(layered, direct, "{what}: the message of turn {at}");
    }
}

/// Fails if anything that the client heard is ours.
pub(crate) fn nothing_of_ours(what: &str, outcome: &Outcome) {
    static DESCRIPTION: LazyLock<String> = LazyLock::new(|| {
        let tool: Value = serde_json::from_str(&definition(ToolShape::Anthropic, RETRIEVAL_TOOL)).unwrap();
        tool["description"].as_str().unwrap().to_owned()
    });
    let heard = format!("{outcome:?}");
    for secret in [RETRIEVAL_TOOL, OURS, &DESCRIPTION, "headroom"] {
        assert!(!heard.contains(secret), "{what}: {secret:?} reached the client: {heard}");
    }
}

/// Fails if the provider refused anything.
pub(crate) fn none_refused(what: &str, provider: &Provider) {
    for (at, request) in provider.received().iter().enumerate() {
        let body = String::from_utf8_lossy(request.body());
        assert_eq!(request.rejection(), None, "{what}: request {at}: {body}");
    }
}

fn error(outcome: &Outcome) -> Option<Value> {
    let mut error = outcome.error.clone();
    error.iter_mut().for_each(settle);
    error
}

/// A turn's message without what the provider numbers, signs and counts: of ids and signatures that
/// they are there, of usage its fields.
fn message(turn: &Turn) -> Option<Value> {
    let mut message = turn.message.clone();
    if let Some(message) = &mut message {
        settle(message);
    }
    message
}

fn settle(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(settle),
        Value::Object(fields) => {
            // Of the transport: lengths and dates.
            fields.remove("sdkHttpResponse");
            for (name, value) in fields {
                match name.as_str() {
                    "usage" | "usageMetadata" => count(value),
                    "signature" if value.as_str().is_some_and(|value| !value.is_empty()) => {
                        *value = "signed".into();
                    }
                    // Of a refused request.
                    "request_id" => *value = "numbered".into(),
                    _ => settle(value),
                }
            }
        }
        Value::String(text) if numbered(text) => text.retain(|c| !c.is_ascii_digit()),
        _ => {}
    }
}

/// Whether this is an id that the double has counted up to.
fn numbered(text: &str) -> bool {
    let digits = text.trim_start_matches(|c: char| c.is_ascii_lowercase() || c == '_' || c == '-');
    digits.len() >= 24 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The first place where two values differ, and what stands there.
fn difference(one: &Value, other: &Value) -> Option<String> {
    let within = |name: &str, one: &Value, other: &Value| {
        difference(one, other).map(|differs| format!(".{name}{differs}"))
    };
    match (one, other) {
        (Value::Object(one), Value::Object(other)) if one.keys().eq(other.keys()) => {
            one.iter().find_map(|(name, one)| within(name, one, &other[name]))
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let mut pairs = one.iter().zip(other).enumerate();
            pairs.find_map(|(at, (one, other))| within(&at.to_string(), one, other))
        }
        _ => (one != other).then(|| format!(": {one} is not {other}")),
    }
}

fn count(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(count),
        Value::Array(items) => items.iter_mut().for_each(count),
        Value::Number(_) => *value = "counted".into(),
        _ => {}
    }
}
