//! A ledger that calls itself durable.

use async_trait::async_trait;
use headroom_tower::{LedgerKey, LedgerStore, MemoryStore, Record, Scope, StoreError};

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
