//! Random answers, cut at random places: a stream and a document tell the client the same.

use proptest::prelude::*;

use super::{openai_json::C, *};

fn any_block(last: bool) -> impl Strategy<Value = B> {
    let ours = (0..3u8).prop_map(|which| match which {
        0 => B::Ours("ours_1", wanted()),
        1 => B::Ours("ours_2", json!({"handle": handle(STORED).to_string()}).to_string()),
        _ => B::Ours("ours_3", json!({"handle": "1".repeat(30), "query": "é"}).to_string()),
    });
    let client = if last { 2 } else { 0 };
    prop_oneof![
        3 => prop_oneof![Just(B::Text("let me look")), Just(B::Text("é 🙂\n\"x\"")), Just(B::Text("\n")), Just(B::Text(""))],
        2 => prop_oneof![Just(B::Think("hm")), Just(B::Redacted)],
        3 => ours,
        1 => Just(B::Server),
        client => prop_oneof![Just(B::Client("c1")), Just(B::Client("c2"))],
    ]
}

/// Rounds as a model could write them: all but the last hold ours and none of the client's.
fn conversation() -> impl Strategy<Value = Vec<A>> {
    let round = proptest::collection::vec(any_block(false), 0..5);
    let last =
        (proptest::collection::vec(any_block(true), 0..5), prop_oneof![Just("end_turn"), Just("max_tokens")]);
    (proptest::collection::vec(round, 0..3), last).prop_map(|(rounds, (mut last, stop))| {
        let mut answers: Vec<A> = Vec::new();
        for (id, mut blocks) in ["a", "b"].into_iter().zip(rounds) {
            blocks.push(B::Ours("ours_9", wanted()));
            answers.push(A(id, blocks, "tool_use"));
        }
        let calls_client = last.iter().any(|block| matches!(block, B::Client(_)));
        if !calls_client && stop == "end_turn" {
            last.retain(|block| !matches!(block, B::Ours(..)));
        }
        answers.push(A("z", last, if calls_client && stop == "end_turn" { "tool_use" } else { stop }));
        answers
    })
}

fn script() -> impl Strategy<Value = Script> {
    let recall = prop_oneof![
        Just(Recall::Forget),
        Just(Recall::Restore { durable: true }),
        Just(Recall::Restore { durable: false })
    ];
    recall.prop_map(|recall| Script { recall, ..Script::anthropic() })
}

/// Blank texts are not sent back, and so not compared.
fn content(message: &Value) -> Vec<Value> {
    message["content"].as_array().unwrap().clone()
}

fn json_of(messages: &str) -> Value {
    serde_json::from_str(messages).unwrap()
}

type Calls = Vec<(&'static str, &'static str, String)>;

fn openai_calls(last: bool) -> impl Strategy<Value = Calls> {
    let ours = prop_oneof![Just(wanted()), Just(String::new()), Just("{\"handle\":\"é".to_owned())];
    let call = prop_oneof![
        2 => ours.prop_map(|arguments| ("ours_1", TOOL, arguments)),
        u32::from(last) => Just(("c1", "retrieve", "{}".to_owned())),
        u32::from(last) => Just(("c2", "run", String::new())),
    ];
    proptest::collection::vec(call, usize::from(!last)..4)
}

/// Rounds of Chat Completions: all but the last call ours only.
fn openai_conversation() -> impl Strategy<Value = Vec<C>> {
    let text = || proptest::option::of(prop_oneof![Just("look"), Just(" é 🙂\n"), Just("\n")]);
    let rounds = proptest::collection::vec((text(), openai_calls(false)), 0..3);
    (rounds, text(), openai_calls(true), any::<bool>()).prop_map(|(rounds, text, mut calls, cut)| {
        let mut answers: Vec<C> = ["a", "b"]
            .into_iter()
            .zip(rounds)
            .map(|(id, (text, calls))| C(id, text, calls, "tool_calls"))
            .collect();
        let client = calls.iter().any(|call| call.1 != TOOL);
        if !client && !cut {
            calls.clear();
        }
        answers.push(C(
            "z",
            text,
            calls,
            if cut {
                "length"
            } else if client {
                "tool_calls"
            } else {
                "stop"
            },
        ));
        answers
    })
}

fn sse(answer: &C) -> String {
    let C(id, text, calls, finish) = answer;
    let role = openai_stream::chunk(id, &json!({"role": "assistant", "content": ""}), None);
    let text = text.map(|text| openai_stream::chunk(id, &json!({"content": text}), None)).unwrap_or_default();
    role + &text + &openai_stream::calls(id, calls) + &openai_stream::end(id, finish)
}

proptest! {
    #[test]
    fn openai_streams_and_documents_agree(answers in openai_conversation(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let script = Script::openai();
        let document = script.json(&answers.iter().map(C::json).collect::<Vec<_>>());
        let streams: Vec<Option<String>> = answers.iter().map(|answer| Some(sse(answer))).collect();
        let stream = script.stream_cut(&streams, |_, bytes| {
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).chain([0, bytes.len()]).collect();
            at.sort_unstable();
            at.windows(2).map(|pair| bytes.slice(pair[0]..pair[1])).collect()
        });
        document.assert_nothing_leaks();
        stream.assert_nothing_leaks();
        prop_assert_eq!(&script.stream(&streams).body, &stream.body);
        let whole = accumulate_openai(stream.text());
        prop_assert_eq!((&whole["done"], &whole["roles"]), (&json!(true), &json!(if answers[0].2.is_empty() { 1 } else { 2 })));
        let value = document.value();
        let choice = &value["choices"][0];
        let text = choice["message"]["content"].as_str().unwrap_or_default();
        prop_assert_eq!(whole["content"].as_str().unwrap().trim(), text.trim());
        let calls = choice["message"].get("tool_calls").and_then(Value::as_array).cloned().unwrap_or_default();
        let calls: Vec<Value> = calls.iter().map(|call| json!({"id": call["id"], "name": call["function"]["name"],
            "arguments": call["function"]["arguments"]})).collect();
        prop_assert_eq!(&whole["tool_calls"], &json!(calls));
        prop_assert_eq!(&whole["finish"], &choice["finish_reason"]);
        prop_assert_eq!(&whole["usage"]["completion_tokens"], &value["usage"]["completion_tokens"]);
        let keys = |outcome: &Outcome| {
            let mut chain = crate::history::Chain::new(&HandleKey::default(), "model", &[]);
            chain.push(crate::wire::Role::User, &[]);
            chain.turn(&outcome.visible)
        };
        prop_assert_eq!(keys(&stream), keys(&document));
        prop_assert_eq!(stream.records.len(), document.records.len());
        prop_assert_eq!(&stream.report.calls, &document.report.calls);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn streams_and_documents_agree(answers in conversation(), script in script(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8), line in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")]) {
        let document = script.json(&answers.iter().map(A::json).collect::<Vec<_>>());
        let streams: Vec<Option<String>> = answers.iter().map(|answer| answer.sse_with(line)).collect();
        let stream = script.stream_cut(&streams, |_, bytes| {
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).chain([0, bytes.len()]).collect();
            at.sort_unstable();
            at.windows(2).map(|pair| bytes.slice(pair[0]..pair[1])).collect()
        });
        document.assert_nothing_leaks();
        stream.assert_nothing_leaks();
        prop_assert_eq!(&script.stream(&streams).body, &stream.body);
        let whole = accumulate_anthropic(stream.text());
        prop_assert_eq!(&whole["stopped"], true);
        let value = document.value();
        prop_assert_eq!(content(&whole), content(&value));
        for key in ["id", "model", "stop_reason", "usage"] {
            prop_assert_eq!(&whole[key], &value[key], "{}", key);
        }
        prop_assert_eq!(&stream.records, &document.records);
        prop_assert_eq!(&stream.visible, &document.visible);
        prop_assert_eq!(&stream.report, &document.report);
        let sent = |outcome: &Outcome| -> Vec<Value> { outcome.sent.iter().map(|body| json_of(body)).collect() };
        prop_assert_eq!(sent(&stream), sent(&document));
        prop_assert!(!content(&whole).is_empty() || answers[0].1.is_empty());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in ".{0,100}", openai: bool) {
        let script = if openai { Script::openai() } else { Script::anthropic() };
        script.stream(&[Some(text.clone())]);
        prop_assert_eq!(script.json(&[Some(text.clone())]).body, text.into_bytes());
        let mut exchange = script.continuation(&Arc::default()).stream();
        let mut out = VecDeque::new();
        exchange.push(bytes.clone().into(), &mut out);
        let _ = exchange.end(&mut out);
        let mut exchange = script.continuation(&Arc::default()).json();
        prop_assert_eq!(exchange.response(bytes.clone().into()), Step::Done);
        prop_assert_eq!(exchange.into_body(), bytes);
    }

    #[test]
    fn broken_events_do_not_make_it_panic(answers in conversation(), at in any::<prop::sample::Index>(), byte: u8, openai: bool) {
        let mut bytes = answers[0].sse().unwrap().into_bytes();
        if openai {
            bytes = sse(&C("a", Some("x"), vec![("ours_1", TOOL, wanted()), ("c1", "run", wanted())], "tool_calls")).into_bytes();
        }
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let script = if openai { Script::openai() } else { Script::anthropic() };
        let mut exchange = script.continuation(&Arc::default()).stream();
        let mut out = VecDeque::new();
        exchange.push(bytes.into(), &mut out);
        let mut step = exchange.end(&mut out);
        for _ in 0..4 {
            step = match step {
                Step::Redeem(_) => exchange.redeemed(Vec::new(), &mut out),
                Step::Remember(_) => exchange.remembered(true, &mut out),
                Step::Rank(ranking) => exchange.ranked(Some(ranking.run()), &mut out),
                Step::Send(_) | Step::Done => break,
            };
        }
        exchange.failed(&mut out);
    }
}
