//! Undoes what the CacheAligner did, found independently of the engine: values go back to where their
//! placeholders stand, and the notes that tell them go.

use std::ops::Range;

use headroom_engine::Dialect;

use crate::{
    json::{elements, only, span, text},
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
    let mut inserted = 0;
    for at in notes {
        let message = list[at + inserted];
        let content = only(message, "content").expect("content");
        let place = span(body, content);
        let items = elements(content);
        let note = if role(message) != "user" {
            let own = list[at + inserted + 1];
            inserted += 1;
            edits.push((span(body, message).end..span(body, own).end, String::new()));
            only(own, "content").and_then(text).expect("a note of its own")
        } else if content.starts_with('"') {
            let from = content.rfind("\\n\\n[").expect("a note behind the words");
            edits.push((place.start + from..place.end - 1, String::new()));
            text(&format!("\"{}", &content[from + 4..])).expect("a text")
        } else {
            let last = items.last().expect("a block");
            let before = span(body, items[items.len() - 2]);
            if dialect == Dialect::AnthropicMessages && last.starts_with("{\"text\":") {
                edits.push((place, only(items[0], "text").expect("the words").to_owned()));
            } else {
                edits.push((before.end..span(body, last).end, String::new()));
            }
            only(last, "text").and_then(text).expect("a note as the last block").trim_start().to_owned()
        };
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
