//! One request's whole life.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use headroom_engine::{RequestContext, Route};
use http::{Request, Response, request::Parts};
use http_body::Body;
use tower_service::Service;

use crate::{
    body::{BoxError, Replay, RequestBody, ResponseBody},
    drive::{self, Upstream},
    future::ResponseFuture,
    layer::Shared,
    report::{Choice, MemoryReport, Report, RequestPolicy, Skipped},
    request::{self, Collected, Purpose, Target, collect},
    same,
};

/// The service that [`HeadroomLayer`](crate::HeadroomLayer) makes of an inner one.
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
struct Processed;

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
        // Post-Start: the first time that this is ready.
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let target = request::matches(&request, &self.shared.routes)
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
        ResponseFuture::exchange(exchange(Arc::clone(&self.shared), ready, request, target))
    }
}

/// Why a request of ours passes unread.
fn skip<B>(request: &Request<B>, shared: &Shared) -> Option<Skipped> {
    match request.extensions().get::<RequestPolicy>().map(RequestPolicy::choice) {
        Some(Choice::Off) => Some(Skipped::Off),
        _ => request::untouchable(request.headers(), shared.limits.request_bytes),
    }
}

/// The way of one request, from its first byte to the last of its response.
async fn exchange<S, B, R>(
    shared: Arc<Shared>,
    mut inner: S,
    request: Request<B>,
    target: Target,
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
    let stores = shared.stores(&head);
    let (source, trailers) = match collect(body, shared.limits.request_bytes).await {
        Collected::Whole(source, trailers) => (source, trailers),
        Collected::Cut(body, why) => return pass(inner, head, body, why).await,
    };
    let scanned = {
        let (engine, source) = (shared.engine.clone(), source.clone());
        // Scanning reads some 3 GB a second, a hundred times faster than rewriting.
        shared.pool.run(source.len() / 100, move || engine.scan(source, &context)).await
    };
    let Some(Ok(scanned)) = scanned else {
        let why = scanned.map_or(Skipped::Aborted, |_| Skipped::Unscannable);
        return pass(inner, head, Replay::buffered(source, trailers), why).await;
    };

    // Input Cached: what the ledger knows goes back to where the upstream saw it.
    let mut memory = MemoryReport::default();
    let records = stores.recorded(scanned.ledger_keys(), &mut memory).await;

    // Input Routed, Input Compressed: the engine does both, block by block.
    let new = scanned.new_bytes(&policy);
    let rewrite = shared.pool.run(new, move || scanned.rewrite(&policy, &records)).await;
    let Some(rewrite) = rewrite else {
        return pass(inner, head, Replay::buffered(source, trailers), Skipped::Aborted).await;
    };

    // Input Remembered: originals handed to the store, before anything names them.
    if target.purpose == Purpose::Answer {
        stores.keep(&rewrite.originals, &mut memory).await;
    }

    // Pre-Send: the headers made true.
    let body = if same(&rewrite.body, &source) {
        Replay::buffered(source, trailers)
    } else {
        request::repair_request(&mut head.headers, rewrite.body.len());
        Replay::buffered(rewrite.body, None)
    };
    if rewrite.continuation.is_some() {
        request::ask_plain(&mut head.headers);
    }
    head.extensions.insert(Processed);
    let report = Report::rewritten(rewrite.report, memory);
    let intercept = rewrite.continuation.map(|continuation| (continuation, head.clone()));
    let response = inner.call(Request::from_parts(head, RequestBody::new(body))).await?;

    // Post-Send: the response's head is here.
    let mut response = match intercept {
        None => response.map(ResponseBody::passthrough),
        Some((continuation, head)) => {
            let upstream = Upstream::new(inner, head);
            let limits = shared.limits.clone();
            drive::answer(continuation, response, upstream, stores, limits, report.clone()).await?
        }
    };

    // Response Received comes with the body's end.
    response.extensions_mut().insert(report);
    Ok(response)
}

/// What may be done to a request: the policy, and what can be done with its answer.
fn terms(head: &Parts, shared: &Shared, target: &Target) -> (Arc<headroom_engine::Policy>, RequestContext) {
    let durable_ledger = shared.ledger.durable();
    let mut policy = Arc::clone(&shared.policy);
    let mut route = match target.purpose {
        Purpose::Answer => Route::Intercepted { durable_ledger },
        Purpose::Count => Route::Mirror { durable_ledger },
    };
    match head.extensions.get::<RequestPolicy>().map(RequestPolicy::choice) {
        Some(Choice::Exact) => route = Route::ExactOnly,
        Some(Choice::Policy(own)) => policy = Arc::clone(own),
        Some(Choice::Off) | None => {}
    }
    (policy, RequestContext { dialect: target.dialect, model: None, route })
}

/// Sends a request that was read, as it came.
async fn pass<S, B, R>(
    mut inner: S,
    head: Parts,
    body: Replay<B>,
    why: Skipped,
) -> Result<Response<ResponseBody<R>>, S::Error>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>>,
{
    let response = inner.call(Request::from_parts(head, RequestBody::new(body))).await?;
    let mut response = response.map(ResponseBody::passthrough);
    response.extensions_mut().insert(Report::skipped_because(why));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use tower_layer::Layer;

    use super::*;
    use crate::{
        HeadroomLayer, Limits, Scope,
        testing::{Item, Probe, Refused, Script, bulk, eliding, json, read},
    };

    fn post(body: Script) -> Request<Script> {
        let request = Request::post("/v1/messages").header("content-type", "application/json");
        request.body(body).unwrap()
    }

    fn small() -> HeadroomLayer {
        HeadroomLayer::builder().limits(Limits::default().request_bytes(8)).build().unwrap()
    }

    async fn send<S, R>(service: &mut S, request: Request<Script>) -> Result<Response<R>, Refused>
    where
        S: Service<Request<Script>, Response = Response<R>, Error = Refused>,
    {
        poll_fn(|cx| service.poll_ready(cx)).await?;
        service.call(request).await
    }

    fn answered() -> Probe {
        Probe::new((0..4).map(|_| Ok(json(Script::text(&["{}"])))))
    }

    #[tokio::test]
    async fn what_is_not_ours_passes_through() {
        let probe = answered();
        let mut service = HeadroomLayer::new().layer(probe.clone());
        let request = Request::get("/v1/models").body(Script::text(&["a", "b"])).unwrap();
        let response = send(&mut service, request).await.unwrap();
        assert!(response.extensions().get::<Report>().is_none());
        assert_eq!(read(response.into_body()).await.0, "{}");
        assert_eq!(probe.bodies(), ["ab"]);
    }

    #[tokio::test]
    async fn what_is_skipped_says_why() {
        let probe = answered();
        let mut service = small().layer(probe.clone());
        let mut off = post(Script::text(&["{off}"]));
        off.extensions_mut().insert(RequestPolicy::off());
        let mut signed = post(Script::text(&["{signed}"]));
        signed.headers_mut().insert("signature-input", "sig=()".parse().unwrap());
        let large = post(Script::new([Item::Data("{too"), Item::Data(" large"), Item::Data("}")]));
        let unscannable = post(Script::text(&["not"]));
        for (request, why, body) in [
            (off, Skipped::Off, "{off}"),
            (signed, Skipped::Signed, "{signed}"),
            (large, Skipped::TooLarge, "{too large}"),
            (unscannable, Skipped::Unscannable, "not"),
        ] {
            let response = send(&mut service, request).await.unwrap();
            assert_eq!(response.extensions().get::<Report>().unwrap().skipped(), Some(why));
            assert_eq!(probe.bodies().last().unwrap(), body);
        }
    }

    #[tokio::test]
    async fn a_declared_length_above_the_limit_is_not_read() {
        let probe = answered();
        let mut service = small().layer(probe.clone());
        let body = Script::text(&["0123456789"]);
        let mut request = post(body.clone());
        request.headers_mut().insert("content-length", "10".parse().unwrap());
        let ready = |cx: &mut Context<'_>| Service::<Request<Script>>::poll_ready(&mut service, cx);
        poll_fn(ready).await.unwrap();
        let future = service.call(request);
        assert_eq!(body.polls(), 0);
        future.await.unwrap();
        let (head, sent) = probe.seen().remove(0);
        assert_eq!(
            (&head.headers["content-length"], sent.unwrap()),
            (&"10".parse().unwrap(), "0123456789".into())
        );
    }

    #[tokio::test]
    async fn the_inner_service_sees_a_read_error_where_it_was() {
        let probe = answered();
        let mut service = HeadroomLayer::new().layer(probe.clone());
        send(&mut service, post(Script::new([Item::Data("{"), Item::Error]))).await.unwrap();
        assert_eq!(probe.seen()[0].1, Err("the body broke".into()));
    }

    #[tokio::test]
    async fn nothing_to_do_changes_no_byte_and_no_header() {
        let probe = answered();
        let mut service = HeadroomLayer::new().layer(probe.clone());
        let mut request = post(Script::text(&["{\"mo", "del\": \"m\", \"messages\": []}"]));
        request.headers_mut().insert("content-md5", "kept".parse().unwrap());
        let before = request.headers().clone();
        let response = send(&mut service, request).await.unwrap();
        assert!(response.extensions().get::<Report>().unwrap().rewrite().is_some());
        let (head, body) = probe.seen().remove(0);
        assert_eq!((head.headers, body.unwrap()), (before, "{\"model\": \"m\", \"messages\": []}".into()));
    }

    #[tokio::test]
    async fn bulk_shrinks_and_the_headers_are_true() {
        let probe = answered();
        let mut service = eliding().layer(probe.clone());
        let source = bulk(false);
        let mut request = post(Script::text(&[source.clone().leak()]));
        request.headers_mut().insert("content-length", source.len().to_string().parse().unwrap());
        request.headers_mut().insert("content-digest", "stale".parse().unwrap());
        request.headers_mut().insert("accept-encoding", "gzip".parse().unwrap());
        let response = send(&mut service, request).await.unwrap();

        let report = response.extensions().get::<Report>().unwrap();
        let rewrite = report.rewrite().unwrap();
        assert!(rewrite.tokens_saved() > 0 && rewrite.tool_listed, "{rewrite:?}");
        let hidden: usize = rewrite.blocks.iter().map(|block| block.hidden.len()).sum();
        assert_eq!(report.memory().stored, hidden);

        let (head, body) = probe.seen().remove(0);
        let body = body.unwrap();
        assert!(body.len() < source.len());
        assert_eq!(head.headers["content-length"], body.len().to_string().as_str());
        assert_eq!(head.headers["accept-encoding"], "identity");
        assert!(!head.headers.contains_key("content-digest"));
        assert!(head.headers.keys().all(|name| !name.as_str().contains("headroom")));
    }

    #[tokio::test]
    async fn the_request_s_policy_wins() {
        let probe = answered();
        let mut service = HeadroomLayer::new().layer(probe.clone());
        for policy in [RequestPolicy::exact(), RequestPolicy::with(headroom_engine::Policy::off())] {
            let mut request = post(Script::text(&[bulk(false).leak()]));
            request.extensions_mut().insert(policy);
            let response = send(&mut service, request).await.unwrap();
            let rewrite = response.extensions().get::<Report>().unwrap().rewrite().unwrap().clone();
            assert!(!rewrite.tool_listed && rewrite.blocks.iter().all(|block| block.hidden.is_empty()));
            assert_eq!(probe.bodies().last().unwrap(), &bulk(false));
        }
    }

    #[tokio::test]
    async fn nested_layers_process_once() {
        let resolved = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&resolved);
        let layer = HeadroomLayer::builder().tenant(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Scope::shared()
        });
        let layer = layer.build().unwrap();
        let mut service = layer.layer(layer.layer(answered()));
        let request = post(Script::text(&["{\"model\":\"m\",\"messages\":[]}"]));
        let response = send(&mut service, request).await.unwrap();
        assert_eq!(resolved.load(Ordering::SeqCst), 1);
        assert!(response.extensions().get::<Report>().unwrap().rewrite().is_some());
    }

    #[tokio::test]
    async fn the_inner_error_is_the_only_one() {
        let mut service = HeadroomLayer::new().layer(Probe::new([Err(Refused)]));
        let request = post(Script::text(&["{\"model\":\"m\",\"messages\":[]}"]));
        assert_eq!(send(&mut service, request).await.unwrap_err(), Refused);
    }

    #[tokio::test]
    async fn each_call_takes_the_instance_that_was_ready() {
        let probe = answered();
        let mut service = HeadroomLayer::new().layer(probe.clone());
        for _ in 0..2 {
            send(&mut service, post(Script::text(&["{}"]))).await.unwrap();
            send(&mut service.clone(), post(Script::text(&["{}"]))).await.unwrap();
        }
        assert_eq!(probe.seen().len(), 4);
    }

    #[test]
    fn static_property_future_is_send_and_sync() {
        fn all<T: Send + Sync>(_: &T) {}
        let mut service = HeadroomLayer::new().layer(Plain);
        all(&service.call(post(Script::default())));
    }

    #[derive(Clone)]
    struct Plain;

    impl<B> Service<Request<RequestBody<B>>> for Plain {
        type Response = Response<Script>;
        type Error = Refused;
        type Future = std::future::Ready<Result<Response<Script>, Refused>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Refused>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<RequestBody<B>>) -> Self::Future {
            std::future::ready(Err(Refused))
        }
    }
}
