use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use headroom_engine::{
    ccr::Handle,
    cost::Meter,
    intercept::{Ranked, Step},
};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame};
use tokio::{
    runtime,
    time::{Sleep, sleep, timeout},
};
use tower_service::Service;

use super::{Answer, Means, StreamRounds, Upstream};
use crate::{
    body::{BoxError, RequestBody, ResponseBody},
    decode::{Coding, Live},
    request::{Collected, collect, is_encoded, repair_stream_response},
};

/// The response whose body is `response`'s, with the rounds behind it spliced in.
pub(super) async fn drive<X, S, B, R>(
    rounds: X,
    response: Response<R>,
    upstream: Upstream<S, B>,
    means: Means,
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
    let live = Coding::live(Coding::of(&head.headers), body).await;
    repair_stream_response(&mut head.headers);
    let body = Spliced {
        rounds,
        meter: Meter::default(),
        counted: false,
        phase: Phase::Reading(live),
        out: VecDeque::new(),
        last: Last::default(),
        end: End::default(),
        follow_up: false,
        quiet: None,
        upstream,
        means,
    };
    Response::from_parts(head, ResponseBody::spliced(body))
}

/// An event stream made of the rounds' streams.
///
/// It is pulled: nothing is read, sent or looked up unless the client asks for the next frame, and
/// dropping it drops whatever is under way.
struct Spliced<X: StreamRounds, S, B> {
    rounds: X,
    /// Of the current round.
    meter: Meter,
    /// The current round's counts were taken.
    counted: bool,
    phase: Phase,
    /// What the client gets before anything else happens.
    out: VecDeque<Bytes>,
    last: Last,
    end: End,
    /// A round behind the first one has begun.
    follow_up: bool,
    /// Runs while the client waits for us.
    quiet: Option<Pin<Box<Sleep>>>,
    upstream: Upstream<S, B>,
    means: Means,
}

// Whatever must not move is behind a pointer.
impl<X: StreamRounds, S, B> Unpin for Spliced<X, S, B> {}

type Work = Pin<Box<dyn Future<Output = Outcome> + Send>>;

enum Phase {
    /// A round's stream, up to its terminal event.
    Reading(Live),
    /// A store, a search or the next round's head; and the stream whose terminal event was seen, if it has
    /// not ended.
    Waiting(Work, Option<Live>),
    /// What the upstream says behind the last terminal event.
    Tail(Live),
    Ended,
}

enum Outcome {
    Redeemed(Vec<(Handle, String)>),
    Ranked(Option<Ranked>),
    Remembered(bool),
    /// The next round's stream.
    Answered(Live),
    /// With this answer.
    Refused(Bytes),
    Failed,
}

impl<X: StreamRounds, S, B> Spliced<X, S, B> {
    /// What the upstream counted in this round.
    fn count(&mut self) {
        let usage = std::mem::take(&mut self.meter).usage();
        if !std::mem::replace(&mut self.counted, true) {
            self.means.report.round(self.rounds.counted().or(usage));
        }
    }
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

impl<X, S, B, R> Spliced<X, S, B>
where
    X: StreamRounds,
    S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    fn frame(&mut self, live: Live, frame: Option<Result<Frame<Bytes>, BoxError>>) {
        match frame {
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    // Frames are decoded once.
                    if !self.rounds.is_framed() {
                        self.meter.push(&data);
                    }
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

    fn tail(&mut self, live: Live, frame: Option<Result<Frame<Bytes>, BoxError>>) {
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

    fn round_ends(&mut self, rest: Option<Live>) {
        self.count();
        let step = self.rounds.end(&mut self.out);
        self.take(step, rest);
    }

    /// Nothing more will come.
    fn close(&mut self) {
        self.count();
        self.means.report.finish(self.rounds.report());
        self.means.report.settle();
    }

    fn take(&mut self, step: Step, rest: Option<Live>) {
        match step {
            Step::Done => self.phase = rest.map_or(Phase::Ended, Phase::Tail),
            Step::Redeem(handles) => {
                let Means { stores, report, .. } = self.means.clone();
                let work = async move { Outcome::Redeemed(stores.redeem(handles, &report).await) };
                self.phase = Phase::Waiting(Box::pin(work), rest);
            }
            Step::Rank(ranking) => {
                let means = self.means.clone();
                let work = async move { Outcome::Ranked(means.rank(ranking).await) };
                self.phase = Phase::Waiting(Box::pin(work), rest);
            }
            Step::Remember(records) => {
                let Means { stores, report, .. } = self.means.clone();
                let work = async move { Outcome::Remembered(stores.remember(records, &report).await) };
                self.phase = Phase::Waiting(Box::pin(work), rest);
            }
            Step::Send(body) => {
                self.follow_up = true;
                self.end.trailers = None;
                let (call, wait) = (self.upstream.send(body), self.means.limits.drain);
                let elements = self.upstream.elements;
                let work = async move {
                    if let Some(rest) = rest {
                        drain(rest, wait).await;
                    }
                    let answer = call.await.ok();
                    match answer {
                        Some(response) => answered(response, elements, wait).await,
                        None => Outcome::Failed,
                    }
                };
                self.phase = Phase::Waiting(Box::pin(work), None);
            }
        }
    }

    fn outcome(&mut self, outcome: Outcome, rest: Option<Live>) {
        match outcome {
            Outcome::Redeemed(found) => {
                let step = self.rounds.redeemed(found, &mut self.out);
                self.take(step, rest);
            }
            Outcome::Ranked(ranked) => {
                let step = self.rounds.ranked(ranked, &mut self.out);
                self.take(step, rest);
            }
            Outcome::Remembered(acknowledged) => {
                let step = self.rounds.remembered(acknowledged, &mut self.out);
                self.take(step, rest);
            }
            Outcome::Answered(live) => {
                self.counted = false;
                self.phase = Phase::Reading(live);
            }
            Outcome::Refused(answer) => self.rounds.refused(&answer, &mut self.out),
            Outcome::Failed => self.rounds.failed(&mut self.out),
        }
    }

    /// Ready when the client was sent something to keep its connection open.
    fn poll_keep_alive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.last.is_boundary() && !self.rounds.is_framed() {
            return Poll::Pending;
        }
        let wait = self.means.limits.keep_alive;
        let quiet = self.quiet.get_or_insert_with(|| Box::pin(sleep(wait)));
        ready!(quiet.as_mut().poll(cx));
        self.quiet = None;
        self.out.push_back(self.rounds.keep_alive());
        Poll::Ready(())
    }
}

impl<X, S, B, R> Body for Spliced<X, S, B>
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
                    Poll::Ready(frame) => this.frame(live, frame),
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
                    Poll::Ready(frame) => this.tail(live, frame),
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

/// A client that leaves ends the exchange as much as its last byte does. What it was given may be bound
/// to what it never saw, and comes back with its next request: the ledger is told, behind it.
impl<X: StreamRounds, S, B> Drop for Spliced<X, S, B> {
    fn drop(&mut self) {
        let records = self.rounds.abandoned();
        if let (false, Ok(tasks)) = (records.is_empty(), runtime::Handle::try_current()) {
            let Means { stores, report, .. } = self.means.clone();
            tasks.spawn(async move { stores.remember(records, &report).await });
        }
        self.count();
        self.means.report.finish(self.rounds.report());
        self.means.report.settle();
    }
}

/// What a follow-up was answered with.
async fn answered<R>(response: Response<R>, elements: bool, wait: Duration) -> Outcome
where
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    if Answer::of(&response, elements) == Answer::Stream {
        let coding = Coding::of(response.headers());
        return Outcome::Answered(Coding::live(coding, response.into_body()).await);
    }
    if !is_providers_own(&response) {
        return Outcome::Failed;
    }
    refusal(response, wait).await.map_or(Outcome::Failed, Outcome::Refused)
}

/// Whether a refusal tells how the provider fares, and not what it thinks of a request of ours.
fn is_providers_own<R>(response: &Response<R>) -> bool {
    let status = response.status();
    (status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()) && !is_encoded(response.headers())
}

/// What a refusal says; no longer waited for than `wait`, no more than an error has to say.
async fn refusal<R>(response: Response<R>, wait: Duration) -> Option<Bytes>
where
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    const BYTES: usize = 64 << 10;
    match timeout(wait, collect(response.into_body(), BYTES)).await {
        Ok(Collected::Whole(data, _)) => Some(data),
        _ => None,
    }
}

/// Reads a finished stream to its end, so that its connection can carry the next round; no longer
/// than `wait`, no more than is worth it.
async fn drain(mut live: Live, wait: Duration) {
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
