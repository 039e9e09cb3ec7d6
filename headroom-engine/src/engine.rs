//! The pipeline, from top to bottom.
//!
//! ```text
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

use std::{
    borrow::Cow,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bytes::Bytes;

#[cfg(feature = "image")]
use crate::images::Images;
use crate::{
    align::{self, Dynamic, Ground, Moved, Point, tools::Steady},
    block::Blocks,
    builder::EngineBuilder,
    catalogue::{Catalogue, Matching, Model, Tokenizer},
    ccr::{
        self, HandleKey, ToolShape,
        plan::{self, Treatment},
    },
    compress::repeat::Indexes,
    context::{self, Counts, Cut, Marks},
    cost::lineage,
    eligible::{self, Candidate},
    history::Chain,
    intercept::{
        Alias, Continuation, Parts, Recall, Stored,
        stored::{self, OPEN, Thread},
    },
    ledger::{LedgerKey, Record},
    memo::Memo,
    originals::Originals,
    policy::{AdoptPolicy, ContextPolicy, Mode, Policy, RequestContext, Route},
    rank::Scorer,
    recall::{binds_thinking, recall, restore},
    reduce::{Reducer, Witness},
    report::{BlockReport, ContextReport, Reason, Report},
    route::ContentRouter,
    tokens::TokenCounter,
    wire::{
        self, Block, Conversation, Dialect, Role, ToolChoice,
        scan::ScanError,
        splice::{Edit, Splice},
        text::quote,
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

    /// Finds where things stand in `body`. Copies nothing of it.
    ///
    /// # Errors
    /// If `body` is not a request of the dialect that every reader would read alike. Send it as it
    /// is.
    pub fn scan(&self, body: Bytes, context: &RequestContext) -> Result<Scanned, ScanError> {
        let text = std::str::from_utf8(&body).map_err(|_| ScanError::NotUtf8)?;
        let conversation = wire::read(context.dialect, text)?;
        let named = conversation.model.as_ref().and_then(|model| model.decode(text));
        let model = context.model.as_deref().or(named.as_deref()).unwrap_or_default();
        let facts = self.0.catalogue.model(model).clone();
        let recall = recall(&facts, &conversation, context);
        let binds = binds_thinking(&facts, &conversation, context);
        let dynamic = Dynamic::find(text, &conversation);
        let (candidates, chain, keys) = eligible::walk(text, &conversation, &dynamic, model, &self.0.key);
        let points = align::points(context.dialect, &conversation, &keys);
        let mut scanned = Scanned {
            engine: self.clone(),
            context: context.clone(),
            conversation,
            model: facts,
            candidates,
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

    /// Where the ledger tells of the answer that a provider stores under `id`: see
    /// [`Stored`](crate::intercept::Stored).
    #[must_use]
    pub fn stored_key(&self, id: &str) -> LedgerKey {
        stored::key(&self.0.key, id)
    }

    /// The record of an answer that the ledger has lost, made of what the provider says of it (the body
    /// of `GET /v1/responses/{id}`); `None` unless a call of ours waits there to be answered.
    #[must_use]
    pub fn recovered(&self, id: &str, answer: &[u8], policy: &Policy) -> Option<Record> {
        Some(Stored::recovered(id, answer, policy.retrieval_tool())?.record(&self.0.key))
    }

    /// Forgets every block seen so far. Only the time of the next requests changes.
    pub fn clear_memo(&self) {
        self.0.memo.clear();
        self.0.indexes.clear();
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
    body: Bytes,
    conversation: Conversation,
    model: Model,
    candidates: Vec<Candidate>,
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

/// The blocks of a request, reduced.
struct Compressed {
    edits: Vec<Edit>,
    originals: Originals,
    blocks: Vec<BlockReport>,
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

    /// Says under which policy the request will be rewritten, before the ledger is asked: one that
    /// [keeps tools steady](Policy::steady_tools) asks it for more.
    #[must_use]
    pub fn under(mut self, policy: &Policy) -> Self {
        self.steadied = true;
        if !policy.steadies_tools() || !self.can_move(policy) {
            return self;
        }
        if policy.aligns() {
            self.dynamic.with_tools();
        }
        if let (Some(first), Ok(text)) = (self.points.first(), std::str::from_utf8(&self.body)) {
            let dynamic = self.aligns(policy).then_some(&self.dynamic);
            self.steady = Steady::of(text, &self.conversation, dynamic, first.key);
        }
        self.asked = self.questions();
        self.asked.extend(self.steady.iter().map(Steady::key));
        self
    }

    /// Says that originals are kept as durably as a durable ledger's records. Without it a conversation
    /// that the provider stores is only rewritten exactly.
    #[must_use]
    pub fn keeping_originals(mut self) -> Self {
        self.lasting = true;
        self
    }

    /// Says that originals cannot be kept at the moment: nothing more is left out.
    #[must_use]
    pub fn showing_all(mut self) -> Self {
        self.shows_all = true;
        self
    }

    /// Whether the provider keeps the answer, or the conversation before it, so that later requests
    /// depend on what the ledger holds.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.trusts() && (self.conversation.stored || self.conversation.previous.is_some())
    }

    fn trusts(&self) -> bool {
        self.durable() && self.lasting
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

    /// The id of the stored answer that the client goes on with, where the ledger may know it.
    #[must_use]
    pub fn previous(&self) -> Option<String> {
        let body = std::str::from_utf8(&self.body).ok()?;
        let id = self.conversation.previous.as_ref().filter(|_| self.durable())?;
        id.decode(body).map(Cow::into_owned)
    }

    /// Takes what is known of the answer that this goes on with.
    fn link(&mut self, body: &str, records: &[Record]) {
        let key = self.previous().map(|id| self.engine.stored_key(&id));
        let record = records.iter().find(|record| Some(record.key) == key);
        self.link = record.and_then(Stored::read);
        if let Some(before) = &self.link {
            eligible::link(&mut self.candidates, body, &self.conversation, before);
        }
        self.conversation.linked = self.link.is_some();
        let stored = self.conversation.stored || self.conversation.linked;
        self.conversation.stateful |= stored && !self.trusts();
        // What stands before it is not known, nor whether our tool was listed there.
        self.conversation.stateful |= self.conversation.previous.is_some() && self.link.is_none();
    }

    /// The edits that make this go on with what the provider has last.
    fn going_on(&self, body: &str) -> Vec<Edit> {
        let (Some(before), Some(previous)) = (&self.link, &self.conversation.previous) else {
            return Vec::new();
        };
        let mut edits = Vec::new();
        if before.last() != before.client {
            let mut id = String::new();
            quote(before.last(), &mut id);
            edits.push(Edit { span: previous.range.clone(), text: id });
        }
        if before.pending.is_empty() {
            return edits;
        }
        let (span, pending) = (self.conversation.messages_span.clone(), before.pending.join(","));
        let insert = |at: usize, text: String| Edit { span: at..at, text };
        if self.is_one_text(body) {
            edits.push(insert(span.start, format!("[{pending},{OPEN}")));
            edits.push(insert(span.end, "}]".to_owned()));
        } else {
            let comma = if self.conversation.messages.is_empty() { "" } else { "," };
            edits.push(insert(span.start + 1, format!("{pending}{comma}")));
        }
        edits
    }

    /// How far behind its closing quote an input of words alone ends, now that results stand before it.
    fn opened(&self, body: &str) -> usize {
        let pending = self.link.as_ref().is_some_and(|before| !before.pending.is_empty());
        if pending && self.is_one_text(body) { "}]".len() } else { 0 }
    }

    /// Whether the input is a string.
    fn is_one_text(&self, body: &str) -> bool {
        body.as_bytes().get(self.conversation.messages_span.start) == Some(&b'"')
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
        let Ok(text) = std::str::from_utf8(&self.body) else { return 0 };
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
        let body = self.body.clone();
        let run = || if self.steadied { self } else { self.under(policy) }.run(policy, records, None);
        catch_unwind(AssertUnwindSafe(run))
            .unwrap_or_else(|_| untouched(body, Report { failed_open: true, ..Report::default() }))
    }

    /// [`Scanned::rewrite`] for the library, whose caller decides the treatment.
    pub(crate) fn rewrite_as(self, policy: &Policy, treatment: Treatment) -> Rewrite {
        let body = self.body.clone();
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
        let Ok(text) = std::str::from_utf8(&whole) else { return untouched(self.body, report) };
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
            return untouched(self.body, report);
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
            report.tool_tokens = self.engine.0.counter.count(&edits[edits.len() - 1].text);
            report.tool_forbidden = self.conversation.tool_choice == ToolChoice::Forbidden;
        }
        let Some(splice) = Splice::new(edits, self.body.len()) else {
            let going_on = self.going_on(text);
            return self.only(text, going_on, policy, Report { failed_open: true, ..report });
        };
        report.lineage = lineage(text, &self.conversation, &self.keys, splice.edits());
        let body = splice.apply(&self.body);
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
            return untouched(self.body.clone(), report);
        };
        let body = splice.apply(&self.body);
        let messages_end = splice.moved(self.conversation.messages_span.end - 1) + self.opened(text);
        let continuation =
            self.continuation(text, messages_end, body.clone(), policy, Originals::default(), false);
        Rewrite { continuation, previous: self.alias(), ..untouched(body, report) }
    }

    fn alias(&self) -> Option<Alias> {
        self.link.as_ref().filter(|before| before.last() != before.client).map(Stored::alias)
    }

    /// Whether dynamic values are moved: decided from what no later turn changes.
    fn aligns(&self, policy: &Policy) -> bool {
        /// Bytes of a token, at least.
        const TOKEN: usize = 4;
        let tools = self.conversation.tools.as_ref();
        let works = tools.is_some_and(|tools| !tools.items.is_empty());
        policy.aligns()
            && !self.dynamic.is_empty()
            && self.can_move(policy)
            && (works || self.dynamic.prompt_bytes() / TOKEN >= self.model.cache_minimum as usize)
    }

    /// Whether what changes may be kept from the prefix at all.
    fn can_move(&self, policy: &Policy) -> bool {
        policy.mode() != Mode::Off
            && self.can_tell()
            && self.recall != Recall::Forget
            && !self.conversation.stateful
            // What goes on with a stored answer brings prompt and tools again, but not the place of a note.
            && !self.conversation.stored
            && self.conversation.previous.is_none()
            && self.context.route != Route::ExactOnly
            && self.model.matching != Matching::None
    }

    /// Whether notes keep their place: what stands between a Responses client and a model that is not
    /// OpenAI's may put a developer's words elsewhere.
    fn can_tell(&self) -> bool {
        self.context.dialect != Dialect::OpenAiResponses || self.model.tokenizer == Tokenizer::O200k
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

    fn blocks<'a>(&'a self, body: &'a str, treatment: Treatment, policy: &'a Policy) -> Blocks<'a> {
        Blocks::new(
            &self.engine.0,
            body,
            &self.conversation,
            &self.candidates,
            treatment,
            policy,
            &self.model,
        )
    }

    #[cfg(feature = "image")]
    fn images<'a>(&'a self, body: &'a str, treatment: Treatment, policy: &'a Policy) -> Option<Images<'a>> {
        Images::find(&self.engine.0, self.context.dialect, body, &self.conversation, treatment, policy)
    }

    /// Every eligible block: what was shown before, its specialists, the gate and the memo.
    fn compress(&self, body: &str, treatment: Treatment, policy: &Policy) -> Compressed {
        let mut compressed = Compressed {
            edits: Vec::new(),
            originals: Originals::new(self.body.clone()),
            blocks: Vec::new(),
        };
        let outcomes = self.blocks(body, treatment, policy).outcomes();
        for (candidate, outcome) in self.candidates.iter().zip(outcomes) {
            if outcome.reason.replaced() {
                let span = candidate.text.range.clone();
                compressed.edits.push(Edit { span, text: outcome.literal.to_string() });
                let kind = outcome.kind.unwrap_or_default();
                compressed.originals.add(kind, &candidate.text, &outcome.hidden);
            }
            compressed.blocks.push(BlockReport {
                message: candidate.message,
                tool: Arc::clone(&candidate.tool),
                block: candidate.block,
                part: candidate.part,
                kind: outcome.kind,
                parts: outcome.parts,
                reason: outcome.reason,
                tokens_in: outcome.tokens_in,
                tokens_out: outcome.tokens_out,
                tokens_exact: outcome.tokens_exact,
                hidden: outcome.hidden.to_vec(),
            });
        }
        #[cfg(feature = "image")]
        for change in self.images(body, treatment, policy).iter().flat_map(Images::changes) {
            compressed.edits.extend(change.edits);
            compressed.originals.add_image(change.data, &change.report.hidden);
            compressed.blocks.push(change.report);
        }
        compressed
    }

    /// What leaves where the conversation would not fit, and the blocks of what stays: without
    /// references, which might point at what has left.
    fn cut(
        &self,
        body: &str,
        tools: Option<&str>,
        treatment: Treatment,
        policy: &Policy,
        report: &mut Report,
    ) -> Option<(Cut, Compressed)> {
        treatment.retrievable()?;
        // Calls that stand elsewhere need their results here.
        if self.conversation.previous.is_some() {
            return None;
        }
        let marks = Marks::below(context::most(policy.context_policy(), &self.model, self.binds)?);
        if marks.fits_bytes(body.len()) {
            return None;
        }
        let engine = &self.engine.0;
        let compressed = self.compress(body, treatment, &policy.clone().repeats(false));
        let (entries, units, fixed) = context::measure(
            body,
            &self.conversation,
            &self.dynamic,
            tools,
            &compressed.blocks,
            &engine.counts,
            &*engine.counter,
        );
        let plan = context::plan(&entries, &units, fixed, marks);
        let cut = Cut::new(self.context.dialect, body, &self.conversation, &plan, self.binds, &engine.key);
        let moved = cut.is_some() && plan.moved_at == self.conversation.messages.len();
        if plan.too_long || cut.is_some() {
            report.context = Some(ContextReport {
                messages: cut.as_ref().map_or(0, |_| plan.dropped.len()),
                tokens: cut.as_ref().map_or(0, |_| plan.tokens),
                moved,
                too_long: plan.too_long || cut.is_none(),
            });
        }
        report.declared_breaks += u32::from(moved);
        Some((cut?, compressed))
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
                Edit { span: at..at, text: format!("{comma}{added}") }
            }
            None => {
                let at = self.conversation.root.end - 1;
                debug_assert_eq!(&body[at..=at], "}");
                Edit { span: at..at, text: format!(",{}", shape.listed(definition)) }
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

    fn thread(&self, text: &str) -> Option<Thread> {
        let before = self.link.as_ref();
        let said = eligible::last_said(text, &self.conversation);
        self.is_stored().then(|| Thread {
            key: self.engine.0.key.clone(),
            kept: self.conversation.stored,
            previous: before.map(Stored::alias),
            asked: stored::hint(&said.or(before.map(|it| it.asked.clone())).unwrap_or_default()).to_owned(),
            hidden: before.map(|before| before.hidden.clone()).unwrap_or_default(),
        })
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
