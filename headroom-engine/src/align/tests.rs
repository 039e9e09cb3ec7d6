use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    AdoptPolicy, Engine, Policy, RequestContext, Rewrite, Route,
    wire::{self, BlockKind},
};

/// What is known of a request beside its body: some dialects name the model in the path.
fn context(dialect: Dialect) -> RequestContext {
    let context = RequestContext::new(dialect);
    match dialect {
        Dialect::Gemini => context.model("gemini-3-pro"),
        #[cfg(feature = "bedrock")]
        Dialect::BedrockConverse => context.model("us.anthropic.claude-sonnet-4-5-v1:0"),
        _ => context,
    }
}

/// A conversation of `turns` questions, all answered but the last.
fn body(dialect: Dialect, system: &str, turns: usize) -> String {
    let (model, content) = match dialect {
        Dialect::Gemini => ("model", "parts"),
        _ => ("assistant", "content"),
    };
    let said = |role: &str, text: String| match dialect {
        Dialect::AnthropicMessages | Dialect::OpenAiChat | Dialect::OpenAiResponses => {
            format!(r#"{{"role":"{role}","content":"{text}"}}"#)
        }
        _ => format!(r#"{{"role":"{role}","{content}":[{{"text":"{text}"}}]}}"#),
    };
    let mut messages = Vec::new();
    for turn in 0..turns {
        messages.push(said("user", format!("question {turn} ?")));
        messages.push(said(model, format!("answer {turn}")));
    }
    messages.pop();
    let messages = messages.join(",");
    let system = quoted(system);
    let tools = r#""tools":[{"name":"x","function":{"name":"x"}}]"#;
    match dialect {
        Dialect::AnthropicMessages => {
            format!(r#"{{"model":"claude-sonnet-4-5",{tools},"system":{system},"messages":[{messages}]}}"#)
        }
        Dialect::OpenAiChat => format!(
            r#"{{"model":"gpt-4o",{tools},"messages":[{{"role":"developer","content":{system}}},{messages}]}}"#
        ),
        Dialect::OpenAiResponses => format!(
            r#"{{"model":"gpt-5","store":false,{tools},"instructions":{system},"input":[{messages}]}}"#
        ),
        Dialect::Gemini => format!(
            r#"{{"tools":[{{"functionDeclarations":[{{"name":"x"}}]}}],"systemInstruction":{{"parts":[{{"text":{system}}}]}},"contents":[{messages}]}}"#
        ),
        #[cfg(feature = "bedrock")]
        Dialect::BedrockConverse => format!(
            r#"{{"toolConfig":{{"tools":[{{"toolSpec":{{"name":"x"}}}}]}},"system":[{{"text":{system}}}],"messages":[{messages}]}}"#
        ),
    }
}

fn quoted(text: &str) -> String {
    let mut literal = String::new();
    quote(text, &mut literal);
    literal
}

fn system(time: &str, id: &str) -> String {
    format!("You are \"Ada\".\nSession ID: {id}\nThe current time is {time} CET.\nBe kind.")
}

/// A ledger, and the engine in front of it.
#[derive(Default)]
struct Ledger(HashMap<LedgerKey, Record>);

impl Ledger {
    fn send(&mut self, dialect: Dialect, body: &str) -> Rewrite {
        self.send_as(&context(dialect), body, &Policy::default())
    }

    fn send_as(&mut self, context: &RequestContext, body: &str, policy: &Policy) -> Rewrite {
        let scanned = Engine::new().scan(Bytes::copy_from_slice(body.as_bytes()), context).unwrap();
        let scanned = scanned.under(policy);
        let keys = scanned.ledger_keys().to_vec();
        let records: Vec<Record> = keys.iter().filter_map(|key| self.0.get(key).cloned()).collect();
        let rewrite = scanned.answered().rewrite(policy, &records);
        assert!(!rewrite.report.failed_open);
        for record in &rewrite.records {
            assert!(keys.contains(&record.key), "kept where it will be looked for");
            self.0.insert(record.key, record.clone());
        }
        rewrite
    }
}

fn text(rewrite: &Rewrite) -> String {
    String::from_utf8(rewrite.body.to_vec()).unwrap()
}

/// Up to where the messages end.
fn prefix(body: &str) -> &str {
    &body[..body.rfind(']').unwrap()]
}

#[test]
fn values_that_change_are_told_anew_and_stay_told() {
    for &dialect in Dialect::EVERY {
        let mut ledger = Ledger::default();
        let mut sent: Vec<String> = Vec::new();
        for turn in 1..6 {
            let system = system(&format!("2026-11-22 17:0{turn}:06"), "sess-12345678");
            let rewrite = ledger.send(dialect, &body(dialect, &system, turn));
            let report = &rewrite.report;
            assert_eq!((report.alignment.found, report.alignment.moved), (2, 2));
            assert_eq!(report.alignment.notes.len(), turn);
            let out = text(&rewrite);
            assert!(out.contains("The current time is [time: see below] CET."), "{out}");
            assert!(out.contains(&format!("[time: 2026-11-22 17:0{turn}:06]")), "{out}");
            assert_eq!(out.matches("[session id: sess-12345678]").count(), 1, "{out}");
            wire::read(dialect, &out).unwrap();
            if let Some(before) = sent.last() {
                assert!(out.starts_with(prefix(before)), "{before}\n{out}");
            }
            sent.push(out);
        }
    }
}

#[test]
fn values_that_stay_need_no_ledger() {
    for &dialect in Dialect::EVERY {
        let system = system("2026-11-22 17:00:06", "sess-12345678");
        let mut ledger = Ledger::default();
        let mut before = text(&ledger.send(dialect, &body(dialect, &system, 1)));
        assert_eq!(ledger.0.len(), 1);
        for turn in 2..5 {
            let kept = ledger.send(dialect, &body(dialect, &system, turn));
            assert_eq!((kept.records.len(), kept.report.declared_breaks), (0, 0));
            let lost = Ledger::default().send(dialect, &body(dialect, &system, turn));
            assert_eq!(lost.body, kept.body);
            assert_eq!(lost.report.declared_breaks, 1, "nobody knows that it was not another value");
            let now = text(&kept);
            assert!(now.starts_with(prefix(&before)));
            before = now;
        }
    }
}

#[test]
fn a_lost_ledger_breaks_once_and_says_so() {
    for &dialect in Dialect::EVERY {
        let mut ledger = Ledger::default();
        let at =
            |turn: usize| body(dialect, &system(&format!("2026-11-22 17:0{turn}:06"), "sess-12345678"), turn);
        ledger.send(dialect, &at(1));
        ledger.send(dialect, &at(2));
        let mut ledger = Ledger::default();
        let third = ledger.send(dialect, &at(3));
        assert_eq!(third.report.declared_breaks, 1);
        assert_eq!(third.report.alignment.notes.len(), 1, "all are told behind the first words");
        let fourth = ledger.send(dialect, &at(4));
        assert!(text(&fourth).starts_with(prefix(&text(&third))));
    }
}

#[test]
fn conversations_that_begin_alike_are_told_apart_by_their_values() {
    for &dialect in Dialect::EVERY {
        let mut ledger = Ledger::default();
        let of =
            |id: &str, turn: usize| body(dialect, &system(&format!("2026-11-22 17:0{turn}:06"), id), turn);
        let mut before: HashMap<&str, String> = HashMap::new();
        for turn in 1..5 {
            for id in ["sess-11111111", "sess-22222222", "sess-33333333"] {
                let out = text(&ledger.send(dialect, &of(id, turn)));
                assert_eq!(out.matches("sess-").count(), 1, "no id of another's: {out}");
                assert!(out.contains(id));
                if let Some(before) = before.insert(id, out.clone()) {
                    assert!(out.starts_with(prefix(&before)), "{out}");
                }
            }
        }
    }
}

#[test]
fn it_is_off_where_it_cannot_be_trusted() {
    let system = system("2026-11-22 17:00:06", "sess-12345678");
    let plain = body(Dialect::AnthropicMessages, &system, 2);
    let bound = plain.replace("claude-sonnet-4-5", "claude-opus-5-5");
    let unthinking = bound.replacen("\"system\"", "\"thinking\":{\"type\":\"disabled\"},\"system\"", 1);
    let context = RequestContext::new(Dialect::AnthropicMessages);
    let durable = context.clone().route(Route::Intercepted { durable_ledger: true });
    let exact = context.clone().route(Route::ExactOnly);
    let unknown = plain.replace("claude-sonnet-4-5", "llama");
    let lookalike = plain.replace("Be kind.", "Write [time: see below].");
    for (context, body, policy, moves) in [
        (&context, &plain, Policy::default(), true),
        (&context, &plain, Policy::exact(), true),
        (&context, &plain, Policy::default().aligned(false), false),
        (&context, &plain, Policy::off(), false),
        (&exact, &plain, Policy::default(), false),
        (&context, &bound, Policy::default(), false),
        (&context, &unthinking, Policy::default(), true),
        (&durable, &bound, Policy::default(), true),
        (&context, &unknown, Policy::default(), false),
        (&context, &lookalike, Policy::default(), false),
    ] {
        let rewrite = Ledger::default().send_as(context, body, &policy);
        assert_eq!(rewrite.report.alignment.moved > 0, moves, "{policy:?} {body}");
        assert_eq!(rewrite.body == *body, !moves);
    }
}

#[test]
fn it_is_off_where_others_keep_the_conversation() {
    let system = system("2026-11-22 17:00:06", "sess-12345678");
    let responses = body(Dialect::OpenAiResponses, &system, 2);
    let gemini = body(Dialect::Gemini, &system, 2);
    for (dialect, body, moves) in [
        (Dialect::OpenAiResponses, responses.clone(), true),
        (Dialect::OpenAiResponses, responses.replace("\"store\":false,", ""), false),
        (
            Dialect::OpenAiResponses,
            responses.replace("\"store\":false", "\"store\":false,\"previous_response_id\":\"r\""),
            false,
        ),
        (Dialect::OpenAiResponses, responses.replace("gpt-5", "claude-sonnet-4-5"), false),
        (Dialect::Gemini, gemini.clone(), true),
        (Dialect::Gemini, gemini.replacen('{', "{\"cachedContent\":\"c\",", 1), false),
    ] {
        let rewrite = Ledger::default().send(dialect, &body);
        assert_eq!(rewrite.report.alignment.moved > 0, moves, "{body}");
        assert_eq!(rewrite.body == body, !moves);
    }
    let bare = RequestContext::new(Dialect::Gemini);
    let unknown = Ledger::default().send_as(&bare, &gemini, &Policy::default());
    assert_eq!(unknown.body, gemini, "no cache is known of a model that nobody names");
    // Anthropic's bodies on Bedrock and Vertex name no model: the path does.
    let nameless =
        body(Dialect::AnthropicMessages, &system, 2).replacen("\"model\":\"claude-sonnet-4-5\",", "", 1);
    let named = RequestContext::new(Dialect::AnthropicMessages).model("claude-sonnet-4-5@20250929");
    let rewrite = Ledger::default().send_as(&named, &nameless, &Policy::default());
    assert_eq!(rewrite.report.alignment.moved, 2);
}

/// An input that is a string is the same conversation as the list that the next request has.
#[test]
fn words_alone_are_the_first_message() {
    let system = |turn: usize| system(&format!("2026-11-22 17:0{turn}:06"), "sess-12345678");
    let list = body(Dialect::OpenAiResponses, &system(1), 1);
    let words = list.replace(r#"[{"role":"user","content":"question 0 ?"}]"#, r#""question 0 ?""#);
    assert_ne!(list, words);
    let mut ledger = Ledger::default();
    let first = text(&ledger.send(Dialect::OpenAiResponses, &words));
    assert_eq!(first, text(&Ledger::default().send(Dialect::OpenAiResponses, &list)));
    let second = text(&ledger.send(Dialect::OpenAiResponses, &body(Dialect::OpenAiResponses, &system(2), 2)));
    assert!(second.starts_with(prefix(&first)), "{first}\n{second}");
}

#[test]
fn a_short_conversation_without_tools_is_not_worth_a_note() {
    let system = system("2026-11-22 17:00:06", "sess-12345678");
    let short = body(Dialect::AnthropicMessages, &system, 1)
        .replace(r#"[{"name":"x","function":{"name":"x"}}]"#, "[]");
    assert_eq!(Ledger::default().send(Dialect::AnthropicMessages, &short).body, short);
    let long = short.replace("Be kind.", &"Be kind. ".repeat(600));
    assert_ne!(Ledger::default().send(Dialect::AnthropicMessages, &long).body, long);
}

/// On models that bind thinking, a conversation that a durable ledger knows nothing of.
#[test]
fn what_began_without_the_layer_is_adopted_as_the_policy_says() {
    let log: String =
        (0..200).map(|n| format!("2026-11-22 17:00:{:02} INFO line {n} of many\\n", n % 60)).collect();
    let turns = |model: &str, thinks: bool| {
        let thinking = if thinks { r#"{"type":"thinking","thinking":"x","signature":"y"},"# } else { "" };
        format!(
            r#"{{"model":"{model}","tools":[{{"name":"run","description":"Runs a command"}}],"messages":[{{"role":"user","content":"go"}},{{"role":"assistant","content":[{thinking}{{"type":"tool_use","id":"t","name":"run","input":{{}}}}]}},{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t","content":"{log}"}}]}}]}}"#
        )
    };
    let durable =
        RequestContext::new(Dialect::AnthropicMessages).route(Route::Intercepted { durable_ledger: true });
    let first = |body: &str| {
        let end = body.find(",{\"role\":\"assistant\"").unwrap();
        format!("{}]}}", &body[..end])
    };
    for (model, thinks, policy, adopted) in [
        ("claude-opus-5-5", true, Policy::default(), false),
        ("claude-opus-5-5", false, Policy::default(), true),
        ("claude-sonnet-4-5", true, Policy::default(), true),
        ("claude-sonnet-4-5", false, Policy::default().adopt(AdoptPolicy::NewOnly), false),
    ] {
        let body = turns(model, thinks);
        let late = Ledger::default().send_as(&durable, &body, &policy);
        assert_eq!(late.body != body, adopted, "{model} {thinks} {policy:?}");
        assert_eq!(late.report.limited == Some(crate::Reason::NotOurs), !adopted);
        assert!(adopted || late.records.is_empty());
        let mut ledger = Ledger::default();
        ledger.send_as(&durable, &first(&body), &policy);
        assert_ne!(ledger.send_as(&durable, &body, &policy).body, body, "it began with us");
        // Without a ledger's word all count as ours.
        let scanned = Engine::new().scan(Bytes::copy_from_slice(body.as_bytes()), &durable).unwrap();
        assert_ne!(scanned.rewrite(&policy, &[]).body, body);
    }
}

/// The conversation, its tools written as of some turn: other orders of tools and keys, another time.
fn with_tools(dialect: Dialect, turns: usize, turn: usize, more: &str) -> String {
    let time = format!("2026-11-22 17:0{turn}:06");
    let tool = |name: &str, says: &str| {
        let mut fields = [format!("\"name\":\"{name}\""), format!("\"description\":\"{says}\"")];
        let count = fields.len();
        fields.rotate_left(turn % count);
        let fields = format!("{{{}}}", fields.join(if turn % 3 == 2 { ", " } else { "," }));
        match dialect {
            Dialect::OpenAiChat => format!("{{\"type\":\"function\",\"function\":{fields}}}"),
            Dialect::AnthropicMessages | Dialect::OpenAiResponses | Dialect::Gemini => fields,
            _ => format!("{{\"toolSpec\":{fields}}}"),
        }
    };
    let mut tools = [
        tool("look", "Looks it up. Current time: TIME."),
        tool("ask", "Asks."),
        tool("go", &format!("Goes{more}.")),
    ];
    let count = tools.len();
    tools.rotate_left(turn % count);
    let plain = match dialect {
        Dialect::OpenAiChat | Dialect::AnthropicMessages | Dialect::OpenAiResponses => {
            r#"[{"name":"x","function":{"name":"x"}}]"#
        }
        Dialect::Gemini => r#"[{"name":"x"}]"#,
        _ => r#"[{"toolSpec":{"name":"x"}}]"#,
    };
    let listed = format!("[{}]", tools.join(","));
    let body = body(dialect, "Be kind.", turns);
    assert!(body.contains(plain));
    body.replace(plain, &listed).replace("TIME", &time)
}

#[test]
fn tools_stay_as_they_were_first_written_if_the_policy_says_so() {
    let policy = Policy::default().steady_tools(true);
    for &dialect in Dialect::EVERY {
        let mut ledger = Ledger::default();
        let mut before: Option<String> = None;
        for turn in 1..6 {
            let source = with_tools(dialect, turn, turn, "");
            let rewrite = ledger.send_as(&context(dialect), &source, &policy);
            let report = &rewrite.report.alignment;
            assert_eq!((report.found, report.moved, report.in_tools), (1, 1, 0));
            assert_eq!(report.tools_restored, turn > 1, "{turn}");
            let out = text(&rewrite);
            wire::read(dialect, &out).unwrap();
            assert!(out.contains("Current time: [time: see below]."), "{out}");
            assert!(out.contains(&format!("[time: 2026-11-22 17:0{turn}:06]")), "{out}");
            if let Some(before) = before.replace(out.clone()) {
                assert!(out.starts_with(prefix(&before)), "{before}\n{out}");
            }
        }
        // Another set is another list; the ledger keeps it beside the first.
        let changed = with_tools(dialect, 6, 6, " far");
        let rewrite = ledger.send_as(&context(dialect), &changed, &policy);
        assert!(!rewrite.report.alignment.tools_restored && text(&rewrite).contains("Goes far."));
        let again = text(&ledger.send_as(&context(dialect), &with_tools(dialect, 7, 7, ""), &policy));
        assert!(again.starts_with(prefix(&before.unwrap())), "{again}");
        // What nobody remembers goes out as it is, and stays so from then on.
        let mut ledger = Ledger::default();
        let lost = ledger.send_as(&context(dialect), &with_tools(dialect, 3, 3, ""), &policy);
        assert!(lost.report.declared_breaks > 0 && !lost.report.alignment.tools_restored);
        let next = ledger.send_as(&context(dialect), &with_tools(dialect, 4, 4, ""), &policy);
        assert!(text(&next).starts_with(prefix(&text(&lost))));
    }
}

#[test]
fn tools_are_the_clients_unless_the_policy_says_otherwise() {
    for &dialect in Dialect::EVERY {
        let mut ledger = Ledger::default();
        for turn in 1..4 {
            let source = with_tools(dialect, turn, turn, "");
            let rewrite = ledger.send(dialect, &source);
            assert_eq!(rewrite.body, source);
            assert_eq!((rewrite.report.alignment.moved, rewrite.report.alignment.in_tools), (0, 1));
        }
        assert!(ledger.0.is_empty());
        let steady = Policy::default().steady_tools(true);
        // Nothing where the rest is not trusted either.
        let context = context(dialect).route(Route::ExactOnly);
        let source = with_tools(dialect, 1, 1, "");
        assert_eq!(ledger.send_as(&context, &source, &steady).body, source);
        // The order alone, where values may not be told elsewhere.
        let context = self::context(dialect);
        let unaligned = steady.aligned(false);
        let plain = |turn| with_tools(dialect, turn, turn, "").replace(&format!("17:0{turn}"), "17:00");
        let first = text(&ledger.send_as(&context, &plain(1), &unaligned));
        assert_eq!(first, plain(1));
        let second = text(&ledger.send_as(&context, &plain(2), &unaligned));
        assert!(second.starts_with(prefix(&first)), "{second}");
    }
}

fn values() -> impl Strategy<Value = (String, String)> {
    let time = (0u32..24, 0u32..60, 0u32..60)
        .prop_map(|(hour, minute, second)| format!("2026-11-22 {hour}:{minute:02}:{second:02}"));
    (time, "[a-f0-9]{11}7")
}

proptest! {
    /// What the client sent comes back: values where the placeholders stand, notes taken away.
    #[test]
    fn the_source_comes_back(
        around in proptest::collection::vec("(\\PC|[\"\\\\\n\u{e9}]){0,20}", 3), all in proptest::collection::vec(values(), 1..5),
        dialect in proptest::sample::select(Dialect::EVERY), known: bool,
    ) {
        let mut ledger = Ledger::default();
        let mut before: Option<String> = None;
        for (turn, (time, id)) in all.iter().enumerate() {
            let [a, b, c] = &around[..] else { unreachable!() };
            let system = format!("{a}\nSession ID: {id}\n{b}\nThe current time is {time} CET.{c}");
            let source = body(dialect, &system, turn + 1);
            if !known {
                ledger = Ledger::default();
            }
            let rewrite = ledger.send(dialect, &source);
            let out = text(&rewrite);
            prop_assert!(wire::read(dialect, &out).is_ok());
            if rewrite.report.alignment.moved < 2 {
                prop_assert_eq!(out, source);
                return Ok(());
            }
            if let Some(before) = before.replace(out.clone()).filter(|_| known) {
                prop_assert!(out.starts_with(prefix(&before)));
            }
            prop_assert_eq!(decoded(dialect, &out, &rewrite), source);
        }
    }
}

/// Takes the notes away and puts the latest values back.
fn decoded(dialect: Dialect, out: &str, rewrite: &Rewrite) -> String {
    let read = wire::read(dialect, out).unwrap();
    let mut latest: Vec<(String, String)> = Vec::new();
    let mut edits = Vec::new();
    let parts =
        !matches!(dialect, Dialect::AnthropicMessages | Dialect::OpenAiChat | Dialect::OpenAiResponses);
    for (before, at) in rewrite.report.alignment.notes.iter().enumerate() {
        let (text, gone) = if parts {
            let [.., words, note] = &read.messages[*at].blocks[..] else { panic!("no note in {out}") };
            let BlockKind::Text(text) = &note.kind else { panic!("no note in {out}") };
            (text, words.span.end..note.span.end)
        } else {
            let message = &read.messages[at + before + 1];
            let gone = read.messages[at + before].span.end..message.span.end;
            (message.texts().next().unwrap(), gone)
        };
        let said = text.decode(out).unwrap();
        edits.push(Edit { span: gone, text: "".into() });
        for (name, value) in note::told(&said).unwrap() {
            latest.retain(|(known, _)| known != name);
            latest.push((name.to_owned(), value.to_owned()));
        }
    }
    let system = match dialect {
        Dialect::OpenAiChat => read.messages[0].texts().next().unwrap().clone(),
        _ => read.system[0].clone(),
    };
    let mut raw = system.raw(out).to_owned();
    for (name, value) in &latest {
        raw = raw.replacen(&note::placeholder(name), value, 1);
    }
    edits.push(Edit { span: system.range, text: format!("\"{raw}\"").into() });
    let splice = crate::wire::splice::Splice::new(edits, out.len()).unwrap();
    String::from_utf8(splice.apply(&Bytes::copy_from_slice(out.as_bytes())).to_vec()).unwrap()
}
