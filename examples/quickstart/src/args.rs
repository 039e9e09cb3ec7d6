//! The command line.

use clap::Parser;
use headroom_tests::{
    Dialect,
    fixtures::{self, Conversation},
    provider::Provider,
};

/// Sends recorded conversations through Headroom and shows what that saves.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Args {
    /// A real provider instead of the double, e.g. `https://api.anthropic.com`. It costs money.
    #[arg(long, value_name = "URL", value_parser = base)]
    pub(crate) upstream: Option<String>,

    /// The model to ask; a name that starts with `claude` speaks the Anthropic dialect.
    #[arg(long, default_value = "claude-opus-5-5", requires = "upstream")]
    model: String,

    /// The key for Anthropic.
    #[arg(long, env = "ANTHROPIC_API_KEY", hide_env_values = true)]
    anthropic_key: Option<String>,

    /// The key for OpenAI.
    #[arg(long, env = "OPENAI_API_KEY", hide_env_values = true)]
    openai_key: Option<String>,

    /// Only conversations whose name contains this.
    #[arg(long, value_name = "TEXT", value_parser = some)]
    only: Option<String>,

    /// Print every answer, not just those of the first conversation.
    #[arg(long)]
    pub(crate) all: bool,

    /// Print the figures as JSON and nothing else.
    #[arg(long, conflicts_with = "all")]
    pub(crate) json: bool,
}

fn base(text: &str) -> Result<String, &'static str> {
    let url: Option<http::Uri> = text.parse().ok();
    let sound = |url: &http::Uri| matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some();
    url.filter(sound).map(|_| text.to_owned()).ok_or("not a URL, as in https://api.anthropic.com")
}

/// A part of some conversation's name.
fn some(text: &str) -> Result<String, String> {
    let all = fixtures::all();
    if all.iter().any(|one| one.name().contains(text)) {
        return Ok(text.to_owned());
    }
    let names: Vec<&str> = all.iter().map(Conversation::name).collect();
    Err(format!("there are {}", names.join(", ")))
}

/// Where requests go, and how.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) base: String,
    pub(crate) anthropic_model: String,
    pub(crate) openai_model: String,
    pub(crate) anthropic_key: Option<String>,
    pub(crate) openai_key: Option<String>,
    /// The model says what it likes; the conversation goes on as it was recorded.
    pub(crate) real: bool,
}

impl Args {
    pub(crate) fn conversations(&self) -> Vec<Conversation> {
        let dialect = self
            .upstream
            .as_ref()
            .map(|_| if self.model.starts_with("claude") { Dialect::Anthropic } else { Dialect::OpenAi });
        fixtures::all()
            .into_iter()
            .filter(|one| dialect.is_none_or(|dialect| one.dialect() == dialect))
            .filter(|one| self.only.as_ref().is_none_or(|only| one.name().contains(only)))
            .collect()
    }

    /// The provider asked for, or else this double.
    pub(crate) fn target(&self, double: &Provider) -> Target {
        match &self.upstream {
            Some(url) => Target {
                base: url.trim_end_matches('/').to_owned(),
                anthropic_model: self.model.clone(),
                openai_model: self.model.clone(),
                anthropic_key: self.anthropic_key.clone(),
                openai_key: self.openai_key.clone(),
                real: true,
            },
            None => Target {
                base: double.url(),
                anthropic_model: "claude-opus-5-5".to_owned(),
                openai_model: "gpt-5.5".to_owned(),
                anthropic_key: None,
                openai_key: None,
                real: false,
            },
        }
    }
}
