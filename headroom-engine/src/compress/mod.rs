//! The specialists: one [`Reducer`](crate::reduce::Reducer) for each kind of content.

mod log;
mod smart_crusher;

pub use log::LogCompressor;
pub use smart_crusher::SmartCrusher;
