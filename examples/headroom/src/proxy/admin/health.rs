//! Whether it runs, and whether it can do its work.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use http::{Response, StatusCode};
use serde_json::json;

use crate::proxy::app::App;

/// `GET /healthz`: it answers, so it lives.
pub(crate) async fn live() -> Response<Body> {
    super::json(&json!({"status": "ok"}))
}

/// `GET /readyz`: the database answers. Upstreams are named, not asked: what they think of a key is
/// between them and clients.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response<Body> {
    let shared = app.ledger.is_some();
    let up = app.store_answers().await;
    let store = match (shared, up) {
        (false, _) => "memory",
        (true, true) => "up",
        (true, false) => "down",
    };
    let upstreams: Vec<String> = app.upstreams.all().iter().map(|upstream| upstream.name()).collect();
    let mut response = super::json(&json!({"ready": up, "store": store, "upstreams": upstreams}));
    if !up {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    response
}
