//! Going on with an answer that the provider stores: what the ledger knows of it, and what it takes.

use std::borrow::Cow;

use super::{Engine, Scanned};
use crate::{
    eligible,
    intercept::{
        Alias, Stored,
        stored::{self, OPEN, Thread},
    },
    ledger::{LedgerKey, Record},
    policy::Policy,
    wire::{splice::Edit, text::quote},
};

impl Engine {
    /// Where the ledger tells of the answer that a provider stores under `id`: see
    /// [`Stored`](crate::intercept::Stored).
    #[must_use]
    pub fn stored_key(&self, id: &str) -> LedgerKey {
        stored::key(&self.0.key, id)
    }

    /// The record of an answer that the ledger has lost, made of what the provider says of it (the body
    /// of `GET /v1/responses/{id}`); `None` unless a call of ours waits there to be answered.
    #[must_use]
    pub fn recovered(&self, id: &str, answer: &[u8], policy: &Policy) -> Option<Record> {
        Some(Stored::recovered(id, answer, policy.retrieval_tool())?.record(&self.0.key))
    }
}

impl Scanned {
    /// Says that originals are kept as durably as a durable ledger's records. Without it a conversation
    /// that the provider stores is only rewritten exactly.
    #[must_use]
    pub fn keeping_originals(mut self) -> Self {
        self.lasting = true;
        self
    }

    /// Says that originals cannot be kept at the moment: nothing more is left out.
    #[must_use]
    pub fn showing_all(mut self) -> Self {
        self.shows_all = true;
        self
    }

    /// Whether the provider keeps the answer, or the conversation before it, so that later requests
    /// depend on what the ledger holds.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.trusts() && (self.conversation.stored || self.conversation.previous.is_some())
    }

    fn trusts(&self) -> bool {
        self.durable() && self.lasting
    }

    /// The id of the stored answer that the client goes on with, where the ledger may know it.
    #[must_use]
    pub fn previous(&self) -> Option<String> {
        let id = self.conversation.previous.as_ref().filter(|_| self.durable())?;
        id.decode(&self.body).map(Cow::into_owned)
    }

    /// Takes what is known of the answer that this goes on with.
    pub(super) fn link(&mut self, body: &str, records: &[Record]) {
        let key = self.previous().map(|id| self.engine.stored_key(&id));
        let record = records.iter().find(|record| Some(record.key) == key);
        self.link = record.and_then(Stored::read);
        if let Some(before) = &self.link {
            eligible::link(self.candidates.change(), body, &self.conversation, before);
        }
        self.conversation.linked = self.link.is_some();
        let stored = self.conversation.stored || self.conversation.linked;
        self.conversation.stateful |= stored && !self.trusts();
        // What stands before it is not known, nor whether our tool was listed there.
        self.conversation.stateful |= self.conversation.previous.is_some() && self.link.is_none();
    }

    /// The edits that make this go on with what the provider has last.
    pub(super) fn going_on(&self, body: &str) -> Vec<Edit> {
        let (Some(before), Some(previous)) = (&self.link, &self.conversation.previous) else {
            return Vec::new();
        };
        let mut edits = Vec::new();
        if before.last() != before.client {
            let mut id = String::new();
            quote(before.last(), &mut id);
            edits.push(Edit { span: previous.range.clone(), text: id.into() });
        }
        if before.pending.is_empty() {
            return edits;
        }
        let (span, pending) = (self.conversation.messages_span.clone(), before.pending.join(","));
        let insert = |at: usize, text: String| Edit { span: at..at, text: text.into() };
        if self.is_one_text(body) {
            edits.push(insert(span.start, format!("[{pending},{OPEN}")));
            edits.push(insert(span.end, "}]".to_owned()));
        } else {
            let comma = if self.conversation.messages.is_empty() { "" } else { "," };
            edits.push(insert(span.start + 1, format!("{pending}{comma}")));
        }
        edits
    }

    /// How far behind its closing quote an input of words alone ends, now that results stand before it.
    pub(super) fn opened(&self, body: &str) -> usize {
        let pending = self.link.as_ref().is_some_and(|before| !before.pending.is_empty());
        if pending && self.is_one_text(body) { "}]".len() } else { 0 }
    }

    /// Whether the input is a string.
    fn is_one_text(&self, body: &str) -> bool {
        body.as_bytes().get(self.conversation.messages_span.start) == Some(&b'"')
    }

    /// What must be undone in answers, where another id goes out than the client's.
    pub(super) fn alias(&self) -> Option<Alias> {
        self.link.as_ref().filter(|before| before.last() != before.client).map(Stored::alias)
    }

    /// What an exchange is to know of the conversation that the provider keeps.
    pub(super) fn thread(&self, text: &str) -> Option<Thread> {
        let before = self.link.as_ref();
        let said = eligible::last_said(text, &self.conversation);
        self.is_stored().then(|| Thread {
            key: self.engine.0.key.clone(),
            kept: self.conversation.stored,
            previous: before.map(Stored::alias),
            asked: stored::hint(&said.or(before.map(|it| it.asked.clone())).unwrap_or_default()).to_owned(),
            hidden: before.map(|before| before.hidden.clone()).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{Dialect, RequestContext, Route, TOOL_NAME, intercept::stored::Called};

    /// What an output that comes alone answers is known only once the ledger has told.
    #[test]
    fn what_was_looked_up_before_the_ledger_told_decides_nothing() {
        let log: String = (0..600).map(|at| format!("INFO step done, item{at} is written\\n")).collect();
        let body = format!(
            r#"{{"model":"gpt-6","store":true,"previous_response_id":"resp_1","tools":[{{"type":"function","name":"run","parameters":{{}}}}],"input":[{{"type":"function_call_output","call_id":"c","output":"{log}"}}]}}"#
        );
        let context =
            RequestContext::new(Dialect::OpenAiResponses).route(Route::Intercepted { durable_ledger: true });
        let policy = Policy::default().repeats(false);
        let run = |engine: &Engine, asked: &str| {
            let arguments = format!(r#"{{"grep":"{asked}"}}"#);
            let called = Called { id: "c".to_owned(), name: "run".to_owned(), arguments };
            let before = Stored {
                tool: TOOL_NAME.to_owned(),
                client: "resp_1".to_owned(),
                rounds: vec!["resp_1".to_owned()],
                calls: vec![called],
                ..Stored::default()
            };
            let scanned = engine.scan(Bytes::from(body.clone()), &context).unwrap();
            let scanned = scanned.under(&policy).keeping_originals().answered();
            assert!(scanned.new_bytes(&policy) > 0 || asked == "item433");
            let rewrite = scanned.rewrite(&policy, &[before.record(&engine.0.key)]);
            String::from_utf8(rewrite.body.to_vec()).unwrap()
        };
        let engine = Engine::new();
        let (one, other) = (run(&engine, "item217"), run(&engine, "item433"));
        assert!(one.contains("item217 ") && !one.contains("item433 "), "{one}");
        assert_eq!(other, run(&Engine::new(), "item433"));
        assert!(other.contains("item433 "), "{other}");
    }
}
