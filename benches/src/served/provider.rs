//! A provider on a thread of its own: answers at once, or streams with pauses.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    thread,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body::{Body, Frame};
use http_body_util::{BodyExt as _, Either, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::time::{Sleep, sleep};

const ANSWER: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"text","text":"Done."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":3}}"#;

/// How a stream comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Text deltas of an answer.
    pub(crate) deltas: usize,
    /// Between two of them.
    pub(crate) pause: Duration,
}

/// Starts it; its URL. It runs as long as the program.
pub(crate) fn start(pace: Pace) -> io::Result<String> {
    let listener = std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    listener.set_nonblocking(true)?;
    let url = format!("http://{}", listener.local_addr()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::spawn(move || runtime.block_on(serve(listener, pace)));
    Ok(url)
}

async fn serve(listener: std::net::TcpListener, pace: Pace) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, pace));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    pace: Pace,
) -> Result<Response<Either<Full<Bytes>, Stream>>, hyper::Error> {
    let body = request.into_body().collect().await?.to_bytes();
    let streamed = memchr::memmem::find(&body, b"\"stream\":true").is_some();
    let (kind, body) = match streamed {
        false => ("application/json", Either::Left(Full::new(Bytes::from_static(ANSWER.as_bytes())))),
        true => ("text/event-stream", Either::Right(Stream::new(pace))),
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

/// Events, each but the first after a pause.
struct Stream {
    events: VecDeque<Bytes>,
    pause: Duration,
    wait: Pin<Box<Sleep>>,
}

impl Stream {
    fn new(pace: Pace) -> Self {
        let event = |name: &str, data: &str| Bytes::from(format!("event: {name}\ndata: {data}\n\n"));
        let mut events = VecDeque::with_capacity(pace.deltas + 5);
        events.push_back(event("message_start", r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":1}}}"#));
        events.push_back(event(
            "content_block_start",
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        ));
        for _ in 0..pace.deltas {
            events.push_back(event("content_block_delta", r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a token of the answer"}}"#));
        }
        events.push_back(event("content_block_stop", r#"{"type":"content_block_stop","index":0}"#));
        events.push_back(event("message_delta", r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":90}}"#));
        events.push_back(event("message_stop", r#"{"type":"message_stop"}"#));
        Self { events, pause: pace.pause, wait: Box::pin(sleep(Duration::ZERO)) }
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        ready!(self.wait.as_mut().poll(cx));
        let event = self.events.pop_front();
        let next = tokio::time::Instant::now() + self.pause;
        self.wait.as_mut().reset(next);
        Poll::Ready(event.map(|event| Ok(Frame::data(event))))
    }

    fn is_end_stream(&self) -> bool {
        self.events.is_empty()
    }
}
