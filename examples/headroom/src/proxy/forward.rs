//! What stands below the layer: sends a request to its upstream and passes the answer on.

use std::{
    convert::Infallible,
    error::Error,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use headroom_tower::RequestBody;
use http::{HeaderValue, Method, Request, Response, Version, header};
use http_body_util::{BodyExt as _, Either, Full, LengthLimitError};
use tower::Service;

use super::{
    client::{HttpClient, Network},
    cloud::{Asked, Cloud, Refused},
    headers, model,
    observe::Stamp,
    tunnel,
    upstream::{Upstream, Upstreams},
    wire::{Why, Wire},
};

/// A request's body on its way out: as the layer made it, or with the gateway's name of the model.
pub(crate) type Outgoing = Either<RequestBody<Body>, Full<Bytes>>;

/// Asks upstreams; answers with an error of the provider's form where there is no answer. It never
/// asks twice.
#[derive(Clone, Debug)]
pub(crate) struct Forward(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    upstreams: Upstreams,
    cloud: Option<Cloud>,
    client: HttpClient<Outgoing>,
    sockets: HttpClient<Outgoing>,
}

impl Forward {
    pub(crate) fn new(network: &Network, upstreams: Upstreams, cloud: Option<Cloud>) -> Self {
        let (client, sockets) = (network.client(), network.socket_client());
        Self(Arc::new(Shared { upstreams, cloud, client, sockets }))
    }

    async fn send(self, mut request: Request<RequestBody<Body>>) -> Response<Body> {
        if let Some(stamp) = request.extensions().get::<Stamp>() {
            stamp.leaves();
        }
        let path = request.uri().path();
        let wire = Wire::of(path, request.headers());
        let upstream = self.0.upstreams.of(path, request.headers());
        let cloud = self.0.cloud.as_ref();
        if let Some((cloud, asked)) = cloud.and_then(|it| Some((it, it.asked(request.method(), path)?))) {
            return match self.ask(cloud, asked, upstream, request).await {
                Ok(response) => response,
                Err(Refused(why, message)) => wire.error(why, &message),
            };
        }
        let Some(uri) = request.uri().path_and_query().and_then(|asked| upstream.uri(asked)) else {
            return wire.error(Why::BadRequest, "headroom: this request names no path to pass on.");
        };
        *request.uri_mut() = uri;
        *request.version_mut() = Version::HTTP_11;
        let protocol = headers::upgrade(request.headers());
        headers::to_upstream(request.headers_mut());
        let answer = match protocol {
            Some(protocol) => {
                tunnel::through(request.map(Either::Left), protocol, |it| self.0.sockets.request(it)).await
            }
            None => {
                if request.method() == Method::POST {
                    plain(request.headers_mut());
                }
                match named(request, upstream).await {
                    Ok(request) => self.0.client.request(request).await.map(passed),
                    Err(error) => return unsent(wire, &*error),
                }
            }
        };
        answer.unwrap_or_else(|error| failed(wire, upstream, &error))
    }

    /// Asks a cloud, whose form of requests and answers is another.
    async fn ask(
        &self,
        cloud: &Cloud,
        asked: Asked,
        upstream: &Upstream,
        request: Request<RequestBody<Body>>,
    ) -> Result<Response<Body>, Refused> {
        let (mut head, body) = request.into_parts();
        let wire = Wire::of(head.uri.path(), &head.headers);
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return Ok(unsent(wire, &*error)),
        };
        headers::to_upstream(&mut head.headers);
        plain(&mut head.headers);
        let (path, body) = cloud.translate(asked, &mut head, body)?;
        let no_path = || Refused(Why::BadRequest, "headroom: this request names no path to pass on.".into());
        head.uri = upstream.uri(&path).ok_or_else(no_path)?;
        head.version = Version::HTTP_11;
        cloud.authorize(&mut head, &body).await?;
        let request = Request::from_parts(head, Either::Right(Full::new(body)));
        Ok(match self.0.client.request(request).await {
            Ok(mut response) => {
                headers::end_to_end(response.headers_mut());
                cloud.answer(asked, response).await
            }
            Err(error) => failed(wire, upstream, &error),
        })
    }
}

/// Asks for an answer that can be read on its way: what it cost is counted from it.
fn plain(headers: &mut http::HeaderMap) {
    if headers.contains_key(header::ACCEPT_ENCODING) {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
}

/// The request with the model's name as the gateway knows it.
async fn named(
    request: Request<RequestBody<Body>>,
    upstream: &Upstream,
) -> Result<Request<Outgoing>, headroom_tower::BoxError> {
    let Some(prefix) = upstream.prefix.as_deref().filter(|_| request.method() == Method::POST) else {
        return Ok(request.map(Either::Left));
    };
    let (mut head, body) = request.into_parts();
    let body = model::prefixed(&body.collect().await?.to_bytes(), prefix);
    if head.headers.contains_key(header::CONTENT_LENGTH) {
        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    Ok(Request::from_parts(head, Either::Right(Full::new(body))))
}

/// An answer as the client gets it: frame by frame.
fn passed(response: Response<hyper::body::Incoming>) -> Response<Body> {
    let mut response = response.map(Body::new);
    headers::end_to_end(response.headers_mut());
    response
}

/// No answer came.
fn failed(wire: Wire, upstream: &Upstream, error: &hyper_util::client::legacy::Error) -> Response<Body> {
    if find::<LengthLimitError>(error) || find::<BodyBroke>(error) {
        return unsent(wire, error);
    }
    let (name, cause) = (upstream.name(), cause(error));
    tracing::warn!(upstream = name, cause, "no answer");
    let message = if error.is_connect() {
        format!(
            "headroom could not connect to {name}: {cause}. Check the network, and {}.",
            upstream.setting()
        )
    } else {
        format!("headroom got no answer from {name}: {cause}. The request was not sent again; try once more.")
    };
    wire.error(Why::Unreachable, &message)
}

/// The client's body could not be read to its end.
fn unsent(wire: Wire, error: &(dyn Error + 'static)) -> Response<Body> {
    if find::<LengthLimitError>(error) {
        return too_large(wire);
    }
    wire.error(Why::BadRequest, "headroom: the request's body broke off.")
}

pub(crate) fn too_large(wire: Wire) -> Response<Body> {
    wire.error(
        Why::TooLarge,
        "headroom: the request's body is larger than --max-body-bytes (HEADROOM_MAX_BODY_BYTES) allows.",
    )
}

/// The innermost cause in its own words. Causes name hosts and errors of the system, not URLs.
pub(super) fn cause(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

type BodyBroke = axum::Error;

/// Whether an `E` is among the causes.
fn find<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<E>() {
            return true;
        }
        next = error.source();
    }
    false
}

impl Service<Request<RequestBody<Body>>> for Forward {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody<Body>>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { Ok(this.send(request).await) })
    }
}
