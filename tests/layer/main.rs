//! The layer end to end: over real sockets, around a client and around a router, to a provider that
//! refuses what real ones refuse. Every test sends through [`bed`], which checks, for each byte the
//! client gets and each header the provider gets, that nothing of ours is among them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_debug_implementations,
    reason = "tests and their helpers"
)]

mod aligned;
mod bad_input;
mod bed;
mod bedrock;
mod contract;
mod costs;
mod durable;
mod encoded;
mod headers;
mod hooks;
mod images;
mod live;
#[path = "../pictures.rs"]
mod pictures;
mod restarts;
mod retrievals;
mod simulated;
mod stored;
mod talk;
mod thinking;
