//! Counting tokens: what every decision is priced in.

#[cfg(feature = "tokenizers")]
mod hf;

use std::fmt;

#[cfg(feature = "tokenizers")]
pub use hf::{HfCounter, HfError};

/// Counts the tokens of a text for one model family.
///
/// Implementations are pure: the same text always gives the same count. A block is replaced only
/// when its *counted* tokens shrink, so a counter that is off shifts savings, never correctness.
pub trait TokenCounter: Send + Sync + fmt::Debug {
    /// The number of tokens in `text`, special tokens not recognised.
    fn count(&self, text: &str) -> usize;

    /// A stable name; part of the epoch, since counts decide bytes.
    fn family(&self) -> &str;
}

/// The exact `o200k_base` counter (GPT-4o and later), embedded in the crate.
///
/// It is the default for every family. Measured on one core it counts 35 to 45 MB a second and is
/// linear in its worst case.
///
/// ```
/// use headroom_engine::tokens::{O200k, TokenCounter};
/// assert_eq!(O200k.count("hello world"), 2);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct O200k;

impl TokenCounter for O200k {
    fn count(&self, text: &str) -> usize {
        bpe_openai::o200k_base().count(text)
    }

    fn family(&self) -> &str {
        "o200k"
    }
}
