//! The specialists: one [`Reducer`](crate::reduce::Reducer) for each kind of content.

mod axes;
#[cfg(feature = "code")]
mod code;
mod diff;
mod fold;
mod gaps;
mod hash;
mod html;
#[cfg(feature = "image")]
mod image;
mod kompress;
mod log;
mod names;
pub mod repeat;
mod search;
mod smart_crusher;
mod table;
mod weigh;
mod writer;

#[cfg(feature = "code")]
pub use code::CodeCompressor;
pub use diff::DiffCompressor;
pub use html::HtmlCompressor;
#[cfg(feature = "image")]
pub(crate) use image::size as image_size;
#[cfg(feature = "image")]
pub use image::{Provider, Shrunk, shrink};
pub use kompress::Kompress;
pub use log::LogCompressor;
pub use search::SearchCompressor;
pub use smart_crusher::SmartCrusher;
pub use table::TableCompressor;
