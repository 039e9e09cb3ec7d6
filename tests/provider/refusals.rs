//! What real providers refuse, the double refuses, in their words.

use headroom_tests::{
    Dialect::{self, Anthropic, OpenAi},
    client::{http, post},
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::{greeter, request};

/// The request with these messages and changes.
fn with(dialect: Dialect, messages: &Value, changes: &Value) -> String {
    let mut body = request(dialect);
    body["messages"] = messages.clone();
    for (field, value) in changes.as_object().unwrap() {
        if value.is_null() {
            body.as_object_mut().unwrap().remove(field);
        } else {
            body[field] = value.clone();
        }
    }
    body.to_string()
}

fn user(content: impl Into<Value>) -> Value {
    json!({"role": "user", "content": content.into()})
}

fn call(id: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": "lookup", "input": {}})
}

fn calls(ids: &[&str]) -> Value {
    json!({"role": "assistant", "content": ids.iter().map(|id| call(id)).collect::<Vec<_>>()})
}

fn result(id: &str) -> Value {
    json!({"type": "tool_result", "tool_use_id": id, "content": "found"})
}

fn openai_calls(ids: &[&str]) -> Value {
    let calls: Vec<Value> = ids
        .iter()
        .map(|id| json!({"id": id, "type": "function", "function": {"name": "lookup", "arguments": "{}"}}))
        .collect();
    json!({"role": "assistant", "content": null, "tool_calls": calls})
}

fn tool(id: &str) -> Value {
    json!({"role": "tool", "tool_call_id": id, "content": "found"})
}

async fn refused(dialect: Dialect, body: String, words: &str) {
    let provider = greeter().await;
    let response = http().request(post(&provider.endpoint(dialect), body.clone())).await.unwrap();
    let status = response.status();
    let answer: Value =
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert_eq!(status, 400, "{body}\n{answer}");
    assert!(message.contains(words), "{body}\n{message}\nexpected: {words}");
    assert_eq!(answer["error"]["type"], "invalid_request_error");
    assert_eq!(answer["type"] == "error", dialect == Anthropic);
    assert_eq!(provider.last().rejection().unwrap().message(), message);
}

async fn accepted(dialect: Dialect, body: String) {
    let provider = greeter().await;
    let response = http().request(post(&provider.endpoint(dialect), body)).await.unwrap();
    assert_eq!(response.status(), 200, "{:?}", provider.last().rejection());
}

#[tokio::test]
async fn anthropic() {
    let unchanged = || json!({});
    let thinking = json!({"type": "thinking", "thinking": "Hm.", "signature": "x"});
    let breakpoint = json!({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}});
    for (messages, changes, words) in [
        (json!([user("Hi")]), json!({"max_tokens": null}), "max_tokens: Field required"),
        (json!([user("Hi")]), json!({"model": null}), "model: Field required"),
        (json!([]), unchanged(), "at least one message"),
        (json!([calls(&["a"])]), unchanged(), "first message must use the \"user\" role"),
        (json!([user("Hi"), {"role": "tool", "content": "x"}]), unchanged(), "messages.1.role"),
        (json!([user("")]), unchanged(), "must be non-empty"),
        (json!([user(json!([]))]), unchanged(), "must have non-empty content"),
        (
            json!([user("Hi"), calls(&["a"])]),
            json!({"model": "claude-sonnet-4-5", "thinking": null}),
            "ids were found without `tool_result`",
        ),
        (
            json!([user("Hi"), calls(&["a"]), user("And?")]),
            unchanged(),
            "messages.1: `tool_use` ids were found without",
        ),
        (
            json!([user("Hi"), calls(&["a", "b"]), user(json!([result("a")]))]),
            unchanged(),
            "immediately after: b.",
        ),
        (
            json!([user("Hi"), calls(&["a"]), user(json!([{"type": "text", "text": "see"}, result("a")]))]),
            unchanged(),
            "ids were found without",
        ),
        (json!([user(json!([result("a")]))]), unchanged(), "unexpected `tool_use_id`"),
        (
            json!([user("Hi"), calls(&["a"]), user(json!([result("a"), result("b")]))]),
            unchanged(),
            "unexpected `tool_use_id` found in `tool_result` blocks: b",
        ),
        (
            json!([user("Hi"), calls(&["a"]), user(json!([result("a"), result("a")]))]),
            unchanged(),
            "multiple `tool_result` blocks with id: a",
        ),
        (
            json!([user("Hi"), calls(&["a", "a"]), user(json!([result("a")]))]),
            unchanged(),
            "ids must be unique",
        ),
        (
            json!([
                user("Hi"),
                calls(&["a"]),
                user(json!([result("a")])),
                calls(&["a"]),
                user(json!([result("a")]))
            ]),
            unchanged(),
            "ids must be unique",
        ),
        (json!([user("Hi"), calls(&["a b"]), user(json!([result("a b")]))]), unchanged(), "tool_use.id"),
        (
            json!([user("Hi"), {"role": "assistant", "content": [thinking]}, user("And?")]),
            unchanged(),
            "cannot be `thinking`",
        ),
        (
            json!([user("Hi"), {"role": "assistant", "content": [thinking, {"type": "text", "text": "A"}]}, user("And?")]),
            unchanged(),
            "Invalid `signature`",
        ),
        (json!([user("Hi"), {"role": "assistant", "content": "So"}]), unchanged(), "prefill"),
        (json!([user(vec![breakpoint; 5])]), unchanged(), "maximum of 4 blocks"),
        (json!([user("Hi")]), json!({"tools": null, "tool_choice": {"type": "none"}}), "tool_choice"),
        (json!([user("Hi")]), json!({"tool_choice": {"type": "tool", "name": "nothing"}}), "not found"),
        (
            json!([user("Hi")]),
            json!({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}),
            "tools.0.custom.name",
        ),
        (
            json!([user("Hi")]),
            json!({"tools": vec![json!({"name": "a", "input_schema": {"type": "object"}}); 2]}),
            "names must be unique",
        ),
    ] {
        refused(Anthropic, with(Anthropic, &messages, &changes), words).await;
    }
    refused(Anthropic, "{\"model\":".to_owned(), "not valid JSON").await;
}

#[tokio::test]
async fn openai() {
    let unchanged = || json!({});
    for (messages, changes, words) in [
        (json!([user("Hi")]), json!({"model": null}), "model"),
        (json!([user("Hi")]), json!({"tools": []}), "Invalid 'tools': empty array"),
        (json!([user("Hi")]), json!({"tools": null, "tool_choice": "auto"}), "'tool_choice' is only allowed"),
        (
            json!([user("Hi")]),
            json!({"stream_options": {"include_usage": true}}),
            "only allowed when 'stream'",
        ),
        (json!([]), unchanged(), "empty array"),
        (json!([{"role": "robot", "content": "Hi"}]), unchanged(), "Invalid value: 'robot'"),
        (
            json!([user("Hi"), {"role": "assistant", "content": null}]),
            unchanged(),
            "expected a string, got null",
        ),
        (
            json!([user("Hi"), {"role": "assistant", "content": "x", "tool_calls": []}]),
            unchanged(),
            "empty array",
        ),
        (json!([user("Hi"), tool("a")]), unchanged(), "must be a response to a preceeding message"),
        (json!([user("Hi"), openai_calls(&["a"])]), unchanged(), "did not have response messages: a"),
        (
            json!([user("Hi"), openai_calls(&["a", "b"]), tool("b"), user("And?")]),
            unchanged(),
            "response messages: a",
        ),
        (json!([user("Hi"), openai_calls(&["a"]), tool("b")]), unchanged(), "'b' not found"),
        (json!([user("Hi"), openai_calls(&["a"]), tool("a"), tool("a")]), unchanged(), "'a' not found"),
        (
            json!([user("Hi"), openai_calls(&["a"]), user("x"), tool("a")]),
            unchanged(),
            "did not have response",
        ),
        (json!([user("Hi"), openai_calls(&["a", "a"]), tool("a")]), unchanged(), "Duplicate"),
    ] {
        refused(OpenAi, with(OpenAi, &messages, &changes), words).await;
    }
    refused(OpenAi, "[1,".to_owned(), "could not parse the JSON body").await;
}

/// What looks odd and is allowed must not be refused.
#[tokio::test]
async fn the_unusual_is_accepted() {
    let merged = json!([
        user("Hi"),
        user("there"),
        calls(&["a", "b"]),
        user(json!([result("b")])),
        user(json!([result("a"), {"type": "text", "text": "Both."}])),
    ]);
    accepted(Anthropic, with(Anthropic, &merged, &json!({}))).await;
    let empty = json!([user("Hi"), {"role": "assistant", "content": "x"}, {"role": "system", "content": "y"}, user("z")]);
    accepted(Anthropic, with(Anthropic, &empty, &json!({"tools": []}))).await;
    let any_order = json!([user("Hi"), openai_calls(&["a", "b"]), tool("b"), tool("a"), user("Both.")]);
    accepted(OpenAi, with(OpenAi, &any_order, &json!({}))).await;
}

#[tokio::test]
async fn other_paths() {
    let provider = greeter().await;
    let get = |path: &str| {
        let mut request = post(&(provider.url() + path), "");
        *request.method_mut() = http::Method::GET;
        request
    };
    assert_eq!(http().request(get("/v1/models")).await.unwrap().status(), 200);
    assert_eq!(http().request(get("/nowhere")).await.unwrap().status(), 404);
    let mut body = request(Anthropic);
    body.as_object_mut().unwrap().remove("max_tokens");
    let url = provider.url() + "/v1/messages/count_tokens";
    let counted = http().request(post(&url, body.to_string())).await.unwrap();
    let counted: Value =
        serde_json::from_slice(&counted.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert!(counted["input_tokens"].as_u64().unwrap() > 0);
}
