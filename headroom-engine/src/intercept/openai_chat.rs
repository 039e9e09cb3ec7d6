//! OpenAI Chat Completions: how its answers are read, continued and put together.

mod capture;
mod stream;

use super::{
    exchange::{Ending, FILLER, Texts},
    format::{Answers, Format},
    raw::{Chars, Edit, Object, Raw, quoted, splice},
    round::{Answer, Block, Call, Kind, Round, Stop, Usage},
    stream::Splicer,
};

/// Stands between the texts of two rounds.
const JOINT: &str = "\n\n";

/// What tells one answer from another; a client sees those of the first round.
const IDENTITY: [&str; 4] = ["id", "created", "model", "system_fingerprint"];

pub(super) struct Chat;

impl Format for Chat {
    fn round(&self, answer: &Object<'_>, tool: &str) -> Option<Round> {
        round(answer, tool)
    }

    fn merge(&self, answers: &Answers<'_>) -> String {
        merged(answers).unwrap_or_default()
    }

    fn results(&self, answers: &[Answer], _: &str) -> Vec<String> {
        results(answers)
    }

    fn neighbours(&self, block: &Block) -> bool {
        block.is_visible() && block.call().is_some()
    }

    fn texts(&self, structured: bool) -> Texts {
        // Text that was streamed cannot be taken back; at least nothing is put between.
        Texts::Joined(if structured { "" } else { JOINT })
    }

    fn asks_for_structure(&self, request: &Object<'_>) -> bool {
        let kind = request.object("response_format").and_then(|format| format.string("type"));
        kind.is_some_and(|kind| kind.starts_with("json"))
    }

    fn splicer(&self, tool: String, _: bool) -> Box<dyn Splicer> {
        Box::new(stream::Stream::new(tool))
    }
}

fn round(answer: &Object<'_>, tool: &str) -> Option<Round> {
    let choices = answer.get("choices")?.array()?;
    let [choice] = choices.as_slice() else {
        return None;
    };
    let choice = choice.object()?;
    let message = choice.get("message")?;
    let fields = message.object()?;
    let mut blocks = Vec::new();
    if let Some(content) = fields.get("content")
        && let Some(text) = content.string().filter(|text| !text.is_empty())
    {
        blocks.push(Block { raw: content.text().to_owned(), kind: Kind::Text(text) });
    }
    let calls = fields.get("tool_calls").and_then(Raw::array).unwrap_or_default();
    blocks.extend(calls.into_iter().map(|item| call(item, tool)));
    Some(Round {
        message: message.text().to_owned(),
        blocks,
        stop: match choice.string("finish_reason") {
            Some(reason) => stop(&reason),
            None => Stop::Complete,
        },
        usage: answer.object("usage").map(|counts| usage(&counts)).unwrap_or_default(),
        rebuilt: true,
    })
}

fn call(raw: Raw<'_>, tool: &str) -> Block {
    let object = raw.object();
    let object = object.as_ref();
    let body = object.and_then(|object| object.object("function").or_else(|| object.object("custom")));
    let field = |name| body.as_ref().and_then(|body| body.string(name));
    let name = field("name").unwrap_or_default();
    let ours = name == tool && object.is_some_and(|object| object.get("custom").is_none());
    let arguments = field("arguments").or_else(|| field("input")).unwrap_or_default();
    let id = object.and_then(|object| object.string("id")).unwrap_or_default();
    Block { raw: raw.text().to_owned(), kind: Kind::Call(Call { id, name, arguments, ours }) }
}

fn stop(reason: &str) -> Stop {
    match reason {
        "length" | "content_filter" => Stop::Cut,
        _ => Stop::Complete,
    }
}

fn usage(counts: &Object<'_>) -> Usage {
    let count = |name| counts.number(name).unwrap_or_default();
    let details = counts.object("prompt_tokens_details");
    let detail = |name| details.as_ref().and_then(|details| details.number(name)).unwrap_or_default();
    Usage {
        input: count("prompt_tokens"),
        output: count("completion_tokens"),
        cache_read: detail("cached_tokens"),
        cache_write: detail("cache_write_tokens"),
    }
}

/// The messages that answer our calls, in their order.
fn results(answers: &[Answer]) -> Vec<String> {
    let result = |answer: &Answer| {
        let (id, text) = (quoted(&answer.id), quoted(&answer.text));
        format!("{{\"role\":\"tool\",\"tool_call_id\":{id},\"content\":{text}}}")
    };
    answers.iter().map(result).collect()
}

fn merged(answers: &Answers<'_>) -> Option<String> {
    let Answers { last, blocks, ending, texts, .. } = *answers;
    let (first, answer) = (Object::parse(answers.first)?, Object::parse(last)?);
    let choice = answer.get("choices")?.array()?.first()?.object()?;
    let message = choice.object("message")?;
    let mut edits = identity(&answer, |key| first.get(key).map(Raw::text));
    if let Some(text) = joined(blocks, ending, texts) {
        edits.push(match message.get("content") {
            Some(old) => (old.span(), text),
            None => message.with(&format!("\"content\":{text}")),
        });
    }
    let calls: Vec<&str> =
        blocks.iter().filter(|block| block.call().is_some()).map(|block| block.raw.as_str()).collect();
    match message.get("tool_calls").filter(|calls| !calls.is_null()) {
        // An empty array no request may hold.
        Some(_) if calls.is_empty() => edits.extend(message.without(|key| key == "tool_calls")),
        Some(old) => edits.push((old.span(), format!("[{}]", calls.join(",")))),
        None => {}
    }
    edits.extend(finish(&choice, ending));
    edits.extend(counts(&answer, ending));
    Some(splice(last, edits))
}

/// The text of all rounds as a literal; `None` if there is none.
fn joined(blocks: &[&Block], ending: &Ending, texts: Texts) -> Option<String> {
    let joint = match texts {
        Texts::Joined(joint) => quoted(joint).trim_matches('"').to_owned(),
        Texts::Blocks | Texts::Last => String::new(),
    };
    let mut inners = blocks
        .iter()
        .filter(|block| block.call().is_none() && block.is_visible())
        .filter_map(|block| Raw::parse(&block.raw)?.inner());
    let Some(first) = inners.next() else {
        return ending.filler.then(|| quoted(FILLER));
    };
    let mut whole = format!("\"{first}");
    for more in inners {
        whole.push_str(&joint);
        whole.push_str(trimmed(more));
    }
    whole.push('"');
    Some(whole)
}

/// The inside of a literal without the white space in front.
fn trimmed(inner: &str) -> &str {
    let mut start = 0;
    for (end, c) in Chars::new(inner) {
        if !c.is_whitespace() {
            break;
        }
        start = end;
    }
    &inner[start..]
}

/// Edits that give an answer the identity of another.
fn identity<'a>(answer: &Object<'_>, of: impl Fn(&'static str) -> Option<&'a str>) -> Vec<Edit> {
    let edit = |key| Some((answer.get(key)?.span(), of(key)?.to_owned()));
    IDENTITY.into_iter().filter_map(edit).collect()
}

/// The edit of a `finish_reason` whose calls were all ours.
fn finish(choice: &Object<'_>, ending: &Ending) -> Option<Edit> {
    let reason = choice.get("finish_reason").filter(|reason| reason.inner() == Some("tool_calls"))?;
    (!ending.calls_client).then(|| (reason.span(), "\"stop\"".to_owned()))
}

/// The edits of a `usage` that is to count all rounds' output and the last round's input.
fn counts(answer: &Object<'_>, ending: &Ending) -> Vec<Edit> {
    let (Some(output), Some(usage)) = (ending.output, answer.object("usage")) else {
        return Vec::new();
    };
    let total = usage.number("prompt_tokens").map(|input| input + output);
    let edit = |key, count: Option<u64>| Some((usage.get(key)?.span(), count?.to_string()));
    [edit("completion_tokens", Some(output)), edit("total_tokens", total)].into_iter().flatten().collect()
}

fn error_event(message: &str) -> bytes::Bytes {
    let message = quoted(message);
    format!(
        "data: {{\"error\":{{\"message\":{message},\"type\":\"server_error\",\"param\":null,\"code\":null}}}}\n\n"
    )
    .into()
}
