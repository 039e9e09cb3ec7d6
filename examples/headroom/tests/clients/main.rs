//! Clients that others wrote, against the real binary: what they come to with the proxy between them
//! and the provider is what they come to without, and the provider receives less.
//!
//! They are installed from npm and PyPI at fixed versions, into `target`; what cannot be had is
//! skipped aloud, or fails where `HEADROOM_PACKAGES=required`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_debug_implementations,
    reason = "tests and their helpers"
)]

mod bed;
mod claude_code;
mod codex;
mod inspector;
mod litellm;
mod model;
mod sdks;
