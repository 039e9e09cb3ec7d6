//! The layer between a client and the provider double, in both of its places.

use std::{
    collections::HashSet,
    future::Future,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use axum::{Router, extract::State, middleware};
use bytes::Bytes;
use headroom_engine::ccr::{ToolShape, definition};
use headroom_tests::{
    Dialect,
    client::{Answer, HttpClient, Malformed},
    provider::{Provider, RETRIEVAL_TOOL, Script},
};
use headroom_tower::{Headroom, HeadroomLayer, Report, RequestBody, RequestPolicy};
use http::{HeaderName, Request, Response, StatusCode, header, response::Parts};
use http_body::Body;
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tokio::{net::TcpListener, task::AbortHandle};
use tower::{Layer as _, Service as _, ServiceExt as _};

/// What every id of a call of ours contains, in all scripts here.
pub(crate) const OURS: &str = "ours_";

/// The router's clients cannot send extensions; this header stands for the policy.
const POLICY: &str = "x-test-policy";

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
type AnyBody = UnsyncBoxBody<Bytes, BoxError>;

/// Where the layer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Around {
    /// Around a hyper-util client.
    Client,
    /// Around an axum router that passes requests on.
    Router,
}

/// How all connections speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// A provider, and a way to it through the layer.
pub(crate) struct Bed {
    pub(crate) provider: Provider,
    door: Door,
    sent: Mutex<HashSet<HeaderName>>,
}

enum Door {
    Client(Headroom<HttpClient<RequestBody<AnyBody>>>),
    Router { url: String, client: HttpClient<AnyBody>, reports: Reports, server: AbortHandle },
}

type Reports = Arc<Mutex<Option<Report>>>;

impl Bed {
    pub(crate) async fn new(around: Around, layer: HeadroomLayer, script: impl Script) -> Self {
        Self::speaking(Protocol::Http1, around, layer, script).await
    }

    /// Around a client, over HTTP/1.1.
    pub(crate) async fn client(layer: HeadroomLayer, script: impl Script) -> Self {
        Self::new(Around::Client, layer, script).await
    }

    pub(crate) async fn speaking(
        protocol: Protocol,
        around: Around,
        layer: HeadroomLayer,
        script: impl Script,
    ) -> Self {
        let provider = Provider::start(script).await;
        let door = match around {
            Around::Client => Door::Client(layer.layer(client(protocol))),
            Around::Router => router(protocol, layer, provider.url()).await,
        };
        Self { provider, door, sent: Mutex::default() }
    }

    /// Another layer in place of this one, as after a restart.
    pub(crate) fn restart(&mut self, layer: &HeadroomLayer) {
        self.door = Door::Client(layer.layer(client(Protocol::Http1)));
    }

    /// A request for `path`.
    pub(crate) fn post(&self, path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
        headroom_tests::client::post(&format!("{}{path}", self.base()), body)
    }

    /// Where requests go.
    pub(crate) fn base(&self) -> String {
        match &self.door {
            Door::Client(_) => self.provider.url(),
            Door::Router { url, .. } => url.clone(),
        }
    }

    /// A test that speaks over a socket of its own sends these headers.
    pub(crate) fn sends(&self, headers: &[HeaderName]) {
        self.sent.lock().unwrap().extend(headers.iter().cloned());
    }

    /// Sends a conversation's next request.
    pub(crate) async fn ask(&self, dialect: Dialect, body: impl Into<Bytes>) -> Heard {
        self.send(self.says(dialect, body)).await.unwrap()
    }

    /// A conversation's next request.
    pub(crate) fn says(&self, dialect: Dialect, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
        let body = body.into();
        self.post(dialect.path_of(&body), body)
    }

    pub(crate) async fn send<B>(&self, request: Request<B>) -> Result<Heard, BoxError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        self.sent.lock().unwrap().extend(request.headers().keys().cloned());
        let mut request = request.map(|body| body.map_err(Into::into).boxed_unsync());
        match &self.door {
            Door::Client(service) => {
                let response = service.clone().ready().await?.call(request).await?;
                let report = response.extensions().get().cloned();
                Ok(Heard::new(response, report))
            }
            Door::Router { client, reports, .. } => {
                if request.extensions().get::<RequestPolicy>().is_some() {
                    request.headers_mut().insert(POLICY, "off".parse()?);
                }
                let response = client.request(request).await?;
                let report = reports.lock().unwrap().take();
                Ok(Heard::new(response, report))
            }
        }
    }
}

/// No header that the provider got is ours, in any request of any test.
impl Drop for Bed {
    fn drop(&mut self) {
        if let Door::Router { server, .. } = &self.door {
            server.abort();
        }
        if std::thread::panicking() {
            return;
        }
        let may = [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::ACCEPT_ENCODING];
        let sent = self.sent.lock().unwrap();
        for request in self.provider.received() {
            for (name, value) in &request.head().headers {
                assert!(may.contains(name) || sent.contains(name), "{name} was not the client's");
                let line = format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()));
                assert!(!line.contains("headroom") && !line.contains(RETRIEVAL_TOOL), "{line}");
            }
        }
    }
}

fn client<B>(protocol: Protocol) -> Client<HttpConnector, B>
where
    B: Body + Send,
    B::Data: Send,
{
    Client::builder(TokioExecutor::new()).http2_only(protocol == Protocol::Http2).build_http()
}

async fn router(protocol: Protocol, layer: HeadroomLayer, upstream: String) -> Door {
    let reports = Reports::default();
    let app = Router::new()
        .fallback(forward)
        .with_state((client(protocol), upstream))
        .layer(layer)
        .layer(middleware::from_fn_with_state(Arc::clone(&reports), observe));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() }).abort_handle();
    Door::Router { url, client: client(protocol), reports, server }
}

type Forward = (HttpClient<axum::body::Body>, String);

/// The handler: what a gateway does.
async fn forward(
    State((client, upstream)): State<Forward>,
    request: Request<axum::body::Body>,
) -> Response<axum::body::Body> {
    let mut out = Request::new(request);
    let request = out.body();
    let path = request.uri().path_and_query().unwrap();
    let uri = format!("{upstream}{path}").parse().unwrap();
    *out.method_mut() = request.method().clone();
    *out.headers_mut() = out.body().headers().clone();
    *out.uri_mut() = uri;
    out.headers_mut().remove(header::HOST);
    match client.request(out.map(Request::into_body)).await {
        Ok(response) => response.map(axum::body::Body::new),
        Err(_) => {
            let mut response = Response::new(axum::body::Body::empty());
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            response
        }
    }
}

async fn observe(
    State(reports): State<Reports>,
    mut request: axum::extract::Request,
    next: middleware::Next,
) -> axum::response::Response {
    if request.headers_mut().remove(POLICY).is_some() {
        request.extensions_mut().insert(RequestPolicy::off());
    }
    let response = next.run(request).await;
    *reports.lock().unwrap() = response.extensions().get().cloned();
    response
}

/// What a client hears; checked for what it must not hear when it is dropped.
pub(crate) struct Heard {
    pub(crate) head: Parts,
    pub(crate) report: Option<Report>,
    body: AnyBody,
    seen: Vec<u8>,
}

impl Heard {
    pub(crate) fn new<B>(response: Response<B>, report: Option<Report>) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (head, body) = response.into_parts();
        Self { head, report, body: body.map_err(Into::into).boxed_unsync(), seen: Vec::new() }
    }

    pub(crate) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn report(&self) -> &Report {
        self.report.as_ref().expect("the layer was here")
    }

    /// The next bytes, or `None` at the end.
    pub(crate) async fn frame(&mut self) -> Option<Result<Bytes, BoxError>> {
        loop {
            match self.body.frame().await?.map(http_body::Frame::into_data) {
                Ok(Ok(data)) => {
                    self.seen.extend_from_slice(&data);
                    return Some(Ok(data));
                }
                Ok(Err(_)) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Reads on until what was heard so far contains `what`.
    pub(crate) async fn until(&mut self, what: &str) {
        while !self.text().contains(what) {
            let frame = self.frame().await;
            frame.unwrap_or_else(|| panic!("no {what:?} in {:?}", self.text())).unwrap();
        }
    }

    /// All that was heard so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// Reads to the end, and says how it broke if it did.
    pub(crate) async fn end(&mut self) -> Result<(), BoxError> {
        while let Some(frame) = self.frame().await {
            frame?;
        }
        Ok(())
    }

    /// All of it.
    pub(crate) async fn bytes(mut self) -> Bytes {
        self.end().await.unwrap();
        Bytes::copy_from_slice(&self.seen)
    }

    /// All of it, as an official client reads it.
    pub(crate) async fn answer(mut self, dialect: Dialect) -> Result<Answer, Malformed> {
        let broken = self.end().await.err();
        if let Some(error) = broken {
            return Err(Malformed(error.to_string()));
        }
        let body = Full::new(Bytes::copy_from_slice(&self.seen));
        let mut response = Response::new(body);
        *response.status_mut() = self.head.status;
        *response.headers_mut() = self.head.headers.clone();
        headroom_tests::client::read(dialect, response).await
    }
}

/// Nothing that a client hears is ours, in any answer of any test.
impl Drop for Heard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        static DESCRIPTION: LazyLock<String> = LazyLock::new(|| {
            let tool: Value =
                serde_json::from_str(&definition(ToolShape::Anthropic, RETRIEVAL_TOOL)).unwrap();
            tool["description"].as_str().unwrap().to_owned()
        });
        let heard = format!("{:?}\n{}", self.head.headers, self.text());
        for secret in [RETRIEVAL_TOOL, OURS, &DESCRIPTION, "headroom"] {
            assert!(!heard.contains(secret), "{secret:?} reached the client: {heard}");
        }
    }
}

/// Fails a test that would hang; it synchronises nothing.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("nothing hangs")
}
