//! A conversation through the engine: what the upstream sees of the next turn begins with what it saw.

#![allow(clippy::unwrap_used, reason = "a test's helpers")]

use bytes::Bytes;
use headroom_engine::{
    Dialect, Engine, LedgerKey, Policy, Record, RequestContext, Rewrite, Route, ToolPolicy, intercept::Step,
};
use serde_json::{Value, json};

fn rewrite(body: &Value, records: &[Record]) -> (Rewrite, usize) {
    let context = RequestContext::new(Dialect::AnthropicMessages)
        .model("claude-opus-5-5")
        .route(Route::Intercepted { durable_ledger: true });
    let scanned = Engine::new().scan(Bytes::from(body.to_string()), &context).unwrap();
    let keys = scanned.ledger_keys().len();
    (scanned.rewrite(&Policy::default(), records), keys)
}

fn request(more: &[Value]) -> Value {
    let log: String = (0..2000)
        .map(|line| {
            format!("2026-11-22T10:00:{:02} INFO worker {line} finished its job without a word\n", line % 60)
        })
        .collect();
    let mut messages = vec![
        json!({"role": "user", "content": "what went wrong?"}),
        json!({"role": "assistant", "content": [
            {"type": "tool_use", "id": "c1", "name": "Bash", "input": {"command": "cat log"}}]}),
        json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": log}]}),
    ];
    messages.extend_from_slice(more);
    json!({"model": "claude-opus-5-5", "max_tokens": 100, "thinking": {"type": "adaptive"}, "messages": messages,
        "tools": [{"name": "Bash", "description": "Runs a command", "input_schema": {"type": "object"}}]})
}

fn messages(body: &[u8]) -> Vec<Value> {
    let body: Value = serde_json::from_slice(body).unwrap();
    body["messages"].as_array().unwrap().clone()
}

#[test]
fn the_next_turn_restores_what_was_hidden() {
    let (first, _) = rewrite(&request(&[]), &[]);
    let handle = first.originals.iter().next().map(|(handle, _)| handle).expect("something is hidden");
    let mut exchange = first.continuation.expect("the answer is intercepted").json();
    let call = json!({"type": "tool_use", "id": "ours", "name": "retrieve_original_content",
        "input": {"handle": handle.to_string(), "query": "worker 777"}});
    let answer = |content: Value, stop: &str| {
        let body = json!({"id": "m", "type": "message", "role": "assistant", "model": "m", "content": content,
            "stop_reason": stop, "usage": {"input_tokens": 1, "output_tokens": 1}});
        Bytes::from(body.to_string())
    };
    let think = json!({"type": "thinking", "thinking": "hm", "signature": "c2ln"});
    let text = json!({"type": "text", "text": "all is well"});
    let Step::Rank(search) = exchange.response(answer(json!([think, call]), "tool_use")) else {
        panic!("a long original is searched")
    };
    let Step::Send(sent) = exchange.ranked(Some(search.run())) else { panic!("a follow-up") };
    let Step::Remember(records) = exchange.response(answer(json!([think, text]), "end_turn")) else {
        panic!("a record")
    };
    assert_eq!(exchange.remembered(true), Step::Done);
    let seen: Value = serde_json::from_slice(&exchange.into_body()).unwrap();
    assert_eq!(seen["content"], json!([think, think, text]));

    let turn = json!({"role": "assistant", "content": seen["content"]});
    let then = json!({"role": "user", "content": "thanks"});
    let (next, keys) = rewrite(&request(&[turn, then]), &records);
    assert!(keys > 0);
    assert_eq!(next.report.restored, 1);
    let (sent, next) = (messages(&sent), messages(&next.body));
    assert_eq!(next[..sent.len()], sent);
    assert_eq!(next[sent.len()]["content"], json!([think, text]));
}

#[test]
fn debug_shows_counts_and_no_content() {
    let request = request(&[]);
    let context = RequestContext::new(Dialect::AnthropicMessages);
    let scanned = Engine::new().scan(Bytes::from(request.to_string()), &context).unwrap();
    let before = format!("{scanned:?}");
    let rewrite = scanned.rewrite(&Policy::default(), &[]);
    assert!(!rewrite.originals.is_empty());
    let record = Record::new(LedgerKey::from_bytes([7; 32]), "without a word".into());
    let compressed = headroom_engine::compress(&request["messages"].to_string(), "claude-opus-5-5").unwrap();
    let steps = [Step::Send("without a word".into()), Step::Remember(vec![record])];
    let shown = format!("{before} {rewrite:?} {compressed:?} {steps:?}");
    assert!(!shown.contains("without a word") && !shown.contains("wrong"), "{shown}");
}

#[test]
fn blocks_that_are_never_looked_at_are_not_new() {
    let engine = Engine::new();
    let body = Bytes::from(request(&[]).to_string());
    let new = |policy: &Policy| {
        let context = RequestContext::new(Dialect::AnthropicMessages);
        let scanned = engine.scan(body.clone(), &context).unwrap();
        let new = scanned.new_bytes(policy);
        (new, scanned.rewrite(policy, &[]).report.blocks.len()).0
    };
    assert!(new(&Policy::default()) > 0);
    assert_eq!(new(&Policy::default()), 0, "seen before");
    assert_eq!(new(&Policy::off()), 0);
    assert_eq!(new(&Policy::default().tool("Bash", ToolPolicy::Off)), 0);
    assert_eq!(new(&Policy::default().tool_name("Bash")), 0);
}
