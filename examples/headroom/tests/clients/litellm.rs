//! LiteLLM's own proxy, behind ours and in front of it.

use std::{net::TcpListener, process::Stdio};

use bytes::Bytes;
use headroom_tests::provider::{Block, Provider, Received, Turn};
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use crate::bed::{Running, alone, proxy, python, room, within};

const KEY: &str = "sk-of-nobody-but-this-test";

/// LiteLLM with these models, each at a URL; and its own URL.
async fn litellm(models: &[(&str, &str)]) -> Option<(Running, String)> {
    let program = python()?.join("litellm");
    let room = room("litellm");
    let one = |(name, upstream): &(&str, &str)| {
        let at = json!({"model": "openai/gpt-6", "api_key": "dummy", "api_base": format!("{upstream}/v1")});
        json!({"model_name": name, "litellm_params": at})
    };
    let config = json!({"model_list": models.iter().map(one).collect::<Vec<_>>()});
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

/// Asks a model about a log; the answer.
async fn ask(base: &str, model: &str) -> Value {
    let log: String =
        (0..400).map(|n| format!("2026-11-02T10:00:00 INFO worker: batch {n} of shard 1 done\n")).collect();
    let parameters = json!({"type": "object", "properties": {"command": {"type": "string"}}});
    let tool = json!({"type": "function", "function": {
        "name": "run_command", "description": "Runs a command in the shell", "parameters": parameters}});
    let call = json!({"id": "call_1", "type": "function", "function": {
        "name": "run_command", "arguments": "{\"command\":\"journalctl\"}"}});
    let body = json!({"model": model, "tools": [tool], "messages": [
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
    let (_between, between) = proxy(&provider.url()).await;
    let models = [("gpt-6", &*provider.url()), ("gpt-6-between", &*between)];
    let Some((_litellm, litellm)) = litellm(&models).await else { return };
    let (_before, before) = proxy(&litellm).await;
    for (base, model) in [(&litellm, "gpt-6"), (&before, "gpt-6"), (&litellm, "gpt-6-between")] {
        assert_eq!(ask(base, model).await, "All batches are done.", "{base} {model}");
    }
    let received = provider.received();
    let asked: Vec<_> = received.iter().filter(|request| request.dialect().is_some()).collect();
    assert!(asked.iter().all(|request| request.rejection().is_none()));
    let sizes: Vec<usize> = asked.iter().map(|request| request.body().len()).collect();
    let [without, behind, before] = sizes[..] else { panic!("three requests, not {sizes:?}") };
    assert!(4 * behind < without && 4 * before < without, "{sizes:?}");
}
