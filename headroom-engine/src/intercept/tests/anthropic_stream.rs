use super::*;

fn ours(id: &'static str) -> B {
    B::Ours(id, wanted())
}

fn rich() -> [A; 2] {
    [
        A(
            "a",
            vec![B::Think("hm 🙂"), B::Redacted, B::Text("let me look"), ours("ours_1"), B::Server],
            "tool_use",
        ),
        A(
            "b",
            vec![B::Think("so"), B::Text("it is\n42 é"), ours("ours_2"), B::Client("c1"), B::Client("c2")],
            "tool_use",
        ),
    ]
}

fn answers(answers: &[A]) -> Vec<Option<String>> {
    answers.iter().map(A::sse).collect()
}

fn run(of: &[A]) -> Value {
    let outcome = Script::anthropic().stream(&answers(of));
    outcome.assert_nothing_leaks();
    accumulate_anthropic(outcome.text())
}

#[test]
fn an_answer_without_a_call_of_ours_passes_at_once_and_as_it_came() {
    let text = A("a", vec![B::Think("x"), B::Text("hi"), B::Client("c")], "tool_use").sse().unwrap();
    let mut exchange = Script::anthropic().continuation(&Arc::default()).stream();
    let mut out = VecDeque::new();
    for event in text.split_inclusive("\n\n") {
        exchange.push(event.to_owned().into(), &mut out);
        assert_eq!(out.pop_front().unwrap(), event, "edge 67");
        assert!(out.is_empty());
    }
    assert!(exchange.round_complete());
    assert_eq!(exchange.end(&mut out), Step::Done);
    assert!(out.is_empty());
    assert_eq!(exchange.report().output_tokens, 7);
}

#[test]
fn edge_51_every_byte_split_gives_the_same_output() {
    for end in ["\n", "\r\n", "\r"] {
        let streams: Vec<Option<String>> = rich().iter().map(|answer| answer.sse_with(end)).collect();
        let script = Script::anthropic();
        let whole = script.stream(&streams);
        whole.assert_nothing_leaks();
        accumulate_anthropic(whole.text());
        let longest = streams.iter().flatten().map(String::len).max().unwrap();
        for at in 0..longest {
            let split = script.stream_cut(&streams, |_, bytes| {
                let at = at.min(bytes.len());
                vec![bytes.slice(..at), bytes.slice(at..)]
            });
            assert_eq!(split, whole, "split at {at}");
        }
        let single =
            script.stream_cut(&streams, |_, bytes| bytes.chunks(1).map(Bytes::copy_from_slice).collect());
        assert_eq!(single, whole);
    }
}

#[test]
fn edge_53_70_text_then_ours_is_one_message() {
    let message = run(&[
        A("a", vec![B::Think("hm"), B::Text("let me look"), ours("ours_1")], "tool_use"),
        A("b", vec![B::Think("so"), B::Text("42")], "end_turn"),
    ]);
    let seen = [B::Think("hm"), B::Text("let me look"), B::Think("so"), B::Text("42")];
    assert_eq!(message["content"], json!(seen.iter().map(block).collect::<Vec<_>>()));
    assert_eq!((&message["id"], &message["stop_reason"]), (&json!("a"), &json!("end_turn")));
    assert_eq!(message["stopped"], true);
    assert_eq!(
        message["usage"],
        json!({"input_tokens": 10, "output_tokens": 14, "cache_read_input_tokens": 3}),
        "edge 49"
    );
}

#[test]
fn edge_54_55_indices_close_the_gaps() {
    let message =
        run(&[A("a", vec![ours("ours_1"), B::Client("c1"), ours("ours_2"), B::Client("c2")], "tool_use")]);
    assert_eq!(message["content"], json!([block(&B::Client("c1")), block(&B::Client("c2"))]));
    assert_eq!(message["stop_reason"], "tool_use");
}

#[test]
fn edge_55_two_of_ours_interleaved_by_index() {
    let start = |index: u32, id: &str| {
        json!({"type": "content_block_start", "index": index,
        "content_block": {"type": "tool_use", "id": id, "name": TOOL, "input": {}}})
    };
    let delta = |index: u32, part: &str| {
        json!({"type": "content_block_delta", "index": index,
        "delta": {"type": "input_json_delta", "partial_json": part}})
    };
    let stop = |index: u32| json!({"type": "content_block_stop", "index": index});
    let whole = wanted();
    let (a, b) = whole.split_at(9);
    let middle: String = [
        start(0, "ours_1"),
        start(1, "ours_2"),
        delta(0, a),
        delta(1, a),
        delta(1, b),
        delta(0, b),
        stop(1),
        stop(0),
    ]
    .map(|data| format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap()))
    .concat();
    let frame = A("a", vec![], "tool_use").sse().unwrap();
    let stream = frame.replace("event: message_delta", &format!("{middle}event: message_delta"));
    let outcome = Script::anthropic().stream(&[Some(stream), A("b", vec![B::Text("x")], "end_turn").sse()]);
    outcome.assert_nothing_leaks();
    assert_eq!(
        outcome.sent(0)["messages"][1]["content"][1]["input"],
        serde_json::from_str::<Value>(&whole).unwrap()
    );
    assert!(outcome.result(0, 0).contains("needle"));
    assert_eq!(accumulate_anthropic(outcome.text())["content"], json!([block(&B::Text("x"))]));
}

#[test]
fn edge_56_empty_and_broken_input() {
    for (input, echoed) in [("", json!({})), ("{\"handle", json!({})), ("[1]", json!({}))] {
        let outcome = Script::anthropic().stream(&answers(&[
            A("a", vec![B::Ours("ours_1", input.to_owned())], "tool_use"),
            A("b", vec![B::Text("x")], "end_turn"),
        ]));
        assert_eq!(outcome.sent(0)["messages"][1]["content"][0]["input"], echoed);
        assert_eq!(outcome.sent(0)["messages"][2]["content"][0]["is_error"], true);
        assert_eq!(outcome.report.malformed, 1);
    }
}

#[test]
fn edge_62_an_error_event_passes_and_no_call_is_meant() {
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n";
    let [first, second] = rich();
    let (first, second) = (first.sse().unwrap(), second.sse().unwrap());
    let broken = |text: &str| {
        let events: Vec<&str> = text.split_inclusive("\n\n").collect();
        Some(format!("{}{error}", events[..events.len() - 2].concat()))
    };
    for streams in [vec![broken(&first)], vec![Some(first.clone()), broken(&second)]] {
        let outcome = Script::anthropic().stream(&streams);
        outcome.assert_nothing_leaks();
        let message = accumulate_anthropic(outcome.text());
        assert_eq!(message["error"]["type"], "overloaded_error");
        assert_eq!((&message["stopped"], outcome.records.len()), (&json!(false), 0));
        assert!(outcome.text().ends_with(error));
    }
}

#[test]
fn edge_63_a_stream_that_ends_early_runs_no_call() {
    let whole = A("a", vec![B::Text("t"), ours("ours_1")], "tool_use").sse().unwrap();
    let stop = whole.find("event: message_stop").unwrap();
    for at in 0..=stop {
        let outcome = Script::anthropic().stream(&[Some(whole[..at].to_owned())]);
        outcome.assert_nothing_leaks();
        assert!(outcome.sent.is_empty() && outcome.records.is_empty());
        assert!(!outcome.text().contains("message_stop"));
    }
}

#[test]
fn edge_64_a_follow_up_that_fails_ends_in_the_dialects_error() {
    let outcome = Script::anthropic().stream(&[rich()[0].sse(), None]);
    outcome.assert_nothing_leaks();
    let message = accumulate_anthropic(outcome.text());
    assert_eq!((&message["error"]["type"], &message["stopped"]), (&json!("api_error"), &json!(false)));
}

#[test]
fn edge_64_a_follow_up_that_is_refused_ends_in_the_providers_own_words() {
    let refused = |script: Script, answer: &str| {
        let (mut exchange, mut out) = (script.continuation(&Arc::default()).stream(), VecDeque::new());
        exchange.refused(answer.as_bytes(), &mut out);
        String::from_utf8(out.into_iter().flatten().collect()).unwrap()
    };
    let answer = "{\"type\":\"error\",\n \"error\":{\"type\":\"overloaded_error\",\"message\":\"Later.\"}}\n";
    let line = answer.trim_end().replace('\n', " ");
    assert_eq!(refused(Script::anthropic(), answer), format!("event: error\ndata: {line}\n\n"));
    assert_eq!(refused(Script::openai(), answer), format!("data: {line}\n\n"));
    assert_eq!(refused(Script::gemini(), answer), format!("data: {line}\n\n"));
    let event = events(&refused(Script::responses(), answer)).remove(0);
    let event: Value = serde_json::from_str(&event).unwrap();
    let said = json!({"type": "error", "sequence_number": 0, "code": "overloaded_error", "message": "Later.", "param": null});
    assert_eq!(event, said);

    // What is no error, and what names our tool, is not passed on.
    for answer in ["<html>Bad gateway</html>".to_owned(), answer.replace("Later.", TOOL)] {
        let told = refused(Script::anthropic(), &answer);
        assert!(told.contains("a follow-up request failed") && told.contains("api_error"), "{told}");
    }
}

#[test]
fn edge_63_a_follow_up_that_ends_early_is_one_that_failed() {
    let asks = A("a", vec![B::Text("t"), ours("ours_1")], "tool_use").sse();
    let whole = A("b", vec![B::Text("u")], "end_turn").sse().unwrap();
    let stop = whole.find("event: message_stop").unwrap();
    for at in 0..stop {
        let outcome = Script::anthropic().stream(&[asks.clone(), Some(whole[..at].to_owned())]);
        outcome.assert_nothing_leaks();
        let message = accumulate_anthropic(outcome.text());
        assert_eq!((&message["error"]["type"], &message["stopped"]), (&json!("api_error"), &json!(false)));
    }
}

#[test]
fn edge_61_what_keeps_a_client_waiting_is_an_event_of_the_dialect() {
    let exchange = Script::anthropic().continuation(&Arc::default()).stream();
    let ping = exchange.keep_alive();
    assert_eq!(events(std::str::from_utf8(&ping).unwrap()), [r#"{"type": "ping"}"#]);
}

#[test]
fn edge_68_an_event_above_the_cap_ends_the_exchange_cleanly() {
    let script = Script { cap: 600, ..Script::anthropic() };
    let long = A("a", vec![B::Text("t"), ours("ours_1")], "tool_use").sse().unwrap();
    let long =
        long.replace("{\"type\":\"ping\"}", &format!("{{\"type\":\"ping\",\"x\":\"{}\"}}", "y".repeat(900)));
    let outcome = script.stream(&[Some(long)]);
    outcome.assert_nothing_leaks();
    let message = accumulate_anthropic(outcome.text());
    assert_eq!(message["content"], json!([block(&B::Text("t"))]));
    assert_eq!(message["stop_reason"], "end_turn");
    assert!(outcome.text().contains(&"y".repeat(900)));
}

#[test]
fn a_block_that_cannot_be_rebuilt_ends_the_exchange_cleanly() {
    let odd = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"new\"}}\n\n\
        event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"new_delta\",\"level\":3}}\n\n\
        event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: content_block_start";
    let stream =
        A("a", vec![ours("ours_1")], "tool_use").sse().unwrap().replace("\"index\":0", "\"index\":1");
    let stream = stream.replacen("event: content_block_start", odd, 1);
    let outcome = Script::anthropic().stream(&[Some(stream)]);
    outcome.assert_nothing_leaks();
    let message = accumulate_anthropic(outcome.text());
    assert_eq!(message["content"], json!([{"type": "new"}]));
    assert_eq!(message["stop_reason"], "end_turn");
}

#[test]
fn edge_69_no_visible_block_becomes_one() {
    let message = run(&[A("a", vec![ours("ours_1")], "tool_use"), A("b", vec![], "end_turn")]);
    assert_eq!(message["content"], json!([{"type": "text", "text": "(no answer)"}]));
    let message = run(&[A("a", vec![ours("ours_1")], "max_tokens")]);
    assert_eq!(message["content"].as_array().unwrap().len(), 1);
    assert_eq!(message["stop_reason"], "max_tokens", "edge 43");
}

#[test]
fn terminal_events_wait_for_the_ledger() {
    let script = Script::anthropic();
    let mut exchange = script.continuation(&Arc::default()).stream();
    let mut out = VecDeque::new();
    let [first, second] = [A("a", vec![ours("ours_1")], "tool_use"), A("b", vec![B::Text("x")], "end_turn")];
    exchange.push(first.sse().unwrap().into(), &mut out);
    assert!(matches!(exchange.end(&mut out), Step::Send(_)));
    exchange.push(second.sse().unwrap().into(), &mut out);
    assert!(exchange.round_complete());
    assert!(matches!(exchange.end(&mut out), Step::Remember(_)));
    let so_far: Vec<u8> = out.iter().flatten().copied().collect();
    assert!(!String::from_utf8(so_far).unwrap().contains("message_delta"));
    assert_eq!(exchange.remembered(true, &mut out), Step::Done);
    let text = String::from_utf8(out.into_iter().flatten().collect()).unwrap();
    assert_eq!(accumulate_anthropic(&text)["stopped"], true);
}

#[test]
fn without_a_durable_record_a_stream_ends_in_an_error() {
    let streams =
        answers(&[A("a", vec![ours("ours_1")], "tool_use"), A("b", vec![B::Text("x")], "end_turn")]);
    let refused = Script { acknowledges: false, ..Script::anthropic() }.stream(&streams);
    let message = accumulate_anthropic(refused.text());
    assert_eq!((&message["error"]["type"], &message["stopped"]), (&json!("api_error"), &json!(false)));
    let script =
        Script { acknowledges: false, recall: Recall::Restore { durable: false }, ..Script::anthropic() };
    assert_eq!(accumulate_anthropic(script.stream(&streams).text())["stopped"], true);
}

#[test]
fn thinking_behind_a_forgotten_exchange_is_withheld() {
    let [first, second] = rich();
    let outcome = Script { recall: Recall::Forget, ..Script::anthropic() }.stream(&answers(&[first, second]));
    outcome.assert_nothing_leaks();
    let message = accumulate_anthropic(outcome.text());
    let kinds: Vec<&str> =
        message["content"].as_array().unwrap().iter().map(|block| block["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["thinking", "redacted_thinking", "text", "server_tool_use", "text", "tool_use", "tool_use"]
    );
    assert!(outcome.records.is_empty());
}

#[test]
fn thinking_behind_a_forgotten_call_of_the_same_round_is_withheld() {
    let mixed = A("a", vec![B::Think("0"), ours("ours_1"), B::Think("1"), B::Client("c")], "tool_use");
    let outcome = Script { recall: Recall::Forget, ..Script::anthropic() }.stream(&answers(&[mixed]));
    let message = accumulate_anthropic(outcome.text());
    assert_eq!(message["content"], json!([block(&B::Think("0")), block(&B::Client("c"))]));
}

#[test]
fn only_the_number_of_an_index_is_rewritten() {
    let stream = A("a", vec![ours("ours_1"), B::Client("c1")], "tool_use").sse().unwrap();
    let odd = stream
        .replace(r#"{"index":1,"#, r#"{ "index" :  1 , "odd":1.0,"#)
        .replace(r#""index":1,"type""#, r#""index":  1,"type""#);
    let outcome = Script::anthropic().stream(&[Some(odd)]);
    assert!(!outcome.text().contains("\"index\":1"));
    accumulate_anthropic(outcome.text());
}

#[test]
fn usage_that_a_follow_ups_end_leaves_out_is_taken_from_its_start() {
    let second = A("b", vec![B::Text("x")], "end_turn").sse().unwrap();
    let second = second.replace("\"input_tokens\":10", "\"input_tokens\":50");
    for (usage, output) in [("{\"output_tokens\":7}", json!(14)), ("{}", json!(1))] {
        let second = second.replace("{\"output_tokens\":7}", usage);
        let first = A("a", vec![ours("ours_1")], "tool_use").sse();
        let outcome = Script::anthropic().stream(&[first, Some(second)]);
        let seen = accumulate_anthropic(outcome.text());
        assert_eq!((&seen["usage"]["input_tokens"], &seen["usage"]["output_tokens"]), (&json!(50), &output));
    }
}

#[test]
fn odd_events_pass() {
    let text = A("a", vec![B::Text("t"), ours("ours_1")], "tool_use").sse().unwrap();
    let odd = ": note\n\nevent: new\ndata: {\"type\":\"new_event\"}\n\ndata: no json\n\nid: 7\nretry: 9\n\n";
    let stream = text.replacen("event: message_delta", &format!("{odd}event: message_delta"), 1);
    let outcome = Script::anthropic().stream(&[Some(stream), A("b", vec![B::Text("x")], "end_turn").sse()]);
    assert!(outcome.text().contains(odd));
}
