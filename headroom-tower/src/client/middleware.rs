//! The layer at the end of a `reqwest-middleware` chain.

use async_trait::async_trait;
use http::Extensions;
use reqwest_middleware::{Error, Middleware, Next, Result};
use tower_service::Service;

use super::HeadroomClient;
use crate::{HeadroomLayer, RequestPolicy};

/// The layer as the *last* middleware of a `reqwest_middleware::ClientWithMiddleware` (feature
/// `reqwest-middleware`).
///
/// ```no_run
/// use headroom_tower::{HeadroomLayer, HeadroomMiddleware, RequestPolicy};
/// use reqwest_middleware::ClientBuilder;
///
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// let http = reqwest::Client::new();
/// let client = ClientBuilder::new(http.clone())
///     // .with(tracing, metrics, ...): these see one request, however often the model asks
///     .with(HeadroomMiddleware::new(&HeadroomLayer::new(), http))
///     .build();
///
/// let request = client.post("https://api.openai.com/v1/chat/completions");
/// // One that is to go as it is:
/// let request = request.with_extension(RequestPolicy::off());
/// # Ok(()) }
/// ```
///
/// It does not call the rest of the chain but the client it was given: follow-up calls of a stream
/// are made while the caller reads it, when the chain is no longer there to be called. So nothing
/// may stand behind it; retries and credentials, which want to stand below the layer, go into a
/// `ClientWithMiddleware` of their own that is given here in place of the plain client.
#[derive(Clone, Debug)]
pub struct HeadroomMiddleware<C = reqwest::Client> {
    client: HeadroomClient<C>,
}

impl<C> HeadroomMiddleware<C> {
    /// Sends through `client`, with `layer` around it.
    pub fn new(layer: &HeadroomLayer, client: C) -> Self {
        Self { client: HeadroomClient::new(layer, client) }
    }
}

#[async_trait]
impl<C> Middleware for HeadroomMiddleware<C>
where
    C: Service<reqwest::Request, Response = reqwest::Response> + Clone + Send + Sync + 'static,
    C::Future: Send + 'static,
    C::Error: From<reqwest::Error> + Into<Error> + Send + 'static,
{
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        _next: Next<'_>,
    ) -> Result<reqwest::Response> {
        let policy = extensions.get::<RequestPolicy>().cloned();
        self.client.send(request, policy).await.map_err(Into::into)
    }
}
