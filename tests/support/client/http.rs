//! Requests over real sockets.

use std::{error::Error, pin::pin};

use bytes::Bytes;
use headroom_engine::eventstream::CONTENT_TYPE;
use http::{Request, Response, header};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use super::{Answer, Malformed, Reader};
use crate::Dialect;

/// A plain HTTP client for request bodies of type `B`.
pub type HttpClient<B = Full<Bytes>> = Client<HttpConnector, B>;

/// A client that keeps its connections.
#[must_use]
pub fn http<B>() -> HttpClient<B>
where
    B: Body + Send,
    B::Data: Send,
{
    Client::builder(TokioExecutor::new()).build_http()
}

/// A `POST` of JSON.
///
/// # Panics
/// If `url` is no URL.
#[must_use]
pub fn post(url: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post(url)
        .header(header::CONTENT_TYPE, "application/json")
        .header("anthropic-version", "2023-06-01")
        .body(Full::new(body.into()))
        .expect("a URL")
}

/// Reads an answer to its end, streamed or not, by its content type.
///
/// # Errors
/// If the status is not 200, the body breaks, or it is no answer of `dialect`.
pub async fn read<B>(dialect: Dialect, response: Response<B>) -> Result<Answer, Malformed>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let malformed = |error: B::Error| Malformed(error.into().to_string());
    let (head, body) = response.into_parts();
    let streams = head
        .headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream") || kind == CONTENT_TYPE);
    if head.status != 200 || !streams {
        let body = body.collect().await.map_err(malformed)?.to_bytes();
        if head.status != 200 {
            return Err(Malformed(format!("{}: {}", head.status, String::from_utf8_lossy(&body))));
        }
        return Answer::from_json(dialect, &body);
    }
    let mut reader = Reader::new(dialect);
    let mut body = pin!(body);
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame.map_err(malformed)?.into_data() {
            reader.push(&bytes)?;
        }
    }
    reader.finish()
}
