use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use headroom_engine::ccr::HandleKey;

use super::*;

/// A durable store that can be silenced, broken, and watched.
#[derive(Debug, Default)]
struct Back {
    held: MemoryStore,
    down: AtomicBool,
    silent: AtomicBool,
    asked: AtomicUsize,
    puts: Mutex<Vec<usize>>,
}

impl Back {
    async fn answer(&self) -> Result<(), StoreError> {
        self.asked.fetch_add(1, SeqCst);
        if self.silent.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.down.load(SeqCst) { Err(StoreError::new("down")) } else { Ok(()) }
    }

    fn asked(&self) -> usize {
        self.asked.swap(0, SeqCst)
    }
}

#[async_trait]
impl OriginalStore for Back {
    async fn put_many(&self, scope: Scope, originals: Vec<Original>) -> Result<(), StoreError> {
        self.answer().await?;
        self.puts.lock().unwrap().push(originals.len());
        OriginalStore::put_many(&self.held, scope, originals).await
    }
    async fn touch_many(&self, scope: Scope, handles: &[Handle]) -> Result<Vec<Handle>, StoreError> {
        self.answer().await?;
        self.held.touch_many(scope, handles).await
    }
    async fn get(&self, scope: Scope, handle: Handle) -> Result<Option<Bytes>, StoreError> {
        self.answer().await?;
        self.held.get(scope, handle).await
    }
    async fn delete_scope(&self, scope: Scope) -> Result<(), StoreError> {
        self.answer().await?;
        OriginalStore::delete_scope(&self.held, scope).await
    }
}

#[async_trait]
impl LedgerStore for Back {
    async fn get_many(&self, scope: Scope, keys: &[LedgerKey]) -> Result<Vec<Record>, StoreError> {
        self.answer().await?;
        LedgerStore::get_many(&self.held, scope, keys).await
    }
    async fn put_many(&self, scope: Scope, records: Vec<Record>) -> Result<(), StoreError> {
        self.answer().await?;
        LedgerStore::put_many(&self.held, scope, records).await
    }
    fn durable(&self) -> bool {
        true
    }
    async fn delete_scope(&self, scope: Scope) -> Result<(), StoreError> {
        OriginalStore::delete_scope(self, scope).await
    }
}

const SCOPE: fn() -> Scope = Scope::shared;

fn handle(text: &str) -> Handle {
    Handle::new(&HandleKey::default(), "text", text)
}

fn original(text: &str) -> Original {
    Original::new(handle(text), "text", Bytes::copy_from_slice(text.as_bytes()))
}

fn record(n: u8, value: &str) -> Record {
    Record::new(LedgerKey::from_bytes([n; 32]), Bytes::copy_from_slice(value.as_bytes()))
}

async fn put(tier: &TieredStore<Back>, texts: &[&str], durability: Durability) -> Result<(), StoreError> {
    let originals = texts.iter().map(|text| original(text)).collect();
    OriginalStore::put_with(tier, SCOPE(), originals, durability).await
}

#[tokio::test(start_paused = true)]
async fn best_effort_is_written_later_and_in_batches() {
    let tier = TieredStore::new(Back::default());
    for text in ["a", "b", "c", "a"] {
        put(&tier, &[text], Durability::BestEffort).await.unwrap();
    }
    assert_eq!(tier.get_ref().asked(), 0, "not in the way of the request");
    assert_eq!(tier.get(SCOPE(), handle("b")).await.unwrap().unwrap(), "b");
    assert_eq!(tier.get_ref().asked(), 0, "nor is what the memory holds");
    tier.flush().await;
    assert_eq!(*tier.get_ref().puts.lock().unwrap(), [3], "each once, in one batch");
    assert_eq!(tier.get_ref().held.get(SCOPE(), handle("c")).await.unwrap().unwrap(), "c");
    // Held: no renewal is due.
    assert!(tier.touch_many(SCOPE(), &[handle("a"), handle("c")]).await.unwrap().is_empty());
    assert_eq!(tier.touch_many(SCOPE(), &[handle("d")]).await.unwrap(), [handle("d")]);
}

#[tokio::test(start_paused = true)]
async fn what_others_have_put_is_renewed_and_not_sent_again() {
    let tier = TieredStore::new(Back::default());
    OriginalStore::put_many(&tier.get_ref().held, SCOPE(), vec![original("a")]).await.unwrap();
    put(&tier, &["a"], Durability::BestEffort).await.unwrap();
    tier.flush().await;
    assert!(tier.get_ref().puts.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn required_is_awaited_and_its_failure_told() {
    let tier = TieredStore::new(Back::default());
    put(&tier, &["a"], Durability::Required).await.unwrap();
    assert!(tier.get_ref().held.get(SCOPE(), handle("a")).await.unwrap().is_some());
    tier.get_ref().down.store(true, SeqCst);
    assert!(put(&tier, &["b"], Durability::Required).await.is_err());
    assert_eq!(tier.touch_many(SCOPE(), &[handle("b")]).await.unwrap(), [handle("b")]);
    assert!(LedgerStore::put_many(&tier, SCOPE(), vec![record(1, "x")]).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn absence_is_remembered_briefly() {
    let options = TieredOptions::default().absent(Duration::from_secs(1));
    let tier = TieredStore::with(Back::default(), options);
    for asked in [1, 0, 0] {
        assert_eq!(tier.get(SCOPE(), handle("a")).await.unwrap(), None);
        assert_eq!(tier.get_ref().asked(), asked);
    }
    assert_eq!(tier.get(Scope::of(b"b"), handle("a")).await.unwrap(), None);
    assert_eq!(tier.get_ref().asked(), 1, "of this scope only");
    OriginalStore::put_many(&tier.get_ref().held, SCOPE(), vec![original("a")]).await.unwrap();
    // moka has a clock of its own: it is asked until it has forgotten.
    let found = loop {
        if let Some(found) = tier.get(SCOPE(), handle("a")).await.unwrap() {
            break found;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(found, "a");
    // A put ends it at once.
    tier.get(SCOPE(), handle("b")).await.unwrap();
    put(&tier, &["b"], Durability::BestEffort).await.unwrap();
    assert_eq!(tier.get(SCOPE(), handle("b")).await.unwrap().unwrap(), "b");
}

#[tokio::test(start_paused = true)]
async fn the_ledger_is_asked_always_and_what_waits_is_newer() {
    let tier = TieredStore::new(Back::default());
    let keys = [record(1, "").key, record(2, "").key];
    let get = async || {
        let mut found = LedgerStore::get_many(&tier, SCOPE(), &keys).await.unwrap();
        found.sort_by_key(|record| record.key);
        found
    };
    LedgerStore::put_many(&tier, SCOPE(), vec![record(1, "old")]).await.unwrap();
    assert_eq!(get().await, [record(1, "old")]);
    // Another replica writes.
    LedgerStore::put_many(&tier.get_ref().held, SCOPE(), vec![record(1, "new")]).await.unwrap();
    assert_eq!(get().await, [record(1, "new")]);
    let behind = vec![record(1, "newest"), record(2, "x")];
    LedgerStore::put_with(&tier, SCOPE(), behind.clone(), Durability::BestEffort).await.unwrap();
    assert_eq!(get().await, behind);
    tier.flush().await;
    assert_eq!(get().await, behind);
    assert_eq!(LedgerStore::get_many(&tier.get_ref().held, SCOPE(), &keys).await.unwrap().len(), 2);
    // One that waits does not overwrite one that was promised after it.
    LedgerStore::put_with(&tier, SCOPE(), vec![record(1, "waits")], Durability::BestEffort).await.unwrap();
    LedgerStore::put_many(&tier, SCOPE(), vec![record(1, "promised")]).await.unwrap();
    tier.flush().await;
    assert_eq!(get().await, [record(1, "promised"), record(2, "x")]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_is_left_alone_until_it_answers() {
    for silent in [false, true] {
        let tier = TieredStore::new(Back::default());
        let set = |down: bool| {
            let flag = if silent { &tier.get_ref().silent } else { &tier.get_ref().down };
            flag.store(down, SeqCst);
        };
        LedgerStore::put_many(&tier, SCOPE(), vec![record(1, "x")]).await.unwrap();
        set(true);
        let keys = [record(1, "").key];
        for _ in 0..3 {
            assert!(LedgerStore::get_many(&tier, SCOPE(), &keys).await.is_err());
        }
        assert!(tier.is_down());
        tier.get_ref().asked();
        let start = tokio::time::Instant::now();
        for _ in 0..100 {
            assert!(LedgerStore::get_many(&tier, SCOPE(), &keys).await.is_err());
        }
        assert_eq!((tier.get_ref().asked(), start.elapsed()), (0, Duration::ZERO));
        assert_eq!(tier.at_hand(SCOPE(), &keys).await, [record(1, "x")], "what the memory holds");
        put(&tier, &["a"], Durability::BestEffort).await.unwrap();
        set(false);
        while tier.is_down() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(LedgerStore::get_many(&tier, SCOPE(), &keys).await.unwrap().len(), 1);
        tier.flush().await;
        assert!(tier.get_ref().held.get(SCOPE(), handle("a")).await.unwrap().is_some(), "written after all");
        assert_eq!(tier.lost(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_and_what_is_given_up_is_counted() {
    let tier = TieredStore::with(Back::default(), TieredOptions::default().queue(1_000));
    tier.get_ref().down.store(true, SeqCst);
    let mut taken = 0;
    for n in 0..20 {
        taken += u64::from(put(&tier, &[&n.to_string()], Durability::BestEffort).await.is_ok());
    }
    assert!((2..20).contains(&taken), "{taken}");
    tier.flush().await;
    assert_eq!(tier.lost(), taken);
    // It is put again the next time it is seen.
    assert_eq!(tier.touch_many(SCOPE(), &[handle("0")]).await.unwrap(), [handle("0")]);
    tier.get_ref().down.store(false, SeqCst);
    put(&tier, &["0"], Durability::BestEffort).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_deleted_scope_comes_back() {
    let tier = TieredStore::new(Back::default());
    put(&tier, &["a"], Durability::Required).await.unwrap();
    put(&tier, &["b"], Durability::BestEffort).await.unwrap();
    LedgerStore::put_with(&tier, SCOPE(), vec![record(1, "x")], Durability::BestEffort).await.unwrap();
    OriginalStore::delete_scope(&tier, SCOPE()).await.unwrap();
    tier.flush().await;
    for text in ["a", "b"] {
        assert_eq!(tier.get(SCOPE(), handle(text)).await.unwrap(), None);
        assert_eq!(tier.touch_many(SCOPE(), &[handle(text)]).await.unwrap(), [handle(text)]);
    }
    assert!(LedgerStore::get_many(&tier, SCOPE(), &[record(1, "").key]).await.unwrap().is_empty());
}
