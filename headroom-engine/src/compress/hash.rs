//! Hashes with a fixed seed, for grouping: nothing is believed equal by its hash alone.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// Passes a hash through: the keys are hashes with a fixed seed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Through(u64);

impl Hasher for Through {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// A map from hashes. It is only ever looked up, never walked.
pub(super) type ByHash<V> = HashMap<u64, V, BuildHasherDefault<Through>>;

/// Mixes `value` into `hash`: one multiplication, a fixed seed.
#[inline]
pub(super) fn mix(hash: u64, value: u64) -> u64 {
    (hash.rotate_left(23) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Hashes bytes, eight at a time.
#[inline]
pub(super) fn hash_bytes(bytes: &[u8]) -> u64 {
    let mut hash = bytes.len() as u64;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut eight = [0; 8];
        eight.copy_from_slice(chunk);
        hash = mix(hash, u64::from_le_bytes(eight));
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        let mut eight = [0; 8];
        eight[..rest.len()].copy_from_slice(rest);
        hash = mix(hash, u64::from_le_bytes(eight));
    }
    hash ^ (hash >> 29)
}
