//! The layer around clients that do not speak `http`'s types (feature `reqwest`).

mod body;
#[cfg(feature = "reqwest-middleware")]
mod middleware;
mod service;

use std::{
    fmt,
    future::poll_fn,
    task::{Context, Poll},
};

use tower_layer::Layer as _;
use tower_service::Service;

#[cfg(feature = "reqwest-middleware")]
pub use self::middleware::HeadroomMiddleware;
pub use self::service::{ReqwestFuture, ReqwestService};
use crate::{Headroom, HeadroomLayer, RequestPolicy};

/// A [`reqwest::Client`] with the layer around it: takes and gives `reqwest`'s own types (feature
/// `reqwest`).
///
/// ```no_run
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// use headroom_tower::{HeadroomClient, HeadroomLayer};
///
/// let http = reqwest::Client::new();
/// let smaller = HeadroomClient::new(&HeadroomLayer::new(), http.clone());
///
/// let request = http.post("https://api.anthropic.com/v1/messages");
/// let request = request.header("content-type", "application/json").body("{}").build()?;
/// let response = smaller.execute(request).await?;
/// println!("{:?}", response.extensions().get::<headroom_tower::Report>());
/// # Ok(()) }
/// ```
///
/// It is also a `Service<reqwest::Request>`. `C` may be any service of that kind, such as
/// `reqwest_middleware::ClientWithMiddleware`: what it adds (retries, credentials) stands below the
/// layer, and every call of a retrieval passes through it. See [`ReqwestService`] for what else
/// stands below.
#[derive(Clone)]
pub struct HeadroomClient<C = reqwest::Client> {
    stack: Headroom<ReqwestService<C>>,
}

impl<C> HeadroomClient<C> {
    /// `client` with `layer` around it. It shares the layer's stores and costs.
    pub fn new(layer: &HeadroomLayer, client: C) -> Self {
        Self { stack: layer.layer(ReqwestService::new(client)) }
    }
}

impl<C> HeadroomClient<C>
where
    C: Service<reqwest::Request, Response = reqwest::Response> + Clone + Send + 'static,
    C::Future: Send + 'static,
    C::Error: From<reqwest::Error> + 'static,
{
    /// Sends `request`.
    ///
    /// # Errors
    /// The client's own.
    pub async fn execute(&self, request: reqwest::Request) -> Result<reqwest::Response, C::Error> {
        self.send(request, None).await
    }

    /// Sends `request` under a policy of its own; `reqwest` keeps the extensions of its requests to
    /// itself, so it cannot be put there.
    ///
    /// # Errors
    /// The client's own.
    pub async fn execute_with(
        &self,
        request: reqwest::Request,
        policy: RequestPolicy,
    ) -> Result<reqwest::Response, C::Error> {
        self.send(request, Some(policy)).await
    }

    async fn send(
        &self,
        request: reqwest::Request,
        policy: Option<RequestPolicy>,
    ) -> Result<reqwest::Response, C::Error> {
        let mut request = http::Request::<reqwest::Body>::try_from(request)?;
        if let Some(policy) = policy {
            request.extensions_mut().insert(policy);
        }
        let mut stack = self.stack.clone();
        poll_fn(|cx| poll_ready(&mut stack, cx)).await?;
        Ok(back(stack.call(request).await?))
    }
}

impl<C> Service<reqwest::Request> for HeadroomClient<C>
where
    C: Service<reqwest::Request, Response = reqwest::Response> + Clone + Send + 'static,
    C::Future: Send + 'static,
    C::Error: From<reqwest::Error> + Send + 'static,
{
    type Response = reqwest::Response;
    type Error = C::Error;
    type Future = ReqwestFuture<reqwest::Response, C::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), C::Error>> {
        poll_ready(&mut self.stack, cx)
    }

    fn call(&mut self, request: reqwest::Request) -> Self::Future {
        // The instance that was polled ready makes the call.
        let called = http::Request::try_from(request).map(|request| self.stack.call(request));
        ReqwestFuture::new(async move { Ok(back(called?.await?)) })
    }
}

impl<C> fmt::Debug for HeadroomClient<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeadroomClient").finish_non_exhaustive()
    }
}

fn poll_ready<C>(stack: &mut Headroom<ReqwestService<C>>, cx: &mut Context<'_>) -> Poll<Result<(), C::Error>>
where
    C: Service<reqwest::Request, Response = reqwest::Response> + Clone + Send + 'static,
    C::Future: Send + 'static,
    C::Error: From<reqwest::Error> + 'static,
{
    <_ as Service<http::Request<reqwest::Body>>>::poll_ready(stack, cx)
}

/// As `reqwest` gives it: its URL comes from the extension that [`ReqwestService`] left.
fn back(response: http::Response<crate::ResponseBody<reqwest::Body>>) -> reqwest::Response {
    response.map(reqwest::Body::wrap).into()
}

#[cfg(test)]
mod tests;
