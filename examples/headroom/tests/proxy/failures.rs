//! What clients are told when something does not work.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use headroom_tests::{
    Dialect,
    client::{HttpClient, http},
    provider::{Fault, Provider, Received, Reply, Turn},
};
use http_body::{Body, Frame};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::bed::{KEY, Proxy, TOKEN, command, send, text, within};

const CHAT: &str = r#"{"model":"gpt-6","messages":[{"role":"user","content":"x"}]}"#;
const MESSAGES: &str =
    r#"{"model":"claude-haiku-4-5","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
const GEMINI: &str = r#"{"contents":[{"role":"user","parts":[{"text":"x"}]}]}"#;
const ALL: [(Dialect, &str); 3] =
    [(Dialect::Anthropic, MESSAGES), (Dialect::OpenAi, CHAT), (Dialect::Gemini, GEMINI)];

/// An error's message, and that it has the form the dialect's clients read.
fn message(dialect: Dialect, error: &Value, status: u16) -> String {
    let inner = &error["error"];
    match dialect {
        Dialect::Anthropic => {
            assert_eq!(error["type"], "error", "{error}");
            let kind = inner["type"].as_str().unwrap();
            assert!(kind.ends_with("_error") || kind == "request_too_large", "{error}");
        }
        Dialect::Gemini => {
            assert_eq!(inner["code"], status, "{error}");
            assert!(inner["status"].is_string());
        }
        _ => assert!(
            inner["type"].is_string() && inner["code"].is_string() && inner["param"].is_null(),
            "{error}"
        ),
    }
    inner["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_upstream_that_is_down_is_named_with_what_to_do() {
    // A port that nobody listens at.
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let proxy = Proxy::start(&url, &[]);
    for (dialect, body) in ALL {
        let mut request = proxy.says(dialect, body);
        let uri = format!("{}?key={KEY}", request.uri());
        *request.uri_mut() = uri.parse().unwrap();
        let (status, error) = proxy.json(request).await;
        assert_eq!(status, 502);
        let message = message(dialect, &error, status);
        assert!(message.contains(&url) && message.contains("refused"), "{message}");
        assert!(message.contains("_TARGET_API_URL"), "it says what to change: {message}");
        assert!(!message.contains(KEY) && !message.contains("key="), "{message}");
    }
    let stats = proxy.get("/stats").await.1;
    assert_eq!(stats["requests"]["by_outcome"]["unreachable"], 3);
    assert!(!proxy.logs().contains("key="), "{}", proxy.logs());
}

#[tokio::test]
async fn an_upstream_that_hangs_up_is_not_asked_again() {
    let provider = Provider::start(|_: &Received| Reply::error(529, "overloaded_error", "Overloaded")).await;
    let proxy = Proxy::start(&provider.url(), &[]);
    let (status, error) = proxy.json(proxy.says(Dialect::Anthropic, MESSAGES)).await;
    assert_eq!(
        (status, &error["error"]["type"]),
        (529, &"overloaded_error".into()),
        "the provider's own error"
    );
    assert_eq!(provider.received().len(), 1, "no second try");

    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let accepted = tokio::spawn(async move {
        let mut count = 0;
        while let Ok(Ok((mut stream, _))) =
            tokio::time::timeout(std::time::Duration::from_secs(2), listener.accept()).await
        {
            count += 1;
            // The request was read, so it may have been worked on.
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 4096]).await;
        }
        count
    });
    let proxy = Proxy::start(&url, &[]);
    let (status, error) = proxy.json(proxy.says(Dialect::OpenAi, CHAT)).await;
    assert_eq!(status, 502);
    assert!(message(Dialect::OpenAi, &error, status).contains("not sent again"), "{error}");
    assert_eq!(accepted.await.unwrap(), 1);
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off() {
    let provider =
        Provider::start(|_: &Received| Turn::text("One two three.").fault(3, Fault::Reset).into()).await;
    let proxy = Proxy::start(&provider.url(), &[]);
    let body = MESSAGES.replace("\"max_tokens\"", "\"stream\":true,\"max_tokens\"");
    assert!(proxy.ask(Dialect::Anthropic, body).await.is_err());
    let mut stats = proxy.get("/stats").await.1;
    while stats["requests"]["open"] != 0 {
        stats = proxy.get("/stats").await.1;
    }
    assert_eq!(stats["requests"]["by_outcome"]["broken"], 1, "{stats:#}");
}

#[tokio::test]
async fn what_is_too_large_is_refused_whether_it_says_so_or_not() {
    let provider = Provider::start(|_: &Received| Turn::text("Hello.").into()).await;
    let proxy = Proxy::start(&provider.url(), &["--max-body-bytes", "1000"]);
    let large =
        format!(r#"{{"model":"gpt-6","messages":[{{"role":"user","content":"{}"}}]}}"#, "x".repeat(2000));
    for (dialect, _) in ALL {
        let (status, error) = proxy.json(proxy.says(dialect, large.clone())).await;
        assert_eq!(status, 413, "{error}");
        assert!(message(dialect, &error, status).contains("--max-body-bytes"));
    }
    // In chunks, without a length.
    let chunks = large.as_bytes().chunks(100).map(Bytes::copy_from_slice).collect();
    let request = proxy.says(Dialect::OpenAi, "").map(|_| Chunks(chunks));
    let client: HttpClient<Chunks> = http();
    let response = within(client.request(request)).await.unwrap();
    let (status, error) = text(response).await;
    assert_eq!(status, 413, "{error}");
    assert_eq!(provider.received().len(), 0);
    assert_eq!(proxy.ask(Dialect::OpenAi, CHAT).await.unwrap().text(), "Hello.");
}

/// A body that does not say how long it is.
struct Chunks(VecDeque<Bytes>);

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|data| Ok(Frame::data(data))))
    }
}

#[tokio::test]
async fn the_token_is_asked_for_and_stays_here() {
    let provider = Provider::start(|_: &Received| Turn::text("Hello.").into()).await;
    let proxy = Proxy::start(&provider.url(), &["--token", TOKEN]);
    for (dialect, body) in ALL {
        let (status, error) = proxy.json(proxy.says(dialect, body)).await;
        assert_eq!(status, 401);
        assert!(message(dialect, &error, status).contains("x-headroom-token"));
    }
    for path in ["/stats", "/metrics", "/v1/models"] {
        assert_eq!(proxy.get(path).await.0, 401, "{path}");
    }
    for path in ["/healthz", "/readyz"] {
        assert_eq!(proxy.get(path).await.0, 200, "{path}");
    }
    assert_eq!(provider.received().len(), 0);
    for (name, value) in
        [("x-headroom-token", TOKEN.to_owned()), ("proxy-authorization", format!("Bearer {TOKEN}"))]
    {
        let mut request = proxy.says(Dialect::OpenAi, CHAT);
        request.headers_mut().insert(name, value.parse().unwrap());
        assert_eq!(send(request).await.status(), 200);
        let head = format!("{:?}", provider.last().head());
        assert!(!head.contains(TOKEN) && head.contains(KEY), "{head}");
    }
}

#[test]
fn open_to_others_without_a_token_it_does_not_start() {
    let output = command(&["--host", "0.0.0.0", "--port", "0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(why.contains("--token"), "{why}");
}
