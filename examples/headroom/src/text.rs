//! A bare text, compressed as one tool result.

use bytes::Bytes;
use headroom_engine::{Engine, Originals, Report, Retrievable, ScanError};
use serde::Deserialize;
use serde_json::json;

/// A text, and what is known of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Text<'a> {
    /// What it says.
    pub(crate) text: &'a str,
    /// The file it was read from, or the command line that printed it.
    pub(crate) source: Option<&'a str>,
    /// What it is wanted for: relevant parts stay.
    pub(crate) query: Option<&'a str>,
}

/// The same text, smaller.
#[derive(Debug)]
pub(crate) struct Smaller {
    /// As a model should read it.
    pub(crate) text: String,
    /// What it hides.
    pub(crate) originals: Originals,
    /// What was done, and why.
    pub(crate) report: Report,
}

impl Text<'_> {
    /// Compresses the text, leaving parts out if they can be had back.
    pub(crate) fn compress(
        &self,
        engine: &Engine,
        model: &str,
        retrievable: Option<Retrievable>,
    ) -> Result<Smaller, ScanError> {
        let compressed = engine.compress(&self.conversation(), model, retrievable)?;
        let text = last_content(compressed.messages()).unwrap_or_else(|| self.text.to_owned());
        Ok(Smaller { text, originals: compressed.originals().clone(), report: compressed.report().clone() })
    }

    /// The shortest conversation in which a tool returns the text.
    fn conversation(&self) -> String {
        let (tool, arguments) = match self.source {
            Some(line) if line.contains(char::is_whitespace) => ("run", json!({ "command": line })),
            Some(path) => ("read", json!({ "path": path })),
            None => ("run", json!({})),
        };
        let call = json!({
            "id": "call", "type": "function",
            "function": { "name": tool, "arguments": arguments.to_string() },
        });
        json!([
            { "role": "user", "content": self.query.unwrap_or_default() },
            { "role": "assistant", "tool_calls": [call] },
            { "role": "tool", "tool_call_id": "call", "content": self.text },
        ])
        .to_string()
    }
}

fn last_content(messages: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Message {
        content: Option<String>,
    }
    let messages: Vec<Message> = serde_json::from_str(messages).ok()?;
    messages.into_iter().next_back()?.content
}

/// The originals with their texts, as a store takes them.
pub(crate) fn texts(
    originals: &Originals,
) -> impl Iterator<Item = (headroom_engine::ccr::Handle, &'static str, Bytes)> + '_ {
    originals.iter().filter_map(|(handle, kind)| Some((handle, kind, Bytes::from(originals.get(handle)?))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_stay_byte_for_byte() {
        for text in ["", "x", "\u{0}\r\n\"\\\u{2028}é", "[~lines 1-2]"] {
            let smaller = Text { text, ..Text::default() }.compress(&Engine::new(), "gpt-6", None).unwrap();
            assert_eq!(smaller.text, text);
            assert!(smaller.originals.is_empty());
        }
    }

    #[test]
    fn what_is_wanted_stays() {
        let log: String = (0..4000)
            .map(|n| {
                format!(
                    "2026-11-22T10:{:02}:{:02}Z INFO worker {n} took job {}\n",
                    n / 60 % 60,
                    n % 60,
                    n * 7919 % 9973
                )
            })
            .collect();
        let log = log.replace("worker 2345 took", "worker 2345 dropped");
        let text = Text { text: &log, source: Some("app.log"), query: Some("why was a job dropped?") };
        let smaller = text.compress(&Engine::new(), "gpt-6", Some(Retrievable::by_caller())).unwrap();
        assert!(
            smaller.text.len() < log.len() / 2 && smaller.text.contains("2345 dropped"),
            "{}",
            smaller.text
        );
        assert!(
            texts(&smaller.originals).all(|(_, _, text)| log.contains(std::str::from_utf8(&text).unwrap()))
        );
    }
}
