//! Indexes of conversations that may go on. They can change only the time a request takes.

use std::sync::{Mutex, PoisonError};

use super::Index;

/// Indexes, the least recently used first, within a bound of bytes.
#[derive(Debug, Default)]
pub(crate) struct Indexes {
    most: usize,
    kept: Mutex<Vec<Index>>,
}

impl Indexes {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, kept: Mutex::default() }
    }

    /// An index of the beginning of a conversation, whose keys, one behind each result, are `keys`.
    /// Who takes it has it alone; another who needs it builds its own.
    pub(crate) fn take(&self, keys: &[[u8; 32]]) -> Option<Index> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let common = kept.iter().map(|index| index.common(keys)).enumerate();
        let (at, common) = common.max_by_key(|(_, common)| *common)?;
        // What shares little belongs to another conversation.
        (common > 0 && common * 2 >= kept[at].seen()).then(|| {
            let mut index = kept.remove(at);
            index.truncate(common);
            index
        })
    }

    /// Keeps an index for the requests to come.
    pub(crate) fn put(&self, index: Index) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(index);
        let mut bytes = 0;
        let fits = kept.iter().rev().take_while(|index| {
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

#[cfg(test)]
mod tests {
    use super::super::{Earlier, Holder, Place, Shown};
    use super::*;

    fn index(keys: &[[u8; 32]]) -> Index {
        let mut index = Index::default();
        for (at, key) in keys.iter().enumerate() {
            let place = Place { holder: Holder::Result, number: at + 1, part: None };
            let earlier = Earlier::new(place, "", "a line\nand another");
            index.push_result(*key, [0; 32], Some(earlier), &Shown::All);
        }
        index
    }

    #[test]
    fn a_conversation_gets_what_it_shares_and_nothing_of_others() {
        let indexes = Indexes::new(1 << 20);
        let keys: Vec<[u8; 32]> = (0..9).map(|at| [at; 32]).collect();
        indexes.put(index(&keys[..6]));
        indexes.put(index(&[[99; 32]]));
        assert!(indexes.take(&[]).is_none());
        assert!(indexes.take(&keys[..2]).is_none(), "it shares too little");
        let grown = indexes.take(&keys).expect("the beginning");
        assert_eq!(grown.seen(), 6);
        assert!(indexes.take(&keys).is_none(), "one has it alone");
        indexes.put(grown);
        assert_eq!(indexes.take(&keys[..5]).map(|index| index.seen()), Some(5), "a turn made anew");
    }

    #[test]
    fn the_oldest_goes_first() {
        let keys: Vec<[u8; 32]> = (0..9).map(|at| [at; 32]).collect();
        let bytes = index(&keys[..1]).bytes();
        let indexes = Indexes::new(2 * bytes);
        for at in 0..3 {
            indexes.put(index(&keys[at..=at]));
        }
        assert!(indexes.take(&keys[..1]).is_none());
        assert!(indexes.take(&keys[1..2]).is_some() && indexes.take(&keys[2..3]).is_some());
    }
}
