//! A running proxy, asked over HTTP.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer.
const LONGEST: usize = 64 << 20;

/// What redeems at `POST /v1/retrieve` and counts at `GET /stats`.
#[derive(Clone)]
pub(crate) struct Proxy {
    base: String,
    token: Option<HeaderValue>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("base", &self.base).finish_non_exhaustive()
    }
}

/// The proxy could not be asked.
#[derive(Debug)]
pub(crate) struct ProxyError(String);

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the proxy {}", self.0)
    }
}

impl Proxy {
    /// The proxy at `base`; an error if that is no URL.
    pub(crate) fn new(base: &str, token: Option<&str>) -> Result<Self, String> {
        let base = base.trim_end_matches('/').to_owned();
        let uri: Uri = base.parse().map_err(|error| format!("{base}: {error}"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err(format!("{base}: not http://host:port"));
        }
        let token = token.map(|token| HeaderValue::try_from(format!("Bearer {token}"))).transpose();
        let mut token = token.map_err(|_| "its token is no header value".to_owned())?;
        if let Some(token) = &mut token {
            token.set_sensitive(true);
        }
        let https = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
        Ok(Self { base, token, client: Client::builder(TokioExecutor::new()).build(https) })
    }

    /// What the proxy answers to a retrieval; `None` if it does not know the handle.
    pub(crate) async fn retrieve(&self, arguments: &str) -> Result<Option<String>, ProxyError> {
        #[derive(Deserialize)]
        struct Answer {
            text: String,
        }
        let body = Bytes::copy_from_slice(arguments.as_bytes());
        match self.ask(Method::POST, "/v1/retrieve", body).await? {
            (StatusCode::OK, body) => match serde_json::from_slice(&body) {
                Ok(Answer { text }) => Ok(Some(text)),
                Err(error) => Err(ProxyError(format!("answered something else: {error}"))),
            },
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, _) => Err(ProxyError(format!("answered {status}"))),
        }
    }

    /// The proxy's own counts.
    pub(crate) async fn stats(&self) -> Result<serde_json::Value, ProxyError> {
        match self.ask(Method::GET, "/stats", Bytes::new()).await? {
            (StatusCode::OK, body) => serde_json::from_slice(&body)
                .map_err(|error| ProxyError(format!("answered something else: {error}"))),
            (status, _) => Err(ProxyError(format!("answered {status}"))),
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), ProxyError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, token);
        }
        let request = request.body(Full::new(body)).map_err(|error| ProxyError(error.to_string()))?;
        let asked = async {
            let response = self.client.request(request).await.map_err(|_| "cannot be reached".to_owned())?;
            let status = response.status();
            let body = Limited::new(response.into_body(), LONGEST).collect().await;
            Ok((status, body.map_err(|error| format!("broke off: {error}"))?.to_bytes()))
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(answer) => answer.map_err(ProxyError),
            Err(_) => Err(ProxyError("does not answer".to_owned())),
        }
    }
}
