//! Rebuilds a content block from its events.

use super::block;
use crate::intercept::{
    pieces::Pieces,
    raw::{Object, Raw, decode, quoted},
    round::{Block, Kind},
};

/// A block while it streams; strings with their escapes as they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Capture {
    /// What its first event held; a text has none.
    start: Option<String>,
    text: Pieces,
    /// JSON inside a string, in pieces.
    input: Pieces,
    thought: Pieces,
    signature: Option<String>,
    redacted: Option<String>,
    citations: Vec<String>,
    lost: bool,
}

impl Capture {
    pub(super) fn start(start: Raw<'_>) -> Self {
        Self { start: Some(start.text().to_owned()), ..Self::default() }
    }

    pub(super) fn delta(&mut self, delta: &Object<'_>) {
        for (key, value) in delta.members() {
            match (key, value.inner(), value.object()) {
                ("text", Some(more), _) => self.text.push_str(more),
                ("toolUse", _, Some(call)) => {
                    let more = call.get("input").and_then(Raw::inner);
                    self.input.push_str(more.unwrap_or_default());
                    self.lost |= more.is_none();
                }
                ("reasoningContent", _, Some(reasoning)) => self.reason(&reasoning),
                ("citation", _, Some(_)) => self.citations.push(value.text().to_owned()),
                _ => self.lost = true,
            }
        }
    }

    fn reason(&mut self, reasoning: &Object<'_>) {
        for (key, value) in reasoning.members() {
            match (key, value.inner()) {
                ("text", Some(more)) => self.thought.push_str(more),
                ("signature", Some(signature)) => self.signature = Some(signature.to_owned()),
                // Pieces of base64 are not pieces of the bytes.
                ("redactedContent", Some(data)) => {
                    self.lost |= self.redacted.replace(data.to_owned()).is_some();
                }
                _ => self.lost = true,
            }
        }
    }

    /// The block, and whether it is all there; nothing is left here.
    pub(super) fn block(&mut self, tool: &str) -> (Block, bool) {
        let (begun, input) = (!self.input.is_empty(), decode(&self.input.take("")));
        let whole = self.rebuild(&input);
        let mut built = match whole.as_deref().and_then(Raw::parse) {
            Some(raw) => block(raw, tool),
            None => Block { raw: "{}".to_owned(), kind: Kind::Other(String::new()) },
        };
        if let (Kind::Call(call), true) = (&mut built.kind, begun) {
            // What is no object the API would not take back, but its reader shall see it.
            call.arguments = input;
        }
        (built, whole.is_some() && !self.lost)
    }

    fn rebuild(&mut self, input: &str) -> Option<String> {
        if let Some(start) = &self.start {
            let call = Object::parse(start)?.object("toolUse")?;
            let input = Raw::parse(input).filter(|input| input.object().is_some()).map_or("{}", Raw::text);
            let members: Vec<String> = call
                .members()
                .filter(|(key, _)| *key != "input")
                .map(|(key, value)| format!("{}:{}", quoted(key), value.text()))
                .chain([format!("\"input\":{input}")])
                .collect();
            return Some(format!("{{\"toolUse\":{{{}}}}}", members.join(",")));
        }
        if let Some(data) = &self.redacted {
            return Some(format!("{{\"reasoningContent\":{{\"redactedContent\":\"{data}\"}}}}"));
        }
        if !self.thought.is_empty() || self.signature.is_some() {
            let signature =
                self.signature.as_ref().map(|signature| format!(",\"signature\":\"{signature}\""));
            let mut whole = self.thought.take("{\"reasoningContent\":{\"reasoningText\":{\"text\":\"");
            whole.push('"');
            whole.push_str(&signature.unwrap_or_default());
            whole.push_str("}}}");
            return Some(whole);
        }
        if !self.citations.is_empty() {
            let mut whole = self.text.take("{\"citationsContent\":{\"content\":[{\"text\":\"");
            whole.push_str("\"}],\"citations\":[");
            whole.push_str(&self.citations.join(","));
            whole.push_str("]}}");
            return Some(whole);
        }
        let mut whole = self.text.take("{\"text\":\"");
        whole.push_str("\"}");
        Some(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rebuilt(start: Option<&str>, deltas: &[&str]) -> (String, bool) {
        let mut capture = start.and_then(Raw::parse).map_or_else(Capture::default, Capture::start);
        for delta in deltas {
            capture.delta(&Object::parse(delta).unwrap());
        }
        let (block, whole) = capture.block("ours");
        (block.raw, whole)
    }

    #[test]
    fn every_known_block_comes_back() {
        for (start, deltas, expected) in [
            (None, vec![r#"{"text":"a\n\ud83d"}"#, r#"{"text":"\ude00"}"#], r#"{"text":"a\n\ud83d\ude00"}"#),
            (
                None,
                vec![
                    r#"{"reasoningContent":{"text":"h"}}"#,
                    r#"{"reasoningContent":{"text":"m"}}"#,
                    r#"{"reasoningContent":{"signature":"c2ln"}}"#,
                ],
                r#"{"reasoningContent":{"reasoningText":{"text":"hm","signature":"c2ln"}}}"#,
            ),
            (
                None,
                vec![r#"{"reasoningContent":{"redactedContent":"eHg="}}"#],
                r#"{"reasoningContent":{"redactedContent":"eHg="}}"#,
            ),
            (
                None,
                vec![r#"{"text":"so"}"#, r#"{"citation":{"title":"t"}}"#],
                r#"{"citationsContent":{"content":[{"text":"so"}],"citations":[{"title":"t"}]}}"#,
            ),
            (
                Some(r#"{"toolUse":{"toolUseId":"t","name":"ours"}}"#),
                vec![r#"{"toolUse":{"input":"{\"a\":"}}"#, r#"{"toolUse":{"input":" 1.0}"}}"#],
                r#"{"toolUse":{"toolUseId":"t","name":"ours","input":{"a": 1.0}}}"#,
            ),
            (
                Some(r#"{"toolUse":{"toolUseId":"t","name":"ours","type":"server_tool_use"}}"#),
                vec![r#"{"toolUse":{"input":"{\"a"}}"#],
                r#"{"toolUse":{"toolUseId":"t","name":"ours","type":"server_tool_use","input":{}}}"#,
            ),
        ] {
            assert_eq!(rebuilt(start, &deltas), (expected.to_owned(), true));
        }
    }

    #[test]
    fn what_cannot_be_merged_is_known_to_be_lost() {
        let redacted = r#"{"reasoningContent":{"redactedContent":"eHg="}}"#;
        for (start, deltas) in [
            (None, vec![r#"{"image":{"source":{}}}"#]),
            (None, vec![redacted, redacted]),
            (Some(r#"{"toolResult":{"toolUseId":"t"}}"#), vec![]),
        ] {
            assert!(!rebuilt(start, &deltas).1, "{deltas:?}");
        }
    }
}
