//! The pipeline, from top to bottom.
//!
//! ```text
//! scan      where things stand, and what the ledger may know of this conversation
//! rewrite   plan      how this request is treated
//!           compress  each eligible block: its specialist, the gate, the memo
//!           restore   what the ledger knows
//!           list      the retrieval tool, last
//!           splice    the only write
//! ```

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bytes::Bytes;

use crate::{
    block::Blocks,
    builder::EngineBuilder,
    ccr::{
        self, HandleKey, ToolShape,
        plan::{self, Treatment},
    },
    eligible::{self, Candidate},
    history::Chain,
    intercept::{Continuation, Parts, Recall},
    ledger::{LedgerKey, Record},
    memo::Memo,
    originals::Originals,
    policy::{Policy, RequestContext, Route},
    recall::{recall, restore},
    reduce::Reducer,
    report::{BlockReport, Report},
    tokens::TokenCounter,
    wire::{
        self, Conversation, ToolChoice,
        scan::ScanError,
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
    pub(crate) reducers: Vec<Arc<dyn Reducer>>,
    pub(crate) memo: Memo,
    pub(crate) facts: [u8; 32],
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("counter", &self.0.counter)
            .field("reducers", &self.0.reducers)
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
        let recall = recall(model, &conversation, context);
        let (candidates, chain, keys) = eligible::walk(text, &conversation, model, &self.0.key);
        let keys = if recall == Recall::Forget { Vec::new() } else { keys };
        Ok(Scanned {
            engine: self.clone(),
            context: context.clone(),
            conversation,
            candidates,
            chain,
            keys,
            recall,
            body,
        })
    }

    /// Forgets every block seen so far. Only the time of the next requests changes.
    pub fn clear_memo(&self) {
        self.0.memo.clear();
    }

    /// What counts tokens.
    #[must_use]
    pub fn counter(&self) -> &dyn TokenCounter {
        &*self.0.counter
    }

    /// The specialists, in the order in which they are asked.
    pub fn reducers(&self) -> impl Iterator<Item = &dyn Reducer> {
        self.0.reducers.iter().map(|reducer| &**reducer)
    }
}

/// A request whose parts are found.
pub struct Scanned {
    engine: Engine,
    context: RequestContext,
    body: Bytes,
    conversation: Conversation,
    candidates: Vec<Candidate>,
    chain: Chain,
    keys: Vec<LedgerKey>,
    recall: Recall,
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
#[non_exhaustive]
pub struct Rewrite {
    /// The body; the very same `Bytes` if nothing changed.
    pub body: Bytes,
    /// What was hidden.
    pub originals: Originals,
    /// How to go on when the model asks for an original; `None` if it cannot.
    pub continuation: Option<Continuation>,
    /// What was done, and why.
    pub report: Report,
}

impl fmt::Debug for Rewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rewrite")
            .field("bytes", &self.body.len())
            .field("originals", &self.originals)
            .field("report", &self.report)
            .finish_non_exhaustive()
    }
}

impl Scanned {
    /// Where the ledger may know more than the client; empty if it need not be asked.
    #[must_use]
    pub fn ledger_keys(&self) -> &[LedgerKey] {
        &self.keys
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
        let blocks = Blocks::new(&self.engine.0, text, &self.conversation, treatment, policy);
        let unseen = |candidate: &&Candidate| blocks.is_new(candidate);
        self.candidates.iter().filter(unseen).map(|candidate| candidate.text.range.len()).sum()
    }

    /// Writes the request anew. Never fails: what cannot be handled stays as it was.
    #[must_use]
    pub fn rewrite(self, policy: &Policy, records: &[Record]) -> Rewrite {
        let body = self.body.clone();
        catch_unwind(AssertUnwindSafe(|| self.run(policy, records, None)))
            .unwrap_or_else(|_| untouched(body, Report { failed_open: true, ..Report::default() }))
    }

    /// [`Scanned::rewrite`] for the library, whose caller decides the treatment.
    pub(crate) fn rewrite_as(self, policy: &Policy, treatment: Treatment) -> Rewrite {
        let body = self.body.clone();
        catch_unwind(AssertUnwindSafe(|| self.run(policy, &[], Some(treatment))))
            .unwrap_or_else(|_| untouched(body, Report { failed_open: true, ..Report::default() }))
    }

    fn run(self, policy: &Policy, records: &[Record], treatment: Option<Treatment>) -> Rewrite {
        let mut report = Report { mode: policy.mode(), ..Report::default() };
        let Ok(text) = std::str::from_utf8(&self.body) else { return untouched(self.body, report) };

        let (treatment, limited) = match treatment {
            Some(treatment) => (treatment, None),
            None => plan::decide(text, &self.conversation, policy, self.context.route),
        };
        report.limited = limited;
        if treatment == Treatment::Off {
            return untouched(self.body, report);
        }

        let mut originals = Originals::new(self.body.clone());
        let mut edits = self.compress(text, treatment, policy, &mut originals, &mut report);
        edits.extend(restore(
            text,
            &self.conversation,
            self.context.dialect,
            &self.keys,
            records,
            &mut report,
        ));
        if matches!(treatment, Treatment::Transparent(_)) {
            edits.push(self.list_tool(text, policy));
            report.tool_listed = true;
            report.tool_forbidden = self.conversation.tool_choice == ToolChoice::Forbidden;
        }
        let Some(splice) = Splice::new(edits, self.body.len()) else {
            return untouched(self.body, Report { failed_open: true, ..report });
        };
        let body = splice.apply(&self.body);
        let intercepted = matches!(self.context.route, Route::Intercepted { .. });
        let continuation = (report.tool_listed && intercepted).then(|| {
            let messages_end = splice.moved(self.conversation.messages_span.end - 1);
            self.continuation(body.clone(), messages_end, policy, originals.clone())
        });
        Rewrite { body, originals, continuation, report }
    }

    /// Every eligible block through its specialist, the gate and the memo.
    fn compress(
        &self,
        body: &str,
        treatment: Treatment,
        policy: &Policy,
        originals: &mut Originals,
        report: &mut Report,
    ) -> Vec<Edit> {
        let blocks = Blocks::new(&self.engine.0, body, &self.conversation, treatment, policy);
        let mut edits = Vec::new();
        for candidate in &self.candidates {
            let outcome = blocks.outcome(candidate);
            if outcome.reason.replaced() {
                edits.push(Edit { span: candidate.text.range.clone(), text: outcome.literal.to_string() });
                originals.add(outcome.kind.unwrap_or_default(), &candidate.text, &outcome.hidden);
            }
            report.blocks.push(BlockReport {
                message: candidate.message,
                block: candidate.block,
                part: candidate.part,
                kind: outcome.kind,
                reason: outcome.reason,
                tokens_in: outcome.tokens_in,
                tokens_out: outcome.tokens_out,
                tokens_exact: outcome.tokens_exact,
                hidden: outcome.hidden.to_vec(),
            });
        }
        edits
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
                Edit { span: at..at, text: format!(",\"tools\":[{}]", shape.wrapped(definition)) }
            }
        }
    }

    fn continuation(
        &self,
        request: Bytes,
        messages_end: usize,
        policy: &Policy,
        originals: Originals,
    ) -> Continuation {
        Continuation::new(Parts {
            dialect: self.context.dialect,
            request,
            messages_end,
            tool: policy.retrieval_tool().to_owned(),
            max_rounds: policy.round_limit(),
            recall: self.recall,
            originals: Arc::new(originals),
            counter: Arc::clone(&self.engine.0.counter),
            answer_budget: policy.answer_limit(),
            history: Arc::new(self.chain.clone()),
        })
    }
}

fn untouched(body: Bytes, report: Report) -> Rewrite {
    Rewrite { body, originals: Originals::default(), continuation: None, report }
}
