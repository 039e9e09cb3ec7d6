//! The prefix law where the client's own prompt changes: times and ids in it leave the prefix alone,
//! and what the client sent can be read back.

use std::collections::HashMap;

use bytes::Bytes;
use headroom_engine::{Dialect, Engine, LedgerKey, Policy, Record, RequestContext, Rewrite, Route};
use headroom_tests::{
    clients::clients,
    generate::{Tool, talks},
    json::{Json, Spelling, object, only},
    places::{cut, ends, messages, role},
};
use proptest::prelude::*;

use crate::{
    byte::align_rewrite,
    harness::{Crew, Seen, cases, crews, dialects, eager, engine, fixtures, spell, utf8},
    never_worse, redeem,
};

/// What the layer does around the engine: asks the ledger, rewrites, remembers.
#[derive(Default)]
struct Ledger(HashMap<LedgerKey, Record>);

impl Ledger {
    fn send(&mut self, engine: &Engine, dialect: Dialect, body: &str, policy: &Policy) -> Rewrite {
        let context = named(dialect).route(Route::Intercepted { durable_ledger: true });
        let scanned = engine.scan(Bytes::copy_from_slice(body.as_bytes()), &context).expect("a request");
        let scanned = scanned.under(policy);
        let keys = scanned.ledger_keys();
        let known: Vec<Record> = keys.iter().filter_map(|key| self.0.get(key).cloned()).collect();
        let out = scanned.rewrite(policy, &known);
        assert!(!out.report.failed_open);
        self.0.extend(out.records.iter().map(|record| (record.key, record.clone())));
        out
    }
}

/// What is known of a request beside its body: some dialects name the model in the path.
fn named(dialect: Dialect) -> RequestContext {
    let context = RequestContext::new(dialect);
    match dialect {
        Dialect::Gemini => context.model("gemini-3-pro"),
        Dialect::BedrockConverse => context.model("us.anthropic.claude-sonnet-4-5-v1:0"),
        _ => context,
    }
}

/// A prompt with values as they are at one moment.
fn prompt(moment: usize, id: &str) -> String {
    let (hour, minute) = (9 + moment / 60, moment % 60);
    format!(
        "You look after \"caf\u{e9}\".\nSession ID: {id}\n\n# Current time\n2026-11-22 {hour:02}:{minute:02}:30\n\nrequest_id=req-{moment:08}\nBe brief."
    )
}

/// Where requests can end: behind the user's words, or with every call answered.
fn whole_ends(body: &str) -> Vec<usize> {
    let list = messages(body);
    let is = |at: usize, of: &str| list.get(at).is_some_and(|message| role(message) == of);
    let output = |at: usize| {
        list.get(at).is_some_and(|item| only(item, "type").is_some_and(|kind| kind.ends_with("_output\"")))
    };
    // Nobody looks into a message that gives its content twice.
    let fields = ["content", "parts", "output"];
    let read = |at: usize| {
        list.get(at).is_some_and(|message| fields.iter().any(|field| only(message, field).is_some()))
    };
    let tool = |at: usize| is(at, "tool") || output(at);
    let last = |at: usize| is(at, "user") || (tool(at) && !tool(at + 1));
    let whole = |end: &usize| last(end - 1) && read(end - 1);
    ends(body).into_iter().filter(whole).collect()
}

/// All that was sent before stays, whatever the values do. Returns how many requests were aligned.
fn holds(
    (engine, seen): &(Engine, Seen),
    dialect: Dialect,
    policy: &Policy,
    loses: Option<usize>,
    body: impl Fn(usize) -> String,
) -> usize {
    let mut ledger = Ledger::default();
    let mut before: Option<String> = None;
    let mut aligned = 0;
    for (moment, end) in whole_ends(&body(0)).into_iter().enumerate() {
        let request = cut(&body(moment), end);
        let lost = loses == Some(moment);
        if lost {
            ledger = Ledger::default();
        }
        let out = ledger.send(engine, dialect, &request, policy);
        align_rewrite(dialect, &request, &out);
        redeem::holds(seen, dialect, &request, &out);
        let sent = utf8(&out.body).to_owned();
        let alignment = &out.report.alignment;
        if alignment.moved == 0 {
            assert!(before.is_none(), "once aligned, always aligned");
            continue;
        }
        assert_eq!(alignment.moved, 3);
        aligned += 1;
        if let Some(before) = before.replace(sent.clone()) {
            for field in ["system", "instructions", "systemInstruction", "tools", "toolConfig"] {
                assert_eq!(only(&sent, field), only(&before, field), "{field} at {end}");
            }
            let (earlier, now) = (messages(&before), messages(&sent));
            if lost {
                assert!(out.report.declared_breaks > 0, "a break that nobody declares");
            } else {
                for (at, (earlier, now)) in earlier.iter().zip(&now).enumerate() {
                    assert_eq!(earlier, now, "message {at} of a request of {end}");
                }
                assert!(now.len() >= earlier.len());
            }
        }
    }
    aligned
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn holds_while_values_change(
        crew in crews(), dialect in dialects(), talk in talks(), client in clients(),
        loses in proptest::option::of(0usize..6), every in 1usize..4,
    ) {
        holds(&engine(crew), dialect, &eager(), loses, |moment| {
            let mut talk = talk.clone();
            talk.system.insert(0, prompt(moment / every, "sess-0123456789"));
            client.send(dialect, &spell(dialect, &talk, Spelling::COMPACT))
        });
    }
}

proptest! {
    #![proptest_config(cases(48))]

    /// Tools in another order, with another time in a description, at each request.
    #[test]
    fn holds_while_tools_are_written_anew(crew in crews(), dialect in dialects(), talk in talks()) {
        let (engine, seen) = engine(crew);
        let body = |moment: usize| {
            let mut talk = talk.clone();
            talk.system.insert(0, prompt(moment, "sess-0123456789"));
            let tool = |name: &str, description: &str| Tool { name: name.into(), description: description.into() };
            let shell = format!("Runs a command. Local time: 2026-11-22 {:02}:{:02}:30", 9 + moment / 60, moment % 60);
            let mut tools = vec![tool("read_file", "Reads a file"), tool("run_command", &shell), tool("ask", "")];
            tools.rotate_left(moment % 3);
            talk.tools = Some(tools);
            spell(dialect, &talk, Spelling::COMPACT)
        };
        let mut ledger = Ledger::default();
        let mut before: Option<String> = None;
        for (moment, end) in whole_ends(&body(0)).into_iter().enumerate() {
            let request = cut(&body(moment), end);
            let out = ledger.send(&engine, dialect, &request, &eager().steady_tools(true));
            redeem::holds(&seen, dialect, &request, &out);
            assert_eq!(out.report.alignment.moved, 4);
            assert_eq!(out.report.alignment.tools_restored, moment % 3 > 0);
            let sent = utf8(&out.body).to_owned();
            if moment == 0 {
                align_rewrite(dialect, &request, &out);
            }
            if let Some(before) = before.replace(sent.clone()) {
                for field in ["system", "instructions", "systemInstruction", "tools", "toolConfig"] {
                    assert_eq!(only(&sent, field), only(&before, field), "{field} at {end}");
                }
                let (earlier, now) = (messages(&before), messages(&sent));
                assert_eq!(now[..earlier.len()], earlier[..]);
            }
        }
    }
}

/// The conversation with a prompt of that moment.
fn with_prompt(dialect: Dialect, body: &str, prompt: &str) -> String {
    let mut body = Json::parse(body);
    let part = |text: &str| Json::Array(vec![object([("text", text.into())])]);
    match dialect {
        Dialect::AnthropicMessages => body.set("system", prompt.into()),
        Dialect::OpenAiResponses => {
            if let Some(Json::Array(items)) = body.get_mut("input") {
                items.retain_mut(|item| item.get_mut("role") != Some(&mut Json::from("developer")));
            }
            body.set("instructions", prompt.into());
            body.set("model", "gpt-5.5".into());
        }
        Dialect::Gemini => body.set("systemInstruction", object([("parts", part(prompt))])),
        Dialect::BedrockConverse => body.set("system", part(prompt)),
        _ => {
            let first = body.get_mut("messages").and_then(|list| list.elements_mut().next());
            first.expect("a message").set("content", prompt.into());
        }
    }
    body.spell(Spelling::COMPACT)
}

#[test]
fn holds_on_real_conversations() {
    let mut aligned = 0;
    for (name, dialect, body) in fixtures() {
        if name.starts_with("ponyc") && dialect == Dialect::OpenAiChat {
            continue; // A model of which no cache is known.
        }
        println!("{name}");
        for loses in [None, Some(2)] {
            let count = holds(&engine(Crew::BuiltIn), dialect, &Policy::default(), loses, |moment| {
                with_prompt(dialect, &body, &prompt(moment, "sess-0123456789"))
            });
            assert!(count > 1, "{name}");
            aligned += count;
        }
    }
    assert!(aligned > 100, "{aligned}");
}

/// As long as the values stay, no ledger is needed.
#[test]
fn values_that_stay_are_a_function_of_the_conversation() {
    for (name, dialect, body) in fixtures() {
        println!("{name}");
        let body = with_prompt(dialect, &body, &prompt(7, "sess-0123456789"));
        let (engine, _) = engine(Crew::BuiltIn);
        let mut before: Vec<String> = Vec::new();
        for end in whole_ends(&body) {
            let out = Ledger::default().send(&engine, dialect, &cut(&body, end), &Policy::default());
            let now: Vec<String> = messages(utf8(&out.body)).into_iter().map(str::to_owned).collect();
            assert_eq!(now[..before.len()], before[..]);
            before = now;
        }
    }
}

/// What the prompt's values cost is a note, whatever the dialect.
#[test]
fn a_moved_prompt_is_hardly_longer() {
    for (name, dialect, body) in fixtures() {
        println!("{name}");
        let body = with_prompt(dialect, &body, &prompt(7, "sess-0123456789"));
        let (engine, _) = engine(Crew::BuiltIn);
        let out = Ledger::default().send(&engine, dialect, &body, &Policy::default());
        never_worse::holds(dialect, &body, &out, 60);
    }
}
