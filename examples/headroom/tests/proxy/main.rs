//! `headroom proxy` as its users meet it: a process of its own, real sockets, the provider double.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and their helpers")]

mod admin;
mod bed;
mod clients;
mod config;
mod conversations;
mod failures;
#[cfg(target_os = "linux")]
mod sockets;
mod stopping;
#[cfg(all(unix, feature = "fleet"))]
mod store;
mod tunnel;
