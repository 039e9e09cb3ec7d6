//! Bodies in a content coding, over real sockets: read where they can be, and never broken.

use bytes::Bytes;
use headroom_tests::{
    Dialect,
    provider::{Reply, Script, Turn},
};
use headroom_tower::{Limits, Skipped, Unintercepted};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::ServiceExt as _;
use tower_http::compression::{Compression, predicate::SizeAbove};

use crate::{
    bed::{Around, Bed, within},
    headers::{answer, reply},
    talk::{MANNERS, Talk, eager, handles, layer, log, script},
};

const CODINGS: [&str; 4] = ["gzip", "deflate", "br", "zstd"];

async fn encoded(coding: &str, text: impl Into<Bytes>) -> Bytes {
    let body = Full::new(text.into());
    let service = tower::service_fn(move |_: Request<()>| {
        let response = Response::new(body.clone());
        async { Ok::<_, std::convert::Infallible>(response) }
    });
    let service = Compression::new(service).compress_when(SizeAbove::new(0));
    let request = Request::builder().header("accept-encoding", coding).body(()).unwrap();
    service.oneshot(request).await.unwrap().into_body().collect().await.unwrap().to_bytes()
}

fn done() -> impl Script {
    script(|_, _| Turn::text("Done.").into())
}

#[tokio::test]
async fn a_request_goes_out_decoded_and_smaller() {
    for coding in CODINGS {
        for around in [Around::Client, Around::Router] {
            let bed = Bed::new(around, layer(), done()).await;
            let body = Talk::about(Dialect::Anthropic, &log(1)).body(false);
            let mut request = bed.says(Dialect::Anthropic, encoded(coding, body.clone()).await);
            request.headers_mut().insert("content-encoding", coding.parse().unwrap());
            let heard = within(bed.send(request)).await.unwrap();
            assert!(heard.report().rewrite().unwrap().tool_listed, "{coding}");
            assert_eq!(heard.answer(Dialect::Anthropic).await.unwrap().text(), "Done.");
            let received = bed.provider.last();
            assert!(!handles(&received).is_empty() && received.body().len() < body.len());
            let headers = &received.head().headers;
            assert!(!headers.contains_key("content-encoding"));
            assert_eq!(headers["content-length"], received.body().len().to_string().as_str());
            // The same as without the coding.
            let plain = Bed::client(layer(), done()).await;
            plain.ask(Dialect::Anthropic, body).await.end().await.unwrap();
            assert_eq!(plain.provider.last().body(), received.body());
        }
    }
}

/// Nothing to do, too large, not what it says, or in several codings.
#[tokio::test]
async fn a_request_that_is_left_alone_goes_out_as_it_came() {
    let mut idle = Talk::new(Dialect::Anthropic);
    idle.body.as_object_mut().unwrap().remove("tools");
    idle.body["metadata"] = "x".repeat(5000).into();
    let idle = idle.body(false);
    let mut bomb = Talk::about(Dialect::Anthropic, &log(1));
    bomb.body["metadata"] = "x".repeat(4 << 20).into();
    let bomb = bomb.body(false);
    for coding in CODINGS {
        let tight = || eager().limits(Limits::default().request_bytes(idle.len() - 1)).build().unwrap();
        let cut = |body: &Bytes| body.slice(..body.len() - 1);
        let whole = encoded(coding, idle.clone()).await;
        let cases = [
            (whole.clone(), layer(), coding.to_owned(), None),
            (whole.clone(), layer(), format!("{coding}, {coding}"), Some(Skipped::Encoded)),
            (whole.clone(), tight(), coding.to_owned(), Some(Skipped::Encoded)),
            (cut(&whole), layer(), coding.to_owned(), Some(Skipped::Encoded)),
            (encoded(coding, bomb.clone()).await, layer(), coding.to_owned(), Some(Skipped::Encoded)),
            (encoded(coding, "{").await, layer(), coding.to_owned(), Some(Skipped::Unscannable)),
            (Bytes::from_static(b"not that"), layer(), coding.to_owned(), Some(Skipped::Encoded)),
        ];
        for (at, (body, layer, header, skipped)) in cases.into_iter().enumerate() {
            let bed = Bed::client(layer, done()).await;
            let mut request = bed.says(Dialect::Anthropic, body.clone());
            *request.uri_mut() = bed.post(Dialect::Anthropic.path(), "").uri().clone();
            request.headers_mut().insert("content-encoding", header.parse().unwrap());
            request.headers_mut().insert("content-digest", "kept".parse().unwrap());
            let mut heard = within(bed.send(request)).await.unwrap();
            assert_eq!(heard.report().skipped(), skipped, "{coding} {at}");
            heard.end().await.unwrap();
            let received = bed.provider.last();
            assert_eq!(received.body(), &body, "{coding} {at}");
            let headers = &received.head().headers;
            assert!(headers["content-encoding"] == *header && headers["content-digest"] == "kept");
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_encoded_all_the_same_is_spliced() {
    for coding in CODINGS {
        for (dialect, stream) in MANNERS.into_iter().take(4) {
            for asks in [false, true] {
                let mut replies = Vec::new();
                let body = Talk::about(dialect, &log(1)).body(stream);
                let probe = Bed::client(layer(), done()).await;
                probe.ask(dialect, body.clone()).await.end().await.unwrap();
                let handle = handles(&probe.provider.last())[0].to_string();
                for call in [asks.then_some(handle.as_str()), None] {
                    replies.push(encoded(coding, answer(dialect, stream, call)).await);
                }
                let sent = replies.clone();
                let coding: &'static str = coding;
                let answers = script(move |n, _| {
                    let Reply::Raw { status, headers, .. } =
                        reply(stream, String::new(), &[("content-encoding", coding)])
                    else {
                        unreachable!()
                    };
                    Reply::Raw { status, headers, body: sent[n].to_vec() }
                });
                let bed = Bed::client(layer(), answers).await;
                let heard = bed.ask(dialect, body).await;
                assert_eq!(bed.provider.received()[0].head().headers["accept-encoding"], "identity");
                let report = heard.report().clone();
                if !asks && !stream {
                    assert_eq!(heard.header("content-encoding"), Some(coding));
                    assert_eq!(heard.bytes().await, replies[0]);
                } else {
                    assert_eq!(heard.header("content-encoding"), None);
                    assert_eq!(heard.answer(dialect).await.unwrap().text(), "Done.");
                }
                assert_eq!(report.unintercepted(), None);
                assert!(report.usage().is_some() || dialect == Dialect::OpenAi);
                assert_eq!(bed.provider.received().len(), 1 + usize::from(asks));
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_decoded_is_as_it_came() {
    let bomb = " ".repeat(4 << 20);
    for coding in CODINGS {
        for body in [encoded(coding, bomb.clone()).await, Bytes::from_static(b"not that")] {
            let sent = body.to_vec();
            let coding: &'static str = coding;
            let answers = script(move |_, _| {
                let headers =
                    [("content-type", "application/json"), ("content-encoding", coding), ("etag", "x")];
                let headers = headers.map(|(name, value)| (name, value.to_owned())).into();
                Reply::Raw { status: 200, headers, body: sent.clone() }
            });
            let bed = Bed::client(layer(), answers).await;
            let heard = bed.ask(Dialect::OpenAi, Talk::about(Dialect::OpenAi, &log(1)).body(false)).await;
            assert_eq!(heard.report().unintercepted(), Some(Unintercepted::Encoded));
            assert_eq!((heard.header("content-encoding"), heard.header("etag")), (Some(coding), Some("x")));
            assert_eq!(heard.bytes().await, body);
        }
    }
}
