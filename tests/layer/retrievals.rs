//! What the model may ask, and what a follow-up may run into.

use headroom_engine::{Policy, ccr::Handle};
use headroom_tests::{
    Dialect,
    client::Answer,
    places::messages,
    provider::{Block, Fault, Received, Reply, Turn},
};
use headroom_tower::HeadroomLayer;
use serde_json::json;

use crate::{
    bed::{Around, Bed, OURS, within},
    talk::{MANNERS, Talk, fetch, handles, layer, log, retrieve, run, script, unseen, words},
};

/// A request's messages, byte for byte.
fn bytes_of(request: &Received) -> Vec<&str> {
    messages(std::str::from_utf8(request.body()).unwrap())
}

fn none_refused(bed: &Bed) {
    for (at, request) in bed.provider.received().iter().enumerate() {
        assert_eq!(request.rejection(), None, "request {at}");
    }
}

async fn answer(bed: &Bed, dialect: Dialect, talk: &Talk, stream: bool) -> Answer {
    let heard = bed.ask(dialect, talk.body(stream)).await;
    within(heard.answer(dialect)).await.unwrap()
}

/// Each round asks for more; later ones repeat themselves or ask for nothing that is.
#[tokio::test]
async fn several_rounds_are_one_answer_and_come_back_as_they_were() {
    for (dialect, stream) in MANNERS {
        let source = log(1);
        let answers = script(|n, request| {
            let handle = handles(request)[0].to_string();
            match n {
                0 => Turn::new([words("First. "), retrieve(0, json!({"handle": handle, "range": "1-20"}))]),
                1 => Turn::new([words("Second. "), retrieve(1, json!({"handle": handle, "query": "lease"}))]),
                2 => Turn::new([retrieve(2, json!({"handle": handle, "range": "1-20"}))]),
                _ => Turn::text("Third."),
            }
            .into()
        });
        let bed = Bed::client(layer(), answers).await;
        let mut talk = Talk::about(dialect, &source);
        let heard = bed.ask(dialect, talk.body(stream)).await;
        let report = heard.report().clone();
        let first = within(heard.answer(dialect)).await.unwrap();
        for word in ["First.", "Second.", "Third."] {
            assert!(first.text().contains(word), "{first:?}");
        }
        let retrieval = report.retrieval().unwrap();
        assert_eq!((retrieval.rounds, retrieval.calls, retrieval.limit_hit), (3, 3, false));

        talk.answered(&first);
        talk.user("And then?");
        answer(&bed, dialect, &talk, stream).await;
        none_refused(&bed);
        let received = bed.provider.received();
        for pair in received.windows(2) {
            let (before, after) = (bytes_of(&pair[0]), bytes_of(&pair[1]));
            assert!(after.len() > before.len() && after.starts_with(&before), "{dialect:?} {stream}");
        }
    }
}

#[tokio::test]
async fn a_model_that_asks_for_ever_is_stopped() {
    for (dialect, stream) in MANNERS {
        let policy = Policy::default().least_hidden(20).rounds(2);
        let layer = HeadroomLayer::builder().policy(policy).build().unwrap();
        let bed = Bed::client(layer, script(|n, request| Turn::new([fetch(request, n)]).into())).await;
        let mut talk = Talk::about(dialect, &log(1));
        let heard = bed.ask(dialect, talk.body(stream)).await;
        let report = heard.report().clone();
        let last = within(heard.answer(dialect)).await.unwrap();
        assert!(last.calls().is_empty() && !last.text().is_empty(), "{last:?}");
        assert!(report.retrieval().unwrap().limit_hit);
        talk.answered(&last);
        talk.user("Go on.");
        answer(&bed, dialect, &talk, stream).await;
        none_refused(&bed);
    }
}

#[tokio::test]
async fn several_calls_in_a_round_are_each_answered() {
    for (dialect, stream) in MANNERS {
        let sources = [log(1), log(2)];
        let answers = script(|n, request| {
            let found = handles(request);
            match n {
                0 => {
                    let all: std::collections::BTreeSet<String> =
                        found.iter().map(Handle::to_string).collect();
                    let calls = all
                        .iter()
                        .enumerate()
                        .map(|(n, it)| retrieve(n, json!({"handle": it, "range": "30-60"})));
                    Turn::new(std::iter::once(words("Both. ")).chain(calls).collect::<Vec<Block>>()).into()
                }
                _ => Turn::text("Done.").into(),
            }
        });
        let bed = Bed::client(layer(), answers).await;
        let mut talk = Talk::about(dialect, &sources[0]);
        talk.call("call_2");
        talk.result("call_2", &sources[1]);
        let heard = bed.ask(dialect, talk.body(stream)).await;
        let report = heard.report().clone();
        within(heard.answer(dialect)).await.unwrap();
        assert!(report.retrieval().unwrap().calls >= 2);
        none_refused(&bed);
        let received = bed.provider.received();
        for source in &sources {
            assert!(unseen(source, &received[1]).len() < unseen(source, &received[0]).len());
        }
    }
}

/// Ours beside the client's, in both orders: the client runs its own; ours are there, answered, in
/// its next request.
#[tokio::test]
async fn a_mixed_turn_is_whole_again_on_the_next() {
    for around in [Around::Client, Around::Router] {
        for (dialect, stream) in MANNERS {
            for ours_first in [false, true] {
                let source = log(1);
                let answers = script(move |n, request| match n {
                    0 => {
                        let mut calls = vec![fetch(request, 0), run("call_2")];
                        if !ours_first {
                            calls.reverse();
                        }
                        calls.insert(0, words("Two things. "));
                        Turn::new(calls).into()
                    }
                    _ => Turn::text("Done.").into(),
                });
                let bed = Bed::new(around, layer(), answers).await;
                let mut talk = Talk::about(dialect, &source);
                let first = answer(&bed, dialect, &talk, stream).await;
                assert_eq!(first.calls(), [("call_2", "run_command")]);
                assert_eq!(bed.provider.received().len(), 1, "the client goes first");

                talk.answered(&first);
                talk.result("call_2", "Sun Nov 22 10:04:00 UTC 2026");
                let second = answer(&bed, dialect, &talk, stream).await;
                talk.answered(&second);
                talk.user("Thanks.");
                answer(&bed, dialect, &talk, stream).await;
                none_refused(&bed);
                let received = bed.provider.received();
                let [before, after, later] = &received[..] else { panic!("three requests") };
                assert!(String::from_utf8_lossy(after.body()).contains(&format!("{OURS}0")));
                assert!(unseen(&source, after).len() < unseen(&source, before).len());
                for (before, after) in [(before, after), (after, later)] {
                    assert!(bytes_of(after).starts_with(&bytes_of(before)), "{dialect:?} {stream}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_be_answered_is_told_so_and_the_turn_goes_on() {
    let unknown = "0123456789abcdefghjkmnpqrstvwxyz";
    for (dialect, stream) in MANNERS {
        for (arguments, malformed, is_object) in [
            ("{}".to_owned(), true, true),
            (r#"{"handle":null}"#.to_owned(), true, true),
            (r#"{"handle":["x"],"range":7}"#.to_owned(), true, true),
            (r#"{"handle":"12"}"#.to_owned(), false, true),
            (json!({"handle": unknown}).to_string(), false, true),
            (r#"{"handle":"#.to_owned(), true, false),
            ("[]".to_owned(), true, false),
            ("no JSON at all".to_owned(), true, false),
        ] {
            // A whole Anthropic answer has no place for what is no object.
            if !is_object && dialect == Dialect::Anthropic && !stream {
                continue;
            }
            let asked = arguments.clone();
            let answers = script(move |n, _| match n {
                0 => Turn::new([retrieve(0, &asked)]).into(),
                _ => Turn::text("So be it.").into(),
            });
            let bed = Bed::client(layer(), answers).await;
            let heard = bed.ask(dialect, Talk::about(dialect, &log(1)).body(stream)).await;
            let report = heard.report().clone();
            let answer = within(heard.answer(dialect)).await;
            let answer = answer.unwrap_or_else(|error| panic!("{arguments}: {error}"));
            assert!(answer.text().ends_with("So be it.") || answer.text() == "(no answer)", "{arguments}");
            none_refused(&bed);
            if bed.provider.received().len() == 2 {
                let retrieval = report.retrieval().unwrap();
                assert_eq!(retrieval.malformed + retrieval.unknown, 1, "{arguments}: {retrieval:?}");
                assert!(malformed || retrieval.unknown == 1 || retrieval.malformed == 1);
            }
        }
    }
}

/// Upper case, a marker whole, a prefix, keys nobody knows: what is meant is clear.
#[tokio::test]
async fn handles_are_read_as_models_write_them() {
    for (dialect, stream) in MANNERS {
        for write in [
            |handle: &str| json!({"handle": handle.to_uppercase(), "range": "1-30"}),
            |handle: &str| json!({"handle": &handle[..12], "range": "1-30"}),
            |handle: &str| json!({"handle": format!("#{handle}"), "range": "1-30", "why": [1]}),
        ] {
            let answers = script(move |n, request| match n {
                0 => Turn::new([retrieve(0, write(&handles(request)[0].to_string()))]).into(),
                _ => Turn::text("Done.").into(),
            });
            let bed = Bed::client(layer(), answers).await;
            let heard = bed.ask(dialect, Talk::about(dialect, &log(1)).body(stream)).await;
            let report = heard.report().clone();
            within(heard.answer(dialect)).await.unwrap();
            let retrieval = report.retrieval().unwrap();
            assert_eq!((retrieval.calls, retrieval.unknown, retrieval.malformed), (1, 0, 0));
        }
    }
}

#[tokio::test]
async fn a_turn_cut_inside_our_call_ends_as_it_was_cut() {
    for (dialect, stream) in MANNERS {
        let stop = match dialect {
            Dialect::Anthropic | Dialect::Converse => "max_tokens",
            Dialect::OpenAi => "length",
            Dialect::Responses => "incomplete",
            Dialect::Gemini => "MAX_TOKENS",
        };
        for text in ["", "I look. "] {
            let answers = script(move |n, _| match n {
                0 => {
                    let call = retrieve(0, r#"{"handle":"0123"#);
                    let blocks = if text.is_empty() { vec![call] } else { vec![words(text), call] };
                    Turn::new(blocks).stop(stop).into()
                }
                _ => Turn::text("Done.").into(),
            });
            let bed = Bed::client(layer(), answers).await;
            let mut talk = Talk::about(dialect, &log(1));
            let first = answer(&bed, dialect, &talk, stream).await;
            assert_eq!((first.stop(), first.calls().len()), (stop, 0));
            assert!(first.text().starts_with(text.trim_end()), "{first:?}");
            assert_eq!(bed.provider.received().len(), 1);
            talk.answered(&first);
            talk.user("Go on.");
            answer(&bed, dialect, &talk, stream).await;
            none_refused(&bed);
        }
    }
}

/// What a follow-up may be answered with.
fn refusals() -> Vec<(&'static str, Reply)> {
    let error = |status, kind| Reply::Error {
        status,
        kind,
        message: "Not now.".to_owned(),
        headers: vec![("retry-after", "3".to_owned())],
    };
    let html = |status| Reply::Raw {
        status,
        headers: vec![("content-type", "text/html".to_owned())],
        body: b"<h1>Not now.</h1>".to_vec(),
    };
    let fault = |at, fault| Reply::from(Turn::text("Half of").fault(at, fault));
    let overloaded = Fault::Error { kind: "overloaded_error", message: "Not now.".to_owned() };
    vec![
        ("400", error(400, "invalid_request_error")),
        ("401", error(401, "authentication_error")),
        ("429", error(429, "rate_limit_error")),
        ("500", error(500, "api_error")),
        ("529", error(529, "overloaded_error")),
        ("page", html(502)),
        ("page that says it is fine", html(200)),
        ("reset before a byte", fault(0, Fault::Reset)),
        ("reset", fault(3, Fault::Reset)),
        ("end before a byte", fault(0, Fault::Eof)),
        ("end", fault(1, Fault::Eof)),
        ("error event before a byte", fault(0, overloaded.clone())),
        ("error event", fault(3, overloaded)),
    ]
}

#[tokio::test]
async fn a_follow_up_that_fails_is_an_error_and_no_answer() {
    for around in [Around::Client, Around::Router] {
        for (dialect, stream) in MANNERS {
            for (what, reply) in refusals() {
                let refusal = reply.clone();
                let answers = script(move |n, request| match n {
                    0 => Turn::new([words("I look. "), fetch(request, 0)]).into(),
                    _ => refusal.clone(),
                });
                let bed = Bed::new(around, layer(), answers).await;
                let request = bed.says(dialect, Talk::about(dialect, &log(1)).body(stream));
                let mut heard = match within(bed.send(request)).await {
                    Ok(heard) => heard,
                    Err(error) => {
                        // The inner service's own error, and only where it has no answer.
                        assert!(!stream && matches!(reply, Reply::Turn(_)), "{what}: {error}");
                        none_refused(&bed);
                        continue;
                    }
                };
                let broken = within(heard.end()).await;
                let text = heard.text();
                assert_eq!(bed.provider.received().len(), 2, "{what}: nothing is tried again");
                if stream {
                    assert!(broken.is_ok(), "{what}: the stream has an end of its own");
                    assert!(text.contains("I look."), "{what}");
                    assert_eq!(
                        (heard.status(), text.contains("\"error\"") || text.contains(":exception-type")),
                        (200, true),
                        "{what}: {text}"
                    );
                    assert!(!text.contains("message_stop") && !text.contains("[DONE]"), "{what}: {text}");
                } else {
                    match &reply {
                        Reply::Error { status, headers, .. } => {
                            assert_eq!(
                                (heard.status(), heard.header("retry-after")),
                                (*status, Some(&*headers[0].1))
                            );
                            assert!(text.contains("Not now."), "{what}");
                        }
                        Reply::Raw { status, body, .. } => {
                            assert_eq!((heard.status(), text.as_bytes()), (*status, &body[..]), "{what}");
                        }
                        _ => assert!(broken.is_err() || heard.status() >= 500, "{what}: {text}"),
                    }
                }
                drop(heard);
                none_refused(&bed);
            }
        }
    }
}
