//! Counting tokens: what every decision is priced in.

#[cfg(feature = "tokenizers")]
mod hf;
mod o200k;
mod pieces;

use std::fmt;

#[cfg(feature = "tokenizers")]
pub use hf::{HfCounter, HfError};
pub use o200k::O200k;

/// Counts the tokens of a text for one model family.
///
/// Implementations are pure: the same text always gives the same count. A block is replaced only
/// when its *counted* tokens shrink, so a counter that is off shifts savings, never correctness.
///
/// ```
/// use headroom_engine::tokens::{O200k, TokenCounter};
///
/// /// Four bytes a token, for a family whose vocabulary nobody has.
/// #[derive(Debug)]
/// struct Estimate;
///
/// impl TokenCounter for Estimate {
///     fn count(&self, text: &str) -> usize {
///         text.len().div_ceil(4)
///     }
///     fn family(&self) -> &str {
///         "estimate/4"
///     }
/// }
/// assert_eq!((Estimate.count("hello world!"), O200k.count("hello world!")), (3, 3));
/// ```
pub trait TokenCounter: Send + Sync + fmt::Debug {
    /// The number of tokens in `text`, special tokens not recognised.
    fn count(&self, text: &str) -> usize;

    /// A stable name; part of the epoch, since counts decide bytes.
    fn family(&self) -> &str;
}
