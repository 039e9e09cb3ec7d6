//! The real binary, as users run it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests and their helpers")]

mod bed;
#[cfg(unix)]
mod browser;
mod compress;
#[cfg(unix)]
mod dashboard;
mod manual;
mod mcp;
mod mcp_http;
#[cfg(unix)]
mod page;
mod places;
#[expect(dead_code, reason = "the proxy's own tests use all of it")]
#[path = "../proxy/bed.rs"]
mod proxy;
mod retrieve;
