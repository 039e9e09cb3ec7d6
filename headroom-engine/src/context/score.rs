//! What a unit is worth to the rest of the conversation.

use std::collections::HashMap;

/// What is known of a unit without reading its results.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sign {
    /// Files, identifiers and other specific terms of its calls and of the text beside them.
    pub(crate) subjects: Vec<String>,
    /// A result is flagged as an error.
    pub(crate) error: bool,
    /// A call changes something: the decision stays known.
    pub(crate) decision: bool,
}

/// Units after which a unit is worth half, if nothing speaks for it.
const HALF_LIFE: f64 = 8.0;
/// For each subject that a later unit takes up again, up to [`REFERENCES`].
const REFERENCE: f64 = 0.15;
const REFERENCES: usize = 4;
/// For an error whose subjects no later unit took up without an error.
const UNRESOLVED: f64 = 0.6;
const DECISION: f64 = 0.4;
/// What is left of a unit whose subject a later decision changed: what it showed is out of date.
const STALE: f64 = 0.3;

/// The value of each unit, seen from behind the last one.
pub(super) fn values(units: &[super::Unit]) -> Vec<f64> {
    let mut last: HashMap<&str, Last> = HashMap::new();
    for (at, unit) in units.iter().enumerate() {
        for subject in &unit.sign.subjects {
            let last = last.entry(subject).or_default();
            last.mention = at;
            if unit.sign.decision {
                last.decision = at;
            }
            if !unit.sign.error {
                last.success = at;
            }
        }
    }
    units
        .iter()
        .enumerate()
        .map(|(at, unit)| {
            let later = |of: fn(&Last) -> usize| {
                let known = unit.sign.subjects.iter().filter_map(|subject| last.get(subject.as_str()));
                known.filter(|last| of(last) > at).count()
            };
            let age = (units.len() - 1 - at) as f64;
            let mut value = 0.5_f64.powf(age / HALF_LIFE);
            value += REFERENCE * later(|last| last.mention).min(REFERENCES) as f64;
            if unit.sign.error && later(|last| last.success) == 0 {
                value += UNRESOLVED;
            }
            if unit.sign.decision {
                value += DECISION;
            } else if later(|last| last.decision) > 0 {
                value *= STALE;
            }
            value
        })
        .collect()
}

/// The last unit, by its place, that did something with a subject.
#[derive(Default)]
struct Last {
    mention: usize,
    decision: usize,
    success: usize,
}

/// Words in the names of tools that change something.
const CHANGES: &[&str] = &[
    "edit", "write", "create", "patch", "replace", "insert", "delete", "remove", "update", "commit", "apply",
    "submit", "book", "cancel", "send", "move", "rename", "deploy",
];

/// Whether a tool of that name changes something.
pub(super) fn changes(tool: &str) -> bool {
    let tool = tool.to_ascii_lowercase();
    CHANGES.iter().any(|word| tool.contains(word))
}

/// Whether a term is specific enough to tell what a unit is about: a path, an identifier, an id.
pub(super) fn is_subject(term: &str) -> bool {
    term.len() >= 4 && term.contains(|c: char| c.is_ascii_digit() || matches!(c, '_' | '.' | '/' | ':'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Unit;

    fn unit(subject: &str, error: bool, decision: bool) -> Unit {
        Unit { messages: 0..1, sign: Sign { subjects: vec![subject.into()], error, decision } }
    }

    #[test]
    fn errors_fade_when_resolved_and_reads_when_outdated() {
        let open = values(&[unit("a.rs", true, false), unit("b.rs", false, false)]);
        let solved = values(&[unit("a.rs", true, false), unit("a.rs", false, false)]);
        assert!(open[0] > solved[0]);
        let fresh = values(&[unit("a.rs", false, false), unit("b.rs", false, true)]);
        let stale = values(&[unit("a.rs", false, false), unit("a.rs", false, true)]);
        assert!(fresh[0] > stale[0]);
        assert!(stale[1] > fresh[0], "decisions stay");
    }

    #[test]
    fn subjects_are_specific() {
        assert!(is_subject("src/a.rs") && is_subject("parse_header") && !is_subject("parse"));
        assert!(changes("str_replace_editor") && !changes("read_file"));
    }
}
