//! Whole conversations through the proxy.

use std::sync::Arc;

use bytes::Bytes;
use headroom_tests::{
    Dialect,
    client::{Dialogue, Event, Framer},
    fixtures,
    provider::{Asker, Gate, Provider, Question, Received, Replay, Turn},
};
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};

use crate::bed::{KEY, Proxy, send, text, within};

/// Plays a recorded conversation; the model asks once for what was left out.
async fn play(proxy: &Proxy, name: &str, stream: bool) {
    let conversation = fixtures::named(name);
    let dialect = conversation.dialect();
    let mut dialogue = Dialogue::new(&conversation);
    if dialect == Dialect::Anthropic {
        dialogue = dialogue.field("model", "\"claude-haiku-4-5\"").field("max_tokens", "16000");
    }
    if stream {
        dialogue = dialogue.streamed();
    }
    while let Some(body) = dialogue.request() {
        let answer = within(proxy.ask(dialect, body)).await.unwrap();
        dialogue.answered(&answer);
    }
}

const NAMES: [&str; 2] = ["nightly.anthropic", "red-jobs.openai"];

#[tokio::test]
async fn conversations_shrink_retrievals_are_answered_and_the_numbers_are_true() {
    let replay = Replay::new(NAMES.map(fixtures::named)).delta(400);
    let asker = Arc::new(Asker::new(replay, |turn| (turn == 2).then_some(Question::Whole)));
    let provider = Provider::start(Arc::clone(&asker)).await;
    let proxy = Proxy::start(&provider.url(), &[]);
    for name in NAMES {
        for stream in [false, true] {
            play(&proxy, name, stream).await;
        }
    }
    let received = provider.received();
    for request in &received {
        assert_eq!(request.rejection(), None);
        let headers = &request.head().headers;
        assert_eq!(headers[header::HOST], provider.url().trim_start_matches("http://"));
        assert!(headers.keys().all(|name| !name.as_str().contains("headroom")), "{headers:?}");
        let key = headers.get("x-api-key").or(headers.get(header::AUTHORIZATION)).unwrap();
        assert!(key.to_str().unwrap().ends_with(KEY));
        assert!(!headers.contains_key(header::CONNECTION));
    }
    assert!(asker.asked() > 0);
    assert_eq!((asker.brought(), asker.complaints()), (asker.asked(), Vec::new()));

    // What /stats says is what the provider counted.
    let (status, stats) = proxy.get("/stats").await;
    assert_eq!(status, 200);
    let sum = |of: fn(&Received) -> usize| received.iter().map(|request| of(request) as u64).sum::<u64>();
    let tokens = &stats["tokens"];
    assert_eq!(tokens["cache_read"], sum(|it| it.usage().cache_read), "{stats:#}");
    assert_eq!(tokens["cache_write"], sum(|it| it.usage().cache_write), "{stats:#}");
    assert_eq!(tokens["input"], sum(|it| it.usage().uncached()), "{stats:#}");
    let asked = asker.asked() as u64;
    assert_eq!(stats["requests"]["total"], received.len() as u64 - asked, "{stats:#}");
    assert_eq!(stats["requests"]["by_outcome"]["ok"], stats["requests"]["total"]);
    assert_eq!(stats["requests"]["open"], 0);
    assert_eq!(stats["retrievals"]["calls"], asked);
    assert_eq!(stats["retrievals"]["asked"], asked);
    let saved = stats["blocks"]["saved"].as_u64().unwrap();
    assert!(saved > 1000, "{stats:#}");
    assert_eq!(
        saved,
        stats["blocks"]["before"].as_u64().unwrap() - stats["blocks"]["after"].as_u64().unwrap()
    );
    let kinds = stats["kinds"].as_object().unwrap().values();
    assert_eq!(kinds.map(|kind| kind["saved"].as_u64().unwrap()).sum::<u64>(), saved);
    let cost = |name: &str| stats["cost"][name].as_f64().unwrap();
    assert!((cost("without") - cost("paid") - cost("net")).abs() < 1e-6 && cost("gross") > cost("net"));
    let turns = stats["turns"].as_array().unwrap();
    let paid: f64 = turns.iter().map(|turn| turn["paid"].as_f64().unwrap()).sum();
    assert!((paid - cost("paid")).abs() < 1e-6);
    assert!(turns.len() > 2 && turns[0]["requests"].as_u64().unwrap() >= 4, "{stats:#}");
    assert_eq!(
        stats["recent"].as_array().unwrap().len() as u64,
        stats["requests"]["total"].as_u64().unwrap().min(100)
    );
    for latency in ["added", "first_byte", "total"] {
        assert_eq!(stats["latency_ms"][latency]["count"], stats["requests"]["total"]);
    }
    // And so do the metrics.
    let response = send(Request::get(format!("{}/metrics", proxy.url)).body(Full::default()).unwrap()).await;
    let metrics = text(response).await.1;
    let line = format!("headroom_retrievals_total{{got=\"answer\"}} {asked}");
    assert!(metrics.lines().any(|it| it == line), "no {line} in {metrics}");
    assert!(metrics.contains("headroom_open_requests 0\n"));

    // No content is told, and none is logged.
    let told = format!("{stats}{metrics}{}", proxy.logs());
    for name in NAMES {
        for result in fixtures::named(name).results().values() {
            let line = result.lines().max_by_key(|line| line.len()).unwrap().trim();
            assert!(line.len() < 20 || !told.contains(line), "{line}");
        }
    }
    assert!(!told.contains(KEY));
}

#[tokio::test]
async fn every_frame_comes_when_it_is_said() {
    let gates: Vec<Gate> = (0..3).map(|_| Gate::new()).collect();
    let held = gates.clone();
    let provider = Provider::start(move |_: &Received| {
        let turn = Turn::text("One. Two. Three.").pings(false);
        turn.gate(0, &held[0]).gate(2, &held[1]).gate(4, &held[2]).into()
    })
    .await;
    let proxy = Proxy::start(&provider.url(), &[]);
    let body = r#"{"model":"claude-haiku-4-5","max_tokens":10,"stream":true,"messages":[{"role":"user","content":"x"}]}"#;
    // The head comes although nothing was said yet.
    let mut response = send(proxy.says(Dialect::Anthropic, body)).await;
    assert_eq!(proxy.get("/stats").await.1["requests"]["open"], 1);
    let (mut framer, mut events): (_, Vec<Event>) = (Framer::default(), Vec::new());
    for (gate, seen) in gates.iter().zip([2, 4, 6]) {
        gate.open();
        while events.len() < seen {
            let frame = within(response.body_mut().frame()).await.unwrap().unwrap();
            events.extend(framer.push(frame.data_ref().unwrap()));
        }
        assert!(seen == 6 || events.len() == seen, "nothing comes before it is said");
    }
}

#[tokio::test]
async fn a_client_that_leaves_stops_the_upstream() {
    let gate = Gate::new();
    let held = gate.clone();
    let provider = Provider::start(move |_: &Received| Turn::text("One.").gate(2, &held).into()).await;
    let proxy = Proxy::start(&provider.url(), &[]);
    let body = r#"{"model":"gpt-6","stream":true,"messages":[{"role":"user","content":"x"}]}"#;
    let mut response = send(proxy.says(Dialect::OpenAi, body)).await;
    within(response.body_mut().frame()).await.unwrap().unwrap();
    drop(response);
    within(provider.until(|progress| progress.abandoned == 1)).await;
    let mut stats = proxy.get("/stats").await.1;
    while stats["requests"]["open"] != 0 {
        tokio::task::yield_now().await;
        stats = proxy.get("/stats").await.1;
    }
    assert_eq!(stats["requests"]["by_outcome"]["abandoned"], 1, "{stats:#}");
}

#[tokio::test]
async fn http2_without_tls_and_paths_that_are_not_ours() {
    let provider = Provider::start(|_: &Received| Turn::text("Hello.").into()).await;
    let proxy = Proxy::start(&provider.url(), &[]);
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let request =
        proxy.says(Dialect::OpenAi, r#"{"model":"gpt-6","messages":[{"role":"user","content":"x"}]}"#);
    let response = within(client.request(request)).await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_2);
    let answer = headroom_tests::client::read(Dialect::OpenAi, response).await.unwrap();
    assert_eq!(answer.text(), "Hello.");
    let (status, models) = proxy.get("/v1/models?limit=1").await;
    assert_eq!((status, &models["object"]), (200, &"list".into()));
    assert_eq!(provider.last().head().uri.query(), Some("limit=1"));
}

#[tokio::test]
async fn all_four_dialects_and_a_client_that_wants_nothing_done() {
    let provider = Provider::start(|_: &Received| Turn::text("Hello.").into()).await;
    let proxy = Proxy::start(&provider.url(), &[]);
    for (dialect, body) in [
        (
            Dialect::Anthropic,
            r#"{"model":"claude-haiku-4-5","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#,
        ),
        (Dialect::OpenAi, r#"{"model":"gpt-6","messages":[{"role":"user","content":"x"}]}"#),
        (Dialect::Responses, r#"{"model":"gpt-6","input":"x"}"#),
        (Dialect::Gemini, r#"{"contents":[{"role":"user","parts":[{"text":"x"}]}]}"#),
    ] {
        assert_eq!(proxy.ask(dialect, body).await.unwrap().text(), "Hello.", "{dialect:?}");
        assert_eq!(provider.last().body(), body.as_bytes());
    }
    let dialects = &proxy.get("/stats").await.1["requests"]["by_dialect"];
    assert_eq!([&dialects["anthropic"]["requests"], &dialects["openai"]["requests"]], [1, 2], "{dialects}");
    // The double answers with usage, and what it counted is told.
    assert!(dialects["gemini"]["tokens"]["prompt"].as_u64().unwrap() > 0, "{dialects}");

    let conversation = fixtures::named("red-jobs.openai");
    let mut dialogue = Dialogue::new(&conversation);
    let mut last = Bytes::new();
    while let Some(body) = dialogue.request() {
        last = body;
        dialogue.answered_as_recorded();
    }
    let mut request = proxy.says(Dialect::OpenAi, last.clone());
    request.headers_mut().insert("x-headroom-mode", "off".parse().unwrap());
    assert_eq!(send(request).await.status(), 200);
    assert_eq!(provider.last().body(), &last, "byte for byte");
    proxy.ask(Dialect::OpenAi, last.clone()).await.unwrap();
    assert!(provider.last().body().len() < last.len());
}

#[tokio::test]
async fn gateways_get_their_own_names_of_models() {
    let provider = Provider::start(|_: &Received| Turn::text("Hello.").into()).await;
    for (backend, model) in
        [("litellm-groq", "groq/gpt-6"), ("anyllm-mistral", "mistral:gpt-6"), ("anyllm", "gpt-6")]
    {
        let url = provider.url();
        let proxy = Proxy::with(crate::bed::command(&["--backend", backend, "--backend-url", &url]));
        let body = r#"{"model":"gpt-6","messages":[{"role":"user","content":"x"}]}"#;
        proxy.ask(Dialect::OpenAi, body).await.unwrap();
        assert_eq!(provider.last().model(), model);
        let length = provider.last().head().headers[header::CONTENT_LENGTH].to_str().unwrap().to_owned();
        assert_eq!(length, provider.last().body().len().to_string());
    }
}

/// As Codex sends it.
#[tokio::test]
async fn a_body_in_zstd_is_read() {
    let provider = Provider::start(|_: &Received| Turn::text("Hello.").into()).await;
    let proxy = Proxy::start(&provider.url(), &[]);
    let body = crate::admin::long("red-jobs.openai");
    let mut request = proxy.says(Dialect::OpenAi, zstd::encode_all(body.as_bytes(), 3).unwrap());
    request.headers_mut().insert("content-encoding", "zstd".parse().unwrap());
    assert_eq!(send(request).await.status(), 200);
    let sent = provider.last();
    assert!(sent.head().headers.get("content-encoding").is_none());
    assert!(sent.body().len() < body.len() / 2, "{} of {}", sent.body().len(), body.len());
}
