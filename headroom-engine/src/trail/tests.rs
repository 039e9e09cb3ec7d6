use proptest::{prelude::*, sample::select};

use super::*;
use crate::{align::Dynamic, wire};

impl Trails {
    fn every(grid: usize) -> Self {
        Self { grid, ..Self::new(1 << 20, &HandleKey::default()) }
    }

    /// Reads a body as the engine does; how many of its messages were known.
    fn read(&self, dialect: Dialect, body: &str) -> (Conversation, Walk, usize) {
        let followed = std::cell::OnceCell::new();
        let known = |start| followed.get_or_init(|| self.follow(dialect, body, start)).messages();
        let conversation = wire::read_on(dialect, body, &known).unwrap();
        let start = conversation.messages_span.start;
        let followed = followed.into_inner().filter(|it| it.begins_at(start)).unwrap_or_default();
        let dynamic = Dynamic::find(body, &conversation);
        let model = conversation.model.as_ref().and_then(|model| model.decode(body)).unwrap_or_default();
        let begun = Walk::begin(body, &conversation, &dynamic, &model, &HandleKey::default());
        let walk = followed.resume(begun).finish(body, &conversation, &dynamic);
        let count = followed.known.as_ref().map_or(0, |(_, messages)| *messages);
        self.keep(followed, body, &conversation, &walk);
        (conversation, walk, count)
    }

    /// Reads a body, and asserts that nobody can tell what was known of it.
    fn check(&self, dialect: Dialect, body: &str) -> usize {
        let (conversation, walk, known) = self.read(dialect, body);
        let (other, fresh, none) = Self::every(self.grid).read(dialect, body);
        assert_eq!(none, 0);
        assert_eq!(format!("{conversation:?}"), format!("{other:?}"), "{body}");
        assert_eq!(walk.told(), fresh.told(), "{body}");
        known
    }
}

/// What one message says: who speaks, a number for ids, and a text without anything to escape.
type Said = (u8, u8, String);

fn message(dialect: Dialect, (who, id, text): &Said, mark: bool) -> String {
    let mark = if mark { r#","cache_control":{"type":"ephemeral"}"# } else { "" };
    match (dialect, who % 4) {
        // What is dynamic there depends on nothing but itself and what stands in front of it.
        (Dialect::OpenAiChat, 3) => {
            let time = format!("The current time is 2026-11-22 17:51:0{id}.");
            format!(r#"{{"role":"system","content":"{text} {time}"}}"#)
        }
        (Dialect::AnthropicMessages, 0 | 3) => {
            format!(r#"{{"role":"user","content":[{{"type":"text","text":"{text}"{mark}}}]}}"#)
        }
        (Dialect::AnthropicMessages, 1) => format!(
            r#"{{"role":"assistant","content":[{{"type":"tool_use","id":"c{id}","name":"run","input":{{"q":"{text}"}}{mark}}}]}}"#
        ),
        (Dialect::AnthropicMessages, _) => format!(
            r#"{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"c{id}","content":"{text}"{mark}}}]}}"#
        ),
        (Dialect::OpenAiChat, 0) => format!(r#"{{"role":"user","content":"{text}"}}"#),
        (Dialect::OpenAiChat, 1) => format!(
            r#"{{"role":"assistant","tool_calls":[{{"id":"c{id}","function":{{"name":"run","arguments":"{text}"}}}}]}}"#
        ),
        (Dialect::OpenAiChat, _) => format!(r#"{{"role":"tool","tool_call_id":"c{id}","content":"{text}"}}"#),
        (Dialect::OpenAiResponses, 0 | 3) => format!(r#"{{"role":"user","content":"{text}"}}"#),
        (Dialect::OpenAiResponses, 1) => {
            format!(r#"{{"type":"function_call","call_id":"c{id}","name":"run","arguments":"{text}"}}"#)
        }
        (Dialect::OpenAiResponses, _) => {
            format!(r#"{{"type":"function_call_output","call_id":"c{id}","output":"{text}"}}"#)
        }
        (Dialect::Gemini, 0 | 3) => format!(r#"{{"role":"user","parts":[{{"text":"{text}"}}]}}"#),
        (Dialect::Gemini, 1) => {
            format!(
                r#"{{"role":"model","parts":[{{"functionCall":{{"name":"r{id}","args":{{"q":"{text}"}}}}}}]}}"#
            )
        }
        (Dialect::Gemini, _) => format!(
            r#"{{"role":"user","parts":[{{"functionResponse":{{"name":"r{id}","response":{{"output":"{text}"}}}}}}]}}"#
        ),
        #[cfg(feature = "bedrock")]
        (Dialect::BedrockConverse, 0 | 3) => format!(r#"{{"role":"user","content":[{{"text":"{text}"}}]}}"#),
        #[cfg(feature = "bedrock")]
        (Dialect::BedrockConverse, 1) => format!(
            r#"{{"role":"assistant","content":[{{"toolUse":{{"toolUseId":"c{id}","name":"run","input":{{"q":"{text}"}}}}}}]}}"#
        ),
        #[cfg(feature = "bedrock")]
        (Dialect::BedrockConverse, _) => format!(
            r#"{{"role":"user","content":[{{"toolResult":{{"toolUseId":"c{id}","content":[{{"text":"{text}"}}]}}}}]}}"#
        ),
    }
}

/// One request: how much of the talk it holds, what it says otherwise, and what stands around.
#[derive(Clone, Debug)]
struct Turn {
    /// How many messages, at most.
    messages: usize,
    changed: Option<prop::sample::Index>,
    model: &'static str,
    system: &'static str,
    tools: &'static str,
    mark: bool,
    system_first: bool,
}

fn turn() -> impl Strategy<Value = Turn> {
    let changed = prop::option::weighted(0.2, any::<prop::sample::Index>());
    let models = select(&["m1", "m1", "m1", "m2", "another"][..]);
    let tools = select(&["[]", "[]", r#"[{"name":"run","description":"runs what is given to it"}]"#][..]);
    let systems =
        select(&["be brief", "be brief", "be short", "The current time is 2026-11-22 17:51:06."][..]);
    (1..60_usize, changed, models, systems, tools, any::<bool>(), any::<bool>()).prop_map(
        |(messages, changed, model, system, tools, mark, system_first)| Turn {
            messages,
            changed,
            model,
            system,
            tools,
            mark,
            system_first,
        },
    )
}

fn body(dialect: Dialect, talk: &[Said], turn: &Turn) -> String {
    let upto = turn.messages.min(talk.len());
    let mut said = talk[..upto].to_vec();
    if let Some(changed) = &turn.changed {
        said[changed.index(upto)].2.push('!');
    }
    let messages: Vec<String> = said
        .iter()
        .enumerate()
        .map(|(at, said)| message(dialect, said, turn.mark && at + 1 == upto))
        .collect();
    let system = match dialect {
        Dialect::AnthropicMessages => format!(r#""system":"{}""#, turn.system),
        Dialect::OpenAiResponses => format!(r#""instructions":"{}""#, turn.system),
        Dialect::Gemini => format!(r#""systemInstruction":{{"parts":[{{"text":"{}"}}]}}"#, turn.system),
        _ => format!(r#""system":[{{"text":"{}"}}]"#, turn.system),
    };
    let name = match dialect {
        Dialect::OpenAiResponses => "input",
        Dialect::Gemini => "contents",
        _ => "messages",
    };
    let messages = format!(r#""{name}":[{}]"#, messages.join(","));
    let (first, last) = if turn.system_first { (&system, &messages) } else { (&messages, &system) };
    format!(r#"{{"model":"{}",{first},{last},"tools":{}}}"#, turn.model, turn.tools)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// Whatever came before, a request is read as if it were the first.
    #[test]
    fn what_is_known_changes_nothing(
        dialect in select(Dialect::EVERY),
        grid in select(&[16_usize, 64, 300][..]),
        talk in prop::collection::vec((any::<u8>(), 0..6_u8, "[a-z0-9 ]{0,60}"), 1..60),
        turns in prop::collection::vec(turn(), 1..8),
    ) {
        let trails = Trails::every(grid);
        for turn in &turns {
            trails.check(dialect, &body(dialect, &talk, turn));
        }
    }
}

fn talk(count: u8) -> Vec<Said> {
    (0..count).map(|n| (n, n / 3, format!("this is what was said as number {n}"))).collect()
}

fn plain(messages: usize) -> Turn {
    Turn { messages, changed: None, model: "m", system: "s", tools: "[]", mark: false, system_first: true }
}

#[test]
fn a_conversation_that_goes_on_is_known_to_its_end() {
    for dialect in Dialect::EVERY {
        // Wherever the end falls between two marks.
        for grid in 32..96 {
            let (trails, talk) = (Trails::every(grid), talk(40));
            assert_eq!(trails.check(*dialect, &body(*dialect, &talk, &plain(31))), 0);
            let known = trails.check(*dialect, &body(*dialect, &talk, &plain(40)));
            // Items of one turn are one message of Responses, and its last may go on.
            let expected = if *dialect == Dialect::OpenAiResponses { 30 } else { 31 };
            assert_eq!(known, expected, "{dialect:?}, a mark each {grid} bytes");
        }
    }
}

#[test]
fn a_mark_that_moves_costs_its_message_alone() {
    let (trails, talk) = (Trails::every(64), talk(40));
    let marked = |count| Turn { mark: true, ..plain(count) };
    trails.check(Dialect::AnthropicMessages, &body(Dialect::AnthropicMessages, &talk, &marked(30)));
    let known =
        trails.check(Dialect::AnthropicMessages, &body(Dialect::AnthropicMessages, &talk, &marked(40)));
    assert!((28..30).contains(&known), "{known}");
}

#[test]
fn another_prompt_is_walked_anew() {
    let (trails, talk) = (Trails::every(64), talk(20));
    let other = |system| Turn { system, ..plain(20) };
    for system in ["one", "two", "one"] {
        // The messages stand at the same place and are known; what stands behind them is not.
        let (_, walk, _) =
            trails.read(Dialect::OpenAiResponses, &body(Dialect::OpenAiResponses, &talk, &other(system)));
        let (_, fresh, _) = Trails::every(64)
            .read(Dialect::OpenAiResponses, &body(Dialect::OpenAiResponses, &talk, &other(system)));
        assert_eq!(walk.told(), fresh.told());
    }
}

/// A prompt of two messages: what the second says decides whether the time in the first is moved.
#[test]
fn what_was_aligned_otherwise_is_walked_anew() {
    const TIME: &str = "2026-11-22 17:51:06";
    let trails = Trails::every(64);
    let with = |second: &str| {
        let talk: Vec<String> =
            talk(9).iter().map(|said| message(Dialect::OpenAiChat, said, false)).collect();
        let system = |text: &str| format!(r#"{{"role":"system","content":"{text}"}}"#);
        let first = system(&format!("You are an agent that helps with code. The current time is {TIME}."));
        format!(r#"{{"messages":[{first},{},{}]}}"#, system(second), talk.join(","))
    };
    let looks_like = "It says [date: see below].";
    // As many bytes that stay the same as with the other, where the time is one of them.
    let plain = "x".repeat(looks_like.len() + TIME.len());
    for second in [&*plain, looks_like, &*plain] {
        trails.check(Dialect::OpenAiChat, &with(second));
    }
    assert!(trails.check(Dialect::OpenAiChat, &with(looks_like)) > 0);
}

#[test]
fn bytes_are_bounded() {
    let trails = Trails { grid: 64, ..Trails::new(64 << 10, &HandleKey::default()) };
    for conversation in 0..200 {
        let mut talk = talk(30);
        talk[0].2 = format!("conversation {conversation}");
        trails.check(Dialect::OpenAiChat, &body(Dialect::OpenAiChat, &talk, &plain(30)));
    }
    assert!(trails.trails.len() > 1 && trails.trails.weight() <= 64 << 10);
    assert!(trails.passed.len() <= (64 << 10) / 8 / 128);
    trails.clear();
    assert_eq!((trails.trails.weight(), trails.passed.len()), (0, 0));
}
