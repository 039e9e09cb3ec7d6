use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use headroom_engine::{LedgerKey, Record, ccr::Handle};
use moka::{policy::EvictionPolicy, sync::Cache};

use super::{LedgerStore, Original, OriginalStore, StoreError};
use crate::tenant::Scope;

/// Counted for every entry beside its text: keys, hash table, recency lists.
const OVERHEAD: usize = 256;

/// moka takes no longer idle time: 1000 years.
const FOR_EVER: Duration = Duration::from_secs(1000 * 365 * 24 * 3600);

/// Keeps originals and ledger records in this process, in bounded memory.
///
/// What is seen stays; what was not seen for the idle time, or for longest when the capacity is
/// reached, goes. What is larger than the capacity is refused. A restart forgets everything, so its ledger is not
/// [durable](LedgerStore::durable). Clones share their content.
///
/// ```
/// # use std::{sync::Arc, time::Duration};
/// use headroom_tower::{HeadroomLayer, MemoryStore};
/// let store = Arc::new(MemoryStore::new(512 << 20, Duration::from_secs(6 * 3600)));
/// let layer = HeadroomLayer::builder().store(store.clone()).ledger(store).build()?;
/// # Ok::<(), headroom_tower::BuildError>(())
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    originals: Cache<(Scope, Handle), Bytes>,
    records: Cache<(Scope, LedgerKey), Bytes>,
}

impl MemoryStore {
    /// A store that holds `capacity` bytes, three quarters of them for originals, and forgets what
    /// was not seen for `idle`.
    #[must_use]
    pub fn new(capacity: u64, idle: Duration) -> Self {
        let records = capacity / 4;
        Self { originals: cache(capacity - records, idle), records: cache(records, idle) }
    }
}

/// 128 MiB and a day.
impl Default for MemoryStore {
    fn default() -> Self {
        Self::new(128 << 20, Duration::from_secs(24 * 3600))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("original_bytes", &self.originals.weighted_size())
            .field("record_bytes", &self.records.weighted_size())
            .finish()
    }
}

fn cache<K: std::hash::Hash + Eq + Send + Sync + 'static>(capacity: u64, idle: Duration) -> Cache<K, Bytes> {
    Cache::builder()
        .max_capacity(capacity)
        .weigher(|_, text: &Bytes| weight(text))
        // Not by frequency: that refuses a record of a new conversation for the sake of old ones.
        .eviction_policy(EvictionPolicy::lru())
        .time_to_idle(idle.min(FOR_EVER))
        .support_invalidation_closures()
        .build()
}

fn weight(text: &Bytes) -> u32 {
    u32::try_from(text.len() + OVERHEAD).unwrap_or(u32::MAX)
}

/// Puts all that fits into `cache`; an error if one is larger than the whole of it.
fn put<K>(cache: &Cache<K, Bytes>, entries: impl Iterator<Item = (K, Bytes)>) -> Result<(), StoreError>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
{
    let capacity = cache.policy().max_capacity().unwrap_or(u64::MAX);
    let mut all = true;
    for (key, text) in entries {
        if u64::from(weight(&text)) <= capacity {
            cache.insert(key, own(&text));
        } else {
            all = false;
        }
    }
    if all { Ok(()) } else { Err(StoreError::new("larger than the store")) }
}

fn forget<K>(cache: &Cache<(Scope, K), Bytes>, scope: Scope) -> Result<(), StoreError>
where
    K: std::hash::Hash + Eq + Send + Sync + 'static,
{
    cache.invalidate_entries_if(move |(owner, _), _| *owner == scope).map(drop).map_err(StoreError::new)
}

/// Bytes of their own: a slice would keep all of the request's body in memory, uncounted.
fn own(text: &Bytes) -> Bytes {
    Bytes::copy_from_slice(text)
}

#[async_trait]
impl OriginalStore for MemoryStore {
    async fn put_many(&self, scope: Scope, originals: Vec<Original>) -> Result<(), StoreError> {
        put(&self.originals, originals.into_iter().map(|it| ((scope, it.handle), it.text)))
    }

    async fn touch_many(&self, scope: Scope, handles: &[Handle]) -> Result<Vec<Handle>, StoreError> {
        // `get` renews the idle time, `contains_key` would not.
        let missing = |handle: &Handle| self.originals.get(&(scope, *handle)).is_none();
        Ok(handles.iter().copied().filter(missing).collect())
    }

    async fn get(&self, scope: Scope, handle: Handle) -> Result<Option<Bytes>, StoreError> {
        Ok(self.originals.get(&(scope, handle)))
    }

    fn shared(&self) -> bool {
        false
    }

    async fn delete_scope(&self, scope: Scope) -> Result<(), StoreError> {
        forget(&self.originals, scope)?;
        forget(&self.records, scope)
    }
}

#[async_trait]
impl LedgerStore for MemoryStore {
    async fn get_many(&self, scope: Scope, keys: &[LedgerKey]) -> Result<Vec<Record>, StoreError> {
        let record = |key: &LedgerKey| self.records.get(&(scope, *key)).map(|value| Record::new(*key, value));
        Ok(keys.iter().filter_map(record).collect())
    }

    async fn put_many(&self, scope: Scope, records: Vec<Record>) -> Result<(), StoreError> {
        put(&self.records, records.into_iter().map(|it| ((scope, it.key), it.value)))
    }

    fn shared(&self) -> bool {
        false
    }

    fn durable(&self) -> bool {
        false
    }

    async fn delete_scope(&self, scope: Scope) -> Result<(), StoreError> {
        OriginalStore::delete_scope(self, scope).await
    }
}

#[cfg(test)]
mod tests {
    use headroom_engine::ccr::HandleKey;

    use super::*;

    fn handle(text: &str) -> Handle {
        Handle::new(&HandleKey::default(), "text", text)
    }

    fn original(text: &str) -> Original {
        Original::new(handle(text), "text", Bytes::copy_from_slice(text.as_bytes()))
    }

    async fn put(store: &MemoryStore, scope: Scope, texts: &[&str]) {
        let originals = texts.iter().map(|text| original(text)).collect();
        OriginalStore::put_many(store, scope, originals).await.unwrap();
        store.originals.run_pending_tasks();
    }

    #[tokio::test]
    async fn a_scope_finds_only_its_own() {
        let store = MemoryStore::default();
        let (one, two) = (Scope::of(b"1"), Scope::of(b"2"));
        put(&store, one, &["a", "b"]).await;
        assert_eq!(store.get(one, handle("a")).await.unwrap().unwrap(), "a");
        assert_eq!(store.get(two, handle("a")).await.unwrap(), None);
        assert_eq!(store.touch_many(one, &[handle("a"), handle("x")]).await.unwrap(), [handle("x")]);
        assert_eq!(store.touch_many(two, &[handle("a")]).await.unwrap(), [handle("a")]);

        let record = Record::new(LedgerKey::from_bytes([7; 32]), "r".into());
        LedgerStore::put_many(&store, one, vec![record.clone()]).await.unwrap();
        assert_eq!(store.get_many(one, &[record.key]).await.unwrap()[0].value, "r");
        assert!(store.get_many(two, &[record.key]).await.unwrap().is_empty());

        put(&store, two, &["a"]).await;
        OriginalStore::delete_scope(&store, one).await.unwrap();
        assert_eq!(store.get(one, handle("a")).await.unwrap(), None);
        assert!(store.get_many(one, &[record.key]).await.unwrap().is_empty());
        assert!(store.get(two, handle("a")).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn capacity_counts_bytes_and_refuses_what_is_larger() {
        let store = MemoryStore::new(64 << 10, Duration::from_secs(60));
        let scope = Scope::shared();
        let large = original(&"x".repeat(128 << 10));
        assert!(OriginalStore::put_many(&store, scope, vec![large]).await.is_err());
        store.originals.run_pending_tasks();
        assert_eq!(store.originals.entry_count(), 0);
        for n in 0..200 {
            put(&store, scope, &[&format!("{n}").repeat(1000)]).await;
        }
        assert!(store.originals.weighted_size() <= 48 << 10);
        assert!(store.originals.entry_count() > 5);
    }

    #[tokio::test]
    async fn what_is_too_large_is_not_said_to_be_kept() {
        let store = MemoryStore::new(64 << 10, Duration::from_secs(60));
        let (scope, large) = (Scope::shared(), "x".repeat(64 << 10));
        let both = vec![original(&large), original("small")];
        assert!(OriginalStore::put_many(&store, scope, both).await.is_err());
        assert!(store.get(scope, handle("small")).await.unwrap().is_some());
        let record = Record::new(LedgerKey::from_bytes([7; 32]), large.into());
        assert!(LedgerStore::put_many(&store, scope, vec![record]).await.is_err());
    }

    #[tokio::test]
    async fn a_full_store_takes_what_is_new_and_lets_go_of_what_was_not_seen_for_longest() {
        let store = MemoryStore::new(64 << 10, Duration::from_secs(60));
        let scope = Scope::shared();
        let old: Vec<String> = (0..40).map(|n| format!("{n:04}").repeat(250)).collect();
        for text in &old {
            put(&store, scope, &[text]).await;
            for _ in 0..5 {
                store.touch_many(scope, &[handle(text)]).await.unwrap();
            }
        }
        for n in 100..110 {
            let text = format!("{n:04}").repeat(250);
            put(&store, scope, &[&text]).await;
            assert!(store.get(scope, handle(&text)).await.unwrap().is_some(), "{n}");
        }
        assert!(store.get(scope, handle(&old[0])).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_idle_time_without_end_is_one() {
        let store = MemoryStore::new(1 << 20, Duration::MAX);
        put(&store, Scope::shared(), &["kept"]).await;
        assert!(store.get(Scope::shared(), handle("kept")).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn being_seen_keeps_alive() {
        let store = MemoryStore::new(1 << 20, Duration::from_secs(1));
        let scope = Scope::shared();
        put(&store, scope, &["seen", "idle"]).await;
        while store.originals.contains_key(&(scope, handle("idle"))) {
            assert_eq!(store.touch_many(scope, &[handle("seen")]).await.unwrap(), []);
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(store.get(scope, handle("seen")).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn an_entry_keeps_no_larger_buffer_alive() {
        let store = MemoryStore::default();
        let body = Bytes::from(vec![b'x'; 4096]);
        let slice = Original::new(handle("x"), "text", body.slice(..10));
        OriginalStore::put_many(&store, Scope::shared(), vec![slice]).await.unwrap();
        assert!(body.is_unique());
    }

    #[test]
    fn debug_shows_counts_only() {
        assert!(format!("{:?}", original("secret")).contains("bytes: 6"));
        assert!(!format!("{:?} {:?}", original("secret"), MemoryStore::default()).contains("secret"));
    }
}
