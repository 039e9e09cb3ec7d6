//! A Tower layer that shrinks LLM requests and keeps every hidden byte retrievable.
//!
//! ```no_run
//! use bytes::Bytes;
//! use headroom_tower::{HeadroomLayer, Report};
//! use http_body_util::Full;
//! use hyper_util::{client::legacy::Client, rt::TokioExecutor};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! # async fn f(request: http::Request<Full<Bytes>>) -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder(TokioExecutor::new()).build_http();
//! let client = ServiceBuilder::new().layer(HeadroomLayer::new()).service(client);
//!
//! let response = client.oneshot(request).await?;
//! println!("{:?}", response.extensions().get::<Report>());
//! # Ok(()) }
//! ```
//!
//! A request of a known kind is read, rewritten and sent: tool results shrink, and where something
//! is left out a marker with a handle stands in its place. When the model asks for it, the layer
//! answers from the request it still holds (or from the store) with a follow-up call, and the
//! client sees one answer. Everything else passes through as it came.
//!
//! # What is touched
//!
//! `POST` with a JSON content type to a path that ends with `/v1/messages` (Anthropic, Foundry),
//! `/chat/completions` (OpenAI, Azure, OpenRouter and every compatible server), `/responses`
//! (OpenAI), `:generateContent` or `:streamGenerateContent` (Gemini), to Vertex' `:rawPredict` and
//! `:streamRawPredict` of Anthropic's models, with the feature `bedrock` to `/model/{id}/invoke`
//! (Anthropic's bodies), `/converse` and their streaming forms, or with a suffix given to
//! [`HeadroomBuilder::route`];
//! and to the paths that count the tokens of such requests (the same bytes, so that counts are
//! true). Signed requests (unless the feature `bedrock` is told how to sign anew) and bodies above
//! [`Limits::request_bytes`] pass untouched; so do encoded
//! bodies, unless the feature `decompression` is on and the coding is one of gzip, deflate, br and
//! zstd; and batches that are files, and sockets. With a [durable](LedgerStore::durable) ledger, requests
//! about one of OpenAI's stored answers (`/responses/{id}`, its `/input_items` and `/cancel`) are answered
//! as the client was told it; see [`docs::stores`]. Of the requests in a body to
//! `/v1/messages/batches` each is rewritten exactly. What happened is in
//! the [`Report`] among the response's extensions; what may happen to one request is decided by a
//! [`RequestPolicy`] among its own.
//!
//! # Where it stands
//!
//! Around a client, or around a gateway's upstream client: admission (concurrency and rate limits,
//! buffers) outside, retries, authentication and signing inside. `Error` is the inner service's; the
//! layer has none of its own. What cannot be handled goes out as it came; a store that fails or is
//! slow changes reports, not bytes. Why, and all the rest:
//!
//! - [`docs::layers`]: order of layers, back-pressure, cancellation, the error model;
//! - [`docs::hooks`]: seeing what the layer does, and steering it;
//! - [`docs::security`]: what is logged and kept, tenants, handles, text that lies, limits;
//! - [`docs::stores`]: stores and fleets, writing a store;
//! - `headroom_engine::docs`: writing a specialist for one more kind of content.
//!
//! # Features
//!
//! None is on by default; each only adds.
//!
//! | feature | adds |
//! |---|---|
//! | `reqwest` | `ReqwestService`, `HeadroomClient`: around a `reqwest` 0.13 client, with TLS of your choice |
//! | `reqwest-middleware` | `HeadroomMiddleware`: at the end of a `reqwest-middleware` chain |
//! | `postgres` | `PostgresStore`: originals and ledger records that replicas share |
//! | `encrypt` | `Sealed`: encryption at rest over any store |
//! | `decompression` | bodies in gzip, zstd, br and deflate are read |
//! | `bedrock` | Amazon Bedrock: InvokeModel and Converse, their event streams, signing anew |
//! | `image` | `Policy::images`: smaller images, by the providers' own arithmetic |
//! | `conformance` | `conformance`: a suite that any store can run |
//!
//! The layer needs a tokio runtime with its timer, and nothing that only Unix has.
#![forbid(unsafe_code)]

mod body;
#[cfg(feature = "reqwest")]
mod client;
mod costs;
mod decode;
pub mod docs;
mod drive;
mod future;
mod layer;
mod limits;
mod originals;
mod pool;
mod report;
mod request;
#[cfg_attr(not(feature = "bedrock"), allow(dead_code, reason = "nothing else is signed anew"))]
mod resign;
mod route;
mod service;
mod store;
mod stored;
mod tenant;
#[cfg(test)]
mod testing;

pub use body::{BoxError, RequestBody, ResponseBody};
#[cfg(feature = "reqwest-middleware")]
pub use client::HeadroomMiddleware;
#[cfg(feature = "reqwest")]
pub use client::{HeadroomClient, ReqwestFuture, ReqwestService};
pub use costs::{Alarm, CacheFate, Costs};
pub use future::ResponseFuture;
pub use headroom_engine::{
    AdoptPolicy, AlignReport, BlockReport, Dialect, LedgerKey, Mode, Policy, Reason, Record,
    Report as RewriteReport, ToolPolicy, catalogue,
    ccr::{Handle, HandleKey},
    intercept::RetrievalReport,
    tokens::TokenCounter,
};
pub use layer::{BuildError, HeadroomBuilder, HeadroomLayer, LedgerFailure};
pub use limits::Limits;
pub use report::{MemoryReport, Report, RequestPolicy, Skipped, Unintercepted};
pub use service::Headroom;
#[cfg(feature = "conformance")]
pub use store::conformance;
pub use store::{
    Durability, LedgerStore, MemoryStore, Original, OriginalStore, StoreError, TieredOptions, TieredStore,
};
#[cfg(feature = "encrypt")]
pub use store::{KeySource, Keyring, SealKey, Sealed};
#[cfg(feature = "postgres")]
pub use store::{PostgresOptions, PostgresStore, Sweeper, Swept};
pub use tenant::Scope;

/// Whether two are the very same bytes, by their address: nothing was written.
fn same(one: &bytes::Bytes, other: &bytes::Bytes) -> bool {
    one.as_ptr() == other.as_ptr() && one.len() == other.len()
}
