//! LiteLLM's own proxy, behind ours and in front of it.

use std::{net::TcpListener, process::Stdio};

use bytes::Bytes;
use headroom_tests::provider::{Block, Provider, Received, Turn};
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use crate::bed::{Running, alone, proxy, python, room, within};

const KEY: &str = "sk-of-nobody-but-this-test";

/// LiteLLM with one model, which is at `upstream`; and its URL.
async fn litellm(upstream: &str) -> Option<(Running, String)> {
    let program = python()?.join("litellm");
    let room = room(&format!("litellm-{}", upstream.rsplit_once(':').unwrap().1));
    let config = json!({"model_list": [{"model_name": "gpt-6", "litellm_params": {
        "model": "openai/gpt-6", "api_key": "dummy", "api_base": format!("{upstream}/v1")}}]});
    std::fs::write(room.join("config.yaml"), config.to_string()).unwrap();
    // It cannot choose a port itself.
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port().to_string();
    let mut command = alone(&program, &room);
    command.env("LITELLM_MASTER_KEY", KEY).env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
    command.args(["--config", "config.yaml", "--host", "127.0.0.1", "--port", &port]).stdout(Stdio::null());
    let ready = |line: &str| line.contains("Uvicorn running").then_some(());
    let (running, ()) = Running::start(command, ready).await;
    Some((running, format!("http://127.0.0.1:{port}")))
}

/// Asks about a log; the answer.
async fn ask(base: &str) -> Value {
    let log: String =
        (0..400).map(|n| format!("2026-11-02T10:00:00 INFO worker: batch {n} of shard 1 done\n")).collect();
    let parameters = json!({"type": "object", "properties": {"command": {"type": "string"}}});
    let tool = json!({"type": "function", "function": {
        "name": "run_command", "description": "Runs a command in the shell", "parameters": parameters}});
    let call = json!({"id": "call_1", "type": "function", "function": {
        "name": "run_command", "arguments": "{\"command\":\"journalctl\"}"}});
    let body = json!({"model": "gpt-6", "tools": [tool], "messages": [
        {"role": "user", "content": "Are all batches done?"},
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": log},
    ]});
    let request = Request::post(format!("{base}/v1/chat/completions"))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {KEY}"))
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap();
    let client = headroom_tests::client::http();
    let response = within(client.request(request)).await.unwrap();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    let answer: Value = serde_json::from_slice(&text).unwrap();
    answer["choices"][0]["message"]["content"].clone()
}

fn says(_: &Received) -> headroom_tests::provider::Reply {
    Turn::new([Block::Text("All batches are done.".to_owned())]).into()
}

#[tokio::test]
async fn litellm_behind_the_proxy_and_before_it() {
    let provider = Provider::start(says).await;
    let Some((_behind, behind)) = litellm(&provider.url()).await else { return };
    let (_proxy, url) = proxy(&behind).await;
    let (_second, to_provider) = proxy(&provider.url()).await;
    let (_before, before) = litellm(&to_provider).await.unwrap();
    for base in [&behind, &url, &before] {
        assert_eq!(ask(base).await, "All batches are done.", "{base}");
    }
    let received = provider.received();
    let sizes: Vec<usize> = received.iter().map(|request| request.body().len()).collect();
    let [without, behind, before] = sizes[..] else { panic!("three requests, not {sizes:?}") };
    assert!(4 * behind < without && 4 * before < without, "{sizes:?}");
    assert!(received.iter().all(|request| request.rejection().is_none()));
}
