//! Where a rewriting layer may write, found independently of the engine. A new dialect adds an arm.

use std::ops::Range;

use headroom_engine::Dialect;

use crate::json::{elements, members, only, span, text};

/// The dialects that the laws hold for.
pub const DIALECTS: [Dialect; 5] = [
    Dialect::AnthropicMessages,
    Dialect::OpenAiChat,
    Dialect::OpenAiResponses,
    Dialect::Gemini,
    Dialect::BedrockConverse,
];

/// The literal of a text of a tool result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The message, from 0.
    pub message: usize,
    /// The block within the message, from 0.
    pub block: usize,
    /// The text within the block, from 0.
    pub part: usize,
    /// Where it stands, quotes included.
    pub span: Range<usize>,
    /// The result is flagged as an error.
    pub is_error: bool,
}

/// The texts of all tool results, in order.
///
/// # Panics
/// If `body` is not JSON, or of a dialect not known here.
#[must_use]
pub fn results(dialect: Dialect, body: &str) -> Vec<Place> {
    match dialect {
        Dialect::AnthropicMessages => anthropic(body),
        Dialect::OpenAiChat => chat(body),
        Dialect::OpenAiResponses => responses(body),
        Dialect::Gemini => gemini(body),
        Dialect::BedrockConverse => converse(body),
        other => panic!("no places known for {}", other.name()),
    }
}

fn anthropic(body: &str) -> Vec<Place> {
    let mut found = Vec::new();
    for (message, raw) in messages(body).into_iter().enumerate() {
        for (block, raw) in elements(only(raw, "content").unwrap_or("")).into_iter().enumerate() {
            let known = ["type", "content", "tool_use_id", "is_error", "text", "id", "name", "input"];
            let is_error = only(raw, "is_error") == Some("true");
            if kind(raw) == "tool_result" && !known.iter().any(|name| twice(raw, name)) {
                for (part, literal) in texts(only(raw, "content").unwrap_or("")).enumerate() {
                    found.push(Place { message, block, part, span: span(body, literal), is_error });
                }
            }
        }
    }
    found
}

fn chat(body: &str) -> Vec<Place> {
    let mut found = Vec::new();
    for (message, raw) in messages(body).into_iter().enumerate() {
        if role(raw) == "tool" {
            for (part, literal) in texts(only(raw, "content").unwrap_or("")).enumerate() {
                found.push(Place { message, block: 0, part, span: span(body, literal), is_error: false });
            }
        }
    }
    found
}

fn responses(body: &str) -> Vec<Place> {
    let mut found = Vec::new();
    let list = messages(body);
    let numbers = numbers(Dialect::OpenAiResponses, &list);
    for (at, raw) in list.iter().enumerate() {
        if side(raw) == "tools" {
            let message = numbers[at];
            let block = numbers[..at].iter().filter(|number| **number == message).count();
            for (part, literal) in texts(only(raw, "output").unwrap_or("")).enumerate() {
                found.push(Place { message, block, part, span: span(body, literal), is_error: false });
            }
        }
    }
    found
}

/// Whose an item of Responses is.
fn side(raw: &str) -> &'static str {
    let known = ["type", "role", "content", "call_id", "output", "name", "arguments", "input", "id"];
    match kind(raw).as_str() {
        _ if known.iter().any(|name| twice(raw, name)) => "odd",
        kind if kind.ends_with("_output") => "tools",
        kind if kind.ends_with("_call") || kind == "reasoning" || role(raw) == "assistant" => "model",
        _ => "odd",
    }
}

/// Of each element of the list of messages the number of the message that it is, or belongs to: of
/// Responses, neighbouring outputs are one, as are neighbouring items of the model.
#[must_use]
pub fn numbers(dialect: Dialect, list: &[&str]) -> Vec<usize> {
    let mut number = 0;
    let mut numbers = Vec::with_capacity(list.len());
    for (at, raw) in list.iter().enumerate() {
        let goes_on = |before: &&str| {
            dialect == Dialect::OpenAiResponses && side(raw) != "odd" && side(raw) == side(before)
        };
        number += usize::from(at > 0 && !list[at - 1..at].iter().any(goes_on));
        numbers.push(number);
    }
    numbers
}

fn gemini(body: &str) -> Vec<Place> {
    let mut found = Vec::new();
    for (message, raw) in messages(body).into_iter().enumerate() {
        for (block, raw) in elements(only(raw, "parts").unwrap_or("")).into_iter().enumerate() {
            let response = only(raw, "functionResponse").and_then(|raw| only(raw, "response")).unwrap_or("");
            let is_error = only(response, "error").is_some();
            if members(response).iter().any(|(name, _)| twice(response, name)) {
                continue;
            }
            let strings = members(response).into_iter().flat_map(|(_, value)| texts(value));
            for (part, literal) in strings.enumerate() {
                found.push(Place { message, block, part, span: span(body, literal), is_error });
            }
        }
    }
    found
}

/// Cache points are no blocks.
fn converse(body: &str) -> Vec<Place> {
    let mut found = Vec::new();
    for (message, raw) in messages(body).into_iter().enumerate() {
        let blocks = elements(only(raw, "content").unwrap_or("")).into_iter();
        let blocks =
            blocks.filter(|block| members(block).iter().map(|(name, _)| name).ne(["cachePoint"].iter()));
        for (block, raw) in blocks.enumerate() {
            let Some(result) = only(raw, "toolResult") else { continue };
            let is_error = only(result, "status") == Some("\"error\"");
            if ["toolUseId", "status", "content"].iter().any(|name| twice(result, name)) {
                continue;
            }
            let parts = elements(only(result, "content").unwrap_or("")).into_iter();
            for (part, literal) in parts.flat_map(part_texts).enumerate() {
                found.push(Place { message, block, part, span: span(body, literal), is_error });
            }
        }
    }
    found
}

/// The texts of a part of a Converse result: its text, or the strings of its JSON.
fn part_texts(part: &str) -> Vec<&str> {
    match (only(part, "text"), only(part, "json")) {
        (Some(text), None) if text.starts_with('"') && !twice(part, "text") => vec![text],
        (None, Some(json)) if members(json).iter().any(|(name, _)| twice(json, name)) => Vec::new(),
        (None, Some(json)) if json.starts_with('{') => {
            members(json).into_iter().flat_map(|(_, value)| texts(value)).collect()
        }
        (None, Some(json)) => texts(json).collect(),
        _ => Vec::new(),
    }
}

fn twice(object: &str, name: &str) -> bool {
    members(object).iter().filter(|(other, _)| other == name).count() > 1
}

/// A string, or the texts of an array of parts.
fn texts(content: &str) -> impl Iterator<Item = &str> {
    let whole = content.starts_with('"').then_some(content);
    let text = |kind: &str| matches!(kind, "text" | "input_text");
    let part = move |raw| if text(&kind(raw)) { only(raw, "text") } else { None };
    whole.into_iter().chain(elements(content).into_iter().filter_map(part)).filter(|raw| raw.starts_with('"'))
}

fn kind(raw: &str) -> String {
    only(raw, "type").and_then(text).unwrap_or_default()
}

/// A message's role.
#[must_use]
pub fn role(message: &str) -> String {
    only(message, "role").and_then(text).unwrap_or_default()
}

/// The messages, as they are written.
///
/// # Panics
/// If `body` is not JSON.
#[must_use]
pub fn messages(body: &str) -> Vec<&str> {
    list(body).map(elements).unwrap_or_default()
}

/// The array of messages.
fn list(body: &str) -> Option<&str> {
    ["messages", "input", "contents"].into_iter().find_map(|key| only(body, key))
}

/// A greeting, as the members of a request's object.
#[must_use]
pub fn greeting(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiResponses => r#""store":false,"input":[{"role":"user","content":"hi"}]"#,
        Dialect::Gemini => r#""contents":[{"role":"user","parts":[{"text":"hi"}]}]"#,
        Dialect::BedrockConverse => r#""messages":[{"role":"user","content":[{"text":"hi"}]}]"#,
        _ => r#""messages":[{"role":"user","content":"hi"}]"#,
    }
}

/// The array of tools that a request lists.
#[must_use]
pub fn listed(dialect: Dialect, body: &str) -> Option<&str> {
    match dialect {
        Dialect::BedrockConverse => only(only(body, "toolConfig")?, "tools"),
        _ => only(body, "tools"),
    }
}

/// The member of a request that lists `tools`, an array.
#[must_use]
pub fn listing(dialect: Dialect, tools: &str) -> String {
    match dialect {
        Dialect::BedrockConverse => format!("\"toolConfig\":{{\"tools\":{tools}}}"),
        _ => format!("\"tools\":{tools}"),
    }
}

/// The definitions of the tools that a request lists.
#[must_use]
pub fn tools(dialect: Dialect, body: &str) -> Vec<&str> {
    let tools = elements(listed(dialect, body).unwrap_or(""));
    if dialect == Dialect::Gemini {
        let declared = |tool| elements(only(tool, "functionDeclarations").unwrap_or(""));
        return tools.into_iter().flat_map(declared).collect();
    }
    tools
}

/// Where `ours`, a definition, is to be added to a request, and how it is written there.
///
/// # Panics
/// If `body` is not JSON.
#[must_use]
pub fn tool_place(dialect: Dialect, body: &str, ours: &str) -> (usize, String) {
    let gemini = dialect == Dialect::Gemini;
    let wrapped = if gemini { format!("{{\"functionDeclarations\":[{ours}]}}") } else { ours.to_owned() };
    let Some(tools) = listed(dialect, body) else {
        return (body.trim_end().len() - 1, format!(",{}", listing(dialect, &format!("[{wrapped}]"))));
    };
    let declared =
        elements(tools).into_iter().filter_map(|tool| only(tool, "functionDeclarations")).next_back();
    let (array, added) = match declared.filter(|_| gemini) {
        Some(declared) => (declared, ours),
        None => (tools, wrapped.as_str()),
    };
    let comma = if elements(array).is_empty() { "" } else { "," };
    (span(body, array).end - 1, format!("{comma}{added}"))
}

/// The request with a choice that forbids the model to call our tool.
///
/// # Panics
/// If `body` is not compact JSON.
#[must_use]
pub fn forbidden(dialect: Dialect, body: &str) -> String {
    if dialect == Dialect::BedrockConverse {
        let end = span(body, only(body, "toolConfig").expect("tools")).end - 1;
        let choice = r#","toolChoice":{"tool":{"name":"read_file"}}"#;
        return format!("{}{choice}{}", &body[..end], &body[end..]);
    }
    format!("{},{}}}", &body[..body.len() - 1], forbidding(dialect))
}

fn forbidding(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::AnthropicMessages => r#""tool_choice":{"type":"none"}"#,
        Dialect::Gemini => r#""toolConfig":{"functionCallingConfig":{"mode":"NONE"}}"#,
        _ => r#""tool_choice":"none""#,
    }
}

/// After how many messages a request of this conversation can end: wherever the model's turn is.
#[must_use]
pub fn ends(body: &str) -> Vec<usize> {
    let messages = messages(body);
    let models = |raw: &str| {
        let kind = kind(raw);
        matches!(role(raw).as_str(), "assistant" | "model") || kind.ends_with("_call") || kind == "reasoning"
    };
    (1..=messages.len()).filter(|end| !models(messages[end - 1])).collect()
}

/// The request with its first `count` messages, all else byte for byte.
///
/// # Panics
/// If it has fewer, or none is asked for.
#[must_use]
pub fn cut(body: &str, count: usize) -> String {
    let last = span(body, messages(body)[count - 1]);
    let array = span(body, list(body).expect("messages"));
    format!("{}{}", &body[..last.end], &body[array.end - 1..])
}
