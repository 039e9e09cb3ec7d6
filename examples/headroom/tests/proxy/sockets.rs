//! Every socket that the process opens: only to the upstream and the store that were configured.

use std::{collections::BTreeSet, process::Command};

use headroom_tests::{
    Dialect,
    client::Dialogue,
    fixtures,
    provider::{Asker, Provider, Question, Replay},
};
use rmcp::{ServiceExt as _, model::CallToolRequestParams, transport::TokioChildProcess};
use serde_json::{Value, json};

use crate::{
    admin::{handles, long},
    bed::{Proxy, command, within},
    recorder::{Recorder, Seen},
};

/// Addresses as the record has them.
fn only<'a>(all: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    all.into_iter().map(|url| url.trim_start_matches("http://").to_owned()).collect()
}

async fn asking() -> Provider {
    let replay = Replay::new(["red-jobs.openai", "nightly.anthropic"].map(fixtures::named)).delta(400);
    Provider::start(Asker::new(replay, |turn| (turn == 2).then_some(Question::Whole))).await
}

/// Everything a proxy does in its life, up to its end.
async fn live(mut proxy: Proxy, recorder: Recorder) -> Seen {
    for (name, dialect) in [("red-jobs.openai", Dialect::OpenAi), ("nightly.anthropic", Dialect::Anthropic)] {
        let conversation = fixtures::named(name);
        let mut dialogue = Dialogue::new(&conversation).streamed();
        while let Some(body) = dialogue.request() {
            dialogue.answered(&within(proxy.ask(dialect, body)).await.unwrap());
        }
    }
    for path in ["/", "/healthz", "/readyz", "/stats", "/metrics", "/dashboard"] {
        assert_eq!(proxy.get(path).await.0, 200, "{path}");
    }
    let body: Value = serde_json::from_str(&long("red-jobs.openai")).unwrap();
    let (status, smaller) = proxy.post("/v1/compress", &json!({"body": body, "retrievable": true})).await;
    assert_eq!(status, 200, "{smaller}");
    for handle in [handles(&smaller.to_string()).remove(0), "1".repeat(30)] {
        proxy.post("/v1/retrieve", &json!({"handle": handle, "whole": true})).await;
    }
    let pid = proxy.pid();
    proxy.terminate();
    assert!(proxy.ended().await.success());
    tokio::task::spawn_blocking(move || recorder.seen(pid)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_configured_upstreams_are_talked_to() {
    let provider = asking().await;
    let url = provider.url();
    // One that nobody listens at: an attempt is recorded, too.
    let nobody = "http://127.0.0.1:1";
    let command = command(&[
        "--anthropic-target-api-url",
        &url,
        "--openai-target-api-url",
        &url,
        "--gemini-target-api-url",
        nobody,
    ]);
    for (asked, wanted) in [(false, only([&*url])), (true, only([&*url, nobody]))] {
        let Some((recorded, recorder)) = Recorder::around(&command, &format!("proxy-{asked}")) else {
            return;
        };
        let proxy = Proxy::with(recorded);
        if asked {
            let body = r#"{"contents":[{"role":"user","parts":[{"text":"x"}]}]}"#;
            assert_eq!(proxy.json(proxy.says(Dialect::Gemini, body)).await.0, 502);
        }
        let seen = live(proxy, recorder).await;
        assert_eq!(seen.spoke, wanted, "{seen:?}");
        assert_eq!(seen.made, only(["AF_INET SOCK_STREAM"]), "{seen:?}");
        // It asked for a port of the system's choice, at this address.
        assert!(seen.bound.len() == 1 && seen.bound.contains("127.0.0.1:0"), "{seen:?}");
        assert!(seen.other.is_empty(), "{seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_looked_up_where_the_system_says_and_nowhere_else() {
    let provider = asking().await;
    let url = provider.url().replace("127.0.0.1", "localhost");
    let command = command(&["--backend", &url]);
    let Some((recorded, recorder)) = Recorder::around(&command, "name") else { return };
    let proxy = Proxy::with(recorded);
    within(proxy.ask(Dialect::OpenAi, long("red-jobs.openai"))).await.unwrap();
    let pid = proxy.pid();
    proxy.terminate();
    let seen = tokio::task::spawn_blocking(move || recorder.seen(pid)).await.unwrap();
    assert!(seen.spoke.contains(provider.url().trim_start_matches("http://")), "{seen:?}");
    for peer in &seen.spoke {
        // The system's cache of names, its list of interfaces, and this machine.
        let system = peer.contains("nscd") || peer.contains("systemd") || peer == "AF_NETLINK";
        assert!(system || peer.starts_with("127.0.0.1:") || peer.starts_with("[::1]:"), "{seen:?}");
    }
}

/// Asks an MCP server all that it can do, to its end.
async fn consult(arguments: &[&str], handle: &str, name: &str) -> Option<Seen> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headroom"));
    command.arg("mcp").args(arguments);
    let (recorded, recorder) = Recorder::around(&command, name)?;
    let child = TokioChildProcess::new(tokio::process::Command::from(recorded)).unwrap();
    let pid = child.id().unwrap();
    let client = ().serve(child).await.unwrap();
    let log: String = (0..2000).map(|n| format!("2026-11-02T10:00:00 INFO batch {n} done\n")).collect();
    for (tool, arguments) in [
        ("headroom_compress", json!({ "text": log })),
        ("headroom_retrieve", json!({ "handle": handle })),
        ("headroom_stats", json!({})),
    ] {
        let Value::Object(arguments) = arguments else { unreachable!() };
        client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await.unwrap();
    }
    client.cancel().await.unwrap();
    Some(tokio::task::spawn_blocking(move || recorder.seen(pid)).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_mcp_server_talks_to_its_proxy_alone_or_to_nobody() {
    let provider = asking().await;
    let proxy = Proxy::start(&provider.url(), &[]);
    within(proxy.ask(Dialect::OpenAi, long("red-jobs.openai"))).await.unwrap();
    let handle = handles(&String::from_utf8_lossy(provider.last().body())).remove(0);
    let Some(alone) = consult(&[], &handle, "mcp").await else { return };
    assert!(alone.made.is_empty() && alone.spoke.is_empty() && alone.bound.is_empty(), "{alone:?}");
    let seen = consult(&["--proxy", &proxy.url], &handle, "mcp-proxy").await.unwrap();
    assert_eq!(seen.spoke, only([&*proxy.url]), "{seen:?}");
    assert_eq!((seen.made, seen.bound.len()), (only(["AF_INET SOCK_STREAM"]), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_for_files_opens_no_socket() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headroom"));
    command.args(["compress", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
    let Some((mut recorded, recorder)) = Recorder::around(&command, "compress") else { return };
    let mut child =
        recorded.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    assert!(child.wait().unwrap().success());
    let pid = child.id();
    let seen = recorder.seen(pid);
    assert!(seen.made.is_empty() && seen.spoke.is_empty() && seen.other.is_empty(), "{seen:?}");
}

/// Where the store is a database, it is the only other one.
#[cfg(feature = "fleet")]
#[tokio::test(flavor = "multi_thread")]
async fn only_the_configured_store_is_talked_to_besides() {
    let provider = asking().await;
    let database = within(crate::store::cluster::database()).await;
    let url = provider.url();
    let command = command(&["--backend", &url, "--store", &database, "--store-key", "kept"]);
    let Some((recorded, recorder)) = Recorder::around(&command, "store") else { return };
    let seen = live(Proxy::with(recorded), recorder).await;
    // The system's cache is asked what this user is called, as whom the database is asked.
    let known = |peer: &&String| **peer == url.trim_start_matches("http://") || peer.contains("nscd");
    let others: Vec<&String> = seen.spoke.iter().filter(|peer| !known(peer)).collect();
    assert_eq!(others.len(), 1, "{seen:?}");
    let folder = database.split("host=").nth(1).map(|it| it.split('&').next().unwrap().replace("%2F", "/"));
    let place = folder.unwrap_or_else(|| database.split(['@', '/', '?']).nth(3).unwrap().to_owned());
    assert!(others[0].contains(&place), "{others:?} is not {place}");
}
