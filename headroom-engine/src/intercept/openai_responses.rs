//! OpenAI Responses: how its answers are read, continued and put together.

mod stream;

use bytes::Bytes;

use super::{
    exchange::{Ending, FILLER},
    format::{Answers, Format},
    picture::Picture,
    raw::{Edit, Object, Raw, keep_elements, quoted, splice},
    round::{Answer, Block, Call, Kind, Round, Stop, Usage},
    stream::Splicer,
};

/// What tells one answer from another; a client sees those of the first round.
const IDENTITY: [&str; 3] = ["id", "created_at", "model"];

pub(super) struct Responses;

impl Format for Responses {
    fn round(&self, answer: &Object<'_>, tool: &str) -> Option<Round> {
        let items = answer.get("output")?.array()?;
        Some(round(answer, &items, tool))
    }

    fn merge(&self, answers: &Answers<'_>) -> String {
        merge(answers).unwrap_or_default()
    }

    fn scrub(&self, answer: &str, tool: &str) -> Option<String> {
        let edits = without_tool(&Object::parse(answer)?, tool);
        (!edits.is_empty()).then(|| splice(answer, edits))
    }

    fn results(&self, answers: &[Answer], _: &str) -> Vec<String> {
        let result = |answer: &Answer| {
            let (id, text) = (quoted(&answer.id), quoted(&answer.text));
            let output = match &answer.picture {
                None => text,
                Some(Picture { media_type, data }) => {
                    let url = quoted(&format!("data:{media_type};base64,{data}"));
                    format!(
                        "[{{\"type\":\"input_text\",\"text\":{text}}},{{\"type\":\"input_image\",\"image_url\":{url}}}]"
                    )
                }
            };
            format!("{{\"type\":\"function_call_output\",\"call_id\":{id},\"output\":{output}}}")
        };
        answers.iter().map(result).collect()
    }

    fn shows_pictures(&self) -> bool {
        true
    }

    fn neighbours(&self, block: &Block) -> bool {
        block.is_visible() && block.call().is_some()
    }

    fn opened(&self, request: &[u8], end: usize) -> Option<(Bytes, usize)> {
        if request.get(end) != Some(&b'"') {
            return None;
        }
        let text = std::str::from_utf8(request).ok()?;
        let input = Object::parse(text)?.get("input").filter(|input| input.inner().is_some())?;
        const OPEN: &str = "[{\"role\":\"user\",\"content\":";
        let span = input.span();
        let edits = vec![(span.start..span.start, OPEN.to_owned()), (span.end..span.end, "}]".to_owned())];
        Some((splice(text, edits).into(), span.end + OPEN.len() + 1))
    }

    fn asks_for_structure(&self, request: &Object<'_>) -> bool {
        let format = request.object("text").and_then(|text| text.object("format"));
        let kind = format.and_then(|format| format.string("type"));
        kind.is_some_and(|kind| kind.starts_with("json"))
    }

    fn splicer(&self, tool: String, _: bool) -> Box<dyn Splicer> {
        Box::new(stream::Stream::new(tool))
    }
}

/// Reads the items of an answer; `answer` says all else.
fn round(answer: &Object<'_>, items: &[Raw<'_>], tool: &str) -> Round {
    let mut blocks: Vec<Block> = items.iter().map(|item| block(*item, tool)).collect();
    // What the provider ran itself is nobody's to answer.
    let answered: Vec<String> = items.iter().filter_map(|item| answered(*item)).collect();
    for block in &mut blocks {
        if let Kind::Call(call) = &block.kind
            && !call.ours
            && answered.contains(&call.id)
        {
            block.kind = Kind::Other("call".to_owned());
        }
    }
    // What is not stored can only be sent back sealed.
    let stored = answer.get("store").is_none_or(|store| store.text() != "false");
    let back = |block: &&Block| stored || !block.is_thinking() || is_sealed(&block.raw);
    let all = blocks.iter().all(|block| back(&block));
    let item = |block: &Block| if all { block.raw.clone() } else { without_id(&block.raw) };
    let message: Vec<String> = blocks.iter().filter(back).map(item).collect();
    Round {
        message: message.join(","),
        stop: match answer.string("status").as_deref() {
            None | Some("completed") => Stop::Complete,
            Some(_) => Stop::Cut,
        },
        usage: answer.object("usage").map(|counts| usage(&counts)).unwrap_or_default(),
        rebuilt: true,
        blocks,
    }
}

/// Reads one item.
pub(super) fn block(raw: Raw<'_>, tool: &str) -> Block {
    let object = raw.object();
    let field = |name| object.as_ref().and_then(|object| object.string(name)).unwrap_or_default();
    let json = |name| object.as_ref().and_then(|object| object.get(name)).map_or("", Raw::text).to_owned();
    let kind = field("type");
    let kind = match kind.as_str() {
        "message" | "" => {
            let texts = literals(raw).unwrap_or_default();
            Kind::Text(texts.into_iter().filter_map(Raw::string).collect())
        }
        "reasoning" => Kind::Thinking,
        "function_call" => {
            let name = field("name");
            // A name within a namespace is another tool's.
            let foreign = object.as_ref().and_then(|object| object.get("namespace"));
            let ours = !tool.is_empty() && name == tool && foreign.is_none_or(Raw::is_null);
            Kind::Call(Call { id: field("call_id"), name, arguments: field("arguments"), ours })
        }
        "custom_tool_call" => Kind::Call(Call {
            id: field("call_id"),
            name: field("name"),
            arguments: field("input"),
            ours: false,
        }),
        "shell_call" | "local_shell_call" | "computer_call" => {
            Kind::Call(Call { id: field("call_id"), name: kind, arguments: json("action"), ours: false })
        }
        "apply_patch_call" => {
            Kind::Call(Call { id: field("call_id"), name: kind, arguments: json("operation"), ours: false })
        }
        "mcp_approval_request" => {
            Kind::Call(Call { id: field("id"), name: kind, arguments: String::new(), ours: false })
        }
        _ => Kind::Other(kind),
    };
    Block { raw: raw.text().to_owned(), kind }
}

/// The literals that a message's text stands in.
pub(super) fn literals(raw: Raw<'_>) -> Option<Vec<Raw<'_>>> {
    let content = raw.object()?.get("content")?;
    if content.inner().is_some() {
        return Some(vec![content]);
    }
    let parts = content.array()?.into_iter().filter_map(Raw::object);
    let texts = parts.filter_map(|part| part.get("text").or_else(|| part.get("refusal")));
    Some(texts.filter(|text| text.inner().is_some()).collect())
}

/// The call that an item of the provider's own answers.
fn answered(raw: Raw<'_>) -> Option<String> {
    let object = raw.object()?;
    object.string("type")?.ends_with("_call_output").then(|| object.string("call_id"))?
}

/// An item without its own id, by which the provider would miss the reasoning before it.
fn without_id(item: &str) -> String {
    Object::parse(item)
        .map_or_else(|| item.to_owned(), |object| splice(item, object.without(|key| key == "id")))
}

fn is_sealed(reasoning: &str) -> bool {
    let sealed = Object::parse(reasoning).and_then(|item| item.string("encrypted_content"));
    sealed.is_some_and(|sealed| !sealed.is_empty())
}

fn usage(counts: &Object<'_>) -> Usage {
    let count = |name| counts.number(name).unwrap_or_default();
    let details = counts.object("input_tokens_details");
    let detail = |name| details.as_ref().and_then(|details| details.number(name)).unwrap_or_default();
    Usage {
        input: count("input_tokens"),
        output: count("output_tokens"),
        cache_read: detail("cached_tokens"),
        cache_write: detail("cache_write_tokens"),
    }
}

fn merge(answers: &Answers<'_>) -> Option<String> {
    let (first, last) = (Object::parse(answers.first)?, Object::parse(answers.last)?);
    let mut edits = identity(&last, |key| first.get(key).map(Raw::text));
    let filler = answers.ending.filler.then(|| filler(&first.string("id").unwrap_or_default()));
    let items = answers.blocks.iter().map(|block| block.raw.as_str()).chain(filler.as_deref());
    edits.push((last.get("output")?.span(), format!("[{}]", items.collect::<Vec<_>>().join(","))));
    edits.extend(counts(&last, answers.ending));
    edits.extend(without_tool(&last, answers.tool));
    Some(splice(answers.last, edits))
}

/// Edits that give an answer the identity of another.
fn identity<'a>(answer: &Object<'_>, of: impl Fn(&'static str) -> Option<&'a str>) -> Vec<Edit> {
    let edit = |key| Some((answer.get(key)?.span(), of(key)?.to_owned()));
    IDENTITY.into_iter().filter_map(edit).collect()
}

/// The edits of a `usage` that is to count all rounds' output and the last round's input.
fn counts(answer: &Object<'_>, ending: &Ending) -> Vec<Edit> {
    let (Some(output), Some(usage)) = (ending.output, answer.object("usage")) else {
        return Vec::new();
    };
    let total = usage.number("input_tokens").map(|input| input + output);
    let edit = |key, count: Option<u64>| Some((usage.get(key)?.span(), count?.to_string()));
    [edit("output_tokens", Some(output)), edit("total_tokens", total)].into_iter().flatten().collect()
}

/// Edits that take our tool out of the `tools` that an answer repeats.
pub(super) fn without_tool(answer: &Object<'_>, tool: &str) -> Vec<Edit> {
    if tool.is_empty() {
        return Vec::new();
    }
    let Some((tools, items)) = answer.get("tools").and_then(|tools| Some((tools, tools.array()?))) else {
        return Vec::new();
    };
    let ours = |item: &Raw<'_>| {
        item.object().is_some_and(|item| item.is("type", "function") && item.is("name", tool))
    };
    let keep: Vec<bool> = items.iter().map(|item| !ours(item)).collect();
    keep_elements(tools, &items, &keep)
}

/// The id of a filler in the answer called `answer`.
fn filler_id(answer: &str) -> String {
    format!("msg_{}", answer.strip_prefix("resp_").unwrap_or(answer))
}

fn filler(answer: &str) -> String {
    message(&filler_id(answer), "completed", &format!("[{}]", part(FILLER)))
}

fn message(id: &str, status: &str, content: &str) -> String {
    let id = quoted(id);
    format!(
        "{{\"id\":{id},\"type\":\"message\",\"status\":\"{status}\",\"role\":\"assistant\",\"content\":{content}}}"
    )
}

fn part(text: &str) -> String {
    format!("{{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":{}}}", quoted(text))
}
