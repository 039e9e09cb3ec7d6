//! What a service behind the layer may rely on, the same around a client and around a router.

use headroom_tests::provider::{Provider, Reply, Turn};
use headroom_tower::{RequestPolicy, Skipped};
use http::Request;
use http_body_util::Full;
use serde_json::json;

use crate::{
    bed::{Around, Bed, within},
    talk::{DIALECTS, MANNERS, Talk, fetch, handles, layer, log, script, unseen, words},
};

macro_rules! contract {
    ($($name:ident),* $(,)?) => {
        mod around_a_client {
            $(#[tokio::test] async fn $name() { super::within(super::$name(super::Around::Client)).await; })*
        }
        mod around_a_router {
            $(#[tokio::test] async fn $name() { super::within(super::$name(super::Around::Router)).await; })*
        }
    };
}

contract! {
    with_nothing_to_do_it_is_not_there,
    the_model_gets_what_it_asks_for,
    what_is_no_request_of_ours_passes,
    a_request_can_be_left_alone,
    counting_sees_what_sending_sends,
    a_refusal_is_passed_on,
    a_batch_is_rewritten_exactly,
}

async fn with_nothing_to_do_it_is_not_there(around: Around) {
    for (dialect, stream) in MANNERS {
        let mut talk = Talk::new(dialect);
        talk.body.as_object_mut().unwrap().retain(|name, _| name != "tools" && name != "toolConfig");
        let says = || script(|_, _| Turn::text("It ran out of disk, at 03:12.").into());
        let bed = Bed::new(around, layer(), says()).await;
        let heard = bed.ask(dialect, talk.body(stream)).await;
        assert!(heard.report().rewrite().is_some());
        let direct = Provider::start(says()).await;
        let request = headroom_tests::client::post(&direct.endpoint(dialect), talk.body(stream));
        let response = headroom_tests::client::http().request(request).await.unwrap();
        for (name, value) in response.headers().iter().filter(|(name, _)| *name != "date") {
            assert_eq!(heard.head.headers.get(name), Some(value), "{name}");
        }
        let expected = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();
        assert_eq!(heard.bytes().await, expected, "{dialect:?} {stream}");
        assert_eq!(bed.provider.last().body(), direct.last().body());
    }
}

async fn the_model_gets_what_it_asks_for(around: Around) {
    for (dialect, stream) in MANNERS {
        let source = log(1);
        let answers = script(|n, request| match n {
            0 => Turn::new([words("I look closer. "), fetch(request, n)]).into(),
            _ => Turn::text("The lease was lost.").into(),
        });
        let bed = Bed::new(around, layer(), answers).await;
        let heard = bed.ask(dialect, Talk::about(dialect, &source).body(stream)).await;
        let report = heard.report().clone();
        let rewrite = report.rewrite().unwrap();
        assert!(rewrite.tool_listed && rewrite.tokens_saved() > 0, "{rewrite:?}");
        assert_eq!(heard.header("content-length").is_some(), !stream);

        let answer = heard.answer(dialect).await.unwrap();
        assert!(answer.text().starts_with("I look closer."), "{answer:?}");
        assert!(answer.text().ends_with("The lease was lost."), "{answer:?}");
        assert!(answer.calls().is_empty());
        let retrieval = report.retrieval().unwrap();
        assert_eq!((retrieval.rounds, retrieval.calls, retrieval.unknown), (1, 1, 0));

        let [first, second] = &bed.provider.received()[..] else { panic!("two rounds") };
        assert_eq!((first.rejection(), second.rejection()), (None, None));
        let hidden = unseen(&source, first);
        assert!(!hidden.is_empty() && unseen(&source, second).len() < hidden.len());
        assert_eq!(first.stream(), stream);
        assert_eq!(second.stream(), stream);
    }
}

async fn what_is_no_request_of_ours_passes(around: Around) {
    let bed = Bed::new(around, layer(), script(|_, _| Reply::Stall)).await;
    let url = bed.base();
    let talk = Talk::about(DIALECTS[0], &log(1)).body(false);
    let build = |method: &str, path: &str, kind: &str, body: &bytes::Bytes| {
        let request = Request::builder().method(method).uri(format!("{url}{path}"));
        request.header("content-type", kind).body(Full::new(body.clone())).unwrap()
    };
    for (method, path, kind, status) in [
        ("GET", "/v1/models", "application/json", 200),
        ("POST", "/v1/embeddings", "application/json", 404),
        ("POST", "/v1/batches", "application/json", 404),
        ("PUT", "/v1/messages", "application/json", 404),
        ("POST", "/v1/files", "text/plain", 404),
    ] {
        let body = if method == "GET" { bytes::Bytes::new() } else { talk.clone() };
        let heard = bed.send(build(method, path, kind, &body)).await.unwrap();
        assert_eq!(heard.status(), status, "{method} {path}");
        assert!(heard.report.is_none(), "{method} {path}");
        assert!(!heard.bytes().await.is_empty());
        let received = bed.provider.last();
        assert_eq!((received.body(), received.head().method.as_str()), (&body, method));
    }
}

async fn a_request_can_be_left_alone(around: Around) {
    for (dialect, stream) in MANNERS {
        let bed = Bed::new(around, layer(), script(|_, _| Turn::text("So be it.").into())).await;
        let body = Talk::about(dialect, &log(1)).body(stream);
        let mut request = bed.says(dialect, body.clone());
        request.extensions_mut().insert(RequestPolicy::off());
        let heard = bed.send(request).await.unwrap();
        assert_eq!(heard.report().skipped(), Some(Skipped::Off));
        assert_eq!(heard.answer(dialect).await.unwrap().text(), "So be it.");
        assert_eq!(bed.provider.last().body(), &body);
        assert!(handles(&bed.provider.last()).is_empty());
        bed.ask(dialect, body).await.answer(dialect).await.unwrap();
        assert!(!handles(&bed.provider.last()).is_empty(), "the next one is not");
    }
}

async fn counting_sees_what_sending_sends(around: Around) {
    let bed = Bed::new(around, layer(), script(|_, _| Turn::text("Counted.").into())).await;
    let body = Talk::about(DIALECTS[0], &log(1)).body(false);
    let counted = bed.send(bed.post("/v1/messages/count_tokens", body.clone())).await.unwrap();
    assert!(counted.report().rewrite().unwrap().tool_listed);
    let counted: serde_json::Value = serde_json::from_slice(&counted.bytes().await).unwrap();
    bed.ask(DIALECTS[0], body).await.answer(DIALECTS[0]).await.unwrap();
    let [count, sent] = &bed.provider.received()[..] else { panic!("two requests") };
    assert_eq!(count.body(), sent.body());
    assert_eq!(counted, json!({"input_tokens": sent.usage().total}));
}

async fn a_refusal_is_passed_on(around: Around) {
    for (dialect, stream) in MANNERS {
        let refuse = script(|_, _| Reply::Error {
            status: 529,
            kind: "overloaded_error",
            message: "Overloaded".to_owned(),
            headers: vec![("retry-after", "7".to_owned())],
        });
        let bed = Bed::new(around, layer(), refuse).await;
        let heard = bed.ask(dialect, Talk::about(dialect, &log(1)).body(stream)).await;
        assert_eq!((heard.status(), heard.header("retry-after")), (529, Some("7")));
        assert!(String::from_utf8_lossy(&heard.bytes().await).contains("Overloaded"));
        assert_eq!(bed.provider.received().len(), 1, "retries are not this layer's");
    }
}

async fn a_batch_is_rewritten_exactly(around: Around) {
    let bed = Bed::new(around, layer(), script(|_, _| Reply::Stall)).await;
    let rows = headroom_tests::generate::content::output(
        headroom_tests::generate::content::Kind::IndentedRows,
        3,
        80,
    );
    let params = Talk::about(DIALECTS[0], &rows).body;
    let body = json!({"requests": [{"custom_id": "a", "params": params}, {"custom_id": "b", "params": {}}]});
    let body = bytes::Bytes::from(body.to_string());
    let heard = bed.send(bed.post("/v1/messages/batches", body.clone())).await.unwrap();
    let rewrite = heard.report().rewrite().unwrap().clone();
    assert!(rewrite.tokens_saved() > 0 && !rewrite.tool_listed);
    assert_eq!(heard.status(), 404, "the provider double has no batches");
    let received = bed.provider.last();
    assert!(received.body().len() < body.len() && handles(&received).is_empty());
    let sent: serde_json::Value = serde_json::from_slice(received.body()).unwrap();
    assert_eq!(sent["requests"][0]["params"]["tools"], params["tools"]);
    assert_eq!(sent["requests"][1], json!({"custom_id": "b", "params": {}}));
}
