//! `reqwest` as a service of `http`'s types.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::Body;
use reqwest::ResponseBuilderExt as _;
use sync_wrapper::SyncWrapper;
use tower_service::Service;

use super::body::outgoing;
use crate::body::BoxError;

/// [`reqwest::Client`] as a `Service<http::Request<B>>`, to put layers around (feature `reqwest`).
///
/// ```no_run
/// use headroom_tower::{HeadroomLayer, ReqwestService};
/// use tower::{ServiceBuilder, ServiceExt as _};
///
/// # async fn f(request: http::Request<reqwest::Body>) -> Result<(), Box<dyn std::error::Error>> {
/// let client = ServiceBuilder::new()
///     .layer(HeadroomLayer::new())
///     .service(ReqwestService::new(reqwest::Client::new()));
/// let response = client.oneshot(request).await?;
/// // As reqwest's own, URL included:
/// let response = reqwest::Response::from(response.map(reqwest::Body::wrap));
/// # Ok(()) }
/// ```
///
/// URIs are absolute. All that the client does stands below the layers: default headers, cookies,
/// redirects, decompression, and time-outs, which are a call's: a request in which the model asks
/// for originals makes several. A body that lies in memory goes as bytes, so that redirects and
/// retries can send it again; one that is live is streamed. The library brings no TLS: take
/// `reqwest`'s feature of your choice.
#[derive(Clone, Debug)]
pub struct ReqwestService<C = reqwest::Client> {
    client: C,
}

impl<C> ReqwestService<C> {
    /// `client`, or any service of `reqwest`'s types.
    pub fn new(client: C) -> Self {
        Self { client }
    }
}

impl<C, B> Service<http::Request<B>> for ReqwestService<C>
where
    C: Service<reqwest::Request, Response = reqwest::Response> + Clone + Send + 'static,
    C::Future: Send + 'static,
    C::Error: From<reqwest::Error> + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = http::Response<reqwest::Body>;
    type Error = C::Error;
    type Future = ReqwestFuture<http::Response<reqwest::Body>, C::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        self.client.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        // The instance that was polled ready is the one to call; its clone is not ready.
        let clone = self.client.clone();
        let mut ready = std::mem::replace(&mut self.client, clone);
        ReqwestFuture::new(async move {
            let (head, body) = request.into_parts();
            let body = outgoing(body).await;
            let request = reqwest::Request::try_from(http::Request::from_parts(head, body))?;
            Ok(incoming(ready.call(request).await?))
        })
    }
}

/// Keeps the URL that answered, which may be another one than was asked: `reqwest` reads it from
/// an extension when the response becomes its own again.
fn incoming(response: reqwest::Response) -> http::Response<reqwest::Body> {
    let url = response.url().clone();
    let mut response = http::Response::<reqwest::Body>::from(response);
    if let Ok(marked) = http::Response::builder().url(url).body(()) {
        response.extensions_mut().extend(marked.into_parts().0.extensions);
    }
    response
}

type Call<R, E> = Pin<Box<dyn Future<Output = Result<R, E>> + Send>>;

/// The future of [`ReqwestService`]'s and [`HeadroomClient`](super::HeadroomClient)'s response.
pub struct ReqwestFuture<R, E> {
    inner: SyncWrapper<Call<R, E>>,
}

impl<R, E> ReqwestFuture<R, E> {
    pub(super) fn new(future: impl Future<Output = Result<R, E>> + Send + 'static) -> Self {
        Self { inner: SyncWrapper::new(Box::pin(future)) }
    }
}

impl<R, E> Future for ReqwestFuture<R, E> {
    type Output = Result<R, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.inner.get_mut().as_mut().poll(cx)
    }
}

impl<R, E> fmt::Debug for ReqwestFuture<R, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReqwestFuture").finish_non_exhaustive()
    }
}
