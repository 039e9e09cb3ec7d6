//! OpenAI Chat Completions: `POST /v1/chat/completions`.

use std::sync::Arc;

use super::{
    Arguments, Block, BlockKind, Conversation, Message, Role, Tool, array_or_skip, object_or_skip,
    scan::{ScanError, Scanner},
    top::{self, Top},
};

type Result<T> = std::result::Result<T, ScanError>;

pub(super) fn read(mut scanner: Scanner<'_>) -> Result<Conversation> {
    let body = scanner.body();
    let mut top = Top::default();
    let root = scanner.object(|scanner, key| match key {
        "model" => top.model(scanner),
        "stream" => top.stream(scanner),
        "n" => top.answers(scanner),
        "tools" => {
            let found = top::tools(scanner, read_tool)?;
            top.tools(scanner, found)
        }
        "tool_choice" => {
            let span = scanner.skip()?;
            top.choice(scanner, matches!(&body[span], "\"auto\"" | "\"required\"" | "null"))
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

fn read_tool(scanner: &mut Scanner<'_>) -> Result<Tool> {
    let mut tool = Tool { name: None, description: None };
    object_or_skip(scanner, |scanner, key| {
        if key == "function" {
            tool = top::tool(scanner, top::pass)?;
            return Ok(());
        }
        top::pass(scanner, key)
    })?;
    Ok(tool)
}

fn read_messages(scanner: &mut Scanner<'_>) -> Result<(Vec<Arc<Message>>, std::ops::Range<usize>)> {
    top::messages(scanner, |scanner, messages| {
        messages.push(read_message(scanner)?.into());
        Ok(())
    })
}

fn read_message(scanner: &mut Scanner<'_>) -> Result<Message> {
    let (mut role, mut content, mut calls, mut call) = (None, None, None, None);
    let mut ambiguous = false;
    let span = scanner.object(|scanner, key| {
        match key {
            "role" => ambiguous |= role.replace(top::role(scanner)?).is_some(),
            "content" => ambiguous |= content.replace(top::content(scanner, &["text"])?).is_some(),
            "tool_calls" => ambiguous |= calls.replace(read_calls(scanner)?).is_some(),
            "tool_call_id" => ambiguous |= call.replace(scanner.string_or_skip()?).is_some(),
            _ => scanner.skip().map(|_| ())?,
        }
        Ok(())
    })?;
    if ambiguous {
        return Ok(Message::opaque(span));
    }
    let role = role.unwrap_or(Role::Other);
    let mut blocks: Vec<Block> = content.unwrap_or_default();
    if role == Role::Tool {
        let texts = blocks
            .into_iter()
            .filter_map(|block| match block.kind {
                BlockKind::Text(text) => Some(text),
                _ => None,
            })
            .collect();
        let kind = BlockKind::Result { call: call.flatten(), is_error: false, texts };
        blocks = vec![Block { span: span.clone(), kind }];
    }
    blocks.extend(calls.unwrap_or_default());
    Ok(Message { span, role, blocks })
}

fn read_calls(scanner: &mut Scanner<'_>) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    array_or_skip(scanner, |scanner| {
        let (mut id, mut name, mut arguments) = (None, None, Arguments::None);
        let span = object_or_skip(scanner, |scanner, key| {
            match key {
                "id" => id = scanner.string_or_skip()?,
                "function" => object_or_skip(scanner, |scanner, key| {
                    match key {
                        "name" => name = scanner.string_or_skip()?,
                        "arguments" => {
                            arguments = scanner.string_or_skip()?.map_or(Arguments::None, Arguments::Text);
                        }
                        _ => scanner.skip().map(|_| ())?,
                    }
                    Ok(())
                })
                .map(|_| ())?,
                "custom" => object_or_skip(scanner, |scanner, key| {
                    match key {
                        "name" => name = scanner.string_or_skip()?,
                        "input" => {
                            arguments = scanner.string_or_skip()?.map_or(Arguments::None, Arguments::Text);
                        }
                        _ => scanner.skip().map(|_| ())?,
                    }
                    Ok(())
                })
                .map(|_| ())?,
                _ => scanner.skip().map(|_| ())?,
            }
            Ok(())
        })?;
        blocks.push(Block { span, kind: BlockKind::Call { id, name, arguments } });
        Ok(())
    })?;
    Ok(blocks)
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
        let body = r#"{"model":"gpt","n":2,"stream_options":{"include_usage":true},"messages":[
            {"role":"developer","content":"sys"},
            {"role":"user","content":[{"type":"text","text":"hi"},{"type":"image_url","image_url":{}}]},
            {"role":"assistant","content":null,"tool_calls":[
                {"id":"c1","type":"function","function":{"name":"run","arguments":"{\"a\":1}"}},
                {"id":"c2","type":"custom","custom":{"name":"raw","input":"text"}}]},
            {"role":"tool","tool_call_id":"c1","content":"one"},
            {"tool_call_id":"c2","content":[{"type":"text","text":"two"}],"role":"tool"}],
            "tools":[{"type":"function","function":{"name":"run","description":"d","parameters":{}}}],
            "tool_choice":{"type":"function"},"response_format":{"type":"json_schema"}}"#;
        let read = read(body).unwrap();
        assert!(read.several_answers && !read.stream);
        assert_eq!(read.tool_choice, ToolChoice::Forbidden);
        assert_eq!(read.tools.unwrap().items[0].name.as_ref().unwrap().raw(body), "run");
        let result = |at: usize| match &read.messages[at].blocks[0].kind {
            BlockKind::Result { texts, call, .. } => (texts[0].raw(body), call.as_ref().unwrap().raw(body)),
            other => panic!("{other:?}"),
        };
        assert_eq!((result(3), result(4)), (("one", "c1"), ("two", "c2")));
        assert_eq!(read.messages[2].blocks.len(), 2);
        assert_eq!(read.messages[0].role, Role::System);
    }
}
