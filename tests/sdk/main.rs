//! The official SDKs as clients of a gateway that has the layer around its own client, over real
//! sockets. Each scenario is played twice: through the layer, with a model that looks into what was
//! hidden, and straight against a provider whose model says the same without looking. What the SDK
//! hands out must be the same, and nothing of ours may be in it.
//!
//! Python and Node must be there, and their registries when the packages are not yet under `target`;
//! what is missing is skipped aloud, or fails where `HEADROOM_PACKAGES=required`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_debug_implementations,
    reason = "tests and their helpers"
)]

mod compare;
mod driver;
/// A ledger that calls itself durable.
#[path = "../layer/durable.rs"]
mod durable;
mod gateway;
mod model;
mod packages;
mod play;
mod scenarios;

/// What the conversations of the layer's tests share.
#[expect(dead_code, reason = "the layer's tests use more of it")]
#[path = "../layer/talk.rs"]
mod talk;

mod bed {
    /// What every id of a call of ours contains, in all scripts here.
    pub(crate) const OURS: &str = "ours_";
}
