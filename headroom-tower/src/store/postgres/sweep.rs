//! What is deleted without being asked for.

use std::time::Duration;

use sqlx::{PgConnection, Postgres, Transaction};
use tokio::task::JoinHandle;

use super::{PostgresStore, error::Failure, sql};
use crate::store::StoreError;

/// Names the advisory lock of sweeps: "headroom" in ASCII.
const LOCK: i64 = 0x6865_6164_726f_6f6d;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Expired rows deleted, of both tables.
    pub expired: u64,
    /// Originals deleted to come below the capacity.
    pub evicted: u64,
    /// Another replica was sweeping; the rest is its work.
    pub elsewhere: bool,
}

impl PostgresStore {
    /// Deletes what is expired and what is above the capacity, in short transactions.
    ///
    /// # Errors
    /// If the database did not do it; what was deleted so far stays deleted.
    pub async fn sweep(&self) -> Result<Swept, StoreError> {
        Ok(self.sweep_all().await?)
    }

    /// Sweeps every `interval`, until the handle that is returned is dropped.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn sweep_every(&self, interval: Duration) -> Sweeper {
        let store = self.clone();
        Sweeper(tokio::spawn(async move {
            loop {
                tokio::time::sleep(interval).await;
                // What failed is tried again the next time.
                let _ = store.sweep().await;
            }
        }))
    }

    async fn sweep_all(&self) -> Result<Swept, Failure> {
        let mut swept = Swept::default();
        for table in 0..sql::SWEEP.len() {
            loop {
                let Some(mut batch) = self.sweeping().await? else {
                    swept.elsewhere = true;
                    return Ok(swept);
                };
                let rows = self.expired(&mut batch, table).await?;
                batch.commit().await?;
                swept.expired += rows;
                if !self.options.batched_sweeps || rows < u64::from(self.options.sweep_rows) {
                    break;
                }
            }
        }
        let Some(capacity) = self.options.capacity else { return Ok(swept) };
        loop {
            let Some(mut batch) = self.sweeping().await? else {
                swept.elsewhere = true;
                return Ok(swept);
            };
            let stored: i64 = sqlx::query_scalar(sql::STORED).fetch_one(&mut *batch).await?;
            let excess = i128::from(stored) - i128::from(capacity);
            let Ok(excess) = i64::try_from(excess) else { return Ok(swept) };
            if excess <= 0 {
                return Ok(swept);
            }
            let (rows, _): (i64, i64) = sqlx::query_as(sql::EVICT)
                .bind(i64::from(self.options.sweep_rows))
                .bind(excess)
                .fetch_one(&mut *batch)
                .await?;
            batch.commit().await?;
            swept.evicted += u64::try_from(rows).unwrap_or(0);
            if rows == 0 {
                return Ok(swept);
            }
        }
    }

    /// A transaction that sees everything; `None` if another replica has one.
    async fn sweeping(&self) -> Result<Option<Transaction<'static, Postgres>>, Failure> {
        let wait = self.options.statement.saturating_mul(super::LONG);
        let mut batch = self
            .transaction(&format!(
                "BEGIN; SET LOCAL headroom.sweep = 'on'; SET LOCAL synchronous_commit = off; {}",
                super::time_out(wait)
            ))
            .await?;
        if self.options.advisory_locks {
            let ours: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)")
                .bind(LOCK)
                .fetch_one(&mut *batch)
                .await?;
            if !ours {
                return Ok(None);
            }
        }
        Ok(Some(batch))
    }

    async fn expired(&self, batch: &mut PgConnection, table: usize) -> Result<u64, Failure> {
        let done = if self.options.batched_sweeps {
            sqlx::query(sql::SWEEP[table]).bind(i64::from(self.options.sweep_rows)).execute(batch).await?
        } else {
            sqlx::query(sql::SWEEP_WHOLE[table]).execute(batch).await?
        };
        Ok(done.rows_affected())
    }
}

/// Sweeps until it is dropped.
#[derive(Debug)]
#[must_use = "it stops when it is dropped"]
pub struct Sweeper(JoinHandle<()>);

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}
