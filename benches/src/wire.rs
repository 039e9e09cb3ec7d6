//! A reader of request bodies that shares nothing with the engine's own.
//!
//! It says where everything stands that a model reads: tools, system, and each message's texts,
//! calls and results, with their spans in the body. Checks made with it do not repeat a mistake of
//! the code under test.

use std::{collections::BTreeMap, ops::Range};

use serde_json::value::RawValue;

/// The wire formats that sessions are recorded in, or converted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Dialect {
    /// Anthropic Messages.
    Anthropic,
    /// OpenAI Chat Completions.
    #[value(name = "openai")]
    OpenAi,
    /// OpenAI Responses: bodies of the two above, converted.
    Responses,
    /// Gemini: bodies of the first two, converted.
    Gemini,
    /// Bedrock Converse: bodies of the first two, converted.
    Converse,
}

impl Dialect {
    pub(crate) fn of_engine(self) -> headroom_engine::Dialect {
        match self {
            Self::Anthropic => headroom_engine::Dialect::AnthropicMessages,
            Self::OpenAi => headroom_engine::Dialect::OpenAiChat,
            Self::Responses => headroom_engine::Dialect::OpenAiResponses,
            Self::Gemini => headroom_engine::Dialect::Gemini,
            Self::Converse => headroom_engine::Dialect::BedrockConverse,
        }
    }

    /// No session is recorded in this format.
    pub(crate) fn is_converted(self) -> bool {
        matches!(self, Self::Responses | Self::Gemini | Self::Converse)
    }
}

/// What a piece of the conversation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Tool,
    System,
    Text,
    Call,
    Result,
    /// Images and everything unknown: priced as text, searched by nobody.
    Opaque,
}

/// One text that the model reads.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) part: Part,
    /// The JSON value in the body.
    pub(crate) span: Range<usize>,
    /// JSON-decoded text; for calls their arguments, for tools compact JSON.
    pub(crate) text: String,
    /// The block carries a cache breakpoint.
    pub(crate) breakpoint: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) assistant: bool,
    pub(crate) span: Range<usize>,
    pub(crate) pieces: Vec<Piece>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Body {
    pub(crate) model: String,
    pub(crate) tools: Vec<Piece>,
    /// The `tools` array with its brackets.
    pub(crate) tools_span: Option<Range<usize>>,
    pub(crate) system: Vec<Piece>,
    pub(crate) messages: Vec<Message>,
    /// The top-level `cache_control` of Anthropic's automatic caching.
    pub(crate) automatic: bool,
    /// A turn may be several messages.
    pub(crate) flat: bool,
}

type Object<'a> = BTreeMap<String, &'a RawValue>;

struct Reader<'a> {
    source: &'a str,
}

impl Body {
    /// Reads `source`; `None` if it is not a body of this dialect.
    pub(crate) fn read(source: &str, dialect: Dialect) -> Option<Self> {
        let reader = Reader { source };
        let top: Object<'_> = serde_json::from_str(source).ok()?;
        let mut body = Self {
            model: top.get("model").and_then(|model| string(model)).unwrap_or_default(),
            automatic: top.contains_key("cache_control"),
            flat: dialect == Dialect::Responses,
            ..Self::default()
        };
        if let Some(tools) = top.get("tools") {
            body.tools_span = Some(reader.span(tools));
            body.tools = array(tools).into_iter().map(|tool| reader.json(Part::Tool, tool)).collect();
        }
        let list = match dialect {
            Dialect::Anthropic | Dialect::OpenAi | Dialect::Converse => "messages",
            Dialect::Responses => "input",
            Dialect::Gemini => "contents",
        };
        for field in ["system", "instructions"] {
            if let Some(system) = top.get(field) {
                reader.content(Part::System, system, &mut body.system);
            }
        }
        match dialect {
            Dialect::Gemini => reader.declared(&top, &mut body),
            Dialect::Converse => reader.specified(&top, &mut body),
            _ => {}
        }
        for message in array(top.get(list)?) {
            let object = object(message)?;
            let role = object.get("role").and_then(|role| string(role)).unwrap_or_default();
            let mut pieces = Vec::new();
            match dialect {
                Dialect::Anthropic => reader.anthropic(&object, &mut pieces),
                Dialect::OpenAi => reader.openai(&role, &object, &mut pieces),
                Dialect::Responses => reader.item(&role, &object, &mut pieces),
                Dialect::Gemini => reader.gemini(&object, &mut pieces),
                Dialect::Converse => reader.converse(&object, &mut pieces),
            }
            let calls = dialect == Dialect::Responses && pieces.iter().any(|piece| piece.part == Part::Call);
            body.messages.push(Message {
                assistant: matches!(role.as_str(), "assistant" | "model") || calls,
                span: reader.span(message),
                pieces,
            });
        }
        Some(body)
    }

    /// Everything the model reads, in the order of its prefix: tools, system, messages.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &Piece> {
        let messages = self.messages.iter().flat_map(|message| &message.pieces);
        self.tools.iter().chain(&self.system).chain(messages)
    }

    /// The results of tools, in order.
    pub(crate) fn results(&self) -> impl Iterator<Item = &Piece> {
        self.pieces().filter(|piece| piece.part == Part::Result)
    }
}

impl Reader<'_> {
    fn span(&self, value: &RawValue) -> Range<usize> {
        let start = value.get().as_ptr() as usize - self.source.as_ptr() as usize;
        start..start + value.get().len()
    }

    fn json(&self, part: Part, value: &RawValue) -> Piece {
        let text = serde_json::from_str::<serde_json::Value>(value.get())
            .map_or_else(|_| value.get().to_owned(), |value| value.to_string());
        let breakpoint = object(value).is_some_and(|object| object.contains_key("cache_control"));
        Piece { part, span: self.span(value), text, breakpoint }
    }

    /// A string, or an array of text parts.
    fn content(&self, part: Part, value: &RawValue, out: &mut Vec<Piece>) {
        if let Some(text) = string(value) {
            out.push(Piece { part, span: self.span(value), text, breakpoint: false });
            return;
        }
        for block in array(value) {
            self.text_part(part, block, out);
        }
    }

    fn text_part(&self, part: Part, block: &RawValue, out: &mut Vec<Piece>) {
        let fields = object(block).unwrap_or_default();
        let breakpoint = marked(&fields);
        let text = fields.get("text").or_else(|| fields.get("thinking"));
        match text.and_then(|text| Some((self.span(text), string(text)?))) {
            Some((span, text)) => out.push(Piece { part, span, text, breakpoint }),
            None => out.push(Piece { breakpoint, ..self.json(Part::Opaque, block) }),
        }
    }

    fn anthropic(&self, message: &Object<'_>, out: &mut Vec<Piece>) {
        let Some(content) = message.get("content") else { return };
        if string(content).is_some() {
            return self.content(Part::Text, content, out);
        }
        for block in array(content) {
            let fields = object(block).unwrap_or_default();
            match fields.get("type").and_then(|kind| string(kind)).unwrap_or_default().as_str() {
                "tool_use" | "mcp_tool_use" => {
                    let Some(input) = fields.get("input") else { continue };
                    out.push(Piece { breakpoint: marked(&fields), ..self.json(Part::Call, input) });
                }
                "tool_result" | "mcp_tool_result" => {
                    let before = out.len();
                    if let Some(content) = fields.get("content") {
                        self.content(Part::Result, content, out);
                    }
                    if marked(&fields) && out.len() > before {
                        out.iter_mut().last().into_iter().for_each(|last| last.breakpoint = true);
                    }
                }
                _ => self.text_part(Part::Text, block, out),
            }
        }
    }

    fn openai(&self, role: &str, message: &Object<'_>, out: &mut Vec<Piece>) {
        let part = match role {
            "tool" | "function" => Part::Result,
            "system" | "developer" => Part::System,
            _ => Part::Text,
        };
        if let Some(content) = message.get("content") {
            self.content(part, content, out);
        }
        for call in message.get("tool_calls").map(|calls| array(calls)).unwrap_or_default() {
            let function = object(call).and_then(|call| call.get("function").and_then(|f| object(f)));
            let Some(function) = function else { continue };
            if let Some(arguments) = function.get("arguments") {
                self.content(Part::Call, arguments, out);
            }
        }
    }

    fn item(&self, role: &str, item: &Object<'_>, out: &mut Vec<Piece>) {
        let (part, field) = match item.get("type").and_then(|kind| string(kind)).as_deref() {
            Some("function_call") => (Part::Call, "arguments"),
            Some("function_call_output") => (Part::Result, "output"),
            _ if matches!(role, "system" | "developer") => (Part::System, "content"),
            _ => (Part::Text, "content"),
        };
        if let Some(value) = item.get(field) {
            self.content(part, value, out);
        }
    }

    fn gemini(&self, content: &Object<'_>, out: &mut Vec<Piece>) {
        for part in content.get("parts").map(|parts| array(parts)).unwrap_or_default() {
            let fields = object(part).unwrap_or_default();
            if let Some(args) = fields.get("functionCall").and_then(|call| object(call)?.get("args").copied())
            {
                out.push(self.json(Part::Call, args));
                continue;
            }
            let response = fields.get("functionResponse").and_then(|answer| object(answer));
            let Some(response) = response.and_then(|answer| object(answer.get("response")?)) else {
                self.text_part(Part::Text, part, out);
                continue;
            };
            for value in response.values().filter(|value| string(value).is_some()) {
                self.content(Part::Result, value, out);
            }
        }
    }

    fn converse(&self, message: &Object<'_>, out: &mut Vec<Piece>) {
        for block in message.get("content").map(|content| array(content)).unwrap_or_default() {
            let fields = object(block).unwrap_or_default();
            if fields.contains_key("cachePoint") {
                out.iter_mut().last().into_iter().for_each(|last| last.breakpoint = true);
                continue;
            }
            if let Some(input) = fields.get("toolUse").and_then(|call| object(call)?.get("input").copied()) {
                out.push(self.json(Part::Call, input));
                continue;
            }
            let result = fields.get("toolResult").and_then(|result| object(result));
            let Some(content) = result.and_then(|result| result.get("content").copied()) else {
                self.text_part(Part::Text, block, out);
                continue;
            };
            for part in array(content) {
                match object(part).and_then(|part| part.get("json").copied()) {
                    Some(json) => out.push(self.json(Part::Result, json)),
                    None => self.text_part(Part::Result, part, out),
                }
            }
        }
    }

    /// Converse's tools.
    fn specified(&self, top: &Object<'_>, body: &mut Body) {
        let config = top.get("toolConfig").and_then(|config| object(config));
        let Some(list) = config.and_then(|config| config.get("tools").copied()) else { return };
        body.tools_span = Some(self.span(list));
        body.tools = array(list).into_iter().map(|tool| self.json(Part::Tool, tool)).collect();
    }

    /// Gemini's tools and system prompt.
    fn declared(&self, top: &Object<'_>, body: &mut Body) {
        let system = top.get("systemInstruction").and_then(|system| object(system));
        if let Some(parts) = system.and_then(|system| system.get("parts").copied()) {
            self.content(Part::System, parts, &mut body.system);
        }
        body.tools.clear();
        for tool in top.get("tools").map(|tools| array(tools)).unwrap_or_default() {
            let Some(list) = object(tool).and_then(|tool| tool.get("functionDeclarations").copied()) else {
                continue;
            };
            body.tools_span = Some(self.span(list));
            body.tools.extend(array(list).into_iter().map(|tool| self.json(Part::Tool, tool)));
        }
    }
}

fn string(value: &RawValue) -> Option<String> {
    value.get().starts_with('"').then(|| serde_json::from_str(value.get()).ok()).flatten()
}

fn array(value: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(value.get()).unwrap_or_default()
}

fn object(value: &RawValue) -> Option<Object<'_>> {
    serde_json::from_str(value.get()).ok()
}

fn marked(fields: &Object<'_>) -> bool {
    fields.contains_key("cache_control") || fields.contains_key("prompt_cache_breakpoint")
}

/// One request before every turn of the assistant, and the whole where it does not end in one:
/// each as the number of its messages.
pub(crate) fn cuts(body: &Body) -> Vec<usize> {
    let begins = |at: usize| body.messages[at].assistant && !(body.flat && body.messages[at - 1].assistant);
    let before = body.messages.iter().enumerate().filter(|(at, _)| *at > 0 && begins(*at));
    let mut cuts: Vec<usize> = before.map(|(at, _)| at).collect();
    if body.messages.last().is_some_and(|last| !last.assistant) {
        cuts.push(body.messages.len());
    }
    cuts
}

/// The request that ends with message `upto - 1`: `source` without the messages behind it, every
/// other byte as it was.
pub(crate) fn cut(source: &str, body: &Body, upto: usize) -> String {
    let (Some(kept), Some(last)) = (body.messages[..upto].last(), body.messages.last()) else {
        return source.to_owned();
    };
    [&source[..kept.span.end], &source[last.span.end..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANTHROPIC: &str = r#"{"model":"claude-sonnet-4-5", "tools":[{"name":"read" , "cache_control":{}}],
        "system":[{"type":"text","text":"be \"kind\""}],"messages": [
        {"role":"user","content":"go"},
        {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"tool_use","id":"1","name":"read","input":{"a": "b"}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":"one"},{"type":"tool_result","tool_use_id":"2","content":[{"type":"text","text":"tw\u006f"}],"cache_control":{}}]},
        {"role":"assistant","content":"done"} ],"stream":true}"#;

    const OPENAI: &str = r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"u"}]},
        {"role":"assistant","content":null,"tool_calls":[{"id":"1","function":{"name":"f","arguments":"{\"q\":1}"}}]},
        {"role":"tool","tool_call_id":"1","content":"out"}],"model":"gpt-4o"}"#;

    fn texts(body: &Body, part: Part) -> Vec<&str> {
        body.pieces().filter(|piece| piece.part == part).map(|piece| piece.text.as_str()).collect()
    }

    #[test]
    fn both_dialects_are_read() {
        let body = Body::read(ANTHROPIC, Dialect::Anthropic).unwrap();
        assert_eq!(texts(&body, Part::Result), ["one", "two"]);
        assert_eq!(texts(&body, Part::Call), [r#"{"a":"b"}"#]);
        assert_eq!(texts(&body, Part::System), ["be \"kind\""]);
        assert_eq!(texts(&body, Part::Text), ["go", "hm", "done"]);
        assert!(body.tools[0].breakpoint && body.results().nth(1).unwrap().breakpoint);
        let span = body.results().nth(1).unwrap().span.clone();
        assert_eq!(&ANTHROPIC[span], r#""tw\u006f""#);

        let body = Body::read(OPENAI, Dialect::OpenAi).unwrap();
        assert_eq!(texts(&body, Part::Result), ["out"]);
        assert_eq!(texts(&body, Part::Call), [r#"{"q":1}"#]);
        assert_eq!(body.model, "gpt-4o");
    }

    #[test]
    fn a_cut_ends_before_each_assistant_message() {
        let body = Body::read(ANTHROPIC, Dialect::Anthropic).unwrap();
        assert_eq!(cuts(&body), [1, 3], "it ends in an assistant message: no whole");
        let first = cut(ANTHROPIC, &body, 1);
        assert!(first.contains("\"go\"}") && first.ends_with(" ],\"stream\":true}"));
        let read = Body::read(&first, Dialect::Anthropic).unwrap();
        assert_eq!((read.messages.len(), read.tools.len()), (1, 1));

        let body = Body::read(OPENAI, Dialect::OpenAi).unwrap();
        assert_eq!(cuts(&body), [2, 4]);
        assert_eq!(cut(OPENAI, &body, 4), OPENAI);
    }
}
