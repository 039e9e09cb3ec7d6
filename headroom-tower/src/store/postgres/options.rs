use std::time::Duration;

/// How a [`PostgresStore`](super::PostgresStore) uses its database.
///
/// ```
/// use std::time::Duration;
/// use headroom_tower::PostgresOptions;
/// let options = PostgresOptions::default().idle(Duration::from_secs(6 * 3600)).capacity(64 << 30);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PostgresOptions {
    /// Connections of a pool that the store opens itself; 10. A fleet's replicas together must stay
    /// below the server's `max_connections`.
    pub connections: u32,
    /// How long a call waits for a free connection of such a pool; 200 ms.
    pub acquire: Duration,
    /// After this the server stops a statement of a call; 2 s. Sweeps and the deletion of a
    /// scope have thirty times as long.
    pub statement: Duration,
    /// An original or a record that was not seen for this long is forgotten; a week.
    pub idle: Duration,
    /// The bytes that originals may take as stored, without indexes and what is dead until vacuumed;
    /// unlimited. Above it a sweep deletes what was not seen for longest. Ledger records are promises
    /// and only age.
    pub capacity: Option<u64>,
    /// Rows deleted in one transaction of a sweep; 5,000.
    pub sweep_rows: u32,
    /// Whether a sweep takes an advisory lock, so that one replica sweeps at a time. Without it
    /// replicas sweep side by side, each what the others have not locked.
    pub advisory_locks: bool,
    /// Whether a sweep deletes batches of locked rows (`FOR UPDATE SKIP LOCKED`), or all that is
    /// expired in one statement, for engines that cannot do the former over several nodes.
    pub batched_sweeps: bool,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            connections: 10,
            acquire: Duration::from_millis(200),
            statement: Duration::from_secs(2),
            idle: Duration::from_secs(7 * 24 * 3600),
            capacity: None,
            sweep_rows: 5_000,
            advisory_locks: true,
            batched_sweeps: true,
        }
    }
}

impl PostgresOptions {
    /// Sets [`PostgresOptions::connections`].
    #[must_use]
    pub fn connections(mut self, connections: u32) -> Self {
        self.connections = connections;
        self
    }

    /// Sets [`PostgresOptions::acquire`].
    #[must_use]
    pub fn acquire(mut self, wait: Duration) -> Self {
        self.acquire = wait;
        self
    }

    /// Sets [`PostgresOptions::statement`].
    #[must_use]
    pub fn statement(mut self, wait: Duration) -> Self {
        self.statement = wait;
        self
    }

    /// Sets [`PostgresOptions::idle`].
    #[must_use]
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Sets [`PostgresOptions::capacity`].
    #[must_use]
    pub fn capacity(mut self, bytes: u64) -> Self {
        self.capacity = Some(bytes);
        self
    }

    /// Sets [`PostgresOptions::sweep_rows`].
    #[must_use]
    pub fn sweep_rows(mut self, rows: u32) -> Self {
        self.sweep_rows = rows;
        self
    }

    /// Sets [`PostgresOptions::advisory_locks`].
    #[must_use]
    pub fn advisory_locks(mut self, take: bool) -> Self {
        self.advisory_locks = take;
        self
    }

    /// Sets [`PostgresOptions::batched_sweeps`].
    #[must_use]
    pub fn batched_sweeps(mut self, batched: bool) -> Self {
        self.batched_sweeps = batched;
        self
    }

    /// [`PostgresOptions::idle`] in seconds, at least one and no longer than timestamps reach.
    pub(super) fn idle_seconds(&self) -> f64 {
        self.idle.as_secs_f64().clamp(1.0, 1000.0 * 365.0 * 24.0 * 3600.0)
    }
}
