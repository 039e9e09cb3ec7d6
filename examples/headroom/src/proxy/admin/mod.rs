//! What the proxy answers itself.

pub(crate) mod compress;
pub(crate) mod health;
pub(crate) mod report;
pub(crate) mod retrieve;

use std::sync::Arc;

use axum::{body::Body, extract::State};
use http::{HeaderValue, Response, header};
use serde_json::{Value, json};

use super::{app::App, wire::Why};

/// `GET /`: what this is.
pub(crate) async fn root() -> Response<Body> {
    json(&json!({
        "name": "headroom",
        "version": env!("CARGO_PKG_VERSION"),
        "paths": ["/dashboard", "/healthz", "/readyz", "/metrics", "/stats", "/v1/compress", "/v1/retrieve"],
        "use": "set ANTHROPIC_BASE_URL or OPENAI_BASE_URL of a client to this address",
    }))
}

/// `GET /stats`.
pub(crate) async fn stats(State(app): State<Arc<App>>) -> Response<Body> {
    json(&app.observer.stats(&app.layer))
}

/// `GET /metrics`.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response<Body> {
    typed("text/plain; version=0.0.4; charset=utf-8", app.observer.metrics())
}

fn json(value: &Value) -> Response<Body> {
    typed("application/json", value.to_string())
}

fn typed(kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Why a body is not what this path `takes`.
fn not_asked(takes: &str, why: &serde_json::Error) -> String {
    // Of an array it would say what only this program knows.
    match why.to_string().split_once(", expected struct") {
        Some(_) => format!("the body is a JSON object: {takes}"),
        None => format!("{why}; the body is {takes}"),
    }
}

/// `{"error": {"code", "message"}}`.
fn error(why: Why, message: &str) -> Response<Body> {
    let mut response = json(&json!({"error": {"code": why.name(), "message": message}}));
    *response.status_mut() = why.status();
    response.extensions_mut().insert(why);
    response
}
