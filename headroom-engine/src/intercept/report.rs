use crate::ccr::Handle;

/// What the retrievals of one answer came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetrievalReport {
    /// Follow-up requests sent.
    pub rounds: u32,
    /// Calls of the retrieval tool.
    pub calls: u32,
    /// Calls whose handle named nothing that could be had.
    pub unknown: u32,
    /// Calls whose arguments could not be understood.
    pub malformed: u32,
    /// The originals that were asked for and had, each as often as it was.
    pub handles: Vec<Handle>,
    /// Tokens of the text returned to the model.
    pub tokens: u64,
    /// Input tokens that the upstream counted, over all rounds.
    pub input_tokens: u64,
    /// Output tokens that the upstream counted, over all rounds.
    pub output_tokens: u64,
    /// Tokens read from the provider's cache, over all rounds.
    pub cache_read: u64,
    /// Tokens written to the provider's cache, over all rounds.
    pub cache_write: u64,
    /// The model asked more often than it may.
    pub limit_hit: bool,
}
