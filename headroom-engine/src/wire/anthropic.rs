//! Anthropic Messages: `POST /v1/messages`.

use std::sync::Arc;

use super::{
    Arguments, Block, BlockKind, Conversation, Message, Role, array_or_skip, object_or_skip, once,
    scan::{ScanError, Scanner},
    text::Str,
    top::{self, Top},
};

type Result<T> = std::result::Result<T, ScanError>;

pub(super) fn read(mut scanner: Scanner<'_>) -> Result<Conversation> {
    let body = scanner.body();
    let mut top = Top::default();
    let root = scanner.object(|scanner, key| match key {
        "model" => top.model(scanner),
        "stream" => top.stream(scanner),
        "system" => {
            let found = system_texts(scanner)?;
            once(&mut top.system, scanner, found)
        }
        "tools" => {
            let found = top::tools(scanner, |scanner| top::tool(scanner, top::pass))?;
            top.tools(scanner, found)
        }
        "tool_choice" => {
            let kind = kind_of(scanner)?;
            top.choice(scanner, !matches!(kind.as_deref(), Some("none" | "tool")))
        }
        "thinking" => {
            let kind = kind_of(scanner)?;
            once(&mut top.thinking, scanner, kind.is_some_and(|kind| kind != "disabled"))
        }
        // A thread: the provider keeps the conversation, and later requests hold only what is new.
        "thread" => {
            let span = scanner.skip()?;
            top.stateful |= &body[span] != "null";
            Ok(())
        }
        "messages" => {
            let found = read_messages(scanner)?;
            top.messages(scanner, found)
        }
        _ => scanner.skip().map(drop),
    })?;
    scanner.end()?;
    top.conversation(root, "`messages` is missing")
}

/// The `type` of an object.
pub(super) fn kind_of(scanner: &mut Scanner<'_>) -> Result<Option<String>> {
    let mut kind = None;
    object_or_skip(scanner, |scanner, key| {
        if key != "type" {
            return scanner.skip().map(drop);
        }
        let found = scanner.string_or_skip()?;
        kind = found.and_then(|found| found.decode(scanner.body()).map(Into::into));
        Ok(())
    })?;
    Ok(kind)
}

/// `system` is a string or an array of text blocks.
fn system_texts(scanner: &mut Scanner<'_>) -> Result<Vec<Str>> {
    let mut texts = Vec::new();
    if scanner.peek() == b'"' {
        texts.push(scanner.string()?);
        return Ok(texts);
    }
    array_or_skip(scanner, |scanner| {
        let block = read_block(scanner)?;
        if let BlockKind::Text(text) = block.kind {
            texts.push(text);
        }
        Ok(())
    })?;
    Ok(texts)
}

fn read_messages(scanner: &mut Scanner<'_>) -> Result<(Vec<Arc<Message>>, std::ops::Range<usize>)> {
    top::messages(scanner, |scanner, messages| {
        let (mut role, mut content, mut ambiguous) = (None, None, false);
        let span = scanner.object(|scanner, key| {
            match key {
                "role" => ambiguous |= role.replace(top::role(scanner)?).is_some(),
                "content" => ambiguous |= content.replace(read_content(scanner)?).is_some(),
                _ => scanner.skip().map(|_| ())?,
            }
            Ok(())
        })?;
        if ambiguous {
            messages.push(Message::opaque(span).into());
            return Ok(());
        }
        let (role, blocks) = (role.unwrap_or(Role::Other), content.unwrap_or_default());
        messages.push(Message { span, role, blocks }.into());
        Ok(())
    })
}

fn read_content(scanner: &mut Scanner<'_>) -> Result<Vec<Block>> {
    if scanner.peek() == b'"' {
        let text = scanner.string()?;
        let block = Block { span: text.range.clone(), kind: BlockKind::Text(text) };
        return Ok(vec![block]);
    }
    let mut blocks = Vec::new();
    array_or_skip(scanner, |scanner| {
        blocks.push(read_block(scanner)?);
        Ok(())
    })?;
    Ok(blocks)
}

/// The fields of a block that say where things stand. A field given twice makes it [`BlockKind::Other`].
#[derive(Default)]
struct Fields {
    kind: Option<Option<Str>>,
    text: Option<Option<Str>>,
    id: Option<Option<Str>>,
    name: Option<Option<Str>>,
    input: Option<std::ops::Range<usize>>,
    call: Option<Option<Str>>,
    is_error: Option<bool>,
    texts: Option<Vec<Str>>,
    ambiguous: bool,
}

impl Fields {
    fn read(&mut self, scanner: &mut Scanner<'_>, key: &str) -> Result<()> {
        self.ambiguous |= match key {
            "type" => self.kind.replace(scanner.string_or_skip()?).is_some(),
            "text" => self.text.replace(scanner.string_or_skip()?).is_some(),
            "id" => self.id.replace(scanner.string_or_skip()?).is_some(),
            "name" => self.name.replace(scanner.string_or_skip()?).is_some(),
            "input" => self.input.replace(scanner.skip()?).is_some(),
            "tool_use_id" => self.call.replace(scanner.string_or_skip()?).is_some(),
            "is_error" => {
                let span = scanner.skip()?;
                self.is_error.replace(&scanner.body()[span] == "true").is_some()
            }
            "content" => self.texts.replace(result_texts(scanner)?).is_some(),
            _ => {
                scanner.skip()?;
                false
            }
        };
        Ok(())
    }

    fn into_kind(self, body: &str) -> BlockKind {
        let kind = self.kind.flatten();
        let kind = kind.as_ref().and_then(|kind| kind.decode(body));
        match kind.as_deref() {
            _ if self.ambiguous => BlockKind::Other,
            Some("text") => self.text.flatten().map_or(BlockKind::Other, BlockKind::Text),
            Some("tool_use") => BlockKind::Call {
                id: self.id.flatten(),
                name: self.name.flatten(),
                arguments: self.input.map_or(Arguments::None, Arguments::Value),
            },
            Some("tool_result") => BlockKind::Result {
                call: self.call.flatten(),
                is_error: self.is_error.unwrap_or(false),
                texts: self.texts.unwrap_or_default(),
            },
            Some("thinking" | "redacted_thinking") => BlockKind::Thinking,
            _ => BlockKind::Other,
        }
    }
}

fn read_block(scanner: &mut Scanner<'_>) -> Result<Block> {
    let mut fields = Fields::default();
    let span = object_or_skip(scanner, |scanner, key| fields.read(scanner, key))?;
    Ok(Block { span, kind: fields.into_kind(scanner.body()) })
}

/// The texts of a tool result: its string content, or its text parts and documents of text. What may
/// be cited is cited by its characters, and stays.
fn result_texts(scanner: &mut Scanner<'_>) -> Result<Vec<Str>> {
    let mut texts = Vec::new();
    if scanner.peek() == b'"' {
        texts.push(scanner.string()?);
        return Ok(texts);
    }
    array_or_skip(scanner, |scanner| {
        let (mut kind, mut text, mut document): (Option<Option<Str>>, _, _) = (None, None, None);
        let (mut ambiguous, mut cited) = (false, false);
        object_or_skip(scanner, |scanner, key| {
            match key {
                "type" => ambiguous |= kind.replace(scanner.string_or_skip()?).is_some(),
                "text" => ambiguous |= text.replace(scanner.string_or_skip()?).is_some(),
                "source" => ambiguous |= document.replace(source_text(scanner)?).is_some(),
                "citations" => {
                    cited = true;
                    scanner.skip().map(drop)?;
                }
                _ => scanner.skip().map(drop)?,
            }
            Ok(())
        })?;
        let kind = kind.flatten();
        texts.extend(match kind.as_ref().map(|kind| kind.raw(scanner.body())) {
            _ if ambiguous => None,
            Some("text") => text.flatten(),
            Some("document") if !cited => document.flatten(),
            _ => None,
        });
        Ok(())
    })?;
    Ok(texts)
}

/// The text of a document's `source`, if it is text.
fn source_text(scanner: &mut Scanner<'_>) -> Result<Option<Str>> {
    let (mut kind, mut data, mut ambiguous): (Option<Option<Str>>, Option<Option<Str>>, _) =
        (None, None, false);
    object_or_skip(scanner, |scanner, key| {
        match key {
            "type" => ambiguous |= kind.replace(scanner.string_or_skip()?).is_some(),
            "data" => ambiguous |= data.replace(scanner.string_or_skip()?).is_some(),
            _ => scanner.skip().map(drop)?,
        }
        Ok(())
    })?;
    let is_text = !ambiguous && kind.flatten().is_some_and(|kind| kind.raw(scanner.body()) == "text");
    Ok(data.flatten().filter(|_| is_text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ToolChoice;

    fn read(body: &str) -> Result<Conversation> {
        super::read(Scanner::new(body))
    }

    #[test]
    fn every_shape_of_tool_results() {
        let body = r#"{"messages":[
            {"role":"user","content":"hi"},
            {"content":[{"type":"thinking","thinking":"x","signature":"y"},
                        {"input":{"a":1},"name":"mcp__fs__read","id":"t1","type":"tool_use"}],"role":"assistant"},
            {"role":"user","content":[
                {"tool_use_id":"t1","content":"plain","type":"tool_result","is_error":true},
                {"type":"tool_result","tool_use_id":"t2","content":[{"type":"text","text":"a"},{"type":"image"},{"text":"b","type":"text"}]},
                {"type":"tool_result","tool_use_id":"t3","content":[
                    {"type":"document","source":{"type":"text","media_type":"text/csv","data":"c"}},
                    {"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"no"}},
                    {"type":"document","citations":{"enabled":true},"source":{"type":"text","data":"no"}}]},
                {"type":"tool_result","tool_use_id":"t4","content":"x","content":"y"},
                {"type":"text","text":"and now"}]}],
            "system":[{"type":"text","text":"sys","cache_control":{}}],"stream":true,
            "thinking":{"type":"adaptive"},"tool_choice":{"type":"none"},
            "tools":[{"name":"read","description":"d"},7],"model":"claude"}"#;
        let read = read(body).unwrap();
        assert!(read.stream && read.thinking == Some(true) && read.tool_choice == ToolChoice::Forbidden);
        assert_eq!(read.system[0].raw(body), "sys");
        assert_eq!(read.tools.unwrap().items.len(), 2);
        assert_eq!(read.model.unwrap().raw(body), "claude");
        let last = &read.messages[2];
        let texts: Vec<Vec<&str>> = last
            .blocks
            .iter()
            .map(|block| match &block.kind {
                BlockKind::Result { texts, .. } => texts.iter().map(|text| text.raw(body)).collect(),
                BlockKind::Text(text) => vec![text.raw(body)],
                _ => vec!["other"],
            })
            .collect();
        assert_eq!(texts, [vec!["plain"], vec!["a", "b"], vec!["c"], vec!["other"], vec!["and now"]]);
        assert!(matches!(&last.blocks[0].kind, BlockKind::Result { is_error: true, .. }));
        assert!(matches!(&read.messages[1].blocks[1].kind,
            BlockKind::Call { arguments: Arguments::Value(span), .. } if &body[span.clone()] == "{\"a\":1}"));
    }

    #[test]
    fn ambiguous_bodies_are_refused() {
        for body in [r#"{"messages":[],"messages":[]}"#, r#"{"messages":{}}"#, r#"{"model":"x"}"#, r#"[]"#] {
            assert!(read(body).is_err(), "{body}");
        }
    }

    #[test]
    fn what_the_provider_may_keep_is_known() {
        for (thread, stateful) in [
            (r#"{"type":"create"}"#, true),
            (r#"{"type":"continue","previous_message_id":"msg_1"}"#, true),
            ("null", false),
        ] {
            let body = format!(r#"{{"messages":[],"thread":{thread}}}"#);
            assert_eq!(read(&body).unwrap().stateful, stateful, "{thread}");
        }
    }
}
