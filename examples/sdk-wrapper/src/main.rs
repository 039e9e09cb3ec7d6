//! A team's own client over a boxed service: the layer goes in where the client is made, and
//! nobody who uses it notices.
//!
//!     cargo run -p example-sdk-wrapper
#![forbid(unsafe_code)]

use bytes::Bytes;
use headroom_tests::investigation::{self, Proof};
use headroom_tower::{HeadroomLayer, RequestPolicy};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, combinators::UnsyncBoxBody};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};
use tower::{Service, ServiceBuilder, ServiceExt as _, util::BoxCloneSyncService};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Http = BoxCloneSyncService<Request<Full<Bytes>>, Response<UnsyncBoxBody<Bytes, BoxError>>, BoxError>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let proof = run().await?;
    #[expect(clippy::print_stdout, reason = "what the example has to show")]
    {
        println!("{proof}");
    }
    Ok(())
}

/// What the team's services hold. It was here before the layer.
#[derive(Clone)]
struct Models {
    base: String,
    http: Http,
}

impl Models {
    /// Over any HTTP service: the real client, one with layers around it, or a test's.
    fn over<S, B>(base: String, service: S) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let boxed = |response: Response<B>| response.map(|body| body.map_err(Into::into).boxed_unsync());
        let http = ServiceBuilder::new().map_response(boxed).map_err(Into::into).service(service);
        Self { base, http: BoxCloneSyncService::new(http) }
    }

    /// The one place that changed.
    fn new(base: String) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self::over(base, ServiceBuilder::new().layer(HeadroomLayer::new()).service(client))
    }

    async fn say(&self, messages: &[Value], policy: Option<RequestPolicy>) -> Result<Value, BoxError> {
        let tool = json!({
            "name": investigation::TOOL,
            "description": investigation::PURPOSE,
            "input_schema": investigation::parameters(),
        });
        let body = json!({
            "model": "claude-opus-5-5", "max_tokens": 1000, "tools": [tool], "messages": messages,
        });
        let mut request = Request::post(format!("{}/v1/messages", self.base))
            .header("content-type", "application/json")
            .header("anthropic-version", "2023-06-01")
            .body(Full::from(body.to_string()))?;
        // A conversation that must go as it is says so; one policy a conversation.
        if let Some(policy) = policy {
            request.extensions_mut().insert(policy);
        }
        let response = self.http.clone().oneshot(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if status != StatusCode::OK {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
        }
        Ok(serde_json::from_slice(&body)?)
    }

    /// Asks until the model calls no more tools, and returns its words.
    async fn ask(&self, question: &str, policy: Option<RequestPolicy>) -> Result<String, BoxError> {
        let mut messages = vec![json!({"role": "user", "content": question})];
        loop {
            let answer = self.say(&messages, policy.clone()).await?;
            let blocks = answer["content"].as_array().cloned().unwrap_or_default();
            let results: Vec<Value> =
                blocks.iter().filter(|block| block["type"] == "tool_use").map(result).collect();
            if results.is_empty() {
                return Ok(blocks.iter().filter_map(|block| block["text"].as_str()).collect());
            }
            messages.push(json!({"role": "assistant", "content": blocks}));
            messages.push(json!({"role": "user", "content": results}));
        }
    }
}

fn result(call: &Value) -> Value {
    json!({"type": "tool_result", "tool_use_id": call["id"], "content": investigation::log()})
}

async fn run() -> Result<Proof, BoxError> {
    let provider = investigation::provider().await;
    let models = Models::new(provider.url());
    let answer = models.ask(investigation::QUESTION, None).await?;
    let proof = investigation::proof(&provider, &answer)?;

    // As it was before: the whole log goes up, and nothing has to be asked for.
    let untouched = models.ask(investigation::QUESTION, Some(RequestPolicy::off())).await?;
    if untouched != "Nothing was left out." {
        return Err(untouched.into());
    }
    Ok(proof)
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_loop_runs_as_before_and_costs_less() {
        // The call, the log, and the original that the model asked for.
        assert_eq!(super::run().await.unwrap().requests, 3);
    }
}
