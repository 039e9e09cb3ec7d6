//! Rebuilds a content block from its events, whatever its kind.

use super::block;
use crate::intercept::{
    pieces::Pieces,
    raw::{Object, Raw, decode, quoted, splice},
    round::{Block, Kind},
};

/// A block while it streams.
#[derive(Clone, Debug)]
pub(super) struct Capture {
    /// The block as its first event gave it.
    start: String,
    /// What strings have grown by, escapes as they came.
    grown: Vec<(String, Pieces)>,
    /// Strings that a later one takes the place of.
    set: Vec<(String, String)>,
    /// What arrays have grown by.
    pushed: Vec<(String, Vec<String>)>,
    /// JSON inside a string, in pieces.
    input: Pieces,
    lost: bool,
}

impl Capture {
    pub(super) fn new(start: Raw<'_>) -> Self {
        Self {
            start: start.text().to_owned(),
            grown: Vec::new(),
            set: Vec::new(),
            pushed: Vec::new(),
            input: Pieces::default(),
            lost: false,
        }
    }

    pub(super) fn delta(&mut self, delta: &Object<'_>) {
        let kind = delta.string("type").unwrap_or_default();
        let inner = |key| delta.get(key).and_then(Raw::inner);
        match kind.as_str() {
            "input_json_delta" => self.input.push_str(inner("partial_json").unwrap_or_default()),
            "signature_delta" => {
                inner("signature").unwrap_or_default().clone_into(slot(&mut self.set, "signature"));
            }
            "citations_delta" => {
                if let Some(citation) = delta.get("citation") {
                    slot(&mut self.pushed, "citations").push(citation.text().to_owned());
                }
            }
            _ => {
                let known = matches!(kind.as_str(), "text_delta" | "thinking_delta");
                for (key, value) in delta.members().filter(|(key, _)| *key != "type") {
                    match value.inner() {
                        Some(more) => slot(&mut self.grown, key).push_str(more),
                        None if value.object().is_some() => {
                            slot(&mut self.pushed, key).push(value.text().to_owned());
                        }
                        None => self.lost |= !known && !value.is_null(),
                    }
                }
            }
        }
    }

    /// The block, and whether it is all there; nothing is left here.
    pub(super) fn block(&mut self, tool: &str) -> (Block, bool) {
        let (begun, input) = (!self.input.is_empty(), decode(&self.input.take("")));
        let whole = self.rebuild(begun.then_some(&*input));
        let mut built = match Raw::parse(whole.as_deref().unwrap_or(&self.start)) {
            Some(raw) => block(raw, tool),
            None => Block { raw: self.start.clone(), kind: Kind::Other(String::new()) },
        };
        if let (Kind::Call(call), true) = (&mut built.kind, begun) {
            // What is no object the API would not take back, but its reader shall see it.
            call.arguments = input;
        }
        (built, whole.is_some() && !self.lost)
    }

    fn rebuild(&mut self, input: Option<&str>) -> Option<String> {
        let object = Object::parse(&self.start)?;
        let mut fields: Vec<(&str, String)> = Vec::new();
        for (key, more) in &mut self.grown {
            let before = object.get(key).and_then(Raw::inner).unwrap_or_default();
            let mut literal = more.take(&format!("\"{before}"));
            literal.push('"');
            fields.push((key, literal));
        }
        fields.extend(self.set.iter().map(|(key, value)| (key.as_str(), format!("\"{value}\""))));
        for (key, more) in &self.pushed {
            let mut items: Vec<&str> = match object.get(key) {
                Some(old) if !old.is_null() => old.array()?.iter().map(|item| item.text()).collect(),
                _ => Vec::new(),
            };
            items.extend(more.iter().map(String::as_str));
            fields.push((key, format!("[{}]", items.join(","))));
        }
        if let Some(input) = input {
            let object = Raw::parse(input).filter(|input| input.object().is_some());
            fields.push(("input", object.map_or("{}", Raw::text).to_owned()));
        }
        let mut edits = Vec::new();
        for (key, value) in fields {
            match object.get(key) {
                Some(old) => edits.push((old.span(), value)),
                None => edits.push(object.with(&format!("{}:{value}", quoted(key)))),
            }
        }
        Some(splice(&self.start, edits))
    }
}

fn slot<'a, T: Default>(slots: &'a mut Vec<(String, T)>, key: &str) -> &'a mut T {
    let at = slots.iter().position(|(name, _)| name == key).unwrap_or(slots.len());
    if at == slots.len() {
        slots.push((key.to_owned(), T::default()));
    }
    &mut slots[at].1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rebuilt(start: &str, deltas: &[&str]) -> (String, bool) {
        let mut capture = Capture::new(Raw::parse(start).unwrap());
        for delta in deltas {
            capture.delta(&Raw::parse(delta).unwrap().object().unwrap());
        }
        let (block, whole) = capture.block("ours");
        (block.raw, whole)
    }

    #[test]
    fn every_known_block_comes_back() {
        for (start, deltas, expected) in [
            (
                r#"{"type":"text","text":""}"#,
                vec![
                    r#"{"type":"text_delta","text":"a\n\ud83d"}"#,
                    r#"{"type":"text_delta","text":"\ude00"}"#,
                    r#"{"type":"citations_delta","citation":{"start":1.0}}"#,
                    r#"{"type":"citations_delta","citation":{"start":2}}"#,
                ],
                r#"{"type":"text","text":"a\n\ud83d\ude00","citations":[{"start":1.0},{"start":2}]}"#,
            ),
            (
                r#"{"type":"thinking","thinking":"","signature":""}"#,
                vec![
                    r#"{"type":"thinking_delta","thinking":"hm","estimated_tokens":7}"#,
                    r#"{"type":"signature_delta","signature":"c2ln"}"#,
                ],
                r#"{"type":"thinking","thinking":"hm","signature":"c2ln"}"#,
            ),
            (
                r#"{"type":"redacted_thinking","data":"xx"}"#,
                vec![],
                r#"{"type":"redacted_thinking","data":"xx"}"#,
            ),
            (
                r#"{"type":"tool_use","id":"t","name":"ours","input":{}}"#,
                vec![
                    r#"{"type":"input_json_delta","partial_json":""}"#,
                    r#"{"type":"input_json_delta","partial_json":"{\"a\":"}"#,
                    r#"{"type":"input_json_delta","partial_json":" 1.0}"}"#,
                ],
                r#"{"type":"tool_use","id":"t","name":"ours","input":{"a": 1.0}}"#,
            ),
            (
                r#"{"type":"web_search_tool_result","content":[1]}"#,
                vec![],
                r#"{"type":"web_search_tool_result","content":[1]}"#,
            ),
            (
                r#"{"type":"new","note":null,"parts":[1]}"#,
                vec![
                    r#"{"type":"new_delta","note":"x","parts":{"b":2}}"#,
                    r#"{"type":"new_delta","note":"y"}"#,
                ],
                r#"{"type":"new","note":"xy","parts":[1,{"b":2}]}"#,
            ),
        ] {
            assert_eq!(rebuilt(start, &deltas), (expected.to_owned(), true));
        }
    }

    #[test]
    fn what_cannot_be_merged_is_known_to_be_lost() {
        assert!(!rebuilt(r#"{"type":"new"}"#, &[r#"{"type":"new_delta","level":3}"#]).1);
        assert!(!rebuilt(r#"{"type":"new","x":1}"#, &[r#"{"type":"new_delta","x":{"b":2}}"#]).1);
    }

    #[test]
    fn edge_29_arguments_that_are_no_object_are_echoed_as_one() {
        let start = Raw::parse(r#"{"type":"tool_use","id":"t","name":"ours","input":{}}"#).unwrap();
        let mut capture = Capture::new(start);
        capture.delta(
            &Raw::parse(r#"{"type":"input_json_delta","partial_json":"{\"a"}"#).unwrap().object().unwrap(),
        );
        let (block, whole) = capture.block("ours");
        assert!(whole);
        assert_eq!(block.raw, start.text());
        assert_eq!(block.call().unwrap().arguments, "{\"a");
    }
}
