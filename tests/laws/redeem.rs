//! The redeem law: nothing is left out unless a handle stands in its place that can be redeemed in
//! that very request; everything else is rewritten exactly.

use std::collections::HashMap;

use headroom_engine::{
    Dialect, Policy, Reason, RequestContext, Rewrite, Route,
    ccr::{HandleKey, Marker, Unit, marker::INTRODUCER},
    reduce::{Equality, Hidden, Piece, render, same_tokens},
};
use headroom_tests::{
    generate::{content::Kind, content::output, spellings, talks},
    json::{Spelling, text},
    notes::taken_away,
    places::{DIALECTS, Place, forbidden, results, tools},
};
use proptest::prelude::*;

use crate::{
    byte::client_owned,
    harness::{
        CREWS, Crew, Seen, cases, crews, definition, dialects, eager, engine, fixtures, policies, rewrite,
        rewrite_as, spell, utf8,
    },
    prefix::one_result,
};

/// Every marker in `text`. Other words behind a bare introducer are a codec's own, and [`rebuilt`]
/// reads them back; what starts like a marker must be one.
fn markers(text: &str) -> Vec<(usize, Marker, usize)> {
    let starts = |at: usize| {
        ["lines ", "items ", "bytes "].iter().any(|word| text[at + INTRODUCER.len()..].starts_with(word))
    };
    text.match_indices(INTRODUCER)
        .filter(|(at, _)| starts(*at))
        .map(|(at, _)| {
            let rest = &text[at..];
            let (marker, length) =
                Marker::parse_prefix(rest).unwrap_or_else(|| panic!("no marker: {}", head(rest)));
            assert_eq!(marker.to_string(), &rest[..length], "one way to write it");
            (at, marker, length)
        })
        .collect()
}

fn head(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Checks a whole request; returns how many blocks were elided and how many rewritten exactly.
pub(crate) fn holds(seen: &Seen, dialect: Dialect, body: &str, out: &Rewrite) -> (usize, usize) {
    let sent = &taken_away(dialect, utf8(&out.body), &out.report.alignment.notes);
    let places = results(dialect, body);
    let by_place: HashMap<_, &Place> =
        places.iter().map(|place| ((place.message, place.block, place.part), place)).collect();
    let sent_places = results(dialect, sent);
    assert_eq!(sent_places.len(), places.len(), "every result stays a result");
    let became: HashMap<_, &Place> =
        sent_places.iter().map(|place| ((place.message, place.block, place.part), place)).collect();

    let (mut elided, mut exact) = (0, 0);
    let mut hidden_handles = Vec::new();
    for block in &out.report.blocks {
        let at = (block.message, block.block, block.part);
        let source = text(&body[by_place[&at].span.clone()]);
        let now = text(&sent[became[&at].span.clone()]);
        match block.reason {
            Reason::Elided => {
                elided += 1;
                assert!(!block.hidden.is_empty(), "elided, so something is hidden");
            }
            Reason::Exact => {
                exact += 1;
                assert!(block.hidden.is_empty(), "exact, so nothing is hidden");
            }
            _ => {
                assert_eq!(source, now, "kept as it was");
                assert!(block.hidden.is_empty());
                continue;
            }
        }
        let (source, now) = (source.expect("text"), now.expect("text"));
        hidden_handles.extend(block.hidden.iter().map(|hidden| hidden.handle));
        marked(&source, &now, &block.hidden, out);
        rebuilt(seen, block.kind.expect("a kind"), &source, &now, &block.hidden);
    }
    for (handle, _) in out.originals.iter() {
        assert!(hidden_handles.contains(&handle), "an original that nothing hides");
    }
    if elided > 0 {
        let tools = tools(dialect, sent);
        let listed = tools.last() == Some(&definition(dialect).as_str());
        assert!(listed || client_owned(dialect, body), "elided, so it can be asked for");
        assert_eq!(out.report.tool_listed, listed);
    } else {
        assert!(out.originals.is_empty());
    }
    (elided, exact)
}

/// The markers in `now` are exactly the hidden ranges, and each one redeems.
fn marked(source: &str, now: &str, hidden: &[Hidden], out: &Rewrite) {
    let markers = markers(now);
    assert_eq!(markers.len(), hidden.len(), "a marker for each hidden range");
    let mut named = None;
    for ((at, marker, length), hidden) in markers.iter().zip(hidden) {
        assert_eq!(*at..at + length, hidden.marker);
        named = marker.handle().or(named);
        assert_eq!(named, Some(hidden.handle), "its handle, or the one before it");
        let original = out.originals.get(hidden.handle).expect("an original of this request");
        assert_eq!(original, &source[hidden.original.clone()], "the bytes as they were");
        assert!(hidden.original.start <= hidden.range.start && hidden.range.end <= hidden.original.end);
        let inside = &source[hidden.range.clone()];
        let numbered = match marker.unit() {
            Unit::Lines => original
                .split_inclusive('\n')
                .skip(marker.first() - 1)
                .take(marker.last() + 1 - marker.first())
                .collect::<String>(),
            Unit::Bytes => original[marker.first() - 1..marker.last()].to_owned(),
            _ => continue,
        };
        let ends = |text: &str| text.trim_end_matches('\n').to_owned();
        assert_eq!(ends(&numbered), ends(inside), "the numbers say what is hidden");
    }
}

/// Decodes what was written with the specialist's own codec, here and not in the gate: what is not
/// hidden comes back, in order, and nothing else.
fn rebuilt(seen: &Seen, kind: &str, source: &str, now: &str, hidden: &[Hidden]) {
    let reduction = seen.that_gives(source, kind, now).expect("what the gate took, rendered");
    let segments = render(source, &reduction, kind, &HandleKey::default()).segments;
    let mut hidden = hidden.iter();
    for (segment, range) in reduction.segments.iter().zip(&segments) {
        let mut back = String::new();
        let read = segment.codec.decode(&now[range.clone()], &mut |piece| match piece {
            Piece::Text(text) => back.push_str(&text),
            Piece::Hidden(_) => back.push_str(&source[hidden.next().expect("hidden").range.clone()]),
        });
        assert_eq!(read, Ok(()));
        let part = &source[segment.range.clone()];
        match segment.codec.equality() {
            Equality::Bytes => assert!(back == part, "comes back byte for byte: {}", head(now)),
            Equality::JsonTokens => {
                assert!(same_tokens(part, &back), "comes back token by token: {}", head(now));
            }
        }
    }
    assert!(hidden.next().is_none());
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn holds_for_every_body(
        crew in crews(), dialect in dialects(), talk in talks(), spelling in spellings(), policy in policies(),
    ) {
        let body = spell(dialect, &talk, spelling);
        let (engine, seen) = engine(crew);
        holds(&seen, dialect, &body, &rewrite(&engine, dialect, &body, &policy));
    }

    #[test]
    fn exact_only_hides_nothing(
        crew in crews(), dialect in dialects(), talk in talks(), spelling in spellings(), several: bool,
    ) {
        let body = spell(dialect, &talk, spelling);
        let (engine, seen) = engine(crew);
        let context = RequestContext::new(dialect).route(Route::ExactOnly);
        let policy = if several { Policy::exact() } else { eager() };
        // A client that owns a retrieval tool redeems on any route.
        prop_assume!(several || !client_owned(dialect, &body));
        let out = rewrite_as(&engine, &context, body.clone().into(), &policy);
        let (elided, _) = holds(&seen, dialect, &body, &out);
        prop_assert_eq!(elided, 0);
        prop_assert!(!out.report.tool_listed && out.originals.is_empty() && out.continuation.is_none());
        let sent = utf8(&out.body);
        let changed = out.report.blocks.iter().filter(|block| block.reason.replaced());
        for block in changed {
            let at = (block.message, block.block, block.part);
            let places = results(dialect, sent);
            let place = places.iter().find(|place| (place.message, place.block, place.part) == at).unwrap();
            prop_assert!(markers(&text(&sent[place.span.clone()]).unwrap()).is_empty());
        }
    }

    /// What looks like ours in a source stays text, wherever an elision cuts it.
    #[test]
    fn forged_markers_stay_text(
        kind in prop_oneof![Just(Kind::Forged), Just(Kind::ForgedRows)],
        seed: u32, size in 20usize..120, dialect in dialects(), crew in crews(),
    ) {
        let source = output(kind, seed, size);
        let body = spell(dialect, &one_result(&source), Spelling::COMPACT);
        let (engine, seen) = engine(crew);
        let out = rewrite(&engine, dialect, &body, &eager());
        let (elided, _) = holds(&seen, dialect, &body, &out);
        if crew == Crew::Doubles && kind == Kind::Forged {
            prop_assert!(elided == 1 || size < 40, "the double leaves out the middle of it");
        }
    }
}

#[test]
fn holds_on_real_conversations() {
    let mut elided = 0;
    for (name, dialect, body) in fixtures() {
        println!("{name}");
        for crew in CREWS {
            for policy in [Policy::default(), eager(), Policy::exact()] {
                let (engine, seen) = engine(crew);
                let out = rewrite(&engine, dialect, &body, &policy);
                elided += holds(&seen, dialect, &body, &out).0;
            }
        }
    }
    assert!(elided > 20, "the suite bites: {elided} blocks elided");
}

/// The built-in specialists leave out what they should be able to, with every law kept.
#[test]
fn the_specialists_bite() {
    for kind in [Kind::Rows, Kind::IndentedRows, Kind::Envelope, Kind::Log] {
        let source = output(kind, 5, 400);
        for dialect in DIALECTS {
            let body = spell(dialect, &one_result(&source), Spelling::COMPACT);
            let (engine, seen) = engine(Crew::BuiltIn);
            let out = rewrite(&engine, dialect, &body, &Policy::default());
            assert_eq!(holds(&seen, dialect, &body, &out), (1, 0), "{kind:?}");
        }
    }
}

/// A turn whose `tool_choice` forbids the call keeps its bytes and is only reported.
#[test]
fn a_forbidding_tool_choice_is_reported() {
    let source = output(Kind::Log, 7, 200);
    for dialect in DIALECTS {
        let body = spell(dialect, &one_result(&source), Spelling::COMPACT);
        let forbidding = forbidden(dialect, &body);
        let (engine, seen) = engine(Crew::Doubles);
        let free = rewrite(&engine, dialect, &body, &eager());
        let out = rewrite(&engine, dialect, &forbidding, &eager());
        assert_eq!(holds(&seen, dialect, &forbidding, &out).0, 1);
        assert!(out.report.tool_forbidden && !free.report.tool_forbidden);
        assert_eq!(results(dialect, utf8(&out.body)), results(dialect, utf8(&free.body)));
    }
}

/// Errors up to the policy's limit are rewritten exactly at most.
#[test]
fn short_errors_are_never_elided() {
    let source = output(Kind::Log, 3, 60);
    let mut talk = one_result(&source);
    if let headroom_tests::generate::Turn::Model { calls, .. } = &mut talk.turns[1] {
        calls[0].is_error = true;
    }
    let dialect = Dialect::AnthropicMessages;
    let body = spell(dialect, &talk, Spelling::COMPACT);
    let (engine, seen) = engine(Crew::Doubles);
    let elided = |policy: &Policy| {
        let out = rewrite(&engine, dialect, &body, policy);
        holds(&seen, dialect, &body, &out).0
    };
    assert_eq!(elided(&eager().error_tokens(1_000_000)), 0);
    assert_eq!(elided(&eager().error_tokens(10)), 1);
}
