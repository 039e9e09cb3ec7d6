//! Where a note may stand: in a user's message of its own, right behind what a user said or a tool
//! returned. Providers read adjacent messages of one role as one, so the client's own stay as they
//! are.

use crate::wire::{BlockKind, Conversation, Dialect, Message, Role, splice::Edit, text::quote};

/// The offset behind message `at` where a note may stand; `None` if nowhere.
pub(super) fn place(dialect: Dialect, conversation: &Conversation, at: usize) -> Option<usize> {
    let message = conversation.messages.get(at)?;
    let next = conversation.messages.get(at + 1);
    let speaks = match (dialect, message.role) {
        (Dialect::AnthropicMessages | Dialect::OpenAiChat, Role::User) => !message.blocks.is_empty(),
        (Dialect::OpenAiChat, Role::Tool) => true,
        _ => false,
    };
    // Nothing stands between the results of one turn.
    (speaks && !next.is_some_and(returns)).then_some(message.span.end)
}

/// Whether a message begins with a tool's result.
fn returns(message: &Message) -> bool {
    message.blocks.first().is_some_and(|block| matches!(block.kind, BlockKind::Result { .. }))
}

/// Puts `note` there.
pub(super) fn edit(at: usize, note: &str) -> Edit {
    let mut text = String::from(",{\"role\":\"user\",\"content\":");
    quote(note, &mut text);
    text.push('}');
    Edit { span: at..at, text }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::wire::{self, splice::Splice};

    fn put(dialect: Dialect, messages: &str, at: usize) -> Option<String> {
        let body = format!("{{\"messages\":[{messages}]}}");
        let conversation = wire::read(dialect, &body).unwrap();
        let edit = edit(place(dialect, &conversation, at)?, "[id: \"x\"]");
        let out = Splice::new(vec![edit], body.len()).unwrap().apply(&Bytes::from(body));
        let out = String::from_utf8(out.to_vec()).unwrap();
        Some(out[13..out.len() - 2].to_owned())
    }

    #[test]
    fn behind_words_and_behind_the_last_result() {
        use Dialect::{AnthropicMessages as A, OpenAiChat as O};
        let note = r#"{"role":"user","content":"[id: \"x\"]"}"#;
        let words = r#"{"role":"user","content":"hi\n"}"#;
        let result = r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"x"} ]}"#;
        let tool = r#"{"role":"tool","tool_call_id":"a","content":"x"}"#;
        for (dialect, message) in [(A, words), (O, words), (A, result), (O, tool)] {
            assert_eq!(put(dialect, message, 0), Some(format!("{message},{note}")));
            assert_eq!(
                put(dialect, &format!("{message},{words}"), 0),
                Some(format!("{message},{note},{words}"))
            );
        }
        for (dialect, message) in [(A, result), (O, tool)] {
            let two = format!("{message},{message}");
            assert_eq!(put(dialect, &two, 0), None, "the second call is not answered yet");
            assert_eq!(put(dialect, &two, 1), Some(format!("{two},{note}")));
        }
    }

    #[test]
    fn nowhere_else() {
        for dialect in [Dialect::AnthropicMessages, Dialect::OpenAiChat] {
            for message in [
                r#"{"role":"assistant","content":"a"}"#,
                r#"{"role":"system","content":"a"}"#,
                r#"{"role":"user","content":[]}"#,
                r#"{"role":"user"}"#,
                r#"{"role":"user","role":"user","content":"a"}"#,
            ] {
                assert_eq!(put(dialect, message, 0), None, "{message}");
            }
        }
    }
}
