//! An agent whose tools are an MCP server: their results come back through the layer.
//!
//!     cargo run -p example-mcp
#![forbid(unsafe_code)]

mod agent;
mod server;

use headroom_tests::{
    client::http,
    investigation::{self, Proof},
};
use headroom_tower::HeadroomLayer;
use rmcp::ServiceExt as _;
use tower::ServiceBuilder;

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
    // A server in this process; yours is a child process, or somewhere on the network.
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let server =
        tokio::spawn(
            async move { server::Logs.serve(theirs).await?.waiting().await.map_err(BoxError::from) },
        );
    let tools = ().serve(ours).await?;

    let provider = investigation::provider().await;
    let models = ServiceBuilder::new().layer(HeadroomLayer::new()).service(http());
    let answer = agent::ask(models, &provider.url(), &tools, investigation::QUESTION).await?;

    tools.cancel().await?;
    server.await??;
    Ok(investigation::proof(&provider, &answer)?)
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn results_of_mcp_tools_are_smaller_and_whole() {
        assert_eq!(super::run().await.unwrap().requests, 3);
    }
}
