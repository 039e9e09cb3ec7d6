#![allow(missing_docs, clippy::needless_pass_by_value)]
use std::collections::VecDeque;

use bytes::Bytes;

use super::Record;
use crate::ccr::Handle;

#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RetrievalReport {
    pub rounds: u32,
    pub calls: u32,
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
