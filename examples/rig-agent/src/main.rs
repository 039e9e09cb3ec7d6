//! The layer below a rig agent, by the one trait that rig sends through.
//!
//!     cargo run -p example-rig-agent
#![forbid(unsafe_code)]

mod http;

use std::convert::Infallible;

use headroom_tests::investigation::{self, Proof};
use headroom_tower::HeadroomLayer;
use rig::{agent::AgentBuilder, providers::anthropic::AnthropicConfig, tool::PortableTool};
use serde_json::Value;

use crate::http::HeadroomHttp;

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

/// A tool that returns far more than a model needs to read.
struct ReadLog;

impl PortableTool for ReadLog {
    const NAME: &'static str = investigation::TOOL;
    type Args = Value;
    type Output = String;
    type Error = Infallible;

    fn description(&self) -> String {
        investigation::PURPOSE.to_owned()
    }

    fn parameters(&self) -> Value {
        investigation::parameters()
    }

    async fn call(&self, _: Value) -> Result<String, Infallible> {
        Ok(investigation::log())
    }
}

async fn run() -> Result<Proof, BoxError> {
    let provider = investigation::provider().await;
    let anthropic = AnthropicConfig::new("sk-example").with_base_url(provider.url());
    let anthropic = anthropic.connect(HeadroomHttp::new(&HeadroomLayer::new())); // all that is added
    let model = anthropic.completion("claude-opus-5-5");

    let agent = AgentBuilder::new(model).max_tokens(1_000).tool(ReadLog).build();
    let answer = agent.prompt(investigation::QUESTION).max_turns(4).await?;
    Ok(investigation::proof(&provider, &answer.output())?)
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_agent_reads_less_and_finds_what_it_looks_for() {
        assert_eq!(super::run().await.unwrap().requests, 3);
    }
}
