use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use headroom_engine::{ccr::Handle, cost::Meter, intercept::Step};
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use tokio::time::{Sleep, sleep, timeout};
use tower_service::Service;

use super::{Answer, StreamRounds, Upstream};
use crate::{
    body::{BoxError, RequestBody, ResponseBody},
    limits::Limits,
    report::Report,
    request::repair_stream_response,
    store::scoped::Scoped,
};

/// The response whose body is `response`'s, with the rounds behind it spliced in.
pub(super) fn drive<X, S, B, R>(
    rounds: X,
    response: Response<R>,
    upstream: Upstream<S, B>,
    stores: Scoped,
    limits: Limits,
    report: Report,
) -> Response<ResponseBody<R>>
where
    X: StreamRounds,
    S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    let (mut head, body) = response.into_parts();
    repair_stream_response(&mut head.headers);
    let body = Spliced {
        rounds,
        meter: Meter::default(),
        phase: Phase::Reading(Box::pin(body)),
        out: VecDeque::new(),
        last: Last::default(),
        end: End::default(),
        follow_up: false,
        quiet: None,
        upstream,
        stores,
        limits,
        report,
    };
    Response::from_parts(head, ResponseBody::spliced(body))
}

/// An event stream made of the rounds' streams.
///
/// It is pulled: nothing is read, sent or looked up unless the client asks for the next frame, and
/// dropping it drops whatever is under way.
struct Spliced<X: StreamRounds, S, B, R> {
    rounds: X,
    /// Of the current round.
    meter: Meter,
    phase: Phase<R>,
    /// What the client gets before anything else happens.
    out: VecDeque<Bytes>,
    last: Last,
    end: End,
    /// A round behind the first one has begun.
    follow_up: bool,
    /// Runs while the client waits for us.
    quiet: Option<Pin<Box<Sleep>>>,
    upstream: Upstream<S, B>,
    stores: Scoped,
    limits: Limits,
    report: Report,
}

// Whatever must not move is behind a pointer.
impl<X: StreamRounds, S, B, R> Unpin for Spliced<X, S, B, R> {}

type Live<R> = Pin<Box<R>>;
type Work<R> = Pin<Box<dyn Future<Output = Outcome<R>> + Send>>;

enum Phase<R> {
    /// A round's stream, up to its terminal event.
    Reading(Live<R>),
    /// A store or the next round's head; and the stream whose terminal event was seen, if it has
    /// not ended.
    Waiting(Work<R>, Option<Live<R>>),
    /// What the upstream says behind the last terminal event.
    Tail(Live<R>),
    Ended,
}

enum Outcome<R> {
    Redeemed(Vec<(Handle, String)>),
    Remembered(bool),
    Answered(Response<R>),
    Refused,
}

/// What stands at the very end: trailers, or an error.
#[derive(Default)]
struct End {
    trailers: Option<HeaderMap>,
    error: Option<BoxError>,
}

impl End {
    fn take(&mut self) -> Option<Result<Frame<Bytes>, BoxError>> {
        let error = self.error.take().map(Err);
        error.or_else(|| self.trailers.take().map(|map| Ok(Frame::trailers(map))))
    }
}

/// The last bytes the client got.
#[derive(Default)]
struct Last([u8; 4]);

impl Last {
    fn see(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().skip(bytes.len().saturating_sub(4)) {
            self.0.rotate_left(1);
            self.0[3] = *byte;
        }
    }

    /// Whether an event of ours can stand here.
    fn is_boundary(&self) -> bool {
        matches!(self.0, [.., b'\n', b'\n'] | [.., b'\r', b'\r'] | [_, b'\n', b'\r', b'\n'] | [0, 0, 0, 0])
    }
}

impl<X, S, B, R> Spliced<X, S, B, R>
where
    X: StreamRounds,
    S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    fn frame(&mut self, live: Live<R>, frame: Option<Result<Frame<Bytes>, BoxError>>) {
        match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    self.meter.push(&data);
                    self.rounds.push(data, &mut self.out);
                    if self.rounds.round_complete() {
                        self.round_ends(Some(live));
                    } else {
                        self.phase = Phase::Reading(live);
                    }
                }
                Err(frame) => {
                    self.end.trailers = frame.into_trailers().ok();
                    self.phase = Phase::Reading(live);
                }
            },
            None => self.round_ends(None),
            Some(Err(error)) if !self.follow_up => self.end.error = Some(error),
            Some(Err(_)) => self.rounds.failed(&mut self.out),
        }
    }

    fn tail(&mut self, live: Live<R>, frame: Option<Result<Frame<Bytes>, BoxError>>) {
        match frame.map(|frame| frame.map(Frame::into_data)) {
            // In the first round, as it came. Behind a later one there is nothing for the client.
            Some(Ok(Ok(data))) if !self.follow_up => self.out.push_back(data),
            Some(Ok(Ok(_))) => {}
            Some(Ok(Err(frame))) => self.end.trailers = frame.into_trailers().ok(),
            Some(Err(error)) if !self.follow_up => return self.end.error = Some(error),
            Some(Err(_)) | None => return,
        }
        self.phase = Phase::Tail(live);
    }

    fn round_ends(&mut self, rest: Option<Live<R>>) {
        self.count();
        let step = self.rounds.end(&mut self.out);
        self.take(step, rest);
    }

    /// What the upstream counted in this round.
    fn count(&mut self) {
        self.report.round(std::mem::take(&mut self.meter).usage());
    }

    /// Nothing more will come.
    fn close(&mut self) {
        self.count();
        self.report.finish(self.rounds.report());
        self.report.settle();
    }

    fn take(&mut self, step: Step, rest: Option<Live<R>>) {
        match step {
            Step::Done => self.phase = rest.map_or(Phase::Ended, Phase::Tail),
            Step::Redeem(handles) => {
                let (stores, report) = (self.stores.clone(), self.report.clone());
                let work = async move { Outcome::Redeemed(stores.redeem(handles, &report).await) };
                self.phase = Phase::Waiting(Box::pin(work), rest);
            }
            Step::Remember(records) => {
                let (stores, report) = (self.stores.clone(), self.report.clone());
                let work = async move { Outcome::Remembered(stores.remember(records, &report).await) };
                self.phase = Phase::Waiting(Box::pin(work), rest);
            }
            Step::Send(body) => {
                self.follow_up = true;
                self.end.trailers = None;
                let (call, wait) = (self.upstream.send(body), self.limits.drain);
                let work = async move {
                    if let Some(rest) = rest {
                        drain(rest, wait).await;
                    }
                    call.await.map_or(Outcome::Refused, Outcome::Answered)
                };
                self.phase = Phase::Waiting(Box::pin(work), None);
            }
        }
    }

    fn outcome(&mut self, outcome: Outcome<R>, rest: Option<Live<R>>) {
        match outcome {
            Outcome::Redeemed(found) => {
                let step = self.rounds.redeemed(found, &mut self.out);
                self.take(step, rest);
            }
            Outcome::Remembered(acknowledged) => {
                let step = self.rounds.remembered(acknowledged, &mut self.out);
                self.take(step, rest);
            }
            Outcome::Answered(response) if self.upstream.kind(&response) == Answer::Stream => {
                self.phase = Phase::Reading(Box::pin(response.into_body()));
            }
            Outcome::Answered(_) | Outcome::Refused => self.rounds.failed(&mut self.out),
        }
    }

    /// Ready when the client was sent something to keep its connection open.
    fn poll_keep_alive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.last.is_boundary() && !self.rounds.is_framed() {
            return Poll::Pending;
        }
        let wait = self.limits.keep_alive;
        let quiet = self.quiet.get_or_insert_with(|| Box::pin(sleep(wait)));
        ready!(quiet.as_mut().poll(cx));
        self.quiet = None;
        self.out.push_back(self.rounds.keep_alive());
        Poll::Ready(())
    }
}

impl<X, S, B, R> Body for Spliced<X, S, B, R>
where
    X: StreamRounds,
    S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        loop {
            while let Some(bytes) = this.out.pop_front() {
                if !bytes.is_empty() {
                    this.quiet = None;
                    this.last.see(&bytes);
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
            }
            // Whoever goes on puts a phase back; otherwise this was the end.
            match std::mem::replace(&mut this.phase, Phase::Ended) {
                Phase::Reading(mut live) => match live.as_mut().poll_frame(cx) {
                    Poll::Ready(frame) => this.frame(live, frame.map(|frame| frame.map_err(Into::into))),
                    Poll::Pending => {
                        this.phase = Phase::Reading(live);
                        // In the first round the client hears from the upstream what it would have
                        // heard without us.
                        if !this.follow_up {
                            return Poll::Pending;
                        }
                        ready!(this.poll_keep_alive(cx));
                    }
                },
                Phase::Waiting(mut work, rest) => match work.as_mut().poll(cx) {
                    Poll::Ready(outcome) => this.outcome(outcome, rest),
                    Poll::Pending => {
                        this.phase = Phase::Waiting(work, rest);
                        ready!(this.poll_keep_alive(cx));
                    }
                },
                Phase::Tail(mut live) => match live.as_mut().poll_frame(cx) {
                    Poll::Ready(frame) => this.tail(live, frame.map(|frame| frame.map_err(Into::into))),
                    Poll::Pending => {
                        this.phase = Phase::Tail(live);
                        return Poll::Pending;
                    }
                },
                Phase::Ended => {
                    this.close();
                    return Poll::Ready(this.end.take());
                }
            }
        }
    }
}

/// A client that leaves ends the exchange as much as its last byte does.
impl<X: StreamRounds, S, B, R> Drop for Spliced<X, S, B, R> {
    fn drop(&mut self) {
        self.report.round(self.meter.usage());
        self.report.finish(self.rounds.report());
        self.report.settle();
    }
}

/// Reads a finished stream to its end, so that its connection can carry the next round; no longer
/// than `wait`, no more than is worth it.
async fn drain<R>(mut live: Live<R>, wait: Duration)
where
    R: Body<Data = Bytes>,
{
    const BYTES: usize = 64 << 10;
    let read = async {
        let mut left = BYTES;
        while left > 0 {
            let next = poll_fn(|cx| live.as_mut().poll_frame(cx).map(|frame| frame.and_then(Result::ok)));
            let Some(frame) = next.await else { return };
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        }
    };
    let _ = timeout(wait, read).await;
}
