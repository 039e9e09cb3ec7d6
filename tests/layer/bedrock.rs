//! Amazon Bedrock: Anthropic's bodies under its paths and in its frames, and signatures.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use bytes::Bytes;
use headroom_engine::eventstream;
use headroom_tests::{
    Dialect,
    client::{HttpClient, http},
    provider::{Framing, Provider, Received, Turn},
};
use headroom_tower::{HeadroomBuilder, Report, RequestBody, Skipped};
use http::{Request, header, request::Parts};
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use tower::{Layer as _, ServiceExt as _, service_fn};

use crate::{
    bed::{Bed, within},
    talk::{Talk, eager, fetch, layer, log, run, script, words},
};

const MODEL: &str = "/model/us.anthropic.claude-haiku-4-5-v1:0";

fn path(stream: bool) -> String {
    format!("{MODEL}/invoke{}", if stream { "-with-response-stream" } else { "" })
}

/// A conversation of Anthropic's, as InvokeModel takes it.
fn body(talk: &Talk) -> Bytes {
    let mut body = talk.body.clone();
    let fields = body.as_object_mut().unwrap();
    fields.remove("model");
    fields.insert("anthropic_version".to_owned(), "bedrock-2023-05-31".into());
    body.to_string().into()
}

#[tokio::test]
async fn anthropics_bodies_are_answered_under_amazons_paths() {
    for stream in [false, true] {
        for framing in [Framing::Events, Framing::Bytes(7), Framing::Whole] {
            let answers = script(move |n, request| {
                let turn = match n {
                    0 => Turn::new([words("I look. "), fetch(request, 0)]),
                    1 => Turn::new([words("So. "), fetch(request, 1), run("call_2")]),
                    _ => Turn::text("Done."),
                };
                turn.framing(framing).into()
            });
            let bed = Bed::client(layer(), answers).await;
            let mut talk = Talk::about(Dialect::Anthropic, &log(1));
            let heard = bed.send(bed.post(&path(stream), body(&talk))).await.unwrap();
            let kind = if stream { eventstream::CONTENT_TYPE } else { "application/json" };
            assert_eq!(heard.header("content-type"), Some(kind));
            let report = heard.report().clone();
            let first = within(heard.answer(Dialect::Anthropic)).await.unwrap();
            assert_eq!(
                (first.text(), first.calls()),
                ("I look. So. ".to_owned(), vec![("call_2", "run_command")])
            );
            assert_eq!(report.retrieval().unwrap().calls, 2);
            assert!(report.usage().is_some(), "counted, in frames too");
            talk.answered(&first);
            talk.result("call_2", "Mon Nov 2");
            let heard = bed.send(bed.post(&path(stream), body(&talk))).await.unwrap();
            assert_eq!(within(heard.answer(Dialect::Anthropic)).await.unwrap().text(), "Done.");
            let received = bed.provider.received();
            for request in &received {
                assert_eq!(request.rejection(), None);
                assert!(request.body().len() < log(1).len() + 4096);
            }
            let ids: Vec<&str> = received[2].results().iter().map(|(id, _)| *id).collect();
            assert_eq!(ids, ["call_1", "ours_0", "ours_1", "call_2"], "nothing is forgotten");
        }
    }
}

#[tokio::test]
async fn what_is_not_anthropics_passes() {
    let bed = Bed::client(layer(), script(|_, _| Turn::text("x").into())).await;
    let other = Bytes::from_static(b"{\"prompt\":\"hi\",\"messages\":[]}");
    // The double has no such model; what matters is what it got.
    let heard = bed.send(bed.post("/model/meta.llama-v1:0/invoke", other.clone())).await.unwrap();
    assert_eq!(heard.report().skipped(), Some(Skipped::Unscannable));
    assert_eq!(bed.provider.last().body(), &other);
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_793_000_000)
}

/// Signs what goes out; the old signature, if there is one, is gone.
fn signed(head: &mut Parts, body: &Bytes) {
    for name in ["authorization", "x-amz-date"] {
        head.headers.remove(name);
    }
    let identity = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test").into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("bedrock")
        .time(now())
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let headers: Vec<(String, String)> = head
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let uri = head.uri.to_string();
    let signable =
        SignableRequest::new(head.method.as_str(), uri.as_str(), headers, SignableBody::Bytes(body)).unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();
    let mut request = Request::from_parts(head.clone(), ());
    instructions.apply_to_request_http1x(&mut request);
    *head = request.into_parts().0;
}

/// Whether a request that was received carries the signature of its own bytes.
fn verifies(url: &str, request: &Received) -> bool {
    let mut head = request.head().clone();
    let authorization = head.headers[header::AUTHORIZATION].clone();
    let names = authorization.to_str().unwrap().split("SignedHeaders=").nth(1).unwrap();
    let names: Vec<&str> = names.split(',').next().unwrap().split(';').collect();
    let all: Vec<header::HeaderName> = head.headers.keys().cloned().collect();
    for name in all {
        // The signer puts the host there again.
        if !names.contains(&name.as_str()) || name == header::HOST {
            head.headers.remove(name);
        }
    }
    head.uri = format!("{url}{}", head.uri.path_and_query().unwrap()).parse().unwrap();
    signed(&mut head, request.body());
    head.headers[header::AUTHORIZATION] == authorization
}

fn asking() -> impl headroom_tests::provider::Script {
    script(|n, request| match n {
        0 => Turn::new([words("I look. "), fetch(request, 0)]).into(),
        _ => Turn::text("Done.").into(),
    })
}

fn request(provider: &Provider, stream: bool) -> Request<Full<Bytes>> {
    let body = Talk::about(Dialect::Converse, &log(1)).body(stream);
    headroom_tests::client::post(&format!("{}{}", provider.url(), Dialect::Converse.path_of(&body)), body)
}

#[tokio::test]
async fn a_signature_below_the_layer_holds_for_the_final_bytes() {
    for stream in [false, true] {
        let provider = Provider::start(asking()).await;
        let client: HttpClient<Full<Bytes>> = http();
        let signing = service_fn(move |request: Request<RequestBody<Full<Bytes>>>| {
            let client = client.clone();
            async move {
                let (mut head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                signed(&mut head, &body);
                client.request(Request::from_parts(head, Full::new(body))).await
            }
        });
        let response = layer().layer(signing).oneshot(request(&provider, stream)).await.unwrap();
        let answer = headroom_tests::client::read(Dialect::Converse, response).await.unwrap();
        assert_eq!(answer.text(), "I look. Done.");
        let received = provider.received();
        assert_eq!(received.len(), 2);
        for request in &received {
            assert_eq!(request.rejection(), None);
            assert!(verifies(&provider.url(), request));
        }
        assert_ne!(
            received[0].head().headers[header::AUTHORIZATION],
            received[1].head().headers[header::AUTHORIZATION]
        );
    }
}

async fn through(
    builder: HeadroomBuilder,
    script: impl headroom_tests::provider::Script,
    stream: bool,
) -> (Provider, Option<Skipped>, Bytes) {
    let provider = Provider::start(script).await;
    let (mut head, body) = request(&provider, stream).into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    signed(&mut head, &body);
    let service = builder.build().unwrap().layer(http());
    let response = service.oneshot(Request::from_parts(head, Full::new(body.clone()))).await.unwrap();
    let skipped = response.extensions().get::<Report>().and_then(Report::skipped);
    response.into_body().collect().await.unwrap();
    (provider, skipped, body)
}

#[tokio::test]
async fn what_is_signed_already_passes_or_is_signed_anew() {
    for stream in [false, true] {
        let (provider, skipped, body) =
            through(eager(), |_: &Received| Turn::text("Done.").into(), stream).await;
        assert_eq!(skipped, Some(Skipped::Signed));
        assert_eq!(provider.last().body(), &body);
        assert!(verifies(&provider.url(), &provider.last()));

        let seen = Arc::new(Mutex::new(0));
        let count = Arc::clone(&seen);
        let builder = eager().resign(move |head, body| {
            *count.lock().unwrap() += 1;
            signed(head, body);
        });
        let (provider, skipped, body) = through(builder, asking(), stream).await;
        assert_eq!((skipped, *seen.lock().unwrap()), (None, 2));
        assert!(provider.received()[0].body().len() < body.len());
        for request in provider.received() {
            assert_eq!(request.rejection(), None);
            assert!(verifies(&provider.url(), &request));
        }
    }
}

/// Cache points that a client moves from turn to turn are no part of what was said.
#[tokio::test]
async fn a_moved_cache_point_changes_nothing_before_it() {
    let bed = Bed::client(layer(), asking()).await;
    let mut talk = Talk::about(Dialect::Converse, &log(1));
    let pointed = |talk: &Talk| {
        let mut talk = talk.clone();
        let last = talk.body["messages"].as_array_mut().unwrap().last_mut().unwrap();
        last["content"].as_array_mut().unwrap().push(json!({"cachePoint": {"type": "default"}}));
        talk.body(true)
    };
    let first =
        within(bed.ask(Dialect::Converse, pointed(&talk)).await.answer(Dialect::Converse)).await.unwrap();
    talk.answered(&first);
    talk.user("And then?");
    let second = bed.ask(Dialect::Converse, pointed(&talk)).await;
    assert_eq!(second.report().rewrite().unwrap().restored, 1);
    within(second.answer(Dialect::Converse)).await.unwrap();
    let received = bed.provider.received();
    let results =
        |request: &Received| request.results().iter().map(|(_, text)| text.clone()).collect::<Vec<_>>();
    assert_eq!(results(&received[1]), results(&received[2]));
    assert!(received.iter().all(|request| request.rejection().is_none()));
}
