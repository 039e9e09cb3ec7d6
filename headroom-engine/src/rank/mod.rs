//! Relevance, outliers and selection, shared by the specialists.

mod bm25;
mod query;

pub use bm25::Bm25;
pub use query::{Query, terms};
