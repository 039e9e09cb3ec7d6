//! One question about a long log, for the examples: the model reads the log with the client's tool,
//! asks for what was left out of it, and quotes a line that only the original has.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use headroom_tests::{Dialect, client::{http, post, read}, investigation};
//! use headroom_tower::HeadroomLayer;
//! use tower::{ServiceBuilder, ServiceExt as _};
//!
//! let provider = investigation::provider().await;
//! let client = ServiceBuilder::new().layer(HeadroomLayer::new()).service(http());
//! let body = investigation::request(Dialect::Anthropic, false);
//! let response = client.oneshot(post(&provider.endpoint(Dialect::Anthropic), body)).await.unwrap();
//! let answer = read(Dialect::Anthropic, response).await.unwrap().text();
//! let proof = investigation::proof(&provider, &answer).unwrap();
//! assert!(proof.received < proof.original / 2);
//! # });
//! ```

use std::fmt;

use headroom_engine::ccr::Marker;
use serde_json::{Value, json};

use crate::{
    Dialect,
    provider::{Block, Provider, RETRIEVAL_TOOL, Received, Reply, Script, Turn},
};

/// What the user asks.
pub const QUESTION: &str = "Was the orders service healthy this morning?";

/// The client's tool that returns [`log`].
pub const TOOL: &str = "read_log";

/// What the tool is for.
pub const PURPOSE: &str = "Reads the log of a service.";

/// What every call for an original starts its id with.
const LOOK: &str = "call_look";

/// A double whose model investigates.
pub async fn provider() -> Provider {
    Provider::start(Detective).await
}

/// 1,500 lines, and nothing to see.
#[must_use]
pub fn log() -> String {
    let mut state = 7_u64;
    let mut next = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let lines = (0..1_500).map(|at| {
        let (minute, second, milli) = (at / 60 % 60, at % 60, next(1000));
        let (order, hall, took) = (40_000 + next(9_000), 1 + next(9), 380 + next(60));
        format!("2026-11-02T08:{minute:02}:{second:02}.{milli:03}Z INFO orders: order {order} packed in hall {hall} after {took} ms\n")
    });
    lines.collect()
}

/// The tool's parameters, as a JSON schema.
#[must_use]
pub fn parameters() -> Value {
    json!({"type": "object", "properties": {"service": {"type": "string"}}, "required": ["service"]})
}

/// A request whose last message is the log, for clients that run no loop of their own.
///
/// # Panics
/// For dialects other than Anthropic Messages and OpenAI Chat.
#[must_use]
pub fn request(dialect: Dialect, stream: bool) -> String {
    let body = match dialect {
        Dialect::Anthropic => json!({
            "model": "claude-opus-5-5", "max_tokens": 1000, "stream": stream,
            "tools": [{"name": TOOL, "description": PURPOSE, "input_schema": parameters()}],
            "messages": [
                {"role": "user", "content": QUESTION},
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": "call_log", "name": TOOL, "input": {"service": "orders"}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "call_log", "content": log()},
                ]},
            ],
        }),
        Dialect::OpenAi => json!({
            "model": "gpt-5.5", "stream": stream,
            "tools": [{"type": "function", "function":
                {"name": TOOL, "description": PURPOSE, "parameters": parameters()}}],
            "messages": [
                {"role": "user", "content": QUESTION},
                {"role": "assistant", "content": null, "tool_calls": [{"id": "call_log", "type": "function",
                    "function": {"name": TOOL, "arguments": r#"{"service":"orders"}"#}}]},
                {"role": "tool", "tool_call_id": "call_log", "content": log()},
            ],
        }),
        other => panic!("no example speaks {other:?}"),
    };
    body.to_string()
}

/// The model: it reads the log, asks for what was left out, and quotes from it.
#[derive(Clone, Copy, Debug)]
pub struct Detective;

impl Script for Detective {
    fn answer(&self, request: &Received) -> Reply {
        let results = request.results();
        if let Some((_, original)) = results.iter().find(|(id, _)| id.starts_with(LOOK)) {
            let quote = original.lines().find(|line| line.contains("packed")).unwrap_or("nothing came back");
            return Turn::text(format!("It was. The original says: {quote}")).into();
        }
        let Some((_, shown)) = results.last() else {
            return Turn::new([Block::call("call_log", TOOL, json!({"service": "orders"}))]).into();
        };
        let listed = request.tools().any(|name| name == RETRIEVAL_TOOL);
        match marker(shown).filter(|_| listed) {
            Some(marker) => Turn::new([look(&marker)]).into(),
            None => Turn::text("Nothing was left out.").into(),
        }
    }
}

fn look(marker: &Marker) -> Block {
    let handle = marker.handle().map(|handle| handle.to_string());
    let range = format!("{}-{}", marker.first(), marker.last().min(marker.first() + 9));
    Block::call(format!("{LOOK}_0"), RETRIEVAL_TOOL, json!({"handle": handle, "range": range}))
}

/// The first marker with a handle.
fn marker(shown: &str) -> Option<Marker> {
    let markers = shown.match_indices("[~").filter_map(|(at, _)| Marker::parse_prefix(&shown[at..]));
    markers.map(|(marker, _)| marker).find(|marker| marker.handle().is_some())
}

/// What the provider saw.
#[derive(Clone, Copy, Debug)]
pub struct Proof {
    /// Bytes of the log.
    pub original: usize,
    /// Bytes of it in the first request that brought it.
    pub received: usize,
    /// Requests that the provider got.
    pub requests: usize,
}

/// Checks that the layer did its work between the client, which heard `answer`, and `provider`.
///
/// # Errors
/// What was missing: a smaller log, the call for the original, the line that it brought; or what
/// should not have been heard.
pub fn proof(provider: &Provider, answer: &str) -> Result<Proof, String> {
    let (log, requests) = (log(), provider.received());
    if let Some(rejection) = requests.iter().find_map(|request| request.rejection()) {
        return Err(format!("the provider refused a request: {rejection:?}"));
    }
    let shown = requests.iter().find_map(|request| request.results().pop()).map(|(_, shown)| shown);
    let shown = shown.ok_or("no request brought the log")?;
    if shown.len() * 2 > log.len() {
        return Err(format!("{} of {} bytes of the log were sent", shown.len(), log.len()));
    }
    let quote = answer.split("The original says: ").nth(1).map(str::trim);
    let quote = quote.ok_or_else(|| format!("nothing was retrieved: {answer:?}"))?;
    if !log.lines().any(|line| line == quote) || shown.contains(quote) {
        return Err(format!("{quote:?} is no line that was left out"));
    }
    if answer.contains(RETRIEVAL_TOOL) || answer.contains(LOOK) {
        return Err(format!("the client heard of the retrieval: {answer:?}"));
    }
    Ok(Proof { original: log.len(), received: shown.len(), requests: requests.len() })
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { original, received, requests } = self;
        write!(
            f,
            "the provider got {received} of {original} bytes of the log in the first of {requests} requests, \
             and the model got back what it asked for"
        )
    }
}
