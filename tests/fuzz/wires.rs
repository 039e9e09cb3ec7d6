//! Requests: what is scanned, spliced and sent.

use bytes::Bytes;
use headroom_engine::{Dialect, Policy, RequestContext, Rewrite, Route};

use super::streams::{eager, engine};

/// A body: exactly rewritten, and with something left out.
pub(super) fn body(dialect: Dialect, data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    let exact = RequestContext { route: Route::ExactOnly, ..RequestContext::new(dialect) };
    let Ok(scanned) = engine().scan(body.clone(), &exact) else { return };
    assert!(serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok(), "only JSON is scanned");
    let out = scanned.rewrite(&Policy::exact(), &[]);
    assert!(!out.report.tool_listed && out.originals.is_empty());
    spliced(&body, &out);

    let full = RequestContext::new(dialect);
    let rewrite = || engine().scan(body.clone(), &full).map(|scanned| scanned.rewrite(&eager(), &[]));
    let Ok(out) = rewrite() else { panic!("a body is scanned or not") };
    assert!(!out.report.failed_open, "a step broke down");
    assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&out.body).is_ok());
    for handle in out.originals.handles() {
        assert!(out.originals.get(*handle).is_some(), "what is hidden can be had back");
    }
    if data.len() < 4096 {
        engine().clear_memo();
        assert_eq!(rewrite().map(|again| again.body).ok(), Some(out.body), "the memo decides nothing");
    }
}

/// A batch.
pub(super) fn batch(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    let Ok(out) = engine().batch(&body, Dialect::AnthropicMessages, &Policy::default()) else {
        return;
    };
    assert!(!out.report.tool_listed);
    spliced(&body, &out);
}

/// The byte law of exact rewrites: only literals differ, as many as were replaced.
fn spliced(body: &Bytes, out: &Rewrite) {
    assert!(!out.report.failed_open, "a step broke down");
    let replaced = out.report.blocks.iter().filter(|block| block.reason.replaced()).count();
    if replaced == 0 {
        assert_eq!((body.as_ptr(), body.len()), (out.body.as_ptr(), out.body.len()), "the same bytes");
    }
    let (before, after) = (literals(body), literals(&out.body));
    let mut differ = 0;
    for (before, after) in before.iter().zip(&after) {
        if before != after {
            assert!(before.starts_with(b"\"") && after.starts_with(b"\""), "only literals are written");
            differ += 1;
        }
    }
    assert_eq!((before.len(), differ), (after.len(), replaced), "the report names what changed");
}

/// A body cut in front of and behind every string literal.
fn literals(body: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let (mut from, mut at) = (0, 0);
    while at < body.len() {
        if body[at] != b'"' {
            at += 1;
            continue;
        }
        let start = at;
        at += 1;
        while at < body.len() && body[at] != b'"' {
            at += if body[at] == b'\\' { 2 } else { 1 };
        }
        at = (at + 1).min(body.len());
        parts.extend([&body[from..start], &body[start..at]]);
        from = at;
    }
    parts.push(&body[from..]);
    parts
}

/// A body whose longest literal is `times` as long.
pub(super) fn longer(data: &[u8], times: usize) -> Vec<u8> {
    let parts = literals(data);
    let longest = parts.iter().max_by_key(|part| part.len()).copied().unwrap_or_default();
    let mut out = Vec::new();
    let mut grown = false;
    for part in parts {
        if !grown && part.len() > 2 && part == longest {
            grown = true;
            let inner = part.strip_prefix(b"\"").and_then(|part| part.strip_suffix(b"\""));
            match inner {
                Some(inner) => out.extend([b"\"", &inner.repeat(times)[..], b"\""].concat()),
                None => out.extend(part.repeat(times)),
            }
        } else {
            out.extend(part);
        }
    }
    out
}
