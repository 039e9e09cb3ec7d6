//! Sweeping much while serving.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use headroom_tower::{OriginalStore, PostgresOptions, PostgresStore, Scope};

use crate::{
    cluster::{database, execute},
    store::{handle, original},
};

/// The rows to be swept: 10^6 take a minute to make.
fn count() -> u64 {
    std::env::var_os("HEADROOM_FLEET_ROWS").map_or(100_000, |count| count.to_str().unwrap().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_expired_goes_while_what_is_not_is_served() {
    let url = database().await;
    let options =
        PostgresOptions::default().acquire(Duration::from_secs(30)).statement(Duration::from_secs(60));
    let store = PostgresStore::connect_with(&url, options).await.unwrap();
    let count = count();
    execute(
        &url,
        &format!(
            "INSERT INTO headroom_originals
             SELECT sha256(int4send(n % 100)), substr(sha256(int4send(n)), 1, 16), 'text', 0, 100, 100,
                    now() - interval '1 day' * random(), convert_to(repeat('x', 100), 'UTF8')
             FROM generate_series(1, {count}) AS n"
        ),
    )
    .await;
    let scope = Scope::shared();
    let live: Vec<String> = (0..500).map(|n| format!("live {n}")).collect();
    let originals = live.iter().map(|text| original(text)).collect();
    OriginalStore::put_many(&store, scope, originals).await.unwrap();

    let done = Arc::new(AtomicBool::new(false));
    let mut readers = tokio::task::JoinSet::new();
    for reader in 0..4_usize {
        let (store, live, done) = (store.clone(), live.clone(), done.clone());
        readers.spawn(async move {
            let (mut served, mut slowest) = (0, Duration::ZERO);
            while !done.load(Ordering::Relaxed) || served < 100 {
                let text = &live[(served * 7 + reader) % live.len()];
                let start = Instant::now();
                assert!(store.get(scope, handle(text)).await.unwrap().is_some());
                OriginalStore::put_many(&store, scope, vec![original(&format!("new {reader} {served}"))])
                    .await
                    .unwrap();
                slowest = slowest.max(start.elapsed());
                served += 1;
            }
            (served, slowest)
        });
    }
    let start = Instant::now();
    let swept = store.sweep().await.unwrap();
    let took = start.elapsed();
    done.store(true, Ordering::Relaxed);
    assert_eq!(swept.expired, count);
    let (mut served, mut slowest) = (0, Duration::ZERO);
    while let Some(reader) = readers.join_next().await {
        let (more, slow) = reader.unwrap();
        served += more;
        slowest = slowest.max(slow);
    }
    println!("{count} rows in {took:?}, {served} calls served meanwhile, the slowest in {slowest:?}");
    assert!(slowest < Duration::from_secs(10), "nobody waits for a sweep");
    for text in &live {
        assert!(store.get(scope, handle(text)).await.unwrap().is_some());
    }
}
