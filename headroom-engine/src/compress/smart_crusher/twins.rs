//! Values that occur more than once.

use std::collections::HashMap;

use super::tape::{Id, Kind, Tape};

/// Shorter values are not worth a name.
const MIN_BYTES: usize = 32;

/// A hash of every value's tokens, and how often the longer ones occur.
///
/// The hash is not collision-resistant: a collision makes an output that does not decode to its
/// source, which the gate refuses.
#[derive(Debug)]
pub(super) struct Twins {
    hashes: Vec<u64>,
    counts: HashMap<u64, u32>,
}

impl Twins {
    pub(super) fn of(tape: &Tape<'_>) -> Self {
        let mut hashes = vec![0; tape.len()];
        let mut counts: HashMap<u64, u32> = HashMap::new();
        for id in (0..tape.len() as Id).rev() {
            let hash = if tape.is_scalar(id) {
                hash_bytes(tape.slice(id).as_bytes())
            } else {
                let seed = if tape.kind(id) == Kind::Object { 7 } else { 11 };
                tape.children(id).fold(seed, |hash, child| mix(hash, hashes[child as usize]))
            };
            hashes[id as usize] = hash;
            if tape.end(id) - tape.start(id) >= MIN_BYTES && !tape.is_key(id) {
                *counts.entry(hash).or_default() += 1;
            }
        }
        Self { hashes, counts }
    }

    pub(super) fn hash(&self, id: Id) -> u64 {
        self.hashes[id as usize]
    }

    /// How often a value that is worth a name occurs.
    pub(super) fn count(&self, tape: &Tape<'_>, id: Id) -> Option<u32> {
        self.counts.get(&self.worth(tape, id)?).copied()
    }

    /// The hash of a value that may be worth a name: its other occurrences become references.
    pub(super) fn worth(&self, tape: &Tape<'_>, id: Id) -> Option<u64> {
        let bytes = tape.end(id) - tape.start(id);
        if bytes < MIN_BYTES {
            return None;
        }
        let count = *self.counts.get(&self.hash(id))? as usize;
        // A name costs about 6 tokens and a reference 4, where a token has about 4 bytes.
        (count > 1 && (count - 1) * (bytes / 4).saturating_sub(4) > 8).then_some(self.hash(id))
    }
}

/// Both halves of the product, so that every bit of a word reaches every bit of the hash: without the
/// upper one, strings that differ in some digits were found to be equal.
fn mix(hash: u64, word: u64) -> u64 {
    let product = u128::from(hash.rotate_left(5) ^ word) * u128::from(0x517c_c1b7_2722_0a95_u64);
    (product as u64) ^ ((product >> 64) as u64)
}

fn hash_bytes(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut hash = words.iter().fold(bytes.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    hash = mix(hash, u64::from_le_bytes(last));
    hash ^ (hash >> 32)
}
