//! `headroom proxy` as a process, with a provider and a client to measure it between.

pub(crate) mod pass;
pub(crate) mod process;
pub(crate) mod provider;

use std::io;

use bytes::Bytes;
use http::{Request, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

/// A client that keeps its connections.
pub(crate) type HttpClient = Client<HttpConnector, Full<Bytes>>;

pub(crate) fn client() -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

/// Sends a request and reads the answer to its end; its last bytes.
pub(crate) async fn ask(client: &HttpClient, url: &str, body: Bytes) -> io::Result<Bytes> {
    ask_as(client, url, body, "on").await
}

/// The same, and tells the proxy what to do with it: `on`, `exact`, `off`.
pub(crate) async fn ask_as(client: &HttpClient, url: &str, body: Bytes, mode: &str) -> io::Result<Bytes> {
    let request = Request::post(format!("{url}/v1/messages"))
        .header(header::CONTENT_TYPE, "application/json")
        .header("anthropic-version", "2023-06-01")
        .header("x-api-key", "bench")
        .header("x-headroom-mode", mode);
    let request = request.body(Full::new(body)).map_err(io::Error::other)?;
    let response = client.request(request).await.map_err(io::Error::other)?;
    if response.status() != 200 {
        return Err(io::Error::other(format!("status {}", response.status())));
    }
    let mut body = response.into_body();
    let mut last = Bytes::new();
    while !body.is_end_stream() {
        let Some(frame) = body.frame().await else { break };
        if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
            last = data;
        }
    }
    Ok(last)
}
