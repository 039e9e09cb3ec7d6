//! The specialists: one [`Reducer`](crate::reduce::Reducer) for each kind of content.

mod log;
mod search;
mod smart_crusher;

pub use log::LogCompressor;
pub use search::SearchCompressor;
pub use smart_crusher::SmartCrusher;
