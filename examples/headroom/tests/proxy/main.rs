//! `headroom proxy` as its users meet it: a process of its own, real sockets, the provider double.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and their helpers")]

mod admin;
mod bed;
mod clients;
#[cfg(feature = "bedrock")]
mod cloud;
mod config;
mod conversations;
mod failures;
mod google;
mod network;
#[cfg(target_os = "linux")]
mod recorder;
#[cfg(target_os = "linux")]
mod sockets;
mod stopping;
#[cfg(all(unix, feature = "fleet"))]
mod store;
mod tunnel;
