//! Relevance, outliers and selection, shared by the specialists.

mod bm25;
#[cfg(feature = "embed")]
mod embed;
mod outliers;
mod query;
mod scorer;
pub(crate) mod words;

pub use bm25::Bm25;
#[cfg(feature = "embed")]
pub use embed::{EmbeddingScorer, ModelError};
pub use outliers::{change_points, outliers};
pub use query::{Query, terms};
pub use scorer::{Bm25Scorer, Relevance, Scorer};
