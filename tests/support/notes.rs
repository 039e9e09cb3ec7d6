//! Undoes what the CacheAligner did, found independently of the engine: values go back to where their
//! placeholders stand, and the notes that tell them go.

use std::ops::Range;

use headroom_engine::Dialect;

use crate::{
    json::{only, span, text},
    places::{messages, role},
};

/// The request as the client sent it but for everything else that was done to it: `notes` are the
/// client's messages behind which values are told.
///
/// # Panics
/// If no note stands there.
#[must_use]
pub fn taken_away(dialect: Dialect, body: &str, notes: &[usize]) -> String {
    let list = messages(body);
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    let mut told: Vec<(String, String)> = Vec::new();
    for (before, at) in notes.iter().enumerate() {
        let own = list[at + before + 1];
        edits.push((span(body, list[at + before]).end..span(body, own).end, String::new()));
        let note = only(own, "content").and_then(text).expect("a note of its own");
        for entry in note[1..note.len() - 1].split("]\n[") {
            let (name, value) = entry.split_once(": ").expect("a name and a value");
            told.retain(|(known, _)| known != name);
            told.push((name.to_owned(), value.to_owned()));
        }
    }
    let head = match dialect {
        Dialect::AnthropicMessages => only(body, "system").map_or(0..0, |system| span(body, system)),
        _ => {
            let leading =
                list.iter().take_while(|message| ["system", "developer"].contains(&&*role(message)));
            leading.last().map_or(0..0, |last| span(body, list[0]).start..span(body, last).end)
        }
    };
    for (name, value) in told {
        let placeholder = format!("[{name}: see below]");
        let at = head.start + body[head.clone()].find(&placeholder).expect("a placeholder");
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
