//! Handles redeemed from a shared store and from a proxy.

#[cfg(feature = "fleet")]
#[path = "../../../../tests/fleet/cluster.rs"]
#[expect(dead_code, reason = "the tests of fleets use all of it")]
mod cluster;

use axum::{
    Json, Router,
    http::{HeaderMap, StatusCode},
    routing,
};
use bytes::Bytes;
use headroom_tests::{
    client::post,
    fixtures,
    provider::{Provider, Replay},
};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};

use crate::{
    bed::{log, run, stderr},
    mcp::{call, client, text},
    proxy::Proxy,
};

#[cfg(feature = "fleet")]
#[tokio::test(flavor = "multi_thread")]
async fn a_store_outlives_the_server() {
    let database = cluster::database().await;
    let log = log(1000);
    let one = client(&["--store", &database, "--store-key", "hush", "--tenant", "a"]).await;
    let smaller = call(&one, "headroom_compress", json!({ "text": log })).await.unwrap();
    one.cancel().await.unwrap();
    let arguments = json!({ "handle": crate::mcp::handle(text(&smaller, 1)), "max_tokens": 1_000_000 });

    let two = client(&["--store", &database, "--store-key", "hush", "--tenant", "a"]).await;
    let whole = call(&two, "headroom_retrieve", arguments.clone()).await.unwrap();
    assert_eq!(text(&whole, 0).split_once('\n').unwrap().1, log);
    let stats = call(&two, "headroom_stats", json!({})).await.unwrap();
    assert_eq!(stats.structured_content.unwrap()["retrieved"]["from_store"], 1);
    two.cancel().await.unwrap();

    let other = client(&["--store", &database, "--store-key", "hush", "--tenant", "b"]).await;
    let refused = call(&other, "headroom_retrieve", arguments).await.unwrap();
    assert_eq!(refused.is_error, Some(true));
    other.cancel().await.unwrap();
}

#[test]
fn a_store_that_is_not_there_is_told_at_the_start() {
    for (store, status) in [("postgres://nobody@127.0.0.1:1/none", 1), ("redis://x", 2)] {
        let output = crate::bed::run(&["mcp", "--store", store], b"");
        assert_eq!(output.status.code(), Some(status));
        assert!(crate::bed::stderr(&output).contains("--store"), "{}", crate::bed::stderr(&output));
    }
}

/// A stand-in for the proxy's two paths.
async fn proxy() -> String {
    async fn retrieve(headers: HeaderMap, Json(asked): Json<Value>) -> Result<Json<Value>, StatusCode> {
        if headers["x-headroom-token"] != "hush" || headers["x-api-key"] != "k" {
            return Err(StatusCode::UNAUTHORIZED);
        }
        match asked["handle"].as_str() {
            Some("123456789012345678901234567890") => {
                Ok(Json(json!({ "text": format!("of {} for {}", asked["range"], asked["query"]) })))
            }
            Some("223456789012345678901234567890") => Err(StatusCode::INTERNAL_SERVER_ERROR),
            _ => Err(StatusCode::NOT_FOUND),
        }
    }
    let stats = || async { Json(json!({ "requests": 3 })) };
    let router =
        Router::new().route("/v1/retrieve", routing::post(retrieve)).route("/stats", routing::get(stats));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/")
}

#[tokio::test]
async fn a_proxy_is_asked_for_what_is_not_here() {
    let url = proxy().await;
    let client = client(&["--proxy", &url, "--proxy-token", "hush", "--proxy-header", "x-api-key: k"]).await;
    let ask = |arguments: Value| call(&client, "headroom_retrieve", arguments);
    let found =
        ask(json!({ "handle": "123456789012345678901234567890", "range": "2-3", "query": "why" })).await;
    assert_eq!(text(&found.unwrap(), 0), "of \"2-3\" for \"why\"");
    let unknown = ask(json!({ "handle": "323456789012345678901234567890" })).await.unwrap();
    assert!(
        unknown.is_error == Some(true) && text(&unknown, 0).contains("no longer available"),
        "{unknown:?}"
    );
    let failed = ask(json!({ "handle": "223456789012345678901234567890" })).await.unwrap();
    assert!(failed.is_error == Some(true) && text(&failed, 0).contains("500"), "{failed:?}");
    let stats = call(&client, "headroom_stats", json!({})).await.unwrap().structured_content.unwrap();
    assert_eq!((&stats["proxy"]["requests"], &stats["retrieved"]["from_proxy"]), (&json!(3), &json!(1)));
    client.cancel().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_proxy_hid_is_redeemed_there() {
    let conversation = fixtures::named("red-jobs.openai");
    let provider = Provider::start(Replay::new(vec![conversation])).await;
    let proxy = Proxy::start(&provider.url(), &[]);
    let log = log(3000);
    let sent = post(&format!("{}/v1/messages", proxy.url), Bytes::from(crate::bed::request(&log)));
    let http: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    // What it answers does not matter here.
    http.request(sent).await.unwrap().into_body().collect().await.unwrap();

    let received = provider.received();
    let received = String::from_utf8(received[0].body().to_vec()).unwrap();
    let is_handle = |digits: &&str| digits.len() == 30 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let behind = received.split('#').skip(1).filter_map(|behind| behind.get(..30));
    let handle = behind.into_iter().find(is_handle).unwrap();

    let raw = run(&["retrieve", handle, "--raw", "--proxy", &proxy.url], b"");
    assert_eq!(stderr(&raw), "");
    assert_eq!(String::from_utf8(raw.stdout).unwrap(), log);

    let client = client(&["--proxy", &proxy.url]).await;
    let arguments = json!({ "handle": handle, "range": "2-3" });
    let page = call(&client, "headroom_retrieve", arguments).await.unwrap();
    let lines: Vec<&str> = log.lines().skip(1).take(2).collect();
    assert_eq!(text(&page, 0).split_once('\n').unwrap().1, lines.join("\n"));
    let stats = call(&client, "headroom_stats", json!({})).await.unwrap().structured_content.unwrap();
    assert_eq!(stats["proxy"]["requests"]["total"], 1);
    client.cancel().await.unwrap();
}
