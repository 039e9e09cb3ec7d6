//! A request's terms, and its body on the way in and out.

use std::sync::Arc;

use bytes::Bytes;
use headroom_engine::{Policy, RequestContext, Route, Scanned};
use http::{HeaderMap, request::Parts};
use http_body::Body;

use crate::{
    body::{BoxError, Replay},
    decode::Coding,
    layer::Shared,
    report::{Choice, RequestPolicy, Skipped},
    request::{self, Collected, collect},
    route::{self, Purpose, Target},
    same,
};

/// What may be done to a request: the policy, and what can be done with its answer.
pub(super) fn terms(head: &Parts, shared: &Shared, target: &Target) -> (Arc<Policy>, RequestContext) {
    let durable_ledger = shared.ledger.durable();
    let mut policy = Arc::clone(&shared.policy);
    let mut route = match target.purpose {
        Purpose::Answer => Route::Intercepted { durable_ledger },
        Purpose::Count => Route::Mirror { durable_ledger },
        Purpose::Batch => Route::ExactOnly,
    };
    match head.extensions.get::<RequestPolicy>().map(RequestPolicy::choice) {
        // The route alone would let a client that redeems by itself have elisions.
        Some(Choice::Exact) => (policy, route) = (Arc::clone(&shared.exact), Route::ExactOnly),
        Some(Choice::Policy(own)) => policy = Arc::clone(own),
        Some(Choice::Off) | None => {}
    }
    (policy, RequestContext { dialect: target.dialect, model: target.model.clone(), route })
}

/// A body that was read.
pub(super) struct Input {
    pub(super) received: Bytes,
    pub(super) trailers: Option<Box<HeaderMap>>,
    /// What was received, decoded.
    pub(super) source: Bytes,
    /// Not of a batch.
    pub(super) scanned: Option<Scanned>,
}

impl Input {
    /// As they came.
    pub(super) fn bytes(&self) -> Option<u64> {
        Some(self.received.len() as u64)
    }

    /// The body as it came.
    pub(super) fn replay<B>(self) -> Replay<B> {
        Replay::buffered(self.received, self.trailers)
    }
}

/// Reads, decodes and scans; or says why not, with all that is needed to go on.
pub(super) async fn receive<B>(
    shared: &Shared,
    head: &Parts,
    body: B,
    target: &Target,
    context: &RequestContext,
) -> Result<Input, (Replay<B>, Skipped)>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let Shared { engine, limits, pool, .. } = shared;
    let (received, trailers) = match collect(body, limits.request_bytes).await {
        Collected::Whole(received, trailers) => (received, trailers),
        Collected::Cut(body, why) => return Err((body, why)),
    };
    let source = match Coding::of(&head.headers) {
        None => Some(received.clone()),
        Some(coding) => coding.decode(&received, limits.request_bytes, limits, pool).await,
    };
    let Some(source) = source else {
        return Err((Replay::buffered(received, trailers), Skipped::Encoded));
    };
    if route::foreign(head.uri.path(), &source) {
        return Err((Replay::buffered(received, trailers), Skipped::Unscannable));
    }
    if target.purpose == Purpose::Batch {
        return Ok(Input { received, trailers, source, scanned: None });
    }
    // Beside what rewriting new text takes: what was seen before is known some 250 times as fast, what
    // was not is scanned 25 times as fast. Known messages are gone through again where the model or the
    // prompt is another.
    let length = source.len();
    let known = {
        let (engine, source, context) = (engine.clone(), source.clone(), context.clone());
        pool.run(length / 250, move || engine.receive(source, &context)).await
    };
    let scanned = match known {
        Some(Ok(known)) => pool.run(known.unread().max(length / 8) / 25, move || known.scan()).await,
        Some(Err(why)) => Some(Err(why)),
        None => None,
    };
    match scanned {
        Some(Ok(scanned)) => Ok(Input { received, trailers, source, scanned: Some(scanned) }),
        Some(Err(_)) => Err((Replay::buffered(received, trailers), Skipped::Unscannable)),
        None => Err((Replay::buffered(received, trailers), Skipped::Aborted)),
    }
}

/// What goes out: what was received, byte for byte, unless its source was rewritten.
pub(super) fn outgoing(
    body: Bytes,
    input: Input,
    headers: &mut HeaderMap,
) -> (Bytes, Option<Box<HeaderMap>>) {
    if same(&body, &input.source) {
        return (input.received, input.trailers);
    }
    request::repair_request(headers, body.len());
    (body, None)
}
