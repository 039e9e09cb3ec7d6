//! Bedrock: Converse, whole and in frames, and Anthropic's own events in frames.

mod answers;

use proptest::prelude::*;

use self::answers::{K, N, accumulate, as_events, chunks, converse, messages};
use super::{
    record::{TurnView, restore},
    *,
};
use crate::{align::Dynamic, eventstream, history::Chain};

fn script() -> Script {
    Script::new(
        Dialect::BedrockConverse,
        json!({"messages": [{"role": "user", "content": [{"text": "find it"}]}]}),
    )
}

fn json_of(script: &Script, answers: &[N]) -> Outcome {
    let outcome = script.json(&answers.iter().map(N::json).collect::<Vec<_>>());
    outcome.assert_nothing_leaks();
    outcome
}

fn stream_of(script: &Script, answers: &[N]) -> Outcome {
    let answers: Vec<Option<String>> = answers.iter().map(N::events).collect();
    script.stream_cut(&answers, |_, whole| vec![converse(&whole)])
}

fn nothing_leaks(bytes: &[u8]) {
    for ours in [TOOL, "ours_"] {
        assert_eq!(memchr::memmem::find(bytes, ours.as_bytes()), None, "{ours}");
    }
}

fn rich() -> [N; 2] {
    [
        N(vec![K::Think("hm 🙂"), K::Redacted, K::Text("let me look"), K::Ours("ours_1")], "tool_use"),
        N(
            vec![K::Think("so"), K::Text("it is\n42 é"), K::Ours("ours_2"), K::Client("c1"), K::Client("c2")],
            "tool_use",
        ),
    ]
}

#[test]
fn alone_mixed_and_counted_whole_and_in_frames() {
    let answers = rich();
    let whole = json_of(&script(), &answers);
    let shown = [
        K::Think("hm 🙂"),
        K::Redacted,
        K::Text("let me look"),
        K::Think("so"),
        K::Text("it is\n42 é"),
        K::Client("c1"),
        K::Client("c2"),
    ];
    let value = whole.value();
    assert_eq!(value["output"]["message"]["content"], json!(shown.iter().map(K::json).collect::<Vec<_>>()));
    assert_eq!(value["stopReason"], "tool_use");
    assert_eq!(
        value["usage"],
        json!({"inputTokens": 10, "outputTokens": 14, "totalTokens": 27, "cacheReadInputTokens": 3})
    );
    let sent = whole.sent(0);
    let last = &sent["messages"][2]["content"][0]["toolResult"];
    assert_eq!((&last["toolUseId"], &last["status"]), (&json!("ours_1"), &Value::Null));
    assert!(last["content"][0]["text"].as_str().unwrap().contains("needle is 42"));

    let streamed = stream_of(&script(), &answers);
    nothing_leaks(&streamed.body);
    let accumulated = accumulate(&streamed.body);
    assert_eq!(accumulated["output"], value["output"]);
    assert_eq!(accumulated["usage"], value["usage"]);
    assert_eq!(accumulated["metrics"]["latencyMs"], 200, "both rounds took their time");
    assert_eq!((streamed.sent(0), &streamed.visible), (whole.sent(0), &whole.visible));
    assert_eq!(streamed.records.len(), 1);
}

#[test]
fn an_answer_without_a_call_of_ours_passes_as_it_came() {
    let answer = N(vec![K::Think("x"), K::Text("hi"), K::Image, K::Client("c")], "tool_use");
    assert_eq!(json_of(&script(), std::slice::from_ref(&answer)).text(), answer.json().unwrap());
    let frames = converse(&answer.events().unwrap().into());
    let mut exchange = script().continuation(&Arc::default()).stream();
    let mut out = VecDeque::new();
    for message in messages(&frames) {
        exchange.push(message.raw(), &mut out);
        assert_eq!(out.pop_front().unwrap(), message.raw(), "edge 67");
        assert!(out.is_empty());
    }
    assert!(exchange.round_complete() && exchange.is_framed() && exchange.keep_alive().is_empty());
    assert_eq!(exchange.end(&mut out), Step::Done);
    assert!(out.is_empty());
    assert_eq!(exchange.report().output_tokens, 7);
}

#[test]
fn edge_51_60_every_byte_split_gives_the_same_output() {
    let answers: Vec<Option<String>> = rich().iter().map(N::events).collect();
    let anthropic: Vec<Option<String>> = [
        A("a", vec![B::Text("look"), B::Ours("ours_1", wanted())], "tool_use"),
        A("b", vec![B::Text("é 42")], "end_turn"),
    ]
    .iter()
    .map(A::sse)
    .collect();
    for (script, answers, frames) in
        [(script(), answers, converse as fn(&Bytes) -> Bytes), (Script::anthropic(), anthropic, chunks)]
    {
        let whole = script.stream_cut(&answers, |_, text| vec![frames(&text)]);
        let longest = answers.iter().flatten().map(|text| frames(&text.clone().into()).len()).max().unwrap();
        for at in 0..longest {
            let split = script.stream_cut(&answers, |_, text| {
                let bytes = frames(&text);
                let at = at.min(bytes.len());
                vec![bytes.slice(..at), bytes.slice(at..)]
            });
            assert_eq!(split, whole, "split at {at}");
        }
        let single = script
            .stream_cut(&answers, |_, text| frames(&text).chunks(1).map(Bytes::copy_from_slice).collect());
        assert_eq!(single, whole);
    }
}

#[test]
fn anthropic_events_in_frames_are_spliced_like_events() {
    let mut first =
        A("a", vec![B::Think("hm"), B::Text("look"), B::Ours("ours_1", wanted())], "tool_use").sse().unwrap();
    let mut last = A("b", vec![B::Think("so"), B::Text("42"), B::Client("c")], "tool_use").sse().unwrap();
    let metrics = |output: u32, first: u32| {
        format!(
            "\"type\":\"message_stop\",\"amazon-bedrock-invocationMetrics\":{{\"inputTokenCount\":10,\"outputTokenCount\":{output},\"invocationLatency\":50,\"firstByteLatency\":{first}}}"
        )
    };
    first = first.replace("\"type\":\"message_stop\"", &metrics(7, 20));
    last = last.replace("\"type\":\"message_stop\"", &metrics(9, 30));
    let answers = [Some(first), Some(last)];
    let plain = Script::anthropic().stream(&answers);
    let framed = Script::anthropic().stream_cut(&answers, |_, text| vec![chunks(&text)]);
    let seen = as_events(&framed.body);
    assert_eq!(events(&seen), events(plain.text()));
    assert!(!seen.contains(TOOL) && !seen.contains("ours_"));
    assert_eq!((&framed.sent, &framed.records), (&plain.sent, &plain.records));
    let end: Value = serde_json::from_str(events(&seen).last().unwrap()).unwrap();
    assert_eq!(
        end["amazon-bedrock-invocationMetrics"],
        json!({"inputTokenCount": 10, "outputTokenCount": 16, "invocationLatency": 100, "firstByteLatency": 20})
    );
}

#[test]
fn edge_61_64_what_is_said_meanwhile_and_at_a_failure_is_framed() {
    let ours = A("a", vec![B::Ours("ours_1", wanted())], "tool_use").sse();
    let failed = Script::anthropic().stream_cut(&[ours, None], |_, text| vec![chunks(&text)]);
    let last = messages(&failed.body).pop().unwrap();
    assert_eq!(last.header(":exception-type"), Some("modelStreamErrorException"));

    let ours = [N(vec![K::Text("look"), K::Ours("ours_1")], "tool_use").events(), None];
    let failed = script().stream_cut(&ours, |_, text| vec![converse(&text)]);
    nothing_leaks(&failed.body);
    let last = messages(&failed.body).pop().unwrap();
    assert!(last.is_failure() && last.payload().starts_with(b"{\"message\":"));

    let mut exchange = Script::anthropic().continuation(&Arc::default()).stream();
    assert!(exchange.keep_alive().starts_with(b"event: ping"));
    exchange.push(eventstream::chunk("{\"type\":\"ping\"}"), &mut VecDeque::new());
    assert_eq!(exchange.keep_alive(), eventstream::chunk("{\"type\":\"ping\"}"));
}

#[test]
fn edge_60_62_exceptions_and_broken_frames_pass_and_no_call_is_meant() {
    let answer = N(vec![K::Text("look"), K::Ours("ours_1")], "tool_use");
    let frames = converse(&answer.events().unwrap().into());
    let count = messages(&frames).len();
    for at in 1..count {
        let parts: Vec<Bytes> = messages(&frames).iter().map(eventstream::Message::raw).collect();
        let exception = eventstream::exception("throttlingException", "slow down");
        let stream = [&parts[..at].concat(), &exception[..]].concat();
        let cut = script().stream_cut(&[Some(String::new())], |_, _| vec![stream.clone().into()]);
        nothing_leaks(&cut.body);
        assert_eq!(messages(&cut.body).pop().unwrap().raw(), exception, "at {at}");
        assert!(cut.sent.is_empty() && cut.records.is_empty());

        // A frame with a wrong checksum ends what can be answered, and nothing of ours is shown.
        let mut broken = frames.to_vec();
        let sum = parts[..=at].concat().len() - 1;
        broken[sum] ^= 1;
        let cut = script().stream_cut(&[Some(String::new())], |_, _| vec![broken.clone().into()]);
        nothing_leaks(&cut.body);
        assert!(cut.sent.is_empty(), "at {at}");
    }
    // Where our tool is not named, what is broken passes as it came.
    let plain = converse(&N(vec![K::Text("hello")], "end_turn").events().unwrap().into());
    for at in 0..plain.len() {
        let mut broken = plain.to_vec();
        broken[at] ^= 0x40;
        let passed = script().stream_cut(&[Some(String::new())], |_, _| vec![broken.clone().into()]);
        assert!(passed.body == broken, "byte {at}");
    }
}

#[test]
fn a_zero_byte_does_not_make_frames() {
    let first = A("a", vec![B::Text("look"), B::Ours("ours_1", wanted())], "tool_use").sse().unwrap();
    let last = A("b", vec![B::Text("42")], "end_turn").sse().unwrap();
    let plain = Script::anthropic().stream(&[Some(first.clone()), Some(last.clone())]);
    for start in ["\0\n", "\u{1}\0\0\0: a comment\n\n", "\0 is no frame, and no line that says anything\n"] {
        let answers = [Some(format!("{start}{first}")), Some(format!("{start}{last}"))];
        let whole = Script::anthropic().stream(&answers);
        nothing_leaks(&whole.body);
        assert_eq!(whole.sent, plain.sent, "its call is answered");
        assert!(whole.body.starts_with(start.as_bytes()));
        for at in 0..200 {
            let split = Script::anthropic().stream_cut(&answers, |_, text| {
                let at = at.min(text.len());
                vec![text.slice(..at), text.slice(at..)]
            });
            assert_eq!(split, whole, "split at {at}");
        }
    }
    // Shorter than a prelude, it passes.
    let short = Script::anthropic().stream(&[Some("\0\u{1}\n\n".to_owned())]);
    assert_eq!(&short.body[..], b"\0\x01\n\n");
}

#[test]
fn edge_63_a_stream_that_ends_early_runs_no_call() {
    let frames = converse(&N(vec![K::Text("look"), K::Ours("ours_1")], "tool_use").events().unwrap().into());
    let metadata = messages(&frames).pop().unwrap().raw().len();
    for end in 0..frames.len() - metadata {
        let stop =
            messages(&frames)[..messages(&frames).len() - 1].iter().map(|m| m.raw().len()).sum::<usize>();
        if end >= stop {
            continue;
        }
        let cut = script().stream_cut(&[Some(String::new())], |_, _| vec![frames.slice(..end)]);
        assert!(cut.sent.is_empty(), "end at {end}");
        nothing_leaks(&cut.body);
    }
}

#[test]
fn thinking_behind_a_forgotten_exchange_is_withheld() {
    let script = Script { recall: Recall::Forget, ..script() };
    let answers = [
        N(vec![K::Think("hm"), K::Ours("ours_1")], "tool_use"),
        N(vec![K::Think("so"), K::Text("42")], "end_turn"),
    ];
    let streamed = accumulate(&stream_of(&script, &answers).body);
    let shown = json!([K::Think("hm").json(), K::Text("42").json()]);
    assert_eq!(streamed["output"]["message"]["content"], shown);
    assert_eq!(json_of(&script, &answers).value()["output"]["message"]["content"], shown);
}

#[test]
fn edge_69_no_visible_block_becomes_one() {
    let answers = [N(vec![K::Ours("ours_1")], "tool_use"), N(vec![], "end_turn")];
    let whole = json_of(&script(), &answers).value();
    assert_eq!(whole["output"]["message"]["content"], json!([{"text": "(no answer)"}]));
    assert_eq!(accumulate(&stream_of(&script(), &answers).body)["output"], whole["output"]);
}

/// The messages of the next request, with what the ledger knows put back; `behind` stand behind the
/// first one.
fn returned(outcome: &Outcome, behind: &[Value]) -> Option<Vec<Value>> {
    let mut request = script().request;
    request["messages"].as_array_mut().unwrap().extend_from_slice(behind);
    let body = request.to_string();
    let read = crate::wire::read(Dialect::BedrockConverse, &body).unwrap();
    let mut chain = Chain::new(&HandleKey::default(), "model", &[]);
    chain.push_message(&body, &read.messages[0], &Dynamic::default(), &mut |_| [0; 32]);
    let expected = chain.turn(&outcome.visible);
    chain.push_message(&body, &read.messages[1], &Dynamic::default(), &mut |_| [0; 32]);
    if chain.key() != expected {
        return None;
    }
    let next = read.messages.get(2).map(|next| next.span.clone());
    let message = read.messages[1].span.clone();
    let turn = TurnView { dialect: Dialect::BedrockConverse, body: &body, message, next };
    let whole = super::super::raw::splice(&body, restore(&outcome.records[0].value, &turn)?);
    let whole: Value = serde_json::from_str(&whole).unwrap_or_else(|_| panic!("not JSON: {whole}"));
    Some(whole["messages"].as_array().unwrap().clone())
}

#[test]
fn edge_71_72_the_next_request_begins_with_what_the_follow_up_carried() {
    let point = json!({"cachePoint": {"type": "default"}});
    let result = json!({"toolResult": {"toolUseId": "c1", "content": [{"text": "done"}]}});
    for mixed in [false, true] {
        let mut last = vec![K::Think("so"), K::Text("it is 42")];
        if mixed {
            last.extend([K::Ours("ours_2"), K::Client("c1")]);
        }
        let stop = if mixed { "tool_use" } else { "end_turn" };
        let answers = [
            N(vec![K::Think("hm"), K::Redacted, K::Text("let me look"), K::Ours("ours_1")], "tool_use"),
            N(last, stop),
        ];
        let outcome = json_of(&script(), &answers);
        let carried = outcome.sent(0)["messages"].as_array().unwrap().clone();
        let said = outcome.value()["output"]["message"].clone();
        let next = json!({"role": "user", "content": [if mixed { result.clone() } else { json!({"text": "and?"}) }]});
        // As it was given; with a cache point; without the thinking.
        let mut pointed = said.clone();
        pointed["content"].as_array_mut().unwrap().push(point.clone());
        let mut forgetful = said.clone();
        forgetful["content"].as_array_mut().unwrap().retain(|block| block.get("reasoningContent").is_none());
        for turn in [&said, &pointed, &forgetful] {
            let back = returned(&outcome, &[turn.clone(), next.clone()]).expect("it is found");
            assert_eq!(back[..carried.len()], carried[..]);
            let end = &back[carried.len()]["content"];
            let asks = &back[carried.len() + 1]["content"];
            assert_eq!(back.len(), carried.len() + 2);
            if mixed {
                let calls: Vec<&str> = end
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter_map(|b| b["toolUse"]["toolUseId"].as_str())
                    .collect();
                assert_eq!(calls, ["ours_2", "c1"]);
                assert_eq!(asks[0]["toolResult"]["toolUseId"], "ours_2");
                assert_eq!(asks[1], result);
            } else {
                assert!(end.to_string().contains("it is 42") && !end.to_string().contains("let me look"));
            }
        }
        // Said otherwise, it is another conversation.
        let mut other = said;
        other["content"].as_array_mut().unwrap().push(json!({"text": "and more"}));
        assert_eq!(returned(&outcome, &[other, next]), None);
    }
}

fn blocks() -> impl Strategy<Value = Vec<K>> {
    let block = prop_oneof![
        Just(K::Text("let me look")),
        Just(K::Text("é 🙂\n\"x\"")),
        Just(K::Text("")),
        Just(K::Think("hm")),
        Just(K::Redacted),
        Just(K::Ours("ours_1")),
    ];
    proptest::collection::vec(block, 0..5)
}

fn conversation() -> impl Strategy<Value = Vec<N>> {
    let rounds = proptest::collection::vec(blocks(), 0..3);
    (rounds, blocks(), any::<bool>()).prop_map(|(rounds, mut last, calls)| {
        let round = |mut blocks: Vec<K>| {
            blocks.push(K::Ours("ours_9"));
            N(blocks, "tool_use")
        };
        let mut answers: Vec<N> = rounds.into_iter().map(round).collect();
        if calls {
            last.push(K::Client("c1"));
        } else {
            last.retain(|block| !matches!(block, K::Ours(_)));
        }
        answers.push(N(last, if calls { "tool_use" } else { "end_turn" }));
        answers
    })
}

proptest! {
    #[test]
    fn streams_and_documents_agree(
        answers in conversation(),
        forgets: bool,
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let recall = if forgets { Recall::Forget } else { Recall::Restore { durable: true } };
        let script = Script { recall, ..script() };
        let whole = json_of(&script, &answers);
        let lines: Vec<Option<String>> = answers.iter().map(N::events).collect();
        let streamed = script.stream_cut(&lines, |_, text| {
            let bytes = converse(&text);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            cuts.windows(2).map(|pair| bytes.slice(pair[0]..pair[1])).collect()
        });
        nothing_leaks(&streamed.body);
        let (one, other) = (accumulate(&streamed.body), whole.value());
        prop_assert_eq!(&one["output"], &other["output"]);
        prop_assert_eq!(&one["stopReason"], &other["stopReason"]);
        prop_assert_eq!(&one["usage"], &other["usage"]);
        // Their members are in another order.
        let sent = |outcome: &Outcome| (0..outcome.sent.len()).map(|at| outcome.sent(at)).collect::<Vec<_>>();
        prop_assert_eq!(sent(&streamed), sent(&whole));
        prop_assert_eq!(&streamed.visible, &whole.visible);
        let keys = |outcome: &Outcome| outcome.records.iter().map(|record| record.key).collect::<Vec<_>>();
        prop_assert_eq!(keys(&streamed), keys(&whole));
    }

    #[test]
    fn broken_frames_do_not_make_it_panic(
        answers in conversation(),
        at in any::<prop::sample::Index>(),
        byte: u8,
        anthropic: bool,
    ) {
        let mut bytes = converse(&answers[0].events().unwrap().into()).to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= byte;
        let script = if anthropic { Script::anthropic() } else { script() };
        let mut exchange = script.continuation(&Arc::default()).stream();
        let mut out = VecDeque::new();
        exchange.push(bytes.into(), &mut out);
        let _ = exchange.end(&mut out);
        // Frames of another dialect are not looked into.
        if !anthropic {
            let seen: Vec<u8> = out.into_iter().flatten().collect();
            prop_assert_eq!(memchr::memmem::find(&seen, TOOL.as_bytes()), None);
        }
    }
}
