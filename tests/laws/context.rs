//! The window cut under the laws: it moves rarely and says so, breaks no call from its results,
//! keeps what a person wrote, and everything that left can be had back.

use headroom_engine::{
    ContextPolicy, Dialect, Engine, Policy, RequestContext, Rewrite, Route,
    ccr::Marker,
    tokens::{O200k, TokenCounter},
};
use headroom_tests::{
    generate::{
        Call, Content, Part, Talk, Tool, Turn,
        content::{Kind, output},
    },
    json::{Json, Spelling, elements, object},
    places::{cut, ends, messages, role},
};
use proptest::prelude::*;
use serde_json::Value;

use crate::{
    harness::{cases, chat_fixtures, chats, rewrite_as, spell, utf8},
    repeats::reads,
};

/// On a model whose thinking is not bound to its prefix, so that a budget holds.
fn rewrite(engine: &Engine, dialect: Dialect, body: &str, model: &str, budget: usize) -> Rewrite {
    let route = Route::Intercepted { durable_ledger: true };
    let context = RequestContext::new(dialect).route(route).model(model);
    let policy = Policy::default().context(ContextPolicy::Tokens(budget));
    rewrite_as(engine, &context, body.to_owned().into(), &policy)
}

fn free(dialect: Dialect) -> &'static str {
    if dialect == Dialect::AnthropicMessages { "claude-opus-4-5" } else { "gpt-4o" }
}

/// Every call has its results right behind it, and every result its call.
fn paired(body: &str) {
    let mut open: Vec<String> = Vec::new();
    for message in messages(body) {
        let message: Value = serde_json::from_str(message).unwrap();
        let parts = message["content"].as_array().cloned().unwrap_or_default();
        let mut answers: Vec<String> = Vec::new();
        let id = |value: &Value, key: &str| value[key].as_str().map(str::to_owned);
        answers.extend(id(&message, "tool_call_id"));
        answers.extend(parts.iter().filter_map(|part| id(part, "tool_use_id")));
        for answer in answers {
            let at = open.iter().position(|id| *id == answer);
            open.remove(at.unwrap_or_else(|| panic!("a result of no call: {answer}")));
        }
        if message["role"] == "assistant" {
            assert!(open.is_empty(), "calls without results: {open:?}");
            let calls = message["tool_calls"].as_array().into_iter().flatten();
            let uses = parts.iter().filter(|part| part["type"] == "tool_use");
            open.extend(calls.chain(uses).filter_map(|call| id(call, "id")));
        }
    }
    assert!(open.is_empty(), "calls without results: {open:?}");
}

/// Checks every request of a conversation; how often the cut moved, and how many messages left.
fn holds(dialect: Dialect, body: &str, budget: usize) -> (usize, usize) {
    let engine = Engine::new();
    let (mut moves, mut left) = (0, 0);
    let mut before: Vec<String> = Vec::new();
    let (mut sent_before, mut last) = (0, 0);
    for end in whole_turns(body) {
        let request = cut(body, end);
        let out = rewrite(&engine, dialect, &request, free(dialect), budget);
        let sent = utf8(&out.body);
        let now: Vec<String> = messages(sent).into_iter().map(str::to_owned).collect();
        let context = out.report.context;
        let moved = context.is_some_and(|context| context.moved);
        let breaks = out.report.declared_breaks;
        assert!(breaks >= u32::from(moved), "a cut that moves is declared");
        if !moved {
            assert!(now.starts_with(&before), "a cut that did not move changed what was sent");
        }
        // Where what a cut left and what is new fit together, it does not move again.
        let new: usize = messages(&request)[last..].iter().map(|message| O200k.count(message)).sum();
        let size = sent_before + new;
        assert!(!moved || left == 0 || size * 10 > budget * 9, "moved at {size} of {budget}");
        (sent_before, last) = (O200k.count(sent), end);
        let fresh = rewrite(&Engine::new(), dialect, &request, free(dialect), budget);
        assert_eq!(fresh.body, out.body, "nothing but the conversation decides the cut");
        paired(sent);

        let messages_in = messages(&request);
        let people = |messages: &[&str]| messages.iter().filter(|message| role(message) == "user").count();
        let gone = context.map_or(0, |context| context.messages);
        if gone > 0 {
            // What left is what the marker's original holds, byte for byte, and it is in order.
            let handle = marker(sent).handle().expect("the marker's handle");
            let original = out.originals.get(handle).expect("an original for the marker");
            let dropped = elements(&original);
            assert_eq!(dropped.len(), gone);
            // What is told of dynamic values stands in messages of its own.
            assert!(now.len() >= messages_in.len() - gone);
            let mut rest = messages_in.iter();
            assert!(dropped.iter().all(|message| rest.any(|of| of == message)), "not the client's messages");
            assert!(dropped.iter().all(|message| !person(message)), "a person's message left");
            assert!(people(&messages_in) > 0 && now[0].contains(&messages_in[0][..20]));
        }
        moves += usize::from(moved);
        left = gone;
        before = now;
    }
    (moves, left)
}

/// Where requests really end: behind all results of a turn.
fn whole_turns(body: &str) -> Vec<usize> {
    let all = messages(body);
    let next = |end: usize| all.get(end).is_none_or(|message| role(message) == "assistant");
    ends(body).into_iter().filter(|end| next(*end)).collect()
}

/// Whether a person wrote it: it is a user's and holds anything but results.
fn person(message: &str) -> bool {
    role(message) == "user" && !message.contains("tool_result")
}

fn marker(body: &str) -> Marker {
    let at = body.find("[~items 1-").expect("a marker of messages");
    let found = body[at..].match_indices("[~items 1").find_map(|(from, _)| {
        let (marker, _) = Marker::parse_prefix(&body[at + from..])?;
        marker.to_string().contains("earlier calls").then_some(marker)
    });
    found.expect("the marker of what left")
}

#[test]
fn over_real_conversations() {
    let mut left = 0;
    for (name, dialect, body) in chat_fixtures() {
        for budget in [4000, 12_000] {
            let (moves, gone) = holds(dialect, &body, budget);
            println!("{name} under {budget}: {moves} moves, {gone} messages left");
            assert!((moves > 0) == (gone > 0), "{name}");
            left += gone;
        }
    }
    assert!(left > 20, "too little left to show anything: {left}");
}

/// A long conversation of calls, every other one with a word of the user behind it.
fn long() -> impl Strategy<Value = Talk> {
    let text = (prop::sample::select(Kind::ALL.as_slice()), any::<u32>(), 4usize..60)
        .prop_map(|(kind, seed, size)| output(kind, seed, size));
    let turn = (text, 1usize..3, any::<bool>(), prop::option::weighted(0.1, Just("Go on.")));
    let turns = prop::collection::vec(turn, 8..24);
    turns.prop_map(|turns| {
        let mut said = vec![Turn::User(vec![Part::Text("Why does parse_header fail at 0007?".into())])];
        for (at, (text, calls, is_error, adds)) in turns.into_iter().enumerate() {
            let call = |number: usize| Call {
                name: if at % 5 == 4 { "edit_file".into() } else { "run_command".into() },
                arguments: object([("path", Json::from(format!("src/f{}_{number}.rs", at % 4)))]),
                content: Content::Text(text.clone()),
                is_error: is_error && at % 3 == 0,
            };
            said.push(Turn::Model {
                thinks: false,
                says: None,
                calls: (0..calls).map(call).collect(),
                adds: adds.map(Into::into),
            });
        }
        let tools = ["run_command", "edit_file"]
            .map(|name| Tool { name: name.into(), description: "Runs a command.".into() });
        Talk { system: vec!["You help.".into()], tools: Some(tools.into()), turns: said, extra: Vec::new() }
    })
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn over_conversations_made_up(talk in long(), dialect in chats(), budget in 800usize..4000) {
        let body = spell(dialect, &talk, Spelling::COMPACT);
        holds(dialect, &body, budget);
    }
}

/// How many blocks of a request point at others.
fn references(out: &Rewrite) -> usize {
    out.report.blocks.iter().filter(|block| block.kind == Some("repeat")).count()
}

#[test]
fn nothing_points_at_what_may_have_left() {
    let file =
        |seed: usize| -> String { (0..90).map(|at| format!("let value_{seed}_{at} = {at};\n")).collect() };
    for dialect in [Dialect::AnthropicMessages, Dialect::OpenAiChat] {
        let body = spell(dialect, &reads((0..16).map(|at| file(at % 3)).collect()), Spelling::COMPACT);
        let whole = rewrite(&Engine::new(), dialect, &body, free(dialect), 1_000_000);
        assert!(whole.report.context.is_none() && references(&whole) > 8);
        let cut = rewrite(&Engine::new(), dialect, &body, free(dialect), 5000);
        assert!(cut.report.context.is_some_and(|context| context.messages > 0));
        assert_eq!(references(&cut), 0);
    }
}

#[test]
fn thinking_that_was_bound_to_what_left_leaves_too() {
    let result = "word ".repeat(3000);
    let turns: Vec<String> = (0..10)
        .map(|at| {
            format!(
                r#"{{"role":"assistant","content":[{{"type":"thinking","thinking":"t{at}","signature":"s{at}"}},{{"type":"tool_use","id":"c{at}","name":"run","input":{{}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"c{at}","content":"{result}{at}"}}]}}"#
            )
        })
        .collect();
    let body = format!(
        r#"{{"model":"m","tools":[{{"name":"run","description":"Runs a command.","input_schema":{{}}}}],"messages":[{{"role":"user","content":"go"}},{}]}}"#,
        turns.join(",")
    );
    // Bound: a budget does not cut, only the window does.
    let bound = rewrite(&Engine::new(), Dialect::AnthropicMessages, &body, "claude-opus-5-5", 8000);
    assert_eq!(bound.report.context, None);
    assert_eq!(utf8(&bound.body).matches("signature").count(), 10);
    let free = rewrite(&Engine::new(), Dialect::AnthropicMessages, &body, "claude-opus-4-5", 8000);
    assert!(free.report.context.is_some_and(|context| context.messages > 4));
}
