//! What is to be compressed: a request, its messages, or a text.

use std::collections::BTreeMap;

use clap::ValueEnum;
use headroom_engine::Dialect;
use serde::Deserialize;
use serde_json::value::RawValue;

/// What the input is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The body of a request.
    Request(Dialect),
    /// An array of messages, Anthropic's or OpenAI's.
    Messages,
    /// Anything else: what a tool returned.
    Text,
}

/// The same, as the command line names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Named {
    /// `POST /v1/messages`
    Anthropic,
    /// `POST /v1/chat/completions`
    Openai,
    /// `POST /v1/responses`
    Responses,
    /// `POST …:generateContent`
    Gemini,
    /// `POST /model/{id}/converse`, or `…/invoke` with a body of Anthropic's
    Bedrock,
    /// An array of messages
    Messages,
    /// A text that a tool returned, JSON too
    Text,
}

impl Named {
    /// The dialect that `text` is said to have.
    pub(crate) fn of(self, text: &[u8]) -> Input {
        match self {
            Self::Anthropic => Input::Request(Dialect::AnthropicMessages),
            Self::Openai => Input::Request(Dialect::OpenAiChat),
            Self::Responses => Input::Request(Dialect::OpenAiResponses),
            Self::Gemini => Input::Request(Dialect::Gemini),
            Self::Bedrock => Input::Request(bedrock(text)),
            Self::Messages => Input::Messages,
            Self::Text => Input::Text,
        }
    }
}

/// Of Bedrock's two paths: InvokeModel wants a version in each body of Anthropic's.
pub(crate) fn bedrock(text: &[u8]) -> Dialect {
    let members: Option<Members<'_>> = serde_json::from_slice(text).ok();
    match members.is_some_and(|members| members.contains_key("anthropic_version")) {
        true => Dialect::AnthropicMessages,
        false => Dialect::BedrockConverse,
    }
}

impl Input {
    /// A stable name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Request(dialect) => dialect.name(),
            Self::Messages => "messages",
            Self::Text => "text",
        }
    }

    /// What `text` looks like. What is in doubt is a text.
    pub(crate) fn guess(text: &str) -> Self {
        match text.trim_ascii_start().as_bytes().first() {
            Some(b'[') if are_messages(text) => Self::Messages,
            Some(b'{') => request(text).map_or(Self::Text, Self::Request),
            _ => Self::Text,
        }
    }
}

type Members<'a> = BTreeMap<String, &'a RawValue>;

/// What is read of a message; everything else may be as it likes.
#[derive(Deserialize)]
struct Message<'a> {
    role: String,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
}

fn messages(text: &str) -> Option<Vec<Message<'_>>> {
    serde_json::from_str(text).ok().filter(|messages: &Vec<Message<'_>>| !messages.is_empty())
}

fn are_messages(text: &str) -> bool {
    const ROLES: &[&str] = &["assistant", "developer", "function", "system", "tool", "user"];
    messages(text).is_some_and(|all| all.iter().all(|message| ROLES.contains(&message.role.as_str())))
}

/// The dialect of a request's body, seen from its members.
pub(crate) fn request(text: &str) -> Option<Dialect> {
    let members: Members<'_> = serde_json::from_str(text).ok()?;
    let is_array = |name: &str| members.get(name).is_some_and(|value| value.get().starts_with('['));
    if is_array("messages") {
        let all = members.get("messages").map(|value| value.get()).filter(|value| are_messages(value))?;
        if is_converse(&members, all) {
            return Some(Dialect::BedrockConverse);
        }
        return Some(if is_openai(&members, all) { Dialect::OpenAiChat } else { Dialect::AnthropicMessages });
    }
    if is_array("contents") {
        return Some(Dialect::Gemini);
    }
    (members.contains_key("input") && members.contains_key("model")).then_some(Dialect::OpenAiResponses)
}

/// Whether a model is named in the path, and blocks by their one member.
fn is_converse(members: &Members<'_>, all: &str) -> bool {
    const CONVERSES: &[&str] = &["inferenceConfig", "modelId", "toolConfig", "additionalModelRequestFields"];
    let block = || ["\"toolUse\"", "\"toolResult\""].iter().any(|kind| all.contains(kind));
    !members.contains_key("model")
        && !members.contains_key("anthropic_version")
        && (CONVERSES.iter().any(|name| members.contains_key(*name)) || block())
}

/// Of two dialects whose messages are both called so: by what only one of them has, and by whose
/// model it is where nothing has been said.
fn is_openai(members: &Members<'_>, all: &str) -> bool {
    const ANTHROPICS: &[&str] = &["anthropic_version", "stop_sequences", "system", "thinking"];
    let tools = members.get("tools").map_or("", |tools| tools.get());
    if tools.contains("\"input_schema\"") || ANTHROPICS.iter().any(|name| members.contains_key(*name)) {
        return false;
    }
    let openai = |message: &Message<'_>| {
        message.tool_calls.is_some() || !matches!(message.role.as_str(), "user" | "assistant")
    };
    let anthropic = |message: &Message<'_>| {
        let content = message.content.map_or("", |content| content.get());
        content.starts_with('[')
            && ["\"tool_use\"", "\"tool_result\""].iter().any(|kind| content.contains(kind))
    };
    let all = messages(all).unwrap_or_default();
    if all.iter().any(openai) || tools.contains("\"function\"") {
        return true;
    }
    let claude = members.get("model").is_some_and(|model| model.get().contains("claude"));
    !claude && !all.iter().any(anthropic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bedrock_has_two_bodies() {
        assert_eq!(bedrock(br#"{"anthropic_version":"x"}"#), Dialect::AnthropicMessages);
        assert_eq!(bedrock(br#"{"messages":[]}"#), Dialect::BedrockConverse);
        assert_eq!(bedrock(b"no JSON"), Dialect::BedrockConverse);
    }

    #[test]
    fn bodies_are_told_apart() {
        use Dialect::{AnthropicMessages, BedrockConverse, Gemini, OpenAiChat, OpenAiResponses};
        for (text, input) in [
            (
                r#"{"model":"claude-opus-5-5","messages":[{"role":"user","content":"x"}]}"#,
                Input::Request(AnthropicMessages),
            ),
            (
                r#"{"model":"x","system":"s","messages":[{"role":"user","content":"x"}]}"#,
                Input::Request(AnthropicMessages),
            ),
            (
                r#"{"model":"x","messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"t"}]}]}"#,
                Input::Request(AnthropicMessages),
            ),
            (r#"{"model":"gpt-6","messages":[{"role":"user","content":"x"}]}"#, Input::Request(OpenAiChat)),
            (
                r#"{"model":"anthropic/claude","messages":[{"role":"tool","tool_call_id":"c","content":"x"}]}"#,
                Input::Request(OpenAiChat),
            ),
            (r#"{"model":"gpt-6","input":"hi"}"#, Input::Request(OpenAiResponses)),
            (r#" {"contents":[]}"#, Input::Request(Gemini)),
            (
                r#"{"anthropic_version":"bedrock-2023-05-31","messages":[{"role":"user","content":"x"}]}"#,
                Input::Request(AnthropicMessages),
            ),
            (
                r#"{"inferenceConfig":{},"messages":[{"role":"user","content":[{"text":"x"}]}]}"#,
                Input::Request(BedrockConverse),
            ),
            (
                r#"{"messages":[{"role":"user","content":[{"toolResult":{"toolUseId":"t"}}]}]}"#,
                Input::Request(BedrockConverse),
            ),
            (r#"[{"role":"user","content":"x"}]"#, Input::Messages),
            ("[]", Input::Text),
            (r#"[{"role":"admin","name":"x"}]"#, Input::Text),
            (r#"{"messages":[{"id":1}]}"#, Input::Text),
            (r#"{"input":1}"#, Input::Text),
            (r#"{"messages":"#, Input::Text),
            ("{}", Input::Text),
            ("", Input::Text),
            ("ERROR: no", Input::Text),
        ] {
            assert_eq!(Input::guess(text), input, "{text}");
        }
    }
}
