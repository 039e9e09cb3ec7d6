//! Undoes what the CacheAligner did, found independently of the engine: values go back to where their
//! placeholders stand, and the notes that tell them go.

use std::ops::Range;

use headroom_engine::Dialect;

use crate::{
    json::{elements, only, span, text},
    places::{listed, messages, numbers, role},
};

/// The request as the client sent it but for everything else that was done to it: `notes` are the
/// client's messages behind which values are told.
///
/// # Panics
/// If no note stands there.
#[must_use]
pub fn taken_away(dialect: Dialect, body: &str, notes: &[usize]) -> String {
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    let mut told: Vec<(String, String)> = Vec::new();
    for (before, at) in notes.iter().enumerate() {
        let (gone, note) = match dialect {
            Dialect::Gemini | Dialect::BedrockConverse => part(dialect, body, *at),
            _ => message(dialect, body, at + before + 1),
        };
        edits.push((gone, String::new()));
        for entry in note[1..note.len() - 1].split("]\n[") {
            let (name, value) = entry.split_once(": ").expect("a name and a value");
            told.retain(|(known, _)| known != name);
            told.push((name.to_owned(), value.to_owned()));
        }
    }
    let heads = heads(dialect, body);
    for (name, value) in told {
        let placeholder = format!("[{name}: see below]");
        let found = |head: &Range<usize>| Some(head.start + body[head.clone()].find(&placeholder)?);
        let at = heads.iter().find_map(found).expect("a placeholder");
        let literal = serde_json::Value::from(value).to_string();
        edits.push((at..at + placeholder.len(), literal[1..literal.len() - 1].to_owned()));
    }
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(body.len());
    let mut from = 0;
    for (range, text) in edits {
        out.push_str(&body[from..range.start]);
        out.push_str(&text);
        from = range.end;
    }
    out + &body[from..]
}

/// The note that is message `number`, and where it stands with the comma before it.
fn message(dialect: Dialect, body: &str, number: usize) -> (Range<usize>, String) {
    let list = messages(body);
    let at = numbers(dialect, &list).iter().position(|of| *of == number).expect("a message of its own");
    let note = only(list[at], "content").and_then(text).expect("a note of its own");
    (span(body, list[at - 1]).end..span(body, list[at]).end, note)
}

/// The note that is the last part of message `at`, and where it stands with the comma before it.
fn part(dialect: Dialect, body: &str, at: usize) -> (Range<usize>, String) {
    let field = if dialect == Dialect::Gemini { "parts" } else { "content" };
    let parts = elements(only(messages(body)[at], field).expect("parts"));
    let last = parts.iter().rposition(|part| only(part, "cachePoint").is_none()).expect("a note");
    let note = only(parts[last], "text").and_then(text).expect("a note of its own");
    (span(body, parts[last - 1]).end..span(body, parts[last]).end, note)
}

/// Where placeholders may stand.
fn heads(dialect: Dialect, body: &str) -> Vec<Range<usize>> {
    let fields = ["system", "instructions", "systemInstruction"].into_iter();
    let fields = fields.filter_map(|field| only(body, field)).map(|field| span(body, field));
    let list = messages(body);
    let prompts = list.iter().take_while(|message| ["system", "developer"].contains(&&*role(message)));
    let prompts = prompts.map(|message| span(body, message));
    fields.chain(prompts).chain(listed(dialect, body).map(|tools| span(body, tools))).collect()
}
