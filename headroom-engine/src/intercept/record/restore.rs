//! Puts a record back into a later request, as insertions and deletions over its bytes.

use std::ops::Range;

use super::{Digest, Mixed, Restoration};
#[cfg(feature = "bedrock")]
use crate::intercept::bedrock;
use crate::{
    intercept::{
        anthropic, gemini, openai_responses,
        raw::{Chars, Edit, Object, Raw, decode, keep_elements, keep_of_run},
        round::{Block, Kind},
    },
    wire::Dialect,
};

/// An assistant turn in a request.
#[derive(Clone, Debug)]
pub(crate) struct TurnView<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) body: &'a str,
    /// Where the assistant message stands.
    pub(crate) message: Range<usize>,
    /// Where the message behind it stands.
    pub(crate) next: Option<Range<usize>>,
}

/// The edits that put back what `record`, a ledger record's value, hides in `turn`.
///
/// They lie within the assistant message, before it, behind it, or are insertions at the ends of the
/// next message's content; no tool result is touched. `None` if the turn is not as the client was given it, up to white space, thinking, `cache_control` and the
/// cut of its texts: the request is then valid as it is.
pub(crate) fn restore<'a>(record: &[u8], turn: &TurnView<'a>) -> Option<Vec<Edit>> {
    let restoration = Restoration::decode(record)?;
    let said = |role: &str| value(turn, &turn.message)?.object().filter(|message| message.is("role", role));
    let mut edits = match turn.dialect {
        Dialect::AnthropicMessages => content(&restoration, said("assistant")?.get("content")?, &ANTHROPIC)?,
        #[cfg(feature = "bedrock")]
        Dialect::BedrockConverse => content(&restoration, said("assistant")?.get("content")?, &CONVERSE)?,
        Dialect::Gemini => content(&restoration, said("model")?.get("parts")?, &GEMINI)?,
        Dialect::OpenAiChat => parts(&restoration, &said("assistant")?)?,
        Dialect::OpenAiResponses => {
            let (run, items) = Raw::run(turn.body, turn.message.clone())?;
            let (keep, edits) = blocks(&restoration, &items, &RESPONSES)?;
            edits.into_iter().chain(keep_of_run(run, &items, &keep)).collect()
        }
    };
    if let Some(mixed) = &restoration.mixed {
        let next = turn.next.as_ref()?;
        match turn.dialect {
            Dialect::AnthropicMessages | Dialect::Gemini => {
                results(mixed, &value(turn, next)?.object()?, &mut edits)?;
            }
            #[cfg(feature = "bedrock")]
            Dialect::BedrockConverse => results(mixed, &value(turn, next)?.object()?, &mut edits)?,
            Dialect::OpenAiChat | Dialect::OpenAiResponses => {
                let end = turn.message.end;
                edits.push((end..end, format!(",{}", mixed.results.join(","))));
            }
        }
    }
    if !restoration.hidden.is_empty() {
        let start = turn.message.start;
        edits.push((start..start, format!("{},", restoration.hidden)));
    }
    Some(edits)
}

/// The value in a span of the body, with offsets of the body.
fn value<'a>(turn: &TurnView<'a>, span: &Range<usize>) -> Option<Raw<'a>> {
    Raw::within(turn.body, span.clone())
}

/// How a dialect's blocks are read.
struct Reader {
    block: fn(Raw<'_>) -> Block,
    /// The literals that a block's text stands in.
    literals: for<'a> fn(Raw<'a>) -> Option<Vec<Raw<'a>>>,
    /// Our calls stand among the client's, not among all blocks.
    among_calls: bool,
}

const ANTHROPIC: Reader =
    Reader { block: |item| anthropic::block(item, ""), literals: text_field, among_calls: false };

#[cfg(feature = "bedrock")]
const CONVERSE: Reader =
    Reader { block: |item| bedrock::block(item, ""), literals: text_field, among_calls: false };

const GEMINI: Reader =
    Reader { block: |item| gemini::block(item, ""), literals: text_field, among_calls: true };

const RESPONSES: Reader = Reader {
    block: |item| openai_responses::block(item, ""),
    literals: openai_responses::literals,
    among_calls: true,
};

fn text_field(item: Raw<'_>) -> Option<Vec<Raw<'_>>> {
    Some(vec![item.object()?.get("text")?])
}

/// A string, or an array of blocks.
fn content(restoration: &Restoration, content: Raw<'_>, reader: &Reader) -> Option<Vec<Edit>> {
    if content.inner().is_some() {
        return if restoration.mixed.is_some() { None } else { text(restoration, content) };
    }
    let items = content.array()?;
    let (keep, mut edits) = blocks(restoration, &items, reader)?;
    edits.extend(keep_elements(content, &items, &keep));
    Some(edits)
}

/// Takes the earlier rounds' blocks away and puts our calls among the others: which to keep, and the
/// edits within those.
fn blocks(restoration: &Restoration, items: &[Raw<'_>], reader: &Reader) -> Option<(Vec<bool>, Vec<Edit>)> {
    let mut prefix = Prefix::new(&restoration.prefix);
    let mut wanted = restoration.earlier.iter();
    let mut thinking = restoration.thinking.clone();
    let mut keep = Vec::with_capacity(items.len());
    let mut kept = false;
    let mut edits = Vec::new();
    let mut visible: Vec<Raw<'_>> = Vec::new();
    let mut neighbours: Vec<Raw<'_>> = Vec::new();
    // Pieces of one text that the client has cut.
    let mut pieces = String::new();
    for item in items {
        let block = (reader.block)(*item);
        let gone = if block.is_thinking() {
            let digest = Digest::of(&block);
            let place = thinking.iter().position(|earlier| *earlier == digest);
            place.map(|place| thinking.remove(place)).is_some()
        } else if !block.is_visible() {
            visible.is_empty() && !restoration.hidden.is_empty()
        } else if wanted.len() == 0 {
            false
        } else if wanted.as_slice().first() == Some(&Digest::of(&block)) {
            wanted.next();
            if let Kind::Text(_) = &block.kind {
                for literal in (reader.literals)(*item)? {
                    prefix.consume(literal.inner()?)?;
                }
            }
            true
        } else {
            // The client has put several texts into one.
            if !prefix.left() {
                return None;
            }
            let literals = (reader.literals)(*item)?;
            let [text] = literals.as_slice() else {
                return None;
            };
            let inner = text.inner()?;
            let end = prefix.consume(inner)?;
            if inner[end..].is_empty() {
                pieces.push_str(&decode(inner));
                if wanted.as_slice().first() == Some(&Digest::text(&pieces)) {
                    wanted.next();
                    pieces.clear();
                }
                true
            } else {
                let start = text.span().start + 1;
                edits.push((start..start + end, String::new()));
                wanted = [].iter();
                false
            }
        };
        if gone && kept {
            return None;
        }
        kept |= !gone;
        keep.push(!gone);
        if !gone && block.is_visible() {
            visible.push(*item);
            if block.call().is_some() || !reader.among_calls {
                neighbours.push(*item);
            }
        }
    }
    if wanted.len() > 0 || visible.is_empty() {
        return None;
    }
    if let Some(mixed) = &restoration.mixed {
        insert(mixed, &neighbours, &mut edits)?;
        // A signature that the client held for our call is ours again.
        edits.extend(neighbours.iter().flat_map(|call| gemini::unsign(*call, &mixed.calls)));
    }
    Some((keep, edits))
}

/// OpenAI: takes the earlier rounds' text away and puts our calls among the others.
fn parts(restoration: &Restoration, message: &Object<'_>) -> Option<Vec<Edit>> {
    let calls = message.get("tool_calls").and_then(Raw::array).unwrap_or_default();
    let mut edits = match message.get("content") {
        Some(content) if !content.is_null() => match (text(restoration, content), calls.is_empty()) {
            (Some(edits), _) => edits,
            // Nothing but the earlier text stood there.
            (None, false) if is_spent(restoration, content) => vec![(content.span(), "null".to_owned())],
            _ => return None,
        },
        _ if Prefix::new(&restoration.prefix).left() => return None,
        _ => Vec::new(),
    };
    if let Some(mixed) = &restoration.mixed {
        insert(mixed, &calls, &mut edits)?;
    }
    Some(edits)
}

/// Takes the earlier text off a string, or off an array of text parts. `None` if nothing is left.
fn text(restoration: &Restoration, content: Raw<'_>) -> Option<Vec<Edit>> {
    let mut prefix = Prefix::new(&restoration.prefix);
    if !prefix.left() {
        return Some(Vec::new());
    }
    let take = |prefix: &mut Prefix, literal: Raw<'_>| {
        let inner = literal.inner()?;
        let end = prefix.consume(inner)?;
        let start = literal.span().start + 1;
        Some(((start..start + end, String::new()), end < inner.len()))
    };
    if content.inner().is_some() {
        let (edit, rest) = take(&mut prefix, content)?;
        return (rest && !prefix.left()).then(|| vec![edit]);
    }
    let items = content.array()?;
    let mut keep = vec![true; items.len()];
    let mut edits = Vec::new();
    for (item, keep) in items.iter().zip(&mut keep) {
        if !prefix.left() {
            break;
        }
        let (edit, rest) = take(&mut prefix, item.object()?.get("text")?)?;
        if rest {
            edits.push(edit);
        } else {
            *keep = false;
        }
    }
    edits.extend(keep_elements(content, &items, &keep));
    (keep.contains(&true) && !prefix.left()).then_some(edits)
}

/// Whether `content` is the earlier text and no more.
fn is_spent(restoration: &Restoration, content: Raw<'_>) -> bool {
    let mut prefix = Prefix::new(&restoration.prefix);
    let literals: Option<Vec<Raw<'_>>> = match content.array() {
        Some(items) => items.iter().map(|item| item.object()?.get("text")).collect(),
        None => Some(vec![content]),
    };
    let spent =
        |literal: &Raw<'_>| literal.inner().is_some_and(|inner| prefix.consume(inner) == Some(inner.len()));
    literals.is_some_and(|literals| literals.iter().all(spent)) && !prefix.left()
}

/// Puts our calls back between those of the client.
fn insert(mixed: &Mixed, visible: &[Raw<'_>], edits: &mut Vec<Edit>) -> Option<()> {
    if visible.len() != mixed.visible as usize {
        return None;
    }
    for (before, call) in &mixed.calls {
        edits.push(match visible.get(*before as usize) {
            Some(block) => (block.span().start..block.span().start, format!("{call},")),
            None => {
                let end = visible.last()?.span().end;
                (end..end, format!(",{call}"))
            }
        });
    }
    Some(())
}

/// Puts our results at the head of the user message that holds the client's.
fn results(mixed: &Mixed, next: &Object<'_>, edits: &mut Vec<Edit>) -> Option<()> {
    let content = next.get("content").or_else(|| next.get("parts"))?;
    if !next.is("role", "user") {
        return None;
    }
    let (start, end) = (content.span().start, content.span().end);
    let results = mixed.results.join(",");
    if content.inner().is_some() {
        edits.push((start..start, format!("[{results},{{\"type\":\"text\",\"text\":")));
        edits.push((end..end, "}]".to_owned()));
    } else {
        let comma = if content.array()?.is_empty() { "" } else { "," };
        edits.push((start + 1..start + 1, format!("{results}{comma}")));
    }
    Some(())
}

/// Text that is expected, white space aside.
struct Prefix {
    expected: std::vec::IntoIter<char>,
}

impl Prefix {
    fn new(text: &str) -> Self {
        let letters: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
        Self { expected: letters.into_iter() }
    }

    fn left(&self) -> bool {
        self.expected.len() > 0
    }

    /// Takes what is expected, and the white space behind it, off the inside of a literal; returns
    /// where the rest starts. `None` if something else stands there.
    fn consume(&mut self, inner: &str) -> Option<usize> {
        let mut end = 0;
        for (behind, c) in Chars::new(inner) {
            if !c.is_whitespace() {
                let Some(expected) = self.expected.next() else {
                    break;
                };
                if expected != c {
                    return None;
                }
            }
            end = behind;
        }
        Some(end)
    }
}
