//! Bedrock Converse: the order of events, and the message they make.

use headroom_engine::eventstream::Message;
use serde_json::{Value, json};

use super::answer::{Answer, Billed, Malformed, Said, malformed};
use crate::Dialect;

#[derive(Debug, Default)]
pub(super) struct Accumulator {
    started: bool,
    blocks: Vec<Value>,
    /// The open block's raw arguments.
    open: Option<String>,
    stop: String,
    billed: Option<Billed>,
}

impl Accumulator {
    pub(super) fn message(&mut self, message: &Message, said: &mut Vec<Said>) -> Result<(), Malformed> {
        let Ok(data) = serde_json::from_slice::<Value>(message.payload()) else {
            return malformed("a payload is not JSON");
        };
        let Some(kind) = message.event_type() else {
            return malformed(format!("error event: {}", data["message"]));
        };
        if self.billed.is_some() {
            return malformed(format!("{kind} behind metadata"));
        }
        if (kind == "messageStart") == self.started {
            return malformed(format!("{kind} out of order"));
        }
        match kind {
            "messageStart" => self.started = true,
            "contentBlockStart" => {
                self.begin(&data, data["start"].clone())?;
                if let Some(name) = data["start"]["toolUse"]["name"].as_str() {
                    said.push(Said::Call(name.to_owned()));
                }
            }
            "contentBlockDelta" => {
                if self.open.is_none() {
                    self.begin(&data, json!({}))?;
                }
                self.delta(&data, said)?;
            }
            "contentBlockStop" => self.end(&data)?,
            "messageStop" => data["stopReason"].as_str().unwrap_or_default().clone_into(&mut self.stop),
            "metadata" => self.billed = Some(billed(&data["usage"])),
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, data: &Value, start: Value) -> Result<(), Malformed> {
        if data["contentBlockIndex"] != self.blocks.len() || self.open.is_some() || !self.stop.is_empty() {
            return malformed(format!("block {} opened out of order", data["contentBlockIndex"]));
        }
        self.blocks.push(start);
        self.open = Some(String::new());
        Ok(())
    }

    fn delta(&mut self, data: &Value, said: &mut Vec<Said>) -> Result<(), Malformed> {
        let index = self.blocks.len();
        let (Some(arguments), Some(block)) = (&mut self.open, self.blocks.last_mut()) else {
            return malformed("delta without a block");
        };
        if data["contentBlockIndex"] != index - 1 {
            return malformed(format!("delta for block {}", data["contentBlockIndex"]));
        }
        let delta = &data["delta"];
        if let Some(text) = delta["text"].as_str() {
            append(&mut block["text"], text);
            said.push(Said::Text(text.to_owned()));
        }
        if let Some(input) = delta["toolUse"]["input"].as_str() {
            arguments.push_str(input);
        }
        for (key, value) in delta["reasoningContent"].as_object().into_iter().flatten() {
            let text = value.as_str().unwrap_or_default();
            append(&mut block["reasoningContent"]["reasoningText"][key], text);
            if key == "text" {
                said.push(Said::Thinking(text.to_owned()));
            }
        }
        Ok(())
    }

    fn end(&mut self, data: &Value) -> Result<(), Malformed> {
        let index = self.blocks.len();
        let (Some(arguments), Some(block)) = (self.open.take(), self.blocks.last_mut()) else {
            return malformed("stop without a block");
        };
        if data["contentBlockIndex"] != index - 1 {
            return malformed(format!("stop of block {}", data["contentBlockIndex"]));
        }
        if let Some(call) = block.get_mut("toolUse") {
            let Ok(input) = serde_json::from_str::<Value>(&arguments) else {
                return malformed(format!("arguments are not JSON: {arguments}"));
            };
            call["input"] = input;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Answer, Malformed> {
        let (Some(billed), None) = (self.billed, self.open) else {
            return malformed("the stream ended before metadata");
        };
        Ok(answer(&self.blocks, self.stop, billed))
    }
}

pub(super) fn whole(body: &Value) -> Result<Answer, Malformed> {
    let content = body["output"]["message"]["content"].as_array();
    let (Some(blocks), Some(stop)) = (content, body["stopReason"].as_str()) else {
        return malformed(format!("not a message: {body}"));
    };
    Ok(answer(blocks, stop.to_owned(), billed(&body["usage"])))
}

fn answer(blocks: &[Value], stop: String, billed: Billed) -> Answer {
    let message = json!({"role": "assistant", "content": blocks});
    Answer { message, stop, billed, dialect: Dialect::Converse }
}

fn billed(usage: &Value) -> Billed {
    let count = |key: &str| usage[key].as_u64().unwrap_or_default();
    Billed {
        uncached: count("inputTokens"),
        cache_read: count("cacheReadInputTokens"),
        cache_write: count("cacheWriteInputTokens"),
        output: count("outputTokens"),
    }
}

fn append(slot: &mut Value, more: &str) {
    *slot = (slot.as_str().unwrap_or_default().to_owned() + more).into();
}
