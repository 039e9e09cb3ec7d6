//! The real binary, as users run it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and their helpers")]

mod bed;
mod compress;
mod dashboard;
mod manual;
mod mcp;
mod mcp_http;
mod places;
#[expect(dead_code, reason = "the proxy's own tests use all of it")]
#[path = "../proxy/bed.rs"]
mod proxy;
mod retrieve;
