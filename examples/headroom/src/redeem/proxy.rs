//! A running proxy, asked over HTTP.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;
use serde_json::Value;

use crate::config::{Base, Secret};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer.
const LONGEST: usize = 64 << 20;

/// What redeems at `POST /v1/retrieve` and counts at `GET /stats`.
#[derive(Clone)]
pub(crate) struct Proxy {
    base: Base,
    headers: HeaderMap,
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
    /// The proxy at `base`, asked with its token and these header lines, as in `x-api-key: …`.
    pub(crate) fn new(base: &str, token: Option<&Secret>, lines: &[Secret]) -> Result<Self, String> {
        let base: Base = base.parse()?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let token = token.map(|token| ("x-headroom-token", token.reveal()));
        let lines = lines.iter().map(|line| line.reveal().split_once(':').unwrap_or((line.reveal(), "")));
        for (name, value) in token.into_iter().chain(lines) {
            // The value may be a secret, and is not repeated.
            let wrong = || format!("{} is no header", name.trim());
            let name: HeaderName = name.trim().parse().map_err(|_| wrong())?;
            let mut value = HeaderValue::try_from(value.trim()).map_err(|_| wrong())?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        let https = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
        Ok(Self { base, headers, client: Client::builder(TokioExecutor::new()).build(https) })
    }

    /// What the proxy answers to a retrieval; `None` if it does not know the handle.
    ///
    /// `asked` is `{"handle", "query"?, "range"?, "budget"?, "whole"?}`.
    pub(crate) async fn retrieve(&self, asked: &Value) -> Result<Option<String>, ProxyError> {
        #[derive(Deserialize)]
        struct Answer {
            text: String,
        }
        let body = Bytes::from(asked.to_string());
        match self.ask(Method::POST, "/v1/retrieve", body).await? {
            (StatusCode::OK, body) => match serde_json::from_slice(&body) {
                Ok(Answer { text }) => Ok(Some(text)),
                Err(error) => Err(self.strange(&error)),
            },
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, _) => Err(self.refused(status)),
        }
    }

    /// The proxy's own counts.
    pub(crate) async fn stats(&self) -> Result<Value, ProxyError> {
        match self.ask(Method::GET, "/stats", Bytes::new()).await? {
            (StatusCode::OK, body) => serde_json::from_slice(&body).map_err(|error| self.strange(&error)),
            (status, _) => Err(self.refused(status)),
        }
    }

    fn strange(&self, error: &serde_json::Error) -> ProxyError {
        ProxyError(format!("at {} answered something else: {error}", self.base))
    }

    fn refused(&self, status: StatusCode) -> ProxyError {
        let mend = match status {
            StatusCode::UNAUTHORIZED => ": it wants its --proxy-token (HEADROOM_TOKEN)",
            StatusCode::FORBIDDEN => ": without a token it answers its own machine only",
            _ => "",
        };
        ProxyError(format!("at {} answered {status}{mend}", self.base))
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), ProxyError> {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        let mut request = request.body(Full::new(body)).map_err(|error| ProxyError(error.to_string()))?;
        *request.headers_mut() = self.headers.clone();
        let asked = async {
            let response = self.client.request(request).await;
            let response =
                response.map_err(|_| format!("at {} cannot be reached (is it running?)", self.base))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), LONGEST).collect().await;
            Ok((status, body.map_err(|error| format!("broke off: {error}"))?.to_bytes()))
        };
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(answer) => answer.map_err(ProxyError),
            Err(_) => Err(ProxyError(format!("at {} does not answer", self.base))),
        }
    }
}
