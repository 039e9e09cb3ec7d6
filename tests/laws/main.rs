//! The five laws, by name, over generated conversations and real ones, for every dialect.
//!
//! Everything is checked from outside: bodies are read by [`headroom_tests::json`], which shares
//! nothing with the engine, and decoders are run here again, not by the engine's own gate.
//!
//! [`ledger`] is the prefix law for answers that were intercepted, [`aligned`] for prompts whose values
//! change.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a broken law must stop the test"
)]

mod aligned;
mod byte;
mod context;
mod fail_open;
mod golden;
mod harness;
mod images;
mod ledger;
mod never_worse;
#[path = "../pictures.rs"]
mod pictures;
mod prefix;
mod redeem;
mod reducers;
mod repeats;
mod shapes;
