use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use headroom_engine::{LedgerKey, Record, ccr::Handle};
use moka::sync::Cache;

use super::{LedgerStore, Original, OriginalStore, StoreError};
use crate::tenant::Scope;

/// Counted for every entry beside its text: keys, hash table, recency lists.
const OVERHEAD: usize = 256;

/// Keeps originals and ledger records in this process, in bounded memory.
///
/// What is seen stays; what was not seen for the idle time, or least and longest ago when the
/// capacity is reached, goes. A restart forgets everything, so its ledger is not
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
        .weigher(|_, text: &Bytes| u32::try_from(text.len() + OVERHEAD).unwrap_or(u32::MAX))
        .time_to_idle(idle)
        .support_invalidation_closures()
        .build()
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
        for original in originals {
            self.originals.insert((scope, original.handle), own(&original.text));
        }
        Ok(())
    }

    async fn touch_many(&self, scope: Scope, handles: &[Handle]) -> Result<Vec<Handle>, StoreError> {
        // `get` renews the idle time, `contains_key` would not.
        let missing = |handle: &Handle| self.originals.get(&(scope, *handle)).is_none();
        Ok(handles.iter().copied().filter(missing).collect())
    }

    async fn get(&self, scope: Scope, handle: Handle) -> Result<Option<Bytes>, StoreError> {
        Ok(self.originals.get(&(scope, handle)))
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
        for record in records {
            self.records.insert((scope, record.key), own(&record.value));
        }
        Ok(())
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
        put(&store, scope, &[&"x".repeat(128 << 10)]).await;
        assert_eq!(store.originals.entry_count(), 0);
        for n in 0..200 {
            put(&store, scope, &[&format!("{n}").repeat(1000)]).await;
        }
        assert!(store.originals.weighted_size() <= 48 << 10);
        assert!(store.originals.entry_count() > 5);
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
