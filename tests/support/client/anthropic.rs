//! Anthropic Messages: the order of events, and the message they make.

use serde_json::{Value, json};

use super::{
    answer::{Answer, Billed, Malformed, Said, malformed},
    sse::Event,
};
use crate::Dialect;

#[derive(Debug, Default)]
pub(super) struct Accumulator {
    message: Option<Value>,
    blocks: Vec<Value>,
    /// The open block's raw arguments.
    open: Option<String>,
    stop: String,
    billed: Billed,
    stopped: bool,
}

impl Accumulator {
    pub(super) fn event(&mut self, event: &Event, said: &mut Vec<Said>) -> Result<(), Malformed> {
        let Ok(data) = serde_json::from_str::<Value>(&event.data) else {
            return malformed(format!("not JSON: {}", event.data));
        };
        let kind = data["type"].as_str().unwrap_or_default();
        if kind != event.name {
            return malformed(format!("event {} holds {kind}", event.name));
        }
        if kind == "error" {
            return malformed(format!("error event: {}", data["error"]["message"]));
        }
        if self.stopped {
            return malformed(format!("{kind} behind message_stop"));
        }
        if (kind == "message_start") == self.message.is_some() && kind != "ping" {
            return malformed(format!("{kind} out of order"));
        }
        match kind {
            "message_start" => {
                self.billed = billed(&data["message"]["usage"]);
                self.message = Some(data["message"].clone());
            }
            "content_block_start" => self.start(&data, said)?,
            "content_block_delta" => self.delta(&data, said)?,
            "content_block_stop" => self.stop(&data)?,
            "message_delta" => {
                data["delta"]["stop_reason"].as_str().unwrap_or_default().clone_into(&mut self.stop);
                self.take_usage(&data["usage"]);
            }
            "message_stop" => self.stopped = true,
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, data: &Value, said: &mut Vec<Said>) -> Result<(), Malformed> {
        if data["index"] != self.blocks.len() || self.open.is_some() || !self.stop.is_empty() {
            return malformed(format!("block {} opened out of order", data["index"]));
        }
        if data["content_block"]["type"] == "tool_use" {
            said.push(Said::Call(data["content_block"]["name"].as_str().unwrap_or_default().to_owned()));
        }
        self.blocks.push(data["content_block"].clone());
        self.open = Some(String::new());
        Ok(())
    }

    fn delta(&mut self, data: &Value, said: &mut Vec<Said>) -> Result<(), Malformed> {
        let index = self.blocks.len();
        let (Some(arguments), Some(block)) = (&mut self.open, self.blocks.last_mut()) else {
            return malformed("delta without a block");
        };
        if data["index"] != index - 1 {
            return malformed(format!("delta for block {}", data["index"]));
        }
        let delta = &data["delta"];
        let text = |key: &str| delta[key].as_str().unwrap_or_default().to_owned();
        match delta["type"].as_str().unwrap_or_default() {
            "text_delta" => {
                append(block, "text", &text("text"));
                said.push(Said::Text(text("text")));
            }
            "thinking_delta" => {
                append(block, "thinking", &text("thinking"));
                said.push(Said::Thinking(text("thinking")));
            }
            "signature_delta" => append(block, "signature", &text("signature")),
            "input_json_delta" => arguments.push_str(&text("partial_json")),
            _ => {}
        }
        Ok(())
    }

    fn stop(&mut self, data: &Value) -> Result<(), Malformed> {
        let index = self.blocks.len();
        let (Some(arguments), Some(block)) = (self.open.take(), self.blocks.last_mut()) else {
            return malformed("stop without a block");
        };
        if data["index"] != index - 1 {
            return malformed(format!("stop of block {}", data["index"]));
        }
        if block["type"] == "tool_use" && !arguments.is_empty() {
            let Ok(input) = serde_json::from_str::<Value>(&arguments) else {
                return malformed(format!("arguments are not JSON: {arguments}"));
            };
            block["input"] = input;
        }
        Ok(())
    }

    /// Counts in `message_delta` are cumulative; those it lacks stand as `message_start` gave them.
    fn take_usage(&mut self, usage: &Value) {
        let update = |field: &mut u64, key: &str| {
            if let Some(count) = usage[key].as_u64() {
                *field = count;
            }
        };
        update(&mut self.billed.uncached, "input_tokens");
        update(&mut self.billed.cache_read, "cache_read_input_tokens");
        update(&mut self.billed.cache_write, "cache_creation_input_tokens");
        update(&mut self.billed.output, "output_tokens");
    }

    pub(super) fn finish(self) -> Result<Answer, Malformed> {
        if !self.stopped || self.open.is_some() {
            return malformed("the stream ended before message_stop");
        }
        Ok(answer(&self.blocks, self.stop, self.billed))
    }
}

pub(super) fn whole(body: &Value) -> Result<Answer, Malformed> {
    let (Some(blocks), Some(stop)) = (body["content"].as_array(), body["stop_reason"].as_str()) else {
        return malformed(format!("not a message: {body}"));
    };
    Ok(answer(blocks, stop.to_owned(), billed(&body["usage"])))
}

fn answer(blocks: &[Value], stop: String, billed: Billed) -> Answer {
    let message = json!({"role": "assistant", "content": blocks});
    Answer { message, stop, billed, dialect: Dialect::Anthropic }
}

fn billed(usage: &Value) -> Billed {
    let count = |key: &str| usage[key].as_u64().unwrap_or_default();
    Billed {
        uncached: count("input_tokens"),
        cache_read: count("cache_read_input_tokens"),
        cache_write: count("cache_creation_input_tokens"),
        output: count("output_tokens"),
    }
}

fn append(block: &mut Value, key: &str, more: &str) {
    let all = block[key].as_str().unwrap_or_default().to_owned() + more;
    block[key] = all.into();
}
