//! The byte law: outside our edits a body goes out byte for byte.

use bytes::Bytes;
use headroom_engine::{
    Dialect, Policy, RequestContext, Rewrite,
    ccr::{ToolPresence, is_retrieval_name},
};
use headroom_tests::{
    generate::{spellings, talks},
    json::{Spelling, elements, only, text},
    notes::taken_away,
    places::{DIALECTS, greeting, listed, listing, results, tool_place, tools},
};
use proptest::prelude::*;

use crate::harness::{
    CREWS, Crew, cases, crews, definition, dialects, eager, engine, fixtures, policies, rewrite, rewrite_as,
    spell, utf8,
};

/// Where the output may differ from the input.
enum Seam {
    /// One string literal for another.
    Literal(std::ops::Range<usize>),
    /// Our definition.
    Insertion(usize, String),
}

impl Seam {
    fn start(&self) -> usize {
        match self {
            Self::Literal(range) => range.start,
            Self::Insertion(at, _) => *at,
        }
    }
}

fn seams(dialect: Dialect, input: &str, listed: bool) -> Vec<Seam> {
    let mut seams: Vec<Seam> =
        results(dialect, input).into_iter().map(|place| Seam::Literal(place.span)).collect();
    if listed {
        let (at, text) = tool_place(dialect, input, &definition(dialect));
        seams.push(Seam::Insertion(at, text));
    }
    seams.sort_by_key(Seam::start);
    seams
}

/// Walks input and output side by side. Returns how many literals differ.
///
/// Where the tool goes is given, and it must stand there exactly once.
pub(crate) fn align(dialect: Dialect, input: &str, output: &str, listed: bool) -> usize {
    let (mut from, mut at, mut changed) = (0, 0, 0);
    let copied = |from: usize, to: usize, at: &mut usize| {
        let same = &input.as_bytes()[from..to];
        let other = output.as_bytes().get(*at..*at + same.len()).unwrap_or_default();
        assert!(same == other, "differs in {:?}", String::from_utf8_lossy(same));
        *at += same.len();
    };
    for seam in seams(dialect, input, listed) {
        copied(from, seam.start(), &mut at);
        match seam {
            Seam::Literal(range) => {
                let literal = literal(&output[at..]);
                if literal != &input[range.clone()] {
                    changed += 1;
                    let now = text(literal).expect("a literal that decodes");
                    assert_ne!(text(&input[range.clone()]).as_ref(), Some(&now), "only spelled otherwise");
                }
                at += literal.len();
                from = range.end;
            }
            Seam::Insertion(here, ours) => {
                assert!(output[at..].starts_with(&ours), "the tool stands last");
                at += ours.len();
                from = here;
            }
        }
    }
    copied(from, input.len(), &mut at);
    assert_eq!(at, output.len(), "nothing behind the end");
    changed
}

/// [`align`] for a rewrite, with the values of the prefix put back first.
pub(crate) fn align_rewrite(dialect: Dialect, input: &str, out: &Rewrite) -> usize {
    let sent = taken_away(dialect, utf8(&out.body), &out.report.alignment.notes);
    align(dialect, input, &sent, out.report.tool_listed)
}

/// The string literal at the front of `text`.
fn literal(text: &str) -> &str {
    assert!(text.starts_with('"'), "a literal for a literal");
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    &text[..end.expect("a closing quote") + 2]
}

fn holds(crew: Crew, dialect: Dialect, body: &str, policy: &Policy) {
    let input = Bytes::copy_from_slice(body.as_bytes());
    let out = rewrite_as(&engine(crew).0, &RequestContext::new(dialect), input.clone(), policy);
    let changed = align_rewrite(dialect, body, &out);
    let reported = out.report.blocks.iter().filter(|block| block.reason.replaced()).count();
    assert_eq!(changed, reported, "the report names what changed");
    if out.body == input {
        assert_eq!(out.body.as_ptr(), input.as_ptr(), "nothing changed, so the same bytes");
    }
    // What went out is scanned as a request again.
    let again = engine(crew).0.scan(out.body.clone(), &RequestContext::new(dialect));
    assert!(again.is_ok(), "what went out is a request");
    // And is left alone: what the client sends again is not ours to judge, but the tool is never
    // listed twice.
    if out.report.tool_listed {
        let again = again.unwrap().rewrite(policy, &[]);
        assert!(!again.report.tool_listed);
    }
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn holds_for_every_body(
        crew in crews(), dialect in dialects(), talk in talks(), spelling in spellings(), policy in policies(),
    ) {
        holds(crew, dialect, &spell(dialect, &talk, spelling), &policy);
    }
}

#[test]
fn holds_on_real_conversations() {
    let mut changed = 0;
    for (name, dialect, body) in fixtures() {
        println!("{name}");
        for crew in CREWS {
            for policy in [Policy::default(), eager(), Policy::exact()] {
                holds(crew, dialect, &body, &policy);
            }
        }
        let out = rewrite(&engine(Crew::Doubles).0, dialect, &body, &eager());
        changed += align_rewrite(dialect, &body, &out);
    }
    assert!(changed > 20, "the suite bites: {changed} blocks replaced");
}

#[test]
fn a_request_with_nothing_to_do_is_the_same_bytes() {
    for (_, dialect, body) in fixtures() {
        let input = Bytes::from(body);
        let off = rewrite_as(
            &engine(Crew::Doubles).0,
            &RequestContext::new(dialect),
            input.clone(),
            &Policy::off(),
        );
        assert_eq!(off.body.as_ptr(), input.as_ptr());
        assert!(off.originals.is_empty() && off.continuation.is_none() && off.report.blocks.is_empty());
    }
    for dialect in DIALECTS {
        let input: Bytes = format!(" {{{} , \"tools\":[], \"x\":1.0e0 }} ", greeting(dialect)).into();
        let out =
            rewrite_as(&engine(Crew::Doubles).0, &RequestContext::new(dialect), input.clone(), &eager());
        assert_eq!(out.body.as_ptr(), input.as_ptr());
    }
}

#[test]
fn the_tool_finds_its_place_in_any_tools() {
    for dialect in DIALECTS {
        let message = greeting(dialect);
        for body in [
            format!("{{{message}}}"),
            format!("{{{message} , {}\n}}\n", listing(dialect, "[]")),
            format!("{{{} ,{message}}}", listing(dialect, " [ ]")),
            format!("{{{},{message}}}", listing(dialect, "[{}, 3 ]")),
            format!("{{{},{message}}}", listing(dialect, "[{}]").replacen("tool", "to\\u006fl", 1)),
        ] {
            println!("{body}");
            holds(Crew::Doubles, dialect, &body, &eager().presence(ToolPresence::Always));
            let out =
                rewrite(&engine(Crew::Doubles).0, dialect, &body, &eager().presence(ToolPresence::Always));
            assert!(out.report.tool_listed);
            assert_eq!(listed(dialect, utf8(&out.body)).map(|tools| !elements(tools).is_empty()), Some(true));
        }
        // Readers would disagree about anything else, so it stays as it is.
        for odd in ["{\"a\":1}", "null", "\"x\""] {
            let odd = format!("{{{message},{}}}", listing(dialect, odd));
            let out =
                rewrite(&engine(Crew::Doubles).0, dialect, &odd, &eager().presence(ToolPresence::Always));
            assert_eq!(out.body, odd);
        }
    }
}

/// Whether the client itself lists a tool that redeems.
pub(crate) fn client_owned(dialect: Dialect, body: &str) -> bool {
    tools(dialect, body).into_iter().any(|tool| {
        let function = only(tool, "function").or_else(|| only(tool, "toolSpec")).unwrap_or(tool);
        let name = only(function, "name").and_then(text).unwrap_or_default();
        is_retrieval_name(&name, headroom_engine::TOOL_NAME)
    })
}

#[test]
fn alignment_itself_bites() {
    let body = spell(Dialect::OpenAiChat, &crate::prefix::one_result("some text"), Spelling::COMPACT);
    let good = body.replace("some text", "less");
    assert_eq!(align(Dialect::OpenAiChat, &body, &good, false), 1);
    for bad in [
        good.replace("Go on", "Go"),
        good.replace("less", "l\\u0065ss").replace("0.70", "0.7"),
        body.replace("some text", "some\\u0020text"),
        format!("{good} "),
        good.replace("\"less\"", "null"),
        good.replace("{\"model\"", "{ \"model\""),
    ] {
        let aligned = std::panic::catch_unwind(|| align(Dialect::OpenAiChat, &body, &bad, false));
        assert!(aligned.is_err(), "{bad}");
    }
}
