//! The next turn: what the client sends back, with the record, begins as the follow-up did.

use proptest::prelude::*;

use super::{
    record::{TurnView, restore},
    *,
};
use crate::{align::Dynamic, history::Chain};

fn spans(body: &str) -> Vec<std::ops::Range<usize>> {
    let root = super::super::raw::Raw::parse(body).unwrap().object().unwrap();
    root.get("messages").unwrap().array().unwrap().iter().map(|message| message.span()).collect()
}

/// The body with the record put back into its second message; `None` if it does not apply.
fn restored(dialect: Dialect, record: &Record, body: &str) -> Option<String> {
    let spans = spans(body);
    let turn = TurnView { dialect, body, message: spans[1].clone(), next: spans.get(2).cloned() };
    let edits = restore(&record.value, &turn)?;
    let whole = super::super::raw::splice(body, edits);
    serde_json::from_str::<Value>(&whole).unwrap_or_else(|_| panic!("not JSON: {whole}"));
    Some(whole)
}

fn next_request(script: &Script, turn: Value, then: Value) -> String {
    let mut request = script.request.clone();
    let messages = request["messages"].as_array_mut().unwrap();
    messages.push(turn);
    messages.push(then);
    request.to_string()
}

fn messages(body: &str) -> Vec<Value> {
    let body: Value = serde_json::from_str(body).unwrap();
    body["messages"].as_array().unwrap().clone()
}

/// The bytes of a body's messages, up to the closing bracket.
fn message_bytes(body: &str) -> &str {
    let spans = spans(body);
    &body[spans[0].start..spans.last().unwrap().end]
}

fn ours(id: &'static str) -> B {
    B::Ours(id, wanted())
}

fn anthropic_exchange() -> (Script, Outcome) {
    let script = Script::anthropic();
    let outcome = script.json(&[
        A("a", vec![B::Think("hm"), B::Text("let me look"), ours("ours_1")], "tool_use").json(),
        A("b", vec![B::Think("more"), B::Server, ours("ours_2")], "tool_use").json(),
        A("c", vec![B::Think("so"), B::Text("it is 42"), B::Text("really")], "end_turn").json(),
    ]);
    (script, outcome)
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

#[test]
fn edge_71_a_restored_request_begins_with_what_the_follow_up_carried() {
    let (script, outcome) = anthropic_exchange();
    let turn = json!({"role": "assistant", "content": outcome.value()["content"]});
    let body = next_request(&script, turn, user("thanks"));
    let whole = restored(script.dialect, &outcome.records[0], &body).unwrap();
    assert!(message_bytes(&whole).starts_with(message_bytes(&outcome.sent[1])));
    let seen = messages(&whole);
    assert_eq!(seen.len(), 7);
    let last = [B::Think("so"), B::Text("it is 42"), B::Text("really")].map(|one| block(&one));
    assert_eq!(seen[5]["content"], json!(last));
}

#[test]
fn edge_72_whatever_clients_do_to_the_turn() {
    let (script, outcome) = anthropic_exchange();
    let server = block(&B::Server);
    let text = |text: &str| json!({"type": "text", "text": text});
    let cached = json!({"type": "text", "text": "really", "cache_control": {"type": "ephemeral"}});
    for (turn, left) in [
        // Thinking dropped, texts trimmed.
        (
            json!([text(" let me look\n"), server, text("it is 42"), text("really")]),
            json!([text("it is 42"), text("really")]),
        ),
        // Only old thinking dropped, breakpoint moved.
        (
            json!([text("let me look"), server, block(&B::Think("so")), text("it is 42"), cached]),
            json!([block(&B::Think("so")), text("it is 42"), cached]),
        ),
        // Blank texts added.
        (
            json!([text(" "), text("let me look"), server, text("it is 42really")]),
            json!([text("it is 42really")]),
        ),
    ] {
        let body = next_request(&script, json!({"role": "assistant", "content": turn}), user("thanks"));
        let whole = restored(script.dialect, &outcome.records[0], &body).expect("applies");
        assert!(message_bytes(&whole).starts_with(message_bytes(&outcome.sent[1])));
        assert_eq!(messages(&whole)[5]["content"], left);
    }
}

#[test]
fn edge_72_blocks_that_became_a_string() {
    let script = Script::anthropic();
    let outcome = script.json(&[
        A("a", vec![B::Text("let me \"look\" é"), ours("ours_1")], "tool_use").json(),
        A("b", vec![B::Text("it is\n42")], "end_turn").json(),
    ]);
    for (content, left) in [
        (json!("let me \"look\" é\n\nit is\n42"), json!("it is\n42")),
        (json!("let me \"look\" éit is\n42"), json!("it is\n42")),
        (
            json!([{"type": "text", "text": "let me \"look\" é\nit is\n42"}]),
            json!([{"type": "text", "text": "it is\n42"}]),
        ),
    ] {
        let body = next_request(&script, json!({"role": "assistant", "content": content}), user("thanks"));
        let whole = restored(script.dialect, &outcome.records[0], &body).expect("applies");
        assert!(message_bytes(&whole).starts_with(message_bytes(&outcome.sent[0])));
        assert_eq!(messages(&whole)[3]["content"], left);
    }
}

#[test]
fn edge_73_another_history_is_left_as_it_is() {
    let (script, outcome) = anthropic_exchange();
    let text = |text: &str| json!({"type": "text", "text": text});
    for content in [
        json!("something else"),
        json!([]),
        json!([text("let me look")]),
        json!([text("other"), block(&B::Server), text("it is 42")]),
        json!([text("let me look"), text("it is 42")]),
        json!([text("let me look"), block(&B::Server)]),
        json!([text("it is 42"), block(&B::Think("hm"))]),
        json!("let me look"),
        json!(null),
        json!(7),
        json!([7]),
    ] {
        let body = next_request(&script, json!({"role": "assistant", "content": content}), user("thanks"));
        assert_eq!(restored(script.dialect, &outcome.records[0], &body), None, "{content}");
    }
    let body = next_request(&script, user("x"), user("y"));
    assert_eq!(restored(script.dialect, &outcome.records[0], &body), None);
    let broken = Record::new(outcome.records[0].key, Bytes::from_static(b"\x01junk"));
    assert_eq!(restored(script.dialect, &broken, &body), None);
}

#[test]
fn edge_36_75_a_mixed_turn_gets_our_call_and_our_result_back() {
    let script = Script::anthropic();
    let blocks = [B::Think("hm"), B::Text("t"), ours("ours_1"), B::Client("c1"), ours("ours_2")];
    let outcome = script.json(&[A("a", blocks.to_vec(), "tool_use").json()]);
    let result = json!({"type": "tool_result", "tool_use_id": "c1", "content": "no", "is_error": true,
        "cache_control": {"type": "ephemeral"}});
    for (then, rest) in [
        (
            json!([result, {"type": "text", "text": "and"}]),
            vec![json!(result), json!({"type": "text", "text": "and"})],
        ),
        (json!("stop that"), vec![json!({"type": "text", "text": "stop that"})]),
        (json!([]), vec![]),
    ] {
        for content in [
            outcome.value()["content"].clone(),
            json!([{"type": "text", "text": "t "}, block(&B::Client("c1"))]),
        ] {
            let thinks = content[0]["type"] == "thinking";
            let turn = json!({"role": "assistant", "content": content});
            let body = next_request(&script, turn, json!({"role": "user", "content": then}));
            let seen = messages(&restored(script.dialect, &outcome.records[0], &body).expect("applies"));
            let ids: Vec<&str> = seen[1]["content"]
                .as_array()
                .unwrap()
                .iter()
                .filter_map(|block| block["id"].as_str())
                .collect();
            assert_eq!(ids, ["ours_1", "c1", "ours_2"]);
            if thinks {
                assert_eq!(seen[1]["content"], json!(blocks.iter().map(block).collect::<Vec<_>>()));
            }
            let results = seen[2]["content"].as_array().unwrap();
            assert_eq!(
                (&results[0]["tool_use_id"], &results[1]["tool_use_id"]),
                (&json!("ours_1"), &json!("ours_2"))
            );
            assert!(results[0]["content"].as_str().unwrap().contains("needle"));
            assert_eq!(results[2..], rest);
        }
    }
    let turn = json!({"role": "assistant", "content": outcome.value()["content"]});
    let mut alone = script.request.clone();
    alone["messages"].as_array_mut().unwrap().push(turn);
    assert_eq!(
        restored(script.dialect, &outcome.records[0], &alone.to_string()),
        None,
        "edge 74: nothing follows"
    );
}

#[test]
fn an_exchange_and_then_a_mixed_turn() {
    let script = Script::anthropic();
    let outcome = script.json(&[
        A("a", vec![B::Think("hm"), ours("ours_1")], "tool_use").json(),
        A("b", vec![B::Think("so"), ours("ours_2"), B::Client("c1")], "tool_use").json(),
    ]);
    let turn = json!({"role": "assistant", "content": outcome.value()["content"]});
    let then =
        json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "r"}]});
    let body = next_request(&script, turn, then);
    let whole = restored(script.dialect, &outcome.records[0], &body).unwrap();
    assert!(message_bytes(&whole).starts_with(message_bytes(&outcome.sent[0])));
    let seen = messages(&whole);
    assert_eq!(
        seen[3]["content"],
        json!([block(&B::Think("so")), block(&ours("ours_2")), block(&B::Client("c1"))])
    );
    assert_eq!(seen[4]["content"].as_array().unwrap().len(), 2);
}

fn openai_answer(content: Value, calls: Value, finish: &str) -> Option<String> {
    let mut message = json!({"role": "assistant"});
    message["content"] = content;
    if !calls.is_null() {
        message["tool_calls"] = calls;
    }
    Some(json!({"id": "a", "choices": [{"message": message, "finish_reason": finish}]}).to_string())
}

fn call(id: &str, name: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": wanted()}})
}

#[test]
fn edge_71_72_openai_text_is_cut_where_the_rounds_meet() {
    let script = Script::openai();
    for first in [json!("let me look"), json!(null)] {
        let outcome = script.json(&[
            openai_answer(first.clone(), json!([call("ours_1", TOOL)]), "tool_calls"),
            openai_answer(json!("it is 42"), json!(null), "stop"),
        ]);
        let whole = outcome.value()["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
        for content in [json!(whole), json!(whole.trim()), json!([{"type": "text", "text": whole}])] {
            let body =
                next_request(&script, json!({"role": "assistant", "content": content}), user("thanks"));
            let restored = restored(script.dialect, &outcome.records[0], &body).expect("applies");
            assert!(message_bytes(&restored).starts_with(message_bytes(&outcome.sent[0])));
            let last = &messages(&restored)[3]["content"];
            let text = last.as_str().or_else(|| last[0]["text"].as_str()).unwrap();
            assert_eq!(text, "it is 42");
        }
    }
}

#[test]
fn edge_75_openai_mixed_turns_get_our_call_and_our_result_back() {
    let script = Script::openai();
    let outcome = script.json(&[
        openai_answer(json!("look"), json!([call("ours_1", TOOL)]), "tool_calls"),
        openai_answer(
            json!(null),
            json!([call("c1", "run"), call("ours_2", TOOL), call("c2", "run")]),
            "tool_calls",
        ),
    ]);
    let message = outcome.value()["choices"][0]["message"].clone();
    let body = next_request(&script, message, json!({"role": "tool", "tool_call_id": "c1", "content": "r"}));
    let whole = restored(script.dialect, &outcome.records[0], &body).unwrap();
    assert!(message_bytes(&whole).starts_with(message_bytes(&outcome.sent[0])));
    let seen = messages(&whole);
    assert_eq!(seen[3]["content"], Value::Null);
    let ids: Vec<&str> =
        seen[3]["tool_calls"].as_array().unwrap().iter().map(|call| call["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["c1", "ours_2", "c2"]);
    assert_eq!((&seen[4]["tool_call_id"], &seen[5]["tool_call_id"]), (&json!("ours_2"), &json!("c1")));
}

/// The ledger key that a body's second message leads to.
fn key_of(dialect: Dialect, body: &str) -> LedgerKey {
    let conversation = crate::wire::read(dialect, body).unwrap();
    let mut chain = Chain::new(&HandleKey::default(), "model", &[]);
    for message in &conversation.messages[..2] {
        chain.push_message(body, message, &Dynamic::default(), &mut |_| [0; 32]);
    }
    chain.key()
}

#[test]
fn edge_72_73_the_key_of_a_turn_is_the_same_however_a_client_returns_it() {
    let (script, outcome) = anthropic_exchange();
    let mut chain = Chain::new(&HandleKey::default(), "model", &[]);
    let first = script.request();
    let read = crate::wire::read(script.dialect, &first).unwrap();
    chain.push_message(&first, &read.messages[0], &Dynamic::default(), &mut |_| [0; 32]);
    let key = chain.turn(&outcome.visible);
    let content = outcome.value()["content"].clone();
    let server = block(&B::Server);
    let text = |text: &str| json!({"type": "text", "text": text});
    for turn in [
        content,
        json!([text(" let me look\n"), server, text("it is 42\n\nreally")]),
        json!([text("let me look"), text(" "), server, text("it is 42 "), text("really")]),
    ] {
        let body = next_request(&script, json!({"role": "assistant", "content": turn}), user("thanks"));
        assert_eq!(key_of(script.dialect, &body), key);
    }
    let other = json!({"role": "assistant", "content": [text("let me look"), server, text("it is 43"), text("really")]});
    assert_ne!(key_of(script.dialect, &next_request(&script, other, user("thanks"))), key);
}

/// How a client sends a text back.
fn varied(text: &str, how: u8) -> Value {
    let text = match how % 3 {
        0 => text.to_owned(),
        1 => text.trim().to_owned(),
        _ => format!("{text}\n"),
    };
    json!({"type": "text", "text": text})
}

proptest! {
    #[test]
    fn whatever_was_hidden_comes_back(
        texts in proptest::collection::vec(proptest::option::of(prop_oneof![Just("look"), Just(" é\n"), Just("\"x\\")]), 1..3),
        thinks in any::<bool>(),
        drops in any::<bool>(),
        how in proptest::collection::vec(any::<u8>(), 8),
        mixed in any::<bool>(),
    ) {
        let script = Script::anthropic();
        let mut answers = Vec::new();
        for (id, text) in ["a", "b"].into_iter().zip(&texts) {
            let mut blocks = Vec::new();
            if thinks {
                blocks.push(B::Think(if id == "a" { "1" } else { "2" }));
            }
            blocks.extend(text.map(B::Text));
            blocks.push(ours("ours_1"));
            answers.push(A(id, blocks, "tool_use").json());
        }
        let mut last = vec![B::Think("3"), B::Text("the end")];
        if mixed {
            last.extend([ours("ours_2"), B::Client("c1")]);
        }
        answers.push(A("z", last.clone(), if mixed { "tool_use" } else { "end_turn" }).json());
        let outcome = script.json(&answers);
        let content: Vec<Value> = outcome.value()["content"].as_array().unwrap().iter().zip(how.iter().cycle())
            .filter(|(block, _)| !drops || block["type"] != "thinking")
            .map(|(block, how)| if block["type"] == "text" { varied(block["text"].as_str().unwrap(), *how) } else { block.clone() })
            .collect();
        let then = json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "r"}]});
        let body = next_request(&script, json!({"role": "assistant", "content": content}), then);
        let whole = restored(script.dialect, &outcome.records[0], &body).expect("applies");
        let sent = outcome.sent.last().unwrap();
        prop_assert!(message_bytes(&whole).starts_with(message_bytes(sent)));
        let seen = messages(&whole);
        let turn = seen[messages(sent).len()]["content"].as_array().unwrap();
        let kinds: Vec<&str> = turn.iter().map(|block| block["type"].as_str().unwrap()).collect();
        let all = ["thinking", "text", "tool_use", "tool_use"];
        let expected = &all[usize::from(drops)..if mixed { 4 } else { 2 }];
        prop_assert_eq!(kinds, expected);
    }

    #[test]
    fn no_record_and_no_turn_make_it_panic(value in proptest::collection::vec(any::<u8>(), 0..60), content in ".{0,40}", openai: bool) {
        let script = if openai { Script::openai() } else { Script::anthropic() };
        let body = next_request(&script, json!({"role": "assistant", "content": content}), user("x"));
        let (_, outcome) = anthropic_exchange();
        for record in [Record::new(outcome.records[0].key, value.into()), outcome.records[0].clone()] {
            restored(script.dialect, &record, &body);
        }
        let turn = TurnView { dialect: script.dialect, body: &body, message: 3..900, next: Some(1..2) };
        prop_assert_eq!(restore(&outcome.records[0].value, &turn), None);
    }
}
