//! A store that others put originals into.

use std::{error::Error, sync::Arc};

use headroom_tower::{OriginalStore, PostgresStore, Sealed};

use crate::{config::Secret, exit::Failure, proxy::keyring};

/// Opens the store at `url`, whose content `key` seals.
pub(super) async fn connect(url: &str, key: Option<&Secret>) -> Result<Arc<dyn OriginalStore>, Failure> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(Failure::wrong("--store: a shared store is postgres://user@host/database"));
    }
    let store = PostgresStore::connect(url).await;
    let store = store.map_err(|error| Failure::failed(format_args!("--store: {}", cause(&error))))?;
    Ok(match key {
        Some(key) => Arc::new(Sealed::new(store, keyring(key))),
        None => Arc::new(store),
    })
}

/// What is at the bottom of an error: the rest says only that the store failed.
fn cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
