//! Where a note may stand: right behind what a user said or a tool returned.
//!
//! Where providers read adjacent messages of one role as one, it is a message of its own, so that the
//! client's own stay as they are; where roles must alternate, or the number of a turn's parts is
//! looked at by their kind, it is a further part of the message.

use std::ops::Range;

use crate::wire::{BlockKind, Conversation, Dialect, Message, Role, splice::Edit, text::quote};

/// How a note stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// As a message behind the one that ends here.
    Message { end: usize, role: &'static str },
    /// As a part behind the one that ends here.
    Part { end: usize },
    /// Behind words that are all of the input, in a string: they become a message first.
    Words(Range<usize>),
}

/// Where a note may stand behind message `at`; `None` if nowhere.
pub(super) fn place(dialect: Dialect, conversation: &Conversation, at: usize) -> Option<Place> {
    let message = conversation.messages.get(at)?;
    // Nothing stands between the results of one turn.
    if conversation.messages.get(at + 1).is_some_and(|next| returns(next)) {
        return None;
    }
    let end = message.span.end;
    let last = message.blocks.last();
    match (dialect, message.role) {
        (Dialect::AnthropicMessages | Dialect::OpenAiChat, Role::User) => {
            last.map(|_| Place::Message { end, role: "user" })
        }
        (Dialect::OpenAiChat, Role::Tool) => Some(Place::Message { end, role: "user" }),
        (Dialect::OpenAiResponses, Role::User) if message.span == conversation.messages_span => {
            Some(Place::Words(message.span.clone()))
        }
        (Dialect::OpenAiResponses, Role::User) => last.map(|_| Place::Message { end, role: "user" }),
        // A user's words would end the turn that the model's reasoning is kept for.
        (Dialect::OpenAiResponses, Role::Tool) => Some(Place::Message { end, role: "developer" }),
        (Dialect::Gemini, Role::User) => last.map(|last| Place::Part { end: last.span.end }),
        // Roles must alternate. Cache points are no blocks, and stay behind it.
        #[cfg(feature = "bedrock")]
        (Dialect::BedrockConverse, Role::User) => last.map(|last| Place::Part { end: last.span.end }),
        _ => None,
    }
}

/// The place for a note where nobody has spoken yet, and the prompt alone is asked to answer.
pub(super) fn behind_prompt(dialect: Dialect, conversation: &Conversation) -> Option<Place> {
    let last = conversation.messages.last()?;
    let flat = matches!(dialect, Dialect::OpenAiChat | Dialect::OpenAiResponses);
    flat.then_some(Place::Message { end: last.span.end, role: "user" })
}

/// Whether a message begins with a tool's result.
fn returns(message: &Message) -> bool {
    message.blocks.first().is_some_and(|block| matches!(block.kind, BlockKind::Result { .. }))
}

impl Place {
    /// Puts `note` there.
    pub(super) fn edits(&self, note: &str) -> Vec<Edit> {
        let insert = |at: usize, text: String| Edit { span: at..at, text: text.into() };
        let mut quoted = String::new();
        quote(note, &mut quoted);
        match self {
            Self::Message { end, role } => {
                vec![insert(*end, format!(",{{\"role\":\"{role}\",\"content\":{quoted}}}"))]
            }
            Self::Part { end } => vec![insert(*end, format!(",{{\"text\":{quoted}}}"))],
            Self::Words(span) => vec![
                insert(span.start, "[{\"role\":\"user\",\"content\":".to_owned()),
                insert(span.end, format!("}},{{\"role\":\"user\",\"content\":{quoted}}}]")),
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::wire::{self, splice::Splice};

    fn list(dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::OpenAiResponses => "input",
            Dialect::Gemini => "contents",
            _ => "messages",
        }
    }

    fn put(dialect: Dialect, messages: &str, at: usize) -> Option<String> {
        let front = format!("{{\"{}\":", list(dialect));
        let body = format!("{front}{messages}}}");
        let conversation = wire::read(dialect, &body).unwrap();
        let edits = place(dialect, &conversation, at)?.edits("[id: \"x\"]");
        let out = Splice::new(edits, body.len()).unwrap().apply(&Bytes::from(body));
        let out = String::from_utf8(out.to_vec()).unwrap();
        wire::read(dialect, &out).unwrap();
        Some(out[front.len()..out.len() - 1].to_owned())
    }

    #[test]
    fn behind_words_and_behind_the_last_result() {
        use Dialect::{AnthropicMessages as A, OpenAiChat as O, OpenAiResponses as R};
        let note = |role: &str| format!(r#"{{"role":"{role}","content":"[id: \"x\"]"}}"#);
        let words = r#"{"role":"user","content":"hi\n"}"#;
        let result = r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":"x"} ]}"#;
        let tool = r#"{"role":"tool","tool_call_id":"a","content":"x"}"#;
        let output = r#"{"type":"function_call_output","call_id":"a","output":"x"}"#;
        for (dialect, message, role) in [
            (A, words, "user"),
            (O, words, "user"),
            (R, words, "user"),
            (A, result, "user"),
            (O, tool, "user"),
            (R, output, "developer"),
        ] {
            let note = note(role);
            assert_eq!(put(dialect, &format!("[{message}]"), 0), Some(format!("[{message},{note}]")));
            let followed = format!("[{message},{words}]");
            assert_eq!(put(dialect, &followed, 0), Some(format!("[{message},{note},{words}]")));
        }
        for (dialect, message) in [(A, result), (O, tool)] {
            let two = format!("[{message},{message}]");
            assert_eq!(put(dialect, &two, 0), None, "the second call is not answered yet");
            assert_eq!(put(dialect, &two, 1), Some(format!("[{message},{message},{}]", note("user"))));
        }
        // Neighbouring outputs are one.
        let two = format!("[{output},{output}]");
        assert_eq!(put(R, &two, 0), Some(format!("[{output},{output},{}]", note("developer"))));
        assert_eq!(
            put(R, r#""hi""#, 0),
            Some(format!(r#"[{{"role":"user","content":"hi"}},{}]"#, note("user"))),
            "words alone become a message"
        );
    }

    #[test]
    fn as_a_part_where_roles_alternate() {
        let note = r#",{"text":"[id: \"x\"]"}"#;
        let said = |dialect: Dialect, parts: &str| match dialect {
            Dialect::Gemini => format!(r#"[{{"role":"user","parts":[{parts}]}}]"#),
            _ => format!(r#"[{{"role":"user","content":[{parts}]}}]"#),
        };
        let both = |dialect: Dialect, parts: &str, behind: &str| {
            let expected = said(dialect, &format!("{parts}{note}{behind}"));
            assert_eq!(put(dialect, &said(dialect, &format!("{parts}{behind}")), 0), Some(expected));
        };
        both(Dialect::Gemini, r#"{"text":"hi"}"#, " ");
        both(Dialect::Gemini, r#"{"functionResponse":{"name":"f","response":{"output":"x"}}}"#, "");
        assert_eq!(put(Dialect::Gemini, r#"[{"role":"model","parts":[{"text":"a"}]}]"#, 0), None);
        #[cfg(feature = "bedrock")]
        {
            let point = r#", {"cachePoint":{"type":"default"}}"#;
            both(Dialect::BedrockConverse, r#"{"text":"hi"}"#, point);
            let result = r#"{"toolResult":{"toolUseId":"t","content":[{"text":"x"}]}}"#;
            both(Dialect::BedrockConverse, result, "");
            assert_eq!(put(Dialect::BedrockConverse, r#"[{"role":"user","content":[]}]"#, 0), None);
        }
    }

    #[test]
    fn nowhere_else() {
        for dialect in [Dialect::AnthropicMessages, Dialect::OpenAiChat, Dialect::OpenAiResponses] {
            for message in [
                r#"{"role":"assistant","content":"a"}"#,
                r#"{"role":"system","content":"a"}"#,
                r#"{"role":"user","content":[]}"#,
                r#"{"role":"user"}"#,
                r#"{"role":"user","role":"user","content":"a"}"#,
            ] {
                assert_eq!(put(dialect, &format!("[{message}]"), 0), None, "{message}");
            }
        }
    }
}
