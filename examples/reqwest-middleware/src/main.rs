//! The layer at the end of a reqwest-middleware chain: feature `reqwest-middleware` of
//! `headroom-tower`.
//!
//!     cargo run -p example-reqwest-middleware
#![forbid(unsafe_code)]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use headroom_tests::{
    Dialect,
    client::{Answer, Reader},
    investigation::{self, Proof},
};
use headroom_tower::{HeadroomLayer, HeadroomMiddleware};
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{ClientBuilder, Middleware, Next, Result as Answered};

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

/// Counts what passes. It stands for tracing or metrics above the layer, and for retries or
/// credentials below.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn calls(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Middleware for Count {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Answered<Response> {
        self.0.fetch_add(1, Ordering::Relaxed);
        next.run(request, extensions).await
    }
}

async fn run() -> Result<Proof, BoxError> {
    let provider = investigation::provider().await;
    let (above, below) = (Count::default(), Count::default());

    let plain = reqwest::Client::new();
    let inner = ClientBuilder::new(plain.clone()).with(below.clone()).build();
    let client = ClientBuilder::new(plain)
        .with(above.clone())
        .with(HeadroomMiddleware::new(&HeadroomLayer::new(), inner)) // the last one
        .build();

    let post = |stream: bool| {
        let request = client.post(provider.endpoint(Dialect::OpenAi));
        let request = request.header("content-type", "application/json");
        request.body(investigation::request(Dialect::OpenAi, stream)).send()
    };

    let response = post(false).await?.error_for_status()?;
    let whole = Answer::from_json(Dialect::OpenAi, &response.bytes().await?)?.text();

    // Follow-up calls of a stream come when the chain has long returned.
    let mut response = post(true).await?.error_for_status()?;
    let mut reader = Reader::new(Dialect::OpenAi);
    while let Some(chunk) = response.chunk().await? {
        reader.push(&chunk)?;
    }
    let streamed = reader.finish()?.text();

    if (above.calls(), below.calls()) != (2, 4) {
        return Err(format!("{} calls above, {} below", above.calls(), below.calls()).into());
    }
    investigation::proof(&provider, &whole)?;
    Ok(investigation::proof(&provider, &streamed)?)
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn whole_and_streamed() {
        assert_eq!(super::run().await.unwrap().requests, 4);
    }
}
