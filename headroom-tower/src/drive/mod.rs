//! Drives the engine's exchanges over live bodies: sockets, timers, follow-up calls.

mod json;
mod measured;
mod stream;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    marker::PhantomData,
};

use bytes::Bytes;
use headroom_engine::{
    Record,
    ccr::Handle,
    cost::Usage,
    intercept::{Continuation, JsonExchange, Ranked, Ranking, RetrievalReport, Step, StreamExchange},
};
use http::{Request, Response, request::Parts};
use http_body::Body;
use tower_service::Service;

use crate::{
    body::{BoxError, Replay, RequestBody, ResponseBody},
    lifecycle::{Events, Facts, Stage},
    limits::Limits,
    pool::Pool,
    report::{Report, Unintercepted},
    request,
    resign::Resigner,
    route,
    store::scoped::Scoped,
};

/// What a driver works with.
#[derive(Clone, Debug)]
pub(crate) struct Means {
    pub(crate) stores: Scoped,
    pub(crate) limits: Limits,
    pub(crate) pool: Pool,
    pub(crate) report: Report,
}

impl Means {
    /// Reads originals off the worker; `None` if that broke down.
    async fn rank(&self, ranking: Ranking) -> Option<Ranked> {
        // Searching reads some 20 MB a second, as rewriting does.
        self.pool.run(ranking.bytes(), move || ranking.run()).await
    }
}

/// Passes on what the upstream answered, with our own calls answered on the way.
pub(crate) async fn answer<S, B, R>(
    continuation: Continuation,
    response: Response<R>,
    upstream: Upstream<S, B>,
    means: Means,
) -> Result<Response<ResponseBody<R>>, S::Error>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    match upstream.kind(&response) {
        Answer::Json => json::drive(continuation.json(), response, upstream, &means).await,
        Answer::Stream => Ok(stream::drive(continuation.stream(), response, upstream, means).await),
        Answer::Failure => Ok(response.map(ResponseBody::passthrough)),
        Answer::Other(why) => {
            means.report.pass_on(why);
            Ok(response.map(|body| ResponseBody::metered(body, means.report)))
        }
    }
}

/// What a response is, judged by its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Json,
    Stream,
    /// Not a success: it goes to the client as it is.
    Failure,
    Other(Unintercepted),
}

impl Answer {
    /// `elements`: what is JSON comes as a stream, element by element.
    fn of<R>(response: &Response<R>, elements: bool) -> Self {
        let headers = response.headers();
        if !response.status().is_success() {
            Self::Failure
        } else if request::is_sealed(headers) {
            Self::Other(Unintercepted::Encoded)
        } else if request::is_event_stream(headers) || (elements && request::is_json(headers)) {
            Self::Stream
        } else if request::is_json(headers) {
            Self::Json
        } else {
            Self::Other(Unintercepted::OtherType)
        }
    }
}

/// The inner service, for one more request with the same head.
pub(crate) struct Upstream<S, B> {
    service: S,
    head: Parts,
    elements: bool,
    /// Signs every round.
    resigner: Option<Resigner>,
    events: Events,
    body: PhantomData<fn() -> B>,
}

impl<S, B> Upstream<S, B> {
    /// `head` is that of the first round's request.
    pub(crate) fn new(service: S, head: Parts, resigner: Option<Resigner>, events: Events) -> Self {
        let elements = route::streams_elements(head.uri.path());
        Self { service, head, elements, resigner, events, body: PhantomData }
    }

    /// What an answer to its request is.
    fn kind<R>(&self, response: &Response<R>) -> Answer {
        Answer::of(response, self.elements)
    }

    /// Sends `body` through a clone of the service, ready first: a clone has no readiness of its
    /// own. Nothing is sent before the future is polled; dropping it cancels the round.
    fn send<R>(
        &self,
        body: Bytes,
    ) -> impl Future<Output = Result<Response<R>, S::Error>> + Send + use<S, B, R>
    where
        S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send,
        B: 'static,
        R: Body,
    {
        let mut service = self.service.clone();
        let mut head = request::follow_up(&self.head, &body);
        if let Some(resigner) = &self.resigner {
            resigner.sign(&mut head, &body);
        }
        let events = self.events.clone();
        async move {
            poll_fn(|cx| service.poll_ready(cx)).await?;
            events.send_again(body.len());
            let body = RequestBody::new(Replay::buffered(body, None));
            let response = service.call(Request::from_parts(head, body)).await?;
            events.tell(Stage::PostSend, Facts::response(&response));
            Ok(response)
        }
    }
}

/// What the driver needs of an exchange over JSON bodies; tests script it.
trait JsonRounds: Send {
    fn response(&mut self, body: Bytes) -> Step;
    fn redeemed(&mut self, found: Vec<(Handle, String)>) -> Step;
    fn ranked(&mut self, ranked: Option<Ranked>) -> Step;
    fn remembered(&mut self, acknowledged: bool) -> Step;
    fn failed(&mut self);
    fn into_body(self) -> Bytes;
    fn report(&self) -> &RetrievalReport;
}

impl JsonRounds for JsonExchange {
    fn response(&mut self, body: Bytes) -> Step {
        self.response(body)
    }
    fn redeemed(&mut self, found: Vec<(Handle, String)>) -> Step {
        self.redeemed(found)
    }
    fn ranked(&mut self, ranked: Option<Ranked>) -> Step {
        self.ranked(ranked)
    }
    fn remembered(&mut self, acknowledged: bool) -> Step {
        self.remembered(acknowledged)
    }
    fn failed(&mut self) {
        self.failed();
    }
    fn into_body(self) -> Bytes {
        self.into_body()
    }
    fn report(&self) -> &RetrievalReport {
        self.report()
    }
}

/// What the driver needs of an exchange over event streams; tests script it.
trait StreamRounds: Send + 'static {
    fn push(&mut self, chunk: Bytes, out: &mut VecDeque<Bytes>);
    fn end(&mut self, out: &mut VecDeque<Bytes>) -> Step;
    fn redeemed(&mut self, found: Vec<(Handle, String)>, out: &mut VecDeque<Bytes>) -> Step;
    fn ranked(&mut self, ranked: Option<Ranked>, out: &mut VecDeque<Bytes>) -> Step;
    fn remembered(&mut self, acknowledged: bool, out: &mut VecDeque<Bytes>) -> Step;
    fn failed(&mut self, out: &mut VecDeque<Bytes>);
    fn refused(&mut self, _answer: &[u8], out: &mut VecDeque<Bytes>) {
        self.failed(out);
    }
    fn round_complete(&self) -> bool;
    /// What was counted in this round, if the rounds themselves tell.
    fn counted(&self) -> Option<Usage> {
        None
    }
    /// What the ledger is to keep if the client leaves now.
    fn abandoned(&self) -> Vec<Record> {
        Vec::new()
    }
    fn keep_alive(&self) -> Bytes;
    /// Something can be sent behind whatever was sent.
    fn is_framed(&self) -> bool {
        false
    }
    fn report(&self) -> &RetrievalReport;
}

impl StreamRounds for StreamExchange {
    fn push(&mut self, chunk: Bytes, out: &mut VecDeque<Bytes>) {
        self.push(chunk, out);
    }
    fn end(&mut self, out: &mut VecDeque<Bytes>) -> Step {
        self.end(out)
    }
    fn redeemed(&mut self, found: Vec<(Handle, String)>, out: &mut VecDeque<Bytes>) -> Step {
        self.redeemed(found, out)
    }
    fn ranked(&mut self, ranked: Option<Ranked>, out: &mut VecDeque<Bytes>) -> Step {
        self.ranked(ranked, out)
    }
    fn remembered(&mut self, acknowledged: bool, out: &mut VecDeque<Bytes>) -> Step {
        self.remembered(acknowledged, out)
    }
    fn failed(&mut self, out: &mut VecDeque<Bytes>) {
        self.failed(out);
    }
    fn refused(&mut self, answer: &[u8], out: &mut VecDeque<Bytes>) {
        self.refused(answer, out);
    }
    fn round_complete(&self) -> bool {
        self.round_complete()
    }
    fn counted(&self) -> Option<Usage> {
        self.counted()
    }
    fn abandoned(&self) -> Vec<Record> {
        self.abandoned()
    }
    fn keep_alive(&self) -> Bytes {
        self.keep_alive()
    }
    fn is_framed(&self) -> bool {
        self.is_framed()
    }
    fn report(&self) -> &RetrievalReport {
        self.report()
    }
}
