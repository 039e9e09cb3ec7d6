//! A client that plays its side of a recorded conversation, turn by turn.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::Answer;
use crate::{
    Dialect,
    fixtures::{Conversation, Fields},
};

/// A conversation under way: what the client has said and heard so far.
///
/// Each request holds the whole history, as stateless APIs want it: the client's own messages byte
/// for byte as they were recorded, and the answers as they were *received*.
#[derive(Clone, Debug)]
pub struct Dialogue<'a> {
    conversation: &'a Conversation,
    head: Fields,
    history: Vec<Box<RawValue>>,
    turn: usize,
}

impl<'a> Dialogue<'a> {
    /// Starts over.
    #[must_use]
    pub fn new(conversation: &'a Conversation) -> Self {
        let mut dialogue =
            Self { conversation, head: conversation.head().clone(), history: Vec::new(), turn: 0 };
        dialogue.listen();
        dialogue
    }

    /// Sets a field of the body to this JSON text, instead of the recorded value if there is one.
    ///
    /// # Panics
    /// If it is not JSON.
    #[must_use]
    pub fn field(mut self, name: &str, json: &str) -> Self {
        let value = RawValue::from_string(json.to_owned()).expect("JSON");
        self.head.insert(name.to_owned(), value);
        self
    }

    /// Asks for streams, and in OpenAI's for the usage at their end.
    #[must_use]
    pub fn streamed(self) -> Self {
        let streamed = self.field("stream", "true");
        match streamed.conversation.dialect() {
            Dialect::Anthropic | Dialect::Responses | Dialect::Gemini | Dialect::Converse => streamed,
            Dialect::OpenAi => streamed.field("stream_options", r#"{"include_usage":true}"#),
        }
    }

    /// The body of the next request; `None` when everything was said.
    #[must_use]
    pub fn request(&self) -> Option<Bytes> {
        if self.turn >= self.conversation.turns().len() {
            return None;
        }
        let head: String = self.head.iter().map(|(name, value)| format!("\"{name}\":{value},")).collect();
        let messages: Vec<&str> = self.history.iter().map(|message| message.get()).collect();
        Some(format!("{{{head}\"messages\":[{}]}}", messages.join(",")).into())
    }

    /// The number of the next turn, from 0.
    #[must_use]
    pub fn turn(&self) -> usize {
        self.turn
    }

    /// Takes the answer as it was received, and goes on to the next turn.
    ///
    /// # Panics
    /// If there is no turn to answer.
    pub fn answered(&mut self, answer: &Answer) {
        self.hear(answer.message().to_string());
    }

    /// Goes on as if the recorded answer had been received, thinking left out: against a provider
    /// that says what it likes.
    ///
    /// # Panics
    /// If there is no turn to answer.
    pub fn answered_as_recorded(&mut self) {
        self.hear(self.conversation.turns()[self.turn].recorded(self.conversation.dialect()).to_string());
    }

    fn hear(&mut self, message: String) {
        self.history.push(RawValue::from_string(message).expect("JSON"));
        self.turn += 1;
        self.listen();
    }

    fn listen(&mut self) {
        if let Some(turn) = self.conversation.turns().get(self.turn) {
            self.history.extend(turn.asked().iter().cloned());
        }
    }
}
