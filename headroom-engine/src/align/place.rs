//! Where a note may stand in a message, and in what form.

use crate::wire::{
    BlockKind, Conversation, Dialect, Role,
    splice::Edit,
    text::{Str, quote},
};

/// Behind what a user said or a tool returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A text block behind the last one, at this offset.
    Block(usize),
    /// The content is a string: it becomes a block, and the note a second one, whose keys stand the
    /// other way round to tell so.
    Wrap(Str),
    /// Inside the string, before its closing quote.
    Inside(usize),
    /// A message of its own behind the tool's.
    Message(usize),
}

/// Where in message `at` a note may stand; `None` if nowhere.
pub(super) fn place(dialect: Dialect, body: &str, conversation: &Conversation, at: usize) -> Option<Place> {
    let message = conversation.messages.get(at)?;
    let last = message.blocks.last()?;
    match (dialect, message.role) {
        (_, Role::User) => match &last.kind {
            BlockKind::Text(text) if text.range == last.span => {
                let short = !text.longer_than(64, body);
                let blank = short && text.decode(body).is_none_or(|text| text.trim().is_empty());
                let place = match dialect {
                    Dialect::AnthropicMessages => Place::Wrap(text.clone()),
                    Dialect::OpenAiChat => Place::Inside(text.range.end - 1),
                };
                (!blank).then_some(place)
            }
            _ => Some(Place::Block(last.span.end)),
        },
        // All calls are answered only behind the last of the results.
        (Dialect::OpenAiChat, Role::Tool) => {
            let more = conversation.messages.get(at + 1).is_some_and(|next| next.role == Role::Tool);
            (!more).then_some(Place::Message(message.span.end))
        }
        _ => None,
    }
}

impl Place {
    /// The edits that put `note` there.
    pub(super) fn edits(&self, dialect: Dialect, note: &str) -> Vec<Edit> {
        let insert = |at: usize, text: String| Edit { span: at..at, text };
        // Texts of one message flow into one another.
        let apart = |gap: &str| {
            let mut literal = String::new();
            quote(&format!("{gap}{note}"), &mut literal);
            literal
        };
        match self {
            Self::Block(at) => {
                let gap = if dialect == Dialect::OpenAiChat { "\n\n" } else { "" };
                vec![insert(*at, format!(",{{\"type\":\"text\",\"text\":{}}}", apart(gap)))]
            }
            Self::Wrap(text) => vec![
                insert(text.range.start, "[{\"type\":\"text\",\"text\":".into()),
                insert(text.range.end, format!("}},{{\"text\":{},\"type\":\"text\"}}]", apart(""))),
            ],
            Self::Inside(at) => {
                let literal = apart("\n\n");
                vec![insert(*at, literal[1..literal.len() - 1].to_owned())]
            }
            Self::Message(at) => {
                vec![insert(*at, format!(",{{\"role\":\"user\",\"content\":{}}}", apart("")))]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::wire::{self, splice::Splice};

    fn put(dialect: Dialect, content: &str, at: usize) -> Option<String> {
        let body = format!("{{\"messages\":[{content}]}}");
        let conversation = wire::read(dialect, &body).unwrap();
        let edits = place(dialect, &body, &conversation, at)?.edits(dialect, "[id: \"x\"]");
        let out = Splice::new(edits, body.len()).unwrap().apply(&Bytes::from(body.clone()));
        let out = String::from_utf8(out.to_vec()).unwrap();
        Some(out[13..out.len() - 2].to_owned())
    }

    #[test]
    fn in_the_form_of_each_dialect() {
        use Dialect::{AnthropicMessages as A, OpenAiChat as O};
        let text = r#"{"role":"user","content":"hi\n"}"#;
        assert_eq!(
            put(A, text, 0).unwrap(),
            r#"{"role":"user","content":[{"type":"text","text":"hi\n"},{"text":"[id: \"x\"]","type":"text"}]}"#
        );
        assert_eq!(put(O, text, 0).unwrap(), r#"{"role":"user","content":"hi\n\n\n[id: \"x\"]"}"#);
        let blocks = r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"x"} ]}"#;
        assert_eq!(
            put(A, blocks, 0).unwrap(),
            r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"x"},{"type":"text","text":"[id: \"x\"]"} ]}"#
        );
        let tools = r#"{"role":"tool","tool_call_id":"a","content":"x"},{"role":"tool","tool_call_id":"b","content":"y"}"#;
        assert_eq!(put(O, tools, 0), None, "the second call is not answered yet");
        assert_eq!(
            put(O, tools, 1).unwrap(),
            format!("{tools},{}", r#"{"role":"user","content":"[id: \"x\"]"}"#)
        );
    }

    #[test]
    fn nowhere_else() {
        for dialect in [Dialect::AnthropicMessages, Dialect::OpenAiChat] {
            for message in [
                r#"{"role":"assistant","content":"a"}"#,
                r#"{"role":"system","content":"a"}"#,
                r#"{"role":"user","content":" "}"#,
                r#"{"role":"user","content":[]}"#,
                r#"{"role":"user"}"#,
                r#"{"role":"user","role":"user","content":"a"}"#,
            ] {
                assert_eq!(put(dialect, message, 0), None, "{message}");
            }
        }
    }
}
