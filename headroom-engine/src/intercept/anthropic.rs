//! Anthropic Messages: how its answers are read, continued and put together.

mod capture;
mod stream;

use super::{
    exchange::FILLER,
    format::{Answers, Format},
    picture::Picture,
    raw::{Object, Raw, quoted, splice},
    round::{Answer, Block, Call, Kind, Round, Stop, Usage},
    stream::Splicer,
};

pub(super) struct Messages;

impl Format for Messages {
    fn round(&self, answer: &Object<'_>, tool: &str) -> Option<Round> {
        round(answer, tool)
    }

    fn merge(&self, answers: &Answers<'_>) -> String {
        merge(answers)
    }

    fn results(&self, answers: &[Answer], _: &str) -> Vec<String> {
        results(answers)
    }

    fn shows_pictures(&self) -> bool {
        true
    }

    fn carry(&self, results: &[String]) -> String {
        format!("{{\"role\":\"user\",\"content\":[{}]}}", results.join(","))
    }

    fn prompt(&self, usage: &Usage) -> u64 {
        usage.input + usage.cache_read + usage.cache_write
    }

    fn asks_for_structure(&self, request: &Object<'_>) -> bool {
        request.object("output_config").and_then(|config| config.object("format")).is_some()
            || request.object("output_format").is_some()
    }

    fn splicer(&self, tool: String, forgets: bool) -> Box<dyn Splicer> {
        Box::new(stream::Stream::new(tool, forgets))
    }

    fn keep_alive(&self) -> &'static [u8] {
        b"event: ping\ndata: {\"type\": \"ping\"}\n\n"
    }

    #[cfg(feature = "bedrock")]
    fn framings(&self) -> super::format::Framings {
        super::format::Framings::EventsOrFrames
    }

    #[cfg(feature = "bedrock")]
    fn keep_alive_frame(&self) -> bytes::Bytes {
        crate::eventstream::chunk("{\"type\":\"ping\"}")
    }
}

fn round(answer: &Object<'_>, tool: &str) -> Option<Round> {
    let content = answer.get("content")?;
    let blocks: Vec<Block> = content.array()?.into_iter().map(|item| block(item, tool)).collect();
    let message = if blocks.iter().any(Block::is_blank) {
        message(&blocks)
    } else {
        format!("{{\"role\":\"assistant\",\"content\":{}}}", content.text())
    };
    Some(Round {
        message,
        blocks,
        stop: stop(answer.string("stop_reason").as_deref()),
        usage: answer.object("usage").map(|counts| usage(&counts)).unwrap_or_default(),
        rebuilt: true,
    })
}

/// Reads one content block.
pub(super) fn block(raw: Raw<'_>, tool: &str) -> Block {
    let object = raw.object();
    let field = |name| object.as_ref().and_then(|object| object.string(name)).unwrap_or_default();
    let kind = field("type");
    let kind = match kind.as_str() {
        "text" => Kind::Text(field("text")),
        "thinking" | "redacted_thinking" => Kind::Thinking,
        "tool_use" => {
            let name = field("name");
            let input = object.as_ref().and_then(|object| object.get("input"));
            let arguments = input.map_or("{}", Raw::text).to_owned();
            Kind::Call(Call { id: field("id"), ours: !tool.is_empty() && name == tool, name, arguments })
        }
        _ => Kind::Other(kind),
    };
    Block { raw: raw.text().to_owned(), kind }
}

/// The assistant message; blank texts, which no request may hold, are left out.
fn message(blocks: &[Block]) -> String {
    format!(
        "{{\"role\":\"assistant\",\"content\":{}}}",
        array(blocks.iter().filter(|block| !block.is_blank()))
    )
}

fn array<'a>(blocks: impl Iterator<Item = &'a Block>) -> String {
    let raws: Vec<&str> = blocks.map(|block| block.raw.as_str()).collect();
    format!("[{}]", raws.join(","))
}

fn stop(reason: Option<&str>) -> Stop {
    match reason {
        Some("tool_use" | "end_turn" | "stop_sequence") => Stop::Complete,
        _ => Stop::Cut,
    }
}

fn usage(counts: &Object<'_>) -> Usage {
    let count = |name| counts.number(name).unwrap_or_default();
    Usage {
        input: count("input_tokens"),
        output: count("output_tokens"),
        cache_read: count("cache_read_input_tokens"),
        cache_write: count("cache_creation_input_tokens"),
    }
}

/// The blocks that answer our calls.
fn results(answers: &[Answer]) -> Vec<String> {
    answers
        .iter()
        .map(|answer| {
            let error = if answer.is_error { ",\"is_error\":true" } else { "" };
            let content = match &answer.picture {
                None => quoted(&answer.text),
                Some(picture) => format!("[{},{}]", text_block(&answer.text), image_block(picture)),
            };
            format!(
                "{{\"type\":\"tool_result\",\"tool_use_id\":{},\"content\":{content}{error}}}",
                quoted(&answer.id)
            )
        })
        .collect()
}

fn merge(answers: &Answers<'_>) -> String {
    let Answers { last, blocks, ending, .. } = *answers;
    let (Some(first), Some(answer)) = (Object::parse(answers.first), Object::parse(last)) else {
        return String::new();
    };
    let mut edits = Vec::new();
    for key in ["id", "model"] {
        if let (Some(old), Some(new)) = (answer.get(key), first.get(key)) {
            edits.push((old.span(), new.text().to_owned()));
        }
    }
    let filler = Block { raw: text_block(FILLER), kind: Kind::Text(String::new()) };
    if let Some(content) = answer.get("content") {
        let seen = blocks.iter().copied().chain(ending.filler.then_some(&filler));
        edits.push((content.span(), array(seen)));
    }
    if let Some(reason) = answer.get("stop_reason")
        && !ending.calls_client
        && reason.inner() == Some("tool_use")
    {
        edits.push((reason.span(), "\"end_turn\"".to_owned()));
    }
    if let Some(counted) = answer.object("usage").and_then(|usage| usage.get("output_tokens"))
        && let Some(output) = ending.output
    {
        edits.push((counted.span(), output.to_string()));
    }
    splice(last, edits)
}

fn text_block(text: &str) -> String {
    format!("{{\"type\":\"text\",\"text\":{}}}", quoted(text))
}

fn image_block(picture: &Picture) -> String {
    let (media_type, data) = (quoted(&picture.media_type), quoted(&picture.data));
    format!(
        "{{\"type\":\"image\",\"source\":{{\"type\":\"base64\",\"media_type\":{media_type},\"data\":{data}}}}}"
    )
}

fn error_event(message: &str, framed: bool) -> bytes::Bytes {
    #[cfg(feature = "bedrock")]
    if framed {
        return crate::eventstream::exception("modelStreamErrorException", message);
    }
    event(
        framed,
        "error",
        &format!(
            "{{\"type\":\"error\",\"error\":{{\"type\":\"api_error\",\"message\":{}}}}}",
            quoted(message)
        ),
    )
}

/// An event of ours; one of a stream that comes in frames is one of those.
#[cfg_attr(not(feature = "bedrock"), expect(unused_variables, reason = "there are none"))]
fn event(framed: bool, name: &str, data: &str) -> bytes::Bytes {
    #[cfg(feature = "bedrock")]
    if framed {
        return crate::eventstream::chunk(data);
    }
    format!("event: {name}\ndata: {data}\n\n").into()
}
