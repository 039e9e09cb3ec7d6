//! One request's whole life.

mod input;

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use headroom_engine::{Dialect, Policy, Reason};
use http::{HeaderValue, Request, Response, StatusCode, header, request::Parts};
use http_body::Body;
use tower_service::Service;

use self::input::{Input, outgoing, receive, terms};
use crate::{
    body::{BoxError, Replay, RequestBody, ResponseBody},
    drive::{self, Means, Upstream},
    future::ResponseFuture,
    layer::Shared,
    lifecycle::{Events, Facts, Stage},
    report::{Choice, MemoryReport, Report, RequestPolicy, Skipped},
    request,
    route::{self, Purpose, Target},
    same, stored,
};

/// The service that [`HeadroomLayer`](crate::HeadroomLayer) makes of an inner one.
///
/// ```
/// use headroom_tower::HeadroomLayer;
/// use tower::Layer as _;
/// let service = HeadroomLayer::new().layer("any service");
/// assert_eq!(service.into_inner(), "any service");
/// ```
#[derive(Clone, Debug)]
pub struct Headroom<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Headroom<S> {
    pub(crate) fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }

    /// The inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

/// This request has been through a layer of ours; one further in leaves it alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processed;

impl<S, B, R> Service<Request<B>> for Headroom<S>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        ready!(self.inner.poll_ready(cx))?;
        // Post-Start: the first time that a service of the layer is ready.
        self.shared.hooks.ready();
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if let Some(target) = self.stored(&request) {
            let clone = self.inner.clone();
            let ready = std::mem::replace(&mut self.inner, clone);
            let answer = stored::answer(Arc::clone(&self.shared), ready, request, target);
            return ResponseFuture::exchange(answer, Events::default());
        }
        let target = route::matches(&request, &self.shared.routes)
            .filter(|_| request.extensions().get::<Processed>().is_none());
        let Some(target) = target else {
            return ResponseFuture::passthrough(self.inner.call(request.map(RequestBody::passthrough)), None);
        };
        if let Some(skipped) = skip(&request, &self.shared) {
            let future = self.inner.call(request.map(RequestBody::passthrough));
            return ResponseFuture::passthrough(future, Some(Report::skipped_because(skipped)));
        }
        // The instance that was polled ready is the one to call; its clone is not ready.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        let events = self.shared.hooks.request(target.dialect);
        let exchange = exchange(Arc::clone(&self.shared), ready, request, target, events.clone());
        ResponseFuture::exchange(exchange, events)
    }
}

impl<S> Headroom<S> {
    /// The stored answer that a request is about, where the ledger may know it.
    fn stored<B>(&self, request: &Request<B>) -> Option<route::StoredTarget> {
        let passes = request.extensions().get::<Processed>().is_some()
            || signed(request.headers(), request.uri())
            || !self.shared.ledger.durable();
        route::stored(request, &self.shared.routes).filter(|_| !passes)
    }
}

/// Why a request of ours passes unread.
fn skip<B>(request: &Request<B>, shared: &Shared) -> Option<Skipped> {
    match request.extensions().get::<RequestPolicy>().map(RequestPolicy::choice) {
        Some(Choice::Off) => Some(Skipped::Off),
        _ if signed(request.headers(), request.uri()) && shared.resigner.is_none() => Some(Skipped::Signed),
        _ => request::untouchable(request.headers(), shared.limits.request_bytes),
    }
}

fn signed(headers: &http::HeaderMap, uri: &http::Uri) -> bool {
    request::is_aws_signed(headers, uri.query())
}

/// The way of one request, from its first byte to the last of its response.
async fn exchange<S, B, R>(
    shared: Arc<Shared>,
    mut inner: S,
    request: Request<B>,
    target: Target,
    events: Events,
) -> Result<Response<ResponseBody<R>>, S::Error>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    // Input Received: read and scanned.
    let (mut head, body) = request.into_parts();
    let (policy, context) = terms(&head, &shared, &target);
    let mut stores = shared.stores(&head);
    let input = receive(&shared, &head, body, &target, &context).await;
    let bytes = input.as_ref().map_or_else(|(body, _)| body.size_hint().exact(), Input::bytes);
    events.tell(Stage::InputReceived, Facts::bytes(bytes));
    let mut input = match input {
        Ok(input) => input,
        Err((body, why)) => return pass(inner, head, body, why, &events).await,
    };
    let Some(scanned) = input.scanned.take() else {
        return batch(&shared, inner, head, policy, &target, input, &events).await;
    };

    // Input Cached: what the ledger knows goes back to where the upstream saw it.
    let mut memory = MemoryReport::default();
    let scanned = scanned.under(&policy);
    let scanned = if shared.originals.shared() { scanned.keeping_originals() } else { scanned };
    (stores.bound, stores.stored) = (scanned.binds_thinking(), scanned.is_stored());
    let goes_on = scanned.previous().filter(|_| stores.stored && target.purpose == Purpose::Answer);
    let Ok(records) = stores.recorded(scanned.ledger_keys(), &mut memory).await else {
        return Ok(unavailable(target.dialect));
    };
    let scanned = if memory.ledger_failed { scanned } else { scanned.answered() };
    events.tell(Stage::InputCached, Facts::default());

    // Input Routed, Input Compressed: the engine does both, block by block.
    let new = scanned.new_bytes(&policy).max(input.source.len() / 100);
    let known = if stores.stored { records.clone() } else { Vec::new() };
    let (own, again, terms) = (Arc::clone(&policy), context.clone(), Arc::clone(&policy));
    let rewrite = shared.pool.run(new, move || scanned.rewrite(&own, &records)).await;
    let Some(mut rewrite) = rewrite else {
        return pass(inner, head, input.replay(), Skipped::Aborted, &events).await;
    };
    rewrite.report.declared_breaks += u32::from(memory.unread);
    events.tell(Stage::InputRouted, Facts::rewrite(&rewrite));
    events.tell(Stage::InputCompressed, Facts::rewrite(&rewrite));

    // Input Remembered: originals and notes handed to the stores, before anything names them.
    if target.purpose == Purpose::Answer {
        stores.keep(&rewrite.originals, &mut memory).await;
        if rewrite.sent_once && memory.store_failed {
            // No later request holds what this one would hide.
            let (engine, source) = (shared.engine.clone(), input.source.clone());
            let whole = move || {
                let scanned =
                    engine.scan(source, &again).ok()?.under(&policy).keeping_originals().showing_all();
                Some(scanned.rewrite(&policy, &known))
            };
            let Some(Some(whole)) = shared.pool.run(new, whole).await else {
                return pass(inner, head, input.replay(), Skipped::Aborted, &events).await;
            };
            rewrite = whole;
        }
        stores.note(std::mem::take(&mut rewrite.records), &mut memory).await;
        events.tell(Stage::InputRemembered, Facts::rewrite(&rewrite));
    }

    // Pre-Send: the headers made true.
    let changed = !same(&rewrite.body, &input.source);
    let (body, trailers) = outgoing(rewrite.body, input, &mut head.headers);
    if rewrite.continuation.is_some() {
        request::ask_plain(&mut head.headers);
    }
    // What was signed holds for other bytes.
    let resigner = shared.resigner.clone().filter(|_| signed(&head.headers, &head.uri));
    if let Some(resigner) = resigner.as_ref().filter(|_| changed || rewrite.continuation.is_some()) {
        resigner.sign(&mut head, &body);
    }
    head.extensions.insert(Processed);
    let limited = rewrite.report.limited;
    let report = match target.purpose {
        Purpose::Answer => Report::billed(rewrite.report, memory, Arc::clone(&shared.costs), stores.scope),
        Purpose::Count | Purpose::Batch => Report::rewritten(rewrite.report, memory),
    };
    let previous = rewrite.previous;
    let lost = goes_on.filter(|_| limited == Some(Reason::Stateful)).map(|id| (id, head.clone()));
    let intercept = rewrite.continuation.map(|continuation| (continuation, head.clone()));
    events.send(Some(body.len() as u64), &report);
    let body = RequestBody::new(Replay::buffered(body, trailers));
    let response = inner.call(Request::from_parts(head, body)).await?;

    // Post-Send: the response's head is here.
    events.tell(Stage::PostSend, Facts::response(&response));
    if let Some((id, head)) = lost.filter(|_| response.status() == StatusCode::BAD_REQUEST) {
        // What goes on with an answer of ours that the ledger has lost is known when it comes again.
        let record = stored::recovered(&shared, inner.clone(), &head, &id, &terms).await;
        if let Some(record) = record
            && stores.remember(vec![record], &report).await
        {
            return Ok(unavailable(target.dialect));
        }
    }
    let refused = previous.filter(|_| !response.status().is_success());
    let mut response = match intercept {
        _ if refused.is_some() => stored::refused(response, refused.as_ref(), &shared).await,
        None => response.map(|body| ResponseBody::metered(body, report.clone())),
        Some((continuation, head)) => {
            let upstream = Upstream::new(inner, head, resigner, events);
            let (limits, pool) = (shared.limits.clone(), shared.pool.clone());
            let means = Means { stores, limits, pool, report: report.clone() };
            drive::answer(continuation, response, upstream, means).await?
        }
    };

    // Response Received comes with the body's end.
    response.extensions_mut().insert(report);
    Ok(response)
}

/// The way of a batch: there and nothing of ours back.
async fn batch<S, B, R>(
    shared: &Shared,
    mut inner: S,
    mut head: Parts,
    policy: Arc<Policy>,
    target: &Target,
    input: Input,
    events: &Events,
) -> Result<Response<ResponseBody<R>>, S::Error>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
    R: Body,
{
    let rewrite = {
        let (engine, source, dialect) = (shared.engine.clone(), input.source.clone(), target.dialect);
        shared.pool.run(source.len(), move || engine.batch(&source, dialect, &policy)).await
    };
    let Some(Ok(rewrite)) = rewrite else {
        let why = rewrite.map_or(Skipped::Aborted, |_| Skipped::Unscannable);
        return pass(inner, head, input.replay(), why, events).await;
    };
    events.tell(Stage::InputRouted, Facts::rewrite(&rewrite));
    events.tell(Stage::InputCompressed, Facts::rewrite(&rewrite));
    let (body, trailers) = outgoing(rewrite.body, input, &mut head.headers);
    head.extensions.insert(Processed);
    let report = Report::rewritten(rewrite.report, MemoryReport::default());
    events.send(Some(body.len() as u64), &report);
    let body = RequestBody::new(Replay::buffered(body, trailers));
    let response = inner.call(Request::from_parts(head, body)).await?;
    events.tell(Stage::PostSend, Facts::response(&response));
    let mut response = response.map(ResponseBody::passthrough);
    response.extensions_mut().insert(report);
    Ok(response)
}

/// Sends a request that was read, as it came.
async fn pass<S, B, R>(
    mut inner: S,
    head: Parts,
    body: Replay<B>,
    why: Skipped,
    events: &Events,
) -> Result<Response<ResponseBody<R>>, S::Error>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>>,
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
    R: Body,
{
    let report = Report::skipped_because(why);
    events.send(body.size_hint().exact(), &report);
    let response = inner.call(Request::from_parts(head, RequestBody::new(body))).await?;
    events.tell(Stage::PostSend, Facts::response(&response));
    let mut response = response.map(ResponseBody::passthrough);
    response.extensions_mut().insert(report);
    Ok(response)
}

/// The one answer of our own, in the words of the dialect.
fn unavailable<R>(dialect: Dialect) -> Response<ResponseBody<R>> {
    const ANTHROPIC: &str = r#"{"type":"error","error":{"type":"overloaded_error","message":"The conversation cannot be read at the moment. Please try again."}}"#;
    const RESPONSES: &str = r#"{"error":{"message":"The conversation cannot be read at the moment. Please try again.","type":"server_error","param":null,"code":"server_error"}}"#;
    let text = if dialect == Dialect::OpenAiResponses { RESPONSES } else { ANTHROPIC };
    let body = ResponseBody::new(Replay::buffered(Bytes::from_static(text.as_bytes()), None));
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response.extensions_mut().insert(Report::skipped_because(Skipped::Refused));
    response
}

#[cfg(test)]
mod tests;
