//! Answers as a client reads them, whole or while they stream.

use headroom_engine::eventstream::{self, Decoder};
use serde_json::Value;

use super::{
    anthropic, converse, gemini, openai, responses,
    sse::{Event, Framer},
};
use crate::Dialect;

/// What the provider says an answer cost, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Billed {
    /// Input neither read from the cache nor written to it.
    pub uncached: u64,
    /// Input read from the prompt cache.
    pub cache_read: u64,
    /// Input written to the prompt cache.
    pub cache_write: u64,
    /// Output.
    pub output: u64,
}

/// What a piece of a stream tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Words of the answer.
    Text(String),
    /// Words of the model's reasoning.
    Thinking(String),
    /// A tool is called; its name.
    Call(String),
}

/// The stream or the body is not what the dialect allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

/// A complete answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub(super) message: Value,
    pub(super) stop: String,
    pub(super) billed: Billed,
    pub(super) dialect: Dialect,
}

impl Answer {
    /// Reads the body of an answer that was not streamed.
    ///
    /// # Errors
    /// If it is not an answer of this dialect.
    pub fn from_json(dialect: Dialect, body: &[u8]) -> Result<Self, Malformed> {
        let body: Value = serde_json::from_slice(body).map_err(|error| Malformed(error.to_string()))?;
        match dialect {
            Dialect::Anthropic => anthropic::whole(&body),
            Dialect::OpenAi => openai::whole(&body),
            Dialect::Responses => responses::whole(&body),
            Dialect::Gemini => gemini::whole(&body),
            Dialect::Converse => converse::whole(&body),
        }
    }

    /// The message as it goes into the next request; of Responses, its items.
    #[must_use]
    pub fn message(&self) -> &Value {
        &self.message
    }

    /// Why the model stopped, in the dialect's words.
    #[must_use]
    pub fn stop(&self) -> &str {
        &self.stop
    }

    /// What it cost.
    #[must_use]
    pub fn billed(&self) -> Billed {
        self.billed
    }

    /// The words of the answer.
    #[must_use]
    pub fn text(&self) -> String {
        let texts = |parts: &Value| crate::provider::text_of(parts);
        match self.dialect {
            Dialect::Responses => {
                self.message.as_array().into_iter().flatten().map(|item| texts(&item["content"])).collect()
            }
            Dialect::Gemini => texts(&self.message["parts"]),
            _ => texts(&self.message["content"]),
        }
    }

    /// The tools called: id and name.
    #[must_use]
    pub fn calls(&self) -> Vec<(&str, &str)> {
        match self.dialect {
            Dialect::Anthropic => self.message["content"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|block| block["type"] == "tool_use")
                .filter_map(|block| Some((block["id"].as_str()?, block["name"].as_str()?)))
                .collect(),
            Dialect::Converse => self.message["content"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|block| &block["toolUse"])
                .filter_map(|call| Some((call["toolUseId"].as_str()?, call["name"].as_str()?)))
                .collect(),
            Dialect::Responses => self
                .message
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|item| Some((item["call_id"].as_str()?, item["name"].as_str()?)))
                .collect(),
            Dialect::Gemini => self.message["parts"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|part| &part["functionCall"])
                .filter_map(|call| Some((call["id"].as_str()?, call["name"].as_str()?)))
                .collect(),
            Dialect::OpenAi => self.message["tool_calls"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|call| Some((call["id"].as_str()?, call["function"]["name"].as_str()?)))
                .collect(),
        }
    }
}

/// Reads a streamed answer, strictly: what an official client would trip over is an error.
#[derive(Debug)]
pub struct Reader {
    framer: Framer,
    /// Of a stream that comes in frames.
    frames: Option<Decoder>,
    begun: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    Anthropic(anthropic::Accumulator),
    OpenAi(openai::Accumulator),
    Responses(responses::Accumulator),
    Gemini(gemini::Accumulator),
    Converse(converse::Accumulator),
}

impl Reader {
    /// A reader at the start of a stream.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        let state = match dialect {
            Dialect::Anthropic => State::Anthropic(anthropic::Accumulator::default()),
            Dialect::OpenAi => State::OpenAi(openai::Accumulator::default()),
            Dialect::Responses => State::Responses(responses::Accumulator::default()),
            Dialect::Gemini => State::Gemini(gemini::Accumulator::default()),
            Dialect::Converse => State::Converse(converse::Accumulator::default()),
        };
        Self { framer: Framer::default(), frames: None, begun: false, state }
    }

    /// Takes the next bytes, and returns what they say.
    ///
    /// # Errors
    /// If an event comes where the dialect has no place for it, or reports an error.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Said>, Malformed> {
        let mut said = Vec::new();
        if !bytes.is_empty() && !std::mem::replace(&mut self.begun, true) && bytes[0] == 0 {
            self.frames = Some(Decoder::default());
        }
        if let Some(frames) = &mut self.frames {
            frames.push(bytes);
            while let Some(message) = frames.next() {
                let message = message.map_err(|error| Malformed(error.to_string()))?;
                match &mut self.state {
                    State::Converse(accumulator) => accumulator.message(&message, &mut said)?,
                    State::Anthropic(accumulator) => {
                        let Some(data) = eventstream::chunk_json(&message) else {
                            return malformed(format!("not a chunk: {message:?}"));
                        };
                        let json: Value =
                            serde_json::from_str(&data).map_err(|error| Malformed(error.to_string()))?;
                        let name = json["type"].as_str().unwrap_or_default().to_owned();
                        accumulator.event(&Event { name, data }, &mut said)?;
                    }
                    _ => return malformed("frames"),
                }
            }
            return Ok(said);
        }
        for event in self.framer.push(bytes) {
            match &mut self.state {
                State::Converse(_) => return malformed("events where frames are expected"),
                State::Anthropic(accumulator) => accumulator.event(&event, &mut said)?,
                State::OpenAi(accumulator) => accumulator.event(&event, &mut said)?,
                State::Responses(accumulator) => accumulator.event(&event, &mut said)?,
                State::Gemini(accumulator) => accumulator.event(&event, &mut said)?,
            }
        }
        Ok(said)
    }

    /// The answer, at the end of the stream.
    ///
    /// # Errors
    /// If the stream ended before the answer did.
    pub fn finish(self) -> Result<Answer, Malformed> {
        if self.framer.is_mid_event() || self.frames.is_some_and(|mut frames| !frames.take_rest().is_empty())
        {
            return Err(Malformed("the stream ended inside an event".to_owned()));
        }
        match self.state {
            State::Anthropic(accumulator) => accumulator.finish(),
            State::OpenAi(accumulator) => accumulator.finish(),
            State::Responses(accumulator) => accumulator.finish(),
            State::Gemini(accumulator) => accumulator.finish(),
            State::Converse(accumulator) => accumulator.finish(),
        }
    }
}

pub(super) fn malformed<T>(reason: impl Into<String>) -> Result<T, Malformed> {
    Err(Malformed(reason.into()))
}
