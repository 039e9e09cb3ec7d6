use std::{collections::HashSet, future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use headroom_engine::{LedgerKey, Originals, Record, ccr::Handle, intercept::Stored};
use tokio::time::{Instant, timeout, timeout_at};

use super::{Durability, LedgerStore, Original, OriginalStore, StoreError};
use crate::{
    layer::LedgerFailure,
    report::{MemoryReport, Report},
    tenant::Scope,
};

/// The stores as one request sees them: under its scope, under a deadline, and never an error.
#[derive(Clone, Debug)]
pub(crate) struct Scoped {
    pub(crate) originals: Arc<dyn OriginalStore>,
    pub(crate) ledger: Arc<dyn LedgerStore>,
    pub(crate) scope: Scope,
    pub(crate) wait: Duration,
    /// Thinking in this conversation is bound to what the ledger holds.
    pub(crate) bound: bool,
    /// The provider stores this conversation: what is recorded and kept of it is a promise.
    pub(crate) stored: bool,
    pub(crate) on_failure: LedgerFailure,
}

/// The ledger could not be read, and the request is not to go on without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused;

impl Scoped {
    async fn within<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
        timeout(self.wait, work).await.ok()?.ok()
    }

    /// What the ledger holds under `keys`; a failure counts as unrecorded, unless it must not.
    pub(crate) async fn recorded(
        &self,
        keys: &[LedgerKey],
        report: &mut MemoryReport,
    ) -> Result<Vec<Record>, Refused> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let found = match self.within(self.ledger.get_many(self.scope, keys)).await {
            Some(found) => found,
            None => {
                report.ledger_failed = true;
                report.unread = true;
                match self.on_failure {
                    LedgerFailure::Refuse if self.bound || self.stored => return Err(Refused),
                    // Half of what thinking is bound to is no better than nothing.
                    _ if self.bound => Vec::new(),
                    _ => timeout(self.wait, self.ledger.at_hand(self.scope, keys)).await.unwrap_or_default(),
                }
            }
        };
        report.recorded += found.len();
        Ok(found)
    }

    /// Puts `records` into the ledger; whether it acknowledged them.
    pub(crate) async fn remember(&self, records: Vec<Record>, report: &Report) -> bool {
        let put = self.ledger.put_with(self.scope, records, self.durability());
        let acknowledged = self.within(put).await.is_some();
        if !acknowledged {
            report.ledger_failed();
        }
        acknowledged
    }

    fn durability(&self) -> Durability {
        if self.bound || self.stored { Durability::Required } else { Durability::BestEffort }
    }

    /// What is known of the answer that a client calls by the id of `key`.
    ///
    /// # Errors
    /// If the ledger cannot tell.
    pub(crate) async fn answer(&self, key: LedgerKey) -> Result<Option<Stored>, Refused> {
        match self.within(self.ledger.get_many(self.scope, &[key])).await {
            Some(found) => Ok(found.iter().find(|record| record.key == key).and_then(Stored::read)),
            None => {
                let found = timeout(self.wait, self.ledger.at_hand(self.scope, &[key])).await;
                let found = found.unwrap_or_default();
                let known = found.iter().find(|record| record.key == key).and_then(Stored::read);
                known.map(Some).ok_or(Refused)
            }
        }
    }

    /// Puts what a request tells into the ledger, before it is sent.
    pub(crate) async fn note(&self, records: Vec<Record>, report: &mut MemoryReport) {
        if !records.is_empty() {
            let acknowledged = self.within(self.ledger.put_many(self.scope, records)).await;
            report.ledger_failed |= acknowledged.is_none();
        }
    }

    /// Hands the originals that the store does not hold yet to it.
    pub(crate) async fn keep(&self, originals: &Originals, report: &mut MemoryReport) {
        if originals.is_empty() {
            return;
        }
        let stored = self.within(async {
            let handles: Vec<Handle> = originals.iter().map(|(handle, _)| handle).collect();
            let missing: HashSet<Handle> =
                self.originals.touch_many(self.scope, &handles).await?.into_iter().collect();
            let new: Vec<Original> = originals
                .iter()
                .filter(|(handle, _)| missing.contains(handle))
                .filter_map(|(handle, kind)| {
                    originals.get(handle).map(|text| Original::new(handle, kind, Bytes::from(text)))
                })
                .collect();
            let count = new.len();
            if count > 0 {
                // The request holds them as long as it lasts.
                let durability = if self.stored { Durability::Required } else { Durability::BestEffort };
                self.originals.put_with(self.scope, new, durability).await?;
            }
            Ok(count)
        });
        match stored.await {
            Some(count) => report.stored += count,
            None => report.store_failed = true,
        }
    }

    /// The texts that the store holds of `handles`, as many as it gives in time.
    pub(crate) async fn redeem(&self, handles: Vec<Handle>, report: &Report) -> Vec<(Handle, String)> {
        /// A wait that ends behind all clocks.
        const LONG: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
        let end = Instant::now() + self.wait.min(LONG);
        let mut found = Vec::with_capacity(handles.len());
        for handle in handles {
            let text = match timeout_at(end, self.originals.get(self.scope, handle)).await {
                Ok(Ok(text)) => text,
                failed => {
                    report.store_failed();
                    if failed.is_err() {
                        break;
                    }
                    continue;
                }
            };
            // Originals are text; bytes that are not were not put by us.
            let text = text.and_then(|text| String::from_utf8(text.into()).ok());
            found.extend(text.map(|text| (handle, text)));
        }
        found
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use async_trait::async_trait;
    use headroom_engine::ccr::HandleKey;

    use super::*;
    use crate::MemoryStore;

    /// A store that never answers, or always fails.
    #[derive(Debug)]
    pub(crate) enum Broken {
        Silent,
        Failing,
    }

    impl Broken {
        async fn answer<T>(&self) -> Result<T, StoreError> {
            match self {
                Self::Silent => std::future::pending().await,
                Self::Failing => Err(StoreError::new("broken")),
            }
        }
    }

    #[async_trait]
    impl OriginalStore for Broken {
        async fn put_many(&self, _: Scope, _: Vec<Original>) -> Result<(), StoreError> {
            self.answer().await
        }
        async fn touch_many(&self, _: Scope, _: &[Handle]) -> Result<Vec<Handle>, StoreError> {
            self.answer().await
        }
        async fn get(&self, _: Scope, _: Handle) -> Result<Option<Bytes>, StoreError> {
            self.answer().await
        }
        async fn delete_scope(&self, _: Scope) -> Result<(), StoreError> {
            self.answer().await
        }
    }

    #[async_trait]
    impl LedgerStore for Broken {
        async fn get_many(&self, _: Scope, _: &[LedgerKey]) -> Result<Vec<Record>, StoreError> {
            self.answer().await
        }
        async fn put_many(&self, _: Scope, _: Vec<Record>) -> Result<(), StoreError> {
            self.answer().await
        }
        fn durable(&self) -> bool {
            true
        }
        async fn delete_scope(&self, _: Scope) -> Result<(), StoreError> {
            self.answer().await
        }
    }

    pub(crate) fn scoped<S: OriginalStore + LedgerStore + 'static>(store: S) -> Scoped {
        let store = Arc::new(store);
        Scoped {
            originals: store.clone(),
            ledger: store,
            scope: Scope::shared(),
            wait: Duration::from_millis(50),
            bound: false,
            stored: false,
            on_failure: LedgerFailure::Unrecorded,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_store_is_an_empty_one() {
        for broken in [Broken::Silent, Broken::Failing] {
            let stores = scoped(broken);
            let mut report = MemoryReport::default();
            let late = Report::rewritten(Default::default(), report.clone());
            let key = LedgerKey::from_bytes([0; 32]);
            assert!(stores.recorded(&[key], &mut report).await.unwrap().is_empty());
            assert!(report.ledger_failed);
            assert!(!stores.remember(Vec::new(), &late).await);
            let handle = Handle::new(&HandleKey::default(), "text", "x");
            assert!(late.memory().ledger_failed && !late.memory().store_failed);
            assert!(stores.redeem(vec![handle, handle], &late).await.is_empty());
            assert!(late.memory().store_failed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_bound_conversations_are_refused_and_only_if_told_so() {
        let key = LedgerKey::from_bytes([0; 32]);
        for (bound, on_failure, refused) in [
            (true, LedgerFailure::Refuse, true),
            (false, LedgerFailure::Refuse, false),
            (true, LedgerFailure::Unrecorded, false),
        ] {
            let stores = Scoped { bound, on_failure, ..scoped(Broken::Silent) };
            let mut report = MemoryReport::default();
            assert_eq!(stores.recorded(&[key], &mut report).await.is_err(), refused);
            assert!(report.ledger_failed && report.unread);
        }
    }

    #[tokio::test]
    async fn no_key_no_look_up() {
        let mut report = MemoryReport::default();
        assert!(scoped(Broken::Silent).recorded(&[], &mut report).await.unwrap().is_empty());
        assert!(!report.ledger_failed);
    }

    #[tokio::test]
    async fn a_wait_without_end_is_one() {
        let mut report = MemoryReport::default();
        let late = Report::rewritten(Default::default(), report.clone());
        let stores = Scoped { wait: Duration::MAX, ..scoped(MemoryStore::default()) };
        let key = LedgerKey::from_bytes([0; 32]);
        assert!(stores.recorded(&[key], &mut report).await.unwrap().is_empty());
        assert!(stores.redeem(vec![Handle::new(&HandleKey::default(), "text", "x")], &late).await.is_empty());
        assert!(!report.ledger_failed);
    }

    #[tokio::test]
    async fn redeems_text_and_nothing_else() {
        let store = MemoryStore::default();
        let handle = |text: &str| Handle::new(&HandleKey::default(), "text", text);
        let originals = vec![
            Original::new(handle("a"), "text", "text".into()),
            Original::new(handle("b"), "text", Bytes::from_static(b"\xff")),
        ];
        OriginalStore::put_many(&store, Scope::shared(), originals).await.unwrap();
        let report = Report::rewritten(Default::default(), MemoryReport::default());
        let found = scoped(store).redeem(vec![handle("a"), handle("b"), handle("c")], &report).await;
        assert_eq!(found, [(handle("a"), "text".to_owned())]);
    }
}
