//! The pure, sans-I/O engine of Headroom.
#![forbid(unsafe_code)]

pub mod ccr;
pub mod compress;
pub mod rank;
pub mod reduce;
pub mod tokens;

mod stub;
pub use stub::{
    Dialect, Engine, EngineBuilder, LedgerKey, Originals, Policy, Record, Report, RequestContext,
    RetrievalReport, Rewrite, Route, ScanError, Scanned,
};
#[allow(missing_docs)]
pub mod intercept {
    pub use crate::stub::{Continuation, JsonExchange, Step, StreamExchange};
}
