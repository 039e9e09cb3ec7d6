//! Requests about answers that the provider stores: read, listed, stopped, deleted, each under the
//! client's own ids and with nothing of ours.

use std::{future::poll_fn, sync::Arc};

use bytes::Bytes;
use headroom_engine::{
    Policy, Record,
    intercept::{Alias, Stored},
};
use http::{Method, Request, Response, Uri, header, request::Parts, uri::PathAndQuery};
use http_body::Body;
use tower_service::Service;

use crate::{
    body::{BoxError, Replay, RequestBody, ResponseBody},
    decode::Coding,
    layer::Shared,
    request::{self, Collected, collect, repair_json_response},
    route::{StoredPurpose, StoredTarget},
    same,
    service::Processed,
};

/// Answers a request about a stored answer.
pub(crate) async fn answer<S, B, R>(
    shared: Arc<Shared>,
    mut inner: S,
    request: Request<B>,
    target: StoredTarget,
) -> Result<Response<ResponseBody<R>>, S::Error>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    let (mut head, body) = request.into_parts();
    let known = shared.stores(&head).answer(shared.engine.stored_key(&target.id)).await;
    head.extensions.insert(Processed);
    let stored = match known {
        Ok(None) => {
            let request = Request::from_parts(head, RequestBody::passthrough(body));
            return Ok(inner.call(request).await?.map(ResponseBody::passthrough));
        }
        Ok(Some(stored)) => stored,
        // What is ours can be told without it.
        Err(_) => Stored::unknown(&target.id, &shared.policy),
    };
    let id = match target.purpose {
        StoredPurpose::Answer | StoredPurpose::Delete => stored.last(),
        // Later rounds were given what the client never sent.
        StoredPurpose::Items => stored.first(),
    };
    let others = head.clone();
    head.uri = about(&head.uri, &target.path(id));
    request::ask_plain(&mut head.headers);
    let rest = inner.clone();
    let response = inner.call(Request::from_parts(head, RequestBody::passthrough(body))).await?;
    if target.purpose == StoredPurpose::Delete && response.status().is_success() {
        for id in stored.hidden_rounds() {
            delete(rest.clone(), &others, about(&others.uri, &target.path(id))).await;
        }
    }
    let told = |body| match target.purpose {
        StoredPurpose::Items => stored.items(body),
        StoredPurpose::Answer | StoredPurpose::Delete => stored.answer(body),
    };
    Ok(edited(response, &shared, told).await)
}

/// What a request was refused with, under the client's own ids.
pub(crate) async fn refused<R>(
    response: Response<R>,
    alias: Option<&Alias>,
    shared: &Shared,
) -> Response<ResponseBody<R>>
where
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    edited(response, shared, |body| alias.map_or(body.clone(), |alias| alias.undo(body))).await
}

/// The record of an answer that the ledger has lost though a call of ours waits in it, as the provider
/// tells it: without one, nothing could go on with it.
pub(crate) async fn recovered<S, B, R>(
    shared: &Shared,
    mut service: S,
    head: &Parts,
    id: &str,
    policy: &Policy,
) -> Option<Record>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>>,
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    // Whatever else it may be, it is no path.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if id.is_empty() || !id.bytes().all(plain) {
        return None;
    }
    let mut head = request::follow_up(head, &Bytes::new());
    head.method = Method::GET;
    head.headers.remove(header::CONTENT_TYPE);
    head.headers.remove(header::CONTENT_LENGTH);
    request::ask_plain(&mut head.headers);
    head.uri = about(&head.uri, &format!("{}/{id}", head.uri.path()));
    poll_fn(|cx| service.poll_ready(cx)).await.ok()?;
    let body = RequestBody::new(Replay::buffered(Bytes::new(), None));
    let response = service.call(Request::from_parts(head, body)).await.ok()?;
    if !response.status().is_success() {
        return None;
    }
    match collect(response.into_body(), shared.limits.response_bytes).await {
        Collected::Whole(data, _) => shared.engine.recovered(id, &data, policy),
        Collected::Cut(..) => None,
    }
}

/// A response with another body, if that can be read.
async fn edited<R>(
    response: Response<R>,
    shared: &Shared,
    edit: impl FnOnce(Bytes) -> Bytes,
) -> Response<ResponseBody<R>>
where
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    let Shared { limits, pool, .. } = shared;
    let (mut head, body) = response.into_parts();
    let (data, trailers) = match collect(body, limits.response_bytes).await {
        Collected::Whole(data, trailers) => (data, trailers),
        Collected::Cut(body, _) => return Response::from_parts(head, ResponseBody::new(body)),
    };
    let plain = match Coding::of(&head.headers) {
        None => Some(data.clone()).filter(|_| !request::is_encoded(&head.headers)),
        Some(coding) => coding.decode(&data, limits.response_bytes, limits, pool).await,
    };
    let told = plain.clone().map(edit);
    let Some(told) = told.filter(|told| plain.as_ref().is_some_and(|plain| !same(told, plain))) else {
        return Response::from_parts(head, ResponseBody::new(Replay::buffered(data, trailers)));
    };
    repair_json_response(&mut head.headers, told.len());
    Response::from_parts(head, ResponseBody::new(Replay::buffered(told, None)))
}

/// Deletes a round that the client does not know. That it fails is nobody's concern: it can be reached
/// from nowhere.
async fn delete<S, B, R>(mut service: S, head: &Parts, uri: Uri)
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>>,
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    const BYTES: usize = 64 << 10;
    let mut head = request::follow_up(head, &Bytes::new());
    head.uri = uri;
    head.extensions.insert(Processed);
    let ready = poll_fn(|cx| service.poll_ready(cx)).await.is_ok();
    if !ready {
        return;
    }
    let body = RequestBody::new(Replay::buffered(Bytes::new(), None));
    let response = service.call(Request::from_parts(head, body)).await.ok();
    if let Some(response) = response {
        // To its end, so that its connection can be used again.
        let _ = collect(response.into_body(), BYTES).await;
    }
}

/// The same address with another path.
fn about(uri: &Uri, path: &str) -> Uri {
    let path = uri.query().map_or(path.to_owned(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    match path.parse::<PathAndQuery>() {
        Ok(path) => parts.path_and_query = Some(path),
        Err(_) => return uri.clone(),
    }
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}
