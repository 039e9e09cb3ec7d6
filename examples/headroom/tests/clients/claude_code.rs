//! Claude Code's command line.

use headroom_tests::provider::Provider;
use serde_json::Value;

use crate::{
    bed::{alone, node_modules, platform, printed, proxy, room},
    model::{ANSWER, answer, saved},
};

/// Runs the task against `base`; what it printed, and its last line.
async fn task(base: &str) -> Option<(String, Value)> {
    let platform = format!("@anthropic-ai/claude-code-{}", platform());
    let program = node_modules()?.join(platform).join("claude");
    let room = room("claude");
    let mut command = alone(&program, &room);
    command.env("ANTHROPIC_BASE_URL", base).env("ANTHROPIC_API_KEY", "dummy");
    for off in [
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        "DISABLE_AUTOUPDATER",
        "DISABLE_ERROR_REPORTING",
        "DISABLE_TELEMETRY",
    ] {
        command.env(off, "1");
    }
    command.args(["-p", "Run the batches and tell me whether all are done."]);
    command.args(["--output-format", "stream-json", "--verbose", "--allowedTools", "Bash"]);
    command.args(["--model", "claude-haiku-4-5"]);
    let text = printed(command).await;
    let _ = std::fs::remove_dir_all(&room);
    let last = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    Some((text, last))
}

/// What the user sees of it: each message's blocks, without what is counted and timed.
fn seen(text: &str) -> Vec<Value> {
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let spoken = lines.filter(|line| line["type"] == "assistant" || line["type"] == "user");
    spoken.map(|line| line["message"]["content"].clone()).collect()
}

#[tokio::test]
async fn a_task_of_claude_code() {
    let upstream = Provider::start(answer).await;
    let Some((direct, end)) = task(&upstream.url()).await else { return };
    assert_eq!(end["result"], ANSWER, "{end}");

    let provider = Provider::start(answer).await;
    let (_proxy, url) = proxy(&provider.url()).await;
    let (layered, last) = task(&url).await.unwrap();
    for field in ["subtype", "is_error", "num_turns", "result", "stop_reason", "permission_denials"] {
        assert_eq!(last[field], end[field], "{field}");
    }
    assert_eq!(seen(&layered), seen(&direct));
    saved(&upstream, &provider, &layered);
}
