use super::*;

pub(super) fn chunk(id: &str, delta: &Value, finish: Option<&str>) -> String {
    let chunk = json!({
        "id": id, "object": "chat.completion.chunk", "created": 1, "model": "m", "system_fingerprint": format!("fp {id}"),
        "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}], "usage": null,
        "obfuscation": "xx",
    });
    format!("data: {chunk}\n\n")
}

pub(super) fn usage(id: &str) -> String {
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17});
    format!("data: {}\n\n", json!({"id": id, "created": 1, "model": "m", "choices": [], "usage": usage}))
}

/// The pieces in which calls come: the first brings the role along.
pub(super) fn calls(id: &str, calls: &[(&str, &str, String)]) -> String {
    let mut out = String::new();
    for (index, (call, name, arguments)) in calls.iter().enumerate() {
        let mut delta = json!({"tool_calls": [{"index": index, "id": call, "type": "function",
            "function": {"name": name, "arguments": ""}}]});
        if index == 0 {
            delta["role"] = "assistant".into();
            delta["content"] = Value::Null;
        }
        out.push_str(&chunk(id, &delta, None));
        let (a, b) = arguments.split_at(arguments.len() / 2);
        for part in [a, b] {
            let delta = json!({"tool_calls": [{"index": index, "function": {"arguments": part}}]});
            out.push_str(&chunk(id, &delta, None));
        }
    }
    out
}

pub(super) fn text(id: &str, parts: &[&str]) -> String {
    let first = chunk(id, &json!({"role": "assistant", "content": "", "refusal": null}), None);
    let parts: String = parts.iter().map(|part| chunk(id, &json!({"content": part}), None)).collect();
    first + &parts
}

pub(super) fn end(id: &str, reason: &str) -> String {
    format!("{}{}data: [DONE]\n\n", chunk(id, &json!({}), Some(reason)), usage(id))
}

fn ours(id: &'static str) -> (&'static str, &'static str, String) {
    (id, TOOL, wanted())
}

fn client(id: &'static str) -> (&'static str, &'static str, String) {
    (id, "run", "{\"n\": 1.5}".to_owned())
}

fn asks() -> String {
    calls("a", &[ours("ours_1")]) + &end("a", "tool_calls")
}

fn says(parts: &[&str]) -> String {
    text("b", parts) + &end("b", "stop")
}

fn run(streams: &[String]) -> (Outcome, Value) {
    let outcome = Script::openai().stream(&streams.iter().cloned().map(Some).collect::<Vec<_>>());
    outcome.assert_nothing_leaks();
    let whole = accumulate_openai(outcome.text());
    (outcome, whole)
}

#[test]
fn an_answer_without_a_call_of_ours_passes_at_once_and_as_it_came() {
    let stream = text("a", &["hi"])
        + &calls("a", &[client("c1"), client("c2")])
        + &end("a", "tool_calls")
        + "data: junk\n\n";
    let mut exchange = Script::openai().continuation(&Arc::default()).stream();
    let mut out = VecDeque::new();
    for event in stream.split_inclusive("\n\n") {
        exchange.push(event.to_owned().into(), &mut out);
        assert_eq!(out.pop_front().unwrap(), event, "edge 67");
        assert!(out.is_empty());
    }
    assert_eq!(exchange.end(&mut out), Step::Done);
    assert!(out.is_empty());
}

#[test]
fn edge_51_52_every_byte_split_gives_the_same_output() {
    let streams = [
        text("a", &["look"]) + &calls("a", &[ours("ours_1"), ours("ours_2")]) + &end("a", "tool_calls"),
        text("b", &[" \n", "it is é 🙂"])
            + &calls("b", &[client("c1"), ours("ours_3"), client("c2")])
            + &end("b", "tool_calls"),
    ];
    for line in ["\n", "\r\n", "\r"] {
        let streams: Vec<Option<String>> =
            streams.iter().map(|text| Some(text.replace('\n', line))).collect();
        let script = Script::openai();
        let whole = script.stream(&streams);
        whole.assert_nothing_leaks();
        let seen = accumulate_openai(whole.text());
        assert_eq!(seen["content"], "look\n\nit is é 🙂");
        assert_eq!(seen["tool_calls"].as_array().unwrap().len(), 2);
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
fn edge_53_57_two_rounds_are_one_answer() {
    let (outcome, whole) = run(&[text("a", &["let me ", "look"]) + &asks(), says(&["it is", " 42"])]);
    assert_eq!(whole["content"], "let me look\n\nit is 42");
    assert_eq!((&whole["id"], &whole["finish"], &whole["done"]), (&json!("a"), &json!("stop"), &json!(true)));
    assert_eq!(whole["usage"], json!({"prompt_tokens": 10, "completion_tokens": 14, "total_tokens": 24}));
    assert!(!outcome.text().contains("fp b"));
    assert_eq!(outcome.visible, [Item::Text("let me look".into()), Item::Text("\n\nit is 42".into())]);
    let sent = outcome.sent(0);
    assert_eq!(sent["messages"][1]["content"], "let me look");
    assert_eq!(sent["messages"][1]["tool_calls"][0]["function"]["arguments"], wanted());
    assert!(outcome.result(0, 0).contains("needle"));
}

#[test]
fn the_role_comes_once() {
    let (_, whole) = run(&[asks(), says(&["42"])]);
    assert_eq!((&whole["roles"], &whole["content"]), (&json!(1), &json!("42")));
}

#[test]
fn edge_54_indices_close_the_gaps() {
    let all = [ours("ours_1"), client("c1"), ours("ours_2"), client("c2")];
    let (outcome, whole) = run(&[calls("a", &all) + &end("a", "tool_calls")]);
    assert_eq!(
        whole["tool_calls"],
        json!([
            {"id": "c1", "name": "run", "arguments": "{\"n\": 1.5}"},
            {"id": "c2", "name": "run", "arguments": "{\"n\": 1.5}"},
        ])
    );
    assert_eq!((&whole["finish"], outcome.records.len()), (&json!("tool_calls"), 1));
}

#[test]
fn edge_57_names_and_ids_may_come_in_pieces_and_late() {
    let piece = |index: u32, call: Value| {
        let mut call = call;
        call["index"] = index.into();
        chunk("a", &json!({"tool_calls": [call]}), None)
    };
    let (head, tail) = TOOL.split_at(9);
    let stream = piece(0, json!({"id": "ours_1", "type": "function"}))
        + &piece(0, json!({"function": {"name": head}}))
        + &piece(1, json!({"id": "c1", "function": {"name": "ru"}}))
        + &piece(1, json!({"function": {"name": "n", "arguments": ""}}))
        + &piece(0, json!({"function": {"name": tail}}))
        + &piece(0, json!({"function": {"arguments": wanted()}}))
        + &piece(2, json!({"id": "c2", "function": {"name": head}}))
        + &piece(2, json!({"function": {"arguments": "{}"}}))
        + &piece(3, json!({"id": "c3", "function": {"name": format!("{TOOL}_too"), "arguments": "{}"}}))
        + &end("a", "tool_calls");
    let outcome = Script::openai().stream(&[Some(stream)]);
    assert!(!outcome.text().contains("ours_"));
    let whole = accumulate_openai(outcome.text());
    let seen: Vec<(&str, &str)> = whole["tool_calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| (call["id"].as_str().unwrap(), call["name"].as_str().unwrap()))
        .collect();
    assert_eq!(seen, [("c1", "run"), ("c2", head), ("c3", "retrieve_original_content_too")]);
    assert_eq!(outcome.report.calls, 1);
}

#[test]
fn edge_57_calls_in_one_chunk_are_told_apart() {
    let both = json!({"role": "assistant", "content": "x", "tool_calls": [
        {"index": 0, "id": "ours_1", "type": "function", "function": {"name": TOOL, "arguments": wanted()}},
        {"index": 1, "id": "c1", "type": "function", "function": {"name": "run", "arguments": "{}"}}]});
    let (_, whole) = run(&[chunk("a", &both, None) + &end("a", "tool_calls")]);
    assert_eq!((&whole["content"], &whole["tool_calls"][0]["id"]), (&json!("x"), &json!("c1")));
}

#[test]
fn edge_57_text_beside_the_finish_reason_is_not_lost() {
    let first = chunk(
        "a",
        &json!({"role": "assistant", "content": "look", "tool_calls": [
            {"index": 0, "id": "ours_1", "type": "function", "function": {"name": TOOL, "arguments": wanted()}}]}),
        Some("tool_calls"),
    ) + "data: [DONE]\n\ndata: junk\n\n";
    let last = chunk("b", &json!({"role": "assistant", "content": "42"}), Some("stop")) + "data: [DONE]\n\n";
    let (_, whole) = run(&[first, last]);
    assert_eq!((&whole["content"], &whole["finish"]), (&json!("look\n\n42"), &json!("stop")));
    assert_eq!(whole["done"], true);
}

#[test]
fn servers_without_done_and_without_index() {
    let call = json!({"role": "assistant", "tool_calls": [
        {"id": "ours_1", "type": "function", "function": {"name": TOOL, "arguments": wanted()}}]});
    let first = chunk("a", &call, None) + &chunk("a", &json!({}), Some("stop"));
    let last = text("b", &["42"]) + &chunk("b", &json!({}), Some("stop"));
    let (_, whole) = run(&[first, last]);
    assert_eq!((&whole["content"], &whole["done"]), (&json!("42"), &json!(false)));
}

#[test]
fn edge_37_38_69_nothing_visible_becomes_a_text() {
    let again = || calls("a", &[ours("ours_1")]) + &end("a", "tool_calls");
    let (outcome, whole) = run(&[again(), again(), again(), again(), again()]);
    assert_eq!((&whole["content"], &whole["finish"]), (&json!("(no answer)"), &json!("stop")));
    assert!(outcome.report.limit_hit);
    let (_, whole) = run(&[calls("a", &[ours("ours_1")]) + &end("a", "length")]);
    assert_eq!((&whole["content"], &whole["finish"]), (&json!("(no answer)"), &json!("length")));
}

#[test]
fn edge_62_63_64_streams_that_break_run_no_call() {
    let error = "data: {\"error\":{\"message\":\"overloaded\"}}\n\n";
    let start = text("a", &["t"]) + &calls("a", &[ours("ours_1")]);
    let (outcome, whole) = run(&[start.clone() + error]);
    assert_eq!((&whole["error"]["message"], outcome.sent.len()), (&json!("overloaded"), 0));
    let (outcome, whole) = run(&[text("a", &["t"]) + &asks(), text("b", &["x"]) + error]);
    assert!(outcome.text().ends_with(error));
    assert_eq!((&whole["done"], outcome.records.len()), (&json!(false), 0));
    for at in 0..=start.len() {
        let outcome = Script::openai().stream(&[Some(start[..at].to_owned())]);
        outcome.assert_nothing_leaks();
        assert!(outcome.sent.is_empty());
    }
    let begun = text("b", &["x"]);
    for at in 0..=begun.len() {
        let outcome = Script::openai().stream(&[Some(asks()), Some(begun[..at].to_owned())]);
        assert_eq!(accumulate_openai(outcome.text())["error"]["type"], "server_error", "cut at {at}");
    }
    let outcome = Script::openai().stream(&[Some(asks()), None]);
    outcome.assert_nothing_leaks();
    assert_eq!(accumulate_openai(outcome.text())["error"]["type"], "server_error");
}

#[test]
fn edge_52_comments_pass_where_they_stand() {
    let (outcome, _) =
        run(&[format!(": OPENROUTER PROCESSING\n\n{}", asks()), format!(": again\n\n{}", says(&["x"]))]);
    assert!(outcome.text().starts_with(": OPENROUTER PROCESSING\n\n"));
    assert!(outcome.text().contains("\n\n: again\n\n"));
}

#[test]
fn edge_46_reasoning_is_echoed_and_passes() {
    let think = |id, text| chunk(id, &json!({"reasoning_content": text}), None);
    let (outcome, _) =
        run(&[think("a", "r1") + &think("a", "r2") + &asks(), think("b", "r3") + &says(&["x"])]);
    assert_eq!(outcome.sent(0)["messages"][1]["reasoning_content"], "r1r2");
    assert!(outcome.text().contains("\"r3\""));
}

#[test]
fn without_a_durable_record_a_stream_ends_in_an_error() {
    let refused =
        Script { acknowledges: false, ..Script::openai() }.stream(&[Some(asks()), Some(says(&["x"]))]);
    let whole = accumulate_openai(refused.text());
    assert_eq!((&whole["error"]["type"], &whole["done"]), (&json!("server_error"), &json!(false)));
    assert!(whole["finish"].is_null());
}
