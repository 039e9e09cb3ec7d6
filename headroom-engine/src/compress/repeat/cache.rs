//! Indexes of conversations that may go on. They can change only the time a request takes.

use std::sync::{Mutex, PoisonError};

use super::Index;

/// Indexes, the least recently used first, within a bound of bytes.
#[derive(Debug, Default)]
pub(crate) struct Indexes {
    most: usize,
    kept: Mutex<Vec<([u8; 32], Index)>>,
}

impl Indexes {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, kept: Mutex::default() }
    }

    /// The index that accounts for most of a conversation; `chain` holds its key behind each text.
    /// Who takes it has it alone; another who needs it builds its own.
    pub(crate) fn take(&self, chain: &[[u8; 32]]) -> Option<Index> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |(key, index): &([u8; 32], Index)| {
            index.seen().checked_sub(1).and_then(|at| chain.get(at)) == Some(key)
        };
        let matching = kept.iter().enumerate().filter(|(_, entry)| known(entry));
        let (at, _) = matching.max_by_key(|(_, (_, index))| index.seen())?;
        Some(kept.remove(at).1)
    }

    /// Keeps an index under the key of the conversation that it accounts for.
    pub(crate) fn put(&self, key: [u8; 32], index: Index) {
        if index.bytes() > self.most {
            return;
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(other, _)| *other != key);
        kept.push((key, index));
        let mut bytes = 0;
        let fits = kept.iter().rev().take_while(|(_, index)| {
            bytes += index.bytes();
            bytes <= self.most
        });
        let over = kept.len() - fits.count();
        kept.drain(..over);
    }

    pub(crate) fn clear(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
