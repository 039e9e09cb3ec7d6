//! Originals and ledger records in Postgres.

mod error;
mod options;
mod rows;
mod schema;
mod sql;
mod sweep;

use std::{
    collections::HashSet,
    fmt::{self, Write as _},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use headroom_engine::{LedgerKey, Record, ccr::Handle};
use sqlx::{
    AssertSqlSafe, FromRow, PgPool, Postgres, Transaction,
    postgres::{PgConnectOptions, PgPoolOptions, PgRow},
};

use self::{
    error::Failure,
    rows::{Columns, Entry},
};
use super::{Durability, LedgerStore, Original, OriginalStore, StoreError};
use crate::tenant::Scope;

pub use self::{
    options::PostgresOptions,
    sweep::{Sweeper, Swept},
};

/// What sweeps and whole scopes may take, in time-outs of a statement.
const LONG: u32 = 30;

/// Keeps originals and ledger records in a Postgres database that all replicas share (feature
/// `postgres`).
///
/// ```no_run
/// # use std::{sync::Arc, time::Duration};
/// use headroom_tower::{HeadroomLayer, PostgresStore, Scope, TieredStore};
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// let postgres = PostgresStore::connect("postgres://headroom_gateway@db/headroom").await?;
/// let sweeper = postgres.sweep_every(Duration::from_secs(60));
/// let store = Arc::new(TieredStore::new(postgres));
/// let layer = HeadroomLayer::builder()
///     .store(store.clone())
///     .ledger(store)
///     .tenant(|head| Scope::of(head.headers.get("x-tenant").map_or(b"", |name| name.as_bytes())))
///     .build()?;
/// # drop((layer, sweeper)); Ok(()) }
/// ```
///
/// Put a [`TieredStore`](crate::TieredStore) in front: by itself this store is asked in the way of
/// every request.
///
/// # Tables
///
/// `headroom_originals` and `headroom_records`, by scope and handle or key; content is compressed
/// with zstd. [`connect`](Self::connect) makes them where they are missing and the role may; any
/// number of replicas may do so at once. What is there already is not written again: only its expiry
/// is moved, and that only when a tenth of its idle time has passed. All times are the database's.
///
/// # Two walls between tenants
///
/// Every statement names its scope. Besides, row-level security holds each transaction to the scope
/// that it sets first (`SET LOCAL headroom.scope`), so that a statement without its predicate finds
/// nothing of others. Policies do not hold superusers and roles with `BYPASSRLS`: let the owner
/// migrate and the gateways use a role of their own, [`PostgresStore::ROLE`];
/// [`is_walled`](Self::is_walled) tells whether they do.
///
/// # Promises
///
/// A [`Required`](Durability::Required) put is acknowledged when the database has committed it, under
/// the server's own `synchronous_commit`: with synchronous replication that includes a standby. Others
/// are committed without waiting for the disk. Calls that fail because a connection broke, the server
/// went away or a deadlock was resolved are repeated at once: all of them are idempotent.
///
/// # TLS, poolers, other engines
///
/// No TLS is compiled in. A feature of sqlx in your own manifest brings it, as in
/// `sqlx = { version = "0.9", features = ["tls-rustls-ring-webpki"] }`; then `?sslmode=verify-full`
/// in the URL asks for it. [`from_pool`](Self::from_pool) takes a pool that you made.
///
/// Look-ups need no prepared statements, puts do: behind a pooler in transaction mode, make the pool with
/// `PgConnectOptions::statement_cache_capacity(0)` unless the pooler keeps prepared statements.
///
/// The schema has no constraint, sequence or foreign key across scopes. [`PostgresStore::CITUS`]
/// distributes it by scope; use it with `batched_sweeps(false)`. Tested is PostgreSQL 15. By their
/// manuals: engines without advisory locks need `advisory_locks(false)`; engines without row-level
/// security or `DO` blocks need a schema made by hand, and have but one wall; engines whose
/// transactions may be asked to restart (SQLSTATE 40001) are served, as calls are repeated.
#[derive(Clone)]
pub struct PostgresStore {
    pool: PgPool,
    options: PostgresOptions,
}

impl PostgresStore {
    /// The statements that make a role for gateways: it reads and writes rows and can do nothing else.
    pub const ROLE: &str = include_str!("role.sql");

    /// The statements that distribute the tables over a Citus cluster.
    pub const CITUS: &str = include_str!("citus.sql");

    /// A store in the database at `url`, with the default options, its tables made if need be.
    ///
    /// # Errors
    /// If the database cannot be reached, or its tables are missing and cannot be made.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::connect_with(url, PostgresOptions::default()).await
    }

    /// The same with other options.
    ///
    /// # Errors
    /// As [`PostgresStore::connect`].
    pub async fn connect_with(url: &str, options: PostgresOptions) -> Result<Self, StoreError> {
        let store = Self::lazy(url, options)?;
        store.migrate().await?;
        Ok(store)
    }

    /// A store that connects when it is first used, for replicas that must start without their
    /// database. The tables must be there by then.
    ///
    /// # Errors
    /// If `url` cannot be read.
    pub fn lazy(url: &str, options: PostgresOptions) -> Result<Self, StoreError> {
        let connect: PgConnectOptions = url.parse().map_err(Failure::from)?;
        let pool = PgPoolOptions::new()
            .max_connections(options.connections.max(1))
            .acquire_timeout(options.acquire)
            // A connection that died is noticed by its first statement, which is repeated.
            .test_before_acquire(false)
            .connect_lazy_with(connect);
        Ok(Self { pool, options })
    }

    /// A store over a pool of your own. Of the options, `connections` and `acquire` are the pool's
    /// affair. Call [`PostgresStore::migrate`] as a role that may.
    #[must_use]
    pub fn from_pool(pool: PgPool, options: PostgresOptions) -> Self {
        Self { pool, options }
    }

    /// Brings the tables up to date; safe from any number of replicas at once.
    ///
    /// # Errors
    /// If they are not up to date and could not be brought there.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        Ok(schema::migrate(&self.pool).await?)
    }

    /// Whether row-level security holds this store's role.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub async fn is_walled(&self) -> Result<bool, StoreError> {
        let query = "SELECT bool_and(row_security_active(name::regclass)) \
                     FROM unnest(ARRAY['headroom_originals', 'headroom_records']) AS name";
        let walled: bool = sqlx::query_scalar(query).fetch_one(&self.pool).await.map_err(Failure::from)?;
        Ok(walled)
    }

    /// Closes all connections, once they are not in use.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Begins with several statements in one message.
    async fn transaction(&self, begin: &str) -> Result<Transaction<'static, Postgres>, Failure> {
        Ok(self.pool.begin_with(AssertSqlSafe(begin)).await?)
    }

    /// A transaction that sees `scope` and no other.
    async fn scoped(
        &self,
        scope: Scope,
        durability: Durability,
    ) -> Result<Transaction<'static, Postgres>, Failure> {
        self.scoped_for(self.options.statement, scope, durability).await
    }

    async fn scoped_for(
        &self,
        wait: Duration,
        scope: Scope,
        durability: Durability,
    ) -> Result<Transaction<'static, Postgres>, Failure> {
        let scope = hex(&scope.to_bytes());
        let mut begin = format!("BEGIN; SET LOCAL headroom.scope = '{scope}'; {}", time_out(wait));
        if durability == Durability::BestEffort {
            begin.push_str("; SET LOCAL synchronous_commit = off");
        }
        self.transaction(&begin).await
    }

    async fn put_originals(
        &self,
        scope: Scope,
        batch: &Columns,
        durability: Durability,
    ) -> Result<(), Failure> {
        let mut put = self.scoped(scope, durability).await?;
        sqlx::query(sql::PUT_ORIGINALS)
            .bind(&scope.to_bytes()[..])
            .bind(&batch.keys)
            .bind(&batch.kinds)
            .bind(&batch.codecs)
            .bind(&batch.bytes)
            .bind(&batch.bodies)
            .bind(self.options.idle_seconds())
            .execute(&mut *put)
            .await?;
        Ok(put.commit().await?)
    }

    async fn put_records(
        &self,
        scope: Scope,
        batch: &Columns,
        durability: Durability,
    ) -> Result<(), Failure> {
        let mut put = self.scoped(scope, durability).await?;
        sqlx::query(sql::PUT_RECORDS)
            .bind(&scope.to_bytes()[..])
            .bind(&batch.keys)
            .bind(&batch.codecs)
            .bind(&batch.bytes)
            .bind(&batch.bodies)
            .bind(self.options.idle_seconds())
            .execute(&mut *put)
            .await?;
        Ok(put.commit().await?)
    }

    async fn held(&self, scope: Scope, handles: &[Vec<u8>]) -> Result<HashSet<Vec<u8>>, Failure> {
        let rows: Vec<(Vec<u8>, bool)> = self.read(scope, sql::HELD, handles).await?;
        let aged = rows.iter().filter(|(_, aged)| *aged).map(|(handle, _)| handle.clone()).collect();
        self.renew(scope, sql::RENEW_ORIGINALS, aged).await;
        Ok(rows.into_iter().map(|(handle, _)| handle).collect())
    }

    async fn original(&self, scope: Scope, handle: Handle) -> Result<Option<(i16, Vec<u8>, i32)>, Failure> {
        let handle = handle.to_bytes().to_vec();
        let mut rows: Vec<(i16, Vec<u8>, i32, bool)> =
            self.read(scope, sql::GET, std::slice::from_ref(&handle)).await?;
        let Some((codec, body, bytes, aged)) = rows.pop() else { return Ok(None) };
        if aged {
            self.renew(scope, sql::RENEW_ORIGINALS, vec![handle]).await;
        }
        Ok(Some((codec, body, bytes)))
    }

    async fn records(&self, scope: Scope, keys: &[Vec<u8>]) -> Result<Vec<RecordRow>, Failure> {
        let rows: Vec<RecordRow> = self.read(scope, sql::GET_RECORDS, keys).await?;
        let aged = rows.iter().filter(|(.., aged)| *aged).map(|(key, ..)| key.clone()).collect();
        self.renew(scope, sql::RENEW_RECORDS, aged).await;
        Ok(rows)
    }

    /// Moves the expiry of what was seen: seldom, and if it fails, the next look-up tries again.
    async fn renew(&self, scope: Scope, statement: &str, keys: Vec<Vec<u8>>) {
        if !keys.is_empty() {
            let _ = self.read::<(bool,)>(scope, statement, &keys).await;
        }
    }

    /// A look-up in one message: requests wait for these, and each message more is a way there and
    /// back. The server takes several statements in a message as one transaction. What would be bound
    /// stands in the text as digits, which need no quoting.
    async fn read<R>(&self, scope: Scope, statement: &str, keys: &[Vec<u8>]) -> Result<Vec<R>, Failure>
    where
        R: for<'r> FromRow<'r, PgRow>,
    {
        let scope = hex(&scope.to_bytes());
        let keys: Vec<String> = keys.iter().map(|key| format!("decode('{}', 'hex')", hex(key))).collect();
        let statement = statement
            .replace("$1", &format!("decode('{scope}', 'hex')"))
            .replace("$2", &format!("ARRAY[{}]", keys.join(",")))
            .replace("$3", &format!("{:.3}", self.options.idle_seconds()));
        let message = format!(
            "SET LOCAL headroom.scope = '{scope}'; {}; SET LOCAL synchronous_commit = off; {statement}",
            time_out(self.options.statement)
        );
        let rows = sqlx::raw_sql(AssertSqlSafe(message)).fetch_all(&self.pool).await?;
        Ok(rows.iter().map(R::from_row).collect::<Result<_, _>>()?)
    }

    async fn delete(&self, scope: Scope) -> Result<(), Failure> {
        let wait = self.options.statement.saturating_mul(LONG);
        let mut delete = self.scoped_for(wait, scope, Durability::Required).await?;
        for statement in sql::DELETE_SCOPE {
            sqlx::query(statement).bind(&scope.to_bytes()[..]).execute(&mut *delete).await?;
        }
        Ok(delete.commit().await?)
    }

    /// After a restart of the server each connection of the pool may have to be found dead once.
    fn attempts(&self) -> u32 {
        self.pool.options().get_max_connections().saturating_add(2)
    }
}

/// Sets what the server stops a statement after.
fn time_out(wait: Duration) -> String {
    format!("SET LOCAL statement_timeout = {}", wait.as_millis().clamp(1, i32::MAX as u128))
}

/// Key, codec, body, length of the content; whether its expiry is to be moved.
type RecordRow = (Vec<u8>, i16, Vec<u8>, i32, bool);

fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

/// The result of a call, made again for as long as its failures pass.
macro_rules! persist {
    ($store:expr, $call:expr) => {{
        let mut left = $store.attempts();
        loop {
            match $call.await {
                Err(failure) if left > 0 && failure.passes() => left -= 1,
                done => break done,
            }
        }
    }};
}

/// Names nothing of the database: URLs hold passwords.
impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("connections", &self.pool.size())
            .field("options", &self.options)
            .finish()
    }
}

#[async_trait]
impl OriginalStore for PostgresStore {
    async fn put_many(&self, scope: Scope, originals: Vec<Original>) -> Result<(), StoreError> {
        OriginalStore::put_with(self, scope, originals, Durability::Required).await
    }

    async fn put_with(
        &self,
        scope: Scope,
        originals: Vec<Original>,
        durability: Durability,
    ) -> Result<(), StoreError> {
        if originals.is_empty() {
            return Ok(());
        }
        let entries: Vec<Entry> =
            originals.into_iter().map(|it| (it.handle.to_bytes().to_vec(), it.kind, it.text)).collect();
        for batch in Columns::batches(entries).await? {
            persist!(self, self.put_originals(scope, &batch, durability))?;
        }
        Ok(())
    }

    async fn touch_many(&self, scope: Scope, handles: &[Handle]) -> Result<Vec<Handle>, StoreError> {
        if handles.is_empty() {
            return Ok(Vec::new());
        }
        let wanted: Vec<Vec<u8>> = handles.iter().map(|handle| handle.to_bytes().to_vec()).collect();
        let held = persist!(self, self.held(scope, &wanted))?;
        let missing = handles.iter().zip(&wanted).filter(|(_, wanted)| !held.contains(*wanted));
        Ok(missing.map(|(handle, _)| *handle).collect())
    }

    async fn get(&self, scope: Scope, handle: Handle) -> Result<Option<Bytes>, StoreError> {
        Ok(match persist!(self, self.original(scope, handle))? {
            Some((codec, body, bytes)) => Some(rows::content(codec, body, bytes).await?),
            None => None,
        })
    }

    async fn delete_scope(&self, scope: Scope) -> Result<(), StoreError> {
        Ok(persist!(self, self.delete(scope))?)
    }
}

#[async_trait]
impl LedgerStore for PostgresStore {
    async fn get_many(&self, scope: Scope, keys: &[LedgerKey]) -> Result<Vec<Record>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<Vec<u8>> = keys.iter().map(|key| key.to_bytes().to_vec()).collect();
        let mut records = Vec::new();
        for (key, codec, body, bytes, _) in persist!(self, self.records(scope, &keys))? {
            let key = key.try_into().map_err(|_| Failure::Damaged)?;
            let value = rows::content(codec, body, bytes).await?;
            records.push(Record::new(LedgerKey::from_bytes(key), value));
        }
        Ok(records)
    }

    async fn put_many(&self, scope: Scope, records: Vec<Record>) -> Result<(), StoreError> {
        LedgerStore::put_with(self, scope, records, Durability::Required).await
    }

    async fn put_with(
        &self,
        scope: Scope,
        records: Vec<Record>,
        durability: Durability,
    ) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        let entries: Vec<Entry> =
            records.into_iter().map(|it| (it.key.to_bytes().to_vec(), "", it.value)).collect();
        for batch in Columns::batches(entries).await? {
            persist!(self, self.put_records(scope, &batch, durability))?;
        }
        Ok(())
    }

    fn durable(&self) -> bool {
        true
    }

    async fn delete_scope(&self, scope: Scope) -> Result<(), StoreError> {
        OriginalStore::delete_scope(self, scope).await
    }
}
