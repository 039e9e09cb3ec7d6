//! Walls between tenants: the statements', and the database's behind them.

use headroom_engine::ccr::Handle;
use headroom_tower::{LedgerStore, OriginalStore, PostgresOptions, PostgresStore, Scope, conformance};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::{
    cluster::{database, execute, rows},
    store::{handle, original, record},
};

const TENANTS: usize = 50;
const EACH: usize = 40;

fn tenant(n: usize) -> Scope {
    Scope::of(format!("tenant {n}").as_bytes())
}

fn secret(tenant: usize, n: usize) -> String {
    format!("secret {n} of tenant {tenant}")
}

/// Numbers that look random and are the same in every run.
fn dice(seed: usize) -> usize {
    let hash = blake3::hash(&seed.to_le_bytes());
    usize::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap())
}

/// Redemptions of handles that exist, under scopes that do not hold them.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_redemptions_across_scopes_find_nothing() {
    let options = PostgresOptions::default().acquire(std::time::Duration::from_secs(30));
    let store = PostgresStore::connect_with(&database().await, options).await.unwrap();
    for n in 0..TENANTS {
        let originals = (0..EACH).map(|m| original(&secret(n, m))).collect();
        OriginalStore::put_many(&store, tenant(n), originals).await.unwrap();
        LedgerStore::put_many(&store, tenant(n), vec![record(n as u8, &secret(n, 0))]).await.unwrap();
    }
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8_usize {
        let store = store.clone();
        tasks.spawn(async move {
            let (mut tried, mut hits) = (0, 0);
            for round in 0..250 {
                let seed = task * 1_000_000 + round * 1_000;
                let thief = dice(seed) % TENANTS;
                let stolen: Vec<Handle> = (1..=50)
                    .map(|n| {
                        let owner = (thief + 1 + dice(seed + n) % (TENANTS - 1)) % TENANTS;
                        handle(&secret(owner, dice(seed + n + 500) % EACH))
                    })
                    .collect();
                // What is told of them, and a few one by one.
                let missing = store.touch_many(tenant(thief), &stolen).await.unwrap();
                hits += stolen.len() - missing.len();
                for handle in &stolen[..5] {
                    hits += usize::from(store.get(tenant(thief), *handle).await.unwrap().is_some());
                }
                let keys: Vec<_> =
                    (0..TENANTS).filter(|n| *n != thief).map(|n| record(n as u8, "").key).collect();
                hits += LedgerStore::get_many(&store, tenant(thief), &keys).await.unwrap().len();
                tried += stolen.len() + 5;
            }
            (tried, hits)
        });
    }
    let (mut tried, mut hits) = (0, 0);
    while let Some(done) = tasks.join_next().await {
        let (more, found) = done.unwrap();
        tried += more;
        hits += found;
    }
    assert!(tried >= 100_000, "{tried}");
    assert_eq!(hits, 0);
    for n in 0..TENANTS {
        assert_eq!(store.get(tenant(n), handle(&secret(n, 1))).await.unwrap().unwrap(), secret(n, 1));
    }
}

/// The URL of the role that gateways use.
async fn role(url: &str) -> String {
    let role = PostgresStore::ROLE;
    // Roles belong to the server, which other tests share.
    let guarded = format!(
        "SELECT pg_advisory_lock(7); DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'headroom_gateway') THEN {create}; END IF; END $$; {grants}; SELECT pg_advisory_unlock(7)",
        create = role.lines().find(|line| line.starts_with("CREATE")).unwrap().trim_end_matches(';'),
        grants = role
            .lines()
            .filter(|line| line.starts_with("GRANT"))
            .collect::<Vec<_>>()
            .join("\n")
            .trim_end_matches(';'),
    );
    execute(url, &guarded).await;
    let (scheme, rest) = url.split_once("://").unwrap();
    let rest = rest.split_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://headroom_gateway@{rest}")
}

async fn fails(connection: &mut PgConnection, sql: &str) -> String {
    let error = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap_err();
    error.as_database_error().unwrap().code().unwrap().into_owned()
}

#[tokio::test]
async fn row_level_security_denies_what_a_missing_predicate_would_give() {
    let url = database().await;
    let owner = PostgresStore::connect(&url).await.unwrap();
    let gateway = role(&url).await;
    let store = PostgresStore::connect(&gateway).await.unwrap();
    assert!(store.is_walled().await.unwrap());
    assert!(!owner.is_walled().await.unwrap(), "a superuser");
    for n in 0..3 {
        let originals = (0..n + 1).map(|m| original(&secret(n, m))).collect();
        OriginalStore::put_many(&store, tenant(n), originals).await.unwrap();
        LedgerStore::put_many(&store, tenant(n), vec![record(n as u8, "x")]).await.unwrap();
    }

    let mut connection = PgConnection::connect(&gateway).await.unwrap();
    for table in ["headroom_originals", "headroom_records"] {
        assert_eq!(rows(&mut connection, table).await, 0, "without a scope");
    }
    let hex: String = tenant(1).to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let other: String = tenant(2).to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let scoped = format!("BEGIN; SET LOCAL headroom.scope = '{hex}'");
    execute_on(&mut connection, &scoped).await;
    assert_eq!(rows(&mut connection, "headroom_originals").await, 2, "its own");
    assert_eq!(rows(&mut connection, "headroom_records").await, 1, "its own");
    let changed =
        sqlx::query("UPDATE headroom_originals SET expires_at = now()").execute(&mut connection).await;
    assert_eq!(changed.unwrap().rows_affected(), 2);
    let deleted = sqlx::query("DELETE FROM headroom_records").execute(&mut connection).await;
    assert_eq!(deleted.unwrap().rows_affected(), 1);
    let insert = format!("INSERT INTO headroom_records VALUES ('\\x{other}', '\\x00', 0, 0, 0, now(), '')");
    assert_eq!(fails(&mut connection, &insert).await, "42501", "into another scope");
    execute_on(&mut connection, "ROLLBACK").await;
    // And the wall is not the gateway's to move.
    for sql in [
        "ALTER TABLE headroom_originals DISABLE ROW LEVEL SECURITY",
        "DROP POLICY headroom_scope ON headroom_originals",
        "DROP TABLE headroom_records",
        "TRUNCATE headroom_originals",
        "INSERT INTO headroom_schema VALUES (99)",
        "CREATE ROLE other",
    ] {
        assert_eq!(fails(&mut connection, sql).await, "42501", "{sql}");
    }
    conformance::originals(&store).await.unwrap();
    conformance::ledger(&store).await.unwrap();
    execute(&url, "UPDATE headroom_originals SET expires_at = now() - interval '1 s'").await;
    assert_eq!(store.sweep().await.unwrap().expired, 6, "of all scopes");
}

async fn execute_on(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}
