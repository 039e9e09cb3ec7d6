//! Which texts may be rewritten, and what each one answers.

use std::{borrow::Cow, collections::HashMap};

use crate::{
    ccr::HandleKey,
    history::{self, Chain},
    ledger::LedgerKey,
    rank::Query,
    wire::{
        Arguments, BlockKind, Conversation, Message, Role,
        scan::{Str, unescape},
    },
};

/// A text of a tool result.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) message: usize,
    pub(crate) block: usize,
    pub(crate) part: usize,
    pub(crate) text: Str,
    /// Of the decoded text.
    pub(crate) digest: [u8; 32],
    /// Of everything that the causal query is made of.
    pub(crate) query: [u8; 32],
    /// The name of the tool that returned it; empty if unknown.
    pub(crate) tool: String,
    pub(crate) is_error: bool,
    call: Option<(usize, usize)>,
    /// The message that holds the user's text before it.
    user: Option<usize>,
}

impl Candidate {
    /// What the text answers: the call's name and arguments, and the user's text before it.
    pub(crate) fn causal_query(&self, body: &str, conversation: &Conversation) -> Query {
        let mut texts = vec![self.tool.clone()];
        let block =
            self.call.and_then(|(message, block)| conversation.messages.get(message)?.blocks.get(block));
        if let Some(BlockKind::Call { arguments, .. }) = block.map(|block| &block.kind) {
            let json = match arguments {
                Arguments::None => Cow::Borrowed(""),
                Arguments::Value(span) => Cow::Borrowed(&body[span.clone()]),
                Arguments::Text(text) => text.decode(body).unwrap_or_default(),
            };
            // Escapes as letters, so that JSON spelled otherwise asks the same.
            texts.push(unescape(&json).unwrap_or_else(|| json.into_owned()));
        }
        texts.extend(
            self.user.and_then(|message| conversation.messages.get(message)).map(|user| said(body, user)),
        );
        Query::new(texts.iter().map(String::as_str))
    }
}

/// The text of a message, as one.
fn said(body: &str, message: &Message) -> String {
    let mut whole = String::new();
    for block in &message.blocks {
        if let BlockKind::Text(text) = &block.kind {
            whole.push_str(&text.decode(body).unwrap_or_default());
        }
    }
    whole
}

/// Every candidate of a conversation, its hash behind the last message, and the key of each of its
/// assistant turns. One pass, every text hashed once.
pub(crate) fn walk(
    body: &str,
    conversation: &Conversation,
    key: &HandleKey,
) -> (Vec<Candidate>, Chain, Vec<LedgerKey>) {
    let mut chain = Chain::new(key, &history::system_digests(body, conversation));
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut keys = Vec::new();
    let mut calls: HashMap<&str, (usize, usize)> = HashMap::new();
    let mut user: Option<usize> = None;
    let mut asked = [0; 32];
    for (at, message) in conversation.messages.iter().enumerate() {
        let first = candidates.len();
        let mut spoke = false;
        for (block_at, block) in message.blocks.iter().enumerate() {
            match &block.kind {
                BlockKind::Call { id: Some(id), .. } => {
                    calls.insert(id.raw(body), (at, block_at));
                }
                BlockKind::Result { call, is_error, texts } => {
                    let call = call.as_ref().and_then(|call| calls.get(call.raw(body)).copied());
                    let (tool, query) = causal(body, conversation, call, &asked);
                    for (part, text) in texts.iter().enumerate() {
                        candidates.push(Candidate {
                            message: at,
                            block: block_at,
                            part,
                            text: text.clone(),
                            digest: history::text_digest(body, text),
                            query,
                            tool: tool.clone(),
                            is_error: *is_error,
                            call,
                            user,
                        });
                    }
                }
                BlockKind::Text(_) => spoke = true,
                _ => {}
            }
        }
        // Candidates of this message stand in the order in which the chain meets their texts.
        let mut digests = candidates[first..].iter().map(|candidate| candidate.digest);
        chain.push_message(body, message, &mut |_| digests.next().unwrap_or_default());
        match message.role {
            Role::User if spoke => {
                user = Some(at);
                asked = *blake3::hash(said(body, message).as_bytes()).as_bytes();
            }
            Role::Assistant => keys.push(chain.key()),
            _ => {}
        }
    }
    (candidates, chain, keys)
}

/// The name of the tool that was called, and a digest of what the causal query is made of.
fn causal(
    body: &str,
    conversation: &Conversation,
    call: Option<(usize, usize)>,
    asked: &[u8; 32],
) -> (String, [u8; 32]) {
    let mut hasher = blake3::Hasher::new();
    hasher.update(asked);
    let block = call.and_then(|(message, block)| conversation.messages.get(message)?.blocks.get(block));
    let Some(BlockKind::Call { name, arguments, .. }) = block.map(|block| &block.kind) else {
        return (String::new(), *hasher.finalize().as_bytes());
    };
    let name = name.as_ref().and_then(|name| name.decode(body)).unwrap_or_default();
    hasher.update(&(name.len() as u64).to_le_bytes());
    hasher.update(name.as_bytes());
    hasher.update(match arguments {
        Arguments::None => b"",
        Arguments::Value(span) => &body.as_bytes()[span.clone()],
        Arguments::Text(text) => text.raw(body).as_bytes(),
    });
    (name.into_owned(), *hasher.finalize().as_bytes())
}
