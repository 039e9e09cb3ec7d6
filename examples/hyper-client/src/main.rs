//! The layer around a hyper client, whose requests and streams stay as they were.
//!
//!     cargo run -p example-hyper-client
#![forbid(unsafe_code)]

use bytes::Bytes;
use headroom_tests::{
    Dialect,
    client::{post, read},
    investigation::{self, Proof},
};
use headroom_tower::{HeadroomLayer, Report};
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Service as _, ServiceBuilder, ServiceExt as _};

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
    // The provider is a double in this process; yours has a name, and wants a key and TLS.
    let provider = investigation::provider().await;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let mut client = ServiceBuilder::new().layer(HeadroomLayer::new()).service(client);

    let body = investigation::request(Dialect::Anthropic, true);
    let request: http::Request<Full<Bytes>> = post(&provider.endpoint(Dialect::Anthropic), body);
    let response = client.ready().await?.call(request).await?;

    // The stream is one answer, though the model asked for an original in the middle of it.
    let report = response.extensions().get::<Report>().cloned().ok_or("no report")?;
    let answer = read(Dialect::Anthropic, response).await?.text();
    let rounds = report.retrieval().map_or(0, |retrieval| retrieval.rounds);
    if rounds != 1 {
        return Err(format!("{rounds} rounds of retrieval").into());
    }
    Ok(investigation::proof(&provider, &answer)?)
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn a_stream_is_smaller_and_whole() {
        assert_eq!(super::run().await.unwrap().requests, 2);
    }
}
