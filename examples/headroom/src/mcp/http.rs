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
use crate::exit::tell;

/// The longest request: a text to compress.
const LONGEST: usize = 64 << 20;

/// Serves until it is told to stop.
///
/// Beyond this machine a token is asked for. Browsers are kept out: a `Host` must be one of ours,
/// and an `Origin` is none.
pub(super) async fn serve(
    server: Server,
    address: SocketAddr,
    token: Option<&str>,
    hosts: Vec<String>,
) -> Result<(), String> {
    if !address.ip().is_loopback() && token.is_none() {
        return Err(format!("{address} can be reached by others: give a --token"));
    }
    let listener = TcpListener::bind(address).await.map_err(|error| format!("{address}: {error}"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;

    let known = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let ours = [address.ip().to_string()].into_iter().filter(|_| !address.ip().is_unspecified());
    let mut config = StreamableHttpServerConfig::default()
        .with_allowed_hosts(known.into_iter().chain(ours).chain(hosts))
        .enforce_origin_validation();
    config.max_request_body_bytes = LONGEST;
    let stop = config.cancellation_token.clone();
    let sessions = Arc::new(LocalSessionManager::default());
    let service = StreamableHttpService::new(move || Ok(server.clone()), sessions, config);

    let token = Token(token.map(Arc::from));
    let router =
        Router::new().nest_service("/mcp", service).layer(middleware::from_fn_with_state(token, admit));
    tell(format_args!("listening at http://{address}/mcp"));
    let stopped = async move {
        stopped().await;
        stop.cancel();
    };
    axum::serve(listener, router).with_graceful_shutdown(stopped).await.map_err(|error| error.to_string())
}

/// What clients must bear; `None` admits all.
#[derive(Clone)]
struct Token(Option<Arc<str>>);

impl Token {
    /// In a time that does not depend on where two differ.
    fn admits(&self, request: &Request) -> bool {
        let Some(token) = &self.0 else { return true };
        let given = request.headers().get(header::AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
        let Some((b"Bearer ", given)) = given.split_at_checked(7) else { return false };
        given.len() == token.len()
            && given.iter().zip(token.bytes()).fold(0, |differ, (one, other)| differ | (one ^ other)) == 0
    }
}

async fn admit(State(token): State<Token>, request: Request, next: Next) -> Response {
    if token.admits(&request) {
        return next.run(request).await;
    }
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response()
}

/// When the process is told to stop.
async fn stopped() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        let terminated = async {
            match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                Ok(mut signal) => signal.recv().await,
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupted => {}
            _ = terminated => {}
        }
    }
    #[cfg(not(unix))]
    let _ = interrupted.await;
}
