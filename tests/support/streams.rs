//! Streamed answers of every dialect, event by event, and requests that they answer.

use std::fmt::Write as _;

use bytes::Bytes;
use headroom_engine::{Dialect, eventstream};
use serde_json::{Value, json};

use crate::{convert::convert, provider::RETRIEVAL_TOOL};

/// A request of `dialect` with one long result in it.
///
/// # Panics
/// For a dialect that is not known here.
#[must_use]
pub fn request(dialect: Dialect) -> Bytes {
    let mut log = String::new();
    for line in 0..120 {
        let token = line * 7919 % 9973;
        let _ =
            writeln!(log, "2026-11-02T10:00:{:02} INFO worker: batch {line} done, token {token}", line % 60);
    }
    let schema = json!({"type": "object"});
    let about = "Runs a command in the shell";
    let body: Value = match dialect {
        Dialect::OpenAiChat => json!({"model": "gpt-6",
            "tools": [{"type": "function", "function": {"name": "run", "description": about, "parameters": schema}}],
            "messages": [{"role": "user", "content": "go"},
                {"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "run", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "c", "content": log}]}),
        Dialect::OpenAiResponses => json!({"model": "gpt-6", "store": false,
            "tools": [{"type": "function", "name": "run", "description": about, "parameters": schema}],
            "input": [{"role": "user", "content": "go"},
                {"type": "function_call", "call_id": "c", "name": "run", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": log}]}),
        Dialect::Gemini => json!({
            "tools": [{"functionDeclarations": [{"name": "run", "description": about, "parameters": schema}]}],
            "contents": [{"role": "user", "parts": [{"text": "go"}]},
                {"role": "model", "parts": [{"functionCall": {"name": "run", "args": {}}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "run", "response": {"output": log}}}]}]}),
        _ => json!({"model": "claude-haiku-4-5", "max_tokens": 9,
            "tools": [{"name": "run", "description": about, "input_schema": schema}],
            "messages": [{"role": "user", "content": "go"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "run", "input": {}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": log}]}]}),
    };
    match dialect {
        Dialect::BedrockConverse => convert(dialect, &body.to_string()).into(),
        _ => body.to_string().into(),
    }
}

/// One way in which a provider streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they say it")]
pub enum Streamed {
    Anthropic,
    OpenAi,
    Responses,
    Gemini,
    GeminiArray,
    InvokeModel,
    Converse,
}

/// All of them.
pub const STREAMED: [Streamed; 7] = {
    use Streamed::{Anthropic, Converse, Gemini, GeminiArray, InvokeModel, OpenAi, Responses};
    [Anthropic, OpenAi, Responses, Gemini, GeminiArray, InvokeModel, Converse]
};

impl Streamed {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
            Self::Responses => "responses",
            Self::Gemini => "gemini",
            Self::GeminiArray => "gemini_array",
            Self::InvokeModel => "invoke_model",
            Self::Converse => "converse",
        }
    }

    /// Of its requests and events.
    #[must_use]
    pub fn dialect(self) -> Dialect {
        match self {
            Self::Anthropic | Self::InvokeModel => Dialect::AnthropicMessages,
            Self::OpenAi => Dialect::OpenAiChat,
            Self::Responses => Dialect::OpenAiResponses,
            Self::Gemini | Self::GeminiArray => Dialect::Gemini,
            Self::Converse => Dialect::BedrockConverse,
        }
    }

    /// Whether it comes in frames of Amazon's.
    #[must_use]
    pub fn is_framed(self) -> bool {
        matches!(self, Self::InvokeModel | Self::Converse)
    }

    /// Where requests for such a stream go.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Anthropic => "/v1/messages",
            Self::OpenAi => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Gemini => "/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse",
            Self::GeminiArray => "/v1beta/models/gemini-3-pro:streamGenerateContent",
            Self::InvokeModel => "/model/anthropic.claude-haiku-4-5-v1:0/invoke-with-response-stream",
            Self::Converse => "/model/us.amazon.nova-pro-v1:0/converse-stream",
        }
    }

    /// The content type of its answers.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::GeminiArray => "application/json",
            _ if self.is_framed() => eventstream::CONTENT_TYPE,
            _ => "text/event-stream",
        }
    }

    /// A [request] that asks for such a stream.
    #[must_use]
    pub fn request(self) -> Bytes {
        let body = request(self.dialect());
        let asked: &[u8] = match self {
            Self::Anthropic | Self::OpenAi | Self::Responses => b"{\"stream\":true,",
            Self::InvokeModel => b"{\"anthropic_version\":\"bedrock-2023-05-31\",",
            Self::Gemini | Self::GeminiArray | Self::Converse => return body,
        };
        [asked, &body[1..]].concat().into()
    }

    /// What comes in front of the first delta.
    #[must_use]
    pub fn head(self) -> Vec<Bytes> {
        let events: Vec<Value> = match self {
            Self::Anthropic | Self::InvokeModel => vec![
                json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 1}}}),
                json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
            ],
            Self::Responses => vec![
                json!({"type": "response.created", "sequence_number": 0, "response": {"id": "r", "object": "response", "status": "in_progress", "output": []}}),
                json!({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": {"type": "message", "id": "i", "role": "assistant", "status": "in_progress", "content": []}}),
            ],
            Self::Converse => vec![json!({"role": "assistant", "p": "abcdefgh"})],
            Self::OpenAi | Self::Gemini | Self::GeminiArray => Vec::new(),
        };
        events.iter().map(|event| self.event("messageStart", event, true)).collect()
    }

    /// One piece of text, the `at`th.
    #[must_use]
    pub fn delta(self, at: usize, text: &str) -> Bytes {
        let event = match self {
            Self::Anthropic | Self::InvokeModel => {
                json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})
            }
            Self::OpenAi => {
                json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-6", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]})
            }
            Self::Responses => {
                json!({"type": "response.output_text.delta", "sequence_number": at + 2, "item_id": "i", "output_index": 0, "content_index": 0, "delta": text})
            }
            Self::Gemini | Self::GeminiArray => {
                json!({"candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}], "modelVersion": "gemini-3-pro"})
            }
            Self::Converse => json!({"contentBlockIndex": 0, "delta": {"text": text}, "p": "abcdefghijkl"}),
        };
        self.event("contentBlockDelta", &event, at == 0)
    }

    /// What comes behind `deltas` pieces that said `text`: a call of the retrieval tool with this
    /// handle, if there is one, and the end.
    #[must_use]
    pub fn tail(self, deltas: usize, text: &str, handle: Option<&str>) -> Vec<Bytes> {
        let arguments = json!({"handle": handle}).to_string();
        let (ours, stop) = (handle.is_some(), if handle.is_some() { "tool_use" } else { "end_turn" });
        let mut events: Vec<(&str, Value)> = Vec::new();
        match self {
            Self::Anthropic | Self::InvokeModel => {
                events.push(("", json!({"type": "content_block_stop", "index": 0})));
                if ours {
                    events.extend([
                        ("", json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "ours_1", "name": RETRIEVAL_TOOL, "input": {}}})),
                        ("", json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": arguments}})),
                        ("", json!({"type": "content_block_stop", "index": 1})),
                    ]);
                }
                events.extend([
                    ("", json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null}, "usage": {"output_tokens": 900}})),
                    ("", json!({"type": "message_stop"})),
                ]);
            }
            Self::OpenAi => {
                let chunk = |delta: Value, reason: Value| json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-6", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
                if ours {
                    events.push(("", chunk(json!({"tool_calls": [{"index": 0, "id": "ours_1", "type": "function", "function": {"name": RETRIEVAL_TOOL, "arguments": arguments}}]}), Value::Null)));
                }
                let reason = if ours { "tool_calls" } else { "stop" };
                events.push(("", chunk(json!({}), json!(reason))));
            }
            Self::Responses => {
                let item = json!({"type": "message", "id": "i", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": text, "annotations": []}]});
                let mut output = vec![item.clone()];
                events.push(("", json!({"type": "response.output_item.done", "sequence_number": deltas + 2, "output_index": 0, "item": item})));
                if ours {
                    let call = json!({"type": "function_call", "id": "fc", "call_id": "ours_1", "name": RETRIEVAL_TOOL, "arguments": arguments, "status": "completed"});
                    events.extend([
                        ("", json!({"type": "response.output_item.added", "sequence_number": deltas + 3, "output_index": 1, "item": call})),
                        ("", json!({"type": "response.output_item.done", "sequence_number": deltas + 4, "output_index": 1, "item": call})),
                    ]);
                    output.push(call);
                }
                events.push(("", json!({"type": "response.completed", "sequence_number": deltas + 5, "response": {"id": "r", "object": "response", "status": "completed", "output": output, "usage": {"input_tokens": 10, "output_tokens": 900}}})));
            }
            Self::Gemini | Self::GeminiArray => {
                let call = json!({"functionCall": {"name": RETRIEVAL_TOOL, "args": {"handle": handle}}});
                let parts = if ours { vec![call] } else { vec![json!({"text": ""})] };
                events.push(("", json!({"candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": "STOP", "index": 0}], "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 900}})));
            }
            Self::Converse => {
                events.push(("contentBlockStop", json!({"contentBlockIndex": 0})));
                if ours {
                    events.extend([
                        ("contentBlockStart", json!({"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "ours_1", "name": RETRIEVAL_TOOL}}})),
                        ("contentBlockDelta", json!({"contentBlockIndex": 1, "delta": {"toolUse": {"input": arguments}}})),
                        ("contentBlockStop", json!({"contentBlockIndex": 1})),
                    ]);
                }
                events.extend([
                    ("messageStop", json!({"stopReason": stop})),
                    ("metadata", json!({"usage": {"inputTokens": 10, "outputTokens": 900, "totalTokens": 910}, "metrics": {"latencyMs": 5}})),
                ]);
            }
        }
        let begins = deltas == 0 && self.head().is_empty();
        let mut tail: Vec<Bytes> = Vec::new();
        for (name, event) in &events {
            tail.push(self.event(name, event, begins && tail.is_empty()));
        }
        tail.extend(match self {
            Self::OpenAi => Some(Bytes::from_static(b"data: [DONE]\n\n")),
            Self::GeminiArray => Some(Bytes::from_static(b"\n]")),
            _ => None,
        });
        tail
    }

    /// The bytes of one event; the `first` of an array opens it.
    fn event(self, name: &str, event: &Value, first: bool) -> Bytes {
        match self {
            Self::Anthropic | Self::Responses => {
                format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default()).into()
            }
            Self::OpenAi | Self::Gemini => format!("data: {event}\n\n").into(),
            Self::GeminiArray => format!("{}{event}", if first { "[" } else { ",\n" }).into(),
            Self::InvokeModel => eventstream::chunk(&event.to_string()),
            Self::Converse => eventstream::event(name, &event.to_string()),
        }
    }
}
