//! Where originals outlive their request.

use std::{error::Error, fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use headroom_tower::{
    HeadroomBuilder, Keyring, LedgerStore, OriginalStore, PostgresOptions, PostgresStore, Sealed, Sweeper,
    TieredStore,
};

use crate::config::{Config, Secret, Store};

/// What a store in front of a database can be asked besides keeping.
trait Queued: Send + Sync {
    fn flush(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

impl<S: OriginalStore + LedgerStore + 'static> Queued for TieredStore<S> {
    fn flush(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(TieredStore::flush(self))
    }
}

/// The store that the layer is built with; nothing if its own memory will do.
#[derive(Default)]
pub(crate) struct Kept {
    shared: Option<(Arc<dyn OriginalStore>, Arc<dyn LedgerStore>)>,
    queue: Option<Arc<dyn Queued>>,
    /// Deletes what has expired, for as long as it lives.
    sweeper: Option<Sweeper>,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("shared", &self.shared.is_some()).finish_non_exhaustive()
    }
}

/// Opens what the configuration names.
///
/// # Errors
/// If the database cannot be reached or prepared; the message holds no part of its address.
pub(crate) async fn open(config: &Config) -> Result<Kept, Box<dyn Error>> {
    let Store::Postgres(url) = &config.store else { return Ok(Kept::default()) };
    let failed = |what: &str, why: &dyn Error| {
        let mut cause = why;
        while let Some(source) = cause.source() {
            cause = source;
        }
        format!("--store: {what}: {cause}")
    };
    let postgres = PostgresStore::lazy(url.reveal(), PostgresOptions::default())
        .map_err(|why| failed("this is no address of a database", &why))?;
    postgres.migrate().await.map_err(|why| failed("the database cannot be prepared", &why))?;
    let sweeper = Some(postgres.sweep_every(Duration::from_secs(3600)));
    let mut kept = match &config.store_key {
        Some(key) => tiered(Sealed::new(postgres, keyring(key))),
        None => tiered(postgres),
    };
    kept.sweeper = sweeper;
    Ok(kept)
}

/// One key, made of whatever text was given.
pub(crate) fn keyring(secret: &Secret) -> Keyring {
    Keyring::new(1, blake3::derive_key("headroom 2026-11 proxy store key", secret.reveal().as_bytes()))
}

fn tiered<S: OriginalStore + LedgerStore + 'static>(store: S) -> Kept {
    let store = Arc::new(TieredStore::new(store));
    Kept { shared: Some((store.clone(), store.clone())), queue: Some(store), sweeper: None }
}

impl Kept {
    /// The builder with these stores.
    pub(crate) fn give(&self, builder: HeadroomBuilder) -> HeadroomBuilder {
        match &self.shared {
            Some((originals, ledger)) => builder.store(Arc::clone(originals)).ledger(Arc::clone(ledger)),
            None => builder,
        }
    }

    /// The ledger that others share, if one does: what readiness asks.
    pub(crate) fn ledger(&self) -> Option<Arc<dyn LedgerStore>> {
        self.shared.as_ref().map(|(_, ledger)| Arc::clone(ledger))
    }

    /// Writes what waits to be written, for as long as `wait` at most.
    pub(crate) async fn flush(self, wait: Duration) {
        if let Some(queue) = &self.queue
            && tokio::time::timeout(wait, queue.flush()).await.is_err()
        {
            tracing::warn!("not all originals were written");
        }
        drop(self.sweeper);
    }
}
