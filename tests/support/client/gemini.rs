//! Gemini: the chunks of one candidate, and the content they make.

use serde_json::{Value, json};

use super::{
    answer::{Answer, Billed, Malformed, Said, malformed},
    sse::Event,
};
use crate::Dialect;

#[derive(Debug, Default)]
pub(super) struct Accumulator {
    id: Option<Value>,
    parts: Vec<Value>,
    stop: String,
    billed: Billed,
}

impl Accumulator {
    pub(super) fn event(&mut self, event: &Event, said: &mut Vec<Said>) -> Result<(), Malformed> {
        let Ok(chunk) = serde_json::from_str::<Value>(&event.data) else {
            return malformed(format!("not JSON: {}", event.data));
        };
        self.chunk(&chunk, said)
    }

    fn chunk(&mut self, chunk: &Value, said: &mut Vec<Said>) -> Result<(), Malformed> {
        if !chunk["error"].is_null() {
            return malformed(format!("error: {}", chunk["error"]["message"]));
        }
        if !self.stop.is_empty() {
            return malformed("a chunk behind finishReason");
        }
        if *self.id.get_or_insert_with(|| chunk["responseId"].clone()) != chunk["responseId"] {
            return malformed(format!("id changed to {}", chunk["responseId"]));
        }
        let candidate = &chunk["candidates"][0];
        for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
            if let Some(name) = part["functionCall"]["name"].as_str() {
                said.push(Said::Call(name.to_owned()));
            }
            let plain = |part: &Value| part.as_object().is_some_and(|part| part.keys().eq(["text"]));
            if let Some(text) = part["text"].as_str().filter(|_| plain(part)) {
                said.push(Said::Text(text.to_owned()));
                if let Some(last) = self.parts.last_mut().filter(|last| plain(last)) {
                    last["text"] = (last["text"].as_str().unwrap_or_default().to_owned() + text).into();
                    continue;
                }
            }
            self.parts.push(part.clone());
        }
        let count = |key: &str| chunk["usageMetadata"][key].as_u64().unwrap_or_default();
        let cache_read = count("cachedContentTokenCount");
        self.billed = Billed {
            uncached: count("promptTokenCount").saturating_sub(cache_read),
            cache_read,
            cache_write: 0,
            output: count("candidatesTokenCount") + count("thoughtsTokenCount"),
        };
        if let Some(reason) = candidate["finishReason"].as_str() {
            reason.clone_into(&mut self.stop);
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Answer, Malformed> {
        if self.stop.is_empty() {
            return malformed("the stream ended before finishReason");
        }
        let message = json!({"role": "model", "parts": self.parts});
        Ok(Answer { message, stop: self.stop, billed: self.billed, dialect: Dialect::Gemini })
    }
}

/// One answer, or the array of a stream without events.
pub(super) fn whole(body: &Value) -> Result<Answer, Malformed> {
    let mut accumulator = Accumulator::default();
    match body.as_array() {
        Some(chunks) => chunks.iter().try_for_each(|chunk| accumulator.chunk(chunk, &mut Vec::new()))?,
        None => accumulator.chunk(body, &mut Vec::new())?,
    }
    accumulator.finish()
}
