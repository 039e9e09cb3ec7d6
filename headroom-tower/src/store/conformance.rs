//! What every store must do, as checks that any store can run (feature `conformance`).
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use headroom_tower::{MemoryStore, conformance};
//! conformance::originals(&MemoryStore::default()).await.unwrap();
//! conformance::ledger(&MemoryStore::default()).await.unwrap();
//! # });
//! ```
//!
//! The checks use scopes of their own, which they delete before and after. They do not restart the
//! store, break it or wait for things to expire: whether a durable ledger keeps its promises is for
//! tests of your own.

use bytes::Bytes;
use headroom_engine::{
    LedgerKey, Record,
    ccr::{Handle, HandleKey},
};

use super::{Durability, LedgerStore, Original, OriginalStore, StoreError};
use crate::tenant::Scope;

/// A store did not do what it must.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// It failed where it must not.
    #[error("{0}: the store failed")]
    Failed(&'static str, #[source] StoreError),
    /// It did something else.
    #[error("{0}")]
    Broken(&'static str),
}

/// Runs all checks of an [`OriginalStore`].
///
/// # Errors
/// The first thing that the store does wrong.
pub async fn originals<S: OriginalStore + ?Sized>(store: &S) -> Result<(), Violation> {
    let (one, two) = scopes("originals");
    for scope in [one, two] {
        store.delete_scope(scope).await.or_fail("deleting a scope that is empty")?;
    }

    store.put_many(one, Vec::new()).await.or_fail("putting nothing")?;
    let missing = store.touch_many(one, &[]).await.or_fail("touching nothing")?;
    check(missing.is_empty(), "of no handles, some are missing")?;

    let texts = texts();
    let handles: Vec<Handle> = texts.iter().map(|text| handle(text)).collect();
    for handle in &handles {
        check(get(store, one, *handle).await?.is_none(), "holds what was not put")?;
    }
    let missing = store.touch_many(one, &handles).await.or_fail("touching what is not held")?;
    check(missing == handles, "not all that is not held is reported missing, in order")?;

    let mut batch: Vec<Original> = texts.iter().map(|text| original(text)).collect();
    batch.push(original(&texts[0]));
    store.put_many(one, batch).await.or_fail("putting a batch that holds one twice")?;
    for (handle, text) in handles.iter().zip(&texts) {
        let held = get(store, one, *handle).await?;
        check(held.is_some_and(|held| held == text.as_bytes()), "what was put does not come back as it was")?;
    }
    let unknown = handle("never put");
    let asked = [handles[0], unknown, handles[1]];
    let missing = store.touch_many(one, &asked).await.or_fail("touching")?;
    check(missing.iter().all(|handle| *handle == unknown), "what is held is reported missing")?;
    check(missing == [unknown], "what is not held is not reported missing")?;

    for handle in &handles {
        check(get(store, two, *handle).await?.is_none(), "a scope finds what another one has put")?;
    }
    let missing = store.touch_many(two, &handles).await.or_fail("touching under another scope")?;
    check(missing == handles, "a scope is told what another one holds")?;

    store.put_many(one, vec![original(&texts[0])]).await.or_fail("putting again")?;
    let held = get(store, one, handles[0]).await?;
    check(held.is_some_and(|held| held == texts[0].as_bytes()), "putting again changes what is held")?;

    let behind = vec![original("put with best effort")];
    store.put_with(two, behind, Durability::BestEffort).await.or_fail("putting with best effort")?;
    let mine = vec![original(&texts[1])];
    store.put_with(two, mine, Durability::Required).await.or_fail("putting with a promise")?;
    check(get(store, two, handles[1]).await?.is_some(), "what was promised is not held")?;

    store.delete_scope(one).await.or_fail("deleting a scope")?;
    for handle in &handles {
        check(get(store, one, *handle).await?.is_none(), "what was deleted is held")?;
    }
    check(get(store, two, handles[1]).await?.is_some(), "deleting a scope deletes another one's")?;
    store.put_many(one, vec![original(&texts[1])]).await.or_fail("putting after a deletion")?;
    check(get(store, one, handles[1]).await?.is_some(), "nothing can be put after a deletion")?;
    for scope in [one, two] {
        store.delete_scope(scope).await.or_fail("deleting a scope")?;
    }
    Ok(())
}

/// Runs all checks of a [`LedgerStore`].
///
/// # Errors
/// The first thing that the ledger does wrong.
pub async fn ledger<S: LedgerStore + ?Sized>(store: &S) -> Result<(), Violation> {
    let (one, two) = scopes("ledger");
    for scope in [one, two] {
        store.delete_scope(scope).await.or_fail("deleting a scope that is empty")?;
    }

    store.put_many(one, Vec::new()).await.or_fail("putting nothing")?;
    check(records(store, one, &[]).await?.is_empty(), "no keys, but records")?;
    check(records(store, one, &[1, 2]).await?.is_empty(), "holds what was not put")?;

    let all =
        vec![record(1, b"one"), record(2, b""), record(3, &[0, 255, 10, 0]), record(4, &[b'x'; 300_000])];
    store.put_many(one, all.clone()).await.or_fail("putting")?;
    check(records(store, one, &[1, 2, 3, 4]).await? == all, "what was put does not come back as it was")?;
    check(
        records(store, one, &[3, 9, 1]).await? == [record(1, b"one"), all[2].clone()],
        "some of many keys",
    )?;
    check(records(store, two, &[1, 2, 3, 4]).await?.is_empty(), "a scope finds what another one has put")?;

    let again = vec![record(1, b"older"), record(1, b"newer")];
    store.put_many(one, again).await.or_fail("putting one key twice")?;
    check(records(store, one, &[1]).await? == [record(1, b"newer")], "the last record of a key must win")?;
    let promised = vec![record(1, b"promised")];
    store.put_with(one, promised, Durability::Required).await.or_fail("putting with a promise")?;
    check(records(store, one, &[1]).await? == [record(1, b"promised")], "what was promised is not held")?;
    let late = vec![record(5, b"late")];
    store.put_with(one, late, Durability::BestEffort).await.or_fail("putting with best effort")?;

    store.put_many(two, vec![record(1, b"two")]).await.or_fail("putting under another scope")?;
    store.delete_scope(one).await.or_fail("deleting a scope")?;
    check(records(store, one, &[1, 2, 3, 4, 5]).await?.is_empty(), "what was deleted is held")?;
    check(records(store, two, &[1]).await? == [record(1, b"two")], "deleting a scope deletes another one's")?;
    store.delete_scope(two).await.or_fail("deleting a scope")?;
    Ok(())
}

fn scopes(of: &str) -> (Scope, Scope) {
    let scope = |n: u8| Scope::of(format!("headroom conformance: {of} {n}").as_bytes());
    (scope(1), scope(2))
}

fn texts() -> Vec<String> {
    vec![
        "a line\nand another: é, 漢, \u{1f600}, \0".to_owned(),
        "x".to_owned(),
        "2026-11-02 INFO worker: nothing to do\n".repeat(20_000),
    ]
}

fn handle(text: &str) -> Handle {
    Handle::new(&HandleKey::default(), "text", text)
}

fn original(text: &str) -> Original {
    Original::new(handle(text), "text", Bytes::copy_from_slice(text.as_bytes()))
}

fn record(n: u8, value: &[u8]) -> Record {
    Record::new(LedgerKey::from_bytes([n; 32]), Bytes::copy_from_slice(value))
}

async fn get<S: OriginalStore + ?Sized>(
    store: &S,
    scope: Scope,
    handle: Handle,
) -> Result<Option<Bytes>, Violation> {
    store.get(scope, handle).await.or_fail("looking an original up")
}

/// In the order of their keys.
async fn records<S: LedgerStore + ?Sized>(
    store: &S,
    scope: Scope,
    numbers: &[u8],
) -> Result<Vec<Record>, Violation> {
    let keys: Vec<LedgerKey> = numbers.iter().map(|n| LedgerKey::from_bytes([*n; 32])).collect();
    let mut found = store.get_many(scope, &keys).await.or_fail("looking records up")?;
    found.sort_by_key(|record| record.key);
    Ok(found)
}

fn check(holds: bool, otherwise: &'static str) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation::Broken(otherwise)) }
}

trait OrFail<T> {
    fn or_fail(self, doing: &'static str) -> Result<T, Violation>;
}

impl<T> OrFail<T> for Result<T, StoreError> {
    fn or_fail(self, doing: &'static str) -> Result<T, Violation> {
        self.map_err(|error| Violation::Failed(doing, error))
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::MemoryStore;

    #[tokio::test]
    async fn the_memory_conforms() {
        originals(&MemoryStore::default()).await.unwrap();
        ledger(&MemoryStore::default()).await.unwrap();
    }

    /// Forgets who asks.
    #[derive(Debug, Default)]
    struct Open(MemoryStore);

    #[async_trait]
    impl LedgerStore for Open {
        async fn get_many(&self, _: Scope, keys: &[LedgerKey]) -> Result<Vec<Record>, StoreError> {
            LedgerStore::get_many(&self.0, Scope::shared(), keys).await
        }
        async fn put_many(&self, _: Scope, records: Vec<Record>) -> Result<(), StoreError> {
            LedgerStore::put_many(&self.0, Scope::shared(), records).await
        }
        fn durable(&self) -> bool {
            false
        }
        async fn delete_scope(&self, _: Scope) -> Result<(), StoreError> {
            LedgerStore::delete_scope(&self.0, Scope::shared()).await
        }
    }

    #[tokio::test]
    async fn a_store_that_mixes_scopes_does_not() {
        let violation = ledger(&Open::default()).await.unwrap_err();
        assert_eq!(violation.to_string(), "a scope finds what another one has put");
    }
}
