//! A store in memory in front of one that replicas share.

mod breaker;
mod queue;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use headroom_engine::{LedgerKey, Record, ccr::Handle};
use moka::sync::Cache;

use self::{
    breaker::Breaker,
    queue::{Job, Queue},
};
use super::{Durability, LedgerStore, MemoryStore, Original, OriginalStore, StoreError};
use crate::tenant::Scope;

/// How a [`TieredStore`] stands in front of its store.
///
/// ```
/// use headroom_tower::TieredOptions;
/// let options = TieredOptions::default().capacity(512 << 20);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TieredOptions {
    /// Bytes held in memory; 128 MiB.
    pub capacity: u64,
    /// What was not seen for this long leaves the memory; a day.
    pub idle: Duration,
    /// How long an original that the store does not hold counts as not held; 2 s.
    pub absent: Duration,
    /// How long an original that the store was given or has renewed needs no renewal; 10 minutes. It
    /// must be well below the store's own idle time.
    pub renew: Duration,
    /// Bytes that wait to be written; 64 MiB. What does not fit is refused, which the request's
    /// report tells.
    pub queue: usize,
    /// How long the store may take for an answer; 200 ms. After three failures in a row it counts as
    /// down and is not asked by requests until it has answered a question of ours.
    pub wait: Duration,
}

impl Default for TieredOptions {
    fn default() -> Self {
        Self {
            capacity: 128 << 20,
            idle: Duration::from_secs(24 * 3600),
            absent: Duration::from_secs(2),
            renew: Duration::from_secs(600),
            queue: 64 << 20,
            wait: Duration::from_millis(200),
        }
    }
}

impl TieredOptions {
    /// Sets [`TieredOptions::capacity`].
    #[must_use]
    pub fn capacity(mut self, bytes: u64) -> Self {
        self.capacity = bytes;
        self
    }

    /// Sets [`TieredOptions::idle`].
    #[must_use]
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Sets [`TieredOptions::absent`].
    #[must_use]
    pub fn absent(mut self, time: Duration) -> Self {
        self.absent = time;
        self
    }

    /// Sets [`TieredOptions::renew`].
    #[must_use]
    pub fn renew(mut self, time: Duration) -> Self {
        self.renew = time;
        self
    }

    /// Sets [`TieredOptions::queue`].
    #[must_use]
    pub fn queue(mut self, bytes: usize) -> Self {
        self.queue = bytes;
        self
    }

    /// Sets [`TieredOptions::wait`].
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

/// Memory in front of a store that replicas share: requests wait for that store only where they
/// must.
///
/// | | asks the store behind | if that fails |
/// |---|---|---|
/// | originals of a request ([`BestEffort`](Durability::BestEffort)) | later, in batches | tried again for half a minute, then lost: the request held them |
/// | originals that are sent once, records that thinking is bound to ([`Required`](Durability::Required)) | now | the put fails |
/// | an original that is asked for | if the memory does not hold it | as if it were not held, and reported |
/// | ledger records | always: another replica may have written since | what the layer was told to do |
///
/// A store that fails three times in a row is left alone by requests, which go on at once, until it
/// answers again. Memory is no second truth: nothing that is found there alone is promised.
///
/// A scope is deleted here and in the store behind; the memory of other replicas forgets it when its
/// idle time is over, or when they are told as well.
///
/// Clones share everything. What waits to be written is lost with the process, unless
/// [`flush`](Self::flush) was awaited.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use headroom_tower::{MemoryStore, TieredStore};
/// let store = TieredStore::new(MemoryStore::default()); // in practice a PostgresStore
/// store.flush().await;
/// assert!(store.lost() == 0 && !store.is_down());
/// # });
/// ```
pub struct TieredStore<S> {
    core: Arc<Core<S>>,
    queue: Queue,
}

/// What the writer shares with those who ask.
struct Core<S> {
    back: S,
    front: MemoryStore,
    /// What the store behind does not hold.
    absent: Cache<(Scope, Handle), ()>,
    /// What it holds, or is about to be given.
    fresh: Cache<(Scope, Handle), ()>,
    breaker: Breaker,
    wait: Duration,
}

/// Names of originals are kept for this many.
const NAMES: u64 = 500_000;

impl<S> TieredStore<S>
where
    S: OriginalStore + LedgerStore + 'static,
{
    /// Memory in front of `store`, with the default options.
    ///
    /// # Panics
    /// Outside of a tokio runtime: what is written later is written by a task.
    #[must_use]
    pub fn new(store: S) -> Self {
        Self::with(store, TieredOptions::default())
    }

    /// The same with other options.
    ///
    /// # Panics
    /// As [`TieredStore::new`].
    #[must_use]
    pub fn with(store: S, options: TieredOptions) -> Self {
        let names = |time| Cache::builder().max_capacity(NAMES).time_to_live(time).build();
        let core = Arc::new(Core {
            back: store,
            front: MemoryStore::new(options.capacity, options.idle),
            absent: names(options.absent),
            fresh: Cache::builder()
                .max_capacity(NAMES)
                .time_to_live(options.renew)
                .support_invalidation_closures()
                .build(),
            breaker: Breaker::default(),
            wait: options.wait,
        });
        Self { queue: Queue::start(Arc::clone(&core), options.queue), core }
    }

    /// The store behind.
    pub fn get_ref(&self) -> &S {
        &self.core.back
    }

    /// Waits until all that was put before is written, or was given up.
    pub async fn flush(&self) {
        let (done, written) = tokio::sync::oneshot::channel();
        if self.queue.send(Job::Flush(done)).await.is_ok() {
            let _ = written.await;
        }
    }

    /// Originals and records that were accepted and could not be written, so far.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.queue.lost()
    }

    /// Whether the store behind counts as down.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.core.breaker.is_open()
    }

    /// Asks the store behind, under the deadline, unless it is down.
    async fn ask<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        self.core.breaker.ask(&self.core, work).await
    }
}

impl<S> Clone for TieredStore<S> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core), queue: self.queue.clone() }
    }
}

impl<S: fmt::Debug> fmt::Debug for TieredStore<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TieredStore")
            .field("front", &self.core.front)
            .field("back", &self.core.back)
            .field("down", &self.core.breaker.is_open())
            .finish()
    }
}

#[async_trait]
impl<S> OriginalStore for TieredStore<S>
where
    S: OriginalStore + LedgerStore + 'static,
{
    async fn put_many(&self, scope: Scope, originals: Vec<Original>) -> Result<(), StoreError> {
        OriginalStore::put_with(self, scope, originals, Durability::Required).await
    }

    async fn put_with(
        &self,
        scope: Scope,
        originals: Vec<Original>,
        durability: Durability,
    ) -> Result<(), StoreError> {
        let handles: Vec<Handle> = originals.iter().map(|it| it.handle).collect();
        // What is larger than the memory may still fit behind it.
        let _ = OriginalStore::put_many(&self.core.front, scope, originals.clone()).await;
        for handle in &handles {
            self.core.absent.invalidate(&(scope, *handle));
        }
        match durability {
            Durability::Required => {
                self.ask(OriginalStore::put_with(&self.core.back, scope, originals, durability)).await?;
            }
            Durability::BestEffort => self.queue.originals(scope, originals)?,
        }
        for handle in handles {
            self.core.fresh.insert((scope, handle), ());
        }
        Ok(())
    }

    /// What was neither put nor renewed here of late counts as not held: putting it again renews it.
    async fn touch_many(&self, scope: Scope, handles: &[Handle]) -> Result<Vec<Handle>, StoreError> {
        self.core.front.touch_many(scope, handles).await?;
        let stale = |handle: &Handle| !self.core.fresh.contains_key(&(scope, *handle));
        Ok(handles.iter().copied().filter(stale).collect())
    }

    async fn get(&self, scope: Scope, handle: Handle) -> Result<Option<Bytes>, StoreError> {
        if let Some(text) = self.core.front.get(scope, handle).await? {
            return Ok(Some(text));
        }
        if self.core.absent.contains_key(&(scope, handle)) {
            return Ok(None);
        }
        let found = self.ask(self.core.back.get(scope, handle)).await?;
        match &found {
            Some(text) => {
                let original = Original::new(handle, "", text.clone());
                let _ = OriginalStore::put_many(&self.core.front, scope, vec![original]).await;
            }
            None => self.core.absent.insert((scope, handle), ()),
        }
        Ok(found)
    }

    async fn delete_scope(&self, scope: Scope) -> Result<(), StoreError> {
        let (done, deleted) = tokio::sync::oneshot::channel();
        // Behind what waits to be written: nothing of it comes back.
        self.queue.send(Job::Delete(scope, done)).await?;
        deleted.await.map_err(StoreError::new)?
    }
}

#[async_trait]
impl<S> LedgerStore for TieredStore<S>
where
    S: OriginalStore + LedgerStore + 'static,
{
    async fn get_many(&self, scope: Scope, keys: &[LedgerKey]) -> Result<Vec<Record>, StoreError> {
        let mut found = self.ask(LedgerStore::get_many(&self.core.back, scope, keys)).await?;
        // What waits to be written is newer than what is there.
        for record in self.queue.waiting(scope, keys) {
            match found.iter_mut().find(|it| it.key == record.key) {
                Some(older) => *older = record,
                None => found.push(record),
            }
        }
        let _ = LedgerStore::put_many(&self.core.front, scope, found.clone()).await;
        Ok(found)
    }

    async fn at_hand(&self, scope: Scope, keys: &[LedgerKey]) -> Vec<Record> {
        LedgerStore::get_many(&self.core.front, scope, keys).await.unwrap_or_default()
    }

    async fn put_many(&self, scope: Scope, records: Vec<Record>) -> Result<(), StoreError> {
        LedgerStore::put_with(self, scope, records, Durability::Required).await
    }

    async fn put_with(
        &self,
        scope: Scope,
        records: Vec<Record>,
        durability: Durability,
    ) -> Result<(), StoreError> {
        let _ = LedgerStore::put_many(&self.core.front, scope, records.clone()).await;
        match durability {
            Durability::Required => {
                self.queue.supersede(scope, &records);
                self.ask(LedgerStore::put_with(&self.core.back, scope, records, durability)).await
            }
            Durability::BestEffort => self.queue.records(scope, &records),
        }
    }

    fn durable(&self) -> bool {
        self.core.back.durable()
    }

    async fn delete_scope(&self, scope: Scope) -> Result<(), StoreError> {
        OriginalStore::delete_scope(self, scope).await
    }
}

#[cfg(test)]
mod tests;
