//! The specialists: one [`Reducer`](crate::reduce::Reducer) for each kind of content.

mod log;
mod names;
mod search;
mod smart_crusher;
mod weigh;

pub use log::LogCompressor;
pub use search::SearchCompressor;
pub use smart_crusher::SmartCrusher;
