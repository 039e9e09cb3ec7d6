//! Images of a request: shown smaller where that is cheaper, and named where they stand already.
//!
//! A smaller image takes the place of its original, and a marker in front of it says how large that
//! is and redeems it. An image that the conversation showed before leaves a marker that names the
//! earlier one. Both only where our tool's answers may hold an image: what the model cannot have back
//! stays. What becomes of an image depends on the conversation up to it alone.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::{
    ccr::{Handle, Marker, Unit, is_retrieval_name, plan::Treatment},
    compress::{Provider, image_size, shrink},
    engine::Inner,
    history,
    memo::{Key, Outcome},
    originals::IMAGE,
    policy::{Policy, ToolPolicy},
    reduce::Hidden,
    report::{BlockReport, Reason},
    wire::{
        BlockKind, Conversation, Dialect,
        image::{Data, Image, images},
        splice::{Edit, Text},
        text::quote,
    },
};

/// The images of one request, under its policy.
pub(crate) struct Images<'a> {
    engine: &'a Inner,
    body: &'a str,
    conversation: &'a Conversation,
    policy: &'a Policy,
    dialect: Dialect,
    provider: Provider,
    epoch: [u8; 32],
    /// The model may be asked where something stands in an image.
    points: bool,
    found: Vec<Image>,
}

/// What becomes of one image.
pub(crate) struct Change<'a> {
    pub(crate) edits: Vec<Edit>,
    pub(crate) data: &'a Data,
    pub(crate) report: BlockReport,
}

/// What is done with an image: the number of the same one before it, if there is one.
#[derive(Clone, Copy)]
struct Task<'a> {
    number: usize,
    image: &'a Image,
    data: &'a Data,
    twin: Option<usize>,
    key: Key,
}

impl<'a> Images<'a> {
    /// The images that `policy` lets us touch; `None` if it lets us touch none.
    pub(crate) fn find(
        engine: &'a Inner,
        dialect: Dialect,
        body: &'a str,
        conversation: &'a Conversation,
        treatment: Treatment,
        policy: &'a Policy,
    ) -> Option<Self> {
        let provider = match dialect {
            Dialect::AnthropicMessages => Provider::Anthropic,
            Dialect::OpenAiResponses => Provider::OpenAi,
            _ => return None,
        };
        // A caller that redeems by itself is answered in text.
        if !policy.shows_images_smaller() || !matches!(treatment, Treatment::Transparent(_)) {
            return None;
        }
        let found = images(dialect, body, conversation);
        let points = conversation.tools.as_ref().is_some_and(|tools| may_point(&body[tools.span.clone()]));
        let epoch = policy.epoch(&engine.facts);
        (!found.is_empty()).then_some(Self {
            engine,
            body,
            conversation,
            policy,
            dialect,
            provider,
            epoch,
            points,
            found,
        })
    }

    /// A measure of the work on images that the memo does not know, in bytes.
    pub(crate) fn new_bytes(&self) -> usize {
        let unseen = |task: &Task<'_>| !self.engine.memo.contains(&task.key);
        self.tasks().iter().filter(|task| unseen(task)).map(|task| task.data.text.range.len()).sum()
    }

    /// What becomes of each image that changes, in order.
    pub(crate) fn changes(&self) -> Vec<Change<'_>> {
        self.tasks().into_iter().filter_map(|task| self.change(task)).collect()
    }

    fn tasks(&self) -> Vec<Task<'_>> {
        let mut before: HashMap<[u8; 32], usize> = HashMap::new();
        let mut tasks = Vec::new();
        for (at, image) in self.found.iter().enumerate() {
            let Some(data) = &image.data else { continue };
            let number = at + 1;
            let mut hasher = blake3::Hasher::new();
            hasher.update(&history::text_digest(self.body, &data.text));
            hasher.update(data.media_type.as_deref().unwrap_or_default().as_bytes());
            let digest = *hasher.finalize().as_bytes();
            let twin = before.get(&digest).copied().filter(|_| self.policy.refers());
            before.entry(digest).or_insert(number);
            let shrinks = !self.points && !data.low;
            if (twin.is_some() || shrinks) && self.may_touch(image) {
                let key = self.key(&digest, number, twin);
                tasks.push(Task { number, image, data, twin, key });
            }
        }
        tasks
    }

    /// Whether the policy lets us touch what holds the image.
    fn may_touch(&self, image: &Image) -> bool {
        let block = &self.conversation.messages[image.message].blocks[image.block];
        let BlockKind::Result { is_error, .. } = &block.kind else { return true };
        let tool = self.tool(image);
        !is_error
            && !is_retrieval_name(&tool, self.policy.retrieval_tool())
            && self.policy.for_tool(&tool) == ToolPolicy::Retrievable
    }

    /// The tool that returned the image; empty if unknown.
    fn tool(&self, image: &Image) -> String {
        let messages = &self.conversation.messages;
        let BlockKind::Result { call: Some(call), .. } = &messages[image.message].blocks[image.block].kind
        else {
            return String::new();
        };
        let calls = messages[..=image.message].iter().rev().flat_map(|message| &message.blocks);
        let mut names = calls.filter_map(|block| match &block.kind {
            BlockKind::Call { id: Some(id), name, .. } if id.raw(self.body) == call.raw(self.body) => {
                name.as_ref()
            }
            _ => None,
        });
        names.next().and_then(|name| name.decode(self.body)).unwrap_or_default().into_owned()
    }

    fn key(&self, digest: &[u8; 32], number: usize, twin: Option<usize>) -> Key {
        let mut hasher = blake3::Hasher::new_keyed(self.engine.key.bytes());
        hasher.update(b"image").update(&self.epoch).update(digest);
        hasher.update(self.dialect.name().as_bytes());
        for number in [number, twin.unwrap_or_default()] {
            hasher.update(&(number as u64).to_le_bytes());
        }
        *hasher.finalize().as_bytes()
    }

    fn change<'b>(&'b self, task: Task<'b>) -> Option<Change<'b>> {
        let outcome = self.engine.memo.get(&task.key).unwrap_or_else(|| {
            let work = AssertUnwindSafe(|| self.outcome(&task));
            let failed = || Outcome::kept(Some(IMAGE), Reason::Panicked);
            let outcome = Arc::new(catch_unwind(work).ok().unwrap_or_else(failed));
            self.engine.memo.insert(task.key, Arc::clone(&outcome));
            outcome
        });
        let hidden = outcome.hidden.first()?;
        let (marker, literal) = outcome.literal.split_at(hidden.marker.end);
        let span = task.image.span.clone();
        let edits = match task.twin {
            Some(_) => vec![Edit { span, text: self.text_part(marker, &task.data.beside).into() }],
            None => vec![
                Edit { span: span.start..span.start, text: (self.text_part(marker, &[]) + ",").into() },
                Edit { span: task.data.text.range.clone(), text: literal.into() },
            ],
        };
        let report = BlockReport {
            message: task.image.message,
            block: task.image.block,
            part: task.image.part.unwrap_or_default(),
            tool: self.tool(task.image).into(),
            kind: outcome.kind,
            parts: 1,
            reason: outcome.reason,
            tokens_in: outcome.tokens_in,
            tokens_out: outcome.tokens_out,
            tokens_exact: outcome.tokens_exact,
            hidden: outcome.hidden.to_vec(),
        };
        Some(Change { edits, data: task.data, report })
    }

    /// A part of a message that says `text`; `beside` are its other members.
    fn text_part(&self, text: &str, beside: &[(String, std::ops::Range<usize>)]) -> String {
        let kind = if self.dialect == Dialect::AnthropicMessages { "text" } else { "input_text" };
        let mut part = format!("{{\"type\":\"{kind}\",\"text\":");
        quote(text, &mut part);
        for (key, value) in beside {
            part.push(',');
            quote(key, &mut part);
            part.push(':');
            part.push_str(&self.body[value.clone()]);
        }
        part.push('}');
        part
    }

    /// The image, for the first time.
    fn outcome(&self, task: &Task<'_>) -> Outcome {
        let Some(url) = task.data.url(self.body) else { return Outcome::kept(None, Reason::NotText) };
        let Some((media_type, bytes)) = decode(&url) else {
            return Outcome::kept(None, Reason::NoSpecialist);
        };
        let number = task.number;
        let (note, literal, tokens_in, tokens_out) = if let Some(twin) = task.twin {
            let Some((width, height)) = image_size(&bytes, media_type) else {
                return Outcome::kept(None, Reason::NoSpecialist);
            };
            (format!("the same as image {twin}"), String::new(), self.provider.tokens(width, height), 0)
        } else {
            let Some(small) = shrink(&bytes, media_type, self.provider) else {
                return Outcome::kept(Some(IMAGE), Reason::NothingToGain);
            };
            let ((width, height), (w, h)) = (small.size_in, small.size);
            let data = BASE64_STANDARD.encode(&small.bytes);
            let literal = match &task.data.media_type {
                Some(_) => format!("\"{data}\""),
                None => format!("\"{}{data}\"", &url[..url.len() - url_data(&url).len()]),
            };
            (format!("{width}x{height}, here {w}x{h}"), literal, small.tokens_in, small.tokens_out)
        };
        let handle = Handle::new(&self.engine.key, IMAGE, &url);
        let marker = Marker::new(Unit::Images, number, number, &note, Some(handle)).to_string();
        let count = |tokens: u64| usize::try_from(tokens).unwrap_or(usize::MAX);
        let (tokens_in, tokens_out) = (count(tokens_in), count(tokens_out));
        let tokens_out = tokens_out + self.engine.counter.count(&marker) + AROUND;
        // What is still visible elsewhere is hardly asked for.
        let least = if task.twin.is_some() { 0 } else { self.policy.hidden_limit() };
        if tokens_out + least.max(LEAST).max(tokens_in / 20) > tokens_in {
            let kept = Outcome::kept(Some(IMAGE), Reason::NotSmaller);
            return Outcome { tokens_in, tokens_out: tokens_in, ..kept };
        }
        let hidden = Hidden { range: 0..0, original: 0..0, handle, marker: 0..marker.len() };
        Outcome {
            reason: Reason::Elided,
            literal: Text::known(marker + &literal),
            tokens_in,
            tokens_out,
            tokens_exact: tokens_in,
            hidden: [hidden].into(),
            ..Outcome::kept(Some(IMAGE), Reason::Elided)
        }
    }
}

/// Tokens of a part around its text.
const AROUND: usize = 6;
/// The fewest tokens worth a change.
const LEAST: usize = 8;

/// Whether tools with these definitions take places in an image: those of a smaller one are others.
fn may_point(tools: &str) -> bool {
    const WORDS: [&str; 5] = ["coordinate", "click", "computer", "screenshot", "bounding"];
    WORDS.iter().any(|word| memchr::memmem::find(tools.as_bytes(), word.as_bytes()).is_some())
}

/// The base64 behind a data URL's head.
fn url_data(url: &str) -> &str {
    url.split_once(',').map_or("", |(_, data)| data)
}

/// The media type and the bytes of a data URL.
fn decode(url: &str) -> Option<(&str, Vec<u8>)> {
    let (head, data) = url.strip_prefix("data:")?.split_once(',')?;
    Some((head.strip_suffix(";base64")?, BASE64_STANDARD.decode(data).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_urls_decode() {
        assert_eq!(decode("data:image/png;base64,AAEC"), Some(("image/png", vec![0, 1, 2])));
        for none in ["", "data:image/png,AAEC", "data:image/png;base64,A", "http://x/a,AAEC"] {
            assert_eq!(decode(none), None, "{none}");
        }
        assert_eq!(url_data("data:image/png;base64,AAEC"), "AAEC");
    }

    #[test]
    fn tools_that_point() {
        assert!(may_point(r#"[{"type":"computer_20250124","name":"computer"}]"#));
        assert!(may_point(r#"[{"name":"browser_click","description":"x, y"}]"#));
        assert!(!may_point(r#"[{"name":"read_file","description":"Reads a file"}]"#));
    }
}
