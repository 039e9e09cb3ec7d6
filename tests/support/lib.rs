//! What the end-to-end tests, the benches and the quickstart share.
//!
//! [`provider`] is a server that behaves like the real ones where it matters to a rewriting layer:
//! it refuses what they refuse, binds thinking to what came before it, and prices what it was sent.
//! [`fixtures`] are conversations of agents, and [`client`] is the part of a client that keeps one
//! going: it reads answers, streamed or whole, and writes the next request.
//!
//! [`json`] and [`places`] read bodies independently of the engine, [`generate`] makes conversations
//! up, and [`clients`] varies what a real client varies between turns: the laws are checked with them;
//! [`notes`] undoes what was done for the provider's cache, [`dice`] make repeatable choices, and
//! [`packages`] are clients that others wrote. [`fuzz`] holds what parsers and writers are fuzzed with.
//!
//! [`investigation`] is the one short conversation that the examples have.
//!
//! Everything here is for tests: a mistake of the caller panics.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "support for tests: a broken fixture must stop them"
)]

pub mod client;
pub mod clients;
pub mod clock;
pub mod convert;
pub mod dice;
pub mod fixtures;
#[path = "../fuzz/mod.rs"]
pub mod fuzz;
pub mod generate;
pub mod investigation;
pub mod json;
pub mod notes;
pub mod packages;
pub mod places;
pub mod provider;
pub mod streams;

/// The wire formats that the double speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `POST /v1/messages`.
    Anthropic,
    /// `POST /v1/chat/completions`.
    OpenAi,
    /// `POST /v1/responses`.
    Responses,
    /// `POST /v1beta/models/gemini-3-pro:generateContent`, and `:streamGenerateContent`.
    Gemini,
    /// `POST /model/us.amazon.nova-pro-v1:0/converse`, and `/converse-stream`.
    Converse,
}

impl Dialect {
    /// Where requests of this dialect go.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Anthropic => "/v1/messages",
            Self::OpenAi => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Gemini => "/v1beta/models/gemini-3-pro:generateContent",
            Self::Converse => "/model/us.amazon.nova-pro-v1:0/converse",
        }
    }

    /// Where this request goes: of Gemini and Converse, whether a stream is asked for is said by the path, and in
    /// tests by a field `stream` as well.
    #[must_use]
    pub fn path_of(self, body: &[u8]) -> &'static str {
        let stream = b"\"stream\":true";
        match self {
            _ if !body.windows(stream.len()).any(|window| window == stream) => self.path(),
            Self::Gemini => "/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse",
            Self::Converse => "/model/us.amazon.nova-pro-v1:0/converse-stream",
            _ => self.path(),
        }
    }

    /// The field of a body that holds the conversation.
    #[must_use]
    pub fn list(self) -> &'static str {
        match self {
            Self::Anthropic | Self::OpenAi | Self::Converse => "messages",
            Self::Responses => "input",
            Self::Gemini => "contents",
        }
    }
}
