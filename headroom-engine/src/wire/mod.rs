//! Where things stand in a request body. One file a dialect; no decision is made here.

mod anthropic;
mod batch;
#[cfg(feature = "bedrock")]
mod bedrock;
mod gemini;
#[cfg(feature = "image")]
pub(crate) mod image;
pub(crate) mod media;
mod openai_chat;
mod openai_responses;
pub(crate) mod scan;
pub(crate) mod splice;
pub(crate) mod text;
mod top;

use std::{ops::Range, sync::Arc};

use scan::{Known, ScanError, Scanner};
use text::Str;

/// A provider's wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// `POST /v1/messages`.
    ///
    /// Nothing is left out of a request with a `thread`: the provider keeps that conversation, and
    /// later requests hold only what is new.
    AnthropicMessages,
    /// `POST /v1/chat/completions`, of OpenAI and every compatible server.
    OpenAiChat,
    /// `POST /v1/responses`.
    ///
    /// Something is left out only where `store` is `false` and all of the conversation stands in the
    /// request: a stored answer can be gone on with by its id (`previous_response_id`,
    /// `conversation`), in a request that may list no tool to redeem with.
    OpenAiResponses,
    /// `POST …/models/{model}:generateContent` and `:streamGenerateContent`, of Google and Vertex.
    Gemini,
    /// `POST /model/{id}/converse` and `/converse-stream`, of Amazon Bedrock.
    #[cfg(feature = "bedrock")]
    BedrockConverse,
}

impl Dialect {
    #[cfg(test)]
    pub(crate) const EVERY: &[Self] = &[
        Self::AnthropicMessages,
        Self::OpenAiChat,
        Self::OpenAiResponses,
        Self::Gemini,
        #[cfg(feature = "bedrock")]
        Self::BedrockConverse,
    ];

    /// A stable name, as reports and epochs carry it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AnthropicMessages => "anthropic-messages",
            Self::OpenAiChat => "openai-chat",
            Self::OpenAiResponses => "openai-responses",
            Self::Gemini => "gemini",
            #[cfg(feature = "bedrock")]
            Self::BedrockConverse => "bedrock-converse",
        }
    }
}

/// A request body, as spans.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) root: Range<usize>,
    pub(crate) model: Option<Str>,
    pub(crate) stream: bool,
    /// Texts of a top-level system prompt.
    pub(crate) system: Vec<Str>,
    pub(crate) tools: Option<Tools>,
    /// `tools` is there, but is no array.
    pub(crate) tools_unreadable: bool,
    pub(crate) tool_choice: ToolChoice,
    /// Thinking is switched on or off; `None` where the request does not say.
    pub(crate) thinking: Option<bool>,
    /// More than one answer is asked for.
    pub(crate) several_answers: bool,
    /// The provider keeps a part of the conversation, or may be asked to go on with it: what stands
    /// here is not all that later requests are answered from.
    pub(crate) stateful: bool,
    /// The answer can be read back and gone on with by its id.
    pub(crate) stored: bool,
    /// The id of the stored answer that this goes on with.
    pub(crate) previous: Option<Str>,
    /// That answer is one of ours, in a conversation that lists our tool.
    pub(crate) linked: bool,
    /// Shared with the memo of conversations.
    pub(crate) messages: Vec<Arc<Message>>,
    pub(crate) messages_span: Range<usize>,
}

/// The tools of the client.
#[derive(Debug)]
pub(crate) struct Tools {
    /// The array that a definition is added to.
    pub(crate) span: Range<usize>,
    pub(crate) items: Vec<Tool>,
    /// What is added there wraps the definition.
    pub(crate) wrapped: bool,
}

/// One tool of the client.
#[derive(Debug)]
pub(crate) struct Tool {
    pub(crate) name: Option<Str>,
    pub(crate) description: Option<Str>,
}

/// Whether the model may call our tool this turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToolChoice {
    Free,
    Forbidden,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    System,
    User,
    Assistant,
    Tool,
    Other,
}

impl Role {
    fn parse(name: Option<&str>) -> Self {
        match name {
            Some("system" | "developer") => Self::System,
            Some("user") => Self::User,
            Some("assistant") => Self::Assistant,
            Some("tool") => Self::Tool,
            _ => Self::Other,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) span: Range<usize>,
    pub(crate) role: Role,
    pub(crate) blocks: Vec<Block>,
}

impl Message {
    /// A message that gives a field twice, so that readers may disagree about it: nobody looks
    /// inside.
    fn opaque(span: Range<usize>) -> Self {
        let blocks = vec![Block { span: span.clone(), kind: BlockKind::Other }];
        Self { span, role: Role::Other, blocks }
    }

    /// What is said in it.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &Str> {
        self.blocks.iter().filter_map(|block| match &block.kind {
            BlockKind::Text(text) => Some(text),
            _ => None,
        })
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) span: Range<usize>,
    pub(crate) kind: BlockKind,
}

impl Block {
    pub(crate) fn is_thinking(&self) -> bool {
        matches!(self.kind, BlockKind::Thinking)
    }
}

#[derive(Clone, Debug)]
pub(crate) enum BlockKind {
    Text(Str),
    Call { id: Option<Str>, name: Option<Str>, arguments: Arguments },
    Result { call: Option<Str>, is_error: bool, texts: Vec<Str> },
    Thinking,
    Other,
}

/// A call's arguments: a JSON value, or one inside a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Arguments {
    None,
    Value(Range<usize>),
    Text(Str),
}

/// Reads a body.
pub(crate) fn read(dialect: Dialect, body: &str) -> Result<Conversation, ScanError> {
    read_with(dialect, Scanner::new(body))
}

/// Reads a body, but for the messages that are `known`.
pub(crate) fn read_on(dialect: Dialect, body: &str, known: Known<'_>) -> Result<Conversation, ScanError> {
    read_with(dialect, Scanner::knowing(body, known))
}

/// Where the messages seem to begin, found without reading what stands before them.
pub(crate) fn likely_start(dialect: Dialect, body: &str) -> Option<usize> {
    let key = match dialect {
        Dialect::AnthropicMessages | Dialect::OpenAiChat => "\"messages\"",
        Dialect::OpenAiResponses => "\"input\"",
        Dialect::Gemini => "\"contents\"",
        #[cfg(feature = "bedrock")]
        Dialect::BedrockConverse => "\"messages\"",
    };
    memchr::memmem::find_iter(body.as_bytes(), key).find_map(|at| {
        // Tools may have a property of this name, and lists hold it as a word.
        let value = body[at + key.len()..].trim_ascii_start().strip_prefix(':')?.trim_ascii_start();
        value.starts_with('[').then_some(body.len() - value.len())
    })
}

fn read_with(dialect: Dialect, scanner: Scanner<'_>) -> Result<Conversation, ScanError> {
    match dialect {
        Dialect::AnthropicMessages => anthropic::read(scanner),
        Dialect::OpenAiChat => openai_chat::read(scanner),
        Dialect::OpenAiResponses => openai_responses::read(scanner),
        Dialect::Gemini => gemini::read(scanner),
        #[cfg(feature = "bedrock")]
        Dialect::BedrockConverse => bedrock::read(scanner),
    }
}

/// Where the bodies of a batch's requests stand.
pub(crate) fn batch(dialect: Dialect, body: &str) -> Result<Vec<Range<usize>>, ScanError> {
    batch::read(dialect, body)
}

/// Fills `slot`, once.
fn once<T>(slot: &mut Option<T>, scanner: &Scanner<'_>, value: T) -> Result<(), ScanError> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(scanner.duplicate()),
    }
}

/// Steps into the next value if it is an object, else skips it.
fn object_or_skip(
    scanner: &mut Scanner<'_>,
    each: impl FnMut(&mut Scanner<'_>, &str) -> Result<(), ScanError>,
) -> Result<Range<usize>, ScanError> {
    if scanner.peek() == b'{' { scanner.object(each) } else { scanner.skip() }
}

/// Steps into the next value if it is an array, else skips it.
fn array_or_skip(
    scanner: &mut Scanner<'_>,
    each: impl FnMut(&mut Scanner<'_>) -> Result<(), ScanError>,
) -> Result<Option<Range<usize>>, ScanError> {
    if scanner.peek() == b'[' { scanner.array(each).map(Some) } else { scanner.skip().map(|_| None) }
}
