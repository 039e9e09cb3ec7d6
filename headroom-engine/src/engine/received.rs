//! A body on the way in: which of it earlier requests of its conversation showed, and what it says.

use std::{cell::OnceCell, fmt};

use bytes::Bytes;
use bytestring::ByteString;

use super::{Engine, Scanned};
use crate::{
    align::{self, Dynamic},
    block::Candidates,
    policy::RequestContext,
    recall::{binds_thinking, recall},
    trail::Followed,
    walk::Walk,
    wire::{self, scan::ScanError},
};

/// A body that is text, and that may go on a conversation that was seen before.
///
/// ```
/// use headroom_engine::{Dialect, Engine, RequestContext};
/// let body = r#"{"model":"gpt-5.5","messages":[{"role":"user","content":"hi"}]}"#;
/// let received = Engine::new().receive(body.into(), &RequestContext::new(Dialect::OpenAiChat))?;
/// assert_eq!(received.unread(), body.len());
/// assert!(!received.scan()?.stream());
/// # Ok::<(), headroom_engine::ScanError>(())
/// ```
pub struct Received {
    engine: Engine,
    context: RequestContext,
    body: ByteString,
    /// Of where the messages seem to begin.
    likely: Option<Followed>,
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("context", &self.context)
            .field("bytes", &self.body.len())
            .field("unread", &self.unread())
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Looks which of `body` an earlier request showed: some ten times as fast as [scanning](Received::scan)
    /// what is new, so that a server can decide where to do that.
    ///
    /// # Errors
    /// If `body` is not UTF-8.
    pub fn receive(&self, body: Bytes, context: &RequestContext) -> Result<Received, ScanError> {
        let body = ByteString::try_from(body).map_err(|_| ScanError::NotUtf8)?;
        let start = wire::likely_start(context.dialect, &body);
        let likely = start.map(|start| self.0.trails.follow(context.dialect, &body, start));
        Ok(Received { engine: self.clone(), context: context.clone(), body, likely })
    }

    /// Finds where things stand in `body`. Copies nothing of it.
    ///
    /// # Errors
    /// If `body` is not a request of the dialect that every reader would read alike. Send it as it
    /// is.
    pub fn scan(&self, body: Bytes, context: &RequestContext) -> Result<Scanned, ScanError> {
        self.receive(body, context)?.scan()
    }
}

impl Received {
    /// Bytes that were not recognised. [`scan`](Self::scan) reads these, and goes through all messages
    /// again where what stands around them is another: the model, the prompt, the tools.
    #[must_use]
    pub fn unread(&self) -> usize {
        self.body.len() - self.likely.as_ref().map_or(0, Followed::bytes)
    }

    /// Finds where things stand.
    ///
    /// # Errors
    /// As [`Engine::scan`].
    pub fn scan(self) -> Result<Scanned, ScanError> {
        let Self { engine, context, body, likely } = self;
        let text = &*body;
        let trails = &engine.0.trails;
        let other: OnceCell<Followed> = OnceCell::new();
        let follow = |start| trails.follow(context.dialect, text, start);
        let known = |start| match &likely {
            Some(likely) if likely.begins_at(start) => likely.messages(),
            _ => match other.get_or_init(|| follow(start)) {
                other if other.begins_at(start) => other.messages(),
                _ => Vec::new(),
            },
        };
        let conversation = wire::read_on(context.dialect, text, &known)?;
        let mut followed = [likely, other.into_inner()].into_iter().flatten();
        let followed = followed.find(|it| it.begins_at(conversation.messages_span.start));
        let followed = followed.unwrap_or_default();
        let named = conversation.model.as_ref().and_then(|model| model.decode(text));
        let model = context.model.as_deref().or(named.as_deref()).unwrap_or_default();
        let facts = engine.0.catalogue.model(model).clone();
        let recall = recall(&facts, &conversation, &context);
        let binds = binds_thinking(&facts, &conversation, &context);
        let dynamic = Dynamic::find(text, &conversation);
        let walk = followed.resume(Walk::begin(text, &conversation, &dynamic, model, &engine.0.key));
        let walk = walk.finish(text, &conversation, &dynamic);
        trails.keep(followed, text, &conversation, &walk);
        let (candidates, chain, keys) = walk.into_parts();
        let points = align::points(context.dialect, &conversation, &keys);
        let mut scanned = Scanned {
            engine,
            context,
            conversation,
            model: facts,
            candidates: Candidates::new(candidates),
            dynamic,
            steady: None,
            steadied: false,
            chain,
            keys,
            points,
            asked: Vec::new(),
            recall,
            binds,
            authoritative: false,
            lasting: false,
            link: None,
            shows_all: false,
            body,
        };
        scanned.asked = scanned.questions();
        Ok(scanned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dialect, Policy};

    /// A conversation of `turns`, behind `front`.
    fn body(dialect: Dialect, front: &str, turns: usize) -> Bytes {
        let said = "what was said is repeated for as long as it takes to be found again ".repeat(8);
        let message = |turn: usize| match dialect {
            Dialect::Gemini => format!(r#"{{"role":"user","parts":[{{"text":"{turn} {said}"}}]}}"#),
            Dialect::AnthropicMessages | Dialect::OpenAiChat | Dialect::OpenAiResponses => {
                format!(r#"{{"role":"user","content":"{turn} {said}"}}"#)
            }
            #[cfg(feature = "bedrock")]
            Dialect::BedrockConverse => {
                format!(r#"{{"role":"user","content":[{{"text":"{turn} {said}"}}]}}"#)
            }
        };
        let name = match dialect {
            Dialect::OpenAiResponses => "input",
            Dialect::Gemini => "contents",
            _ => "messages",
        };
        let messages: Vec<String> = (0..turns).map(message).collect();
        format!(r#"{{{front}"{name}" : [{}]}}"#, messages.join(",")).into()
    }

    #[test]
    fn what_goes_on_is_known() {
        // Words of schemas are not where messages begin.
        let front = r#""metadata":{"properties":{"input":{},"messages":{},"contents":{}},"required":["input","messages","contents"]},"#;
        for (&dialect, front) in Dialect::EVERY.iter().flat_map(|it| [(it, ""), (it, front)]) {
            let (engine, context) = (Engine::new(), RequestContext::new(dialect));
            let unread = |body: Bytes| {
                let received = engine.receive(body, &context).unwrap();
                let unread = received.unread();
                received.scan().unwrap();
                unread
            };
            let (first, next) = (body(dialect, front, 80), body(dialect, front, 83));
            assert_eq!(unread(first.clone()), first.len());
            assert!(unread(next.clone()) < next.len() / 10, "{dialect:?}");
        }
    }

    /// Another array than the messages, at the place where they seem to begin.
    #[test]
    fn a_wrong_guess_changes_nothing() {
        let front = r#""metadata":{"messages":[1,2],"contents":[3],"input":[4]},"#;
        for &dialect in Dialect::EVERY {
            let (engine, context) = (Engine::new(), RequestContext::new(dialect));
            for turns in [60, 61, 75] {
                let body = body(dialect, front, turns);
                let received = engine.receive(body.clone(), &context).unwrap();
                assert_eq!(received.unread(), body.len(), "{dialect:?}");
                let rewrite = |scanned: Scanned| scanned.rewrite(&Policy::default(), &[]).body;
                let fresh = rewrite(Engine::new().scan(body, &context).unwrap());
                assert_eq!(rewrite(received.scan().unwrap()), fresh, "{dialect:?}");
            }
        }
    }
}
