//! OpenAI Chat Completions: the chunks of one choice, and the message they make.

use serde_json::{Value, json};

use super::{
    answer::{Answer, Billed, Malformed, Said, malformed},
    sse::Event,
};
use crate::Dialect;

#[derive(Debug, Default)]
pub(super) struct Accumulator {
    id: Option<Value>,
    role: bool,
    content: Option<String>,
    calls: Vec<Value>,
    stop: String,
    billed: Billed,
    done: bool,
}

impl Accumulator {
    pub(super) fn event(&mut self, event: &Event, said: &mut Vec<Said>) -> Result<(), Malformed> {
        if self.done {
            return malformed("an event behind [DONE]");
        }
        if event.data == "[DONE]" {
            self.done = true;
            return Ok(());
        }
        let Ok(chunk) = serde_json::from_str::<Value>(&event.data) else {
            return malformed(format!("not JSON: {}", event.data));
        };
        if !chunk["error"].is_null() {
            return malformed(format!("error event: {}", chunk["error"]["message"]));
        }
        if *self.id.get_or_insert_with(|| chunk["id"].clone()) != chunk["id"] {
            return malformed(format!("id changed to {}", chunk["id"]));
        }
        if chunk["usage"].is_object() {
            self.billed = billed(&chunk["usage"]);
        }
        for choice in chunk["choices"].as_array().into_iter().flatten() {
            if choice["index"] != 0 {
                return malformed("a second choice");
            }
            self.delta(&choice["delta"], said)?;
            if let Some(reason) = choice["finish_reason"].as_str() {
                reason.clone_into(&mut self.stop);
            }
        }
        Ok(())
    }

    fn delta(&mut self, delta: &Value, said: &mut Vec<Said>) -> Result<(), Malformed> {
        if !self.stop.is_empty() {
            return malformed("a delta behind finish_reason");
        }
        if delta["role"].is_string() && std::mem::replace(&mut self.role, true) {
            return malformed("a second role");
        }
        if let Some(text) = delta["content"].as_str() {
            self.content.get_or_insert_default().push_str(text);
            if !text.is_empty() {
                said.push(Said::Text(text.to_owned()));
            }
        }
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let index =
                call["index"].as_u64().and_then(|index| usize::try_from(index).ok()).unwrap_or(usize::MAX);
            if index > self.calls.len() {
                return malformed(format!("call {} opened out of order", call["index"]));
            }
            if index == self.calls.len() {
                let (Some(id), Some(name)) = (call["id"].as_str(), call["function"]["name"].as_str()) else {
                    return malformed("a call opened without id and name");
                };
                said.push(Said::Call(name.to_owned()));
                self.calls
                    .push(json!({"id": id, "type": "function", "function": {"name": name, "arguments": ""}}));
            }
            let function = &mut self.calls[index]["function"];
            let arguments = function["arguments"].as_str().unwrap_or_default().to_owned();
            function["arguments"] =
                (arguments + call["function"]["arguments"].as_str().unwrap_or_default()).into();
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Answer, Malformed> {
        if !self.done || self.stop.is_empty() {
            return malformed("the stream ended before [DONE]");
        }
        let content = self.content.filter(|text| !text.is_empty() || self.calls.is_empty());
        Ok(answer(&content.into(), self.calls, self.stop, self.billed))
    }
}

pub(super) fn whole(body: &Value) -> Result<Answer, Malformed> {
    let choice = &body["choices"][0];
    let Some(stop) = choice["finish_reason"].as_str() else {
        return malformed(format!("not a completion: {body}"));
    };
    let calls = choice["message"]["tool_calls"].as_array().cloned().unwrap_or_default();
    Ok(answer(&choice["message"]["content"], calls, stop.to_owned(), billed(&body["usage"])))
}

fn answer(content: &Value, calls: Vec<Value>, stop: String, billed: Billed) -> Answer {
    let mut message = json!({"role": "assistant", "content": content});
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    Answer { message, stop, billed, dialect: Dialect::OpenAi }
}

fn billed(usage: &Value) -> Billed {
    let count = |value: &Value| value.as_u64().unwrap_or_default();
    let details = &usage["prompt_tokens_details"];
    let (cache_read, cache_write) = (count(&details["cached_tokens"]), count(&details["cache_write_tokens"]));
    Billed {
        uncached: count(&usage["prompt_tokens"]).saturating_sub(cache_read + cache_write),
        cache_read,
        cache_write,
        output: count(&usage["completion_tokens"]),
    }
}
