//! What happens to servers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use headroom_tests::{
    Dialect::Anthropic,
    client::{http, post, read},
    provider::{Provider, Received, Turn},
};
use headroom_tower::{
    HeadroomLayer, LedgerFailure, LedgerKey, LedgerStore, OriginalStore, PostgresOptions, PostgresStore,
    Record, Report, Scope, Skipped, TieredStore,
};
use sqlx::postgres::PgPoolOptions;
use tokio::task::JoinSet;
use tower::{Layer as _, ServiceExt as _};

use crate::{
    cluster::{Cluster, as_root, execute, point, room, url_at},
    store::{handle, original, record},
    talk::{Talk, eager, log},
};

fn patient() -> PostgresOptions {
    PostgresOptions::default().acquire(Duration::from_secs(10))
}

async fn start(settings: &'static [&'static str]) -> Cluster {
    tokio::task::spawn_blocking(|| Cluster::start(settings)).await.unwrap()
}

fn key(writer: usize, n: usize) -> LedgerKey {
    LedgerKey::from_bytes(*blake3::hash(format!("{writer} {n}").as_bytes()).as_bytes())
}

/// Records that are put all the time, and which of them were acknowledged.
struct Writers {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
    running: JoinSet<Vec<LedgerKey>>,
}

impl Writers {
    fn start(store: &PostgresStore) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicUsize::new(0));
        let mut running = JoinSet::new();
        for writer in 0..4 {
            let (store, stop, count) = (store.clone(), stop.clone(), count.clone());
            running.spawn(async move {
                let mut acknowledged = Vec::new();
                for n in 0.. {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    let record =
                        Record::new(key(writer, n), Bytes::from(format!("record {writer} {n}").repeat(20)));
                    if LedgerStore::put_many(&store, Scope::shared(), vec![record]).await.is_ok() {
                        acknowledged.push(key(writer, n));
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                }
                acknowledged
            });
        }
        Self { stop, count, running }
    }

    /// Waits until `more` puts were acknowledged from now on.
    async fn acknowledged(&self, more: usize) {
        let (from, start) = (self.count.load(Ordering::SeqCst), Instant::now());
        while self.count.load(Ordering::SeqCst) < from + more {
            assert!(start.elapsed() < Duration::from_secs(60), "nothing is acknowledged");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn end(mut self) -> Vec<LedgerKey> {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Vec::new();
        while let Some(acknowledged) = self.running.join_next().await {
            all.extend(acknowledged.unwrap());
        }
        all
    }
}

async fn held(store: &PostgresStore, keys: &[LedgerKey]) -> usize {
    let mut found = 0;
    for keys in keys.chunks(500) {
        found += LedgerStore::get_many(store, Scope::shared(), keys).await.unwrap().len();
    }
    found
}

/// Puts until one succeeds: the server is back.
async fn until_back(store: &PostgresStore) {
    let start = Instant::now();
    while LedgerStore::put_many(store, Scope::shared(), vec![record(255, "back")]).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(60), "it does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_the_server_being_killed() {
    let mut cluster = start(&[]).await;
    let store = PostgresStore::connect_with(&cluster.url(), patient()).await.unwrap();
    let mut acknowledged = Vec::new();
    for _ in 0..2 {
        let writers = Writers::start(&store);
        writers.acknowledged(40).await;
        cluster = tokio::task::spawn_blocking(move || {
            cluster.kill();
            cluster.restart();
            cluster
        })
        .await
        .unwrap();
        until_back(&store).await;
        acknowledged.extend(writers.end().await);
    }
    assert!(acknowledged.len() > 50, "{}", acknowledged.len());
    // In the second round the same keys are put again.
    acknowledged.sort();
    acknowledged.dedup();
    assert_eq!(held(&store, &acknowledged).await, acknowledged.len());
}

/// With synchronous replication an acknowledged put is on the standby, which takes over.
#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_standby_holds_what_was_acknowledged() {
    let mut primary = start(&[]).await;
    let link = room().join("current");
    point(&link, &primary);
    let store = PostgresStore::connect_with(&url_at(&link), patient()).await.unwrap();
    let (p, standby) = tokio::task::spawn_blocking(move || {
        let standby = Cluster::follow(&primary, &[]);
        (primary, standby)
    })
    .await
    .unwrap();
    primary = p;
    execute(&primary.url(), "ALTER SYSTEM SET synchronous_standby_names = '*'").await;
    execute(&primary.url(), "SELECT pg_reload_conf()").await;
    until_back(&store).await;

    let writers = Writers::start(&store);
    writers.acknowledged(20).await;
    let (primary, standby) = tokio::task::spawn_blocking(move || {
        primary.kill();
        standby.promote();
        (primary, standby)
    })
    .await
    .unwrap();
    point(&link, &standby);
    until_back(&store).await;
    writers.acknowledged(20).await;
    let acknowledged = writers.end().await;
    assert!(acknowledged.len() > 20, "{}", acknowledged.len());
    assert_eq!(held(&store, &acknowledged).await, acknowledged.len());
    drop((primary, standby));
    let _ = std::fs::remove_dir_all(link.parent().unwrap());
}

/// A disk of its own, of this many megabytes; `None` if this user may not mount one.
struct Disk(std::path::PathBuf);

impl Disk {
    fn new(megabytes: usize) -> Option<Self> {
        let room = room();
        let size = format!("size={megabytes}m");
        as_root(&["mount", "-t", "tmpfs", "-o", &size, "tmpfs", room.to_str()?]).then_some(Self(room))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        as_root(&["umount", "-l", self.0.to_str().unwrap()]);
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let Some(disk) = Disk::new(200) else { return println!("no right to mount a tmpfs: not run") };
    let root = disk.0.join("server");
    std::fs::create_dir(&root).unwrap();
    let settings = ["max_wal_size=48MB", "min_wal_size=32MB", "wal_segment_size=16MB"];
    let mut cluster =
        tokio::task::spawn_blocking(move || Cluster::start_at(root, &settings[..2])).await.unwrap();
    let store = PostgresStore::connect_with(&cluster.url(), patient()).await.unwrap();
    // Leaves some megabytes, which can be given back.
    let ballast = disk.0.join("ballast");
    let mut free = vec![0_u8; 1 << 20];
    {
        use std::io::Write as _;
        let mut file = std::fs::File::create(&ballast).unwrap();
        while file.write_all(&free).is_ok() {}
        let length = file.metadata().unwrap().len();
        file.set_len(length.saturating_sub(24 << 20)).unwrap();
    }
    let scope = Scope::shared();
    let mut acknowledged = Vec::new();
    let mut failed = false;
    for n in 0..100_u8 {
        // Noise does not compress.
        blake3::Hasher::new().update(&[n]).finalize_xof().fill(&mut free);
        let record = Record::new(key(9, usize::from(n)), Bytes::copy_from_slice(&free));
        match LedgerStore::put_many(&store, scope, vec![record]).await {
            Ok(()) => acknowledged.push(key(9, usize::from(n))),
            Err(_) => {
                failed = true;
                break;
            }
        }
    }
    assert!(failed && !acknowledged.is_empty(), "{}", acknowledged.len());
    std::fs::remove_file(&ballast).unwrap();
    // A server that cannot write its log stops.
    if tokio::time::timeout(Duration::from_secs(5), until_back(&store)).await.is_err() {
        cluster = tokio::task::spawn_blocking(move || {
            cluster.restart();
            cluster
        })
        .await
        .unwrap();
        until_back(&store).await;
    }
    assert_eq!(held(&store, &acknowledged).await, acknowledged.len());
    drop(store);
    drop(cluster);
}

fn layer(store: &Arc<TieredStore<PostgresStore>>, then: LedgerFailure) -> HeadroomLayer {
    let builder = eager().store(store.clone()).ledger(store.clone());
    builder.single_tenant().on_ledger_failure(then).build().unwrap()
}

/// Sends `count` different conversations' requests; returns how long each took, sorted.
async fn times(layer: &HeadroomLayer, provider: &Provider, from: usize, count: usize) -> Vec<Duration> {
    let mut service = layer.layer(http());
    let mut times = Vec::with_capacity(count);
    for n in from..from + count {
        let mut talk = Talk::about(Anthropic, &log(n));
        talk.say(serde_json::json!({"role": "assistant", "content": "It failed."}));
        talk.user("Why?");
        let request = post(&provider.endpoint(Anthropic), talk.body(false));
        let start = Instant::now();
        let response = service.ready().await.unwrap();
        let response = tower::Service::call(response, request).await.unwrap();
        read(Anthropic, response).await.unwrap();
        times.push(start.elapsed());
    }
    times.sort();
    times
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_database_requests_go_on_as_fast() {
    const COUNT: usize = 300;
    let mut cluster = start(&[]).await;
    let provider = Provider::start(|_: &Received| Turn::text("Hello.").into()).await;
    let postgres = PostgresStore::connect(&cluster.url()).await.unwrap();
    let store = Arc::new(TieredStore::new(postgres));
    let layer = layer(&store, LedgerFailure::Unrecorded);
    times(&layer, &provider, 0, 50).await;
    let with = times(&layer, &provider, 50, COUNT).await;
    store.flush().await;
    let bodies = |from: usize| -> Vec<Bytes> {
        provider.received()[from..].iter().map(|request| request.body().clone()).collect()
    };
    let before = bodies(50);

    cluster = tokio::task::spawn_blocking(move || {
        cluster.kill();
        cluster
    })
    .await
    .unwrap();
    // The few that find out.
    times(&layer, &provider, 50, 5).await;
    assert!(store.is_down());
    let mark = provider.received().len();
    let without = times(&layer, &provider, 50, COUNT).await;
    assert!(bodies(mark) == before, "not a byte differs");
    let at = |times: &[Duration], share: usize| times[times.len() * share / 100];
    println!(
        "p50 and p99 with a database: {:?} {:?}, without: {:?} {:?}",
        at(&with, 50),
        at(&with, 99),
        at(&without, 50),
        at(&without, 99)
    );
    // A tenth more, and what a busy machine adds.
    assert!(at(&without, 99) < at(&with, 99).mul_f64(1.1) + Duration::from_millis(40));

    cluster = tokio::task::spawn_blocking(move || {
        cluster.restart();
        cluster
    })
    .await
    .unwrap();
    let start = Instant::now();
    while store.is_down() {
        assert!(start.elapsed() < Duration::from_secs(30), "it is noticed that the database is back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    store.flush().await;
    assert_eq!(store.lost(), 0);
    drop(cluster);
}

#[tokio::test(flavor = "multi_thread")]
async fn bound_thinking_is_refused_where_that_was_asked_for() {
    let provider = Provider::start(|_: &Received| Turn::text("Hello.").into()).await;
    let nowhere =
        PostgresStore::lazy("postgres://nobody@127.0.0.1:1/none", PostgresOptions::default()).unwrap();
    let store = Arc::new(TieredStore::new(nowhere));
    for (then, status) in [(LedgerFailure::Refuse, 503), (LedgerFailure::Unrecorded, 200)] {
        let mut talk = Talk::about(Anthropic, &log(0)).thinking();
        talk.say(serde_json::json!({"role": "assistant", "content": "It failed."}));
        talk.user("Why?");
        let request = post(&provider.endpoint(Anthropic), talk.body(false));
        let response = layer(&store, then).layer(http()).oneshot(request).await.unwrap();
        assert_eq!(response.status(), status);
        let report = response.extensions().get::<Report>().unwrap();
        if status == 503 {
            assert_eq!(report.skipped(), Some(Skipped::Refused));
            assert_eq!(response.headers()["retry-after"], "1");
        } else {
            assert!(report.memory().unread);
            assert_eq!(report.rewrite().unwrap().declared_breaks, 1);
        }
    }
    assert_eq!(provider.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_without_a_free_connection_delays_nobody_for_long() {
    let url = crate::cluster::database().await;
    let pool = PgPoolOptions::new()
        .max_connections(2)
        .acquire_timeout(Duration::from_millis(100))
        .connect(&url)
        .await
        .unwrap();
    let postgres = PostgresStore::from_pool(pool.clone(), PostgresOptions::default());
    postgres.migrate().await.unwrap();
    let store = Arc::new(TieredStore::new(postgres));
    let (one, two) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    let provider = Provider::start(|_: &Received| Turn::text("Hello.").into()).await;
    let layer = layer(&store, LedgerFailure::Unrecorded);
    times(&layer, &provider, 0, 5).await;
    let start = Instant::now();
    times(&layer, &provider, 5, 20).await;
    assert!(start.elapsed() < Duration::from_secs(10));
    assert!(store.is_down());
    assert!(OriginalStore::put_many(&*store, Scope::shared(), vec![original("promise")]).await.is_err());
    drop((one, two));
    while store.is_down() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    store.flush().await;
    assert_eq!(store.lost(), 0, "what waited is written");
    OriginalStore::put_many(&*store, Scope::shared(), vec![original("promise")]).await.unwrap();
    assert!(store.get_ref().get(Scope::shared(), handle("promise")).await.unwrap().is_some());
}
