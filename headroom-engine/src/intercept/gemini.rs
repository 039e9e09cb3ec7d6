//! Gemini: how its answers are read, continued and put together.

mod stream;

use super::{
    exchange::{Ending, FILLER},
    format::{Answers, Format, Framings},
    raw::{Edit, Object, Raw, quoted, splice},
    round::{Answer, Block, Call, Kind, Round, Stop, Usage},
    stream::Splicer,
};

/// What tells one answer from another; a client sees those of the first round.
const IDENTITY: [&str; 2] = ["responseId", "modelVersion"];

pub(super) struct Gemini;

impl Format for Gemini {
    fn round(&self, answer: &Object<'_>, tool: &str) -> Option<Round> {
        let candidate = candidate(answer)?;
        let content = candidate.object("content");
        let parts = content.as_ref().and_then(|content| content.get("parts")).and_then(Raw::array);
        let parts = parts.unwrap_or_default();
        let mut blocks: Vec<Block> = parts.iter().map(|part| block(*part, tool)).collect();
        let message = message(&blocks);
        sign(&mut blocks);
        Some(Round {
            message,
            blocks,
            stop: candidate.string("finishReason").map_or(Stop::Complete, |reason| stop(&reason)),
            usage: answer.object("usageMetadata").map(|counts| usage(&counts)).unwrap_or_default(),
            rebuilt: true,
        })
    }

    fn merge(&self, answers: &Answers<'_>) -> String {
        merge(answers).unwrap_or_default()
    }

    fn results(&self, answers: &[Answer], tool: &str) -> Vec<String> {
        let result = |answer: &Answer| {
            // A call without an id goes by its name.
            let id = match answer.id == tool {
                true => String::new(),
                false => format!("\"id\":{},", quoted(&answer.id)),
            };
            let key = if answer.is_error { "error" } else { "output" };
            let (name, text) = (quoted(tool), quoted(&answer.text));
            format!("{{\"functionResponse\":{{{id}\"name\":{name},\"response\":{{\"{key}\":{text}}}}}}}")
        };
        answers.iter().map(result).collect()
    }

    fn carry(&self, results: &[String]) -> String {
        format!("{{\"role\":\"user\",\"parts\":[{}]}}", results.join(","))
    }

    fn neighbours(&self, block: &Block) -> bool {
        block.is_visible() && block.call().is_some()
    }

    fn asks_for_structure(&self, request: &Object<'_>) -> bool {
        let config = request.object("generationConfig").or_else(|| request.object("generation_config"));
        let Some(config) = config else { return false };
        let kind = config.string("responseMimeType").or_else(|| config.string("response_mime_type"));
        kind.is_some_and(|kind| kind != "text/plain")
    }

    fn splicer(&self, tool: String, _: bool) -> Box<dyn Splicer> {
        Box::new(stream::Stream::new(tool))
    }

    fn keep_alive(&self) -> &'static [u8] {
        // Some clients read a comment as data; white space is nothing to any of them.
        b"\n"
    }

    fn framings(&self) -> Framings {
        Framings::EventsOrArray
    }
}

/// The one candidate of an answer.
fn candidate<'a>(answer: &Object<'a>) -> Option<Object<'a>> {
    let candidates = answer.get("candidates")?.array()?;
    let [candidate] = candidates.as_slice() else {
        return None;
    };
    candidate.object()
}

/// Reads one part.
pub(super) fn block(raw: Raw<'_>, tool: &str) -> Block {
    let object = raw.object();
    let object = object.as_ref();
    let text = object.and_then(|object| object.string("text"));
    let call =
        object.and_then(|object| object.object("functionCall").or_else(|| object.object("function_call")));
    let thought =
        object.and_then(|object| object.get("thought")).is_some_and(|thought| thought.text() == "true");
    let kind = match (text, call) {
        (_, Some(call)) => {
            let name = call.string("name").unwrap_or_default();
            Kind::Call(Call {
                id: call.string("id").unwrap_or_else(|| name.clone()),
                ours: !tool.is_empty() && name == tool,
                name,
                arguments: call.get("args").map_or("", Raw::text).to_owned(),
            })
        }
        (Some(_), None) if thought => Kind::Thinking,
        (Some(text), None) => Kind::Text(text),
        (None, None) => {
            let aside = |key: &&str| matches!(*key, "thought" | "thoughtSignature");
            let mut keys = object.iter().flat_map(|object| object.members()).map(|(key, _)| key);
            Kind::Other(keys.find(|key| !aside(key)).unwrap_or_default().to_owned())
        }
    };
    Block { raw: raw.text().to_owned(), kind }
}

fn message(blocks: &[Block]) -> String {
    let parts: Vec<&str> = blocks.iter().map(|block| block.raw.as_str()).collect();
    format!("{{\"role\":\"model\",\"parts\":[{}]}}", parts.join(","))
}

/// The signature beside a part, as a literal.
fn signature(part: &str) -> Option<String> {
    let part = Object::parse(part)?;
    part.get("thoughtSignature").map(|signature| signature.text().to_owned())
}

/// The part with a signature beside it; `None` if it has one.
fn signed(part: &str, signature: &str) -> Option<String> {
    let object = Object::parse(part)?;
    if object.get("thoughtSignature").is_some() {
        return None;
    }
    Some(splice(part, vec![object.with(&format!("\"thoughtSignature\":{signature}"))]))
}

/// Of parallel calls only the first is signed, and no request may come without that signature: where
/// the first is ours, the client's first gets it.
fn sign(blocks: &mut [Block]) {
    let Some(first) = blocks.iter().find(|block| block.call().is_some()) else { return };
    let Some(signature) = signature(&first.raw).filter(|_| first.is_ours()) else { return };
    if let Some(next) = blocks.iter_mut().find(|block| block.call().is_some_and(|call| !call.ours))
        && let Some(signed) = signed(&next.raw, &signature)
    {
        next.raw = signed;
    }
}

/// The edits that take from `part` a signature that is one of those of `calls`.
pub(super) fn unsign(part: Raw<'_>, calls: &[(u32, String)]) -> Vec<Edit> {
    let Some(object) = part.object() else { return Vec::new() };
    let Some(own) = object.get("thoughtSignature") else { return Vec::new() };
    let ours = calls.iter().any(|(_, call)| signature(call).as_deref() == Some(own.text()));
    if ours { object.without(|key| key == "thoughtSignature") } else { Vec::new() }
}

fn stop(reason: &str) -> Stop {
    if reason == "STOP" { Stop::Complete } else { Stop::Cut }
}

fn usage(counts: &Object<'_>) -> Usage {
    let count = |name| counts.number(name).unwrap_or_default();
    Usage {
        input: count("promptTokenCount"),
        output: count("candidatesTokenCount") + count("thoughtsTokenCount"),
        cache_read: count("cachedContentTokenCount"),
        cache_write: 0,
    }
}

fn merge(answers: &Answers<'_>) -> Option<String> {
    let (first, last) = (Object::parse(answers.first)?, Object::parse(answers.last)?);
    let candidate = candidate(&last)?;
    let mut edits = identity(&last, |key| first.get(key).map(Raw::text));
    let filler = answers.ending.filler.then(filler);
    let parts = answers.blocks.iter().map(|block| block.raw.as_str()).chain(filler.as_deref());
    edits.push(with_parts(&candidate, &parts.collect::<Vec<_>>().join(",")));
    edits.extend(counts(&last, answers.ending));
    Some(splice(answers.last, edits))
}

/// The edit that gives a candidate these parts.
fn with_parts(candidate: &Object<'_>, parts: &str) -> Edit {
    match candidate.get("content").and_then(|content| Some((content, content.object()?))) {
        Some((_, content)) => match content.get("parts") {
            Some(old) => (old.span(), format!("[{parts}]")),
            None => content.with(&format!("\"parts\":[{parts}]")),
        },
        None => candidate.with(&format!("\"content\":{{\"parts\":[{parts}],\"role\":\"model\"}}")),
    }
}

/// Edits that give an answer the identity of another.
fn identity<'a>(answer: &Object<'_>, of: impl Fn(&'static str) -> Option<&'a str>) -> Vec<Edit> {
    let edit = |key| Some((answer.get(key)?.span(), of(key)?.to_owned()));
    IDENTITY.into_iter().filter_map(edit).collect()
}

/// The edits of usage that is to count all rounds' output and the last round's input.
fn counts(answer: &Object<'_>, ending: &Ending) -> Vec<Edit> {
    let (Some(output), Some(usage)) = (ending.output, answer.object("usageMetadata")) else {
        return Vec::new();
    };
    let thoughts = usage.number("thoughtsTokenCount").unwrap_or_default();
    let total = usage.number("promptTokenCount").map(|input| input + output);
    let edit = |key, count: Option<u64>| Some((usage.get(key)?.span(), count?.to_string()));
    let said = Some(output.saturating_sub(thoughts));
    [edit("candidatesTokenCount", said), edit("totalTokenCount", total)].into_iter().flatten().collect()
}

fn filler() -> String {
    format!("{{\"text\":{}}}", quoted(FILLER))
}
