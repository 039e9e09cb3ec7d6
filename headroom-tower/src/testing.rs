//! A scripted upstream for unit tests.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use headroom_engine::{
    ccr::{Handle, HandleKey, Unit},
    reduce::{self, Hints, Op, Reducer, Reduction, Segment, Verbatim},
};
use http::{HeaderMap, Request, Response, request::Parts};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tower_service::Service;

use crate::{
    HeadroomBuilder, HeadroomLayer,
    body::{BoxError, RequestBody},
};

/// One poll's answer of a [`Script`].
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Data(&'static str),
    Trailers,
    Error,
    Never,
}

/// A body that gives what it was told, and counts how often it was asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    items: VecDeque<Item>,
    sized: bool,
    pub(crate) polls: Arc<AtomicUsize>,
}

impl Script {
    pub(crate) fn new(items: impl IntoIterator<Item = Item>) -> Self {
        Self { items: items.into_iter().collect(), ..Self::default() }
    }

    pub(crate) fn text(items: &[&'static str]) -> Self {
        Self::new(items.iter().map(|text| Item::Data(text)))
    }

    /// A body that says how many bytes it still has.
    #[cfg(feature = "reqwest")]
    pub(crate) fn sized(self) -> Self {
        Self { sized: true, ..self }
    }

    pub(crate) fn polls(&self) -> usize {
        self.polls.load(Ordering::SeqCst)
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.polls.fetch_add(1, Ordering::SeqCst);
        Poll::Ready(match self.items.pop_front() {
            None => None,
            Some(Item::Data(text)) => Some(Ok(Frame::data(Bytes::from_static(text.as_bytes())))),
            Some(Item::Trailers) => Some(Ok(Frame::trailers(HeaderMap::from_iter([(
                http::header::ETAG,
                "end".parse().unwrap(),
            )])))),
            Some(Item::Error) => Some(Err("the body broke".into())),
            Some(Item::Never) => {
                self.items.push_front(Item::Never);
                return Poll::Pending;
            }
        })
    }

    fn size_hint(&self) -> SizeHint {
        if !self.sized {
            return SizeHint::default();
        }
        let left =
            self.items.iter().map(|item| if let Item::Data(text) = item { text.len() as u64 } else { 0 });
        SizeHint::with_exact(left.sum())
    }
}

pub(crate) fn json(body: Script) -> Response<Script> {
    Response::builder().header("content-type", "application/json").body(body).unwrap()
}

pub(crate) fn events(body: Script) -> Response<Script> {
    Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

type Answer = Result<Response<Script>, Refused>;

/// What a [`Probe`] does and saw, shared by its clones.
#[derive(Debug, Default)]
pub(crate) struct Log {
    answers: Mutex<VecDeque<(Duration, Answer)>>,
    seen: Mutex<Vec<(Parts, Result<Bytes, String>)>>,
    pub(crate) in_flight: AtomicUsize,
}

/// A service that keeps the contract to the letter: it is ready at the second poll, a clone has no
/// readiness, and a call without readiness panics.
#[derive(Debug)]
pub(crate) struct Probe {
    asked: bool,
    ready: bool,
    pub(crate) log: Arc<Log>,
}

impl Clone for Probe {
    fn clone(&self) -> Self {
        Self { asked: false, ready: false, log: Arc::clone(&self.log) }
    }
}

impl Probe {
    pub(crate) fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::slow(Duration::ZERO, answers)
    }

    pub(crate) fn slow(delay: Duration, answers: impl IntoIterator<Item = Answer>) -> Self {
        let answers = answers.into_iter().map(|answer| (delay, answer)).collect();
        let log = Log { answers: Mutex::new(answers), ..Log::default() };
        Self { asked: false, ready: false, log: Arc::new(log) }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.log.in_flight.load(Ordering::SeqCst)
    }

    /// Heads and bodies of the requests so far.
    pub(crate) fn seen(&self) -> Vec<(Parts, Result<Bytes, String>)> {
        self.log.seen.lock().unwrap().clone()
    }

    pub(crate) fn bodies(&self) -> Vec<Bytes> {
        self.seen().into_iter().map(|(_, body)| body.unwrap()).collect()
    }
}

struct InFlight(Arc<Log>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<B> Service<Request<RequestBody<B>>> for Probe
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Script>;
    type Error = Refused;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Refused>> {
        if !std::mem::replace(&mut self.asked, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody<B>>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without readiness");
        self.asked = false;
        self.log.in_flight.fetch_add(1, Ordering::SeqCst);
        let guard = InFlight(Arc::clone(&self.log));
        Box::pin(async move {
            let log = &guard.0;
            let (head, body) = request.into_parts();
            let body = Box::pin(body).collect().await;
            let body = body.map(|body| body.to_bytes()).map_err(|error| error.to_string());
            log.seen.lock().unwrap().push((head, body));
            let (delay, answer) = log.answers.lock().unwrap().pop_front().unwrap();
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            answer
        })
    }
}

/// All of a body: its bytes so far, its trailers, its error.
pub(crate) async fn read<B>(body: B) -> (String, bool, Option<String>)
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Display,
{
    let mut body = Box::pin(body);
    let (mut text, mut trailers) = (String::new(), false);
    loop {
        match body.frame().await {
            None => return (text, trailers, None),
            Some(Err(error)) => return (text, trailers, Some(error.to_string())),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => text.push_str(std::str::from_utf8(&data).unwrap()),
                Err(_) => trailers = true,
            },
        }
    }
}

/// Leaves out the middle of what begins with `bulk`.
#[derive(Debug)]
struct Middle;

impl Reducer for Middle {
    fn kind(&self) -> &'static str {
        "test"
    }

    fn recognises(&self, source: &str, _: Hints<'_>) -> bool {
        source.starts_with("bulk\n")
    }

    fn exact(&self, _: &str, _: &reduce::Context<'_>) -> Option<Reduction> {
        None
    }

    fn elide(&self, source: &str, _: &reduce::Context<'_>) -> Option<Reduction> {
        let lines: Vec<&str> = source.split_inclusive('\n').collect();
        let at = |line: usize| lines[..line].iter().map(|line| line.len()).sum::<usize>();
        let range = at(10)..at(lines.len() - 10);
        let elide = Op::Elide {
            range: range.clone(),
            original: 0..source.len(),
            unit: Unit::Lines,
            first: 11,
            last: lines.len() - 10,
            note: String::new(),
            frame: ("", "\n"),
        };
        let ops = vec![Op::Keep(0..range.start), elide, Op::Keep(range.end..source.len())];
        Some(Reduction { segments: vec![Segment { range: 0..source.len(), codec: Arc::new(Verbatim), ops }] })
    }
}

/// A layer that elides [`bulk`], whatever the built-in specialists think of it.
pub(crate) fn eliding() -> HeadroomLayer {
    eliding_with(|builder| builder)
}

pub(crate) fn eliding_with(more: impl FnOnce(HeadroomBuilder) -> HeadroomBuilder) -> HeadroomLayer {
    more(HeadroomLayer::builder().single_tenant().reducer(Arc::new(Middle))).build().unwrap()
}

/// The handle of [`bulk_text`].
pub(crate) fn bulk_handle() -> Handle {
    Handle::new(&HandleKey::default(), "test", &bulk_text())
}

/// The text that [`bulk`]'s tool returned.
pub(crate) fn bulk_text() -> String {
    (0..400).fold("bulk\n".to_owned(), |text, n| text + &format!("row {n} of the result says {}\n", n * 37))
}

/// A conversation whose tool returned a long text.
pub(crate) fn bulk(stream: bool) -> String {
    serde_json::json!({
        "model": "claude-opus-5-5", "max_tokens": 100, "stream": stream,
        "tools": [{"name": "search", "input_schema": {"type": "object"}}],
        "messages": [
            {"role": "user", "content": "which rows are large?"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "search", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": bulk_text()}]},
        ],
    })
    .to_string()
}

/// `text` in a content coding.
#[cfg(feature = "decompression")]
pub(crate) fn encoded(coding: &str, text: &[u8]) -> Vec<u8> {
    use tower::ServiceExt as _;
    use tower_http::compression::{Compression, predicate::SizeAbove};
    let body = http_body_util::Full::new(Bytes::copy_from_slice(text));
    let service = tower::service_fn(move |_: Request<()>| {
        let response = Response::new(body.clone());
        async { Ok::<_, std::convert::Infallible>(response) }
    });
    let service = Compression::new(service).compress_when(SizeAbove::new(0));
    let request = Request::builder().header("accept-encoding", coding).body(()).unwrap();
    let work = async { service.oneshot(request).await.unwrap().into_body().collect().await.unwrap() };
    // Of a thread of its own, since the caller may be in a runtime.
    let run = || tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work);
    std::thread::scope(|scope| scope.spawn(run).join().unwrap()).to_bytes().to_vec()
}
