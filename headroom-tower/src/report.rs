//! What was done to a request, for those who ask.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use headroom_engine::{
    Policy, Report as RewriteReport,
    catalogue::Matching,
    ccr::Handle,
    cost::{Bill, Tariff, Usage},
    intercept::RetrievalReport,
};

use crate::{
    costs::{Alarm, CacheFate, CostLedger, Settled, Tally},
    tenant::Scope,
};

/// What was done to one request and its response: in the response's extensions.
///
/// ```
/// # fn f<B>(response: http::Response<B>) {
/// if let Some(report) = response.extensions().get::<headroom_tower::Report>() {
///     println!("{:?}", report.rewrite());
///     // behind the response's last byte:
///     println!("{:?}", report.retrieval());
/// }
/// # }
/// ```
///
/// It shares its content: a clone taken with the response's head learns what the body brings.
#[derive(Clone, Debug)]
pub struct Report(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    skipped: Option<Skipped>,
    rewrite: Option<RewriteReport>,
    memory: MemoryReport,
    /// Behind the request's sending.
    store_failed: AtomicBool,
    ledger_failed: AtomicBool,
    unintercepted: OnceLock<Unintercepted>,
    retrieval: OnceLock<RetrievalReport>,
    account: Option<Account>,
    rounds: Mutex<Rounds>,
    settlement: OnceLock<Settlement>,
}

/// Who is billed.
#[derive(Debug)]
struct Account {
    ledger: Arc<CostLedger>,
    scope: Scope,
}

/// What the upstream counted so far.
#[derive(Debug, Default)]
struct Rounds {
    first: Option<Usage>,
    later: Usage,
}

/// What a request came to.
#[derive(Clone, Debug)]
struct Settlement {
    usage: Usage,
    bill: Bill,
    fate: Option<CacheFate>,
    alarm: Option<Alarm>,
}

impl Report {
    pub(crate) fn skipped_because(skipped: Skipped) -> Self {
        Self(Arc::new(Inner { skipped: Some(skipped), ..Inner::default() }))
    }

    pub(crate) fn rewritten(rewrite: RewriteReport, memory: MemoryReport) -> Self {
        Self(Arc::new(Inner { rewrite: Some(rewrite), memory, ..Inner::default() }))
    }

    /// The same, billed to `scope` when its response has ended.
    pub(crate) fn billed(
        rewrite: RewriteReport,
        memory: MemoryReport,
        ledger: Arc<CostLedger>,
        scope: Scope,
    ) -> Self {
        let account = Some(Account { ledger, scope });
        Self(Arc::new(Inner { rewrite: Some(rewrite), memory, account, ..Inner::default() }))
    }

    /// Why the request went out as it came; `None` if it was read.
    #[must_use]
    pub fn skipped(&self) -> Option<Skipped> {
        self.0.skipped
    }

    /// What the engine did to each block, and why; `None` if the request was skipped.
    #[must_use]
    pub fn rewrite(&self) -> Option<&RewriteReport> {
        self.0.rewrite.as_ref()
    }

    /// What became of the store's part so far: complete once the response's body has ended.
    #[must_use]
    pub fn memory(&self) -> MemoryReport {
        let mut memory = self.0.memory.clone();
        memory.store_failed |= self.0.store_failed.load(Relaxed);
        memory.ledger_failed |= self.0.ledger_failed.load(Relaxed);
        memory
    }

    /// Why a response that could have asked for originals was passed on unread.
    #[must_use]
    pub fn unintercepted(&self) -> Option<Unintercepted> {
        self.0.unintercepted.get().copied()
    }

    /// What the model asked for and got: `None` until the response's body has ended, been dropped
    /// or failed, and `None` for good if nothing could be asked for.
    #[must_use]
    pub fn retrieval(&self) -> Option<&RetrievalReport> {
        self.0.retrieval.get()
    }

    /// What the upstream counted, all rounds together: `None` until the response's body has ended,
    /// and for good if it counted nothing.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.0.settlement.get().map(|settlement| settlement.usage)
    }

    /// What the request cost, and would have cost without us: from the upstream's own counts, once
    /// the response's body has ended.
    #[must_use]
    pub fn bill(&self) -> Option<Bill> {
        self.0.settlement.get().map(|settlement| settlement.bill)
    }

    /// What became of the provider's cache: `None` until the response's body has ended, and where
    /// the request before is not known.
    #[must_use]
    pub fn cache(&self) -> Option<CacheFate> {
        self.0.settlement.get().and_then(|settlement| settlement.fate)
    }

    /// Set if this request's scope pays more than it saves, seen over its last requests.
    #[must_use]
    pub fn alarm(&self) -> Option<&Alarm> {
        self.0.settlement.get().and_then(|settlement| settlement.alarm.as_ref())
    }

    /// One round's answer has ended, with what the upstream counted.
    pub(crate) fn round(&self, usage: Option<Usage>) {
        let Some(usage) = usage else { return };
        let mut rounds = self.0.rounds.lock().unwrap_or_else(PoisonError::into_inner);
        match rounds.first {
            None => rounds.first = Some(usage),
            Some(_) => rounds.later = rounds.later.plus(usage),
        }
    }

    /// The response has ended: the request is billed, once.
    pub(crate) fn settle(&self) {
        let (Some(account), Some(rewrite)) = (&self.0.account, &self.0.rewrite) else { return };
        let (first, later) = {
            let rounds = self.0.rounds.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(first) = rounds.first else { return };
            (first, rounds.later)
        };
        self.0.settlement.get_or_init(|| {
            let usage = first.plus(later);
            let tariff = Tariff::of(&rewrite.model, first.prompt());
            let bill = Bill::new(rewrite, usage, later, &tariff);
            let settled = Settled {
                bill,
                usage: first,
                lineage: rewrite.lineage,
                declared: rewrite.declared_breaks > 0,
                lifetime: Duration::from_secs(rewrite.model.cache_seconds.into()),
                cached_from: matches!(
                    rewrite.model.matching,
                    Matching::Automatic { .. } | Matching::Exact { .. }
                )
                .then(|| rewrite.model.cache_minimum.into()),
                tally: self.tally(rewrite, &bill),
            };
            let (fate, alarm) = account.ledger.settle(account.scope, &settled);
            Settlement { usage, bill, fate, alarm }
        });
    }

    /// What each tool and kind saved, less its part of what retrievals cost.
    fn tally(&self, rewrite: &RewriteReport, bill: &Bill) -> Tally {
        let asked = self.retrieval().map_or(&[][..], |retrieval| &retrieval.handles);
        let share = bill.retrievals / asked.len().max(1) as f64;
        let replaced = rewrite.blocks.iter().filter(|block| block.reason.replaced());
        replaced
            .map(|block| {
                let holds = |handle: &Handle| block.hidden.iter().any(|hidden| hidden.handle == *handle);
                let fetched = asked.iter().filter(|handle| holds(handle)).count();
                let saved = block.tokens_in.saturating_sub(block.tokens_out) as f64;
                let kind = block.kind.unwrap_or_default();
                (Arc::clone(&block.tool), kind, saved - share * fetched as f64)
            })
            .collect()
    }

    pub(crate) fn pass_on(&self, why: Unintercepted) {
        let _ = self.0.unintercepted.set(why);
    }

    pub(crate) fn store_failed(&self) {
        self.0.store_failed.store(true, Relaxed);
    }

    pub(crate) fn ledger_failed(&self) {
        self.0.ledger_failed.store(true, Relaxed);
    }

    pub(crate) fn finish(&self, retrieval: &RetrievalReport) {
        self.0.retrieval.get_or_init(|| retrieval.clone());
    }
}

/// Why a request of a known path went out as it came.
///
/// ```
/// # fn f<B>(response: http::Response<B>) {
/// use headroom_tower::{Report, Skipped};
/// let report = response.extensions().get::<Report>();
/// if report.and_then(Report::skipped) == Some(Skipped::Signed) {
///     // Signing belongs below the layer.
/// }
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Skipped {
    /// [`RequestPolicy::off`].
    Off,
    /// A signature covers the body: `Signature-Input`, or AWS Signature Version 4.
    Signed,
    /// The body has a content coding that is not known (see the feature `decompression`), is not
    /// what it says, or would grow beyond the [limits](crate::Limits::expansion).
    Encoded,
    /// The body is larger than the limit.
    TooLarge,
    /// Reading the body failed; the inner service sees the same error.
    Unread,
    /// The body is not what the path's dialect sends.
    Unscannable,
    /// The ledger could not be read, and the request was not sent: see
    /// [`LedgerFailure::Refuse`](crate::LedgerFailure::Refuse).
    Refused,
    /// The rewrite did not finish: a panic, or the runtime went away.
    Aborted,
}

/// Why a response was passed on unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unintercepted {
    /// The upstream applied a content coding although none was asked for, and it is not one that can
    /// be undone within the limits.
    Encoded,
    /// A success that is neither JSON nor an event stream.
    OtherType,
    /// A JSON body larger than the limit, or one that could not be read to its end.
    Unread,
}

/// What became of the store's and the ledger's part in a request. Counts, never content.
///
/// ```
/// # fn f<B>(response: http::Response<B>) {
/// let report = response.extensions().get::<headroom_tower::Report>();
/// if report.is_some_and(|report| report.memory().store_failed) {
///     // The request went out all the same.
/// }
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct MemoryReport {
    /// Originals newly put into the store.
    pub stored: usize,
    /// The store failed or took too long: the request itself still holds its originals, but one that
    /// it does not hold may have been missed.
    pub store_failed: bool,
    /// Records found in the ledger.
    pub recorded: usize,
    /// The ledger failed or took too long: the conversation counted as unrecorded, or its retrievals
    /// could not be recorded.
    pub ledger_failed: bool,
    /// The ledger was not read: what it may hold of the conversation was not put back, which
    /// [`rewrite`](Report::rewrite) counts as a declared break.
    pub unread: bool,
}

/// What the layer may do to one request: put it into the request's extensions.
///
/// ```
/// # let mut request = http::Request::new(());
/// request.extensions_mut().insert(headroom_tower::RequestPolicy::off());
/// ```
///
/// A policy is a conversation's: one that flips between turns changes the prefix the provider
/// has cached.
#[derive(Clone, Debug)]
pub struct RequestPolicy(Choice);

#[derive(Clone, Debug)]
pub(crate) enum Choice {
    Off,
    Exact,
    Policy(Arc<Policy>),
}

impl RequestPolicy {
    /// The request goes out as it came.
    #[must_use]
    pub fn off() -> Self {
        Self(Choice::Off)
    }

    /// Only exact rewrites; nothing is left out.
    #[must_use]
    pub fn exact() -> Self {
        Self(Choice::Exact)
    }

    /// This policy instead of the layer's.
    #[must_use]
    pub fn with(policy: impl Into<Arc<Policy>>) -> Self {
        Self(Choice::Policy(policy.into()))
    }

    pub(crate) fn choice(&self) -> &Choice {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_learns_what_the_body_brings() {
        let report = Report::rewritten(RewriteReport::default(), MemoryReport::default());
        let early = report.clone();
        assert!(early.retrieval().is_none());
        report.finish(&RetrievalReport::default());
        assert!(early.retrieval().is_some());
        report.pass_on(Unintercepted::Encoded);
        assert_eq!(early.unintercepted(), Some(Unintercepted::Encoded));
    }

    #[test]
    fn static_property_send_sync() {
        fn all<T: Send + Sync + Clone + 'static>() {}
        all::<Report>();
        all::<RequestPolicy>();
    }
}
