//! The layer below async-openai: its own types above, its retries put back, streams included.
//!
//!     cargo run -p example-async-openai
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};

use async_openai::{
    Client,
    config::OpenAIConfig,
    error::OpenAIError,
    middleware::{HttpRequestFactory, retry::OpenAIRetryLayer},
    types::chat::CreateChatCompletionRequest,
};
use futures_util::StreamExt as _;
use headroom_tests::{
    Dialect,
    investigation::{self, Detective, Proof},
    provider::{Provider, Received, Reply, Script as _},
};
use headroom_tower::{HeadroomClient, HeadroomLayer};
use tower::{ServiceBuilder, service_fn};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let proof = run().await?;
    #[expect(clippy::print_stdout, reason = "what the example has to show")]
    {
        println!("{proof}");
    }
    Ok(())
}

/// async-openai over the layer.
fn client(base: &str, layer: &HeadroomLayer) -> Client<OpenAIConfig> {
    let smaller = HeadroomClient::new(layer, reqwest::Client::new());
    let send = service_fn(move |request: HttpRequestFactory| {
        let smaller = smaller.clone();
        async move { smaller.execute(request.build().await?).await.map_err(OpenAIError::Reqwest) }
    });
    // A service of one's own replaces the default one and its retries, so they are added again. They
    // stand above the layer: what is sent again is rewritten again, to the same bytes.
    let service = ServiceBuilder::new().layer(OpenAIRetryLayer::default()).service(send);
    let config = OpenAIConfig::new().with_api_base(format!("{base}/v1")).with_api_key("sk-example");
    Client::with_config(config).with_http_service(service)
}

async fn run() -> Result<Proof, BoxError> {
    // A provider that is overloaded at first.
    let overloaded = AtomicBool::new(true);
    let provider = Provider::start(move |request: &Received| {
        if overloaded.swap(false, Ordering::Relaxed) {
            let headers = vec![("retry-after", "0".to_owned())];
            return Reply::Error {
                status: 503,
                kind: "server_error",
                message: "Try again.".to_owned(),
                headers,
            };
        }
        Detective.answer(request)
    })
    .await;
    let client = client(&provider.url(), &HeadroomLayer::new());
    let chat = client.chat();

    let whole = chat.create(request()?).await?;
    let whole = whole.choices.into_iter().filter_map(|choice| choice.message.content).collect::<String>();

    // The chunks of two rounds are one stream to the client, with one end.
    let mut stream = chat.create_stream(request()?).await?;
    let mut streamed = String::new();
    while let Some(chunk) = stream.next().await {
        let said = chunk?.choices.into_iter().filter_map(|choice| choice.delta.content);
        streamed.extend(said);
    }

    investigation::proof(&provider, &whole)?;
    Ok(investigation::proof(&provider, &streamed)?)
}

/// A conversation under way; yours grows by the answers' messages.
fn request() -> Result<CreateChatCompletionRequest, serde_json::Error> {
    let mut request: CreateChatCompletionRequest =
        serde_json::from_str(&investigation::request(Dialect::OpenAi, false))?;
    request.stream = None;
    Ok(request)
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn retried_whole_and_streamed() {
        assert_eq!(super::run().await.unwrap().requests, 5);
    }

    /// async-openai reads up to it; other clients wait for it.
    #[tokio::test]
    async fn a_stream_of_two_rounds_ends_with_one_done() {
        let provider = super::investigation::provider().await;
        let http = reqwest::Client::new();
        let request = http.post(provider.endpoint(super::Dialect::OpenAi));
        let request = request.header("content-type", "application/json");
        let request =
            request.body(super::investigation::request(super::Dialect::OpenAi, true)).build().unwrap();
        let smaller = super::HeadroomClient::new(&super::HeadroomLayer::new(), http);
        let stream = smaller.execute(request).await.unwrap().text().await.unwrap();
        assert_eq!(provider.received().len(), 2);
        assert!(stream.ends_with("data: [DONE]\n\n"));
        assert_eq!(stream.matches("[DONE]").count(), 1);
    }
}
