//! The pure, sans-I/O engine of Headroom: bytes in, edits and actions out.
//!
//! No async, no sockets, no clock, no environment, and no global state: what is static are the
//! tables of the counter and of the catalogue, made once and never changed.
#![forbid(unsafe_code)]

mod align;
mod block;
mod builder;
pub mod catalogue;
pub mod ccr;
pub mod compress;
mod context;
pub mod cost;
mod eligible;
mod engine;
mod history;
pub mod intercept;
mod ledger;
mod library;
mod memo;
mod originals;
mod policy;
mod price;
pub mod rank;
mod recall;
pub mod reduce;
mod report;
pub mod route;
pub mod tokens;
mod wire;

pub use builder::EngineBuilder;
pub use engine::{Engine, Rewrite, Scanned};
pub use intercept::RetrievalReport;
pub use ledger::{LedgerKey, Record};
pub use library::{Compressed, Retrievable, compress, compress_with};
pub use originals::Originals;
pub use policy::{AdoptPolicy, ContextPolicy, Mode, Policy, RequestContext, Route, TOOL_NAME, ToolPolicy};
pub use report::{AlignReport, BlockReport, ContextReport, Reason, Report};
pub use wire::{Dialect, scan::ScanError};
