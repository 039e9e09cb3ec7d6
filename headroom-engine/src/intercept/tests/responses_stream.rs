use super::{
    responses_json::{I, R, answer},
    *,
};

/// The events of an answer, as the provider writes them.
pub(super) fn stream(answer: &R) -> String {
    let mut events: Vec<Value> = Vec::new();
    let started = answer.answer("in_progress", &[]);
    for kind in ["response.created", "response.in_progress"] {
        events.push(json!({"type": kind, "response": started}));
    }
    for (at, item) in answer.items().into_iter().enumerate() {
        let mut open = item.clone();
        let id = item["id"].clone();
        let mut deltas: Vec<Value> = Vec::new();
        let place = |kind: &str, fields: Value| {
            let mut event = json!({"type": format!("response.{kind}"), "item_id": id, "output_index": at});
            event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            event
        };
        let halves = |text: &str| -> [String; 2] {
            let middle = text.floor_char_boundary(text.len() / 2);
            [text[..middle].to_owned(), text[middle..].to_owned()]
        };
        match item["type"].as_str().unwrap() {
            "message" => {
                open["content"] = json!([]);
                let text = item["content"][0]["text"].as_str().unwrap();
                let mut empty = item["content"][0].clone();
                empty["text"] = "".into();
                deltas.push(place("content_part.added", json!({"content_index": 0, "part": empty})));
                for half in halves(text) {
                    deltas.push(place(
                        "output_text.delta",
                        json!({"content_index": 0, "delta": half, "logprobs": [], "obfuscation": "xx"}),
                    ));
                }
                deltas.push(place("output_text.done", json!({"content_index": 0, "text": text})));
                deltas.push(place(
                    "content_part.done",
                    json!({"content_index": 0, "part": item["content"][0]}),
                ));
            }
            "function_call" => {
                open["arguments"] = "".into();
                let arguments = item["arguments"].as_str().unwrap();
                for half in halves(arguments) {
                    deltas.push(place("function_call_arguments.delta", json!({"delta": half})));
                }
                deltas.push(place("function_call_arguments.done", json!({"arguments": arguments})));
            }
            "web_search_call" => deltas.push(place("web_search_call.searching", json!({}))),
            _ => {}
        }
        events.push(json!({"type": "response.output_item.added", "output_index": at, "item": open}));
        events.extend(deltas);
        events.push(json!({"type": "response.output_item.done", "output_index": at, "item": item}));
    }
    let end = answer.answer(answer.2, &answer.items());
    events.push(json!({"type": format!("response.{}", answer.2), "response": end}));
    let mut text = String::new();
    for (number, mut event) in events.into_iter().enumerate() {
        event["sequence_number"] = number.into();
        text.push_str(&format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()));
    }
    text
}

fn run(answers: &[R]) -> (Outcome, Value) {
    let streams: Vec<Option<String>> = answers.iter().map(|answer| Some(stream(answer))).collect();
    let outcome = Script::responses().stream(&streams);
    outcome.assert_nothing_leaks();
    let whole = accumulate_responses(outcome.text());
    (outcome, whole)
}

#[test]
fn an_answer_without_a_call_of_ours_passes_at_once() {
    let text = stream(&answer("a", &[I::Think, I::Text("hi"), I::Client("c1"), I::Search]));
    let mut exchange = Script::responses().continuation(&Arc::default()).stream();
    let mut out = VecDeque::new();
    for event in text.split_inclusive("\n\n") {
        exchange.push(event.to_owned().into(), &mut out);
        let passed = String::from_utf8(out.pop_front().expect("edge 67").to_vec()).unwrap();
        assert!(out.is_empty());
        if event.contains("\"tools\"") {
            assert!(!passed.contains(TOOL) && passed.contains("\"name\":\"run\""));
        } else {
            assert_eq!(passed, event);
        }
    }
    assert_eq!(exchange.end(&mut out), Step::Done);
    assert!(out.is_empty());
}

#[test]
fn edge_51_52_every_byte_split_gives_the_same_output() {
    let streams = [
        stream(&answer("a", &[I::Think, I::Text("look"), I::Ours("ours_1"), I::Ours("ours_2")])),
        stream(&answer(
            "b",
            &[I::Text("it is é 🙂"), I::Client("c1"), I::Ours("ours_3"), I::Custom("c2"), I::Search],
        )),
    ];
    for line in ["\n", "\r\n", "\r"] {
        let streams: Vec<Option<String>> =
            streams.iter().map(|text| Some(text.replace('\n', line))).collect();
        let script = Script::responses();
        let whole = script.stream(&streams);
        whole.assert_nothing_leaks();
        assert_eq!(accumulate_responses(whole.text())["output"].as_array().unwrap().len(), 6);
        let longest = streams.iter().flatten().map(String::len).max().unwrap();
        // Every place in one of the spellings, a sample in the others.
        for at in (0..longest).step_by(if line == "\n" { 1 } else { 7 }) {
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
fn edge_58_a_stream_and_a_document_tell_the_same() {
    let asks = |id| answer(id, &[I::Think, I::Text("look"), I::Ours("ours_1")]);
    for answers in [
        vec![asks("a"), answer("b", &[I::Think, I::Text("it is 42")])],
        vec![asks("a"), asks("b"), answer("c", &[I::Client("c1"), I::Ours("ours_2"), I::Custom("c2")])],
        vec![answer("a", &[I::Ours("ours_1"), I::Client("c1")])],
        vec![answer("a", &[I::Ours("ours_1")]), answer("b", &[])],
        vec![R("a", vec![I::Text("so far"), I::Ours("ours_1")], "incomplete")],
        vec![answer("a", &[I::Search, I::Ours("ours_1"), I::Search]), answer("b", &[I::Text("x")])],
    ] {
        let (streamed, whole) = run(&answers);
        let document = Script::responses().json(&answers.iter().map(R::json).collect::<Vec<_>>());
        assert_eq!(whole, document.value(), "{answers:?}");
        assert_eq!((&streamed.sent, &streamed.records), (&document.sent, &document.records));
        assert_eq!((&streamed.visible, &streamed.report), (&document.visible, &document.report));
    }
}

#[test]
fn a_call_that_only_the_last_event_tells_of_is_found() {
    let bare = |answer: &R| {
        let whole = stream(answer);
        let events = whole.split_inclusive("\n\n");
        events.filter(|event| !event.contains("_call\"") || event.contains("response.completed")).collect()
    };
    let outcome = Script::responses().stream(&[
        Some(bare(&answer("a", &[I::Text("look"), I::Ours("ours_1")]))),
        Some(stream(&answer("b", &[I::Text("42")]))),
    ]);
    outcome.assert_nothing_leaks();
    assert_eq!(outcome.sent.len(), 1);
    assert!(outcome.text().contains("response.completed"));
}

#[test]
fn edge_62_63_a_stream_that_ends_early_runs_nothing() {
    let asks = stream(&answer("a", &[I::Text("look"), I::Ours("ours_1")]));
    let cut = &asks[..asks.find("event: response.completed").unwrap()];
    let outcome = Script::responses().stream(&[Some(cut.to_owned())]);
    outcome.assert_nothing_leaks();
    assert!(outcome.sent.is_empty() && outcome.records.is_empty());
    let failed = Script::responses().stream(&[Some(asks.clone()), None]);
    let end = accumulate_responses(failed.text());
    assert_eq!((&end["type"], &end["code"]), (&json!("error"), &json!("server_error")));
    let error = "event: error\ndata: {\"type\":\"error\",\"sequence_number\":2,\"code\":\"x\",\"message\":\"m\",\"param\":null}\n\n";
    let start = stream(&answer("b", &[])).split_inclusive("\n\n").take(2).collect::<String>();
    let outcome = Script::responses().stream(&[Some(asks), Some(start + error)]);
    assert_eq!(accumulate_responses(outcome.text())["code"], "x");
}
