//! The specialists: one [`Reducer`](crate::reduce::Reducer) for each kind of content.

mod axes;
#[cfg(feature = "code")]
mod code;
mod diff;
mod log;
mod names;
mod search;
mod smart_crusher;
mod table;
mod weigh;
mod writer;

#[cfg(feature = "code")]
pub use code::CodeCompressor;
pub use diff::DiffCompressor;
pub use log::LogCompressor;
pub use search::SearchCompressor;
pub use smart_crusher::SmartCrusher;
pub use table::TableCompressor;
