//! The store: maps in memory, where yours has a database.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use headroom_tower::{Handle, LedgerKey, LedgerStore, Original, OriginalStore, Record, Scope, StoreError};

/// Every row is found by its scope *and* its name: a query without the scope would let one tenant
/// redeem, or guess at, what another one hid.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    originals: Mutex<BTreeMap<(Scope, Handle), Bytes>>,
    records: Mutex<BTreeMap<(Scope, LedgerKey), Record>>,
}

impl Shelf {
    pub(crate) fn originals(&self) -> usize {
        lock(&self.originals).len()
    }

    pub(crate) fn records(&self) -> usize {
        lock(&self.records).len()
    }
}

#[async_trait]
impl OriginalStore for Shelf {
    async fn put_many(&self, scope: Scope, originals: Vec<Original>) -> Result<(), StoreError> {
        // A database's error would go into `StoreError::new`; the request goes on without it.
        let rows = originals.into_iter().map(|original| ((scope, original.handle), original.text));
        lock(&self.originals).extend(rows);
        Ok(())
    }

    async fn touch_many(&self, scope: Scope, handles: &[Handle]) -> Result<Vec<Handle>, StoreError> {
        // Nothing expires here; elsewhere, what is held would be marked as seen now.
        let held = lock(&self.originals);
        Ok(handles.iter().copied().filter(|handle| !held.contains_key(&(scope, *handle))).collect())
    }

    async fn get(&self, scope: Scope, handle: Handle) -> Result<Option<Bytes>, StoreError> {
        Ok(lock(&self.originals).get(&(scope, handle)).cloned())
    }

    async fn delete_scope(&self, scope: Scope) -> Result<(), StoreError> {
        lock(&self.originals).retain(|(of, _), _| *of != scope);
        Ok(())
    }

    fn shared(&self) -> bool {
        false // A map of this process; a database says `true`, and the builder asks for tenants.
    }
}

#[async_trait]
impl LedgerStore for Shelf {
    async fn get_many(&self, scope: Scope, keys: &[LedgerKey]) -> Result<Vec<Record>, StoreError> {
        let held = lock(&self.records);
        Ok(keys.iter().filter_map(|key| held.get(&(scope, *key)).cloned()).collect())
    }

    async fn put_many(&self, scope: Scope, records: Vec<Record>) -> Result<(), StoreError> {
        lock(&self.records).extend(records.into_iter().map(|record| ((scope, record.key), record)));
        Ok(())
    }

    fn shared(&self) -> bool {
        false
    }

    fn durable(&self) -> bool {
        false // `true` is a promise that a restart keeps: thinking is bound to what is recorded.
    }

    async fn delete_scope(&self, scope: Scope) -> Result<(), StoreError> {
        lock(&self.records).retain(|(of, _), _| *of != scope);
        Ok(())
    }
}

fn lock<T>(shelf: &Mutex<T>) -> MutexGuard<'_, T> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}
