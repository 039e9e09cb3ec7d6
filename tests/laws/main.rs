//! The five laws, by name, over generated conversations and real ones, for every dialect.
//!
//! Everything is checked from outside: bodies are read by [`headroom_tests::json`], which shares
//! nothing with the engine, and decoders are run here again, not by the engine's own gate.
//!
//! The laws of the ledger and of interception join as modules of their own.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a broken law must stop the test"
)]

mod byte;
mod fail_open;
mod golden;
mod harness;
mod never_worse;
mod prefix;
mod redeem;
mod reducers;
