//! The MCP inspector's command line, which calls one method of a server that it starts itself.

use serde_json::Value;

use crate::bed::{alone, node_modules, printed, room};

async fn method(arguments: &[&str]) -> Option<Value> {
    let room = room(&format!("inspector-{}", arguments.len()));
    let mut command = alone(&node_modules()?.join(".bin/mcp-inspector"), &room);
    command.args(["--cli", env!("CARGO_BIN_EXE_headroom"), "mcp", "--method"]).args(arguments);
    let text = printed(command).await;
    let _ = std::fs::remove_dir_all(&room);
    Some(serde_json::from_str(&text).unwrap())
}

#[tokio::test]
async fn the_inspector_lists_and_calls_our_tools() {
    let Some(tools) = method(&["tools/list"]).await else { return };
    let mut names: Vec<_> =
        tools["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["headroom_compress", "headroom_retrieve", "headroom_stats"]);

    let log: String = (0..400).map(|n| format!("2026-11-02T10:00:00 INFO batch {n} done\n")).collect();
    let text = format!("text={log}");
    let call = ["tools/call", "--tool-name", "headroom_compress", "--tool-arg", &text];
    let smaller = method(&call).await.unwrap();
    assert_eq!(smaller["isError"], false);
    let shown = smaller["content"][0]["text"].as_str().unwrap();
    assert!(4 * shown.len() < log.len() && shown.contains("batch 399"), "{shown}");

    let call = [
        "tools/call",
        "--tool-name",
        "headroom_retrieve",
        "--tool-arg",
        "handle=none",
        "--tool-arg",
        "max_tokens=9",
    ];
    let refused = method(&call).await.unwrap();
    assert_eq!(refused["isError"], true, "{refused}");
}
