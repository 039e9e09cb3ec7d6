//! What became of blocks seen before. It can change only the time a request takes: its key holds
//! everything that decides the value.

use std::sync::Arc;

use quick_cache::{Weighter, sync::Cache};

use crate::{compress::repeat::Shown, reduce::Hidden, report::Reason, wire::splice::Text};

/// What became of a block, ready to be spliced.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) kind: Option<&'static str>,
    pub(crate) parts: u32,
    pub(crate) reason: Reason,
    /// The new string literal, quotes included; empty if the block stays.
    pub(crate) literal: Text,
    pub(crate) tokens_in: usize,
    pub(crate) tokens_out: usize,
    pub(crate) tokens_exact: usize,
    pub(crate) hidden: Box<[Hidden]>,
    /// What of its text can be pointed at.
    pub(crate) shown: Shown,
}

impl Outcome {
    pub(crate) fn kept(kind: Option<&'static str>, reason: Reason) -> Self {
        Self {
            kind,
            parts: 1,
            reason,
            literal: "".into(),
            tokens_in: 0,
            tokens_out: 0,
            tokens_exact: 0,
            hidden: Box::default(),
            shown: Shown::All,
        }
    }
}

pub(crate) type Key = [u8; 32];

#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<Key, Arc<Outcome>> for Bytes {
    fn weight(&self, _: &Key, outcome: &Arc<Outcome>) -> u64 {
        const ENTRY: usize = 128;
        (ENTRY + outcome.literal.len() + outcome.hidden.len() * size_of::<Hidden>() + outcome.shown.bytes())
            as u64
    }
}

/// A cache bounded by bytes.
#[derive(Debug)]
pub(crate) struct Memo {
    cache: Cache<Key, Arc<Outcome>, Bytes>,
}

impl Memo {
    pub(crate) fn new(bytes: u64) -> Self {
        // A typical outcome is a few kilobytes; the estimate only sizes the table.
        let items = usize::try_from(bytes / 2048).unwrap_or(usize::MAX).clamp(16, 1 << 16);
        Self { cache: Cache::with_weighter(items, bytes, Bytes) }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Outcome>> {
        self.cache.get(key)
    }

    pub(crate) fn contains(&self, key: &Key) -> bool {
        self.cache.peek(key).is_some()
    }

    pub(crate) fn insert(&self, key: Key, outcome: Arc<Outcome>) {
        self.cache.insert(key, outcome);
    }

    pub(crate) fn clear(&self) {
        self.cache.clear();
    }
}
