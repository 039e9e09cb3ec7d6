//! Conversations with something to hide, and models that ask for it.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use headroom_engine::{
    Policy,
    ccr::{Handle, Marker},
};
use headroom_tests::{
    Dialect,
    client::Answer,
    provider::{Block, RETRIEVAL_TOOL, Received, Reply, Script},
};
use headroom_tower::{HeadroomBuilder, HeadroomLayer};
use serde_json::{Value, json};

use crate::bed::OURS;

/// The dialects whose streams the tests of timing know event by event.
pub(crate) const DIALECTS: [Dialect; 2] = [Dialect::Anthropic, Dialect::OpenAi];

pub(crate) const ALL: [Dialect; 5] =
    [Dialect::Anthropic, Dialect::OpenAi, Dialect::Responses, Dialect::Gemini, Dialect::Converse];

/// All dialects, whole and streamed.
pub(crate) const MANNERS: [(Dialect, bool); 10] = [
    (Dialect::Anthropic, false),
    (Dialect::Anthropic, true),
    (Dialect::OpenAi, false),
    (Dialect::OpenAi, true),
    (Dialect::Responses, false),
    (Dialect::Responses, true),
    (Dialect::Gemini, false),
    (Dialect::Gemini, true),
    (Dialect::Converse, false),
    (Dialect::Converse, true),
];

/// Elides whatever pays at all.
pub(crate) fn eager() -> HeadroomBuilder {
    HeadroomLayer::builder().policy(Policy::default().least_hidden(20))
}

pub(crate) fn layer() -> HeadroomLayer {
    eager().build().unwrap()
}

/// A log with one error in the middle; most of the rest can be left out.
pub(crate) fn log(seed: usize) -> String {
    let mut out = String::new();
    for line in 0..240 {
        let (minute, second) = (line / 60, line % 60);
        let token = (seed * 7919 + line * 104_729) % 999_983;
        if line == 120 {
            writeln!(out, "2026-11-02T10:{minute:02}:{second:02} ERROR store: lost lease {token:06}")
                .unwrap();
        } else {
            writeln!(
                out,
                "2026-11-02T10:{minute:02}:{second:02} INFO worker: batch {line} of shard {seed} done, token {token:06}"
            )
            .unwrap();
        }
    }
    out
}

/// A conversation as its client holds it.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    dialect: Dialect,
    pub(crate) body: Value,
}

impl Talk {
    /// Begins with a user's words, and a tool that returns bulk.
    pub(crate) fn new(dialect: Dialect) -> Self {
        let tool = match dialect {
            Dialect::Anthropic => {
                json!({"name": "run_command", "description": "Runs a command in the shell", "input_schema": {"type": "object"}})
            }
            Dialect::OpenAi => {
                json!({"type": "function", "function": {"name": "run_command", "description": "Runs a command in the shell", "parameters": {"type": "object"}}})
            }
            Dialect::Responses => {
                json!({"type": "function", "name": "run_command", "description": "Runs a command in the shell", "parameters": {"type": "object"}})
            }
            Dialect::Converse => {
                json!({"toolSpec": {"name": "run_command", "description": "Runs a command in the shell", "inputSchema": {"json": {"type": "object"}}}})
            }
            Dialect::Gemini => {
                json!({"functionDeclarations": [{"name": "run_command", "description": "Runs a command in the shell", "parameters": {"type": "object"}}]})
            }
        };
        let model = if dialect == Dialect::Anthropic { "claude-haiku-4-5" } else { "gpt-6" };
        let body = match dialect {
            Dialect::Converse => json!({"toolConfig": {"tools": [tool]}, "messages": []}),
            Dialect::Gemini => json!({"tools": [tool], "contents": []}),
            Dialect::Responses => json!({"model": model, "store": false, "tools": [tool], "input": []}),
            _ => json!({"model": model, "max_tokens": 4096, "tools": [tool], "messages": []}),
        };
        let mut talk = Self { dialect, body };
        talk.user("Why did the nightly job fail?");
        talk
    }

    /// One call of the client's tool, already answered with `output`.
    pub(crate) fn about(dialect: Dialect, output: &str) -> Self {
        let mut talk = Self::new(dialect);
        talk.call("call_1");
        talk.result("call_1", output);
        talk
    }

    /// Thinks, on a model that checks what its thinking is bound to.
    pub(crate) fn thinking(mut self) -> Self {
        self.body["model"] = "claude-opus-5-5".into();
        self.body["thinking"] = json!({"type": "adaptive"});
        self
    }

    pub(crate) fn say(&mut self, message: Value) {
        let list = self.body[self.dialect.list()].as_array_mut().unwrap();
        match message {
            Value::Array(items) => list.extend(items),
            message => list.push(message),
        }
    }

    pub(crate) fn user(&mut self, text: &str) {
        self.say(match self.dialect {
            Dialect::Converse => json!({"role": "user", "content": [{"text": text}]}),
            Dialect::Gemini => json!({"role": "user", "parts": [{"text": text}]}),
            _ => json!({"role": "user", "content": text}),
        });
    }

    pub(crate) fn call(&mut self, id: &str) {
        self.say(match self.dialect {
            Dialect::Anthropic => {
                json!({"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "run_command", "input": {"command": "journalctl"}}]})
            }
            Dialect::OpenAi => {
                json!({"role": "assistant", "content": null, "tool_calls": [{"id": id, "type": "function", "function": {"name": "run_command", "arguments": "{\"command\":\"journalctl\"}"}}]})
            }
            Dialect::Responses => {
                json!({"type": "function_call", "call_id": id, "name": "run_command", "arguments": "{\"command\":\"journalctl\"}"})
            }
            Dialect::Converse => {
                let call = json!({"toolUseId": id, "name": "run_command", "input": {"command": "journalctl"}});
                json!({"role": "assistant", "content": [{"toolUse": call}]})
            }
            Dialect::Gemini => {
                let call = json!({"id": id, "name": "run_command", "args": {"command": "journalctl"}});
                json!({"role": "model", "parts": [{"functionCall": call, "thoughtSignature": "c2lnbmVk"}]})
            }
        });
    }

    pub(crate) fn result(&mut self, id: &str, output: &str) {
        self.say(match self.dialect {
            Dialect::Anthropic => {
                json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": output}]})
            }
            Dialect::OpenAi => json!({"role": "tool", "tool_call_id": id, "content": output}),
            Dialect::Responses => json!({"type": "function_call_output", "call_id": id, "output": output}),
            Dialect::Converse => {
                let result = json!({"toolUseId": id, "content": [{"text": output}]});
                json!({"role": "user", "content": [{"toolResult": result}]})
            }
            Dialect::Gemini => {
                let response = json!({"id": id, "name": "run_command", "response": {"output": output}});
                json!({"role": "user", "parts": [{"functionResponse": response}]})
            }
        });
    }

    pub(crate) fn answered(&mut self, answer: &Answer) {
        self.say(answer.message().clone());
    }

    /// The next request.
    pub(crate) fn body(&self, stream: bool) -> Bytes {
        let mut body = self.body.clone();
        if stream || !matches!(self.dialect, Dialect::Gemini | Dialect::Converse) {
            body["stream"] = stream.into();
        }
        if stream && self.dialect == Dialect::OpenAi {
            body["stream_options"] = json!({"include_usage": true});
        }
        body.to_string().into()
    }
}

/// Answers request number n, from 0, with what `script` says.
pub(crate) fn script(script: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static) -> impl Script {
    let count = AtomicUsize::new(0);
    move |received: &Received| script(count.fetch_add(1, Ordering::SeqCst), received)
}

/// Every handle that stands in a request's results, in order.
pub(crate) fn handles(request: &Received) -> Vec<Handle> {
    let mut found = Vec::new();
    for (_, text) in request.results() {
        for (at, _) in text.match_indices("[~") {
            let marker = Marker::parse_prefix(&text[at..]).map(|(marker, _)| marker);
            found.extend(marker.and_then(|marker| marker.handle()));
        }
    }
    found
}

/// Call number `n` of ours: all of what the request's last handle names.
pub(crate) fn fetch(request: &Received, n: usize) -> Block {
    let handle = handles(request).pop().expect("something is hidden");
    retrieve(n, json!({"handle": handle.to_string(), "query": "token"}))
}

/// Call number `n` of ours, with these arguments.
pub(crate) fn retrieve(n: usize, arguments: impl std::fmt::Display) -> Block {
    Block::call(format!("{OURS}{n}"), RETRIEVAL_TOOL, arguments)
}

/// A call of the client's tool.
pub(crate) fn run(id: &str) -> Block {
    Block::call(id, "run_command", r#"{"command":"date"}"#)
}

pub(crate) fn words(text: &str) -> Block {
    Block::Text(text.to_owned())
}

/// The lines of `source` that the model does not see in `request`.
pub(crate) fn unseen<'a>(source: &'a str, request: &Received) -> Vec<&'a str> {
    let seen: String = request.results().into_iter().map(|(_, text)| text).collect();
    source.lines().filter(|line| !seen.contains(line.rsplit(' ').next().unwrap())).collect()
}
