use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use tower::{ServiceExt as _, service_fn, util::BoxCloneSyncService};

use super::*;
use crate::{
    BoxError, Report,
    testing::{Item, Script},
};

type Seen = Arc<Mutex<Vec<reqwest::Request>>>;
type Client = BoxCloneSyncService<reqwest::Request, reqwest::Response, reqwest::Error>;

/// A client that keeps what it was to send, and answers from another place than was asked.
fn client() -> (Client, Seen) {
    let seen = Seen::default();
    let kept = Arc::clone(&seen);
    let service = service_fn(move |request| {
        kept.lock().unwrap().push(request);
        async move {
            use reqwest::ResponseBuilderExt as _;
            let url = "http://moved.example/there".parse().unwrap();
            let response = http::Response::builder().url(url).header("x-from", "upstream");
            Ok(response.body("{}").unwrap().into())
        }
    });
    (BoxCloneSyncService::new(service), seen)
}

async fn sent<B>(body: B) -> reqwest::Request
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (client, seen) = client();
    let request = http::Request::post("http://example.com/").body(body).unwrap();
    ReqwestService::new(client).oneshot(request).await.unwrap();
    let mut seen = seen.lock().unwrap();
    seen.pop().unwrap()
}

#[tokio::test]
async fn what_lies_in_memory_can_be_sent_again() {
    let request = sent(Full::<Bytes>::from("held")).await;
    assert_eq!(request.body().unwrap().as_bytes(), Some(&b"held"[..]));
    assert!(request.try_clone().is_some());
    assert!(sent(Full::<Bytes>::default()).await.try_clone().is_some());
}

#[tokio::test]
async fn what_is_live_is_streamed_whole() {
    // Neither is its size known nor is it `Sync`, as with axum's body.
    let body: UnsyncBoxBody<_, _> = Script::text(&["in ", "two"]).boxed_unsync();
    let mut request = sent(body).await;
    assert!(request.try_clone().is_none());
    let body = request.body_mut().take().unwrap().collect().await.unwrap();
    assert_eq!(body.to_bytes(), "in two");
}

#[tokio::test]
async fn a_body_of_known_size_in_pieces_loses_nothing() {
    let script = Script::text(&["in ", "two"]).sized();
    let mut request = sent(script).await;
    let body = request.body_mut().take().unwrap();
    assert_eq!(http_body::Body::size_hint(&body).exact(), Some(6));
    assert_eq!(body.collect().await.unwrap().to_bytes(), "in two");
}

#[tokio::test]
async fn a_read_error_is_met_by_who_sends() {
    let script = Script::new([Item::Error]).sized();
    let mut request = sent(script).await;
    assert!(request.body_mut().take().unwrap().collect().await.is_err());
}

#[tokio::test]
async fn the_url_that_answered_and_the_report_come_back() {
    let (client, seen) = client();
    let smaller = HeadroomClient::new(&HeadroomLayer::new(), client);
    let body = r#"{"model":"claude-opus-5-5","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
    let request = || {
        let request = reqwest::Client::new().post("http://example.com/v1/messages");
        request.header("content-type", "application/json").body(body).build().unwrap()
    };
    let response = smaller.execute(request()).await.unwrap();
    assert_eq!(response.url().as_str(), "http://moved.example/there");
    assert_eq!(response.headers()["x-from"], "upstream");
    assert!(response.extensions().get::<Report>().unwrap().rewrite().is_some());
    let response = smaller.execute_with(request(), RequestPolicy::off()).await.unwrap();
    assert!(response.extensions().get::<Report>().unwrap().skipped().is_some());
    let response = smaller.clone().oneshot(request()).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "{}");
    assert!(seen.lock().unwrap().iter().all(|request| request.try_clone().is_some()));
}

#[tokio::test]
async fn a_relative_uri_is_the_clients_error() {
    let (client, _) = client();
    let request = http::Request::post("/v1/messages").body(Full::<Bytes>::default()).unwrap();
    assert!(ReqwestService::new(client).oneshot(request).await.unwrap_err().is_builder());
}

#[cfg(feature = "reqwest-middleware")]
#[tokio::test]
async fn the_middleware_hears_the_policy_and_calls_its_own_client() {
    let (client, seen) = client();
    let http = reqwest::Client::new();
    let chain = reqwest_middleware::ClientBuilder::new(http)
        .with(HeadroomMiddleware::new(&HeadroomLayer::new(), client))
        .build();
    let request = chain.post("http://example.invalid/v1/messages").header("content-type", "application/json");
    let response = request.with_extension(RequestPolicy::off()).body("{}").send().await.unwrap();
    let report = response.extensions().get::<Report>().unwrap();
    assert_eq!(report.skipped(), Some(crate::Skipped::Off));
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[test]
fn static_property_send_sync() {
    fn all<T: Send + Sync + 'static>() {}
    all::<ReqwestService>();
    all::<HeadroomClient>();
    all::<ReqwestFuture<reqwest::Response, reqwest::Error>>();
    #[cfg(feature = "reqwest-middleware")]
    all::<HeadroomMiddleware>();
}
