//! What a conversation itself shows to have been needed.
//!
//! *Needed*: the `needed-by-next-call` probes of a corpus. *Used*: the model's own later words. Every
//! line of at least 24 characters (trimmed) that an assistant message or a call's arguments hold,
//! and that so far stood only in tool output, was read there.

use std::collections::BTreeSet;

use memchr::memmem;

use crate::wire::{Body, Part};

/// A shorter line is found by chance.
const SHORTEST: usize = 24;

/// The lines that message `at` took from tool output, in order, each once.
pub(crate) fn used(body: &Body, at: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut seen = BTreeSet::new();
    for piece in &body.messages[at].pieces {
        let mut each = |text: &str| {
            for line in text.lines().map(str::trim).filter(|line| line.chars().count() >= SHORTEST) {
                if seen.insert(line.to_owned()) {
                    lines.push(line.to_owned());
                }
            }
        };
        match piece.part {
            Part::Text => each(&piece.text),
            Part::Call => match serde_json::from_str(&piece.text) {
                Ok(arguments) => strings(&arguments, &mut each),
                Err(_) => each(&piece.text),
            },
            _ => {}
        }
    }
    let (mut results, mut others) = (Vec::new(), Vec::new());
    let before = body.messages[..at].iter().flat_map(|message| &message.pieces);
    for piece in body.tools.iter().chain(&body.system).chain(before) {
        match piece.part {
            Part::Result => results.push(piece.text.as_str()),
            Part::Call => others.push(arguments(&piece.text)),
            _ => others.push(piece.text.clone()),
        }
    }
    lines.retain(|line| {
        let finder = memmem::Finder::new(line.as_bytes());
        let found = |text: &str| finder.find(text.as_bytes()).is_some();
        results.iter().any(|text| found(text)) && !others.iter().any(|text| found(text))
    });
    lines
}

/// The strings of a call's arguments, decoded.
fn arguments(text: &str) -> String {
    let mut out = String::new();
    if let Ok(value) = serde_json::from_str(text) {
        strings(&value, &mut |string| {
            out.push_str(string);
            out.push('\n');
        });
    }
    out
}

fn strings(value: &serde_json::Value, each: &mut dyn FnMut(&str)) {
    match value {
        serde_json::Value::String(text) => each(text),
        serde_json::Value::Array(items) => items.iter().for_each(|item| strings(item, each)),
        serde_json::Value::Object(members) => members.values().for_each(|member| strings(member, each)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Dialect;

    #[test]
    fn a_line_first_repeated_from_tool_output_is_used() {
        let source = r#"{"messages":[
            {"role":"user","content":"a line the user wrote himself"},
            {"role":"assistant","content":"I look","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{\"q\":\"something only the call has said\"}"}}]},
            {"role":"tool","tool_call_id":"1","content":"  def separable(transform, depth):\nshort line\na line the user wrote himself\nsomething only the call has said\nnever repeated by anyone at all"},
            {"role":"assistant","content":"short line\na line the user wrote himself\nsomething only the call has said\n    def separable(transform, depth):  ","tool_calls":[{"id":"2","function":{"name":"f","arguments":"{\"old\":[\"def separable(transform, depth):\\nnot in any output of a tool\"]}"}}]},
            {"role":"assistant","content":"def separable(transform, depth):"}]}"#;
        let body = Body::read(source, Dialect::OpenAi).unwrap();
        assert_eq!(used(&body, 3), ["def separable(transform, depth):"]);
        assert!(used(&body, 4).is_empty(), "by then it stood in the model's own words");
        assert!(used(&body, 1).is_empty());
    }
}
