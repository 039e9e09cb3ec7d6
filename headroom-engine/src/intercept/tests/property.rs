//! Random answers, cut at random places: a stream and a document tell the client the same.

use proptest::prelude::*;

use super::*;

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
                Step::Send(_) | Step::Done => break,
            };
        }
        exchange.failed(&mut out);
    }
}
