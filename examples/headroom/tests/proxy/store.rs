//! What a database keeps when the proxy starts anew.

#[path = "../../../../tests/fleet/cluster.rs"]
#[allow(dead_code, reason = "the tests of fleets use the rest")]
mod cluster;

use headroom_tests::{
    Dialect,
    provider::{Provider, Received, Turn},
};
use serde_json::json;

use crate::{
    admin::{handles, long},
    bed::{Proxy, within},
};

#[tokio::test]
async fn a_new_process_redeems_what_the_old_one_hid() {
    let provider = Provider::start(|_: &Received| Turn::text("Hello.").into()).await;
    let database = within(cluster::database()).await;
    let arguments = ["--store", &database, "--store-key", "kept", "--tenant", "single"];
    let mut first = Proxy::start(&provider.url(), &arguments);
    assert_eq!(first.get("/readyz").await.1["store"], "up");
    first.ask(Dialect::OpenAi, long("red-jobs.openai")).await.unwrap();
    let handle = handles(&String::from_utf8_lossy(provider.last().body())).remove(0);
    let (_, before) = first.post("/v1/retrieve", &json!({"handle": handle, "whole": true})).await;
    // What waits to be written is written before the end.
    first.terminate();
    assert!(first.ended().await.success());
    assert!(!first.logs().contains(&database));

    let second = Proxy::start(&provider.url(), &arguments);
    let (status, after) = second.post("/v1/retrieve", &json!({"handle": handle, "whole": true})).await;
    assert_eq!((status, after), (200, before));

    // Sealed: without the key there is nothing to read.
    let other =
        Proxy::start(&provider.url(), &["--store", &database, "--store-key", "other", "--tenant", "single"]);
    assert_ne!(other.post("/v1/retrieve", &json!({"handle": handle, "whole": true})).await.0, 200);
}
