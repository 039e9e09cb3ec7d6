//! The loop: ask the model, run the tools it calls, return what they said.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use rmcp::{RoleClient, model::CallToolRequestParams, service::Peer};
use serde_json::{Value, json};
use tower::{Service, ServiceExt as _};

use crate::BoxError;

/// Asks until the model calls no more tools, and returns its words.
pub(crate) async fn ask<S, B>(
    mut models: S,
    base: &str,
    tools: &Peer<RoleClient>,
    question: &str,
) -> Result<String, BoxError>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let listed: Vec<Value> = tools.list_all_tools().await?.iter().map(definition).collect();
    let mut messages = vec![json!({"role": "user", "content": question})];
    loop {
        let body = json!({
            "model": "claude-opus-5-5", "max_tokens": 1000, "tools": listed, "messages": messages,
        });
        let request = Request::post(format!("{base}/v1/messages"))
            .header("content-type", "application/json")
            .header("anthropic-version", "2023-06-01")
            .body(Full::from(body.to_string()))?;
        let response = models.ready().await.map_err(Into::into)?.call(request).await.map_err(Into::into)?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(Into::into)?.to_bytes();
        if status != StatusCode::OK {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
        }
        let answer: Value = serde_json::from_slice(&body)?;
        let blocks = answer["content"].as_array().cloned().unwrap_or_default();
        let mut results = Vec::new();
        for call in blocks.iter().filter(|block| block["type"] == "tool_use") {
            results.push(run(tools, call).await?);
        }
        if results.is_empty() {
            return Ok(blocks.iter().filter_map(|block| block["text"].as_str()).collect());
        }
        messages.push(json!({"role": "assistant", "content": blocks}));
        messages.push(json!({"role": "user", "content": results}));
    }
}

fn definition(tool: &rmcp::model::Tool) -> Value {
    json!({"name": tool.name, "description": tool.description, "input_schema": *tool.input_schema})
}

/// What a tool of the server says to a call of the model. The layer's own tool never comes here.
async fn run(tools: &Peer<RoleClient>, call: &Value) -> Result<Value, BoxError> {
    let name = call["name"].as_str().unwrap_or_default().to_owned();
    let arguments = call["input"].as_object().cloned().unwrap_or_default();
    let result = tools.call_tool(CallToolRequestParams::new(name).with_arguments(arguments)).await?;
    let texts = result.content.iter().filter_map(|block| block.as_text());
    let text: Vec<&str> = texts.map(|text| text.text.as_str()).collect();
    Ok(json!({
        "type": "tool_result", "tool_use_id": call["id"],
        "content": text.join("\n"), "is_error": result.is_error.unwrap_or(false),
    }))
}
