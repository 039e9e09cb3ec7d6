//! What the upstream saw and the client did not, kept for later requests.

use bytes::Bytes;

/// Names one point of one conversation.
///
/// ```
/// use headroom_engine::LedgerKey;
/// let key = LedgerKey::from_bytes([7; 32]);
/// assert_eq!(LedgerKey::from_bytes(key.to_bytes()), key);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LedgerKey([u8; 32]);

impl LedgerKey {
    /// The key as bytes, for stores.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// The inverse of [`LedgerKey::to_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for LedgerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LedgerKey(..)")
    }
}

/// One entry of the ledger. The value is opaque to stores.
///
/// ```
/// use headroom_engine::{LedgerKey, Record};
/// let record = Record::new(LedgerKey::from_bytes([7; 32]), "opaque".into());
/// assert_eq!(format!("{record:?}"), "Record { key: LedgerKey(..), bytes: 6 }");
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The point of the conversation that the entry belongs to.
    pub key: LedgerKey,
    /// What is to be put back there.
    pub value: Bytes,
}

impl Record {
    /// An entry as a store gives it back.
    #[must_use]
    pub fn new(key: LedgerKey, value: Bytes) -> Self {
        Self { key, value }
    }
}

/// Counts only: the value holds what a model read and said.
impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record").field("key", &self.key).field("bytes", &self.value.len()).finish()
    }
}
