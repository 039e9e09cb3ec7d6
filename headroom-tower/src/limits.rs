//! What the layer holds in memory and how long it waits.

use std::time::Duration;

/// What the layer holds in memory and how long it waits for others.
///
/// None of these decides what a body becomes, with one exception that the report names: a ledger
/// that does not answer in time counts as empty, or has the request refused
/// ([`LedgerFailure`](crate::LedgerFailure)).
///
/// ```
/// use std::time::Duration;
/// use headroom_tower::Limits;
/// let limits = Limits::default().request_bytes(16 << 20).store(Duration::from_millis(100));
/// assert_eq!(limits.response_bytes, 64 << 20);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// The largest request body that is read, in bytes, encoded and decoded. A larger one passes
    /// untouched. The default, 64 MiB, is above what the providers take (Anthropic: 32 MiB).
    pub request_bytes: usize,
    /// The largest JSON response that is held to look for calls of ours, in bytes; 64 MiB. A larger
    /// one passes untouched.
    pub response_bytes: usize,
    /// How many times its encoded size a body may have decoded, above 1 MiB; 200. What would have
    /// more passes untouched. Only with the feature `decompression`.
    pub expansion: usize,
    /// How long a store may take for all it is asked at one step; 250 ms.
    pub store: Duration,
    /// How long a client waits on a silent stream during a retrieval before it is sent a
    /// keep-alive; 10 s.
    pub keep_alive: Duration,
    /// How long a finished round's connection is read for its end, so that it can be used again;
    /// 250 ms.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes: 64 << 20,
            response_bytes: 64 << 20,
            expansion: 200,
            store: Duration::from_millis(250),
            keep_alive: Duration::from_secs(10),
            drain: Duration::from_millis(250),
        }
    }
}

impl Limits {
    /// Sets [`Limits::request_bytes`].
    #[must_use]
    pub fn request_bytes(mut self, bytes: usize) -> Self {
        self.request_bytes = bytes;
        self
    }

    /// Sets [`Limits::response_bytes`].
    #[must_use]
    pub fn response_bytes(mut self, bytes: usize) -> Self {
        self.response_bytes = bytes;
        self
    }

    /// Sets [`Limits::expansion`].
    #[must_use]
    pub fn expansion(mut self, times: usize) -> Self {
        self.expansion = times;
        self
    }

    /// Sets [`Limits::store`].
    #[must_use]
    pub fn store(mut self, wait: Duration) -> Self {
        self.store = wait;
        self
    }

    /// Sets [`Limits::keep_alive`].
    #[must_use]
    pub fn keep_alive(mut self, wait: Duration) -> Self {
        self.keep_alive = wait;
        self
    }

    /// Sets [`Limits::drain`].
    #[must_use]
    pub fn drain(mut self, wait: Duration) -> Self {
        self.drain = wait;
        self
    }
}
