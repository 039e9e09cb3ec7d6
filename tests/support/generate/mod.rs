//! Conversations made up: every shape that tool results take, and what stands around them.
//!
//! [`talks`] gives conversations that know no dialect; [`body`] writes one in a dialect. A new
//! dialect adds a writer.

pub mod again;
mod anthropic;
pub mod content;
mod converse;
mod gemini;
mod openai_chat;
mod openai_responses;

use headroom_engine::Dialect;
use proptest::{collection::vec, option, prelude::*};

use crate::json::{Json, Keys, Space, Spelling, object};

/// A conversation.
#[derive(Clone, Debug)]
pub struct Talk {
    /// The system prompt's texts.
    pub system: Vec<String>,
    /// The client's tools; `None` where the request lists none.
    pub tools: Option<Vec<Tool>>,
    /// What was said.
    pub turns: Vec<Turn>,
    /// Fields that no reader knows, at the top level.
    pub extra: Vec<(String, Json)>,
}

/// A tool of the client.
#[derive(Clone, Debug)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it says it does.
    pub description: String,
}

/// One turn.
#[derive(Clone, Debug)]
pub enum Turn {
    /// The user speaks.
    User(Vec<Part>),
    /// The model works: thinks, speaks, and calls tools that answer at once.
    Model {
        /// Signed thinking comes first.
        thinks: bool,
        /// What it says.
        says: Option<String>,
        /// What it calls, in parallel.
        calls: Vec<Call>,
        /// What the user adds to the results.
        adds: Option<String>,
    },
    /// A message that no reader knows.
    Odd(Json),
}

/// A part of what the user says.
#[derive(Clone, Debug)]
pub enum Part {
    /// Text.
    Text(String),
    /// A picture.
    Image,
    /// A block that no reader knows.
    Odd(Json),
}

/// A tool call and its result.
#[derive(Clone, Debug)]
pub struct Call {
    /// The tool.
    pub name: String,
    /// An object.
    pub arguments: Json,
    /// What came back.
    pub content: Content,
    /// It is flagged as an error, where the dialect has a flag.
    pub is_error: bool,
}

/// What a tool result holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// One string.
    Text(String),
    /// Parts.
    Parts(Vec<Part>),
    /// A literal that no text can spell: it holds a lone surrogate.
    Lone(String),
    /// `null`.
    Null,
    /// No such field.
    Absent,
    /// Given twice, so that readers disagree.
    Twice(String, String),
}

/// Writes a conversation as a request.
///
/// # Panics
/// If the dialect is not known here.
#[must_use]
pub fn body(dialect: Dialect, talk: &Talk) -> Json {
    let mut body = match dialect {
        Dialect::AnthropicMessages => anthropic::body(talk),
        Dialect::OpenAiChat => openai_chat::body(talk),
        Dialect::OpenAiResponses => openai_responses::body(talk),
        Dialect::Gemini => gemini::body(talk),
        Dialect::BedrockConverse => converse::body(talk),
        other => panic!("no writer for {}", other.name()),
    };
    if let Json::Object(members) = &mut body {
        members.extend(talk.extra.iter().cloned());
    }
    body
}

/// Conversations of one to five turns, ended by results or by the user; some outputs come again.
pub fn talks() -> impl Strategy<Value = Talk> {
    again::echoing(fresh())
}

fn fresh() -> impl Strategy<Value = Talk> {
    let system = vec(prop_oneof![content::prose(2), content::any_text(60)], 0..3);
    let extra = vec((prop_oneof![Just("x"), Just("metadata"), Just("\u{e9}\"")], odd_values()), 0..3);
    (system, tools(), vec(turn(), 1..5), calling_turn(), extra).prop_map(
        |(system, tools, mut turns, last, extra)| {
            turns.insert(0, Turn::User(vec![Part::Text("Why does parse_header fail at 0007?".into())]));
            turns.push(last);
            let extra = extra.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
            Talk { system, tools, turns, extra }
        },
    )
}

/// How a client writes its JSON.
pub fn spellings() -> impl Strategy<Value = Spelling> {
    let space = prop_oneof![Just(Space::None), Just(Space::Single), Just(Space::Lines)];
    let keys = prop_oneof![Just(Keys::AsTheyAre), Just(Keys::Sorted), Just(Keys::Backwards)];
    (space, any::<bool>(), any::<bool>(), keys).prop_map(|(space, ascii, slash, keys)| Spelling {
        space,
        ascii,
        slash,
        keys,
    })
}

/// The tools that a conversation starts with: mostly some that return bulk.
fn tools() -> impl Strategy<Value = Option<Vec<Tool>>> {
    let tool = |name: &str, description: &str| Tool { name: name.into(), description: description.into() };
    let bulk = vec![
        tool("read_file", "Reads a file and returns its content"),
        tool("mcp__shell__run_command", "Runs a command in the shell"),
    ];
    let mut owned = bulk.clone();
    owned.push(tool("mcp__headroom__headroom_retrieve", "Retrieves"));
    prop_oneof![
        6 => Just(Some(bulk)),
        1 => Just(Some(owned)),
        1 => Just(Some(Vec::new())),
        1 => Just(None),
    ]
}

fn turn() -> impl Strategy<Value = Turn> {
    let part = prop_oneof![
        4 => content::prose(3).prop_map(Part::Text),
        1 => content::any_text(80).prop_map(Part::Text),
        1 => Just(Part::Image),
        1 => odd_blocks().prop_map(Part::Odd),
    ];
    prop_oneof![
        4 => calling_turn(),
        2 => vec(part, 1..3).prop_map(Turn::User),
        1 => content::prose(2).prop_map(|says| Turn::Model {
            thinks: true,
            says: Some(says),
            calls: Vec::new(),
            adds: None,
        }),
        1 => odd_messages().prop_map(Turn::Odd),
    ]
}

fn calling_turn() -> impl Strategy<Value = Turn> {
    (
        any::<bool>(),
        option::of(content::prose(1)),
        vec(call(), 1..4),
        option::weighted(0.2, content::prose(1)),
    )
        .prop_map(|(thinks, says, calls, adds)| Turn::Model { thinks, says, calls, adds })
}

fn call() -> impl Strategy<Value = Call> {
    let name = prop_oneof![
        4 => Just("read_file"),
        3 => Just("mcp__shell__run_command"),
        1 => Just("mcp__headroom__headroom_retrieve"),
        1 => Just("gr\u{e9}p \"x\""),
    ];
    let arguments = (0u32..40, prop_oneof![Just("src/a.rs"), Just("caf\u{e9}/\u{1f600}"), Just("C:\\x\ty")])
        .prop_map(|(number, path)| {
            object([
                ("path", path.into()),
                ("limit", Json::Raw(format!("{number}.50e0"))),
                ("deep", object([("pattern", format!("row {number:04}|ERROR").into())])),
            ])
        });
    let part = prop_oneof![
        4 => content::outputs().prop_map(Part::Text),
        1 => Just(Part::Image),
        1 => odd_blocks().prop_map(Part::Odd),
    ];
    let content = prop_oneof![
        8 => content::outputs().prop_map(Content::Text),
        3 => vec(part, 0..3).prop_map(Content::Parts),
        1 => content::outputs().prop_map(Content::Lone),
        1 => (content::outputs(), content::outputs()).prop_map(|(a, b)| Content::Twice(a, b)),
        1 => Just(Content::Null),
        1 => Just(Content::Absent),
    ];
    (name, arguments, content, prop::bool::weighted(0.15)).prop_map(|(name, arguments, content, is_error)| {
        Call { name: name.to_owned(), arguments, content, is_error }
    })
}

fn odd_values() -> impl Strategy<Value = Json> {
    let raw = |raw: &str| Just(Json::Raw(raw.to_owned()));
    prop_oneof![
        raw("1.0"),
        raw("-0"),
        raw("1E400"),
        raw("123456789012345678901234567890"),
        raw("null"),
        raw("\"\\ud800\""),
        content::any_text(30).prop_map(Json::Text),
        Just(Json::Object(vec![
            ("a".into(), Json::Raw("1".into())),
            ("a".into(), Json::Raw("2".into())),
            ("messages".into(), Json::Array(Vec::new())),
        ])),
    ]
}

fn odd_blocks() -> impl Strategy<Value = Json> {
    (odd_values(), prop_oneof![Just("mystery"), Just("server_tool_use"), Just("document")])
        .prop_map(|(value, kind)| object([("type", kind.into()), ("value", value), ("text", "kept".into())]))
}

fn odd_messages() -> impl Strategy<Value = Json> {
    (odd_values(), prop_oneof![Just("narrator"), Just("system"), Just("function")]).prop_map(
        |(value, role)| object([("role", role.into()), ("content", "as it is".into()), ("value", value)]),
    )
}

/// The id of a call, by its place.
fn id(turn: usize, call: usize) -> String {
    format!("toolu_{turn:02}/{call}")
}
