//! Answers arrive whole, in any cut, late, broken or not at all.

use headroom_tests::{
    Dialect::{self, Anthropic, OpenAi},
    client::{Answer, Dialogue, Framer, Reader, http, post, read},
    fixtures,
    provider::{Block, Fault, Framing, Gate, Provider, Received, Replay, Reply, Turn},
};
use http_body_util::BodyExt as _;

use super::{BOTH, ask, busy, greeter, request, says, streamed};

async fn bytes(dialect: Dialect, turn: Turn) -> Vec<u8> {
    let provider = Provider::start(says(turn)).await;
    let response =
        http().request(post(&provider.endpoint(dialect), streamed(dialect).to_string())).await.unwrap();
    response.into_body().collect().await.unwrap().to_bytes().to_vec()
}

/// The answer whatever the cut: what stands in one JSON body.
async fn expected(dialect: Dialect) -> Answer {
    ask(&Provider::start(says(busy())).await, dialect, &request(dialect)).await.unwrap()
}

#[tokio::test]
async fn a_stream_says_what_the_whole_answer_says() {
    for dialect in BOTH {
        let expected = expected(dialect).await;
        assert_eq!(expected.calls(), [("toolu_1", "lookup")]);
        assert_eq!(expected.text(), "I look it up. ✓");
        for framing in [Framing::Events, Framing::Whole, Framing::Bytes(1), Framing::Bytes(7)] {
            let provider = Provider::start(says(busy().framing(framing).delta(1))).await;
            assert_eq!(ask(&provider, dialect, &streamed(dialect)).await.unwrap(), expected, "{framing:?}");
        }
    }
}

#[tokio::test]
async fn a_stream_reads_the_same_at_every_split_and_with_every_newline() {
    for dialect in BOTH {
        let expected = expected(dialect).await;
        for newline in ["\n", "\r\n", "\r"] {
            let all = bytes(dialect, busy().newline(newline)).await;
            for at in 0..=all.len() {
                let mut reader = Reader::new(dialect);
                reader.push(&all[..at]).unwrap();
                reader.push(&all[at..]).unwrap();
                assert_eq!(reader.finish().unwrap(), expected, "{newline:?} at {at}");
            }
            // The last event is complete only with its empty line.
            for at in 0..all.len() - newline.len() {
                let mut reader = Reader::new(dialect);
                reader.push(&all[..at]).unwrap();
                reader.finish().unwrap_err();
            }
        }
    }
}

#[tokio::test]
async fn usage_is_streamed_only_if_it_is_asked_for() {
    let all = |include: bool| async move {
        let provider = greeter().await;
        let mut body = streamed(OpenAi);
        if !include {
            body.as_object_mut().unwrap().remove("stream_options");
        }
        let response = http().request(post(&provider.endpoint(OpenAi), body.to_string())).await.unwrap();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        Framer::default().push(&bytes)
    };
    let with = all(true).await;
    assert!(with[with.len() - 2].data.contains("\"choices\":[]"));
    assert!(all(false).await.iter().all(|event| !event.data.contains("usage")));
}

#[tokio::test]
async fn a_gate_holds_the_stream_until_it_opens() {
    for dialect in BOTH {
        let gate = Gate::new();
        let provider = Provider::start(says(busy().gate(2, &gate))).await;
        let response =
            http().request(post(&provider.endpoint(dialect), streamed(dialect).to_string())).await.unwrap();
        let mut body = response.into_body();
        let mut framer = Framer::default();
        let mut seen = 0;
        while seen < 2 {
            seen += framer.push(body.frame().await.unwrap().unwrap().data_ref().unwrap()).len();
        }
        let next = body.frame();
        tokio::pin!(next);
        assert!(futures_pending(&mut next).await);
        gate.open();
        next.await.unwrap().unwrap();
    }
}

/// Whether a future is still pending when everything else has had its turn.
async fn futures_pending<F: Future + Unpin>(future: &mut F) -> bool {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    std::future::poll_fn(|cx| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending()))
        .await
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed() {
    let provider = Provider::start(says(busy().fault(3, Fault::Stall))).await;
    let client = http();
    let response =
        client.request(post(&provider.endpoint(Anthropic), streamed(Anthropic).to_string())).await.unwrap();
    provider.until(|progress| progress.open == 1).await;
    drop(response);
    provider.until(|progress| progress.abandoned == 1 && progress.open == 0).await;
}

#[tokio::test]
async fn faults_arrive_as_faults() {
    for dialect in BOTH {
        for fault in [
            Fault::Eof,
            Fault::Reset,
            Fault::Error { kind: "overloaded_error", message: "Overloaded".to_owned() },
        ] {
            let provider = Provider::start(says(busy().fault(4, fault.clone()))).await;
            ask(&provider, dialect, &streamed(dialect)).await.unwrap_err();
            ask(&provider, dialect, &request(dialect)).await.unwrap_err();
        }
    }
    let overloaded = |_: &Received| Reply::Error {
        status: 529,
        kind: "overloaded_error",
        message: "Overloaded".to_owned(),
        headers: vec![("retry-after", "1".to_owned())],
    };
    let provider = Provider::start(overloaded).await;
    let response =
        http().request(post(&provider.endpoint(Anthropic), request(Anthropic).to_string())).await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (529, &"1".parse().unwrap())
    );
}

#[tokio::test]
async fn both_versions_of_http() {
    let provider = greeter().await;
    let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let response =
        client.request(post(&provider.endpoint(OpenAi), streamed(OpenAi).to_string())).await.unwrap();
    assert_eq!(read(OpenAi, response).await.unwrap().text(), "Hello.");
    assert_eq!(provider.last().head().version, http::Version::HTTP_2);
    ask(&provider, OpenAi, &request(OpenAi)).await.unwrap();
    assert_eq!(provider.last().head().version, http::Version::HTTP_11);
}

/// Every fixture is a conversation that a real provider would take, at every turn.
#[tokio::test]
async fn the_fixtures_replay() {
    let provider = Provider::start(Replay::new(fixtures::all()).delta(400)).await;
    let client = http();
    for conversation in fixtures::all() {
        let dialect = conversation.dialect();
        let mut dialogue = Dialogue::new(&conversation).streamed();
        if dialect == Anthropic {
            dialogue = dialogue
                .field("model", "\"claude-opus-5-5\"")
                .field("max_tokens", "16000")
                .field("thinking", r#"{"type":"adaptive"}"#);
        }
        while let Some(body) = dialogue.request() {
            let response = client.request(post(&provider.endpoint(dialect), body)).await.unwrap();
            let answer = read(dialect, response).await.unwrap_or_else(|error| {
                panic!("{} turn {}: {error}", conversation.name(), dialogue.turn());
            });
            let recorded = conversation.turns()[dialogue.turn()].recorded(dialect);
            assert_eq!(answer.text(), headroom_tests::provider::text_of(&recorded["content"]));
            dialogue.answered(&answer);
        }
        assert_eq!(dialogue.turn(), conversation.turns().len());
    }
    assert!(fixtures::all().iter().any(|fixture| {
        fixture.turns().iter().flat_map(|turn| turn.answer()).any(|block| matches!(block, Block::Thinking(_)))
    }));
}
