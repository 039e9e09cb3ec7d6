//! The pipeline, from top to bottom.
//!
//! ```text
//! receive   which of it an earlier request showed
//! scan      where things stand, and what the ledger may know of this conversation
//! rewrite   plan      how this request is treated
//!           route     each eligible block into parts of one kind
//!           compress  what was shown before, each part's specialist, the gate, the memo
//!           restore   what the ledger knows
//!           context   what leaves, only where it would not fit
//!           align     dynamic values of the prefix to the tail
//!           list      the retrieval tool, last
//!           splice    the only write
//! ```

mod aligned;
mod compressed;
mod received;
mod stored;

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bytes::Bytes;
use bytestring::ByteString;
use compressed::Compressed;
pub use received::Received;

use crate::{
    align::{self, Dynamic, Ground, Moved, Point, tools::Steady},
    block::Candidates,
    builder::EngineBuilder,
    catalogue::{Catalogue, Model},
    ccr::{
        self, HandleKey, ToolShape,
        plan::{self, Treatment},
    },
    compress::repeat::Indexes,
    context::{self, Counts, Cut},
    cost::lineage,
    history::Chain,
    intercept::{Alias, Continuation, Parts, Recall, Stored},
    ledger::{LedgerKey, Record},
    memo::Memo,
    originals::Originals,
    policy::{AdoptPolicy, ContextPolicy, Policy, RequestContext, Route},
    rank::Scorer,
    recall::restore,
    reduce::{Reducer, Witness},
    report::{Reason, Report},
    route::ContentRouter,
    tokens::TokenCounter,
    trail::Trails,
    wire::{
        Block, Conversation, Role, ToolChoice,
        splice::{Edit, Splice},
    },
};

/// Shrinks requests. Cheap to clone; every clone shares one memo.
///
/// ```
/// use headroom_engine::{Dialect, Engine, Policy, RequestContext};
/// let body = br#"{"model":"claude-opus-5-5","messages":[{"role":"user","content":"hi"}]}"#;
/// let context = RequestContext::new(Dialect::AnthropicMessages);
/// let scanned = Engine::new().scan(body.to_vec().into(), &context)?;
/// let rewrite = scanned.rewrite(&Policy::default(), &[]);
/// assert_eq!(&rewrite.body[..], body);
/// # Ok::<(), headroom_engine::ScanError>(())
/// ```
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) key: HandleKey,
    pub(crate) counter: Arc<dyn TokenCounter>,
    pub(crate) router: ContentRouter,
    pub(crate) scorer: Arc<dyn Scorer>,
    pub(crate) memo: Memo,
    pub(crate) indexes: Indexes,
    pub(crate) trails: Trails,
    pub(crate) witness: Option<Arc<dyn Witness>>,
    pub(crate) catalogue: Catalogue,
    pub(crate) counts: Counts,
    pub(crate) facts: [u8; 32],
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("counter", &self.0.counter)
            .field("router", &self.0.router)
            .finish_non_exhaustive()
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::builder().build()
    }
}

impl Engine {
    /// An engine with the built-in specialists and the embedded counter.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts building one.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// Forgets every block seen so far. Only the time of the next requests changes.
    pub fn clear_memo(&self) {
        self.0.memo.clear();
        self.0.indexes.clear();
        self.0.trails.clear();
    }

    /// What counts tokens.
    #[must_use]
    pub fn counter(&self) -> &dyn TokenCounter {
        &*self.0.counter
    }

    /// What is known of models.
    #[must_use]
    pub fn catalogue(&self) -> &Catalogue {
        &self.0.catalogue
    }

    /// The specialists, in the order in which they are asked.
    pub fn reducers(&self) -> impl Iterator<Item = &dyn Reducer> {
        self.0.router.reducers()
    }

    /// What chooses among them.
    #[must_use]
    pub fn router(&self) -> &ContentRouter {
        &self.0.router
    }
}

/// A request whose parts are found.
///
/// ```
/// use headroom_engine::{Dialect, Engine, Policy, RequestContext};
/// let body = r#"{"model":"gpt-5.5","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;
/// let scanned = Engine::new().scan(body.into(), &RequestContext::new(Dialect::OpenAiChat))?;
/// assert!(scanned.stream() && scanned.new_bytes(&Policy::default()) == 0);
/// # Ok::<(), headroom_engine::ScanError>(())
/// ```
pub struct Scanned {
    engine: Engine,
    context: RequestContext,
    body: ByteString,
    conversation: Conversation,
    model: Model,
    candidates: Candidates,
    dynamic: Dynamic,
    /// The client's tools, where the policy keeps them the same.
    steady: Option<Steady>,
    steadied: bool,
    chain: Chain,
    /// Behind each message.
    keys: Vec<LedgerKey>,
    points: Vec<Point>,
    asked: Vec<LedgerKey>,
    recall: Recall,
    binds: bool,
    /// What the ledger does not hold was not sent by us.
    authoritative: bool,
    /// Originals outlive their request as surely as what the ledger acknowledges.
    lasting: bool,
    /// The stored answer that this goes on with.
    link: Option<Stored>,
    /// Nothing new may be left out.
    shows_all: bool,
}

impl fmt::Debug for Scanned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scanned")
            .field("context", &self.context)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A request as it goes out.
///
/// ```
/// use headroom_engine::{Dialect, Engine, Policy, RequestContext};
/// let body = bytes::Bytes::from(r#"{"model":"gpt-5.5","messages":[{"role":"user","content":"hi"}]}"#);
/// let scanned = Engine::new().scan(body.clone(), &RequestContext::new(Dialect::OpenAiChat))?;
/// let rewrite = scanned.rewrite(&Policy::default(), &[]);
/// assert_eq!(rewrite.body.as_ptr(), body.as_ptr());
/// assert!(rewrite.continuation.is_none() && rewrite.report.blocks.is_empty());
/// # Ok::<(), headroom_engine::ScanError>(())
/// ```
#[non_exhaustive]
pub struct Rewrite {
    /// The body; the very same `Bytes` if nothing changed.
    pub body: Bytes,
    /// What was hidden.
    pub originals: Originals,
    /// How to go on when the model asks for an original; `None` if it cannot.
    pub continuation: Option<Continuation>,
    /// What the ledger is to keep of this request, before it is sent: put back on later turns.
    pub records: Vec<Record>,
    /// The id of a stored answer that went out in place of the client's, and is to be
    /// [undone](Alias::undo) in an answer that no continuation reads.
    pub previous: Option<Alias>,
    /// No later request will hold what this one hides: its originals must be kept before it is sent, or
    /// it must go [with all of it](Scanned::showing_all).
    pub sent_once: bool,
    /// What was done, and why.
    pub report: Report,
}

impl fmt::Debug for Rewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rewrite")
            .field("bytes", &self.body.len())
            .field("originals", &self.originals)
            .field("records", &self.records)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

impl Scanned {
    /// Where the ledger may know more than the client; empty if it need not be asked.
    #[must_use]
    pub fn ledger_keys(&self) -> &[LedgerKey] {
        &self.asked
    }

    /// Says that a durable ledger was asked for all [keys](Self::ledger_keys) and answered: a
    /// conversation of which it holds nothing began without us, and is treated as
    /// [`AdoptPolicy`] says.
    #[must_use]
    pub fn answered(mut self) -> Self {
        self.authoritative = self.durable();
        self
    }

    fn durable(&self) -> bool {
        match self.context.route {
            Route::Intercepted { durable_ledger } | Route::Mirror { durable_ledger } => durable_ledger,
            Route::ExactOnly => false,
        }
    }

    /// Hidden exchanges stand behind turns of the model, notes at points of ours.
    fn questions(&self) -> Vec<LedgerKey> {
        if self.recall == Recall::Forget {
            return Vec::new();
        }
        let turns = self.conversation.messages.iter().zip(&self.keys);
        let turns = turns.filter(|(message, _)| message.role == Role::Assistant).map(|(_, key)| *key);
        let asks = !self.dynamic.is_empty() || self.durable();
        let points = self.points.iter().filter(|_| asks).map(|point| point.key);
        turns.chain(points).chain(self.previous().map(|id| self.engine.stored_key(&id))).collect()
    }

    /// Whether the model may refuse its own thinking where the ledger's part of the conversation is
    /// missing.
    #[must_use]
    pub fn binds_thinking(&self) -> bool {
        self.recall == Recall::Restore { durable: true }
    }

    /// Whether the request asks for a stream.
    #[must_use]
    pub fn stream(&self) -> bool {
        self.conversation.stream
    }

    /// Bytes of the blocks that were not seen before under `policy`: what rewriting will cost.
    #[must_use]
    pub fn new_bytes(&self, policy: &Policy) -> usize {
        let text = &*self.body;
        let (treatment, _) = plan::decide(text, &self.conversation, policy, self.context.route);
        if treatment == Treatment::Off {
            return 0;
        }
        let new = self.blocks(text, treatment, policy).new_bytes();
        #[cfg(feature = "image")]
        let new = new + self.images(text, treatment, policy).map_or(0, |images| images.new_bytes());
        new
    }

    /// Writes the request anew. Never fails: what cannot be handled stays as it was.
    #[must_use]
    pub fn rewrite(self, policy: &Policy, records: &[Record]) -> Rewrite {
        let body = self.body.as_bytes().clone();
        let run = || if self.steadied { self } else { self.under(policy) }.run(policy, records, None);
        catch_unwind(AssertUnwindSafe(run))
            .unwrap_or_else(|_| untouched(body, Report { failed_open: true, ..Report::default() }))
    }

    /// [`Scanned::rewrite`] for the library, whose caller decides the treatment.
    pub(crate) fn rewrite_as(self, policy: &Policy, treatment: Treatment) -> Rewrite {
        let body = self.body.as_bytes().clone();
        catch_unwind(AssertUnwindSafe(|| self.run(policy, &[], Some(treatment))))
            .unwrap_or_else(|_| untouched(body, Report { failed_open: true, ..Report::default() }))
    }

    fn run(mut self, policy: &Policy, records: &[Record], treatment: Option<Treatment>) -> Rewrite {
        let last_turn =
            self.conversation.messages.iter().rposition(|message| message.role == Role::Assistant);
        let new_from = last_turn.map_or(0, |at| at + 1);
        let mut report =
            Report { mode: policy.mode(), model: self.model.clone(), new_from, ..Report::default() };
        let whole = self.body.clone();
        let text = &*whole;
        self.link(text, records);
        let going_on = self.going_on(text);
        // What stands before a part of a conversation has another number there.
        let part = self.conversation.previous.is_some().then(|| policy.clone().repeats(false));
        let policy = part.as_ref().unwrap_or(policy);

        let by_caller = treatment.is_some();
        let (treatment, limited) = match treatment {
            Some(treatment) => (treatment, None),
            None => plan::decide(text, &self.conversation, policy, self.context.route),
        };
        report.limited = limited;
        self.dynamic.report(&mut report);
        if treatment == Treatment::Off {
            return self.only(text, going_on, policy, report);
        }
        if self.is_foreign(policy, records) {
            report.limited = Some(Reason::NotOurs);
            return untouched(self.body.into_bytes(), report);
        }

        let hiding = if self.shows_all { Treatment::ExactOnly } else { treatment };
        let mut moved = Moved::default();
        let begun = last_turn.is_some();
        let tools = self.steady.take();
        let tools = tools.map(|tools| tools.pin(records, begun, &mut moved.records, &mut report));
        let tools_text = tools.as_ref().map(|tools| &*tools.text);
        let (cut, compressed) = match self.cut(text, tools_text, hiding, policy, &mut report) {
            Some((cut, compressed)) => (Some(cut), compressed),
            None => (None, self.compress(text, hiding, policy)),
        };
        let Compressed { mut edits, mut originals, blocks } = compressed;
        report.blocks = blocks;
        let forgotten = cut.as_ref().map_or(0..0, Cut::forgotten);
        let (conversation, dialect) = (&self.conversation, self.context.dialect);
        let restored = restore(text, conversation, dialect, &self.keys, records, &forgotten, &mut report);
        if !by_caller && self.aligns(policy) {
            let ground = Ground {
                dialect: self.context.dialect,
                conversation: &self.conversation,
                points: &self.points,
            };
            let Moved { edits, records } = self.dynamic.move_values(&ground, records, &mut report);
            moved.edits = edits;
            moved.records.extend(records);
        }
        if let Some(tools) = &tools {
            tools.write(text, &mut moved.edits);
        }
        self.sign(policy, records, &mut moved);
        // In front of what goes to the root's end, which may be the same place.
        let opened = moved.opens(&self.conversation);
        edits.append(&mut moved.edits);
        if !by_caller && policy.sets_breakpoints() && self.context.route != Route::ExactOnly {
            let begins = self.points.first().map(|first| first.key);
            let (dialect, model) = (self.context.dialect, &self.model);
            let (set, count) = align::breakpoint::edits(dialect, text, &self.conversation, model, begins);
            report.alignment.breakpoints = count;
            edits.extend(set);
        }
        edits.extend(going_on);
        edits.extend(restored);
        if let Some(cut) = cut {
            edits = cut.edits(edits);
            originals.add_messages(cut.handle(), cut.into_parts());
        }
        if matches!(treatment, Treatment::Transparent(_)) {
            edits.push(self.list_tool(text, policy));
            report.tool_listed = true;
            let Inner { counts, counter, .. } = &*self.engine.0;
            report.tool_tokens = counts.count(&edits[edits.len() - 1].text, &**counter);
            report.tool_forbidden = self.conversation.tool_choice == ToolChoice::Forbidden;
        }
        let Some(splice) = Splice::new(edits, self.body.len()) else {
            let going_on = self.going_on(text);
            return self.only(text, going_on, policy, Report { failed_open: true, ..report });
        };
        report.lineage = lineage(text, &self.conversation, &self.keys, splice.edits());
        let body = splice.apply(self.body.as_bytes());
        let sent_once = self.link.is_some() && !originals.is_empty();
        let listed = report.tool_listed;
        let messages_end = splice.moved(self.conversation.messages_span.end - 1) + opened + self.opened(text);
        let continuation =
            self.continuation(text, messages_end, body.clone(), policy, originals.clone(), listed);
        let previous = self.alias();
        Rewrite { body, originals, continuation, records: moved.records, previous, sent_once, report }
    }

    /// The request with these edits alone.
    fn only(&self, text: &str, edits: Vec<Edit>, policy: &Policy, report: Report) -> Rewrite {
        let Some(splice) = Splice::new(edits, self.body.len()) else {
            return untouched(self.body.as_bytes().clone(), report);
        };
        let body = splice.apply(self.body.as_bytes());
        let messages_end = splice.moved(self.conversation.messages_span.end - 1) + self.opened(text);
        let continuation =
            self.continuation(text, messages_end, body.clone(), policy, Originals::default(), false);
        Rewrite { continuation, previous: self.alias(), ..untouched(body, report) }
    }

    /// Whether the conversation began without us, and stays so.
    fn is_foreign(&self, policy: &Policy, records: &[Record]) -> bool {
        let messages = &self.conversation.messages;
        let ours = || self.points.iter().any(|point| records.iter().any(|record| record.key == point.key));
        let thought = || messages.iter().flat_map(|message| &message.blocks).any(Block::is_thinking);
        self.authoritative
            && self.link.is_none()
            && messages.iter().any(|message| message.role == Role::Assistant)
            && (policy.adopts() == AdoptPolicy::NewOnly
                || self.recall == Recall::Restore { durable: true } && thought())
            && !ours()
    }

    /// Where it matters later whether this conversation is ours, the ledger learns it.
    fn sign(&self, policy: &Policy, records: &[Record], moved: &mut Moved) {
        let matters =
            policy.adopts() == AdoptPolicy::NewOnly || self.recall == Recall::Restore { durable: true };
        let Some(last) = self.points.last().filter(|_| matters && self.durable()) else { return };
        let known = |records: &[Record]| records.iter().any(|record| record.key == last.key);
        if !known(records) && !known(&moved.records) {
            moved.records.push(align::signature(last.key));
        }
    }

    /// Our tool, always last.
    fn list_tool(&self, body: &str, policy: &Policy) -> Edit {
        let shape = ToolShape::of(self.context.dialect);
        let definition = ccr::definition(shape, policy.retrieval_tool());
        match &self.conversation.tools {
            Some(tools) => {
                let at = tools.span.end - 1;
                let comma = if tools.items.is_empty() { "" } else { "," };
                let added = if tools.wrapped { shape.wrapped(definition) } else { definition };
                Edit { span: at..at, text: format!("{comma}{added}").into() }
            }
            None => {
                let at = self.conversation.root.end - 1;
                debug_assert_eq!(&body[at..=at], "}");
                Edit { span: at..at, text: format!(",{}", shape.listed(definition)).into() }
            }
        }
    }

    /// How to go on with the answer: where our tool is `listed`, or the conversation is one that the
    /// ledger follows.
    fn continuation(
        &self,
        text: &str,
        messages_end: usize,
        request: Bytes,
        policy: &Policy,
        originals: Originals,
        listed: bool,
    ) -> Option<Continuation> {
        let intercepted = matches!(self.context.route, Route::Intercepted { .. });
        if !intercepted || !(listed || self.link.is_some()) {
            return None;
        }
        Some(Continuation::new(Parts {
            dialect: self.context.dialect,
            request,
            messages_end,
            tool: if listed { policy.retrieval_tool().to_owned() } else { String::new() },
            max_rounds: policy.round_limit(),
            recall: self.recall,
            originals: Arc::new(originals),
            counter: Arc::clone(&self.engine.0.counter),
            answer_budget: policy.answer_limit(),
            window: context::most(ContextPolicy::Window, &self.model, self.binds),
            history: Arc::new(self.chain.clone()),
            thread: self.thread(text),
        }))
    }
}

fn untouched(body: Bytes, report: Report) -> Rewrite {
    Rewrite {
        body,
        originals: Originals::default(),
        continuation: None,
        records: Vec::new(),
        previous: None,
        sent_once: false,
        report,
    }
}
