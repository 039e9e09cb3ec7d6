//! Anthropic's official Python SDK, which knows of no cloud, at Bedrock and at Vertex.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use headroom_engine::ccr::Marker;
use headroom_tests::{
    packages,
    provider::{Block, Provider, RETRIEVAL_TOOL, Received, Reply, Turn},
};
use serde_json::{Value, json};

use crate::bed::{listening, within};

/// What every id of a call of ours begins with.
const OURS: &str = "ours_";

/// Looks into what is hidden, then answers.
fn answer(request: &Received) -> Reply {
    let results = request.results();
    let looked = results.iter().any(|(id, _)| id.starts_with(OURS));
    let shown = &results[0].1;
    let marker = shown.match_indices("[~").find_map(|(at, _)| Marker::parse_prefix(&shown[at..])?.0.handle());
    match marker.filter(|_| !looked) {
        Some(handle) => {
            let arguments = json!({"handle": handle.to_string(), "query": "batch 200"});
            Turn::new([
                Block::Text("I look. ".to_owned()),
                Block::call(format!("{OURS}0"), RETRIEVAL_TOOL, arguments),
            ])
            .into()
        }
        None => Turn::text("All is well.").into(),
    }
}

/// A request with a long result in it.
fn request() -> Value {
    let log: String =
        (0..400).map(|n| format!("2026-11-02T10:00:00 INFO worker: batch {n} of shard 1 done\n")).collect();
    json!({
        "model": "claude-haiku-4-5", "max_tokens": 1000,
        "tools": [{"name": "run_command", "description": "Runs a command in the shell",
            "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}}}],
        "messages": [
            {"role": "user", "content": "Are all batches done?"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "call_1", "name": "run_command",
                "input": {"command": "journalctl"}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": log}]},
        ],
    })
}

/// What the SDK made of these jobs at `base`, by the driver of the library's own tests; `None`, said
/// aloud, if it cannot be had.
async fn play(base: &str, jobs: &[(&str, bool)]) -> Option<Vec<Value>> {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/sdk/python");
    let target = env!("CARGO_TARGET_TMPDIR");
    let installed = packages::python(target, &sdk.join("requirements.txt"));
    let place = packages::or_skip("the official SDK for Python", &installed)?;
    let line = |(api, stream): &(&str, bool)| {
        let mut request = request();
        if *api == "count" {
            request.as_object_mut().unwrap().remove("max_tokens");
        }
        let job = json!({"api": api, "stream": stream, "retries": 0, "list": "messages", "chained": false,
            "request": request, "then": [], "outputs": [], "base": base});
        format!("{job}\n")
    };
    let lines: String = jobs.iter().map(line).collect();
    let played = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(place.join("bin/python"));
        command.arg(sdk.join("drive.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    });
    let output = within(played).await.unwrap();
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    Some(lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

async fn clouds(upstream: &str) -> Vec<(crate::bed::Running, String)> {
    let mut all = Vec::new();
    for arguments in [
        &[
            "bedrock",
            "--region",
            "eu-central-1",
            "--models",
            "claude-haiku-4-5=eu.anthropic.claude-haiku-4-5-v1:0",
        ][..],
        &["vertex", "--region", "global", "--project", "p"],
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_headroom"));
        command.env_clear().args(["proxy", "--port", "0", "--json", "--backend-url", upstream, "--backend"]);
        command.args(arguments).args(["--backend-token", "of-nobody-but-this-test"]);
        all.push(listening(command).await);
    }
    all
}

#[tokio::test]
async fn the_sdk_hears_from_clouds_what_it_hears_from_anthropic() {
    let jobs = [("messages", false), ("messages", true), ("beta-messages", true), ("count", false)];
    let direct = Provider::start(|_: &Received| Turn::text("I look. All is well.").into()).await;
    let Some(wanted) = play(&direct.url(), &jobs).await else { return };
    let provider = Provider::start(answer).await;
    for (_running, url) in clouds(&provider.url()).await {
        let before = provider.received().len();
        let heard = play(&url, &jobs).await.unwrap();
        for ((job, heard), wanted) in jobs.iter().zip(&heard).zip(&wanted) {
            assert_eq!(heard["error"], Value::Null, "{job:?}: {heard}");
            let [heard, wanted] = [heard, wanted].map(|it| &it["turns"][0]);
            if job.0 == "count" {
                assert!(
                    heard["message"]["tokens"].as_u64() < wanted["message"]["tokens"].as_u64(),
                    "{heard}"
                );
                continue;
            }
            assert_eq!(heard["heard"], wanted["heard"], "{job:?}");
            let text = |turn: &Value| -> String {
                let blocks = turn["message"]["content"].as_array().unwrap();
                blocks.iter().map(|block| block["text"].as_str().unwrap()).collect()
            };
            assert_eq!(text(heard), text(wanted), "{job:?}: {heard}");
            assert_eq!(heard["message"]["stop_reason"], "end_turn");
            for ours in [RETRIEVAL_TOOL, OURS, "headroom"] {
                assert!(!heard.to_string().contains(ours), "{ours:?} reached the client: {heard}");
            }
        }
        let received = provider.received().split_off(before);
        // Each of three questions with its follow-up, and the count.
        assert_eq!(received.len(), 7);
        for request in &received {
            let body = String::from_utf8_lossy(request.body());
            assert_eq!(request.rejection(), None, "{body}");
        }
        assert!(2 * received[0].body().len() < direct.received()[0].body().len());
    }
}
