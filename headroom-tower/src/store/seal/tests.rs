use std::{collections::HashMap, sync::Mutex};

use headroom_engine::ccr::HandleKey;
use proptest::prelude::*;

use super::*;
use crate::MemoryStore;

const TEXT: &str = "the canary sings in the mine, and the mine is deep";

fn handle(text: &str) -> Handle {
    Handle::new(&HandleKey::default(), "text", text)
}

fn original(name: &str, text: &str) -> Original {
    Original::new(handle(name), "text", Bytes::copy_from_slice(text.as_bytes()))
}

fn record(n: u8, value: &str) -> Record {
    Record::new(LedgerKey::from_bytes([n; 32]), Bytes::copy_from_slice(value.as_bytes()))
}

fn store() -> Sealed<MemoryStore> {
    Sealed::new(MemoryStore::default(), Keyring::new(7, [1; 32]))
}

async fn put(store: &Sealed<MemoryStore>, scope: Scope, name: &str) {
    OriginalStore::put_many(store, scope, vec![original(name, TEXT)]).await.unwrap();
}

proptest! {
    #[test]
    fn what_is_sealed_opens_in_its_place_only(content in proptest::collection::vec(any::<u8>(), 0..400), at: usize, bit in 0..8u8) {
        let key = SealKey::new(3, [9; 32]);
        let sealed = seal(&key, b"place", &content).unwrap();
        prop_assert_eq!(&open(&key, b"place", &sealed).unwrap()[..], &content[..]);
        prop_assert!(open(&key, b"other", &sealed).is_err());
        prop_assert!(open(&SealKey::new(3, [8; 32]), b"place", &sealed).is_err());
        // Every bit counts, but those that only choose the key.
        let mut damaged = sealed.to_vec();
        let at = 5 + at % (damaged.len() - 5);
        damaged[at] ^= 1 << bit;
        prop_assert!(open(&key, b"place", &damaged).is_err());
        prop_assert!(open(&key, b"place", &sealed[..sealed.len() - 1]).is_err());
        prop_assert_eq!(seal(&key, b"place", &content).unwrap(), sealed);
    }
}

#[tokio::test]
async fn the_store_behind_sees_nothing() {
    let (store, scope) = (store(), Scope::shared());
    put(&store, scope, "a").await;
    LedgerStore::put_many(&store, scope, vec![record(1, TEXT)]).await.unwrap();
    assert_eq!(store.get(scope, handle("a")).await.unwrap().unwrap(), TEXT);
    let keys = [record(1, "").key];
    assert_eq!(LedgerStore::get_many(&store, scope, &keys).await.unwrap(), [record(1, TEXT)]);
    let behind = store.get_ref().get(scope, handle("a")).await.unwrap().unwrap();
    let record = LedgerStore::get_many(store.get_ref(), scope, &keys).await.unwrap().remove(0);
    for bytes in [&behind, &record.value] {
        for part in TEXT.as_bytes().windows(6) {
            assert!(!bytes.windows(6).any(|window| window == part));
        }
    }
    assert_ne!(behind[HEAD..], record.value[HEAD..]);
}

#[tokio::test]
async fn a_row_that_was_moved_is_an_error() {
    let (store, one, two) = (store(), Scope::of(b"1"), Scope::of(b"2"));
    put(&store, one, "a").await;
    let sealed = store.get_ref().get(one, handle("a")).await.unwrap().unwrap();
    for (scope, name) in [(two, "a"), (one, "b")] {
        let moved = Original::new(handle(name), "text", sealed.clone());
        OriginalStore::put_many(store.get_ref(), scope, vec![moved]).await.unwrap();
        assert!(store.get(scope, handle(name)).await.is_err());
    }
    OriginalStore::put_many(store.get_ref(), one, vec![original("plain", TEXT)]).await.unwrap();
    assert!(store.get(one, handle("plain")).await.is_err(), "unsealed");
}

#[tokio::test]
async fn secrets_are_rotated() {
    let (store, scope) = (store(), Scope::shared());
    put(&store, scope, "old").await;
    let memory = store.get_ref().clone();
    let rotated = Sealed::new(memory.clone(), Keyring::new(8, [2; 32]).and_older(7, [1; 32]));
    put(&rotated, scope, "new").await;
    for name in ["old", "new"] {
        assert_eq!(rotated.get(scope, handle(name)).await.unwrap().unwrap(), TEXT);
    }
    let later = Sealed::new(memory, Keyring::new(8, [2; 32]));
    assert_eq!(later.get(scope, handle("old")).await.unwrap(), None);
    assert!(later.get(scope, handle("new")).await.unwrap().is_some());
}

/// A key for each scope that exists nowhere else.
#[derive(Debug, Default)]
struct Vault(Mutex<(u8, HashMap<Scope, SealKey>)>);

#[async_trait]
impl KeySource for Vault {
    async fn current(&self, scope: Scope) -> Result<SealKey, StoreError> {
        let (count, keys) = &mut *self.0.lock().unwrap();
        *count += 1;
        let fresh = SealKey::new(u32::from(*count), [*count; 32]);
        Ok(keys.entry(scope).or_insert(fresh).clone())
    }
    async fn named(&self, scope: Scope, id: u32) -> Result<Option<SealKey>, StoreError> {
        Ok(self.0.lock().unwrap().1.get(&scope).filter(|key| key.id() == id).cloned())
    }
    async fn erase(&self, scope: Scope) -> Result<(), StoreError> {
        self.0.lock().unwrap().1.remove(&scope);
        Ok(())
    }
}

#[tokio::test]
async fn what_a_backup_holds_of_an_erased_scope_is_unreadable() {
    let (one, two) = (Scope::of(b"1"), Scope::of(b"2"));
    let store = Sealed::new(MemoryStore::default(), Vault::default());
    put(&store, one, "a").await;
    put(&store, two, "a").await;
    let backup = store.get_ref().get(one, handle("a")).await.unwrap().unwrap();
    OriginalStore::delete_scope(&store, one).await.unwrap();
    assert_eq!(store.get(one, handle("a")).await.unwrap(), None);
    // The rows come back, the key does not; nor does a new one open them.
    let restored = Original::new(handle("a"), "text", backup);
    OriginalStore::put_many(store.get_ref(), one, vec![restored]).await.unwrap();
    assert_eq!(store.get(one, handle("a")).await.unwrap(), None);
    put(&store, one, "b").await;
    assert_eq!(store.get(one, handle("a")).await.unwrap(), None);
    assert!(store.get(two, handle("a")).await.unwrap().is_some());
}

#[test]
fn debug_shows_no_key() {
    let shown = format!("{:?} {:?} {:?}", store(), Keyring::new(1, [77; 32]), SealKey::new(1, [77; 32]));
    assert!(!shown.contains("77"), "{shown}");
}
