//! The suite that any store can run, over every store there is.

use std::time::Duration;

use headroom_tower::{
    Keyring, PostgresOptions, PostgresStore, Sealed, TieredOptions, TieredStore, conformance,
};

use crate::cluster::database;

async fn postgres() -> PostgresStore {
    let options = PostgresOptions::default().acquire(Duration::from_secs(10));
    PostgresStore::connect_with(&database().await, options).await.unwrap()
}

#[tokio::test]
async fn postgres_conforms() {
    let store = postgres().await;
    conformance::originals(&store).await.unwrap();
    conformance::ledger(&store).await.unwrap();
    let plain = PostgresOptions::default().advisory_locks(false).batched_sweeps(false);
    let store = PostgresStore::connect_with(&database().await, plain).await.unwrap();
    conformance::originals(&store).await.unwrap();
    store.sweep().await.unwrap();
}

#[tokio::test]
async fn sealed_conforms() {
    let store = Sealed::new(postgres().await, Keyring::new(1, [7; 32]));
    conformance::originals(&store).await.unwrap();
    conformance::ledger(&store).await.unwrap();
}

#[tokio::test]
async fn tiered_conforms() {
    // Longer than a busy machine makes a database wait: what is asked is not how fast it is.
    let options = TieredOptions::default().wait(Duration::from_secs(30));
    let store = TieredStore::with(Sealed::new(postgres().await, Keyring::new(1, [7; 32])), options);
    conformance::originals(&store).await.unwrap();
    conformance::ledger(&store).await.unwrap();
}
