//! The README's samples: they compile, and the README shows them as they stand here.

use bytes::Bytes;
use headroom_tower::BoxError;
use http::{Request, Response};
use http_body_util::Full;

type Answer = Response<headroom_tower::ResponseBody<hyper::body::Incoming>>;

async fn plug_in(request: Request<Full<Bytes>>) -> Result<Answer, BoxError> {
    // sample
    use headroom_tower::HeadroomLayer;
    use hyper_util::{client::legacy::Client, rt::TokioExecutor};
    use tower::{Service, ServiceBuilder, ServiceExt};

    let https = hyper_rustls::HttpsConnectorBuilder::new();
    let https = https.with_webpki_roots().https_only().enable_all_versions().build();
    let mut client = ServiceBuilder::new()
        .layer(HeadroomLayer::new()) // outside signing, auth and retry
        .service(Client::builder(TokioExecutor::new()).build(https));

    let answer = client.ready().await?.call(request).await?; // as before
    // end
    Ok(answer)
}

fn library(messages_json: &str) -> Result<headroom_engine::Compressed, headroom_engine::ScanError> {
    // sample
    let compressed = headroom_engine::compress(messages_json, "claude-opus-5-5")?;
    // end
    Ok(compressed)
}

#[cfg(feature = "fleet")]
mod fleet {
    use std::{sync::Arc, time::Duration};

    use headroom_tower::{BoxError, HeadroomLayer, Keyring, PostgresStore, Scope, Sealed, TieredStore};
    use http::request::Parts;

    fn tenant_of(head: &Parts) -> Scope {
        Scope::of(head.uri.host().unwrap_or_default().as_bytes())
    }

    pub(super) async fn fleet(url: &str, secret: [u8; 32]) -> Result<HeadroomLayer, BoxError> {
        // sample
        let postgres = PostgresStore::connect(url).await?; // feature `postgres`
        let sweeper = postgres.sweep_every(Duration::from_secs(60));
        let sealed = Sealed::new(postgres, Keyring::new(1, secret)); // feature `encrypt`
        let store = Arc::new(TieredStore::new(sealed));
        let layer = HeadroomLayer::builder().store(store.clone()).ledger(store).tenant(tenant_of).build()?;
        // end
        drop(sweeper);
        Ok(layer)
    }
}

/// The lines between two marks, without what they are indented by.
fn samples() -> Vec<String> {
    let source = include_str!("readme.rs");
    let parts = source.split("// sample\n").skip(1).filter_map(|part| part.split_once("// end\n"));
    let dedented = |sample: &str| {
        let lines: Vec<&str> = sample.trim_end().lines().collect();
        let width = lines[0].len() - lines[0].trim_start().len();
        lines.iter().map(|line| line.get(width..).unwrap_or_default().to_owned() + "\n").collect()
    };
    parts.map(|(sample, _)| dedented(sample)).collect()
}

#[test]
fn every_sample_of_the_readme_compiles() {
    // Only their types matter here: they ask real servers.
    let _ = (plug_in, library);
    #[cfg(feature = "fleet")]
    let _ = |url: &'static str, secret| fleet::fleet(url, secret);
    let shown = super::page("README.md");
    let shown: Vec<&str> =
        shown.split("```rust\n").skip(1).filter_map(|part| part.split("```").next()).collect();
    assert_eq!(shown, samples());
}
