//! Which request a request continues, and whether we sent the same again: what a cache miss is
//! blamed by.

use crate::{
    ledger::LedgerKey,
    wire::{Conversation, Role, splice::Edit},
};

/// A request's place in its conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lineage {
    /// Where this request ends.
    pub here: Mark,
    /// Where the one before it ended, before the model's last turn; `None` for the first.
    pub before: Option<Mark>,
    /// A digest of the client's tools.
    pub tools: [u8; 32],
}

/// The end of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The conversation up to there, as the client told it.
    pub key: LedgerKey,
    /// A digest of everything that we changed up to there.
    pub ours: [u8; 32],
}

/// `keys` are those behind each message, `edits` in order of position.
pub(crate) fn lineage(
    body: &str,
    conversation: &Conversation,
    keys: &[LedgerKey],
    edits: &[Edit],
) -> Option<Lineage> {
    let messages = &conversation.messages;
    let last_turn = messages.iter().rposition(|message| message.role == Role::Assistant);
    let mark = |count: usize| {
        let at = count.checked_sub(1)?;
        let end = messages.get(at)?.span.end;
        Some(Mark { key: *keys.get(at)?, ours: ours(edits, conversation, end) })
    };
    let tools = conversation.tools.as_ref().map_or("", |tools| &body[tools.span.clone()]);
    Some(Lineage {
        here: mark(messages.len())?,
        before: last_turn.and_then(mark),
        tools: *blake3::hash(tools.as_bytes()).as_bytes(),
    })
}

/// The edits outside the messages, and those of messages up to `end`; without those that make the
/// client's tools what they were before.
fn ours(edits: &[Edit], conversation: &Conversation, end: usize) -> [u8; 32] {
    let messages = &conversation.messages_span;
    let tools = conversation.tools.as_ref().map_or(0..0, |tools| tools.span.clone());
    let steadies =
        |edit: &&Edit| !edit.span.is_empty() && tools.start <= edit.span.start && edit.span.end <= tools.end;
    let mut hasher = blake3::Hasher::new();
    let mine = edits.iter().filter(|edit| edit.span.end <= end || edit.span.start >= messages.end);
    for edit in mine.filter(|edit| !steadies(edit)) {
        hasher.update(&(edit.span.len() as u64).to_le_bytes()).update(&edit.text.digest());
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{self, Dialect};

    #[test]
    fn what_we_wrote_counts_up_to_there() {
        let body = r#"{"messages":[{"role":"user","content":"one"},{"role":"user","content":"two"}]}"#;
        let conversation = wire::read(Dialect::OpenAiChat, body).unwrap();
        let spans = conversation.messages.iter().map(|message| message.span.clone());
        let spans: Vec<_> = spans.collect();
        let edits = |texts: [&str; 2]| -> Vec<Edit> {
            let texts = texts.map(|text| text.to_owned().into());
            spans.iter().cloned().zip(texts).map(|(span, text)| Edit { span, text }).collect()
        };
        let at = |texts, end| ours(&edits(texts), &conversation, end);
        let (first, last) = (spans[0].end, spans[1].end);
        assert_ne!(at(["a", "b"], first), at(["c", "b"], first));
        assert_eq!(at(["a", "b"], first), at(["a", "c"], first));
        assert_ne!(at(["a", "b"], last), at(["a", "c"], last));
    }
}
