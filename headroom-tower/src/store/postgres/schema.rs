//! The tables, made and brought up to date by whichever replica comes first.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection, PgPool};

use super::error::Failure;

/// Every step, in order; the version is their number.
const STEPS: [&str; 1] = [include_str!("migrations/0001.sql")];

pub(super) const VERSION: i32 = STEPS.len() as i32;

/// Other replicas may be at the same step: each loser tries again, and finds it done.
const ATTEMPTS: u32 = 20;

/// The version of the tables; 0 if there are none.
pub(super) async fn version(connection: &mut PgConnection) -> Result<i32, Failure> {
    let there: bool = sqlx::query_scalar("SELECT to_regclass('headroom_schema') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    if !there {
        return Ok(0);
    }
    let version: Option<i32> =
        sqlx::query_scalar("SELECT max(version) FROM headroom_schema").fetch_one(connection).await?;
    Ok(version.unwrap_or(0))
}

/// Brings the tables to [`VERSION`]. Where they are, nothing is locked or written, and reading is all
/// the right that is needed. Tables of a later version are left as they are.
pub(super) async fn migrate(pool: &PgPool) -> Result<(), Failure> {
    let mut attempt = 0;
    loop {
        let mut connection = pool.acquire().await?;
        match bring_up(&mut connection).await {
            Err(failure) if failure.is_race() && attempt < ATTEMPTS => attempt += 1,
            done => return done,
        }
        drop(connection);
        tokio::time::sleep(Duration::from_millis(10 * u64::from(attempt))).await;
    }
}

async fn bring_up(connection: &mut PgConnection) -> Result<(), Failure> {
    let found = version(connection).await?;
    if found >= VERSION {
        return Ok(());
    }
    let mut step = connection.begin().await?;
    if let Err(error) = sqlx::raw_sql(
        "CREATE TABLE IF NOT EXISTS headroom_schema (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now());
         LOCK TABLE headroom_schema IN EXCLUSIVE MODE",
    )
    .execute(&mut *step)
    .await
    {
        return Err(match Failure::from(error) {
            Failure::Refused(code) if code == "42501" => Failure::Outdated { found, needed: VERSION },
            failure => failure,
        });
    }
    // Behind the lock: somebody else may have been here.
    let found = version(&mut step).await?;
    for (at, sql) in (1..).zip(STEPS) {
        if at > found {
            sqlx::raw_sql(sql).execute(&mut *step).await?;
            sqlx::query("INSERT INTO headroom_schema (version) VALUES ($1)")
                .bind(at)
                .execute(&mut *step)
                .await?;
        }
    }
    Ok(step.commit().await?)
}
