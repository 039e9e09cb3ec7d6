//! Replicas over one Postgres: what is promised survives, what is not changes nothing, and no tenant
//! sees another's. The servers are thrown away.
//!
//! Larger counts than the default ones are asked for by `HEADROOM_FLEET_ROWS`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_debug_implementations,
    reason = "tests and their helpers"
)]

mod canaries;
mod cluster;
mod conformance;
mod faults;
mod gateway;
mod replicas;
mod store;
mod sweeping;
mod tenants;

/// What the conversations of the layer's tests share.
#[expect(dead_code, reason = "the layer's tests use more of it")]
#[path = "../layer/talk.rs"]
mod talk;

mod bed {
    /// What every id of a call of ours contains, in all scripts here.
    pub(crate) const OURS: &str = "ours_";
}
