//! Random answers of the dialects whose turns are lists of items or parts: a stream and a document
//! tell the client the same, and no bytes make either panic.

use proptest::prelude::*;

use super::{
    gemini::{self, Framing, G, P},
    responses_json::{I, R},
    responses_stream, *,
};
use crate::intercept::Stored;

/// Rounds as a model could write them: all but the last hold ours and none of the client's.
fn rounds<T: Copy + std::fmt::Debug + 'static>(
    any: impl Strategy<Value = T> + Clone + 'static,
    client: impl Strategy<Value = T> + 'static,
    ours: T,
    is_ours: fn(&T) -> bool,
) -> impl Strategy<Value = Vec<Vec<T>>> {
    let round = proptest::collection::vec(any.clone(), 0..5);
    let last = (proptest::collection::vec(any, 0..4), proptest::collection::vec(client, 0..3));
    (proptest::collection::vec(round, 0..3), last).prop_map(move |(mut rounds, (mut last, client))| {
        rounds.iter_mut().for_each(|round| round.push(ours));
        if client.is_empty() {
            last.retain(|item| !is_ours(item));
        }
        // Ours stand between the client's, too.
        let middle = last.len() / 2;
        last.splice(middle..middle, client);
        rounds.push(last);
        rounds
    })
}

fn responses() -> impl Strategy<Value = Vec<R>> {
    let any = prop_oneof![
        Just(I::Text("let me look")),
        Just(I::Text("é 🙂\n\"x\"")),
        Just(I::Text("")),
        Just(I::Think),
        Just(I::Search),
        Just(I::Ours("ours_1")),
        Just(I::Asks("ours_2", "{\"handle\":\"é")),
    ];
    let client = prop_oneof![Just(I::Client("c1")), Just(I::Custom("c2"))];
    (rounds(any, client, I::Ours("ours_3"), is_ours), any_end("completed", "incomplete")).prop_map(
        |(rounds, end)| named(rounds, end, "completed").map(|(id, items, end)| R(id, items, end)).collect(),
    )
}

fn is_ours(item: &I) -> bool {
    matches!(item, I::Ours(_) | I::Asks(..))
}

fn gemini() -> impl Strategy<Value = Vec<G>> {
    let any = prop_oneof![
        Just(P::Text("let me look")),
        Just(P::Text("é 🙂\n\"x\"")),
        Just(P::Think),
        Just(P::Code),
        Just(P::Ours(None)),
        Just(P::Signed(&P::Ours(Some("ours_2")))),
    ];
    let client = prop_oneof![Just(P::Client), Just(P::Signed(&P::Client))];
    let is_ours = |part: &P| matches!(part, P::Ours(_) | P::Signed(P::Ours(_)));
    (rounds(any, client, P::Ours(None), is_ours), any_end("STOP", "MAX_TOKENS")).prop_map(|(rounds, end)| {
        named(rounds, end, "STOP").map(|(id, parts, end)| G(id, parts, end)).collect()
    })
}

fn any_end(done: &'static str, cut: &'static str) -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => Just(done), 1 => Just(cut)]
}

/// Each round with its id and its end.
fn named<T>(
    rounds: Vec<Vec<T>>,
    end: &'static str,
    done: &'static str,
) -> impl Iterator<Item = (&'static str, Vec<T>, &'static str)> {
    let last = rounds.len() - 1;
    let ids = ["a", "b", "c", "d"];
    rounds
        .into_iter()
        .enumerate()
        .map(move |(at, round)| (ids[at], round, if at == last { end } else { done }))
}

type Cuts = Vec<proptest::sample::Index>;

fn cut(bytes: &Bytes, cuts: &Cuts) -> Vec<Bytes> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).chain([0, bytes.len()]).collect();
    at.sort_unstable();
    at.windows(2).map(|pair| bytes.slice(pair[0]..pair[1])).collect()
}

fn cuts() -> impl Strategy<Value = Cuts> {
    proptest::collection::vec(any::<proptest::sample::Index>(), 0..8)
}

fn sent(outcome: &Outcome) -> Vec<Value> {
    (0..outcome.sent.len()).map(|at| outcome.sent(at)).collect()
}

/// Plays what a stream leads to, whatever it is.
fn play(script: &Script, bytes: &[u8]) {
    let mut exchange = script.continuation(&Arc::default()).stream();
    let mut out = VecDeque::new();
    exchange.push(Bytes::copy_from_slice(bytes), &mut out);
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn responses_streams_and_documents_agree(answers in responses(), cuts in cuts()) {
        let script = Script::responses();
        let document = script.json(&answers.iter().map(R::json).collect::<Vec<_>>());
        let streams: Vec<Option<String>> =
            answers.iter().map(|answer| Some(responses_stream::stream(answer))).collect();
        let stream = script.stream_cut(&streams, |_, bytes| cut(&bytes, &cuts));
        document.assert_nothing_leaks();
        stream.assert_nothing_leaks();
        prop_assert_eq!(&script.stream(&streams).body, &stream.body);
        prop_assert_eq!(accumulate_responses(stream.text()), document.value());
        prop_assert_eq!(&stream.sent, &document.sent);
        prop_assert_eq!(&stream.records, &document.records);
        prop_assert_eq!(&stream.visible, &document.visible);
        prop_assert_eq!(&stream.report, &document.report);
    }

    /// Where the provider stores the answer, the client of a stream gets the very bytes it would get
    /// otherwise, and the record tells what it has got.
    #[test]
    fn stored_answers_are_told_of(answers in responses(), cuts in cuts(), acknowledges: bool) {
        let plain = Script::responses();
        let script = Script { acknowledges, ..Script::stored() };
        let texts: Vec<Option<String>> =
            answers.iter().map(|answer| Some(responses_stream::stream(answer))).collect();
        let stream = script.stream_cut(&texts, |_, bytes| cut(&bytes, &cuts));
        stream.assert_nothing_leaks();
        let document = script.json(&answers.iter().map(R::json).collect::<Vec<_>>());
        document.assert_nothing_leaks();
        let ids: Vec<String> = answers.iter().map(|answer| format!("resp_{}", answer.0)).collect();
        let expected = plain.stream(&texts).body;
        let whole = accumulate_responses(std::str::from_utf8(&expected).unwrap());
        let told: Value = serde_json::from_str(events(stream.text()).last().unwrap()).unwrap();
        if acknowledges {
            prop_assert_eq!(&stream.body, &expected);
            prop_assert_eq!(&told["response"]["id"], &ids[0]);
        } else {
            // Without the alias only the last round's id leads anywhere.
            prop_assert_eq!(&told["response"]["id"], &ids[ids.len() - 1]);
        }
        for (outcome, client) in [(&stream, &ids[0]), (&document, &ids[ids.len() - 1])] {
            let told: Vec<Stored> = outcome.records.iter().filter_map(Stored::read).collect();
            let last = told.last().unwrap();
            prop_assert_eq!(&last.client, client);
            prop_assert_eq!(&last.rounds, &ids);
            prop_assert_eq!(last.pending.is_empty(), !answers.last().unwrap().1.iter().any(is_ours));
            for (name, value) in &last.shown {
                let value: Value = serde_json::from_str(value).unwrap();
                prop_assert_eq!(&value, &whole[name.as_str()]);
            }
        }
    }

    #[test]
    fn gemini_streams_and_documents_agree(answers in gemini(), cuts in cuts(), array: bool, apart: bool) {
        let script = Script::gemini();
        let framing = if array { Framing::Array } else { Framing::Events };
        let document = script.json(&answers.iter().map(G::json).collect::<Vec<_>>());
        let streams: Vec<Option<String>> =
            answers.iter().map(|answer| Some(gemini::framed(&answer.chunks(apart), framing))).collect();
        let stream = script.stream_cut(&streams, |_, bytes| cut(&bytes, &cuts));
        document.assert_nothing_leaks();
        stream.assert_nothing_leaks();
        prop_assert_eq!(&script.stream(&streams).body, &stream.body);
        let whole = gemini::accumulate(stream.text(), framing);
        let mut expected = document.value();
        let parts = &mut expected["candidates"][0]["content"]["parts"];
        *parts = gemini::joined(parts.as_array().unwrap()).into();
        prop_assert_eq!(&whole["candidates"], &expected["candidates"]);
        prop_assert_eq!(&whole["usageMetadata"], &expected["usageMetadata"]);
        prop_assert_eq!(stream.sent.len(), document.sent.len());
        prop_assert_eq!(&stream.report, &document.report);
        for (stream, document) in sent(&stream).iter().zip(sent(&document)) {
            let turns = |body: &Value| -> Vec<Vec<Value>> {
                let contents = body["contents"].as_array().unwrap().iter();
                contents.map(|content| gemini::joined(content["parts"].as_array().unwrap())).collect()
            };
            prop_assert_eq!(turns(stream), turns(&document));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        answers in (responses(), gemini()), bytes in proptest::collection::vec(any::<u8>(), 0..200),
        at in any::<proptest::sample::Index>(), byte: u8, which in 0..3usize,
    ) {
        let (script, stream) = match which {
            0 => (Script::responses(), responses_stream::stream(&answers.0[0])),
            1 => (Script::gemini(), gemini::framed(&answers.1[0].chunks(true), Framing::Events)),
            _ => (Script::gemini(), gemini::framed(&answers.1[0].chunks(false), Framing::Array)),
        };
        let mut damaged = stream.into_bytes();
        let at = at.index(damaged.len());
        damaged[at] = byte;
        for stream in [&bytes[..], &damaged, &damaged[..at]] {
            play(&script, stream);
        }
        let mut exchange = script.continuation(&Arc::default()).json();
        prop_assert_eq!(exchange.response(bytes.clone().into()), Step::Done);
        prop_assert_eq!(exchange.into_body(), bytes);
    }
}
