//! OpenAI Responses: `POST /v1/responses`.
//!
//! `input` is a string, or a flat list of items. Neighbouring items of the model are one message of
//! the assistant, as one answer gave them; so are neighbouring outputs of tools.

use std::{ops::Range, sync::Arc};

use super::{
    Arguments, Block, BlockKind, Conversation, Message, Role, array_or_skip, object_or_skip,
    scan::{ScanError, Scanner},
    text::Str,
    top::{self, Top},
};

type Result<T> = std::result::Result<T, ScanError>;

/// Types of parts that are text, of a person, the model or a tool.
const TEXTS: [&str; 4] = ["input_text", "output_text", "text", "refusal"];

pub(super) fn read(mut scanner: Scanner<'_>) -> Result<Conversation> {
    let body = scanner.body();
    let mut top = Top::default();
    let (mut store, mut previous) = (None, None);
    let root = scanner.object(|scanner, key| match key {
        "model" => top.model(scanner),
        "stream" => top.stream(scanner),
        "instructions" => {
            let found = scanner.string_or_skip()?;
            super::once(&mut top.system, scanner, found.into_iter().collect())
        }
        "store" => {
            let span = scanner.skip()?;
            super::once(&mut store, scanner, &body[span] != "false")
        }
        "previous_response_id" => {
            top.previous = scanner.string_or_skip()?.filter(|id| !id.raw(body).is_empty());
            super::once(&mut previous, scanner, ())
        }
        // What stands elsewhere: turns that the provider lists by itself, or a prompt with tools of its
        // own.
        "conversation" | "prompt" => {
            let span = scanner.skip()?;
            top.stateful |= &body[span] != "null";
            Ok(())
        }
        // The answer is fetched later, from another path.
        "background" => {
            let span = scanner.skip()?;
            top.stateful |= &body[span] == "true";
            Ok(())
        }
        "tools" => {
            let found = top::tools(scanner, |scanner| {
                let mut kind = None;
                let mut tool = top::tool(scanner, |scanner, key| {
                    match key {
                        "type" => kind = scanner.string_or_skip()?,
                        _ => scanner.skip().map(|_| ())?,
                    }
                    Ok(())
                })?;
                // The provider's own tools have a type for a name; of these the client runs some.
                let run = |kind: &Str| matches!(kind.raw(body), "shell" | "local_shell" | "apply_patch");
                tool.name = tool.name.or_else(|| kind.filter(run));
                Ok(tool)
            })?;
            top.tools(scanner, found)
        }
        "tool_choice" => {
            let free = free_choice(scanner)?;
            top.choice(scanner, free)
        }
        "input" => {
            let found = read_input(scanner)?;
            top.messages(scanner, found)
        }
        _ => scanner.skip().map(drop),
    })?;
    scanner.end()?;
    top.stored = store.unwrap_or(true);
    top.conversation(root, "`input` is missing")
}

/// Whether a choice leaves our tool to the model: a word, or an object that names tools.
fn free_choice(scanner: &mut Scanner<'_>) -> Result<bool> {
    let span = scanner.skip()?;
    Ok(matches!(&scanner.body()[span], "\"auto\"" | "\"required\"" | "null"))
}

fn read_input(scanner: &mut Scanner<'_>) -> Result<(Vec<Arc<Message>>, Range<usize>)> {
    if scanner.peek() == b'"' {
        let text = scanner.string()?;
        let span = text.range.clone();
        let blocks = vec![Block { span: span.clone(), kind: BlockKind::Text(text) }];
        return Ok((vec![Message { span: span.clone(), role: Role::User, blocks }.into()], span));
    }
    top::messages(scanner, |scanner, messages| {
        let item = read_item(scanner)?;
        match messages.last_mut().map(Arc::make_mut) {
            Some(last) if last.role == item.role && matches!(item.role, Role::Assistant | Role::Tool) => {
                last.span.end = item.span.end;
                last.blocks.extend(item.blocks);
            }
            _ => messages.push(item.into()),
        }
        Ok(())
    })
}

/// The fields of an item that say where things stand.
#[derive(Default)]
struct Fields {
    kind: Option<Option<Str>>,
    role: Option<Role>,
    content: Option<Vec<Block>>,
    id: Option<Option<Str>>,
    call: Option<Option<Str>>,
    name: Option<Option<Str>>,
    /// `arguments` or `input`: JSON, or text, in a string.
    arguments: Option<Option<Str>>,
    /// `action` or `operation`: an object.
    action: Option<Range<usize>>,
    output: Option<Vec<Str>>,
    failed: bool,
    ambiguous: bool,
}

fn read_item(scanner: &mut Scanner<'_>) -> Result<Message> {
    let mut fields = Fields::default();
    let span = object_or_skip(scanner, |scanner, key| fields.read(scanner, key))?;
    Ok(fields.into_message(span, scanner.body()))
}

impl Fields {
    fn read(&mut self, scanner: &mut Scanner<'_>, key: &str) -> Result<()> {
        self.ambiguous |= match key {
            "type" => self.kind.replace(scanner.string_or_skip()?).is_some(),
            "role" => self.role.replace(top::role(scanner)?).is_some(),
            "content" => self.content.replace(top::content(scanner, &TEXTS)?).is_some(),
            "id" => self.id.replace(scanner.string_or_skip()?).is_some(),
            "call_id" => self.call.replace(scanner.string_or_skip()?).is_some(),
            "name" => self.name.replace(scanner.string_or_skip()?).is_some(),
            "arguments" | "input" => self.arguments.replace(scanner.string_or_skip()?).is_some(),
            "action" | "operation" => self.action.replace(scanner.skip()?).is_some(),
            "output" => self.output.replace(read_output(scanner)?).is_some(),
            "error" => {
                let span = scanner.skip()?;
                self.failed |= &scanner.body()[span] != "null";
                false
            }
            "status" => {
                let span = scanner.skip()?;
                self.failed |= &scanner.body()[span] == "\"failed\"";
                false
            }
            _ => {
                scanner.skip()?;
                false
            }
        };
        Ok(())
    }

    fn into_message(self, span: Range<usize>, body: &str) -> Message {
        if self.ambiguous {
            return Message::opaque(span);
        }
        let kind = self.kind.flatten();
        let name = kind.as_ref().map(|kind| kind.raw(body)).unwrap_or_default();
        let one = |role, kind| {
            let blocks = vec![Block { span: span.clone(), kind }];
            Message { span: span.clone(), role, blocks }
        };
        match name {
            "message" | "" => {
                let role = self.role.unwrap_or(Role::Other);
                Message { span, role, blocks: self.content.unwrap_or_default() }
            }
            "reasoning" => one(Role::Assistant, BlockKind::Thinking),
            "function_call" | "custom_tool_call" => one(
                Role::Assistant,
                BlockKind::Call {
                    id: self.call.flatten(),
                    name: self.name.flatten(),
                    arguments: self.arguments.flatten().map_or(Arguments::None, Arguments::Text),
                },
            ),
            "shell_call" | "local_shell_call" | "apply_patch_call" | "computer_call" => one(
                Role::Assistant,
                BlockKind::Call {
                    id: self.call.flatten(),
                    name: kind,
                    arguments: self.action.map_or(Arguments::None, Arguments::Value),
                },
            ),
            "function_call_output"
            | "custom_tool_call_output"
            | "shell_call_output"
            | "local_shell_call_output"
            | "apply_patch_call_output" => one(
                Role::Tool,
                BlockKind::Result {
                    // A local shell's output has the call's id for its own.
                    call: self.call.or(self.id).flatten(),
                    is_error: self.failed,
                    texts: self.output.unwrap_or_default(),
                },
            ),
            "mcp_approval_request" => one(
                Role::Assistant,
                BlockKind::Call { id: self.id.flatten(), name: kind, arguments: Arguments::None },
            ),
            // The provider ran it, and the model has read its output whole: no result of ours to
            // shorten. Call and output are one item.
            "mcp_call" => {
                let call = BlockKind::Call {
                    id: self.id.flatten(),
                    name: self.name.flatten(),
                    arguments: self.arguments.flatten().map_or(Arguments::None, Arguments::Text),
                };
                let blocks = [call, BlockKind::Other].map(|kind| Block { span: span.clone(), kind });
                Message { span, role: Role::Assistant, blocks: blocks.into() }
            }
            "item_reference" | "compaction" => one(Role::Other, BlockKind::Other),
            other if other.ends_with("_output") || other.ends_with("_response") => {
                one(Role::Tool, BlockKind::Other)
            }
            other if other.ends_with("_call") || other.starts_with("mcp_") => {
                one(Role::Assistant, BlockKind::Other)
            }
            _ => one(Role::Other, BlockKind::Other),
        }
    }
}

/// The texts of an output: a string, its text parts, or what a shell wrote.
fn read_output(scanner: &mut Scanner<'_>) -> Result<Vec<Str>> {
    let mut texts = Vec::new();
    if scanner.peek() == b'"' {
        texts.push(scanner.string()?);
        return Ok(texts);
    }
    array_or_skip(scanner, |scanner| {
        let (mut kind, mut found) = (None, Vec::new());
        let mut seen: Vec<String> = Vec::new();
        let mut ambiguous = false;
        object_or_skip(scanner, |scanner, key| {
            match key {
                "type" => ambiguous |= kind.replace(scanner.string_or_skip()?).is_some(),
                "text" | "stdout" | "stderr" => {
                    ambiguous |= seen.iter().any(|other| other == key);
                    seen.push(key.to_owned());
                    found.extend(scanner.string_or_skip()?);
                }
                _ => scanner.skip().map(|_| ())?,
            }
            Ok(())
        })?;
        let kind = kind.flatten();
        let kind = kind.as_ref().map(|kind: &Str| kind.raw(scanner.body()));
        // What a shell writes has no type.
        let shell = kind.is_none() && !seen.iter().any(|key| key == "text");
        let text = kind.is_some_and(|kind| TEXTS.contains(&kind)) && seen == ["text"];
        if !ambiguous && (shell || text) {
            texts.extend(found);
        }
        Ok(())
    })?;
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ToolChoice;

    fn shown(body: &str, message: &Message) -> Vec<String> {
        let one = |block: &Block| match &block.kind {
            BlockKind::Text(text) => format!("text {}", text.raw(body)),
            BlockKind::Call { id, name, arguments } => {
                let arguments = match arguments {
                    Arguments::None => "",
                    Arguments::Value(span) => &body[span.clone()],
                    Arguments::Text(text) => text.raw(body),
                };
                let raw = |text: &Option<Str>| text.as_ref().map_or("", |text| text.raw(body)).to_owned();
                format!("call {} {} {arguments}", raw(id), raw(name))
            }
            BlockKind::Result { call, is_error, texts } => {
                let texts: Vec<&str> = texts.iter().map(|text| text.raw(body)).collect();
                let call = call.as_ref().map_or("", |call| call.raw(body));
                format!("result {call} {is_error} {}", texts.join("|"))
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
    fn every_item_has_its_place() {
        let body = r#"{"model":"gpt-6","store":false,"stream":true,"instructions":"sys","input":[
            {"role":"developer","content":"dev"},
            {"type":"message","role":"user","content":[{"type":"input_text","text":"hi"},{"type":"input_image"}]},
            {"type":"reasoning","summary":[],"encrypted_content":"x"},
            {"type":"message","role":"assistant","phase":"commentary","content":[{"type":"output_text","text":"a"},{"type":"refusal","refusal":"no"}]},
            {"type":"function_call","call_id":"c1","name":"run","arguments":"{\"a\":1}","id":"fc_1"},
            {"type":"custom_tool_call","call_id":"c2","name":"raw","input":"text"},
            {"type":"local_shell_call","call_id":"c3","id":"l","action":{"command":["ls"]}},
            {"type":"apply_patch_call","call_id":"c4","operation":{"type":"update_file"}},
            {"type":"function_call_output","call_id":"c1","output":"one"},
            {"type":"custom_tool_call_output","call_id":"c2","output":[{"type":"input_text","text":"two"},{"type":"input_image"},{"text":"b","type":"input_text"}]},
            {"type":"local_shell_call_output","id":"c3","output":"three"},
            {"type":"shell_call_output","call_id":"c5","output":[{"stdout":"out","stderr":"err","outcome":{"type":"exit","exit_code":0}}]},
            {"type":"apply_patch_call_output","call_id":"c4","status":"failed","output":"four"},
            {"type":"mcp_call","id":"m","name":"find","arguments":"{}","output":"five","error":null},
            {"type":"web_search_call"},
            {"type":"function_call_output","call_id":"c1","output":"x","output":"y"},
            {"type":"item_reference","id":"r"}, 7],
            "tools":[{"type":"function","name":"run","description":"d"},{"type":"local_shell"},{"type":"web_search"}],
            "tool_choice":{"type":"allowed_tools"}}"#;
        let read = read(body).unwrap();
        assert!(read.stream && !read.stateful && read.tool_choice == ToolChoice::Forbidden);
        assert_eq!(read.system[0].raw(body), "sys");
        let tools = read.tools.unwrap().items;
        let names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref().map(|name| name.raw(body))).collect();
        assert_eq!(names, [Some("run"), Some("local_shell"), None]);
        let messages: Vec<(Role, Vec<String>)> =
            read.messages.iter().map(|message| (message.role, shown(body, message))).collect();
        let expected: [(Role, &[&str]); 8] = [
            (Role::System, &["text dev"]),
            (Role::User, &["text hi", "other"]),
            (
                Role::Assistant,
                &[
                    "thinking",
                    "text a",
                    "text no",
                    r#"call c1 run {\"a\":1}"#,
                    "call c2 raw text",
                    r#"call c3 local_shell_call {"command":["ls"]}"#,
                    r#"call c4 apply_patch_call {"type":"update_file"}"#,
                ],
            ),
            (
                Role::Tool,
                &[
                    "result c1 false one",
                    "result c2 false two|b",
                    "result c3 false three",
                    "result c5 false out|err",
                    "result c4 true four",
                ],
            ),
            (Role::Assistant, &["call m find {}", "other", "other"]),
            (Role::Other, &["other"]),
            (Role::Other, &["other"]),
            (Role::Other, &[]),
        ];
        for (found, (role, blocks)) in messages.iter().zip(expected) {
            assert_eq!((found.0, &found.1[..]), (role, &blocks.map_owned()[..]));
        }
        assert_eq!(messages.len(), 8);
        let run = &body[read.messages[2].span.clone()];
        assert!(run.starts_with(r#"{"type":"reasoning""#) && run.ends_with(r#"{"type":"update_file"}}"#));
    }

    trait Owned {
        fn map_owned(&self) -> Vec<String>;
    }

    impl Owned for &[&str] {
        fn map_owned(&self) -> Vec<String> {
            self.iter().map(ToString::to_string).collect()
        }
    }

    #[test]
    fn what_the_provider_may_keep_is_known() {
        for (fields, stateful, stored, previous) in [
            (r#""store":false"#, false, false, None),
            (r#""store":false,"previous_response_id":null,"conversation":null"#, false, false, None),
            (r#""store":true"#, false, true, None),
            (r#""x":1"#, false, true, None),
            (r#""store":false,"previous_response_id":"resp_1""#, false, false, Some("resp_1")),
            (r#""previous_response_id":"resp_1""#, false, true, Some("resp_1")),
            (r#""store":false,"conversation":{"id":"c"}"#, true, false, None),
            (r#""store":false,"prompt":{"id":"p"}"#, true, false, None),
            (r#""store":false,"background":true"#, true, false, None),
        ] {
            let body = format!(r#"{{"input":"hi",{fields}}}"#);
            let read = read(&body).unwrap();
            assert_eq!((read.stateful, read.stored), (stateful, stored), "{fields}");
            assert_eq!(read.previous.map(|id| id.raw(&body).to_owned()).as_deref(), previous, "{fields}");
            assert_eq!((read.messages[0].role, &body[read.messages_span]), (Role::User, "\"hi\""));
        }
        assert!(read(r#"{"model":"x"}"#).is_err());
        for twice in ["input", "previous_response_id"] {
            assert!(read(&format!(r#"{{"input":[],"{twice}":"a","{twice}":"b"}}"#)).is_err());
        }
    }
}
