//! The prefix law: what the system prompt, the tools and each message become depends on nothing but
//! the conversation up to and including it.

use std::process::Command;

use bytes::Bytes;
use headroom_engine::{Dialect, Engine, Policy, RequestContext, Rewrite, Route, ToolPolicy};
use headroom_tests::{
    clients::{Choice, Client, add_tool, clients},
    generate::{
        Call, Content, Part, Talk, Tool, Turn,
        content::{Kind, output},
        talks,
    },
    json::{Json, Spelling, object, only, text},
    places::{DIALECTS, cut, ends, listed, messages, results},
};
use proptest::prelude::*;

use crate::harness::{
    CREWS, Crew, cases, crews, dialects, eager, engine, fixtures, policies, rewrite, rewrite_as, spell, utf8,
};

/// The system prompt, the tools, and the first `count` messages, as they are written.
fn prefix(body: &str, count: usize) -> Vec<&str> {
    let listed = only(body, "tools").or_else(|| listed(Dialect::BedrockConverse, body));
    let fixed = ["system", "instructions", "systemInstruction"].map(|field| only(body, field).unwrap_or(""));
    let fixed = fixed.into_iter().chain([listed.unwrap_or("")]);
    fixed.into_iter().chain(messages(body).into_iter().take(count)).collect()
}

/// What the tool results became, decoded.
fn texts(dialect: Dialect, body: &str) -> Vec<Option<String>> {
    results(dialect, body).iter().map(|place| text(&body[place.span.clone()])).collect()
}

fn same(what: &str, count: usize, one: &[&str], other: &[&str]) {
    assert_eq!(one.len(), other.len(), "{what}, {count} messages");
    for (at, (one, other)) in one.iter().zip(other).enumerate() {
        // 0 to 2 are system prompts, 3 the tools.
        assert_eq!(one, other, "{what}: part {at} of a request of {count} messages");
    }
}

/// Every request of the conversation against the longest one, remembering what was seen or not.
pub(crate) fn grows(engine: &Engine, dialect: Dialect, body: &str, policy: &Policy, remembers: bool) {
    let whole = rewrite(engine, dialect, body, policy);
    let become_again = |end: usize| {
        if !remembers {
            engine.clear_memo();
        }
        rewrite(engine, dialect, &cut(body, end), policy)
    };
    let requests: Vec<(usize, Rewrite)> =
        ends(body).into_iter().map(|end| (end, become_again(end))).collect();
    for (end, request) in &requests {
        let (request_body, whole_body) = (utf8(&request.body), utf8(&whole.body));
        same("as the conversation grows", *end, &prefix(request_body, *end), &prefix(whole_body, *end));
        for (now, later) in request.report.blocks.iter().zip(&whole.report.blocks) {
            assert_eq!(format!("{now:?}"), format!("{later:?}"), "the report of {end} messages");
        }
    }
}

/// All ways to forget what was seen before.
pub(crate) fn forgets(crew: Crew, dialect: Dialect, body: &str, policy: &Policy) {
    let (shared, _) = engine(crew);
    let first = rewrite(&shared, dialect, body, policy);
    let again = rewrite(&shared, dialect, body, policy);
    assert!(first.body == again.body, "with the memo full");
    for end in ends(body).into_iter().rev().take(3) {
        let request = cut(body, end);
        shared.clear_memo();
        let cleared = rewrite(&shared, dialect, &request, policy);
        let fresh = rewrite(&engine(crew).0, dialect, &request, policy);
        assert!(cleared.body == fresh.body, "memo cleared or a fresh engine");
        same(
            "with nothing remembered",
            end,
            &prefix(utf8(&fresh.body), end),
            &prefix(utf8(&first.body), end),
        );
    }
}

proptest! {
    #![proptest_config(cases(160))]

    #[test]
    fn holds_as_a_conversation_grows(
        crew in crews(), dialect in dialects(), talk in talks(), client in clients(), policy in policies(),
        remembers: bool,
    ) {
        let body = client.send(dialect, &spell(dialect, &talk, Spelling::COMPACT));
        grows(&engine(crew).0, dialect, &body, &policy, remembers);
    }

    #[test]
    fn holds_with_every_cache_emptied(
        crew in crews(), dialect in dialects(), talk in talks(), policy in policies(),
    ) {
        forgets(crew, dialect, &spell(dialect, &talk, Spelling::COMPACT), &policy);
    }

    #[test]
    fn holds_whatever_a_client_varies(
        crew in crews(), dialect in dialects(), talk in talks(), client in clients(), policy in policies(),
        remembers: bool,
    ) {
        let body = spell(dialect, &talk, Spelling::COMPACT);
        varies(crew, dialect, &body, &client, &policy, remembers);
    }

    #[test]
    fn holds_on_forks_and_regenerated_turns(
        crew in crews(), dialect in dialects(), talk in talks(), other in talks(), policy in policies(),
        at in any::<prop::sample::Index>(),
    ) {
        let keep = at.index(talk.turns.len()) + 1;
        let mut fork = talk.clone();
        fork.turns.truncate(keep);
        let common = messages(&spell(dialect, &fork, Spelling::COMPACT)).len();
        fork.turns.extend(other.turns);
        let (one, two) = (spell(dialect, &talk, Spelling::COMPACT), spell(dialect, &fork, Spelling::COMPACT));
        let (shared, _) = engine(crew);
        let one = rewrite(&shared, dialect, &one, &policy);
        let two = rewrite(&shared, dialect, &two, &policy);
        same("forked", common, &prefix(utf8(&one.body), common), &prefix(utf8(&two.body), common));
        // The same turn answered anew: its calls came back with something else.
        let mut regenerated = talk.clone();
        if let Some(Turn::Model { says, calls, .. }) = regenerated.turns.get_mut(keep - 1) {
            *says = Some("Once more.".into());
            calls.reverse();
        }
        let before = {
            let mut before = talk;
            before.turns.truncate(keep - 1);
            messages(&spell(dialect, &before, Spelling::COMPACT)).len()
        };
        let anew = rewrite(&shared, dialect, &spell(dialect, &regenerated, Spelling::COMPACT), &policy);
        same("regenerated", before, &prefix(utf8(&anew.body), before), &prefix(utf8(&one.body), before));
    }
}

/// The same conversation, sent otherwise: every text becomes the same.
fn varies(crew: Crew, dialect: Dialect, body: &str, client: &Client, policy: &Policy, remembers: bool) {
    let (shared, _) = engine(crew);
    let plain = rewrite(&shared, dialect, body, policy);
    let varied = client.send(dialect, body);
    let other = if remembers { shared } else { engine(crew).0 };
    let varied = rewrite(&other, dialect, &varied, policy);
    let (one, two) = (texts(dialect, utf8(&plain.body)), texts(dialect, utf8(&varied.body)));
    for (at, (one, two)) in one.iter().zip(&two).enumerate() {
        assert_eq!(one, two, "result {at} under {client:?}");
    }
    assert_eq!(one.len(), two.len());
    assert_eq!(plain.report.tool_listed, varied.report.tool_listed, "listed under {client:?}");
}

#[test]
fn holds_on_real_conversations() {
    for (name, dialect, body) in fixtures() {
        println!("{name}");
        for crew in CREWS {
            for policy in [Policy::default(), eager(), Policy::exact()] {
                grows(&engine(crew).0, dialect, &body, &policy, policy == eager());
            }
            forgets(crew, dialect, &body, &eager());
            for spelling in [Spelling::PYTHON, Spelling::ODD] {
                let (breakpoints, choice) = (vec![0, 3, 7], Choice::None);
                let client = Client {
                    spelling,
                    breakpoints,
                    stream: Some(true),
                    choice,
                    model: Some("other"),
                    temperature: Some("1"),
                };
                varies(crew, dialect, &body, &client, &eager(), false);
            }
        }
    }
}

/// The same text under another question, as an error, from another tool, under another policy: what
/// the engine remembers of one never stands for the other.
#[test]
fn what_was_seen_elsewhere_decides_nothing() {
    let source = output(Kind::Log, 11, 150);
    let asks = |pattern: &str, name: &str, is_error: bool| {
        let mut talk = one_result(&source);
        talk.turns[0] = Turn::User(vec![Part::Text(format!("Find {pattern}"))]);
        if let Turn::Model { calls, .. } = &mut talk.turns[1] {
            calls[0].arguments = object([("pattern", pattern.into())]);
            calls[0].name = name.into();
            calls[0].is_error = is_error;
        }
        talk
    };
    let mut requests = Vec::new();
    for talk in [
        asks("0007", "read_file", false),
        asks("retrying", "read_file", false),
        asks("retrying", "run", false),
        asks("0007", "read_file", true),
        asks("0007", "mcp__x__headroom_retrieve", false),
    ] {
        for policy in [
            eager(),
            eager().error_tokens(10),
            eager().tool("run", ToolPolicy::Exact),
            eager().tool("read_file", ToolPolicy::Off),
            Policy::exact(),
        ] {
            requests.push((talk.clone(), policy));
        }
    }
    for dialect in DIALECTS {
        for crew in CREWS {
            let (shared, _) = engine(crew);
            let became = |engine: &Engine, (talk, policy): &(Talk, Policy)| {
                rewrite(engine, dialect, &spell(dialect, talk, Spelling::COMPACT), policy).body
            };
            let first: Vec<Bytes> = requests.iter().map(|request| became(&shared, request)).collect();
            for (request, first) in requests.iter().zip(&first).rev() {
                assert!(became(&engine(crew).0, request) == first, "{:?}", request.1);
                assert!(became(&shared, request) == first, "{:?}", request.1);
            }
        }
    }
}

/// A text may be short in one spelling and long in another.
#[test]
fn the_spelling_of_a_short_text_decides_nothing() {
    let source = "[1 , 2 , 3 , 4 , 5 , 6 , 7 , 8 , 9 , 1 , 2 , 3 , \"\u{e9}\u{e9}\"]";
    assert!(source.len() < 62);
    for dialect in DIALECTS {
        let talk = one_result(source);
        let became: Vec<_> = [Spelling::COMPACT, Spelling::PYTHON, Spelling::ODD]
            .map(|spelling| {
                let body = spell(dialect, &talk, spelling);
                let out = rewrite(&engine(Crew::Doubles).0, dialect, &body, &Policy::default());
                texts(dialect, utf8(&out.body))
            })
            .into();
        assert_eq!(became[0], became[1]);
        assert_eq!(became[0], became[2]);
    }
}

pub(crate) fn one_result(source: &str) -> Talk {
    let call = Call {
        name: "read_file".into(),
        arguments: object([("path", "a".into())]),
        content: Content::Text(source.to_owned()),
        is_error: false,
    };
    Talk {
        system: Vec::new(),
        tools: Some(vec![Tool { name: "read_file".into(), description: "Reads a file".into() }]),
        turns: vec![
            Turn::User(vec![Part::Text("Go on".into())]),
            Turn::Model { thinks: false, says: None, calls: vec![call], adds: None },
        ],
        extra: Vec::new(),
    }
}

#[test]
fn late_tools_decide_anew_and_only_then() {
    for (name, dialect, body) in fixtures() {
        let mut bare = Json::parse(&body);
        bare.remove("tools");
        bare.remove("toolConfig");
        let bare = bare.spell(Spelling::COMPACT);
        for crew in CREWS {
            let (shared, _) = engine(crew);
            let without = rewrite(&shared, dialect, &bare, &eager());
            assert!(!without.report.tool_listed, "{name}: nothing to list it for");
            grows(&shared, dialect, &bare, &eager(), true);
            let one = add_tool(dialect, &bare, "read_file", "Reads a file and returns its content");
            assert!(rewrite(&shared, dialect, &one, &eager()).report.tool_listed, "{name}");
            grows(&shared, dialect, &one, &eager(), false);
            // One more changes nothing but the list.
            let two = add_tool(dialect, &one, "run_command", "Runs a command in the shell");
            let (one, two) =
                (rewrite(&shared, dialect, &one, &eager()), rewrite(&shared, dialect, &two, &eager()));
            assert_eq!(messages(utf8(&one.body)), messages(utf8(&two.body)), "{name}");
        }
    }
}

#[test]
fn counting_a_request_gives_what_sending_it_does() {
    for (_, dialect, body) in fixtures() {
        for durable_ledger in [false, true] {
            let routes = [Route::Intercepted { durable_ledger }, Route::Mirror { durable_ledger }];
            let [sent, counted] = routes.map(|route| {
                let context = RequestContext::new(dialect).route(route);
                let body = Bytes::copy_from_slice(body.as_bytes());
                rewrite_as(&engine(Crew::Doubles).0, &context, body, &eager())
            });
            assert!(sent.body == counted.body);
            assert!(counted.continuation.is_none());
        }
    }
}

#[test]
fn holds_from_several_threads() {
    for crew in CREWS {
        let (shared, _) = engine(crew);
        let fixtures = fixtures();
        let expected: Vec<Bytes> = fixtures
            .iter()
            .map(|(_, dialect, body)| rewrite(&engine(crew).0, *dialect, body, &eager()).body)
            .collect();
        std::thread::scope(|scope| {
            for start in 0..8 {
                let (shared, fixtures, expected) = (shared.clone(), &fixtures, &expected);
                scope.spawn(move || {
                    for at in (0..fixtures.len()).map(|at| (at + start) % fixtures.len()) {
                        let (name, dialect, body) = &fixtures[at];
                        if start % 3 == 2 {
                            shared.clear_memo();
                        }
                        let out = rewrite(&shared, *dialect, body, &eager());
                        assert!(out.body == expected[at], "{name}");
                    }
                });
            }
        });
    }
}

/// Passed as one more filter, which matches no test, to the copy of this binary that is spawned.
const SPAWNED: &str = "spawned-by-the-prefix-law";

#[test]
fn holds_in_another_process() {
    let mut digests = String::new();
    for (name, dialect, body) in fixtures() {
        for crew in CREWS {
            let out = rewrite(&engine(crew).0, dialect, &body, &eager());
            digests += &format!("digest {name} {crew:?} {}\n", blake3::hash(&out.body));
        }
    }
    if std::env::args().any(|argument| argument == SPAWNED) {
        println!("{digests}");
        return;
    }
    let this = std::env::current_exe().expect("this binary");
    let arguments = ["--exact", "prefix::holds_in_another_process", SPAWNED, "--nocapture"];
    let output = Command::new(this).args(arguments).output().expect("another process");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    // The test runner's own words may stand before the first one, on the same line.
    let theirs: String = printed
        .lines()
        .filter_map(|line| line.find("digest ").map(|at| format!("{}\n", &line[at..])))
        .collect();
    assert_eq!(theirs, digests);
}
