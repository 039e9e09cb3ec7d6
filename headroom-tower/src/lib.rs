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
//! true). Signed requests (unless the feature `bedrock` is told how to sign anew), encoded bodies, and bodies above [`Limits::request_bytes`] pass
//! untouched; so do batches, stored answers and sockets. What happened is in
//! the [`Report`] among the response's extensions; what may happen to one request is decided by a
//! [`RequestPolicy`] among its own.
//!
//! # Order of layers
//!
//! From the outside in:
//!
//! 1. tracing, a time-out for all of it, *admission*: `ConcurrencyLimit`, `RateLimit`, `Buffer`,
//!    `LoadShed`;
//! 2. [`HeadroomLayer`];
//! 3. retries, authentication, signing, decompression;
//! 4. the client.
//!
//! Admission stands outside because a follow-up call asks the inner service for readiness once
//! more: with `ConcurrencyLimit(1)` inside, someone who polls the next request ready and then waits
//! for this one waits for ever. Signing stands inside because it must see the bytes that are sent.
//! Inner services that insist on one body type take
//! `MapRequestBodyLayer::new(axum::body::Body::new)` directly below this layer.
//!
//! `poll_ready` is the inner service's; the instance that was ready makes the first call, and each
//! follow-up waits for a fresh clone to be ready. The layer needs a tokio runtime with its timer.
//!
//! # Errors
//!
//! `Error` is the inner service's; the layer has none of its own, and no answer, with one exception
//! that must be asked for: [`LedgerFailure::Refuse`]. A failure to read the request's
//! body is handed to the inner service at the place where it would have met it. What cannot be
//! handled goes out as it came; a store that fails or is slow changes reports, not bytes. A
//! follow-up that fails is passed on: as the error or the upstream's own status and body while
//! nothing has been sent to the client, as the provider's own error event in a stream that runs.
//!
//! # Fleets
//!
//! What the engine writes is a function of the conversation, so replicas need to share nothing for
//! their bytes to be equal. What they share through a store are originals that a request no longer
//! holds and the ledger of retrievals that the client never saw: a conversation that wanders between
//! replicas keeps what its model fetched, and on models whose thinking is bound to its prefix it
//! stays valid. `PostgresStore` (feature `postgres`) is such a store, [`TieredStore`] puts memory and
//! a queue in front of it, `Sealed` (feature `encrypt`) keeps it from reading what it holds, and
//! `conformance` (a feature, too) checks one that you write.
//!
//! A shared store wants to be told who the tenants are: [`HeadroomBuilder::tenant`]. What is put for
//! one is not found by another, and looks like what nobody has ever put.
//!
//! # Back-pressure and cancellation
//!
//! No task is spawned for a body. Upstream frames are read when the client asks for the next one,
//! and dropping the response or its future drops the call that is under way. Only
//! scanning a large body and rewriting much new text leave the worker, for a blocking thread, and
//! wait there for one of as many permits as there are cores. Ranking an original for a retrieval
//! does not.
#![forbid(unsafe_code)]

mod body;
mod costs;
mod drive;
mod future;
mod layer;
mod limits;
mod pool;
mod report;
mod request;
#[cfg_attr(not(feature = "bedrock"), allow(dead_code, reason = "nothing else is signed anew"))]
mod resign;
mod route;
mod service;
mod store;
mod tenant;
#[cfg(test)]
mod testing;

pub use body::{BoxError, RequestBody, ResponseBody};
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
