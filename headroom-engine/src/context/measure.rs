//! How long a conversation is, and which of its messages belong together.

use std::sync::Arc;

use quick_cache::sync::Cache;

use super::{
    Entry, Unit,
    score::{Sign, changes, is_subject},
};
use crate::{
    align::Dynamic,
    rank::terms,
    report::BlockReport,
    tokens::TokenCounter,
    wire::{Arguments, BlockKind, Conversation, Message, Role, text::Str},
};

/// Tokens around each message and block: roles, types, ids.
const AROUND: usize = 6;
/// The most tokens that a block which is no text is taken for: an image of any size costs no more.
const OPAQUE: usize = 4000;
/// Specific terms kept of a unit.
const SUBJECTS: usize = 32;

/// Tokens of texts counted before. It can change only the time a request takes.
#[derive(Debug)]
pub(crate) struct Counts(Cache<[u8; 32], u32>);

impl Counts {
    pub(crate) fn new() -> Self {
        Self(Cache::new(1 << 14))
    }

    pub(crate) fn count(&self, text: &str, counter: &dyn TokenCounter) -> usize {
        if text.len() < 256 {
            return counter.count(text);
        }
        let key = *blake3::hash(text.as_bytes()).as_bytes();
        let count = || u32::try_from(counter.count(text)).unwrap_or(u32::MAX);
        let known = self.0.get_or_insert_with(&key, || Ok::<_, std::convert::Infallible>(count()));
        known.map_or(0, |count| count as usize)
    }
}

/// A conversation as the cut sees it: its messages' tokens as they go out, its units, and the tokens
/// of system prompt and tools, which may go out otherwise than the client wrote them.
pub(crate) fn measure(
    body: &str,
    conversation: &Conversation,
    dynamic: &Dynamic,
    tools: Option<&str>,
    blocks: &[BlockReport],
    counts: &Counts,
    counter: &dyn TokenCounter,
) -> (Vec<Entry>, Vec<Unit>, usize) {
    let text = |text: &Str| match dynamic.aligned(text) {
        // Values that change move no cut.
        Some(aligned) => counts.count(aligned, counter),
        None => text.decode(body).map_or(0, |text| counts.count(&text, counter)),
    };
    let raw = |span: std::ops::Range<usize>| counts.count(&body[span], counter);
    let mut reports = blocks.iter().peekable();
    let mut entries = Vec::with_capacity(conversation.messages.len());
    for (at, message) in conversation.messages.iter().enumerate() {
        let mut tokens = AROUND;
        for (block_at, block) in message.blocks.iter().enumerate() {
            tokens += AROUND;
            tokens += match &block.kind {
                BlockKind::Text(said) | BlockKind::Call { arguments: Arguments::Text(said), .. } => {
                    text(said)
                }
                BlockKind::Call { .. } | BlockKind::Thinking => raw(block.span.clone()),
                BlockKind::Result { texts, .. } => {
                    let mut sum = 0;
                    for part in texts {
                        let here = |report: &&BlockReport| (report.message, report.block) == (at, block_at);
                        let report = reports.next_if(here).filter(|report| report.tokens_in > 0);
                        sum += report.map_or_else(|| text(part), |report| report.tokens_out);
                    }
                    // What a result holds beside texts.
                    if texts.is_empty() { opaque(&block.span) } else { sum }
                }
                BlockKind::Other => opaque(&block.span),
            };
        }
        entries.push(Entry { tokens, assistant: message.role == Role::Assistant });
    }
    let system: usize = conversation.system.iter().map(text).sum();
    let listed = || conversation.tools.as_ref().map_or(0, |tools| raw(tools.span.clone()));
    let tools = tools.map_or_else(listed, |tools| counts.count(tools, counter));
    (entries, units(body, &conversation.messages), system + tools)
}

fn opaque(span: &std::ops::Range<usize>) -> usize {
    (span.len() / 4).min(OPAQUE)
}

/// Every assistant message with calls whose results, all of them and nothing else, follow it.
fn units(body: &str, messages: &[Arc<Message>]) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut at = 0;
    while at < messages.len() {
        match unit(body, messages, at) {
            Some(unit) => {
                at = unit.messages.end;
                units.push(unit);
            }
            None => at += 1,
        }
    }
    units
}

fn unit(body: &str, messages: &[Arc<Message>], at: usize) -> Option<Unit> {
    let assistant = messages.get(at).filter(|message| message.role == Role::Assistant)?;
    let mut open: Vec<&str> = Vec::new();
    let mut sign = Sign::default();
    for block in &assistant.blocks {
        match &block.kind {
            BlockKind::Call { id, name, arguments } => {
                open.push(id.as_ref()?.raw(body));
                sign.decision |= name.as_ref().is_some_and(|name| changes(name.raw(body)));
                subjects(arguments_text(body, arguments), &mut sign);
            }
            BlockKind::Text(text) => subjects(text.raw(body), &mut sign),
            BlockKind::Thinking => {}
            BlockKind::Result { .. } | BlockKind::Other => return None,
        }
    }
    if open.is_empty() {
        return None;
    }
    let mut end = at + 1;
    while !open.is_empty() {
        let message = messages.get(end)?;
        for block in &message.blocks {
            let BlockKind::Result { call, is_error, .. } = &block.kind else { return None };
            let answered = call.as_ref()?.raw(body);
            open.swap_remove(open.iter().position(|id| *id == answered)?);
            sign.error |= is_error;
        }
        end += 1;
    }
    Some(Unit { messages: at..end, sign })
}

fn arguments_text<'a>(body: &'a str, arguments: &Arguments) -> &'a str {
    match arguments {
        Arguments::None => "",
        Arguments::Value(span) => &body[span.clone()],
        Arguments::Text(text) => text.raw(body),
    }
}

fn subjects(text: &str, sign: &mut Sign) {
    let text = &text[..text.floor_char_boundary(4096)];
    terms(text, &mut |term| {
        let known = sign.subjects.iter().any(|subject| subject == term);
        if sign.subjects.len() < SUBJECTS && is_subject(term) && !known {
            sign.subjects.push(term.to_owned());
        }
    });
}
