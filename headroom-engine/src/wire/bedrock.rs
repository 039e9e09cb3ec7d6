//! Bedrock Converse: `POST /model/{id}/converse` and `/converse-stream`.

use std::{ops::Range, sync::Arc};

use super::{
    Arguments, Block, BlockKind, Conversation, Message, Role, Tool, Tools, anthropic, array_or_skip,
    object_or_skip, once,
    scan::{ScanError, Scanner},
    text::Str,
    top::{self, Top},
};

type Result<T> = std::result::Result<T, ScanError>;

pub(super) fn read(mut scanner: Scanner<'_>) -> Result<Conversation> {
    let mut top = Top::default();
    let mut nested = None;
    let root = scanner.object(|scanner, key| {
        // Counting tokens wraps the request; InvokeModel's, in base64, is not read there.
        if key == "input" && scanner.peek() == b'{' {
            return scanner
                .object(|scanner, key| {
                    if key != "converse" {
                        return scanner.skip().map(drop);
                    }
                    let mut inner = Top::default();
                    let span = scanner.object(|scanner, key| read_field(&mut inner, scanner, key))?;
                    once(&mut nested, scanner, (inner, span))
                })
                .map(drop);
        }
        read_field(&mut top, scanner, key)
    })?;
    scanner.end()?;
    let (top, root) = nested.unwrap_or((top, root));
    top.conversation(root, "`messages` is missing")
}

fn read_field(top: &mut Top, scanner: &mut Scanner<'_>, key: &str) -> Result<()> {
    match key {
        "system" => {
            let mut texts = Vec::new();
            array_or_skip(scanner, |scanner| {
                if let Some(Block { kind: BlockKind::Text(text), .. }) = read_block(scanner)? {
                    texts.push(text);
                }
                Ok(())
            })?;
            once(&mut top.system, scanner, texts)
        }
        "toolConfig" => {
            let (mut tools, mut free, mut several) = (None, true, false);
            object_or_skip(scanner, |scanner, key| {
                match key {
                    "tools" => several |= tools.replace(read_tools(scanner)?).is_some(),
                    // Nothing forbids all calls; one tool may be all that is allowed.
                    "toolChoice" => {
                        object_or_skip(scanner, |scanner, key| {
                            free &= key != "tool";
                            scanner.skip().map(drop)
                        })?;
                    }
                    _ => scanner.skip().map(drop)?,
                }
                Ok(())
            })?;
            top.choice(scanner, free)?;
            top.tools(scanner, tools.flatten().filter(|_| !several))
        }
        "additionalModelRequestFields" => object_or_skip(scanner, |scanner, key| match key {
            "thinking" | "reasoning_config" => {
                let kind = anthropic::kind_of(scanner)?;
                once(&mut top.thinking, scanner, kind.is_some_and(|kind| kind != "disabled"))
            }
            _ => scanner.skip().map(drop),
        })
        .map(drop),
        // A stored prompt is put around what stands here.
        "promptVariables" => {
            let span = scanner.skip()?;
            top.stateful |= &scanner.body()[span] != "null";
            Ok(())
        }
        "messages" => {
            let found = read_messages(scanner)?;
            top.messages(scanner, found)
        }
        _ => scanner.skip().map(drop),
    }
}

/// Elements that are no tools, cache points above all, have no name.
fn read_tools(scanner: &mut Scanner<'_>) -> Result<Option<Tools>> {
    top::tools(scanner, |scanner| {
        let mut tool = Tool { name: None, description: None };
        object_or_skip(scanner, |scanner, key| {
            if key != "toolSpec" {
                return scanner.skip().map(drop);
            }
            tool = top::tool(scanner, top::pass)?;
            Ok(())
        })?;
        Ok(tool)
    })
}

fn read_messages(scanner: &mut Scanner<'_>) -> Result<(Vec<Arc<Message>>, Range<usize>)> {
    top::messages(scanner, |scanner, messages| {
        let (mut role, mut content, mut ambiguous) = (None, None, false);
        let span = scanner.object(|scanner, key| {
            match key {
                "role" => ambiguous |= role.replace(top::role(scanner)?).is_some(),
                "content" => {
                    let mut blocks = Vec::new();
                    array_or_skip(scanner, |scanner| {
                        blocks.extend(read_block(scanner)?);
                        Ok(())
                    })?;
                    ambiguous |= content.replace(blocks).is_some();
                }
                _ => scanner.skip().map(drop)?,
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

/// One block; `None` for a cache point, which says nothing and moves from turn to turn.
fn read_block(scanner: &mut Scanner<'_>) -> Result<Option<Block>> {
    let mut kind = None;
    let (mut members, mut point, mut ambiguous) = (0, false, false);
    let span = object_or_skip(scanner, |scanner, key| {
        members += 1;
        let found = match key {
            "text" => scanner.string_or_skip()?.map_or(BlockKind::Other, BlockKind::Text),
            "toolUse" => read_call(scanner, &mut ambiguous)?,
            "toolResult" => read_result(scanner, &mut ambiguous)?,
            "reasoningContent" => {
                scanner.skip()?;
                BlockKind::Thinking
            }
            _ => {
                point |= key == "cachePoint";
                return scanner.skip().map(drop);
            }
        };
        // It holds one kind of data; one that seems to hold two is nobody's.
        ambiguous |= kind.replace(found).is_some();
        Ok(())
    })?;
    if point && members == 1 {
        return Ok(None);
    }
    let kind = kind.filter(|_| !ambiguous).unwrap_or(BlockKind::Other);
    Ok(Some(Block { span, kind }))
}

fn read_call(scanner: &mut Scanner<'_>, twice: &mut bool) -> Result<BlockKind> {
    let (mut id, mut name, mut input) = (None, None, None);
    object_or_skip(scanner, |scanner, key| {
        *twice |= match key {
            "toolUseId" => id.replace(scanner.string_or_skip()?).is_some(),
            "name" => name.replace(scanner.string_or_skip()?).is_some(),
            "input" => input.replace(scanner.skip()?).is_some(),
            _ => {
                scanner.skip()?;
                false
            }
        };
        Ok(())
    })?;
    let arguments = input.map_or(Arguments::None, Arguments::Value);
    Ok(BlockKind::Call { id: id.flatten(), name: name.flatten(), arguments })
}

/// The texts of a result: its `text` parts, and of its `json` parts what holds text in an object, so
/// that they stay objects.
fn read_result(scanner: &mut Scanner<'_>, twice: &mut bool) -> Result<BlockKind> {
    let (mut call, mut status, mut texts) = (None, None, None);
    object_or_skip(scanner, |scanner, key| {
        *twice |= match key {
            "toolUseId" => call.replace(scanner.string_or_skip()?).is_some(),
            "status" => status.replace(scanner.string_or_skip()?).is_some(),
            "content" => {
                let mut found = Vec::new();
                array_or_skip(scanner, |scanner| {
                    found.extend(read_part(scanner)?);
                    Ok(())
                })?;
                texts.replace(found).is_some()
            }
            _ => {
                scanner.skip()?;
                false
            }
        };
        Ok(())
    })?;
    let is_error = status.flatten().is_some_and(|status: Str| status.raw(scanner.body()) == "error");
    Ok(BlockKind::Result { call: call.flatten(), is_error, texts: texts.unwrap_or_default() })
}

/// The texts of one part; none if readers may disagree about it.
fn read_part(scanner: &mut Scanner<'_>) -> Result<Vec<Str>> {
    let mut texts = Vec::new();
    let (mut kinds, mut ambiguous) = (0, false);
    object_or_skip(scanner, |scanner, key| {
        match key {
            "text" => texts.extend(scanner.string_or_skip()?),
            "json" => texts.extend(read_json(scanner, &mut ambiguous)?),
            _ => return scanner.skip().map(drop),
        }
        kinds += 1;
        Ok(())
    })?;
    if kinds > 1 || ambiguous {
        texts.clear();
    }
    Ok(texts)
}

/// A string, the text parts of an array, or those of an object's members.
fn read_json(scanner: &mut Scanner<'_>, twice: &mut bool) -> Result<Vec<Str>> {
    let mut texts = Vec::new();
    let mut content = |scanner: &mut Scanner<'_>| {
        let blocks = top::content(scanner, &["text"])?.into_iter();
        texts.extend(blocks.filter_map(|block| match block.kind {
            BlockKind::Text(text) => Some(text),
            _ => None,
        }));
        Ok(())
    };
    if scanner.peek() != b'{' {
        content(scanner)?;
        return Ok(texts);
    }
    let mut seen: Vec<String> = Vec::new();
    scanner.object(|scanner, key| {
        *twice |= seen.iter().any(|other| other == key);
        seen.push(key.to_owned());
        content(scanner)
    })?;
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ToolChoice;

    fn shown(body: &str, message: &Message) -> Vec<String> {
        let raw = |text: &Option<Str>| text.as_ref().map_or("", |text| text.raw(body)).to_owned();
        let one = |block: &Block| match &block.kind {
            BlockKind::Text(text) => text.raw(body).to_owned(),
            BlockKind::Call { id, name, .. } => format!("call {} {}", raw(id), raw(name)),
            BlockKind::Result { call, is_error, texts } => {
                let texts: Vec<&str> = texts.iter().map(|text| text.raw(body)).collect();
                format!("result {} {is_error} {}", raw(call), texts.join("|"))
            }
            BlockKind::Thinking => "thinking".into(),
            BlockKind::Other => "other".into(),
        };
        message.blocks.iter().map(one).collect()
    }

    fn read(body: &str) -> Result<Conversation> {
        super::read(Scanner::new(body))
    }

    #[test]
    fn every_block_has_its_place() {
        let body = r#"{"system":[{"text":"sys"},{"cachePoint":{"type":"default"}}],"messages":[
            {"role":"user","content":[{"text":"hi"},{"image":{}},{"cachePoint":{"type":"default"}}]},
            {"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"hm","signature":"s"}}},
                {"text":"a"},{"toolUse":{"toolUseId":"t1","name":"run","input":{"a":1}}}]},
            {"role":"user","content":[
                {"toolResult":{"toolUseId":"t1","content":[{"text":"one"},{"json":{"out":"two","n":1,
                    "parts":[{"type":"text","text":"three"},{"type":"image"}]}},{"image":{}},{"json":"four"}]}},
                {"toolResult":{"toolUseId":"t2","status":"error","content":[{"text":"bad"}]}},
                {"toolResult":{"toolUseId":"t3","content":[{"text":"a","json":{}},{"json":{"a":"x","a":"y"}},{"json":7}]}},
                {"toolResult":{"toolUseId":"t4","content":[],"content":[]}},
                {"text":"x","toolUse":{}},{"text":"now"}]},
            {"role":"user","role":"user","content":[]}],
            "toolConfig":{"tools":[{"toolSpec":{"name":"run","description":"d","inputSchema":{"json":{}}}},
                {"cachePoint":{"type":"default"}}],"toolChoice":{"tool":{"name":"run"}}},
            "additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":1024}}}"#;
        let read = read(body).unwrap();
        assert!(read.tool_choice == ToolChoice::Forbidden && read.thinking == Some(true) && !read.stateful);
        assert_eq!(read.system.iter().map(|text| text.raw(body)).collect::<Vec<_>>(), ["sys"]);
        let tools = read.tools.unwrap();
        assert_eq!((tools.items.len(), tools.wrapped), (2, false));
        assert_eq!(tools.items[0].name.as_ref().unwrap().raw(body), "run");
        assert!(body[tools.span].ends_with(r#"{"cachePoint":{"type":"default"}}]"#));
        assert_eq!(shown(body, &read.messages[0]), ["hi", "other"]);
        assert_eq!(shown(body, &read.messages[1]), ["thinking", "a", "call t1 run"]);
        assert_eq!(
            shown(body, &read.messages[2]),
            [
                "result t1 false one|two|three|four",
                "result t2 true bad",
                "result t3 false ",
                "other",
                "other",
                "now"
            ]
        );
        assert_eq!(read.messages[3].role, Role::Other);
    }

    #[test]
    fn what_counts_tokens_is_read_within() {
        let body = r#"{"input":{"converse":{"messages":[{"role":"user","content":[{"text":"hi"}]}]}}}"#;
        let read = read(body).unwrap();
        assert!(read.messages.len() == 1 && body[read.root].starts_with(r#"{"messages""#));
        for body in [r#"{"input":{"invokeModel":{"body":"e30="}}}"#, r#"{"messages":[],"messages":[]}"#, "[]"]
        {
            assert!(super::read(Scanner::new(body)).is_err(), "{body}");
        }
    }

    #[test]
    fn where_our_tool_may_go() {
        for (config, tools, unreadable) in [
            ("", None, false),
            (r#","toolConfig":{"tools":[]}"#, Some("[]"), false),
            (r#","toolConfig":{"tools":[],"toolChoice":{"any":{}}}"#, Some("[]"), false),
            (r#","toolConfig":{}"#, None, true),
            (r#","toolConfig":{"tools":[],"tools":[1]}"#, None, true),
            (r#","toolConfig":7"#, None, true),
        ] {
            let body = format!("{{\"messages\":[]{config}}}");
            let read = read(&body).unwrap();
            assert_eq!(read.tools.map(|tools| &body[tools.span]), tools, "{config}");
            assert_eq!((read.tools_unreadable, read.tool_choice), (unreadable, ToolChoice::Free), "{config}");
        }
    }
}
