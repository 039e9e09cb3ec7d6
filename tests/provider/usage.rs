//! Tokens and the prompt cache.

use headroom_engine::tokens::{O200k, TokenCounter as _};
use headroom_tests::Dialect::{Anthropic, OpenAi};
use serde_json::{Value, json};

use super::{ask, greeter, request};

fn long(seed: &str) -> String {
    (0..1_500).map(|number| format!("{seed}{number} ")).collect()
}

fn breakpoint(text: &str) -> Value {
    json!([{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}])
}

#[tokio::test]
async fn tokens_are_those_of_what_was_sent() {
    for dialect in super::BOTH {
        let provider = greeter().await;
        let small = ask(&provider, dialect, &request(dialect)).await.unwrap().billed();
        let mut body = request(dialect);
        body["messages"][0]["content"] = long("a").into();
        let large = ask(&provider, dialect, &body).await.unwrap().billed();
        let difference = O200k.count(&long("a")) - O200k.count("Hi");
        assert_eq!(large.uncached - small.uncached, difference as u64);
        assert_eq!(large.output, O200k.count("Hello.") as u64);
        let usage = provider.last().usage();
        assert_eq!((usage.total as u64, usage.output as u64), (large.uncached, large.output));
    }
}

#[tokio::test]
async fn anthropic_caches_what_a_breakpoint_marks() {
    let provider = greeter().await;
    let mut body = request(Anthropic);
    body["messages"][0]["content"] = breakpoint(&long("a"));
    let first = ask(&provider, Anthropic, &body).await.unwrap().billed();
    assert_eq!((first.cache_read, first.uncached), (0, 0));
    assert!(first.cache_write > 1_500);

    let again = ask(&provider, Anthropic, &body).await.unwrap().billed();
    assert_eq!((again.cache_read, again.cache_write), (first.cache_write, 0));

    // The breakpoint moves on; the old one is found by looking back.
    body["messages"][0]["content"] = long("a").into();
    body["messages"].as_array_mut().unwrap().extend([
        json!({"role": "assistant", "content": "Yes."}),
        json!({"role": "user", "content": breakpoint("Go on.")}),
    ]);
    let next = ask(&provider, Anthropic, &body).await.unwrap().billed();
    assert_eq!((next.cache_read, next.uncached), (first.cache_write, 0));
    assert!(next.cache_write > 0);

    // A byte that differs before it, and nothing is found.
    body["messages"][0]["content"] = long("b").into();
    assert_eq!(ask(&provider, Anthropic, &body).await.unwrap().billed().cache_read, 0);
}

#[tokio::test]
async fn anthropic_looks_back_twenty_positions() {
    let provider = greeter().await;
    for (turns, found) in [(9, true), (10, false)] {
        let mut body = request(Anthropic);
        body["messages"][0]["content"] = breakpoint(&long(&turns.to_string()));
        ask(&provider, Anthropic, &body).await.unwrap();
        body["messages"][0]["content"] = long(&turns.to_string()).into();
        for _ in 0..turns {
            body["messages"].as_array_mut().unwrap().extend([
                json!({"role": "assistant", "content": "Yes."}),
                json!({"role": "user", "content": "Go on."}),
            ]);
        }
        body["cache_control"] = json!({"type": "ephemeral"});
        let billed = ask(&provider, Anthropic, &body).await.unwrap().billed();
        assert_eq!(billed.cache_read > 0, found, "{turns} turns");
    }
}

#[tokio::test]
async fn short_prefixes_are_not_cached() {
    let provider = greeter().await;
    let mut body = request(Anthropic);
    body["cache_control"] = json!({"type": "ephemeral"});
    for _ in 0..2 {
        let billed = ask(&provider, Anthropic, &body).await.unwrap().billed();
        assert_eq!((billed.cache_read, billed.cache_write), (0, 0));
    }
}

#[tokio::test]
async fn openai_caches_every_prefix_in_steps() {
    let provider = greeter().await;
    let mut body = request(OpenAi);
    body["messages"][0]["content"] = long("a").into();
    assert_eq!(ask(&provider, OpenAi, &body).await.unwrap().billed().cache_read, 0);
    body["messages"].as_array_mut().unwrap().extend([
        json!({"role": "assistant", "content": "Yes."}),
        json!({"role": "user", "content": "Go on."}),
    ]);
    let next = ask(&provider, OpenAi, &body).await.unwrap().billed();
    assert!(next.cache_read > 1_500 && next.cache_read.is_multiple_of(128), "{next:?}");
    body["tools"][0]["function"]["name"] = "other".into();
    assert_eq!(ask(&provider, OpenAi, &body).await.unwrap().billed().cache_read, 0);
}

#[tokio::test]
async fn refused_requests_write_nothing() {
    let provider = greeter().await;
    let mut body = request(Anthropic);
    body["messages"][0]["content"] = breakpoint(&long("a"));
    body["max_tokens"] = Value::Null;
    ask(&provider, Anthropic, &body).await.unwrap_err();
    body["max_tokens"] = 100.into();
    assert_eq!(ask(&provider, Anthropic, &body).await.unwrap().billed().cache_read, 0);
}

#[tokio::test]
async fn equal_prefixes_have_equal_hashes() {
    let provider = greeter().await;
    let mut body = request(Anthropic);
    ask(&provider, Anthropic, &body).await.unwrap();
    body["messages"].as_array_mut().unwrap().push(json!({"role": "user", "content": "More"}));
    ask(&provider, Anthropic, &body).await.unwrap();
    let received = provider.received();
    assert_eq!(received[0].prefix(), &received[1].prefix()[..received[0].prefix().len()]);
    assert_eq!(received[1].prefix().len(), received[0].prefix().len() + 1);
}
