//! Placeholder until the splicers land.
use crate::history::LedgerKey;
use bytes::Bytes;

/// A ledger record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where in which conversation.
    pub key: LedgerKey,
    /// Opaque.
    pub value: Bytes,
}

mod stub;
pub use stub::*;
