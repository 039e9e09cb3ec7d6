//! The layer around a reqwest client: feature `reqwest` of `headroom-tower`.
//!
//!     cargo run -p example-reqwest-client
#![forbid(unsafe_code)]

use headroom_tests::{
    Dialect,
    client::{Answer, Reader},
    investigation::{self, Proof},
};
use headroom_tower::{HeadroomClient, HeadroomLayer};

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

async fn run() -> Result<Proof, BoxError> {
    let provider = investigation::provider().await;
    // Redirects, cookies, time-outs and TLS are the client's own, below the layer.
    let http = reqwest::Client::new();
    let smaller = HeadroomClient::new(&HeadroomLayer::new(), http.clone());

    let post = |stream: bool| {
        let request = http.post(provider.endpoint(Dialect::Anthropic));
        let request =
            request.header("content-type", "application/json").header("anthropic-version", "2023-06-01");
        request.body(investigation::request(Dialect::Anthropic, stream)).build()
    };

    let response = smaller.execute(post(false)?).await?.error_for_status()?;
    if response.url().as_str() != provider.endpoint(Dialect::Anthropic) {
        return Err(format!("the response comes from {}", response.url()).into());
    }
    let whole = Answer::from_json(Dialect::Anthropic, &response.bytes().await?)?.text();

    let mut response = smaller.execute(post(true)?).await?.error_for_status()?;
    let mut reader = Reader::new(Dialect::Anthropic);
    while let Some(chunk) = response.chunk().await? {
        reader.push(&chunk)?;
    }
    let streamed = reader.finish()?.text();

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
