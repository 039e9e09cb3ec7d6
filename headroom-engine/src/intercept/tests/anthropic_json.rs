use super::*;

fn run(answers: &[A]) -> Outcome {
    let outcome = Script::anthropic().json(&answers.iter().map(A::json).collect::<Vec<_>>());
    outcome.assert_nothing_leaks();
    outcome
}

fn ours(id: &'static str) -> B {
    B::Ours(id, wanted())
}

#[test]
fn an_answer_without_a_call_of_ours_is_the_same_bytes() {
    let body = Bytes::from(A("a", vec![B::Text("hi"), B::Client("c")], "tool_use").json().unwrap());
    let mut exchange = Script::anthropic().continuation(&Arc::default()).json();
    assert_eq!(exchange.response(body.clone()), Step::Done);
    assert_eq!(exchange.report().output_tokens, 7);
    assert_eq!(exchange.into_body().as_ptr(), body.as_ptr());
}

#[test]
fn edge_27_34_45_one_call_is_answered_and_the_turn_echoed_verbatim() {
    let first = A("a", vec![B::Think("hm"), B::Redacted, B::Text("let me look"), ours("ours_1")], "tool_use");
    let outcome = run(&[first.clone(), A("b", vec![B::Think("so"), B::Text("it is 42")], "end_turn")]);
    let content = serde_json::to_string(&first.1.iter().map(block).collect::<Vec<_>>()).unwrap();
    assert!(
        outcome.sent[0].contains(&format!(r#",{{"role":"assistant","content":{content}}},{{"role":"user""#))
    );
    let sent = outcome.sent(0);
    assert_eq!(sent["messages"].as_array().unwrap().len(), 3);
    assert_eq!(sent["messages"][2]["content"][0]["tool_use_id"], "ours_1");
    assert!(sent["messages"][2]["content"][0].get("is_error").is_none());
    assert!(outcome.result(0, 0).contains("the needle is 42"));

    let body = outcome.value();
    assert_eq!((&body["id"], &body["model"]), (&json!("a"), &json!("model a")));
    let seen = [B::Think("hm"), B::Redacted, B::Text("let me look"), B::Think("so"), B::Text("it is 42")];
    assert_eq!(body["content"], json!(seen.iter().map(block).collect::<Vec<_>>()));
    assert_eq!(body["stop_reason"], "end_turn");
    assert_eq!(outcome.visible, [Item::Text("let me look".into()), Item::Text("it is 42".into())]);
    assert_eq!((outcome.report.rounds, outcome.report.calls), (1, 1));
    assert!(outcome.report.tokens > 0);
}

#[test]
fn edge_28_29_30_33_results_stand_in_call_order_and_say_what_was_wrong() {
    let known = handle(ORIGINAL).to_string();
    let calls = vec![
        ours("ours_1"),
        B::Ours("ours_2", json!({"handle": "0".repeat(30)}).to_string()),
        B::Ours("ours_3", json!({"nothing": 1}).to_string()),
        B::Ours("ours_4", json!({"handle": format!("[~lines 2 #{known}]"), "extra": [1]}).to_string()),
        B::Ours("ours_5", json!({"handle": known[..12], "query": "needle"}).to_string()),
        ours("ours_6"),
        B::Ours("ours_7", json!({"handle": handle(STORED).to_string()}).to_string()),
    ];
    let outcome = run(&[A("a", calls, "tool_use"), A("b", vec![B::Text("ok")], "end_turn")]);
    let sent = outcome.sent(0);
    let results = sent["messages"][2]["content"].as_array().unwrap();
    let errors: Vec<bool> = results.iter().map(|result| result["is_error"] == true).collect();
    assert_eq!(errors, [false, true, true, false, false, false, false]);
    for (at, result) in results.iter().enumerate() {
        assert_eq!(result["tool_use_id"], format!("ours_{}", at + 1));
    }
    assert!(outcome.result(0, 3).contains("needle") && !outcome.result(0, 3).contains("last line"));
    assert!(outcome.result(0, 4).contains("needle"));
    assert!(outcome.result(0, 5).contains("same as an earlier"), "edge 33");
    assert!(outcome.result(0, 6).contains(STORED.trim()));
    assert_eq!(outcome.redeemed, ["0".repeat(30).parse().unwrap(), handle(STORED)]);
    assert_eq!((outcome.report.calls, outcome.report.unknown, outcome.report.malformed), (7, 1, 1));
}

#[test]
fn edge_35_ours_beside_the_clients_are_kept_for_its_return() {
    for blocks in [
        vec![B::Text("a"), ours("ours_1"), B::Client("c1")],
        vec![B::Text("a"), B::Client("c1"), ours("ours_1")],
    ] {
        let outcome = run(&[A("a", blocks, "tool_use")]);
        assert!(outcome.sent.is_empty());
        let body = outcome.value();
        assert_eq!(body["content"], json!([block(&B::Text("a")), block(&B::Client("c1"))]));
        assert_eq!(body["stop_reason"], "tool_use");
        assert_eq!(outcome.records.len(), 1);
        assert!(matches!(&outcome.visible[..], [Item::Text(_), Item::Call { id, .. }] if id == "c1"));
    }
}

#[test]
fn edge_37_38_rounds_end_and_what_is_left_is_a_valid_message() {
    let again = |id| A(id, vec![ours("ours_1")], "tool_use");
    let outcome = run(&[again("a"), again("b"), again("c"), again("d"), again("e")]);
    assert!(outcome.result(3, 0).contains("no more retrievals"));
    let body = outcome.value();
    assert_eq!(body["content"], json!([{"type": "text", "text": "(no answer)"}]));
    assert_eq!(body["stop_reason"], "end_turn");
    assert_eq!(body["usage"]["output_tokens"], 35);
    assert!(outcome.report.limit_hit);
    assert_eq!(outcome.report.rounds, 4);
    assert_eq!(outcome.visible, [Item::Text("(no answer)".into())]);
}

#[test]
fn edge_39_a_follow_up_that_is_no_answer_passes_as_it_came() {
    let first = A("a", vec![B::Text("t"), ours("ours_1")], "tool_use").json();
    for odd in ["<html>", r#"{"type":"error","error":{"type":"overloaded_error"}}"#, "", "[]", "\u{feff}{}"] {
        let outcome = Script::anthropic().json(&[first.clone(), Some(odd.to_owned())]);
        assert_eq!(outcome.text(), odd);
        assert!(outcome.records.is_empty());
    }
    let outcome = Script::anthropic().json(&[first, None]);
    outcome.assert_nothing_leaks();
    assert_eq!(outcome.value()["content"], json!([block(&B::Text("t"))]));
}

#[test]
fn edge_43_44_calls_of_a_turn_that_was_cut_are_dropped() {
    for stop in ["max_tokens", "refusal", "pause_turn", "model_context_window_exceeded", "new_reason"] {
        let outcome = run(&[A("a", vec![B::Server, B::Text("so far"), ours("ours_1")], stop)]);
        let body = outcome.value();
        assert_eq!(body["stop_reason"], stop);
        assert_eq!(body["content"], json!([block(&B::Server), block(&B::Text("so far"))]));
        assert!(outcome.records.is_empty());
    }
    let outcome = run(&[A("a", vec![ours("ours_1")], "max_tokens")]);
    assert_eq!(outcome.value()["content"][0]["text"], "(no answer)");
}

#[test]
fn edge_44_blocks_of_other_kinds_pass_and_are_echoed() {
    let outcome =
        run(&[A("a", vec![B::Server, ours("ours_1")], "tool_use"), A("b", vec![B::Text("x")], "end_turn")]);
    assert!(outcome.sent[0].contains(&block(&B::Server).to_string()));
    assert_eq!(outcome.value()["content"], json!([block(&B::Server), block(&B::Text("x"))]));
}

#[test]
fn edge_47_of_structured_output_only_the_last_text_is_kept() {
    let mut script = Script::anthropic();
    script.request["output_config"] = json!({"format": {"type": "json_schema"}});
    let outcome = script.json(&[
        A("a", vec![B::Think("hm"), B::Text("{\"a\":"), ours("ours_1")], "tool_use").json(),
        A("b", vec![B::Text("{\"a\":1}")], "end_turn").json(),
    ]);
    assert_eq!(outcome.value()["content"], json!([block(&B::Think("hm")), block(&B::Text("{\"a\":1}"))]));
    assert_eq!(outcome.visible, [Item::Text("{\"a\":1}".into())]);
}

#[test]
fn edge_49_usage_sums_output_and_shows_the_last_input() {
    let second = A("b", vec![B::Text("x")], "end_turn").json().unwrap();
    let second = second.replace("\"input_tokens\":10", "\"input_tokens\":50").replace(":3", ":30");
    let outcome = Script::anthropic().json(&[A("a", vec![ours("ours_1")], "tool_use").json(), Some(second)]);
    assert_eq!(
        outcome.value()["usage"],
        json!({"input_tokens": 50, "output_tokens": 14, "cache_read_input_tokens": 30})
    );
    assert_eq!((outcome.report.input_tokens, outcome.report.output_tokens), (60, 14));
    assert_eq!(outcome.report.cache_read, 33);
}

#[test]
fn thinking_behind_a_forgotten_exchange_is_withheld() {
    let answers = [
        A("a", vec![B::Think("0"), ours("ours_1")], "tool_use").json(),
        A("b", vec![B::Think("1"), B::Redacted, B::Text("x")], "end_turn").json(),
    ];
    let kept = json!([block(&B::Think("0")), block(&B::Text("x"))]);
    let forget = Script { recall: Recall::Forget, ..Script::anthropic() }.json(&answers);
    assert_eq!(forget.value()["content"], kept);
    assert!(forget.records.is_empty());
    let lost = Script { acknowledges: false, ..Script::anthropic() }.json(&answers);
    assert_eq!(lost.value()["content"], kept);
    let best_effort =
        Script { acknowledges: false, recall: Recall::Restore { durable: false }, ..Script::anthropic() };
    assert_eq!(best_effort.json(&answers).value()["content"].as_array().unwrap().len(), 4);
}

#[test]
fn thinking_behind_a_forgotten_call_of_the_same_round_is_withheld() {
    let mixed = A("a", vec![B::Think("0"), ours("ours_1"), B::Think("1"), B::Client("c")], "tool_use");
    let hidden = A("a", vec![B::Think("0"), ours("ours_1"), B::Think("1")], "tool_use");
    let last = A("b", vec![B::Text("x")], "end_turn");
    for (answers, end) in
        [(vec![mixed.json()], B::Client("c")), (vec![hidden.json(), last.json()], B::Text("x"))]
    {
        let outcome = Script { recall: Recall::Forget, ..Script::anthropic() }.json(&answers);
        assert_eq!(outcome.value()["content"], json!([block(&B::Think("0")), block(&end)]));
    }
}

#[test]
fn a_conversation_without_messages_goes_on_as_json() {
    let script = Script { request: json!({"messages": []}), ..Script::anthropic() };
    let answers =
        [A("a", vec![ours("ours_1")], "tool_use").json(), A("b", vec![B::Text("x")], "end_turn").json()];
    assert_eq!(script.json(&answers).sent(0)["messages"].as_array().unwrap().len(), 2);
}

#[test]
fn thinking_alone_behind_an_exchange_gets_a_text_so_that_it_can_be_restored() {
    let outcome = run(&[
        A("a", vec![B::Text("t"), ours("ours_1")], "tool_use"),
        A("b", vec![B::Think("1")], "end_turn"),
    ]);
    assert_eq!(
        outcome.value()["content"],
        json!([block(&B::Text("t")), block(&B::Think("1")), block(&B::Text("(no answer)"))])
    );
    assert_eq!(outcome.records.len(), 1);
    let nothing = run(&[A("a", vec![B::Text("t"), ours("ours_1")], "tool_use"), A("b", vec![], "end_turn")]);
    assert_eq!(nothing.value()["content"], json!([block(&B::Text("t"))]));
    assert!(nothing.records.is_empty(), "no turn of the client's stands behind the exchange");
}

#[test]
fn literals_of_other_blocks_keep_their_spelling() {
    let first = format!(
        r#"{{ "content": [ {{"type":"text", "text":"\u0061", "x":1.0}} , {{"type":"tool_use","id":"ours_1","name":"{TOOL}","input":{}}} ,{{"type":"tool_use","id":"c","name":"run","input":{{"n":1e2}}}} ], "stop_reason":"tool_use" }}"#,
        wanted()
    );
    let outcome = Script::anthropic().json(&[Some(first)]);
    assert_eq!(
        outcome.text(),
        r#"{ "content": [{"type":"text", "text":"\u0061", "x":1.0},{"type":"tool_use","id":"c","name":"run","input":{"n":1e2}}], "stop_reason":"tool_use" }"#
    );
}
