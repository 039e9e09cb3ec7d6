//! Streamable HTTP: `/mcp` of one address.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use tokio::net::TcpListener;

use super::server::Server;
use crate::{
    config::Secret,
    exit::{Failure, tell},
    proxy::shutdown,
};

/// The longest request: a text to compress.
const LONGEST: usize = 64 << 20;

/// Serves until it is told to stop.
///
/// Beyond this machine a token is asked for. Browsers are kept out: a `Host` must be one of ours,
/// and an `Origin` is none.
pub(super) async fn serve(
    server: Server,
    address: SocketAddr,
    token: Option<Secret>,
    hosts: Vec<String>,
) -> Result<(), Failure> {
    if !address.ip().is_loopback() && token.is_none() {
        let why = format!("--http {address} lets other machines in: set --token (HEADROOM_MCP_TOKEN)");
        return Err(Failure::wrong(why));
    }
    if token.as_ref().is_some_and(|token| token.reveal().is_empty()) {
        return Err(Failure::wrong("--token (HEADROOM_MCP_TOKEN) is empty"));
    }
    let listener = TcpListener::bind(address).await;
    let listener = listener
        .map_err(|error| Failure::failed(format_args!("--http: cannot listen at {address}: {error}")))?;
    let address = listener.local_addr().map_err(Failure::failed)?;

    let known = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let ours = [address.ip().to_string()].into_iter().filter(|_| !address.ip().is_unspecified());
    let mut config = StreamableHttpServerConfig::default()
        .with_allowed_hosts(known.into_iter().chain(ours).chain(hosts))
        .enforce_origin_validation();
    config.max_request_body_bytes = LONGEST;
    let stop = config.cancellation_token.clone();
    let sessions = Arc::new(LocalSessionManager::default());
    let service = StreamableHttpService::new(move || Ok(server.clone()), sessions, config);

    let guarded = middleware::from_fn_with_state(token, admit);
    let router = Router::new().nest_service("/mcp", service).layer(guarded);
    tell(format_args!("listening at http://{address}/mcp"));
    let mut signals = shutdown::Signals::listen().map_err(Failure::failed)?;
    let stopped = async move {
        signals.told().await;
        stop.cancel();
    };
    axum::serve(listener, router).with_graceful_shutdown(stopped).await.map_err(Failure::failed)
}

/// Asks for the token, if there is one.
async fn admit(State(token): State<Option<Secret>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, given) = value.as_bytes().split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(given)
    });
    match token {
        Some(token) if !given.is_some_and(|given| token.is(given)) => {
            (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response()
        }
        _ => next.run(request).await,
    }
}
