//! The official Python and Node SDKs before the proxy, and Anthropic's, which knows of no cloud, at Bedrock
//! and at Vertex. What else they can do is tested with the library's own tests, around its layer.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use headroom_engine::ccr::Marker;
use headroom_tests::{
    Dialect, packages,
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
            let call = Block::call(format!("{OURS}0"), RETRIEVAL_TOOL, arguments);
            // Chat Completions have one text in a message.
            match request.dialect() {
                Some(Dialect::Anthropic) => Turn::new([Block::Text("I look. ".to_owned()), call]).into(),
                _ => Turn::new([call]).into(),
            }
        }
        None => Turn::text("All is well.").into(),
    }
}

/// The same model, had it been shown all.
fn straight(request: &Received) -> Reply {
    let looks = if request.dialect() == Some(Dialect::Anthropic) { "I look. " } else { "" };
    Turn::text(format!("{looks}All is well.")).into()
}

/// What the tool returned.
fn log() -> String {
    (0..400).map(|n| format!("2026-11-02T10:00:00 INFO worker: batch {n} of shard 1 done\n")).collect()
}

/// A request with a long result in it, for a part of an SDK; and the name of its list.
fn request(api: &str) -> (Value, &'static str) {
    let asked = "Are all batches done?";
    let (name, about) = ("run_command", "Runs a command in the shell");
    let parameters = json!({"type": "object", "properties": {"command": {"type": "string"}}});
    let arguments = json!({"command": "journalctl"});
    match api {
        "chat" => {
            let call = json!({"id": "call_1", "type": "function", "function": {
                "name": name, "arguments": arguments.to_string()}});
            let function = json!({"name": name, "description": about, "parameters": parameters});
            let request = json!({"model": "gpt-6", "tools": [{"type": "function", "function": function}],
            "messages": [
                {"role": "user", "content": asked},
                {"role": "assistant", "content": null, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_1", "content": log()},
            ]});
            (request, "messages")
        }
        "responses" => {
            let request = json!({"model": "gpt-6", "store": false,
            "tools": [{"type": "function", "name": name, "description": about, "parameters": parameters}],
            "input": [
                {"role": "user", "content": asked},
                {"type": "function_call", "call_id": "call_1", "name": name,
                    "arguments": arguments.to_string()},
                {"type": "function_call_output", "call_id": "call_1", "output": log()},
            ]});
            (request, "input")
        }
        "gemini" => {
            let declared = json!({"name": name, "description": about, "parameters": parameters});
            let result = json!({"name": name, "response": {"output": log()}});
            let request = json!({"tools": [{"functionDeclarations": [declared]}], "contents": [
                {"role": "user", "parts": [{"text": asked}]},
                {"role": "model", "parts": [{"functionCall": {"name": name, "args": arguments}, "thoughtSignature": "c2lnbmVk"}]},
                {"role": "user", "parts": [{"functionResponse": result}]},
            ]});
            (request, "contents")
        }
        _ => {
            let call = json!({"type": "tool_use", "id": "call_1", "name": name, "input": arguments});
            let mut request = json!({
                "model": "claude-haiku-4-5", "max_tokens": 1000,
                "tools": [{"name": name, "description": about, "input_schema": parameters}],
                "messages": [
                    {"role": "user", "content": asked},
                    {"role": "assistant", "content": [call]},
                    {"role": "user", "content": [
                        {"type": "tool_result", "tool_use_id": "call_1", "content": log()}]},
                ],
            });
            if api == "count" {
                request.as_object_mut().unwrap().remove("max_tokens");
            }
            (request, "messages")
        }
    }
}

/// What the SDKs of a language made of these jobs at `base`, by the drivers of the library's own tests;
/// `None`, said aloud, if they cannot be had.
async fn play(language: &str, base: &str, jobs: &[(&str, bool)]) -> Option<Vec<Value>> {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/sdk");
    let target = env!("CARGO_TARGET_TMPDIR");
    let (installed, driver) = match language {
        "python" => (packages::python(target, &sdk.join("python/requirements.txt")), "python/drive.py"),
        _ => (packages::node(target, &sdk.join("node")), "node/drive.mjs"),
    };
    let place = packages::or_skip(&format!("the official SDKs for {language}"), &installed)?;
    let line = |(api, stream): &(&str, bool)| {
        let (mut request, list) = request(api);
        if *api == "chat" && *stream {
            request["stream_options"] = json!({"include_usage": true});
        }
        let job = json!({"api": api, "stream": stream, "retries": 0, "list": list, "chained": false,
            "retrieves": false, "request": request, "then": [], "outputs": [], "base": base});
        format!("{job}\n")
    };
    let lines: String = jobs.iter().map(line).collect();
    let program = if language == "python" { place.join("bin/python") } else { "node".into() };
    let played = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(program);
        command.arg(sdk.join(driver)).current_dir(place).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()).unwrap());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        output
    });
    let output = within(played).await.unwrap();
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).unwrap();
    Some(lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// A message without what the provider numbers and counts.
fn settled(mut message: Value) -> Value {
    match &mut message {
        Value::Object(fields) => {
            for name in [
                "id",
                "usage",
                "usage_metadata",
                "usageMetadata",
                "sdk_http_response",
                "sdkHttpResponse",
                "responseId",
            ] {
                fields.remove(name);
            }
            for (_, value) in fields.iter_mut() {
                *value = settled(value.take());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| *item = settled(item.take())),
        _ => {}
    }
    message
}

/// All texts of a message, in their order: an answer that was spliced may have them in more blocks.
fn words(message: &Value) -> String {
    match message {
        Value::Array(items) => items.iter().map(words).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| match value {
                Value::String(text) if name == "text" || name == "content" => text.clone(),
                value => words(value),
            })
            .collect(),
        _ => String::new(),
    }
}

#[tokio::test]
async fn the_sdks_hear_through_the_proxy_what_they_hear_without() {
    let shared = ["messages", "beta-messages", "chat", "responses"];
    for (language, apis) in [("python", [&shared[..], &["gemini"]].concat()), ("node", shared.to_vec())] {
        let jobs: Vec<(&str, bool)> = apis.iter().flat_map(|api| [(*api, false), (*api, true)]).collect();
        let direct = Provider::start(straight).await;
        let Some(wanted) = play(language, &direct.url(), &jobs).await else { continue };
        let provider = Provider::start(answer).await;
        let url = provider.url();
        let mut command = Command::new(env!("CARGO_BIN_EXE_headroom"));
        command.env_clear().args(["proxy", "--port", "0", "--json"]);
        for name in ["anthropic", "openai", "gemini"] {
            command.args([&format!("--{name}-target-api-url"), &url]);
        }
        let (_running, proxy) = listening(command).await;
        let heard = play(language, &proxy, &jobs).await.unwrap();
        assert_eq!((heard.len(), wanted.len()), (jobs.len(), jobs.len()));
        for ((job, heard), wanted) in jobs.iter().zip(&heard).zip(&wanted) {
            let what = format!("{language} {job:?}");
            assert_eq!((&heard["error"], &wanted["error"]), (&Value::Null, &Value::Null), "{what}");
            let [heard, wanted] = [heard, wanted].map(|it| &it["turns"][0]);
            assert_eq!(heard["heard"], wanted["heard"], "{what}");
            if job.0.ends_with("messages") {
                assert_eq!(words(&heard["message"]["content"]), "I look. All is well.", "{what}: {heard}");
                assert_eq!(heard["message"]["stop_reason"], wanted["message"]["stop_reason"], "{what}");
            } else {
                assert_eq!(settled(heard["message"].clone()), settled(wanted["message"].clone()), "{what}");
            }
            for ours in [RETRIEVAL_TOOL, OURS, "headroom"] {
                assert!(!heard.to_string().contains(ours), "{what}: {ours:?} reached the client: {heard}");
            }
        }
        // Each question with its follow-up, and each less than half of what it was.
        let [sent, passed] = [&direct, &provider].map(Provider::received);
        assert_eq!((sent.len(), passed.len()), (jobs.len(), 2 * jobs.len()), "{language}");
        for ((pair, sent), job) in passed.chunks(2).zip(&sent).zip(&jobs) {
            for request in pair.iter().chain([sent]) {
                let body = String::from_utf8_lossy(request.body());
                assert_eq!(request.rejection(), None, "{language} {job:?}: {body}");
            }
            let (with, without) = (pair[0].body().len(), sent.body().len());
            assert!(2 * with < without, "{language} {job:?}: {with} of {without} bytes");
        }
    }
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
    let Some(wanted) = play("python", &direct.url(), &jobs).await else { return };
    let provider = Provider::start(answer).await;
    for (_running, url) in clouds(&provider.url()).await {
        let before = provider.received().len();
        let heard = play("python", &url, &jobs).await.unwrap();
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
