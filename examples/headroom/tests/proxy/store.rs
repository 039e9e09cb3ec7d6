//! What a database keeps when the proxy starts anew.

#[path = "../../../../tests/fleet/cluster.rs"]
#[expect(dead_code, reason = "the tests of fleets use the rest")]
pub(crate) mod cluster;

use std::os::unix::fs::PermissionsExt as _;

use headroom_tests::{
    Dialect,
    provider::{Provider, Received, Turn},
};
use serde_json::json;

use crate::{
    admin::{handles, long},
    bed::{Proxy, command, within},
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

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_believed_by_its_certificate_only() {
    let room = cluster::room();
    let authority = crate::network::Authority::new();
    let [trusted, certificate, key] = ["ca.pem", "server.pem", "server.key"].map(|name| room.join(name));
    // An address of its own, so that the port of others is free.
    let address = format!("127.{}.{}.1", std::process::id() % 200 + 20, std::process::id() / 200 % 250);
    let (server, secret) = authority.issue(&[&address]);
    std::fs::write(&trusted, authority.pem()).unwrap();
    std::fs::write(&certificate, server).unwrap();
    std::fs::write(&key, secret).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    cluster::give(&key);
    let settings = [
        format!("listen_addresses={address}"),
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", certificate.display()),
        format!("ssl_key_file={}", key.display()),
    ];
    let settings = settings.each_ref().map(String::as_str);
    let _server = tokio::task::block_in_place(|| cluster::Cluster::start(&settings));
    let url = |root: &std::path::Path| {
        let root = root.display();
        format!("postgres://postgres@{address}/postgres?sslmode=verify-full&sslrootcert={root}")
    };

    let provider = Provider::start(|_: &Received| Turn::text("Hello.").into()).await;
    let proxy = Proxy::start(&provider.url(), &["--store", &url(&trusted)]);
    assert_eq!(proxy.get("/readyz").await.1["store"], "up");

    let other = room.join("other.pem");
    std::fs::write(&other, crate::network::Authority::new().pem()).unwrap();
    let output = command(&["--port", "0", "--store", &url(&other)]).output().unwrap();
    let why = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && why.contains("certificate"), "{why}");
    std::fs::remove_dir_all(room).unwrap();
}
