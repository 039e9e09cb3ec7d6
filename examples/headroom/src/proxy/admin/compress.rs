//! `POST /v1/compress`: the library, for other languages.

use std::sync::Arc;

use axum::{body::Body, extract::State};
use bytes::Bytes;
use headroom_engine::{
    Compressed, Dialect, Engine, Originals, Policy, RequestContext, Retrievable, Rewrite, Route, ScanError,
};
use http::{Request, Response, request::Parts};
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use super::{error, not_asked, report::report, typed};
use crate::proxy::{app::App, wire::Why};

/// What is to be compressed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// A JSON array of messages, Anthropic's or OpenAI's …
    messages: Option<Box<RawValue>>,
    /// … or a whole request.
    body: Option<Box<RawValue>>,
    /// The model, where the request does not name it.
    model: Option<String>,
    /// `anthropic`, `openai`, `responses`, `gemini` or `bedrock`, of a whole request; else seen from its
    /// fields.
    dialect: Option<String>,
    /// What is left out can be had back: the caller lists the tool that is returned (in a `body` it is
    /// listed already) and answers its calls with `/v1/retrieve`. Else nothing is left out.
    #[serde(default)]
    retrievable: bool,
}

const TAKES: &str = r#"{"messages" or "body", "model"?, "dialect"?, "retrievable"?}"#;

/// What came of it: the answer, and what was hidden.
type Done = (Answer, Originals);

/// Messages and bodies stand in it byte for byte.
#[derive(Default, Serialize)]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Box<RawValue>>,
    /// What to list last among the request's tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<Box<RawValue>>,
    report: Value,
}

/// Answers `{"messages" | "body", "tool"?, "report"}`.
pub(crate) async fn compress(State(app): State<Arc<App>>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return error(Why::BadRequest, "the body broke off, or is too large");
    };
    let (engine, policy) = (app.layer.engine().clone(), app.layer.policy().clone());
    let Ok(turn) = app.heavy.acquire().await else {
        return error(Why::Internal, "the proxy is stopping");
    };
    let done = tokio::task::spawn_blocking(move || work(&engine, &policy, &body)).await;
    drop(turn);
    match done {
        Ok(Ok(done)) => kept(&app, &head, done).await,
        Ok(Err(why)) => error(Why::BadRequest, &why),
        Err(_) => error(Why::Internal, "a bug: the request could not be compressed"),
    }
}

/// Nothing is handed out that could not be had back.
async fn kept(app: &App, head: &Parts, (answer, originals): Done) -> Response<Body> {
    match app.layer.keep(head, &originals).await {
        Ok(()) => match serde_json::to_string(&answer) {
            Ok(text) => typed("application/json", text),
            Err(_) => error(Why::Internal, "a bug: the answer could not be written"),
        },
        Err(_) => {
            error(Why::Unavailable, "the store does not answer: try once more, or without \"retrievable\"")
        }
    }
}

fn work(engine: &Engine, policy: &Policy, body: &[u8]) -> Result<Done, String> {
    let asked: Asked = serde_json::from_slice(body).map_err(|why| not_asked(TAKES, &why))?;
    match (&asked.messages, &asked.body) {
        (Some(_), None) if asked.dialect.is_some() => {
            Err("\"dialect\" is of a \"body\": that of \"messages\" is seen from them".to_owned())
        }
        (Some(messages), None) => {
            let retrievable = asked.retrievable.then(Retrievable::by_caller);
            let model = asked.model.as_deref().unwrap_or_default();
            let done = engine.compress(messages.get(), model, retrievable).map_err(unread)?;
            messages_of(&done)
        }
        (None, Some(body)) => whole(engine, policy, body.get(), &asked),
        _ => Err("give either \"messages\" or \"body\"".to_owned()),
    }
}

fn messages_of(done: &Compressed) -> Result<Done, String> {
    let raw = |text: &str| RawValue::from_string(text.to_owned()).map_err(|why| why.to_string());
    let tool = done.tool().map(raw).transpose()?;
    let messages = Some(raw(done.messages())?);
    let answer = Answer { messages, tool, report: report(done.report()), ..Answer::default() };
    Ok((answer, done.originals().clone()))
}

fn whole(engine: &Engine, policy: &Policy, body: &str, asked: &Asked) -> Result<Done, String> {
    let dialect = match asked.dialect.as_deref() {
        None => crate::compress::request(body)
            .ok_or("\"body\" is no request of a dialect that is known: name its \"dialect\"")?,
        Some("anthropic") => Dialect::AnthropicMessages,
        Some("openai") => Dialect::OpenAiChat,
        Some("responses") => Dialect::OpenAiResponses,
        Some("gemini") => Dialect::Gemini,
        Some("bedrock") => crate::compress::bedrock(body.as_bytes()),
        Some(other) => {
            return Err(format!(
                "\"dialect\" is anthropic, openai, responses, gemini or bedrock, not {other:?}"
            ));
        }
    };
    let route = match asked.retrievable {
        true => Route::Intercepted { durable_ledger: false },
        false => Route::ExactOnly,
    };
    let context = RequestContext { dialect, model: asked.model.clone(), route };
    let scanned = engine.scan(Bytes::copy_from_slice(body.as_bytes()), &context).map_err(unread)?;
    let Rewrite { body, originals, report: done, .. } = scanned.rewrite(policy, &[]);
    let text = String::from_utf8(body.into()).map_err(|why| why.to_string())?;
    let body = RawValue::from_string(text).map_err(|why| why.to_string())?;
    Ok((Answer { body: Some(body), report: report(&done), ..Answer::default() }, originals))
}

fn unread(why: ScanError) -> String {
    match why {
        ScanError::Syntax(_) => "\"messages\" is no array of messages, or \"body\" no request".to_owned(),
        why => format!("these are not messages: {why}"),
    }
}
