//! Stand-ins for the engine's face.
#![allow(missing_docs, clippy::needless_pass_by_value)]
use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;

use crate::{
    ccr::{Handle, HandleKey},
    tokens::TokenCounter,
};

#[derive(Clone, Debug, Default)]
pub struct Engine;
#[derive(Clone, Debug, Default)]
pub struct EngineBuilder;
impl EngineBuilder {
    #[must_use]
    pub fn handle_key(self, _: HandleKey) -> Self {
        self
    }
    #[must_use]
    pub fn counter(self, _: Arc<dyn TokenCounter>) -> Self {
        self
    }
    #[must_use]
    pub fn build(self) -> Engine {
        Engine
    }
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    AnthropicMessages,
    OpenAiChat,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Route {
    Intercepted { durable_ledger: bool },
    ExactOnly,
    Mirror { durable_ledger: bool },
}
#[derive(Clone, Debug)]
pub struct RequestContext {
    pub dialect: Dialect,
    pub model: Option<String>,
    pub route: Route,
}
#[derive(Clone, Debug, Default)]
pub struct Policy;
#[derive(Clone, Debug, thiserror::Error)]
#[error("scan")]
pub struct ScanError;
#[derive(Clone, Debug, Default)]
pub struct Report;
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RetrievalReport {
    pub rounds: u32,
    pub calls: u32,
}
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LedgerKey([u8; 32]);
impl LedgerKey {
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}
#[derive(Clone, Debug)]
pub struct Record {
    pub key: LedgerKey,
    pub value: Bytes,
}
#[derive(Clone, Debug, Default)]
pub struct Originals;
impl Originals {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        true
    }
    #[must_use]
    pub fn get(&self, _: Handle) -> Option<String> {
        None
    }
    pub fn iter(&self) -> impl Iterator<Item = (Handle, &'static str)> {
        std::iter::empty()
    }
}
#[derive(Debug)]
pub struct Scanned(Bytes);
impl Scanned {
    #[must_use]
    pub fn ledger_keys(&self) -> &[LedgerKey] {
        &[]
    }
    #[must_use]
    pub fn stream(&self) -> bool {
        false
    }
    #[must_use]
    pub fn new_bytes(&self) -> usize {
        self.0.len()
    }
    #[must_use]
    pub fn rewrite(self, _: &Policy, _: &[Record]) -> Rewrite {
        Rewrite { body: self.0, originals: Originals, continuation: None, report: Report }
    }
}
#[derive(Debug)]
pub struct Rewrite {
    pub body: Bytes,
    pub originals: Originals,
    pub continuation: Option<Continuation>,
    pub report: Report,
}
impl Engine {
    #[must_use]
    pub fn builder() -> EngineBuilder {
        EngineBuilder
    }
    /// # Errors
    /// Not an object.
    pub fn scan(&self, body: Bytes, _: &RequestContext) -> Result<Scanned, ScanError> {
        if body.starts_with(b"{") { Ok(Scanned(body)) } else { Err(ScanError) }
    }
}
#[derive(Debug)]
pub struct Continuation;
#[derive(Debug)]
pub struct JsonExchange;
#[derive(Debug)]
pub struct StreamExchange;
#[derive(Debug)]
pub enum Step {
    Redeem(Vec<Handle>),
    Send(Bytes),
    Remember(Vec<Record>),
    Done,
}
impl Continuation {
    #[must_use]
    pub fn json(self) -> JsonExchange {
        JsonExchange
    }
    #[must_use]
    pub fn stream(self) -> StreamExchange {
        StreamExchange
    }
}
impl JsonExchange {
    pub fn response(&mut self, _: Bytes) -> Step {
        Step::Done
    }
    pub fn redeemed(&mut self, _: Vec<(Handle, String)>) -> Step {
        Step::Done
    }
    pub fn remembered(&mut self, _: bool) -> Step {
        Step::Done
    }
    pub fn failed(&mut self) {}
    #[must_use]
    pub fn into_body(self) -> Bytes {
        Bytes::new()
    }
    pub fn report(&self) -> &RetrievalReport {
        const { &RetrievalReport { rounds: 0, calls: 0 } }
    }
}
impl StreamExchange {
    pub fn push(&mut self, _: Bytes, _: &mut VecDeque<Bytes>) {}
    pub fn end(&mut self, _: &mut VecDeque<Bytes>) -> Step {
        Step::Done
    }
    pub fn redeemed(&mut self, _: Vec<(Handle, String)>, _: &mut VecDeque<Bytes>) -> Step {
        Step::Done
    }
    pub fn remembered(&mut self, _: bool, _: &mut VecDeque<Bytes>) -> Step {
        Step::Done
    }
    pub fn failed(&mut self, _: &mut VecDeque<Bytes>) {}
    #[must_use]
    pub fn round_complete(&self) -> bool {
        false
    }
    #[must_use]
    pub fn keep_alive(&self) -> Bytes {
        Bytes::new()
    }
    pub fn report(&self) -> &RetrievalReport {
        const { &RetrievalReport { rounds: 0, calls: 0 } }
    }
}
