//! What the layer is measured around: a service without sockets, a hyper client over loopback, and a
//! provider that streams.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    thread,
};

use bytes::Bytes;
use headroom_tests::{clock::spent, streams::Streamed as Wire};
use headroom_tower::{Headroom, HeadroomLayer, Report, RequestBody};
use http::{Method, Request, Response, header::CONTENT_TYPE};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tower::{Layer, ServiceExt};

/// An answer without a call of ours.
const ANSWER: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"text","text":"Done."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":3}}"#;

/// A way to a provider, with and without the layer.
pub(crate) trait Transport {
    /// The way through the layer.
    type Layered;

    fn layered(&self, layer: &HeadroomLayer) -> Self::Layered;

    /// Sends `body` and reads the answer, without the layer.
    async fn direct(&self, body: Bytes);

    /// The same through the layer.
    async fn send(&self, layered: &Self::Layered, body: Bytes);
}

fn post(uri: &str, body: Bytes) -> Request<Full<Bytes>> {
    request(Method::POST, uri, body)
}

fn request(method: Method, uri: &str, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri.parse().unwrap_or_default();
    request.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    request
}

fn answer<B>(body: B) -> Response<B> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

async fn drain<S, B, R>(service: S, request: Request<B>)
where
    S: tower::Service<Request<B>, Response = Response<R>>,
    R: Body,
{
    if let Ok(response) = service.oneshot(request).await {
        let mut body = pin!(response.into_body());
        while let Some(Ok(_)) = body.frame().await {}
    }
}

/// No sockets: the body is read where it stands and answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InProcess;

impl<B> tower::Service<Request<B>> for InProcess
where
    B: Body + Send + 'static,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(async move {
            let mut body = pin!(request.into_body());
            while let Some(Ok(_)) = body.frame().await {}
            Ok(answer(Full::new(Bytes::from_static(ANSWER.as_bytes()))))
        })
    }
}

impl Transport for InProcess {
    type Layered = Headroom<Self>;

    fn layered(&self, layer: &HeadroomLayer) -> Self::Layered {
        layer.layer(*self)
    }

    async fn direct(&self, body: Bytes) {
        drain(*self, post("/v1/messages", body)).await;
    }

    async fn send(&self, layered: &Self::Layered, body: Bytes) {
        drain(layered.clone(), post("/v1/messages", body)).await;
    }
}

/// Answers at once and does nothing else: what a request that is not ours is measured with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Idle;

impl<B> tower::Service<Request<B>> for Idle {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        ready(Ok(answer(Full::new(Bytes::from_static(b"{}")))))
    }
}

/// Sends a request that is not ours and reads the answer.
pub(crate) async fn other<S, R>(service: &mut S)
where
    S: tower::Service<Request<Full<Bytes>>, Response = Response<R>>,
    R: Body,
{
    if let Ok(response) = service.call(request(Method::GET, "/v1/models", Bytes::new())).await {
        let mut body = pin!(response.into_body());
        while let Some(Ok(_)) = body.frame().await {}
    }
}

/// A hyper client and a hyper server on another thread, HTTP/1.1 kept alive.
#[derive(Clone, Debug)]
pub(crate) struct Loopback {
    uri: String,
    direct: Client<HttpConnector, Full<Bytes>>,
    layered: Client<HttpConnector, RequestBody<Full<Bytes>>>,
}

impl Loopback {
    /// Starts the server.
    pub(crate) fn start() -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        listener.set_nonblocking(true)?;
        let uri = format!("http://{}/v1/messages", listener.local_addr()?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::spawn(move || runtime.block_on(serve(listener)));
        let connector = || {
            let mut connector = HttpConnector::new();
            connector.set_nodelay(true);
            connector
        };
        let builder = Client::builder(TokioExecutor::new());
        Ok(Self { uri, direct: builder.build(connector()), layered: builder.build(connector()) })
    }
}

async fn serve(listener: std::net::TcpListener) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            let service = service_fn(|request| InProcess.oneshot(request));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

impl Transport for Loopback {
    type Layered = Headroom<Client<HttpConnector, RequestBody<Full<Bytes>>>>;

    fn layered(&self, layer: &HeadroomLayer) -> Self::Layered {
        layer.layer(self.layered.clone())
    }

    async fn direct(&self, body: Bytes) {
        drain(self.direct.clone(), post(&self.uri, body)).await;
    }

    async fn send(&self, layered: &Self::Layered, body: Bytes) {
        drain(layered.clone(), post(&self.uri, body)).await;
    }
}

/// A provider that streams so many text deltas, one a frame.
#[derive(Clone, Debug)]
pub(crate) struct Streaming {
    wire: Wire,
    request: Bytes,
    frames: Arc<Vec<Bytes>>,
    /// The first delta is this one of them.
    first: usize,
    given: Arc<AtomicUsize>,
}

impl Streaming {
    pub(crate) fn new(wire: Wire, deltas: usize) -> Self {
        let mut frames = wire.head();
        let first = frames.len();
        let text = |at: usize| format!("token {at} of the answer");
        frames.extend((0..deltas).map(|at| wire.delta(at, &text(at))));
        frames.extend(wire.tail(deltas, &(0..deltas).map(text).collect::<String>(), None));
        Self { wire, request: wire.request(), frames: Arc::new(frames), first, given: Arc::default() }
    }
}

impl<B: Body + Send + 'static> tower::Service<Request<B>> for Streaming {
    type Response = Response<Frames>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        let mut response = Response::new(Frames {
            frames: Arc::clone(&self.frames),
            given: Arc::clone(&self.given),
            next: 0,
        });
        let kind = http::HeaderValue::from_static(self.wire.content_type());
        response.headers_mut().insert(CONTENT_TYPE, kind);
        ready(Ok(response))
    }
}

/// Its body: every frame is there when asked for.
#[derive(Debug)]
pub(crate) struct Frames {
    frames: Arc<Vec<Bytes>>,
    given: Arc<AtomicUsize>,
    next: usize,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = self.frames.get(self.next).cloned();
        self.next += 1;
        self.given.store(self.next, Ordering::Relaxed);
        Poll::Ready(frame.map(|frame| Ok(Frame::data(frame))))
    }
}

/// The times of one streamed answer, in µs of the reading thread's own time from its head.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Streamed {
    /// Until the first token.
    pub(crate) first: f64,
    /// Until its end.
    pub(crate) all: f64,
    /// Frames that the upstream had given when the first token was seen.
    pub(crate) given: usize,
    /// Frames that came, and whether a retrieval would have been answered.
    pub(crate) came: usize,
    pub(crate) intercepted: bool,
}

impl Streaming {
    /// Streams its answer, through the layer or not.
    pub(crate) async fn streamed(&self, layer: Option<&HeadroomLayer>) -> Streamed {
        let request = post(self.wire.path(), self.request.clone());
        match layer {
            None => self.read(self.clone().oneshot(request).await).await,
            Some(layer) => self.read(layer.layer(self.clone()).oneshot(request).await).await,
        }
    }

    async fn read<R: Body<Data = Bytes>>(&self, response: Result<Response<R>, Infallible>) -> Streamed {
        let Ok(response) = response;
        let report = response.extensions().get::<Report>();
        let listed = report.and_then(Report::rewrite).is_some_and(|rewrite| rewrite.tool_listed);
        let mut times = Streamed { intercepted: listed, ..Streamed::default() };
        let mut body = pin!(response.into_body());
        let start = spent();
        while let Some(Ok(_)) = body.frame().await {
            if times.came == self.first {
                times.first = spent().saturating_sub(start).as_secs_f64() * 1e6;
                times.given = self.given.load(Ordering::Relaxed);
            }
            times.came += 1;
        }
        times.all = spent().saturating_sub(start).as_secs_f64() * 1e6;
        times
    }
}
