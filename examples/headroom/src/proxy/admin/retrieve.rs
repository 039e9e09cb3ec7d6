//! `POST /v1/retrieve`: what a marker stands for.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use headroom_engine::ccr::{Arguments, Handle, answer};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::{error, not_asked};
use crate::proxy::{app::App, wire::Why};

const TAKES: &str = r#"{"handle", "query"?, "range"?, "whole"?, "budget"?}"#;

/// What is asked for. `handle`, `query` and `range` are as the retrieval tool's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    handle: Box<RawValue>,
    query: Option<Box<RawValue>>,
    range: Option<Box<RawValue>>,
    /// The whole original, byte for byte, in place of a page of it.
    #[serde(default)]
    whole: bool,
    /// The most tokens of an answer that is not whole.
    budget: Option<usize>,
}

/// Answers `{"handle", "query"?, "range"?, "whole"?, "budget"?}` with `{"handle", "text"}`: 404 if
/// the sender may not have it or nobody does, which look alike.
pub(crate) async fn retrieve(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return error(Why::BadRequest, "the body broke off, or is too large");
    };
    let asked: Asked = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(why) => return error(Why::BadRequest, &not_asked(TAKES, &why)),
    };
    // The tool's own reader: a model's ways of writing a handle are known there.
    let tool = json!({"handle": asked.handle, "query": asked.query, "range": asked.range});
    let arguments = match Arguments::parse(&tool.to_string()) {
        Ok(arguments) => arguments,
        Err(why) => return error(Why::BadRequest, &why.to_string()),
    };
    let Some(handle) = arguments.handle() else {
        return error(Why::BadRequest, "\"handle\" must be all 30 digits behind # in a marker");
    };
    let original = match app.layer.original(&head, handle).await {
        Ok(Some(original)) => original,
        Ok(None) => return error(Why::NotFound, &format!("no original has handle {handle}")),
        Err(_) => return error(Why::Unavailable, "the store does not answer: try once more"),
    };
    if asked.whole {
        return super::json(&json!({"handle": handle.to_string(), "text": original}));
    }
    let budget = asked.budget.unwrap_or_else(|| app.layer.policy().answer_limit());
    let text = page(&app, handle, arguments, original, budget).await;
    match text {
        Some(text) => super::json(&json!({"handle": handle.to_string(), "text": text})),
        None => error(Why::Internal, "a bug: the original could not be read"),
    }
}

/// Ranking a long original is heavy.
async fn page(
    app: &App,
    handle: Handle,
    arguments: Arguments,
    original: String,
    budget: usize,
) -> Option<String> {
    let engine = app.layer.engine().clone();
    let _turn = app.heavy.acquire().await.ok()?;
    let work = move || answer(&original, &answer::Request::of(handle, &arguments, budget), engine.counter());
    tokio::task::spawn_blocking(work).await.ok()
}
