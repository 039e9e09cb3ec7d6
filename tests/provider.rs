//! The double is itself under test: what it refuses, how it speaks, what it counts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

#[path = "provider/asker.rs"]
mod asker;
#[path = "provider/refusals.rs"]
mod refusals;
#[path = "provider/speech.rs"]
mod speech;
#[path = "provider/thinking.rs"]
mod thinking;
#[path = "provider/usage.rs"]
mod usage;

use headroom_tests::{
    Dialect,
    client::{Answer, Malformed, http, post, read},
    provider::{Block, Provider, Received, Reply, Turn},
};
use serde_json::{Value, json};

/// Says "Hello.".
async fn greeter() -> Provider {
    Provider::start(|_: &Received| Turn::text("Hello.").into()).await
}

/// Thinks, speaks and calls a tool of the client's.
fn busy() -> Turn {
    Turn::new([
        Block::Thinking("Let me see: é, 漢字.".into()),
        Block::Text("I look it up. ✓".into()),
        Block::call("toolu_1", "lookup", r#"{"word": "naïve", "n": 1.0}"#),
    ])
    .delta(3)
}

fn says(turn: Turn) -> impl Fn(&Received) -> Reply + Send + Sync {
    move |_: &Received| turn.clone().into()
}

/// The smallest request that a provider takes.
fn request(dialect: Dialect) -> Value {
    match dialect {
        Dialect::Anthropic => json!({
            "model": "claude-opus-5-5", "max_tokens": 100, "thinking": {"type": "adaptive"},
            "tools": [{"name": "lookup", "input_schema": {"type": "object"}}],
            "messages": [{"role": "user", "content": "Hi"}],
        }),
        _ => json!({
            "model": "gpt-5.6",
            "tools": [{"type": "function", "function": {"name": "lookup", "parameters": {"type": "object"}}}],
            "messages": [{"role": "user", "content": "Hi"}],
        }),
    }
}

fn streamed(dialect: Dialect) -> Value {
    let mut request = request(dialect);
    request["stream"] = true.into();
    if dialect == Dialect::OpenAi {
        request["stream_options"] = json!({"include_usage": true});
    }
    request
}

async fn ask(provider: &Provider, dialect: Dialect, body: &Value) -> Result<Answer, Malformed> {
    let response = http().request(post(&provider.endpoint(dialect), body.to_string())).await;
    read(dialect, response.map_err(|error| Malformed(error.to_string()))?).await
}

const BOTH: [Dialect; 2] = [Dialect::Anthropic, Dialect::OpenAi];
