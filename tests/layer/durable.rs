//! A store that calls itself durable.

use async_trait::async_trait;
use bytes::Bytes;
use headroom_tower::{
    Handle, LedgerKey, LedgerStore, MemoryStore, Original, OriginalStore, Record, Scope, StoreError,
};

/// Keeps its promises for as long as the test runs.
#[derive(Debug, Default)]
pub(crate) struct Durable(MemoryStore);

#[async_trait]
impl LedgerStore for Durable {
    async fn get_many(&self, scope: Scope, keys: &[LedgerKey]) -> Result<Vec<Record>, StoreError> {
        LedgerStore::get_many(&self.0, scope, keys).await
    }

    async fn put_many(&self, scope: Scope, records: Vec<Record>) -> Result<(), StoreError> {
        LedgerStore::put_many(&self.0, scope, records).await
    }

    fn durable(&self) -> bool {
        true
    }

    async fn delete_scope(&self, scope: Scope) -> Result<(), StoreError> {
        LedgerStore::delete_scope(&self.0, scope).await
    }
}

#[async_trait]
impl OriginalStore for Durable {
    async fn put_many(&self, scope: Scope, originals: Vec<Original>) -> Result<(), StoreError> {
        OriginalStore::put_many(&self.0, scope, originals).await
    }

    async fn touch_many(&self, scope: Scope, handles: &[Handle]) -> Result<Vec<Handle>, StoreError> {
        self.0.touch_many(scope, handles).await
    }

    async fn get(&self, scope: Scope, handle: Handle) -> Result<Option<Bytes>, StoreError> {
        self.0.get(scope, handle).await
    }

    async fn delete_scope(&self, scope: Scope) -> Result<(), StoreError> {
        OriginalStore::delete_scope(&self.0, scope).await
    }
}
