//! The laws, checked from outside: with a reader of our own, on bytes alone.

use std::ops::Range;

use headroom_engine::ccr::{Marker, marker::INTRODUCER};
use memchr::memmem;

use crate::wire::{Body, Part};

/// Whether `after` is `before` but for the texts of tool results and one tool added at the end of
/// the list (byte law).
pub(crate) fn same_outside_edits(before: &str, read_before: &Body, after: &str, read_after: &Body) -> bool {
    let (results_before, results_after) = (results(read_before), results(read_after));
    if results_before.len() != results_after.len() {
        return false;
    }
    let untouched = |(old, new): (&Range<usize>, &Range<usize>)| {
        // A text that says the same must be written the same.
        before[old.clone()] == after[new.clone()]
            || decoded(&before[old.clone()]) != decoded(&after[new.clone()])
    };
    if !results_before.iter().zip(&results_after).all(untouched) {
        return false;
    }
    let mut holes = results_after;
    holes.extend(added_tool(read_before, after, read_after));
    skeleton(before, results_before) == skeleton(after, holes)
}

fn results(body: &Body) -> Vec<Range<usize>> {
    body.pieces().filter(|piece| piece.part == Part::Result).map(|piece| piece.span.clone()).collect()
}

fn decoded(literal: &str) -> Option<String> {
    serde_json::from_str(literal).ok()
}

/// Where `after` lists one tool more than `before`: from the end of the tool before it, or the whole
/// member where there was none.
fn added_tool(read_before: &Body, after: &str, read_after: &Body) -> Option<Range<usize>> {
    if read_after.tools.len() != read_before.tools.len() + 1 {
        return None;
    }
    let last = read_after.tools.last().map(|tool| &tool.span)?;
    let list = read_after.tools_span.clone()?;
    match read_after.tools.len() {
        1 if read_before.tools_span.is_none() => {
            let start = after[..list.start].rfind(",\"tools\":")?;
            Some(start..list.end)
        }
        1 => Some(last.clone()),
        many => Some(read_after.tools[many - 2].span.end..last.end),
    }
}

/// `text` without `holes`.
fn skeleton(text: &str, mut holes: Vec<Range<usize>>) -> String {
    holes.sort_by_key(|hole| hole.start);
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for hole in holes {
        out.push_str(&text[from.min(hole.start)..hole.start]);
        from = hole.end;
    }
    out.push_str(&text[from..]);
    out
}

/// The markers that stand in `text`, an output.
pub(crate) fn markers(text: &str) -> Vec<Marker> {
    memmem::find_iter(text.as_bytes(), INTRODUCER)
        .filter_map(|at| Marker::parse_prefix(&text[at..]).map(|(marker, _)| marker))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Dialect;

    const BEFORE: &str = r#"{"tools":[{"name":"a"} ],"messages":[{"role":"user","content":[{"type":"tool_result","content":"long \u0041 text"}]}], "x":1.0}"#;

    fn same(before: &str, after: &str) -> bool {
        let read = |text: &str| Body::read(text, Dialect::Anthropic).unwrap();
        same_outside_edits(before, &read(before), after, &read(after))
    }

    #[test]
    fn only_results_and_one_more_tool_may_differ() {
        assert!(same(BEFORE, BEFORE));
        assert!(same(BEFORE, &BEFORE.replace(r#""long \u0041 text""#, r#""short""#)));
        assert!(same(BEFORE, &BEFORE.replace(r#"{"name":"a"} ]"#, r#"{"name":"a"},{"name":"ours"} ]"#)));
        assert!(!same(BEFORE, &BEFORE.replace("1.0", "1")));
        assert!(!same(BEFORE, &BEFORE.replace(r"\u0041", "A")), "the same text, spelled otherwise");
        assert!(!same(BEFORE, &BEFORE.replace(r#""name":"a""#, r#""name":"b""#)));
        assert!(!same(BEFORE, &BEFORE.replace(r#"{"name":"a"} ]"#, r#"{"name":"ours"},{"name":"a"} ]"#)));
    }

    #[test]
    fn a_tool_may_be_the_first() {
        let none = r#"{"messages":[{"role":"user","content":"hi"}]}"#;
        assert!(same(none, r#"{"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"ours"}]}"#));
        assert!(!same(none, r#"{"messages":[{"role":"user","content":"hi"}],"tools":[]}"#));
        let empty = r#"{"tools":[],"messages":[{"role":"user","content":"hi"}]}"#;
        assert!(same(empty, r#"{"tools":[{"name":"ours"}],"messages":[{"role":"user","content":"hi"}]}"#));
    }

    #[test]
    fn markers_are_found_and_look_alikes_are_not() {
        let text = "a [~lines 1-2 #000000000000000000000000000001]\n[~~lines 3] [~nothing]";
        assert_eq!(markers(text).len(), 1);
    }
}
