//! What the end-to-end tests, the benches and the quickstart share.
//!
//! [`json`] and [`places`] read bodies independently of the engine, [`generate`] makes conversations
//! up, and [`clients`] varies what a real client varies between turns.
//!
//! Everything here is for tests: a mistake of the caller panics.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "support for tests: a broken fixture must stop them"
)]

pub mod clients;
pub mod generate;
pub mod json;
pub mod places;
