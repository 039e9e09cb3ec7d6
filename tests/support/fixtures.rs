//! Conversations of agents (see `tests/fixtures/NOTICE.md` for where they come from).

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json, value::RawValue};

use crate::{
    Dialect,
    provider::{Block, text_of},
};

/// The members of a body, as they are written.
pub(crate) type Fields = BTreeMap<String, Box<RawValue>>;

/// A recorded conversation, cut into turns.
#[derive(Clone, Debug)]
pub struct Conversation {
    name: &'static str,
    dialect: Dialect,
    model: String,
    head: Fields,
    turns: Vec<Exchange>,
    results: HashMap<String, String>,
}

/// What the client said, and what the model answered.
#[derive(Clone, Debug)]
pub struct Exchange {
    asked: Vec<Box<RawValue>>,
    answer: Vec<Block>,
}

macro_rules! fixtures {
    ($($name:literal, $dialect:ident);* $(;)?) => {
        /// All of them.
        #[must_use]
        pub fn all() -> Vec<Conversation> {
            vec![$(Conversation::parse(
                $name,
                Dialect::$dialect,
                include_str!(concat!("../fixtures/", $name, ".json")),
            )),*]
        }
    };
}

fixtures! {
    "nightly.anthropic", Anthropic;
    "red-jobs.openai", OpenAi;
    "refactor.anthropic", Anthropic;
    "airline-t4.anthropic", Anthropic;
    "airline-t6.openai", OpenAi;
    "browser.anthropic", Anthropic;
    "marshmallow-1867.openai", OpenAi;
    "pandas-53652.anthropic", Anthropic;
    "pandas-53856.openai", OpenAi;
    "ponyc-4595.openai", OpenAi;
}

/// The one of this name.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn named(name: &str) -> Conversation {
    all().into_iter().find(|conversation| conversation.name == name).expect("a fixture of this name")
}

impl Conversation {
    /// Reads a request body as a conversation. A last message that nobody answered gets a closing
    /// line.
    ///
    /// # Panics
    /// If `body` is no request of this dialect.
    #[must_use]
    pub fn parse(name: &'static str, dialect: Dialect, body: &str) -> Self {
        let mut head: Fields = serde_json::from_str(body).expect("a request body");
        let messages = head.remove("messages").expect("every request has messages");
        let messages: Vec<Box<RawValue>> = serde_json::from_str(messages.get()).expect("an array");
        let model: String = serde_json::from_str(head["model"].get()).expect("a model");
        let mut turns: Vec<Exchange> = Vec::new();
        let mut results = HashMap::new();
        let mut answered = true;
        for raw in messages {
            let message = parsed(&raw);
            if message["role"] == "assistant" {
                turns.last_mut().expect("the client speaks first").answer.extend(blocks(&message));
                answered = true;
                continue;
            }
            collect_results(&message, &mut results);
            if std::mem::take(&mut answered) {
                turns.push(Exchange { asked: Vec::new(), answer: Vec::new() });
            }
            turns.last_mut().expect("just pushed").asked.push(raw);
        }
        if let Some(last) = turns.last_mut().filter(|last| last.answer.is_empty()) {
            last.answer.push(Block::Text("That is all I was asked to do.".to_owned()));
        }
        Self { name, dialect, model, head, turns, results }
    }

    /// The name of the file, without `.json`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its wire format.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The model that was asked.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The turns, at least one.
    #[must_use]
    pub fn turns(&self) -> &[Exchange] {
        &self.turns
    }

    /// The text of each tool result by the id of its call.
    #[must_use]
    pub fn results(&self) -> &HashMap<String, String> {
        &self.results
    }

    /// The text of the first message of the user, which tells conversations apart.
    #[must_use]
    pub fn opening(&self) -> String {
        let asked: Vec<Value> = self.turns[0]
            .asked
            .iter()
            .map(|raw| serde_json::from_str(raw.get()).expect("a message"))
            .collect();
        opening(&asked)
    }

    /// Everything but the messages.
    pub(crate) fn head(&self) -> &Fields {
        &self.head
    }
}

impl Exchange {
    /// The client's messages.
    #[must_use]
    pub fn asked(&self) -> &[Box<RawValue>] {
        &self.asked
    }

    /// What the user wrote; empty if the client only returned results.
    #[must_use]
    pub fn words(&self) -> String {
        let messages = self.asked.iter().map(|raw| parsed(raw)).filter(|message| message["role"] == "user");
        messages.map(|message| text_of(&message["content"])).collect::<Vec<_>>().join("\n")
    }

    /// The bytes of the tool results that the client returned.
    #[must_use]
    pub fn result_bytes(&self) -> usize {
        let mut results = HashMap::new();
        self.asked.iter().for_each(|raw| collect_results(&parsed(raw), &mut results));
        results.values().map(String::len).sum()
    }

    /// The model's answer.
    #[must_use]
    pub fn answer(&self) -> &[Block] {
        &self.answer
    }

    /// The answer as a message, thinking left out.
    #[must_use]
    pub fn recorded(&self, dialect: Dialect) -> Value {
        let text: String = self
            .answer
            .iter()
            .filter_map(|block| if let Block::Text(text) = block { Some(text.as_str()) } else { None })
            .collect();
        let calls = self.answer.iter().filter_map(|block| match block {
            Block::Call { id, name, arguments } => Some((id, name, arguments)),
            _ => None,
        });
        match dialect {
            Dialect::Anthropic => {
                let text = (!text.is_empty()).then(|| json!({"type": "text", "text": text}));
                let calls = calls.map(|(id, name, arguments)| {
                    let input: Value = serde_json::from_str(arguments).expect("recorded arguments");
                    json!({"type": "tool_use", "id": id, "name": name, "input": input})
                });
                json!({"role": "assistant", "content": text.into_iter().chain(calls).collect::<Vec<_>>()})
            }
            _ => {
                let calls: Vec<Value> = calls
                    .map(|(id, name, arguments)| {
                        json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
                    })
                    .collect();
                let mut message = json!({"role": "assistant", "content": text});
                if !calls.is_empty() {
                    message["tool_calls"] = calls.into();
                }
                message
            }
        }
    }
}

fn parsed(message: &RawValue) -> Value {
    serde_json::from_str(message.get()).expect("a message")
}

/// The text of the first user message.
#[must_use]
pub(crate) fn opening(messages: &[Value]) -> String {
    let first = messages.iter().find(|message| message["role"] == "user");
    first.map(|message| text_of(&message["content"])).unwrap_or_default()
}

fn blocks(message: &Value) -> Vec<Block> {
    let mut out = Vec::new();
    for block in crate::provider::blocks_of(&message["content"]) {
        let text = |key: &str| block[key].as_str().unwrap_or_default().to_owned();
        match block["type"].as_str() {
            Some("text") if text("text").is_empty() => {}
            Some("text") => out.push(Block::Text(text("text"))),
            Some("thinking") => out.push(Block::Thinking(text("thinking"))),
            Some("tool_use") => out.push(Block::call(text("id"), text("name"), &block["input"])),
            _ => out.push(Block::Other(block)),
        }
    }
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let function = &call["function"];
        out.push(Block::call(text(&call["id"]), text(&function["name"]), text(&function["arguments"])));
    }
    out
}

fn collect_results(message: &Value, results: &mut HashMap<String, String>) {
    let id = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    if message["role"] == "tool" {
        results.insert(id(&message["tool_call_id"]), text_of(&message["content"]));
    }
    for block in message["content"].as_array().into_iter().flatten() {
        if block["type"] == "tool_result" {
            results.insert(id(&block["tool_use_id"]), text_of(&block["content"]));
        }
    }
}
