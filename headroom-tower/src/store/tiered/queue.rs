//! What is written later.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use headroom_engine::{LedgerKey, Record, ccr::Handle};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::Core;
use crate::{
    store::{Durability, LedgerStore, Original, OriginalStore, StoreError},
    tenant::Scope,
};

/// Jobs that wait, beside the limit in bytes.
const JOBS: usize = 16_384;

/// Jobs taken at once: the store writes each scope's in one batch.
const BATCH: usize = 1_024;

/// Scopes written at the same time: most of a pool's connections stay free for requests.
const AT_ONCE: usize = 4;

/// Counted for each entry beside its content.
const OVERHEAD: usize = 256;

/// A batch that fails is tried this often, with pauses that double up to the longest: half a minute
/// in all.
const TRIES: u32 = 12;
const LONGEST: Duration = Duration::from_secs(5);

/// A writer has more patience than a request.
const PATIENCE: u32 = 25;

pub(super) enum Job {
    Originals(Scope, Vec<Original>, OwnedSemaphorePermit),
    Records(Scope, Vec<Record>, OwnedSemaphorePermit),
    Delete(Scope, oneshot::Sender<Result<(), StoreError>>),
    Flush(oneshot::Sender<()>),
}

#[derive(Clone)]
pub(super) struct Queue {
    jobs: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Records that are accepted and not written.
    waiting: Mutex<HashMap<(Scope, LedgerKey), Bytes>>,
    lost: AtomicU64,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, HashMap<(Scope, LedgerKey), Bytes>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets records that are written or given up, unless newer ones came in between.
    fn settled(&self, scope: Scope, records: &[Record]) {
        let mut waiting = self.waiting();
        for record in records {
            let key = (scope, record.key);
            // The very same bytes: a newer record may have the same text.
            if waiting.get(&key).is_some_and(|value| value.as_ptr() == record.value.as_ptr()) {
                waiting.remove(&key);
            }
        }
    }
}

impl Queue {
    pub(super) fn start<S>(core: Arc<Core<S>>, bytes: usize) -> Self
    where
        S: OriginalStore + LedgerStore + 'static,
    {
        let (jobs, waiting) = mpsc::channel(JOBS);
        let shared = Arc::new(Shared::default());
        tokio::spawn(write(core, Arc::clone(&shared), waiting));
        let bytes = bytes.min(u32::MAX as usize).min(Semaphore::MAX_PERMITS);
        Self { jobs, room: Arc::new(Semaphore::new(bytes)), shared }
    }

    pub(super) fn lost(&self) -> u64 {
        self.shared.lost.load(Relaxed)
    }

    pub(super) fn originals(&self, scope: Scope, originals: Vec<Original>) -> Result<(), StoreError> {
        let room = self.room(originals.iter().map(|it| it.text.len()))?;
        self.jobs.try_send(Job::Originals(scope, originals, room)).map_err(|_| full())
    }

    pub(super) fn records(&self, scope: Scope, records: &[Record]) -> Result<(), StoreError> {
        let room = self.room(records.iter().map(|it| it.value.len()))?;
        // Before the writer can have it.
        self.shared
            .waiting()
            .extend(records.iter().map(|record| ((scope, record.key), record.value.clone())));
        self.jobs.try_send(Job::Records(scope, records.to_vec(), room)).map_err(|_| {
            self.shared.settled(scope, records);
            full()
        })
    }

    /// Of these keys, newer records are written by somebody else.
    pub(super) fn supersede(&self, scope: Scope, records: &[Record]) {
        let mut waiting = self.shared.waiting();
        for record in records {
            waiting.remove(&(scope, record.key));
        }
    }

    /// What is accepted under `keys` and not written.
    pub(super) fn waiting(&self, scope: Scope, keys: &[LedgerKey]) -> Vec<Record> {
        let waiting = self.shared.waiting();
        if waiting.is_empty() {
            return Vec::new();
        }
        let record = |key: &LedgerKey| Some(Record::new(*key, waiting.get(&(scope, *key))?.clone()));
        keys.iter().filter_map(record).collect()
    }

    /// Waits for a place in the queue.
    pub(super) async fn send(&self, job: Job) -> Result<(), StoreError> {
        self.jobs.send(job).await.map_err(|_| StoreError::new("the writer is gone"))
    }

    fn room(&self, sizes: impl Iterator<Item = usize>) -> Result<OwnedSemaphorePermit, StoreError> {
        let bytes = sizes.map(|size| size.saturating_add(OVERHEAD)).fold(0, usize::saturating_add);
        let bytes = u32::try_from(bytes).map_err(|_| full())?;
        Arc::clone(&self.room).try_acquire_many_owned(bytes).map_err(|_| full())
    }
}

fn full() -> StoreError {
    StoreError::new("too much waits to be written")
}

/// One scope's part of a batch.
#[derive(Default)]
struct Part {
    originals: Vec<Original>,
    records: Vec<Record>,
    room: Vec<OwnedSemaphorePermit>,
}

/// Writes until nobody can put any more.
async fn write<S>(core: Arc<Core<S>>, shared: Arc<Shared>, mut waiting: mpsc::Receiver<Job>)
where
    S: OriginalStore + LedgerStore + 'static,
{
    let mut jobs = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut jobs, BATCH).await > 0 {
        let mut parts: BTreeMap<Scope, Part> = BTreeMap::new();
        for job in jobs.drain(..) {
            match job {
                Job::Originals(scope, originals, room) => {
                    let part = parts.entry(scope).or_default();
                    part.originals.extend(originals);
                    part.room.push(room);
                }
                Job::Records(scope, records, room) => {
                    let part = parts.entry(scope).or_default();
                    part.records.extend(records);
                    part.room.push(room);
                }
                Job::Delete(scope, done) => {
                    // What waits before it would only be deleted.
                    if let Some(part) = parts.remove(&scope) {
                        shared.settled(scope, &part.records);
                    }
                    let _ = done.send(delete(&core, scope).await);
                }
                Job::Flush(done) => {
                    write_parts(&core, &shared, std::mem::take(&mut parts)).await;
                    let _ = done.send(());
                }
            }
        }
        write_parts(&core, &shared, parts).await;
    }
}

async fn delete<S>(core: &Core<S>, scope: Scope) -> Result<(), StoreError>
where
    S: OriginalStore + LedgerStore + 'static,
{
    let done = OriginalStore::delete_scope(&core.back, scope).await;
    let ledger = LedgerStore::delete_scope(&core.back, scope).await;
    // Behind the store: what was read from it in between is forgotten, too.
    OriginalStore::delete_scope(&core.front, scope).await?;
    core.fresh.invalidate_entries_if(move |(owner, _), ()| *owner == scope).map_err(StoreError::new)?;
    done.and(ledger)
}

async fn write_parts<S>(core: &Arc<Core<S>>, shared: &Arc<Shared>, parts: BTreeMap<Scope, Part>)
where
    S: OriginalStore + LedgerStore + 'static,
{
    let mut running = JoinSet::new();
    for (scope, part) in parts {
        if running.len() == AT_ONCE {
            running.join_next().await;
        }
        running.spawn(write_part(Arc::clone(core), Arc::clone(shared), scope, part));
    }
    while running.join_next().await.is_some() {}
}

async fn write_part<S>(core: Arc<Core<S>>, shared: Arc<Shared>, scope: Scope, part: Part)
where
    S: OriginalStore + LedgerStore + 'static,
{
    let Part { mut originals, records, room } = part;
    let mut seen = std::collections::HashSet::new();
    originals.retain(|original| seen.insert(original.handle));
    if !originals.is_empty() && !persist(&core, || put_originals(&core, scope, &originals)).await {
        shared.lost.fetch_add(originals.len() as u64, Relaxed);
        for original in &originals {
            core.fresh.invalidate(&(scope, original.handle));
        }
    }
    // What was superseded meanwhile must not overwrite what superseded it.
    let current: Vec<Record> = {
        let waiting = shared.waiting();
        let is_current = |record: &&Record| {
            waiting.get(&(scope, record.key)).is_some_and(|value| value.as_ptr() == record.value.as_ptr())
        };
        records.iter().filter(is_current).cloned().collect()
    };
    if !current.is_empty() {
        let put = || LedgerStore::put_with(&core.back, scope, current.clone(), Durability::BestEffort);
        if !persist(&core, put).await {
            shared.lost.fetch_add(current.len() as u64, Relaxed);
        }
    }
    shared.settled(scope, &records);
    drop(room);
}

/// Renews what is there and puts the rest: what other replicas have put is not sent again.
async fn put_originals<S>(core: &Core<S>, scope: Scope, originals: &[Original]) -> Result<(), StoreError>
where
    S: OriginalStore + LedgerStore + 'static,
{
    let handles: Vec<Handle> = originals.iter().map(|original| original.handle).collect();
    let missing: std::collections::HashSet<Handle> =
        core.back.touch_many(scope, &handles).await?.into_iter().collect();
    let new: Vec<Original> =
        originals.iter().filter(|original| missing.contains(&original.handle)).cloned().collect();
    if new.is_empty() {
        return Ok(());
    }
    OriginalStore::put_with(&core.back, scope, new, Durability::BestEffort).await
}

/// Does `work` until it succeeds or patience ends.
async fn persist<S, W>(core: &Core<S>, mut work: impl FnMut() -> W) -> bool
where
    W: Future<Output = Result<(), StoreError>>,
{
    let mut pause = Duration::from_millis(20);
    for last in (0..TRIES).map(|at| at + 1 == TRIES) {
        if matches!(timeout(core.wait.saturating_mul(PATIENCE), work()).await, Ok(Ok(()))) {
            return true;
        }
        if !last {
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }
    false
}
