//! Connections, and the life of one request.

use std::{
    convert::Infallible,
    io,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use headroom_engine::eventstream::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinSet};

use super::{
    State, binding,
    check::{self, Rejection},
    cloud::{Invoked, Place},
    prefix::Prefix,
    received::{Received, Usage},
    script::{Block, Fault, Reply, Turn},
    stream,
    wire::{self, Meta},
};
use crate::Dialect;

pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Accepts until it is dropped, and its connections with it.
pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        state.progress.send_modify(|progress| progress.connections += 1);
        let _ = socket.set_nodelay(true);
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(move |request| respond(request, Arc::clone(&state)));
            // A connection that breaks is the client's affair.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn respond(request: Request<Incoming>, state: Arc<State>) -> Result<Response<Body>, io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let path = head.uri.path().replace("%3A", ":");
    let path = path.as_str();
    let invoked = Invoked::by(path);
    let counting = path == "/v1/messages/count_tokens"
        || path == "/v1/responses/input_tokens"
        || invoked.as_ref().is_some_and(Invoked::counts);
    let all = [Dialect::Anthropic, Dialect::OpenAi, Dialect::Responses, Dialect::Gemini, Dialect::Converse];
    let streamed =
        path.strip_suffix(":streamGenerateContent").map(|model| format!("{model}:generateContent"));
    let streamed = streamed.or_else(|| path.strip_suffix("-stream").map(str::to_owned));
    let asked = match path.rsplit_once('/') {
        Some((answering, _)) if counting => answering,
        _ => streamed.as_deref().unwrap_or(path),
    };
    // Whatever the model is.
    let conversing = asked.starts_with("/model/") && asked.ends_with("/converse");
    let dialect = all.into_iter().find(|dialect| {
        head.method == http::Method::POST
            && (asked == dialect.path()
                || (invoked.is_some() && *dialect == Dialect::Anthropic)
                || (conversing && *dialect == Dialect::Converse))
    });
    let framed = invoked.as_ref().is_some_and(|invoked| invoked.cloud == Place::Amazon);
    let (received, number) = receive(&state, head, body, dialect, counting, invoked);
    let id = format!("{number:024}");
    let Some(dialect) = dialect else {
        let kept = state.log().keeping.answer(&received);
        return Ok(match kept {
            Some(Ok(json)) => whole(200, Dialect::Responses, &json, &id),
            Some(Err(rejection)) => refuse(Dialect::Responses, &rejection, &id),
            None => elsewhere(&received, &id),
        });
    };
    if let Some(rejection) = received.rejection() {
        return Ok(refuse(dialect, rejection, &id));
    }
    if counting {
        let name = if framed { "inputTokens" } else { "input_tokens" };
        return Ok(whole(200, dialect, &json!({name: received.prefix.total()}), &id));
    }
    match state.script.answer(&received) {
        Reply::Turn(turn) => say(&state, &received, dialect, framed, &turn, &id).await,
        Reply::Error { status, kind, message, headers } => {
            let mut response = refuse(dialect, &Rejection::new(status, kind, message), &id);
            for (name, value) in headers {
                response.headers_mut().insert(name, HeaderValue::try_from(value).map_err(io::Error::other)?);
            }
            Ok(response)
        }
        Reply::Raw { status, headers, body } => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(full(body)).map_err(io::Error::other)
        }
        Reply::Stall => std::future::pending().await,
    }
}

/// Parses, checks, prices and keeps a request.
fn receive(
    state: &State,
    head: http::request::Parts,
    body: Bytes,
    dialect: Option<Dialect>,
    counting: bool,
    invoked: Option<Invoked>,
) -> (Arc<Received>, usize) {
    let mut log = state.log();
    let mut received = Received {
        head,
        body,
        dialect,
        json: Value::Null,
        joined: None,
        prefix: Prefix::default(),
        usage: Usage::default(),
        output: OnceLock::new(),
        rejection: None,
    };
    if let Some(dialect) = dialect {
        let counted = invoked.as_ref().and_then(|invoked| invoked.counted(&received.body));
        match serde_json::from_slice::<Value>(counted.as_ref().unwrap_or(&received.body)) {
            Err(error) => received.rejection = Some(check::unreadable(dialect, &error)),
            Ok(mut json) => {
                let unlike = invoked.and_then(|invoked| invoked.as_message(&mut json).err());
                if counting && json.get("max_tokens").is_none() {
                    json["max_tokens"] = 1.into();
                }
                let (joined, unknown) = match log.keeping.joined(dialect, &json) {
                    Ok(joined) => (joined, Ok(())),
                    Err(unknown) => (None, Err(unknown)),
                };
                let read = joined.as_ref().unwrap_or(&json);
                received.prefix = Prefix::of(dialect, read, &mut log.counts);
                received.rejection = unlike
                    .map_or(Ok(()), Err)
                    .and(unknown)
                    .and_then(|()| check::check(dialect, read))
                    .and_then(|()| match dialect {
                        Dialect::Anthropic => {
                            binding::check(read, &received.prefix).map_err(Rejection::invalid)
                        }
                        Dialect::OpenAi | Dialect::Responses | Dialect::Gemini | Dialect::Converse => Ok(()),
                    })
                    .err();
                if received.rejection.is_none() && !counting {
                    received.usage = log.cache.price(dialect, &json, &received.prefix);
                }
                received.joined = joined;
                received.json = json;
            }
        }
    }
    let received = Arc::new(received);
    log.received.push(Arc::clone(&received));
    let number = log.received.len();
    drop(log);
    state.progress.send_modify(|progress| progress.requests = number);
    (received, number)
}

async fn say(
    state: &Arc<State>,
    received: &Received,
    dialect: Dialect,
    framed: bool,
    turn: &Turn,
    id: &str,
) -> Result<Response<Body>, io::Error> {
    let prefix = match dialect {
        Dialect::Anthropic => "msg_",
        Dialect::OpenAi => "chatcmpl-",
        Dialect::Responses => "resp_",
        Dialect::Gemini | Dialect::Converse => "",
    };
    let framed = dialect == Dialect::Converse || framed;
    let output = {
        let mut log = state.log();
        turn.blocks.iter().map(|block| words(block, &mut log.counts)).sum()
    };
    let _ = received.output.set(output);
    let meta = Meta { request: received, id: format!("{prefix}{id}"), output };
    if turn.fault.is_none() {
        state.log().keeping.keep(dialect, received, &meta.id, &wire::json(&meta, turn));
    }
    if received.stream() {
        let body = stream::body(Arc::clone(state), dialect, framed, turn, &wire::events(&meta, turn));
        let response = Response::builder()
            .header(
                header::CONTENT_TYPE,
                if framed { CONTENT_TYPE } else { "text/event-stream; charset=utf-8" },
            )
            .header(header::CACHE_CONTROL, "no-cache")
            .header(request_id(dialect), format!("req_{id}"));
        return response.body(body).map_err(io::Error::other);
    }
    for (_, gate) in &turn.gates {
        gate.opened().await;
    }
    let json = wire::json(&meta, turn);
    match &turn.fault {
        None => Ok(whole(200, dialect, &json, id)),
        Some((_, Fault::Error { kind, message })) => {
            let status = if *kind == "overloaded_error" { 529 } else { 500 };
            Ok(refuse(dialect, &Rejection::new(status, kind, message.as_str()), id))
        }
        Some((_, Fault::Stall)) => std::future::pending().await,
        Some((_, Fault::Eof | Fault::Reset)) => {
            let text = json.to_string();
            let half = Bytes::copy_from_slice(&text.as_bytes()[..text.len() / 2]);
            let mut response = whole(200, dialect, &json, id);
            *response.body_mut() = stream::broken(half);
            Ok(response)
        }
    }
}

fn words(block: &Block, counts: &mut super::prefix::Counts) -> usize {
    use headroom_engine::tokens::{O200k, TokenCounter as _};
    let text = match block {
        Block::Text(text) | Block::Thinking(text) => text.clone(),
        Block::Call { name, arguments, .. } => format!("{name}{arguments}"),
        Block::Other(value) => value.to_string(),
    };
    *counts.entry(*blake3::hash(text.as_bytes()).as_bytes()).or_insert_with(|| O200k.count(&text))
}

fn elsewhere(received: &Received, id: &str) -> Response<Body> {
    if received.head().uri.path() == "/v1/models" {
        return whole(200, Dialect::OpenAi, &json!({"object": "list", "data": []}), id);
    }
    refuse(Dialect::Anthropic, &Rejection::new(404, "not_found_error", "Not found"), id)
}

fn refuse(dialect: Dialect, rejection: &Rejection, id: &str) -> Response<Body> {
    whole(rejection.status(), dialect, &rejection.body(dialect, &format!("req_{id}")), id)
}

fn whole(status: u16, dialect: Dialect, json: &Value, id: &str) -> Response<Body> {
    let text = json.to_string();
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONTENT_LENGTH, text.len())
        .header(request_id(dialect), format!("req_{id}"))
        .body(full(text))
        .expect("a status and headers of our own")
}

fn request_id(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Anthropic => "request-id",
        Dialect::Converse => "x-amzn-requestid",
        Dialect::OpenAi | Dialect::Responses | Dialect::Gemini => "x-request-id",
    }
}

fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}
