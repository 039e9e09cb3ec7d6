use std::{fmt, sync::Arc};

use tokenizers::Tokenizer;

use super::TokenCounter;

/// Counts with a user's `tokenizer.json`, for families other than o200k.
///
/// Slower than [`O200k`](super::O200k) by about an order of magnitude; counts are memoised with the
/// blocks they belong to.
#[derive(Clone)]
pub struct HfCounter {
    tokenizer: Arc<Tokenizer>,
    family: String,
}

/// The bytes are not a `tokenizer.json`.
#[derive(Debug, thiserror::Error)]
#[error("not a usable tokenizer.json: {0}")]
pub struct HfError(String);

impl HfCounter {
    /// A counter for `family` from the bytes of a `tokenizer.json`.
    ///
    /// # Errors
    /// If the bytes are not a tokenizer definition.
    pub fn from_bytes(family: impl Into<String>, json: &[u8]) -> Result<Self, HfError> {
        let mut tokenizer = Tokenizer::from_bytes(json).map_err(|error| HfError(error.to_string()))?;
        // A definition may ask for cut or padded output; a count must see all of the text, and only it.
        tokenizer.with_truncation(None).map_err(|error| HfError(error.to_string()))?;
        tokenizer.with_padding(None);
        Ok(Self { tokenizer: Arc::new(tokenizer), family: family.into() })
    }
}

impl TokenCounter for HfCounter {
    /// A text that the tokenizer refuses counts as one token a byte, so that it is never taken for
    /// small.
    fn count(&self, text: &str) -> usize {
        self.tokenizer.encode_fast(text, false).map_or(text.len(), |encoding| encoding.len())
    }

    fn family(&self) -> &str {
        &self.family
    }
}

impl fmt::Debug for HfCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HfCounter").field("family", &self.family).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = r#"{"version":"1.0","truncation":{"direction":"Right","max_length":2,
        "strategy":"LongestFirst","stride":0},"padding":null,"added_tokens":[],"normalizer":null,
        "pre_tokenizer":{"type":"Whitespace"},"post_processor":null,"decoder":null,
        "model":{"type":"WordLevel","vocab":{"a":0,"b":1,"[UNK]":2},"unk_token":"[UNK]"}}"#;

    #[test]
    fn counts_all_of_the_text() {
        let counter = HfCounter::from_bytes("words", WORDS.as_bytes()).unwrap();
        assert_eq!((counter.count("a b a other"), counter.family()), (4, "words"));
        assert_eq!(counter.count(""), 0);
    }

    #[test]
    fn says_what_is_wrong() {
        let error = HfCounter::from_bytes("x", b"{}").unwrap_err();
        assert!(error.to_string().starts_with("not a usable tokenizer.json: "));
    }
}
