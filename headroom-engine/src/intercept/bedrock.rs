//! Bedrock Converse: how its answers are read, continued and put together.

mod capture;
mod stream;

use super::{
    exchange::{Ending, FILLER},
    format::{Answers, Format, Framings},
    raw::{Edit, Object, Raw, quoted, splice},
    round::{Answer, Block, Call, Kind, Round, Stop, Usage},
    stream::Splicer,
};

pub(super) struct Converse;

impl Format for Converse {
    fn round(&self, answer: &Object<'_>, tool: &str) -> Option<Round> {
        let content = answer.object("output")?.object("message")?.get("content")?;
        let blocks: Vec<Block> = content.array()?.into_iter().map(|item| block(item, tool)).collect();
        Some(Round {
            message: message(&blocks),
            blocks,
            stop: stop(&answer.string("stopReason")?),
            usage: answer.object("usage").map(|counts| usage(&counts)).unwrap_or_default(),
            rebuilt: true,
        })
    }

    fn merge(&self, answers: &Answers<'_>) -> String {
        merge(answers).unwrap_or_default()
    }

    fn results(&self, answers: &[Answer], _: &str) -> Vec<String> {
        let result = |answer: &Answer| {
            let status = if answer.is_error { ",\"status\":\"error\"" } else { "" };
            let (id, text) = (quoted(&answer.id), quoted(&answer.text));
            format!("{{\"toolResult\":{{\"toolUseId\":{id},\"content\":[{{\"text\":{text}}}]{status}}}}}")
        };
        answers.iter().map(result).collect()
    }

    fn carry(&self, results: &[String]) -> String {
        format!("{{\"role\":\"user\",\"content\":[{}]}}", results.join(","))
    }

    fn asks_for_structure(&self, request: &Object<'_>) -> bool {
        request.object("outputConfig").and_then(|config| config.object("textFormat")).is_some()
    }

    fn splicer(&self, tool: String, forgets: bool) -> Box<dyn Splicer> {
        Box::new(stream::Stream::new(tool, forgets))
    }

    fn keep_alive(&self) -> &'static [u8] {
        // It has no event that says nothing.
        b""
    }

    fn framings(&self) -> Framings {
        Framings::Frames
    }
}

/// Reads one content block.
pub(super) fn block(raw: Raw<'_>, tool: &str) -> Block {
    let object = raw.object();
    let object = object.as_ref();
    let field = |name| object.and_then(|object| object.get(name));
    let call = field("toolUse").and_then(Raw::object);
    let kind = match (field("text").and_then(Raw::string), call) {
        (_, Some(call)) => {
            let name = call.string("name").unwrap_or_default();
            Kind::Call(Call {
                id: call.string("toolUseId").unwrap_or_default(),
                ours: !tool.is_empty() && name == tool,
                name,
                arguments: call.get("input").map_or("{}", Raw::text).to_owned(),
            })
        }
        (Some(text), None) => Kind::Text(text),
        _ if field("reasoningContent").is_some() => Kind::Thinking,
        // A client's: it says nothing.
        _ if field("cachePoint").is_some() => Kind::Text(String::new()),
        _ => {
            let name = object.and_then(|object| object.members().next().map(|(key, _)| key.to_owned()));
            Kind::Other(name.unwrap_or_default())
        }
    };
    Block { raw: raw.text().to_owned(), kind }
}

/// The assistant message; blank texts, which no request may hold, are left out.
fn message(blocks: &[Block]) -> String {
    let said = blocks.iter().filter(|block| !block.is_blank());
    format!("{{\"role\":\"assistant\",\"content\":{}}}", array(said))
}

fn array<'a>(blocks: impl Iterator<Item = &'a Block>) -> String {
    let raws: Vec<&str> = blocks.map(|block| block.raw.as_str()).collect();
    format!("[{}]", raws.join(","))
}

fn stop(reason: &str) -> Stop {
    match reason {
        "tool_use" | "end_turn" | "stop_sequence" => Stop::Complete,
        _ => Stop::Cut,
    }
}

fn usage(counts: &Object<'_>) -> Usage {
    let count = |name| counts.number(name).unwrap_or_default();
    Usage {
        input: count("inputTokens"),
        output: count("outputTokens"),
        cache_read: count("cacheReadInputTokens"),
        cache_write: count("cacheWriteInputTokens"),
    }
}

fn merge(answers: &Answers<'_>) -> Option<String> {
    let answer = Object::parse(answers.last)?;
    let message = answer.object("output")?.object("message")?;
    let filler = Block { raw: format!("{{\"text\":{}}}", quoted(FILLER)), kind: Kind::Text(String::new()) };
    let seen = answers.blocks.iter().copied().chain(answers.ending.filler.then_some(&filler));
    let mut edits = vec![(message.get("content")?.span(), array(seen))];
    edits.extend(ended(&answer, answers.ending));
    edits.extend(answer.object("usage").into_iter().flat_map(|usage| counts(&usage, answers.ending)));
    Some(splice(answers.last, edits))
}

/// The edit of a stop that named our call alone.
fn ended(stopped: &Object<'_>, ending: &Ending) -> Option<Edit> {
    let reason = stopped.get("stopReason")?;
    let ours = !ending.calls_client && reason.inner() == Some("tool_use");
    ours.then(|| (reason.span(), "\"end_turn\"".to_owned()))
}

/// The edits of usage that is to count all rounds' output and the last round's input.
fn counts(counts: &Object<'_>, ending: &Ending) -> Vec<Edit> {
    let Some(output) = ending.output else { return Vec::new() };
    let now = usage(counts);
    let total = now.input + now.cache_read + now.cache_write + output;
    let edit = |key, count: u64| Some((counts.get(key)?.span(), count.to_string()));
    [edit("outputTokens", output), edit("totalTokens", total)].into_iter().flatten().collect()
}
