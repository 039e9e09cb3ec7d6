//! Texts: markers, handles, retrievals, specialists.

use headroom_engine::{
    Dialect,
    ccr::{
        Arguments, Handle, HandleKey, Marker,
        answer::{Request, answer},
        marker,
    },
    rank::Query,
    reduce::{Context, Gate, Hints, Refusal, Stakes},
    tokens::{O200k, TokenCounter as _},
};
use serde_json::json;

use super::{streams::engine, wires};

fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

/// The first line, and what follows it.
fn head(data: &[u8]) -> (String, String) {
    let text = text(data);
    match text.split_once('\n') {
        Some((head, rest)) => (head.to_owned(), rest.to_owned()),
        None => (String::new(), text),
    }
}

/// Markers are read as they are written, and look-alikes come back.
pub(super) fn marker(data: &[u8]) {
    let text = text(data);
    let mut escaped = String::new();
    marker::escape(&text, &mut escaped);
    assert_eq!(marker::unescape(&escaped).as_deref(), Some(&*text));
    let _ = marker::unescape(&text);
    for line in text.lines() {
        if let Ok(handle) = line.parse::<Handle>() {
            assert_eq!(handle.to_string().parse(), Ok(handle));
            assert_eq!(Handle::from_bytes(handle.to_bytes()), Some(handle));
        }
        if let Some((marker, end)) = Marker::parse_prefix(line) {
            assert_eq!(marker.to_string(), line[..end], "read as it is written");
            // Looking for each in all of it would be our own quadratic time.
            assert!(escaped.len() > 4096 || !escaped.contains(&line[..end]), "kept text holds no marker");
        }
    }
}

/// Arguments of calls, as models write them.
pub(super) fn arguments(data: &[u8]) {
    let text = text(data);
    let known =
        [Handle::new(&HandleKey::default(), "text", "a"), Handle::new(&HandleKey::default(), "text", "b")];
    for json in text.lines().chain([&*text]) {
        if let Ok(arguments) = Arguments::parse(json) {
            let _ = arguments.resolve(&known);
            assert!(arguments.range().is_none_or(|(first, last)| first <= last));
        }
    }
}

/// Retrievals: never empty, within their budget.
pub(super) fn retrieval(data: &[u8]) {
    let (asked, original) = head(data);
    let handle = Handle::new(&HandleKey::default(), "text", &original);
    let budget = 40 + asked.len() * 7;
    let range = asked.len().is_multiple_of(3).then_some((original.len() / 90, original.len() / 30));
    let mut request = Request::new(handle, budget);
    (request.query, request.range) = (Some(&*asked), range);
    for request in [Request::new(handle, budget), request] {
        let said = answer(&original, &request, &O200k);
        assert!(!said.trim().is_empty());
        assert!(O200k.count(&said) <= budget + 200, "{} of {budget}", O200k.count(&said));
    }
}

/// Every specialist, whether it takes the text for its own or not.
pub(super) fn specialists(data: &[u8]) {
    let (asked, source) = head(data);
    let query = Query::new([&*asked]);
    let key = HandleKey::default();
    let hints = Hints::default().command(&asked);
    let context = Context {
        query: &query,
        tool: "run",
        hints,
        is_error: asked.len() % 5 == 4,
        counter: &O200k,
        stakes: Stakes::flat(60),
    };
    let gate = Gate { counter: &O200k, key: &key };
    for reducer in engine().reducers() {
        if !reducer.recognises(&source, hints) {
            continue;
        }
        let exact = reducer.exact(&source, &context);
        assert!(exact.as_ref().is_none_or(|exact| !exact.hides()), "{} hides in exact", reducer.kind());
        for reduction in [exact, reducer.elide(&source, &context)].into_iter().flatten() {
            let refused = gate.pass(&source, None, reducer.kind(), &reduction).err();
            assert!(
                refused.is_none_or(|refusal| refusal == Refusal::NotSmaller),
                "{}: {refused:?}",
                reducer.kind()
            );
        }
    }
}

/// A text as a tool's result in a request: routed, cut into parts, compared with what was shown.
pub(super) fn routed(data: &[u8]) {
    let (asked, source) = head(data);
    let call = |id: &str| json!({"type": "tool_use", "id": id, "name": "run", "input": {"command": asked}});
    let result = |id: &str, text: &str| json!({"type": "tool_result", "tool_use_id": id, "content": text});
    let half = source.floor_char_boundary(source.len() / 2);
    let body = json!({"model": "claude-haiku-4-5", "max_tokens": 9,
        "tools": [{"name": "run", "description": "Runs a command in the shell", "input_schema": {}}],
        "messages": [{"role": "user", "content": asked},
            {"role": "assistant", "content": [call("a")]}, {"role": "user", "content": [result("a", &source)]},
            {"role": "assistant", "content": [call("b")]}, {"role": "user", "content": [result("b", &source[half..])]}]});
    wires::body(Dialect::AnthropicMessages, body.to_string().as_bytes());
}
