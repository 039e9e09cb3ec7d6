//! The AWS SDK's own client, with Headroom in the place of its HTTP connector.
//!
//! `cargo run -p bedrock-sdk` plays one question against a provider in this process: a tool has
//! returned a long log, the model asks for a part of it that was left out, and the program that uses
//! the SDK sees one streamed answer.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "it is a program")]

mod connector;

use std::error::Error;

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_bedrockruntime::{
    Client, Config,
    config::{BehaviorVersion, Region},
    types::{
        ContentBlock, ContentBlockDelta, ConversationRole, ConverseStreamOutput, Message, StopReason, Tool,
        ToolConfiguration, ToolInputSchema, ToolResultBlock, ToolResultContentBlock, ToolSpecification,
        ToolUseBlock,
    },
};
use aws_smithy_types::Document;
use headroom_tests::provider::{Block, Provider, RETRIEVAL_TOOL, Received, Reply, Turn};
use headroom_tower::HeadroomLayer;

use connector::HeadroomClient;

const REGION: &str = "us-east-1";
const MODEL: &str = "us.amazon.nova-pro-v1:0";

/// What came of it.
#[derive(Debug)]
struct Played {
    /// What the program read.
    text: String,
    #[cfg_attr(not(test), expect(dead_code, reason = "checked by the test"))]
    stop: Option<StopReason>,
    /// Bytes of the log, and of the request that carried it.
    log: usize,
    sent: Vec<usize>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let played = play().await?;
    println!("The tool returned {} bytes.", played.log);
    println!(
        "The provider received requests of {:?} bytes: the second answers what the model asked for.",
        played.sent
    );
    println!("The program read: {}", played.text);
    Ok(())
}

async fn play() -> Result<Played, Box<dyn Error>> {
    let provider = Provider::start(answer).await;
    let keys = Credentials::new("AKIDEXAMPLE", "secret", None, None, "example");
    let keys = SharedCredentialsProvider::new(keys);
    let http = HeadroomClient::new(HeadroomLayer::builder(), keys.clone(), REGION)?;
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .credentials_provider(keys)
        .endpoint_url(provider.url())
        .http_client(http)
        .build();

    let log = log();
    let mut answer = Client::from_conf(config)
        .converse_stream()
        .model_id(MODEL)
        .messages(message(
            ConversationRole::User,
            ContentBlock::Text("Why did the nightly job fail?".into()),
        )?)
        .messages(message(ConversationRole::Assistant, called()?)?)
        .messages(message(ConversationRole::User, returned(&log)?)?)
        .tool_config(ToolConfiguration::builder().tools(shell()?).build()?)
        .send()
        .await?;
    let (mut text, mut stop) = (String::new(), None);
    while let Some(event) = answer.stream.recv().await? {
        match event {
            ConverseStreamOutput::ContentBlockDelta(event) => {
                if let Some(ContentBlockDelta::Text(more)) = event.delta() {
                    text.push_str(more);
                }
            }
            ConverseStreamOutput::MessageStop(event) => stop = Some(event.stop_reason().clone()),
            _ => {}
        }
    }
    let sent = provider.received().iter().map(|request| request.body().len()).collect();
    Ok(Played { text, stop, log: log.len(), sent })
}

/// The model: it looks at the log, asks for what it does not see of it, and answers.
fn answer(request: &Received) -> Reply {
    let results = request.results();
    let shown = results.first().map(|(_, text)| text.as_str()).unwrap_or_default();
    let marker = shown.split("[~").nth(1).and_then(|rest| rest.split(']').next());
    match (results.len(), marker) {
        (1, Some(marker)) => {
            let arguments = format!("{{\"handle\":\"[~{marker}]\"}}");
            Turn::new([
                Block::Text("Some lines are hidden; let me see them. ".into()),
                Block::call("tooluse_hidden", RETRIEVAL_TOOL, arguments),
            ])
            .into()
        }
        (2, _) => {
            Turn::text(format!("I have read {} more bytes. The lease was lost.", results[1].1.len())).into()
        }
        _ => Turn::text("Nothing was hidden.").into(),
    }
}

fn log() -> String {
    let line = |line: usize| match line {
        120 => "2026-11-02T10:02:00 ERROR store: lost lease 000120\n".to_owned(),
        line => format!(
            "2026-11-02T10:{:02}:{:02} INFO worker: batch {line} done, token {:06}\n",
            line / 60,
            line % 60,
            line * 104_729 % 999_983
        ),
    };
    (0..240).map(line).collect()
}

fn message(role: ConversationRole, block: ContentBlock) -> Result<Message, Box<dyn Error>> {
    Ok(Message::builder().role(role).content(block).build()?)
}

fn called() -> Result<ContentBlock, Box<dyn Error>> {
    let input = Document::Object([("command".to_owned(), Document::from("journalctl"))].into());
    let call = ToolUseBlock::builder().tool_use_id("call_1").name("run_command").input(input).build()?;
    Ok(ContentBlock::ToolUse(call))
}

fn returned(log: &str) -> Result<ContentBlock, Box<dyn Error>> {
    let content = ToolResultContentBlock::Text(log.to_owned());
    let result = ToolResultBlock::builder().tool_use_id("call_1").content(content).build()?;
    Ok(ContentBlock::ToolResult(result))
}

fn shell() -> Result<Tool, Box<dyn Error>> {
    let schema = Document::Object([("type".to_owned(), Document::from("object"))].into());
    let tool = ToolSpecification::builder()
        .name("run_command")
        .description("Runs a command in the shell")
        .input_schema(ToolInputSchema::Json(schema))
        .build()?;
    Ok(Tool::ToolSpec(tool))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_log_shrinks_and_the_model_gets_what_it_asks_for() {
        let played = play().await.expect("it works");
        assert_eq!(played.sent.len(), 2, "one follow-up");
        assert!(played.sent[0] < played.log / 2, "{played:?}");
        assert!(
            played.text.starts_with("Some lines are hidden") && played.text.ends_with("The lease was lost.")
        );
        assert_eq!(played.stop, Some(StopReason::EndTurn));
    }
}
