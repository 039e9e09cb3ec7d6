//! Texts of known kinds: files of a corpus by their folder, and what tools returned in recorded
//! sessions by the call that produced it. No label is taken from a text itself.

use std::{collections::BTreeSet, io, path::Path};

use headroom_engine::{
    reduce::Hints,
    route::{classify, said},
};
use serde_json::Value;

use crate::corpus;

/// A text of a known kind.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) text: String,
    /// Its place in [`classify::KINDS`].
    pub(crate) kind: usize,
    /// Of every fifth file or session: not trained on.
    pub(crate) held_out: bool,
    /// Orders the samples by chance, the same in every run.
    pub(crate) order: [u8; 32],
}

/// Shorter texts say too little.
pub(crate) const LEAST: usize = 64;

/// The samples of a corpus: its typed folders, and the Anthropic bodies below `wire`.
pub(crate) fn load(corpus: &Path) -> io::Result<Vec<Sample>> {
    let mut samples = Samples::default();
    for (folder, kind) in [
        ("code", "code"),
        ("diffs", "diff"),
        ("json", "json"),
        ("logs", "log"),
        ("prose", "prose"),
        ("search", "search"),
    ] {
        let dir = corpus.join(folder);
        if !dir.is_dir() {
            continue;
        }
        for (path, text) in corpus::files(&dir)? {
            let name = path.strip_prefix(&dir).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            samples.add(&name, of_file(&name, kind), text);
        }
    }
    let wire = corpus.join("wire").join("anthropic");
    if wire.is_dir() {
        for (path, body) in corpus::files(&wire)? {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let Ok(body) = serde_json::from_str::<Value>(&body) else { continue };
            samples.session(&name, &body);
        }
    }
    let mut samples = samples.all;
    samples.sort_by_key(|sample| sample.order);
    Ok(samples)
}

/// The kind of a file, where its folder holds several.
fn of_file(name: &str, kind: &'static str) -> Option<&'static str> {
    let other = name.contains("log_stat") || name.contains("log_oneline") || name.starts_with("rag/code");
    let tabular = name.ends_with(".csv") || name.ends_with(".tsv");
    if other { None } else { Some(if tabular { "table" } else { kind }) }
}

#[derive(Default)]
struct Samples {
    all: Vec<Sample>,
    seen: BTreeSet<[u8; 32]>,
}

impl Samples {
    /// A text from the file or session `name`. Files of one package, and runs of one task, are on
    /// the same side of the split.
    fn add(&mut self, name: &str, kind: Option<&str>, text: String) {
        let order = *blake3::hash(text.as_bytes()).as_bytes();
        let place = kind.and_then(|kind| classify::KINDS.iter().position(|of| *of == kind));
        let Some(kind) = place.filter(|_| text.len() >= LEAST && self.seen.insert(order)) else { return };
        let group = name.split("__cost").next().unwrap_or(name);
        let group = if name.contains('/') { group.split("__").next().unwrap_or(group) } else { group };
        let held_out = blake3::hash(group.as_bytes()).as_bytes()[0].is_multiple_of(5);
        self.all.push(Sample { text, kind, held_out, order });
    }

    fn session(&mut self, name: &str, body: &Value) {
        let mut calls: Vec<(&str, &Value)> = Vec::new();
        let blocks =
            body["messages"].as_array().into_iter().flatten().filter_map(|m| m["content"].as_array());
        for block in blocks.flatten() {
            match block["type"].as_str() {
                Some("tool_use") => calls.push((block["id"].as_str().unwrap_or_default(), block)),
                Some("tool_result") => {
                    let id = block["tool_use_id"].as_str();
                    let call = calls.iter().rev().find(|(of, _)| Some(*of) == id).map(|(_, call)| *call);
                    let Some(kind) = call.and_then(of_call) else { continue };
                    let content = &block["content"];
                    let parts =
                        content.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
                    for text in content.as_str().into_iter().chain(parts) {
                        self.add(name, Some(kind), text.to_owned());
                    }
                }
                _ => {}
            }
        }
    }
}

/// The kind that a call makes one expect.
fn of_call(call: &Value) -> Option<&'static str> {
    let tool = call["name"].as_str()?;
    let input = &call["input"];
    let text = |keys: &[&str]| keys.iter().find_map(|key| input[*key].as_str());
    let mut hints = Hints::default();
    let (path, command) = (text(&["path", "file_path", "filename"]), text(&["command", "cmd"]));
    if let Some(path) = path {
        hints = hints.path(path);
    }
    if let Some(command) = command {
        hints = hints.command(command);
    }
    let starts = |with: &[&str]| with.iter().any(|with| tool.starts_with(with));
    match tool {
        "grep" | "glob" | "ls" | "find_file" | "search_dir" | "search_file" => Some("search"),
        "execute_sql" => Some("table"),
        "fetch" => Some("prose"),
        // Editors answer with a few words of their own.
        "edit" | "write" | "create" | "insert" | "multiedit" | "think" => None,
        "str_replace_editor" if command != Some("view") => None,
        "str_replace_editor" => said(Hints::default().path(path?)),
        _ if starts(&[
            "get_reservation",
            "get_user",
            "search_direct",
            "search_onestop",
            "book_",
            "cancel_",
            "update_",
        ]) =>
        {
            Some("json")
        }
        _ => said(hints),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn labels_come_from_calls() {
        let call = |name: &str, input: Value| of_call(&json!({"name": name, "input": input}));
        assert_eq!(call("bash", json!({"command": "cat a.py"})), Some("code"));
        assert_eq!(call("str_replace_editor", json!({"command": "view", "path": "a.md"})), Some("prose"));
        assert_eq!(call("str_replace_editor", json!({"command": "create", "path": "a.md"})), None);
        assert_eq!(call("execute_sql", json!({})), Some("table"));
        assert_eq!(call("run", json!({})), None);
    }

    #[test]
    fn one_task_is_on_one_side() {
        let mut samples = Samples::default();
        let long = |n: usize| format!("{n} ").repeat(100);
        for run in 0..20 {
            samples.add(&format!("acr-x__y-1__cost_2_{run}"), Some("log"), long(run));
            samples.add("again", Some("log"), long(run));
        }
        assert_eq!(samples.all.len(), 20, "each text once");
        assert!(samples.all.windows(2).all(|pair| pair[0].held_out == pair[1].held_out));
    }
}
