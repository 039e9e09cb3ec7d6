//! OpenAI Responses: the events of one answer, and the items they make.

use serde_json::Value;

use super::{
    answer::{Answer, Billed, Malformed, Said, malformed},
    sse::Event,
};
use crate::Dialect;

#[derive(Debug, Default)]
pub(super) struct Accumulator {
    number: u64,
    id: Value,
    /// Each as its deltas make it.
    items: Vec<Value>,
    done: Vec<Value>,
    end: Option<Value>,
}

impl Accumulator {
    pub(super) fn event(&mut self, event: &Event, said: &mut Vec<Said>) -> Result<(), Malformed> {
        let Ok(data) = serde_json::from_str::<Value>(&event.data) else {
            return malformed(format!("not JSON: {}", event.data));
        };
        let kind = data["type"].as_str().unwrap_or_default();
        if kind == "error" || data["error"].is_object() {
            let message =
                if data["message"].is_null() { &data["error"]["message"] } else { &data["message"] };
            return malformed(format!("error event: {message}"));
        }
        if event.name != kind || self.end.is_some() {
            return malformed(format!("{kind} has no place here"));
        }
        if data["sequence_number"] != self.number {
            return malformed(format!("number {} where {} is next", data["sequence_number"], self.number));
        }
        self.number += 1;
        let answer = &data["response"];
        match kind {
            "response.created" => {
                self.id = answer["id"].clone();
                clean(answer)?;
            }
            "response.in_progress" | "response.completed" | "response.incomplete" => {
                if answer["id"] != self.id {
                    return malformed(format!("id changed to {}", answer["id"]));
                }
                clean(answer)?;
                if kind != "response.in_progress" {
                    if answer["output"].as_array() != Some(&self.done) {
                        return malformed("the answer is not what its items were");
                    }
                    self.end = Some(answer.clone());
                }
            }
            _ => self.item(kind, &data, said)?,
        }
        Ok(())
    }

    fn item(&mut self, kind: &str, data: &Value, said: &mut Vec<Said>) -> Result<(), Malformed> {
        let index = data["output_index"].as_u64().and_then(|index| usize::try_from(index).ok());
        if kind == "response.output_item.added" {
            if index != Some(self.items.len()) {
                return malformed(format!("item {} out of order", data["output_index"]));
            }
            if let Some(name) = data["item"]["name"].as_str() {
                said.push(Said::Call(name.to_owned()));
            }
            self.items.push(data["item"].clone());
            return Ok(());
        }
        let Some(item) = index.and_then(|index| self.items.get_mut(index)) else {
            return malformed(format!("{kind} of no item"));
        };
        if data["item_id"].is_string() && data["item_id"] != item["id"] {
            return malformed(format!("{kind} of another item"));
        }
        let grow = |value: &mut Value| {
            let grown =
                value.as_str().unwrap_or_default().to_owned() + data["delta"].as_str().unwrap_or_default();
            *value = grown.into();
        };
        match kind {
            "response.content_part.added" => {
                if let Some(parts) = item["content"].as_array_mut() {
                    parts.push(data["part"].clone());
                }
            }
            "response.output_text.delta" => {
                grow(&mut item["content"][0]["text"]);
                said.push(Said::Text(data["delta"].as_str().unwrap_or_default().to_owned()));
            }
            "response.function_call_arguments.delta" => grow(&mut item["arguments"]),
            "response.output_text.done" if item["content"][0]["text"] != data["text"] => {
                return malformed("a text is not what its deltas were");
            }
            "response.function_call_arguments.done" if item["arguments"] != data["arguments"] => {
                return malformed("arguments are not what their deltas were");
            }
            "response.output_item.done" => {
                for key in ["id", "content", "arguments"] {
                    if item[key] != data["item"][key] {
                        return malformed(format!("{key} of an item is not what its deltas were"));
                    }
                }
                self.done.push(data["item"].clone());
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Answer, Malformed> {
        match self.end {
            Some(end) => whole(&end),
            None => malformed("the stream ended before the answer"),
        }
    }
}

/// What an answer repeats of the request is the client's own.
fn clean(answer: &Value) -> Result<(), Malformed> {
    let ours = |tool: &Value| tool["name"] == crate::provider::RETRIEVAL_TOOL;
    if answer["tools"].as_array().into_iter().flatten().any(ours) {
        return malformed("a tool that the client does not have");
    }
    Ok(())
}

pub(super) fn whole(body: &Value) -> Result<Answer, Malformed> {
    let (Some(status), Some(_)) = (body["status"].as_str(), body["output"].as_array()) else {
        return malformed(format!("not a response: {body}"));
    };
    clean(body)?;
    let count = |value: &Value| value.as_u64().unwrap_or_default();
    let usage = &body["usage"];
    let cache_read = count(&usage["input_tokens_details"]["cached_tokens"]);
    let billed = Billed {
        uncached: count(&usage["input_tokens"]).saturating_sub(cache_read),
        cache_read,
        cache_write: 0,
        output: count(&usage["output_tokens"]),
    };
    Ok(Answer {
        message: body["output"].clone(),
        stop: status.to_owned(),
        billed,
        dialect: Dialect::Responses,
    })
}
