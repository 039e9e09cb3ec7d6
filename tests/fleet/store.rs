//! The store by itself.

use std::{process::Stdio, sync::Arc, time::Duration};

use bytes::Bytes;
use headroom_engine::ccr::{Handle, HandleKey};
use headroom_tower::{
    LedgerKey, LedgerStore, Original, OriginalStore, PostgresOptions, PostgresStore, Record, Scope,
};
use sqlx::{Connection as _, PgConnection};

use crate::cluster::{argument, database, execute, process_command};

pub(crate) fn handle(text: &str) -> Handle {
    Handle::new(&HandleKey::default(), "text", text)
}

pub(crate) fn original(text: &str) -> Original {
    Original::new(handle(text), "text", Bytes::copy_from_slice(text.as_bytes()))
}

pub(crate) fn record(n: u8, value: &str) -> Record {
    Record::new(LedgerKey::from_bytes([n; 32]), Bytes::copy_from_slice(value.as_bytes()))
}

async fn count(url: &str, table: &str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn holds_what_it_took() {
    let store = PostgresStore::connect(&database().await).await.unwrap();
    let scope = Scope::shared();
    let long = "2026-11-02 INFO worker: nothing to do\n".repeat(10_000);
    OriginalStore::put_many(&store, scope, vec![original("a"), original(&long), original("a")])
        .await
        .unwrap();
    assert_eq!(store.get(scope, handle("a")).await.unwrap().unwrap(), "a");
    assert_eq!(store.get(scope, handle(&long)).await.unwrap().unwrap(), long);
    assert_eq!(store.get(scope, handle("b")).await.unwrap(), None);
    let missing = store.touch_many(scope, &[handle("b"), handle("a")]).await.unwrap();
    assert_eq!(missing, [handle("b")]);

    LedgerStore::put_many(&store, scope, vec![record(1, "x"), record(2, "y"), record(1, "z")]).await.unwrap();
    let keys = [record(1, "").key, record(3, "").key, record(2, "").key];
    let mut found = LedgerStore::get_many(&store, scope, &keys).await.unwrap();
    found.sort_by_key(|record| record.key);
    assert_eq!(found, [record(1, "z"), record(2, "y")]);

    OriginalStore::delete_scope(&store, scope).await.unwrap();
    assert_eq!(store.get(scope, handle("a")).await.unwrap(), None);
    assert!(LedgerStore::get_many(&store, scope, &keys).await.unwrap().is_empty());
}

/// What is there is not written again; its expiry moves once a tenth of the idle time is over.
#[tokio::test]
async fn what_is_there_is_only_touched() {
    let url = database().await;
    let store = PostgresStore::connect(&url).await.unwrap();
    let scope = Scope::shared();
    OriginalStore::put_many(&store, scope, vec![original("a")]).await.unwrap();
    let row = async || -> (String, f64) {
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let query =
            "SELECT ctid::text, extract(epoch FROM expires_at - now())::float8 FROM headroom_originals";
        sqlx::query_as(query).fetch_one(&mut connection).await.unwrap()
    };
    let (place, _) = row().await;
    OriginalStore::put_many(&store, scope, vec![original("a")]).await.unwrap();
    store.touch_many(scope, &[handle("a")]).await.unwrap();
    store.get(scope, handle("a")).await.unwrap();
    assert_eq!(row().await.0, place, "no new version of the row");
    for touch in 0..3 {
        execute(&url, "UPDATE headroom_originals SET expires_at = now() + interval '1 hour'").await;
        match touch {
            0 => OriginalStore::put_many(&store, scope, vec![original("a")]).await.unwrap(),
            1 => drop(store.touch_many(scope, &[handle("a")]).await.unwrap()),
            _ => drop(store.get(scope, handle("a")).await.unwrap()),
        }
        assert!(row().await.1 > 6.9 * 24.0 * 3600.0, "{touch}");
    }
    LedgerStore::put_many(&store, scope, vec![record(1, "x")]).await.unwrap();
    for touch in 0..2 {
        execute(&url, "UPDATE headroom_records SET expires_at = now() + interval '1 hour'").await;
        match touch {
            0 => LedgerStore::put_many(&store, scope, vec![record(1, "x")]).await.unwrap(),
            _ => drop(LedgerStore::get_many(&store, scope, &[record(1, "").key]).await.unwrap()),
        }
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let query = "SELECT extract(epoch FROM expires_at - now())::float8 FROM headroom_records";
        let left: f64 = sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap();
        assert!(left > 6.9 * 24.0 * 3600.0, "{touch}");
    }
}

#[tokio::test]
async fn what_is_expired_is_gone_and_swept() {
    let url = database().await;
    let options = PostgresOptions::default().sweep_rows(7);
    let store = PostgresStore::connect_with(&url, options).await.unwrap();
    let scope = Scope::shared();
    let originals = (0..40).map(|n| original(&n.to_string())).collect();
    OriginalStore::put_many(&store, scope, originals).await.unwrap();
    LedgerStore::put_many(&store, scope, vec![record(1, "x")]).await.unwrap();
    execute(&url, "UPDATE headroom_originals SET expires_at = now() - interval '1 s' WHERE length(body) = 2")
        .await;
    assert_eq!(store.get(scope, handle("12")).await.unwrap(), None, "before any sweep");
    assert_eq!(store.touch_many(scope, &[handle("12"), handle("1")]).await.unwrap(), [handle("12")]);
    let swept = store.sweep().await.unwrap();
    assert_eq!((swept.expired, swept.evicted), (30, 0));
    assert_eq!(count(&url, "headroom_originals").await, 10);
    assert_eq!(count(&url, "headroom_records").await, 1);
    // An expired row is put anew.
    execute(&url, "UPDATE headroom_originals SET expires_at = now() - interval '1 s'").await;
    OriginalStore::put_many(&store, scope, vec![original("1")]).await.unwrap();
    assert_eq!(store.get(scope, handle("1")).await.unwrap().unwrap(), "1");
}

#[tokio::test]
async fn above_its_capacity_what_was_not_seen_for_longest_goes() {
    let url = database().await;
    let options = PostgresOptions::default().sweep_rows(4).capacity(1_000);
    let store = PostgresStore::connect_with(&url, options).await.unwrap();
    let text = |n: usize| format!("{n:0100}");
    for n in 0..30 {
        OriginalStore::put_many(&store, Scope::of(&[n as u8]), vec![original(&text(n))]).await.unwrap();
    }
    assert_eq!(store.sweep().await.unwrap().evicted, 20);
    for n in 0..30 {
        let held = store.get(Scope::of(&[n as u8]), handle(&text(n))).await.unwrap().is_some();
        assert_eq!(held, n >= 20, "{n}");
    }
    assert_eq!(store.sweep().await.unwrap().evicted, 0);
}

#[tokio::test]
async fn one_replica_sweeps_at_a_time() {
    let url = database().await;
    let store = PostgresStore::connect(&url).await.unwrap();
    let mut other = PgConnection::connect(&url).await.unwrap();
    let mut lock = other.begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(0x6865_6164_726f_6f6d_i64)
        .execute(&mut *lock)
        .await
        .unwrap();
    assert!(store.sweep().await.unwrap().elsewhere);
    lock.rollback().await.unwrap();
    assert!(!store.sweep().await.unwrap().elsewhere);
}

/// Deadlocks would show as errors: every call meets the others' rows.
#[tokio::test]
async fn replicas_that_meet_on_the_same_rows_do_not_disturb_each_other() {
    let url = database().await;
    let options = PostgresOptions::default()
        .idle(Duration::from_secs(1))
        .sweep_rows(10)
        .acquire(Duration::from_secs(20))
        .statement(Duration::from_secs(20));
    let store = Arc::new(PostgresStore::connect_with(&url, options).await.unwrap());
    let scope = Scope::shared();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8_usize {
        let store = store.clone();
        tasks.spawn(async move {
            for turn in 0..40 {
                let names: Vec<String> =
                    (0..30).map(|n| ((n * 7 + task * 11 + turn) % 50).to_string()).collect();
                let handles: Vec<Handle> = names.iter().map(|name| handle(name)).collect();
                OriginalStore::put_many(&*store, scope, names.iter().map(|name| original(name)).collect())
                    .await
                    .unwrap();
                store.touch_many(scope, &handles).await.unwrap();
                let records = (0..20).map(|n| record(((n * 3 + task) % 25) as u8, &names[0])).collect();
                LedgerStore::put_many(&*store, scope, records).await.unwrap();
                store.get(scope, handles[0]).await.unwrap();
                if turn % 10 == task {
                    store.sweep().await.unwrap();
                }
                if turn % 20 == task {
                    OriginalStore::delete_scope(&*store, scope).await.unwrap();
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

/// One of the processes of [`eight_processes_race_to_migrate`].
#[tokio::test]
async fn migrates() {
    let Some(url) = argument() else { return };
    PostgresStore::connect(&url).await.unwrap();
    println!("migrated.");
}

#[tokio::test]
async fn eight_processes_race_to_migrate() {
    for _ in 0..3 {
        let url = database().await;
        let start = |_| process_command("store::migrates", &url).stdout(Stdio::piped()).spawn().unwrap();
        let processes: Vec<_> = (0..8).map(start).collect();
        for process in processes {
            let output = process.wait_with_output().unwrap();
            assert!(output.status.success());
            assert!(String::from_utf8_lossy(&output.stdout).contains("migrated."));
        }
        assert_eq!(count(&url, "headroom_schema").await, 1);
    }
}
