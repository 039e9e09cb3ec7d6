//! A model that says what it said in a recorded conversation.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::Value;

use super::{
    Received,
    script::{Block, Reply, Script, Turn},
};
use crate::fixtures::{Conversation, opening};

/// Answers with the next message of the conversation that the request belongs to.
///
/// Conversations are told apart by their first user message, and turns by counting what the client
/// said: exchanges about hidden originals, which a layer may or may not have put back, do not
/// count.
#[derive(Clone, Debug)]
pub struct Replay {
    conversations: Vec<Conversation>,
    delta: usize,
    told: Option<Arc<AtomicUsize>>,
    thinks: bool,
}

impl Replay {
    /// Replays any of these.
    ///
    /// # Panics
    /// If two of them start alike in the same dialect.
    #[must_use]
    pub fn new(conversations: impl Into<Vec<Conversation>>) -> Self {
        let conversations = conversations.into();
        let openings: HashSet<_> = conversations
            .iter()
            .map(|conversation| (conversation.dialect(), conversation.opening()))
            .collect();
        assert_eq!(openings.len(), conversations.len(), "two conversations start alike");
        Self { conversations, delta: 24, told: None, thinks: false }
    }

    /// Characters in a delta.
    #[must_use]
    pub fn delta(mut self, characters: usize) -> Self {
        self.delta = characters;
        self
    }

    /// Plays one conversation whose client says in `turn` which it is at: a layer may leave out what
    /// turns are counted by.
    #[must_use]
    pub fn told(mut self, turn: Arc<AtomicUsize>) -> Self {
        self.told = Some(turn);
        self
    }

    /// Thinks at every turn, where the request allows it, though no thought was recorded.
    #[must_use]
    pub fn thoughtful(mut self) -> Self {
        self.thinks = true;
        self
    }

    /// The number of the turn, from 0, that a request asks for.
    #[must_use]
    pub fn turn(&self, request: &Received) -> usize {
        self.told.as_ref().map_or_else(|| turn_of(request), |turn| turn.load(Ordering::SeqCst))
    }

    /// The conversation that `request` belongs to.
    #[must_use]
    pub fn conversation(&self, request: &Received) -> Option<&Conversation> {
        if self.told.is_some() {
            return self.conversations.first();
        }
        let opening = opening(request.messages());
        self.conversations
            .iter()
            .find(|known| Some(known.dialect()) == request.dialect() && known.opening() == opening)
    }

    /// What the model says next, as it was recorded.
    #[must_use]
    pub fn next(&self, request: &Received) -> Option<Turn> {
        let number = self.turn(request);
        let turn = self.conversation(request)?.turns().get(number)?;
        let mut blocks: Vec<Block> = turn
            .answer()
            .iter()
            .filter(|block| request.thinking() || !matches!(block, Block::Thinking(_)))
            .cloned()
            .collect();
        let thought = || blocks.iter().any(|block| matches!(block, Block::Thinking(_)));
        if self.thinks && request.thinking() && !thought() {
            blocks.insert(0, Block::Thinking(format!("What is next is turn {number}.")));
        }
        Some(Turn::new(blocks).delta(self.delta))
    }
}

impl Script for Replay {
    fn answer(&self, request: &Received) -> Reply {
        self.next(request).map_or_else(
            || Reply::error(500, "api_error", "nothing was recorded for this request"),
            Reply::Turn,
        )
    }
}

/// The number of the turn, from 0, that a request asks for.
#[must_use]
pub fn turn_of(request: &Received) -> usize {
    let ours = retrieval_calls(request);
    let mut turns = 0;
    let mut answered = true;
    for message in request.messages() {
        if message["role"] == "assistant" {
            answered = true;
        } else if answered && speaks(message, &ours) {
            turns += 1;
            answered = false;
        }
    }
    usize::saturating_sub(turns, 1)
}

/// Whether a message that is not the model's holds anything but results of these calls.
fn speaks(message: &Value, ours: &HashSet<&str>) -> bool {
    let foreign = |id: &Value| id.as_str().is_none_or(|id| !ours.contains(id));
    if message["role"] == "tool" {
        return foreign(&message["tool_call_id"]);
    }
    match message["content"].as_array() {
        Some(blocks) => {
            blocks.iter().any(|block| block["type"] != "tool_result" || foreign(&block["tool_use_id"]))
        }
        None => true,
    }
}

/// The ids of the calls that asked for originals.
pub(super) fn retrieval_calls(request: &Received) -> HashSet<&str> {
    let mut found = HashSet::new();
    for message in request.messages() {
        for block in message["content"].as_array().into_iter().flatten() {
            if block["type"] == "tool_use" && is_retrieval(&block["name"]) {
                found.extend(block["id"].as_str());
            }
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            if is_retrieval(&call["function"]["name"]) {
                found.extend(call["id"].as_str());
            }
        }
    }
    found
}

fn is_retrieval(name: &Value) -> bool {
    name == super::RETRIEVAL_TOOL
}
