//! A store of your own: two traits, a suite that checks them, and the layer that uses it.
//!
//!     cargo run -p example-custom-store
#![forbid(unsafe_code)]

mod store;

use std::sync::Arc;

use headroom_tests::{
    Dialect,
    client::{http, post, read},
    investigation::{self, Proof},
};
use headroom_tower::{HeadroomLayer, conformance};
use tower::{ServiceBuilder, ServiceExt as _};

use crate::store::Shelf;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let proof = run().await?;
    #[expect(clippy::print_stdout, reason = "what the example has to show")]
    {
        println!("{proof}");
    }
    Ok(())
}

async fn run() -> Result<Proof, BoxError> {
    let shelf = Arc::new(Shelf::default());
    conformance::originals(&*shelf).await?;
    conformance::ledger(&*shelf).await?;

    let provider = investigation::provider().await;
    let layer = HeadroomLayer::builder().store(shelf.clone()).ledger(shelf.clone()).single_tenant();
    let client = ServiceBuilder::new().layer(layer.build()?).service(http());

    let body = investigation::request(Dialect::OpenAi, true);
    let response = client.oneshot(post(&provider.endpoint(Dialect::OpenAi), body)).await?;
    let answer = read(Dialect::OpenAi, response).await?.text();

    // What was hidden is on the shelf, and so is the exchange that the client never saw. (Of models that
    // bind thinking to what came before it, only a durable ledger records exchanges.)
    if (shelf.originals(), shelf.records()) != (1, 1) {
        return Err(format!("{} originals, {} records", shelf.originals(), shelf.records()).into());
    }
    Ok(investigation::proof(&provider, &answer)?)
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn it_conforms_and_is_used() {
        assert_eq!(super::run().await.unwrap().requests, 2);
    }
}
