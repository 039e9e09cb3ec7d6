//! Relevance, outliers and selection, shared by the specialists.

mod bm25;
mod outliers;
mod query;

pub use bm25::Bm25;
pub use outliers::{change_points, outliers};
pub use query::{Query, terms};
