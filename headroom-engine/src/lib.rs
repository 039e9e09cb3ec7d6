//! The pure, sans-I/O engine of Headroom.
#![forbid(unsafe_code)]

pub mod ccr;
pub mod compress;
pub mod intercept;
mod ledger;
pub mod rank;
pub mod reduce;
pub mod tokens;
mod wire;

pub use ledger::{LedgerKey, Record};
pub use wire::Dialect;
