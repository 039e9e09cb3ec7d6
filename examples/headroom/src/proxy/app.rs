//! The proxy put together: which path is answered by whom.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::State,
    middleware,
    routing::{get, post},
};
use headroom_tower::{HandleKey, Headroom, HeadroomLayer, LedgerStore, Limits, Policy, RequestPolicy};
use http::{HeaderName, Request, Response, header};
use tower::{Layer as _, ServiceExt as _};
use tower_http::{
    catch_panic::CatchPanicLayer, limit::RequestBodyLimitLayer,
    sensitive_headers::SetSensitiveRequestHeadersLayer, trace::TraceLayer,
};

use super::{
    admin,
    client::Network,
    cloud::Cloud,
    forward::Forward,
    guard,
    observe::Observer,
    store::Kept,
    upstream::Upstreams,
    wire::{Why, Wire},
};
use crate::config::{Backend, Config, Mode, Secret};

/// What the client asks for instead of what the proxy was told: `off` or `exact`.
const MODE: &str = "x-headroom-mode";

/// What all requests share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) layer: HeadroomLayer,
    pub(crate) observer: Arc<Observer>,
    pub(crate) token: Option<Secret>,
    pub(crate) upstreams: Upstreams,
    pub(crate) ledger: Option<Arc<dyn LedgerStore>>,
    pub(crate) heavy: tokio::sync::Semaphore,
    service: Headroom<Forward>,
}

impl App {
    /// # Errors
    /// If the layer cannot work as configured.
    pub(crate) fn new(
        config: &Config,
        network: &Network,
        upstreams: Upstreams,
        cloud: Option<Cloud>,
        kept: &Kept,
    ) -> Result<Arc<Self>, headroom_tower::BuildError> {
        let policy = match config.mode {
            Mode::On => Policy::default(),
            Mode::Exact => Policy::exact(),
            Mode::Off => Policy::off(),
        };
        let limits = Limits::default().request_bytes(config.max_body_bytes);
        let mut builder = kept.give(HeadroomLayer::builder().lazy().policy(policy).limits(limits));
        builder = match config.single_tenant {
            true => builder.single_tenant(),
            false => builder.tenant_by_credential(),
        };
        if let Some(key) = &config.handle_key {
            builder = builder.handle_key(HandleKey::derive(key.reveal().as_bytes()));
        }
        if config.backend == Some(Backend::Bedrock) {
            // What clients have signed is signed anew below, with the proxy's own credentials.
            builder = builder.resign(|_, _| ());
        }
        let layer = builder.build()?;
        Ok(Arc::new(Self {
            service: layer.layer(Forward::new(network, upstreams.clone(), cloud)),
            layer,
            observer: Observer::new(config.recent),
            token: config.token.clone(),
            upstreams,
            ledger: kept.ledger(),
            heavy: tokio::sync::Semaphore::new(config.threads),
        }))
    }

    /// Every path that the proxy answers itself; all others go to an upstream.
    pub(crate) fn router(self: &Arc<Self>, config: &Config) -> Router {
        let secret =
            ["authorization", "x-api-key", "x-goog-api-key", "api-key", "cookie", "x-headroom-token"];
        let secret = secret.into_iter().map(HeaderName::from_static).chain([header::PROXY_AUTHORIZATION]);
        let span = |request: &Request<Body>| {
            // No query: some providers take keys there.
            tracing::info_span!(target: "headroom", "request", method = %request.method(), path = request.uri().path())
        };
        Router::new()
            .route("/", get(admin::root))
            .route("/healthz", get(admin::health::live))
            .route("/readyz", get(admin::health::ready))
            .route("/metrics", get(admin::metrics))
            .route("/stats", get(admin::stats))
            .route("/dashboard", get(crate::dashboard::page))
            .route("/v1/compress", post(admin::compress::compress))
            .route("/v1/retrieve", post(admin::retrieve::retrieve))
            .fallback(proxy)
            .with_state(Arc::clone(self))
            .layer(RequestBodyLimitLayer::new(config.max_body_bytes))
            .layer(middleware::from_fn_with_state(Arc::clone(self), guard::guard))
            .layer(CatchPanicLayer::custom(|_| {
                Wire::OpenAi.error(Why::Internal, "headroom: a bug; the request was given up.")
            }))
            .layer(TraceLayer::new_for_http().make_span_with(span).on_failure(()))
            .layer(SetSensitiveRequestHeadersLayer::new(secret))
    }

    /// Says where it listens and who will be asked.
    pub(crate) fn announce(&self, address: SocketAddr) {
        for upstream in self.upstreams.all() {
            let name = upstream.name();
            tracing::info!(upstream = name, "upstream");
            if upstream.is_exposed() {
                tracing::warn!(upstream = name, "credentials go there without encryption");
            }
        }
        tracing::info!(%address, "listening");
    }

    /// The store's answer to a question that it must ask the database.
    pub(crate) async fn store_answers(&self) -> bool {
        let Some(ledger) = &self.ledger else { return true };
        let keys = [headroom_tower::LedgerKey::from_bytes([0; 32])];
        let asked = ledger.get_many(headroom_tower::Scope::shared(), &keys);
        matches!(tokio::time::timeout(Duration::from_secs(2), asked).await, Ok(Ok(_)))
    }
}

/// A request's way through the layer to its upstream and back.
async fn proxy(State(app): State<Arc<App>>, mut request: Request<Body>) -> Response<Body> {
    let mode = request.headers().get(MODE).map(|mode| mode.as_bytes().to_ascii_lowercase());
    match mode.as_deref() {
        Some(b"off") => drop(request.extensions_mut().insert(RequestPolicy::off())),
        Some(b"exact") => drop(request.extensions_mut().insert(RequestPolicy::exact())),
        _ => {}
    }
    let exchange = app.observer.begin(&mut request);
    let response = match app.service.clone().oneshot(request).await {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    };
    exchange.answered(response)
}
