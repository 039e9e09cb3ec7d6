//! Handles redeemed from a shared store and from a proxy.

#[path = "../../../../tests/fleet/cluster.rs"]
#[allow(dead_code, reason = "the tests of fleets use all of it")]
mod cluster;

use axum::{
    Json, Router,
    http::{HeaderMap, StatusCode},
    routing,
};
use serde_json::{Value, json};

use crate::{
    bed::log,
    mcp::{call, client, handle, text},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_store_outlives_the_server() {
    let database = cluster::database().await;
    let log = log(1000);
    let one = client(&["--store", &database, "--store-key", "hush", "--tenant", "a"]).await;
    let smaller = call(&one, "headroom_compress", json!({ "text": log })).await.unwrap();
    one.cancel().await.unwrap();
    let arguments = json!({ "handle": handle(text(&smaller, 1)), "max_tokens": 1_000_000 });

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
    for store in ["postgres://nobody@127.0.0.1:1/none", "redis://x"] {
        let output = crate::bed::run(&["mcp", "--store", store], b"");
        assert_eq!(output.status.code(), Some(1));
        assert!(crate::bed::stderr(&output).contains("--store"), "{}", crate::bed::stderr(&output));
    }
}

/// A stand-in for the proxy's two paths.
async fn proxy() -> String {
    async fn retrieve(headers: HeaderMap, Json(asked): Json<Value>) -> Result<Json<Value>, StatusCode> {
        if (&headers["x-headroom-token"], &headers["x-api-key"]) != (&"hush", &"k") {
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
