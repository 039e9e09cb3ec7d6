//! The specialists: one [`Reducer`](crate::reduce::Reducer) for each kind of content.

mod diff;
mod log;
mod names;
pub mod repeat;
mod search;
mod smart_crusher;
mod weigh;
mod writer;

pub use diff::DiffCompressor;
pub use log::LogCompressor;
pub use search::SearchCompressor;
pub use smart_crusher::SmartCrusher;
