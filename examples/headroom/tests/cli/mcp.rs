//! `headroom mcp` under the official SDK's client.

use std::process::Stdio;

use rmcp::{
    RoleClient, ServiceError, ServiceExt as _,
    model::{CallToolRequestParams, CallToolResult, ErrorCode},
    service::RunningService,
    transport::TokioChildProcess,
};
use serde_json::{Value, json};

use crate::bed::log;

pub(crate) type Client = RunningService<RoleClient, ()>;

/// A client whose server is the binary itself.
pub(crate) async fn client(args: &[&str]) -> Client {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_headroom"));
    command.arg("mcp").args(args);
    let (transport, _) = TokioChildProcess::builder(command).stderr(Stdio::null()).spawn().unwrap();
    ().serve(transport).await.unwrap()
}

pub(crate) async fn call(
    client: &Client,
    tool: &'static str,
    arguments: Value,
) -> Result<CallToolResult, ServiceError> {
    let Value::Object(arguments) = arguments else { panic!("{arguments}") };
    client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await
}

/// The text of the `at`th content of a result.
pub(crate) fn text(result: &CallToolResult, at: usize) -> &str {
    result.content[at].as_text().map(|text| text.text.as_str()).unwrap()
}

/// The handle behind `#` in a note.
pub(crate) fn handle(note: &str) -> &str {
    note.rsplit_once('#').unwrap_or_else(|| panic!("{note}")).1
}

/// All that a server must do for a client.
pub(crate) async fn serves(client: &Client) {
    let tools = client.list_all_tools().await.unwrap();
    let mut names: Vec<_> = tools.iter().map(|tool| tool.name.to_string()).collect();
    names.sort();
    assert_eq!(names, ["headroom_compress", "headroom_retrieve", "headroom_stats"]);

    let log = log(3000);
    let smaller =
        call(client, "headroom_compress", json!({ "text": log, "source": "app.log" })).await.unwrap();
    assert_eq!(smaller.is_error, Some(false));
    assert!(text(&smaller, 0).len() < log.len() / 2 && text(&smaller, 0).contains("lost its lease"));

    // The whole text comes back, byte for byte.
    let arguments = json!({ "handle": handle(text(&smaller, 1)), "max_tokens": 1_000_000 });
    let whole = call(client, "headroom_retrieve", arguments).await.unwrap();
    assert_eq!(text(&whole, 0).split_once('\n').unwrap().1, log);

    // So does what a marker stands for, by the marker itself.
    let shown = text(&smaller, 0);
    let at = shown.find("[~").unwrap();
    let marker = &shown[at..=at + shown[at..].find(']').unwrap()];
    let part = call(client, "headroom_retrieve", json!({ "handle": marker })).await.unwrap();
    assert_eq!(part.is_error, Some(false), "{part:?}");
    assert!(text(&part, 0).lines().skip(1).all(|line| log.contains(line) || line.starts_with("--")));

    let found = call(
        client,
        "headroom_retrieve",
        json!({ "handle": handle(text(&smaller, 1)), "query": "lost its lease" }),
    );
    assert!(text(&found.await.unwrap(), 0).contains("ERROR worker 1500"));

    for bad in [
        json!({ "handle": "123456789012345678901234567890" }),
        json!({ "handle": "12" }),
        json!({ "handle": handle(text(&smaller, 1)), "range": "x" }),
    ] {
        let refused = call(client, "headroom_retrieve", bad.clone()).await.unwrap();
        assert_eq!(refused.is_error, Some(true), "{bad}");
        assert!(text(&refused, 0).starts_with("Error: "), "{}", text(&refused, 0));
    }
    for (tool, bad) in [
        ("headroom_retrieve", json!({})),
        ("headroom_compress", json!({ "text": 1 })),
        ("nothing", json!({})),
    ] {
        match call(client, tool, bad).await {
            Err(ServiceError::McpError(error)) => assert_eq!(error.code, ErrorCode::INVALID_PARAMS),
            other => panic!("{tool}: {other:?}"),
        }
    }

    let short = call(client, "headroom_compress", json!({ "text": "short" })).await.unwrap();
    assert_eq!(text(&short, 0), "short");
    assert!(text(&short, 1).contains("as they were"), "{}", text(&short, 1));

    let stats = call(client, "headroom_stats", json!({})).await.unwrap();
    let stats: Value = serde_json::from_str(text(&stats, 0)).unwrap();
    assert_eq!(stats["compressed"]["texts"], 2);
    assert!(stats["compressed"]["tokens_saved"].as_i64() > Some(10_000), "{stats}");
    assert_eq!(stats["retrieved"]["from_memory"], 3);
    assert_eq!(stats["retrieved"]["unknown"], 1);
    assert_eq!(stats["retrieved"]["bad_arguments"], 2);
}

#[tokio::test]
async fn serves_over_stdio() {
    let client = client(&[]).await;
    serves(&client).await;
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn nothing_is_left_out_where_it_is_not_wanted() {
    let client = client(&[]).await;
    let exact =
        call(&client, "headroom_compress", json!({ "text": log(2000), "exact": true })).await.unwrap();
    assert!(!text(&exact, 0).contains("[~"));
    client.cancel().await.unwrap();
}
