//! A request as the double received it.

use std::sync::OnceLock;

use bytes::Bytes;
use http::request::Parts;
use serde_json::Value;

use super::{check::Rejection, prefix::Prefix};
use crate::Dialect;

/// What a request cost, in `o200k` tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Everything that was sent.
    pub total: usize,
    /// Read from the prompt cache.
    pub cache_read: usize,
    /// Written to the prompt cache.
    pub cache_write: usize,
    /// What the model said.
    pub output: usize,
}

impl Usage {
    /// Neither read from the cache nor written to it.
    #[must_use]
    pub fn uncached(&self) -> usize {
        self.total - self.cache_read - self.cache_write
    }
}

/// One request, with what the double made of it.
#[derive(Debug)]
pub struct Received {
    pub(super) head: Parts,
    pub(super) body: Bytes,
    pub(super) dialect: Option<Dialect>,
    pub(super) json: Value,
    /// With all that the provider keeps before it.
    pub(super) joined: Option<Value>,
    pub(super) prefix: Prefix,
    pub(super) usage: Usage,
    pub(super) output: OnceLock<usize>,
    pub(super) rejection: Option<Rejection>,
}

impl Received {
    /// Method, path, version, headers and extensions.
    #[must_use]
    pub fn head(&self) -> &Parts {
        &self.head
    }

    /// The bytes.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The format, by path; `None` for other paths.
    #[must_use]
    pub fn dialect(&self) -> Option<Dialect> {
        self.dialect
    }

    /// The body parsed; `Null` if it could not be.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// The body, with all that the provider keeps of the conversation before it.
    #[must_use]
    pub fn whole(&self) -> &Value {
        self.joined.as_ref().unwrap_or(&self.json)
    }

    /// What it cost; of a rejected request, nothing.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage { output: self.output.get().copied().unwrap_or_default(), ..self.usage }
    }

    /// Why it was refused.
    #[must_use]
    pub fn rejection(&self) -> Option<&Rejection> {
        self.rejection.as_ref()
    }

    /// The model that is asked for.
    #[must_use]
    pub fn model(&self) -> &str {
        self.json["model"].as_str().unwrap_or_default()
    }

    /// Whether the answer is to be streamed.
    #[must_use]
    pub fn stream(&self) -> bool {
        self.json["stream"] == true
            || self.head.uri.path().ends_with(":streamGenerateContent")
            || self.head.uri.path().ends_with("-stream")
            || self.head.uri.path().ends_with(":streamRawPredict")
    }

    /// Whether the model may think.
    #[must_use]
    pub fn thinking(&self) -> bool {
        matches!(self.json["thinking"]["type"].as_str(), Some("enabled" | "adaptive"))
    }

    /// The messages.
    #[must_use]
    pub fn messages(&self) -> &[Value] {
        let list = self.dialect.unwrap_or(Dialect::Anthropic).list();
        self.json[list].as_array().map_or(&[], Vec::as_slice)
    }

    /// The names of the tools listed.
    pub fn tools(&self) -> impl Iterator<Item = &str> {
        let tools = self.json["tools"].as_array().map_or(&[][..], Vec::as_slice);
        let declared = tools.iter().filter_map(|tool| tool["functionDeclarations"].as_array());
        let nested = declared.flatten().filter_map(|tool| tool["name"].as_str());
        let flat =
            tools.iter().filter_map(|tool| tool["name"].as_str().or(tool["function"]["name"].as_str()));
        let specs = self.json["toolConfig"]["tools"].as_array().into_iter().flatten();
        flat.chain(nested).chain(specs.filter_map(|tool| tool["toolSpec"]["name"].as_str()))
    }

    /// The tool results that the model reads, in order: the id of the call, and the text.
    #[must_use]
    pub fn results(&self) -> Vec<(&str, String)> {
        let mut found = Vec::new();
        let list = self.dialect.unwrap_or(Dialect::Anthropic).list();
        for message in self.whole()[list].as_array().into_iter().flatten() {
            if message["role"] == "tool" {
                found.push((
                    message["tool_call_id"].as_str().unwrap_or_default(),
                    text_of(&message["content"]),
                ));
            }
            if message["type"] == "function_call_output" {
                let id = message["call_id"].as_str().unwrap_or_default();
                found.push((id, text_of(&message["output"])));
            }
            for part in message["parts"].as_array().into_iter().flatten() {
                let given = &part["functionResponse"];
                if let Some(id) = given["id"].as_str().or(given["name"].as_str()) {
                    let values = given["response"].as_object().into_iter().flat_map(|fields| fields.values());
                    found.push((id, values.map(text_of).collect()));
                }
            }
            for block in message["content"].as_array().into_iter().flatten() {
                let result = &block["toolResult"];
                if let Some(id) = result["toolUseId"].as_str() {
                    let parts = result["content"].as_array().into_iter().flatten();
                    let fields = parts.clone().filter_map(|part| part["json"].as_object());
                    let json = fields.flat_map(|fields| fields.values().map(text_of));
                    found.push((id, text_of(&result["content"]) + &json.collect::<String>()));
                }
                if block["type"] == "tool_result" {
                    found.push((
                        block["tool_use_id"].as_str().unwrap_or_default(),
                        text_of(&block["content"]),
                    ));
                }
            }
        }
        found
    }

    /// One hash for tools, system prompt and each block or message behind it: equal as long as the
    /// conversations are, `cache_control` aside.
    #[must_use]
    pub fn prefix(&self) -> &[[u8; 32]] {
        self.prefix.hashes()
    }
}

/// The text of a `content`: a string, or an array with text parts.
#[must_use]
pub fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}
