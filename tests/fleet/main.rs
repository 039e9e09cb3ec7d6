//! Replicas over one Postgres: what is promised survives, what is not changes nothing, and no tenant
//! sees another. Servers are thrown away; see [`cluster`].
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_debug_implementations,
    reason = "tests and their helpers"
)]

mod cluster;
mod store;
