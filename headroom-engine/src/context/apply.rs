//! A plan as edits: messages leave, one marker stands for them.

use std::ops::Range;

use super::Plan;
use crate::{
    ccr::{Handle, HandleKey, Marker, Unit},
    wire::{BlockKind, Conversation, Dialect, Role, splice::Edit, text::Str},
};

/// What the handle of messages is hashed with.
pub(crate) const KIND: &str = "messages";

/// Where the marker is written.
#[derive(Debug, PartialEq, Eq)]
enum Anchor {
    /// Inside a string literal, before its closing quote.
    Inside(Str),
    /// Behind the last part of an array of parts.
    Behind(usize),
}

/// Messages on their way out of a request.
#[derive(Debug)]
pub(crate) struct Cut {
    /// Runs of messages that leave, each with the white space and comma behind it.
    gaps: Vec<Range<usize>>,
    /// Thinking that was bound to what has left, each with the comma beside it.
    unbound: Vec<Range<usize>>,
    /// Messages whose thinking was bound to what has left.
    moved: Range<usize>,
    anchor: Anchor,
    marker: Marker,
    handle: Handle,
    parts: Vec<Range<usize>>,
}

impl Cut {
    /// The cut that `plan` asks for; `None` if the marker has no place. With `binds`, thinking in
    /// front of the place where the cut last moved leaves too: it was bound to the longer prefix.
    pub(crate) fn new(
        dialect: Dialect,
        body: &str,
        conversation: &Conversation,
        plan: &Plan,
        binds: bool,
        key: &HandleKey,
    ) -> Option<Self> {
        // Elsewhere a message is no element of one array, or has no place for a marker.
        if !matches!(dialect, Dialect::AnthropicMessages | Dialect::OpenAiChat) {
            return None;
        }
        let first = *plan.dropped.first()?;
        let messages = &conversation.messages;
        let mut gaps: Vec<Range<usize>> = Vec::new();
        let mut parts = Vec::new();
        for at in &plan.dropped {
            let span = messages.get(*at)?.span.clone();
            let gap = span.start..messages.get(at + 1)?.span.start;
            parts.push(span);
            match gaps.last_mut().filter(|before| before.end == gap.start) {
                Some(before) => before.end = gap.end,
                None => gaps.push(gap),
            }
        }
        let anchor = anchor(body, conversation, first.checked_sub(1)?)?;
        let mut unbound = Vec::new();
        if binds {
            let kept = (first..plan.moved_at).filter(|at| plan.dropped.binary_search(at).is_err());
            for message in kept.filter_map(|at| messages.get(at)) {
                unbound.extend(thinking(message)?);
            }
        }
        let moved = if binds { first..plan.moved_at } else { 0..0 };
        let handle = Handle::new(key, KIND, &text_of(body, &parts));
        let note = "earlier calls and results";
        let marker = Marker::new(Unit::Items, 1, parts.len(), note, Some(handle));
        Some(Self { gaps, unbound, moved, anchor, marker, handle, parts })
    }

    pub(crate) fn handle(&self) -> Handle {
        self.handle
    }

    /// The messages behind which hidden exchanges stay forgotten: the thinking in them was bound to
    /// what has left, as was that of the messages.
    pub(crate) fn forgotten(&self) -> Range<usize> {
        self.moved.clone()
    }

    /// The messages that leave, as they stand in the body.
    pub(crate) fn into_parts(self) -> Vec<Range<usize>> {
        self.parts
    }

    /// `edits` of what stays, and those of the cut.
    pub(crate) fn edits(&self, edits: Vec<Edit>) -> Vec<Edit> {
        let gone = |span: &Range<usize>| {
            let inside = |gap: &Range<usize>| gap.start <= span.start && span.end <= gap.end;
            // An insertion at the edge of a gap belongs to what stays beside it.
            let edge =
                |gap: &Range<usize>| span.is_empty() && (span.start == gap.start || span.end == gap.end);
            self.gaps.iter().chain(&self.unbound).any(|gap| inside(gap) && !edge(gap))
        };
        let mut edits: Vec<Edit> = edits.into_iter().filter(|edit| !gone(&edit.span)).collect();
        match &self.anchor {
            Anchor::Inside(text) => {
                let marker = format!("\\n\\n{}", self.marker);
                match edits.iter_mut().find(|edit| edit.span == text.range) {
                    Some(edit) => {
                        let mut text = edit.text.to_string();
                        text.insert_str(text.len().saturating_sub(1), &marker);
                        edit.text = text.into();
                    }
                    None => {
                        let at = text.range.end - 1;
                        edits.push(Edit { span: at..at, text: marker.into() });
                    }
                }
            }
            Anchor::Behind(at) => {
                let text = format!(",{{\"type\":\"text\",\"text\":\"{}\"}}", self.marker);
                edits.push(Edit { span: *at..*at, text: text.into() });
            }
        }
        let leave = |span: &Range<usize>| Edit { span: span.clone(), text: "".into() };
        edits.extend(self.gaps.iter().chain(&self.unbound).map(leave));
        edits
    }
}

/// The original that the marker redeems: the messages as a JSON array, each byte for byte.
pub(crate) fn text_of(body: &str, parts: &[Range<usize>]) -> String {
    let mut text = String::from("[");
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            text.push_str(",\n");
        }
        text.push_str(body.get(part.clone()).unwrap_or_default());
    }
    text.push(']');
    text
}

/// The place for a marker in a message that stays: only a user's, or a tool's.
fn anchor(body: &str, conversation: &Conversation, message: usize) -> Option<Anchor> {
    let message = conversation.messages.get(message)?;
    if !matches!(message.role, Role::User | Role::Tool) {
        return None;
    }
    let last = message.blocks.last()?;
    let content = &body[message.span.clone()];
    match &last.kind {
        // Content that is a string is one block, whose text is the whole of it.
        BlockKind::Text(text) if last.span == text.range => Some(Anchor::Inside(text.clone())),
        BlockKind::Result { texts, .. } if message.role == Role::Tool => match texts.as_slice() {
            [text] => Some(Anchor::Inside(text.clone())),
            _ => None,
        },
        _ if content.starts_with('{') && last.span.end < message.span.end => {
            Some(Anchor::Behind(last.span.end))
        }
        _ => None,
    }
}

/// The thinking blocks of a message, each with one comma; `None` if nothing else would be left.
fn thinking(message: &crate::wire::Message) -> Option<Vec<Range<usize>>> {
    let blocks = &message.blocks;
    let thinks = |at: usize| matches!(blocks[at].kind, BlockKind::Thinking);
    let mut spans = Vec::new();
    let Some(first_kept) = (0..blocks.len()).find(|at| !thinks(*at)) else {
        return blocks.is_empty().then_some(spans);
    };
    for at in (0..blocks.len()).filter(|at| thinks(*at)) {
        // In front of what stays the comma behind leaves with it, else the one before.
        spans.push(if at < first_kept {
            blocks[at].span.start..blocks[at + 1].span.start
        } else {
            blocks[at - 1].span.end..blocks[at].span.end
        });
    }
    Some(spans)
}
