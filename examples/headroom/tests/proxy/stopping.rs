//! How it ends.

#![cfg(unix)]

use headroom_tests::{
    Dialect,
    provider::{Gate, Provider, Received, Turn},
};
use http_body_util::BodyExt as _;

use crate::bed::{Proxy, send, text, within};

const STREAM: &str =
    r#"{"model":"claude-haiku-4-5","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"x"}]}"#;

async fn speaking(gate: &Gate) -> Provider {
    let held = gate.clone();
    Provider::start(move |_: &Received| Turn::text("One. Two. Three.").gate(3, &held).into()).await
}

#[tokio::test]
async fn told_to_stop_it_finishes_what_it_has_begun() {
    let gate = Gate::new();
    let provider = speaking(&gate).await;
    let mut proxy = Proxy::start(&provider.url(), &[]);
    let mut response = send(proxy.says(Dialect::Anthropic, STREAM)).await;
    within(response.body_mut().frame()).await.unwrap().unwrap();
    proxy.terminate();
    // It listens no longer.
    let address = proxy.url.trim_start_matches("http://").to_owned();
    while tokio::net::TcpStream::connect(&address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    gate.open();
    let rest = text(response).await.1;
    assert!(rest.contains("Three.") && rest.contains("message_stop"), "{rest}");
    assert!(proxy.ended().await.success());
    assert!(!proxy.logs().contains("cut off"), "{}", proxy.logs());
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off_when_the_time_is_over() {
    let gate = Gate::new();
    let provider = speaking(&gate).await;
    let mut proxy = Proxy::start(&provider.url(), &["--shutdown-timeout", "1"]);
    let mut response = send(proxy.says(Dialect::Anthropic, STREAM)).await;
    within(response.body_mut().frame()).await.unwrap().unwrap();
    proxy.terminate();
    assert!(proxy.ended().await.success());
    for told in ["cut off", "abandoned"] {
        assert!(proxy.logs().contains(told), "{}", proxy.logs());
    }
    assert!(within(response.into_body().collect()).await.is_err(), "it broke off");
}

/// As at a terminal, where somebody presses Ctrl-C again.
#[tokio::test]
async fn told_twice_it_stops_at_once() {
    let gate = Gate::new();
    let provider = speaking(&gate).await;
    let mut proxy = Proxy::start(&provider.url(), &["--shutdown-timeout", "600"]);
    let mut response = send(proxy.says(Dialect::Anthropic, STREAM)).await;
    within(response.body_mut().frame()).await.unwrap().unwrap();
    proxy.terminate();
    while !proxy.logs().contains("stopping") {
        tokio::task::yield_now().await;
    }
    proxy.terminate();
    assert!(proxy.ended().await.success());
    assert!(proxy.logs().contains("told to stop again"), "{}", proxy.logs());
}
