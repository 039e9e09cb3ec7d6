//! Gemini: `POST …/models/{model}:generateContent` and `:streamGenerateContent`.
//!
//! Fields have two spellings, `functionCall` and `function_call`; a body that uses both for one
//! field is ambiguous.

use std::{ops::Range, sync::Arc};

use super::{
    Arguments, Block, BlockKind, Conversation, Message, Role, Tool, Tools, array_or_skip, object_or_skip,
    once,
    scan::{ScanError, Scanner},
    text::Str,
    top::{self, Top},
};

type Result<T> = std::result::Result<T, ScanError>;

pub(super) fn read(mut scanner: Scanner<'_>) -> Result<Conversation> {
    let mut top = Top::default();
    let mut nested: Option<(Top, Range<usize>)> = None;
    let root = scanner.object(|scanner, key| {
        // What is to be counted may be a whole request.
        if matches!(key, "generateContentRequest" | "generate_content_request") && scanner.peek() == b'{' {
            let mut inner = Top::default();
            let span = scanner.object(|scanner, key| read_field(&mut inner, scanner, key))?;
            return once(&mut nested, scanner, (inner, span));
        }
        read_field(&mut top, scanner, key)
    })?;
    scanner.end()?;
    let (top, root) = nested.unwrap_or((top, root));
    top.conversation(root, "`contents` is missing")
}

fn read_field(top: &mut Top, scanner: &mut Scanner<'_>, key: &str) -> Result<()> {
    match key {
        "model" => top.model(scanner),
        "systemInstruction" | "system_instruction" => {
            let mut texts = Vec::new();
            object_or_skip(scanner, |scanner, key| {
                if key != "parts" {
                    return scanner.skip().map(drop);
                }
                for block in read_parts(scanner)? {
                    if let BlockKind::Text(text) = block.kind {
                        texts.push(text);
                    }
                }
                Ok(())
            })?;
            once(&mut top.system, scanner, texts)
        }
        "tools" => {
            let found = read_tools(scanner)?;
            top.tools(scanner, found)
        }
        "toolConfig" | "tool_config" => {
            let free = read_choice(scanner, &mut top.stateful)?;
            top.choice(scanner, free)
        }
        "generationConfig" | "generation_config" => object_or_skip(scanner, |scanner, key| match key {
            "candidateCount" | "candidate_count" => top.answers(scanner),
            _ => scanner.skip().map(drop),
        })
        .map(drop),
        // What is cached elsewhere holds tools of its own, and none may be added to them.
        "cachedContent" | "cached_content" => {
            let span = scanner.skip()?;
            top.stateful |= &scanner.body()[span] != "null";
            Ok(())
        }
        "contents" => {
            let found = read_contents(scanner)?;
            top.messages(scanner, found)
        }
        _ => scanner.skip().map(drop),
    }
}

/// The functions of all tools; ours goes to the last that are declared. `None` if a tool of the
/// provider's own stands there alone, beside which functions may be refused.
fn read_tools(scanner: &mut Scanner<'_>) -> Result<Option<Tools>> {
    let mut items = Vec::new();
    let mut declared = None;
    let (mut elements, mut foreign, mut odd) = (0, false, false);
    let span = array_or_skip(scanner, |scanner| {
        elements += 1;
        let mut seen = false;
        object_or_skip(scanner, |scanner, key| {
            if !matches!(key, "functionDeclarations" | "function_declarations") {
                foreign = true;
                return scanner.skip().map(drop);
            }
            odd |= std::mem::replace(&mut seen, true);
            let found = top::tools(scanner, |scanner| top::tool(scanner, top::pass))?;
            match found {
                Some(found) => {
                    items.extend(found.items);
                    declared = Some(found.span);
                }
                None => odd = true,
            }
            Ok(())
        })
        .map(drop)
    })?;
    let Some(span) = span.filter(|_| !odd) else { return Ok(None) };
    if foreign {
        // Where functions stand already, one more is no news.
        return Ok(declared.filter(|_| !items.is_empty()).map(|span| Tools { span, items, wrapped: false }));
    }
    let wrapped = declared.is_none();
    if wrapped {
        // Elements that declare nothing.
        items.extend((0..elements).map(|_| Tool { name: None, description: None }));
    }
    Ok(Some(Tools { span: declared.unwrap_or(span), items, wrapped }))
}

/// Whether a `toolConfig` leaves our tool to the model.
fn read_choice(scanner: &mut Scanner<'_>, pieces: &mut bool) -> Result<bool> {
    let mut free = true;
    object_or_skip(scanner, |scanner, key| {
        if !matches!(key, "functionCallingConfig" | "function_calling_config") {
            return scanner.skip().map(drop);
        }
        object_or_skip(scanner, |scanner, key| {
            match key {
                // Calls would come in pieces.
                "streamFunctionCallArguments" | "stream_function_call_arguments" => {
                    let span = scanner.skip()?;
                    *pieces |= &scanner.body()[span] == "true";
                }
                "mode" => {
                    let mode = scanner.string_or_skip()?;
                    free &= mode.is_none_or(|mode| mode.raw(scanner.body()) != "NONE");
                }
                "allowedFunctionNames" | "allowed_function_names" => {
                    let span = scanner.skip()?;
                    let names = scanner.body()[span].trim_matches(['[', ']', ' ', '\n', '\t', '\r']);
                    free &= matches!(names, "" | "null");
                }
                _ => scanner.skip().map(|_| ())?,
            }
            Ok(())
        })
        .map(drop)
    })?;
    Ok(free)
}

fn read_contents(scanner: &mut Scanner<'_>) -> Result<(Vec<Arc<Message>>, Range<usize>)> {
    top::messages(scanner, |scanner, messages| {
        let (mut role, mut parts, mut ambiguous) = (None, None, false);
        let span = scanner.object(|scanner, key| {
            match key {
                "role" => ambiguous |= role.replace(scanner.string_or_skip()?).is_some(),
                "parts" => ambiguous |= parts.replace(read_parts(scanner)?).is_some(),
                _ => scanner.skip().map(|_| ())?,
            }
            Ok(())
        })?;
        if ambiguous {
            messages.push(Message::opaque(span).into());
            return Ok(());
        }
        let role = role.flatten();
        let role = match role.as_ref().map(|role: &Str| role.raw(scanner.body())) {
            None | Some("user") => Role::User,
            Some("model") => Role::Assistant,
            Some("function") => Role::Tool,
            Some("system") => Role::System,
            Some(_) => Role::Other,
        };
        messages.push(Message { span, role, blocks: parts.unwrap_or_default() }.into());
        Ok(())
    })
}

fn read_parts(scanner: &mut Scanner<'_>) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    array_or_skip(scanner, |scanner| {
        let mut fields = Fields::default();
        let span = object_or_skip(scanner, |scanner, key| fields.read(scanner, key))?;
        blocks.push(Block { span, kind: fields.into_kind() });
        Ok(())
    })?;
    Ok(blocks)
}

/// The fields of a part. It holds one kind of data; one that seems to hold two is nobody's.
#[derive(Default)]
struct Fields {
    text: Option<Option<Str>>,
    thought: Option<bool>,
    data: Option<BlockKind>,
    ambiguous: bool,
}

impl Fields {
    fn read(&mut self, scanner: &mut Scanner<'_>, key: &str) -> Result<()> {
        self.ambiguous |= match key {
            "text" => self.text.replace(scanner.string_or_skip()?).is_some(),
            "thought" => {
                let span = scanner.skip()?;
                self.thought.replace(&scanner.body()[span] == "true").is_some()
            }
            "functionCall" | "function_call" => {
                let found = self.function(scanner)?;
                self.data.replace(found).is_some()
            }
            "functionResponse" | "function_response" => {
                let found = self.response(scanner)?;
                self.data.replace(found).is_some()
            }
            _ => {
                scanner.skip()?;
                false
            }
        };
        Ok(())
    }

    fn function(&mut self, scanner: &mut Scanner<'_>) -> Result<BlockKind> {
        let (mut id, mut name, mut args) = (None, None, None);
        let mut ambiguous = false;
        object_or_skip(scanner, |scanner, key| {
            match key {
                "id" => ambiguous |= id.replace(scanner.string_or_skip()?).is_some(),
                "name" => ambiguous |= name.replace(scanner.string_or_skip()?).is_some(),
                "args" => ambiguous |= args.replace(scanner.skip()?).is_some(),
                _ => scanner.skip().map(|_| ())?,
            }
            Ok(())
        })?;
        self.ambiguous |= ambiguous;
        let name = name.flatten();
        // A call without an id is answered by its name.
        let id = id.flatten().or_else(|| name.clone());
        let arguments = args.map_or(Arguments::None, Arguments::Value);
        Ok(BlockKind::Call { id, name, arguments })
    }

    /// The texts of a response are the strings of its object, and the text parts of its arrays.
    fn response(&mut self, scanner: &mut Scanner<'_>) -> Result<BlockKind> {
        let (mut id, mut name, mut texts) = (None, None, None);
        let mut ambiguous = false;
        let mut is_error = false;
        object_or_skip(scanner, |scanner, key| {
            match key {
                "id" => ambiguous |= id.replace(scanner.string_or_skip()?).is_some(),
                "name" => ambiguous |= name.replace(scanner.string_or_skip()?).is_some(),
                "response" => {
                    let mut found = Vec::new();
                    let mut seen: Vec<String> = Vec::new();
                    object_or_skip(scanner, |scanner, key| {
                        ambiguous |= seen.iter().any(|other| other == key);
                        seen.push(key.to_owned());
                        is_error |= key == "error";
                        let texts = top::content(scanner, &["text"])?.into_iter();
                        found.extend(texts.filter_map(|block| match block.kind {
                            BlockKind::Text(text) => Some(text),
                            _ => None,
                        }));
                        Ok(())
                    })?;
                    ambiguous |= texts.replace(found).is_some();
                }
                _ => scanner.skip().map(|_| ())?,
            }
            Ok(())
        })?;
        self.ambiguous |= ambiguous;
        let call = id.flatten().or_else(|| name.flatten());
        Ok(BlockKind::Result { call, is_error, texts: texts.unwrap_or_default() })
    }

    fn into_kind(self) -> BlockKind {
        match (self.text.flatten(), self.data) {
            _ if self.ambiguous => BlockKind::Other,
            (Some(_), None) if self.thought == Some(true) => BlockKind::Thinking,
            (Some(text), None) => BlockKind::Text(text),
            (None, Some(data)) => data,
            _ => BlockKind::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ToolChoice;

    fn read(body: &str) -> Result<Conversation> {
        super::read(Scanner::new(body))
    }

    #[test]
    fn every_part_has_its_place() {
        let body = r#"{"contents":[
            {"parts":[{"text":"hi"},{"inlineData":{}}]},
            {"role":"model","parts":[{"text":"hm","thought":true},{"text":"a","thoughtSignature":"s"},
                {"functionCall":{"name":"run","args":{"a":1}},"thoughtSignature":"s"},
                {"function_call":{"id":"c2","name":"run"}}]},
            {"role":"user","parts":[
                {"functionResponse":{"name":"run","response":{"output":"one","n":1,"err":"two"}}},
                {"functionResponse":{"id":"c2","name":"run","response":{"error":"bad"}}},
                {"functionResponse":{"id":"c3","name":"run","response":{"content":[{"type":"text","text":"mcp"},{"type":"image"}]}}},
                {"functionResponse":{"name":"x","response":{"output":"a","output":"b"}}},
                {"text":"x","functionCall":{}},{"functionCall":{},"function_call":{}},{"text":"now"}]}],
            "systemInstruction":{"parts":[{"text":"sys"}]},
            "tools":[{"functionDeclarations":[{"name":"run","description":"d"}]}],
            "toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["run"]}},
            "generationConfig":{"candidateCount":2}}"#;
        let read = read(body).unwrap();
        assert!(read.several_answers && !read.stateful && read.tool_choice == ToolChoice::Forbidden);
        assert_eq!(read.system[0].raw(body), "sys");
        let tools = read.tools.unwrap();
        assert!(!tools.wrapped && body[tools.span].starts_with(r#"[{"name""#));
        let shown = |message: &Message| -> Vec<String> {
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
        };
        assert_eq!(shown(&read.messages[0]), ["hi", "other"]);
        assert_eq!(shown(&read.messages[1]), ["thinking", "a", "call run run", "call c2 run"]);
        assert_eq!(
            shown(&read.messages[2]),
            [
                "result run false one|two",
                "result c2 true bad",
                "result c3 false mcp",
                "other",
                "other",
                "other",
                "now"
            ]
        );
        let roles: Vec<Role> = read.messages.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::User, Role::Assistant, Role::User]);
    }

    #[test]
    fn where_our_tool_may_go() {
        for (tools, expected) in [
            ("[]", Some(("[]", true))),
            ("[{}]", Some(("[{}]", true))),
            (r#"[{"function_declarations":[1]},{"functionDeclarations":[]}]"#, Some(("[]", false))),
            (r#"[{"functionDeclarations":[2]},{"googleSearch":{}}]"#, Some(("[2]", false))),
            (r#"[{"googleSearch":{}}]"#, None),
            (r#"[{"functionDeclarations":[2],"function_declarations":[]}]"#, None),
            (r#"[{"functionDeclarations":[2]},{"functionDeclarations":{}}]"#, None),
            ("{}", None),
        ] {
            let body = format!(r#"{{"contents":[],"tools":{tools}}}"#);
            let read = read(&body).unwrap();
            assert_eq!(read.tools_unreadable, expected.is_none());
            let found = read.tools.map(|tools| (&body[tools.span], tools.wrapped));
            assert_eq!(found, expected, "{tools}");
        }
        let counted = r#"{"generateContentRequest":{"model":"m","contents":[{"parts":[{"text":"hi"}]}]}}"#;
        let inner = read(counted).unwrap();
        assert!(inner.messages.len() == 1 && &counted[inner.root] != counted);
        assert!(read(r#"{"contents":[],"cachedContent":"c"}"#).unwrap().stateful);
        assert!(read(r#"{"model":"m"}"#).is_err());
    }
}
