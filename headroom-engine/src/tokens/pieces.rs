//! Tokens by their bytes: what a piece of a split text counts.

use std::sync::LazyLock;

use bpe_openai::byte_pair_encoding::BytePairEncoding;

/// Short tokens by their bytes, before the general encoder is asked.
///
/// `bpe` sets up an encoder and walks an automaton of many megabytes for every piece, and most
/// pieces are one token anyhow.
pub(super) struct Pieces {
    /// Of at most 7 bytes: most pieces, in a table that stays in the cache.
    short: Set<u64>,
    /// Of 8 to 15 bytes.
    long: Set<u128>,
    merges: &'static BytePairEncoding,
}

pub(super) static O200K: LazyLock<Pieces> = LazyLock::new(|| {
    let merges = &bpe_openai::o200k_base().bpe;
    let tokens = || {
        (0..u32::try_from(merges.num_tokens()).unwrap_or(u32::MAX))
            .map(|token| merges.token_bytes(token))
            .filter(|bytes| bytes.iter().all(|byte| byte.is_ascii()) || bytes[0] == 0xe2 || bytes[0] == b' ')
    };
    let short = tokens().filter(|bytes| bytes.len() <= 7).map(pack_short).collect();
    let long = tokens().filter(|bytes| (8..=15).contains(&bytes.len())).map(pack_long).collect();
    Pieces { short: Set::of(short), long: Set::of(long), merges }
});

/// Pieces that were merged lately, with their tokens: names occur again and again in one text.
pub(super) struct Recent<'t> {
    merged: [(&'t [u8], usize); RECENT],
}

/// A power of two.
const RECENT: usize = 256;

impl Recent<'_> {
    pub(super) fn new() -> Self {
        Self { merged: [(&[], 0); RECENT] }
    }
}

impl Pieces {
    /// The tokens of one piece. A piece that is a token is that token.
    #[inline]
    pub(super) fn count<'t>(&self, piece: &'t [u8], recent: &mut Recent<'t>) -> usize {
        match piece.len() {
            0..=7 => {
                let word = pack_short(piece);
                if self.short.has(word) { 1 } else { self.merge(piece, word.fold(), recent) }
            }
            8..=15 => {
                let word = pack_long(piece);
                if self.long.has(word) { 1 } else { self.merge(piece, word.fold(), recent) }
            }
            length => {
                let ends = pack_long(&piece[..8]) ^ (pack_long(&piece[length - 8..]) << 64);
                self.merge(piece, ends.fold() ^ length as u64, recent)
            }
        }
    }

    /// The tokens of a piece that may be several; `hash` says where it is remembered.
    fn merge<'t>(&self, piece: &'t [u8], hash: u64, recent: &mut Recent<'t>) -> usize {
        let slot = (hash.wrapping_mul(FIBONACCI) >> (64 - RECENT.trailing_zeros())) as usize;
        let (known, tokens) = &mut recent.merged[slot];
        if *known != piece {
            *known = piece;
            *tokens = self.merges.count(piece);
        }
        *tokens
    }
}

/// Fibonacci hashing (Knuth, TAOCP 3, 6.4).
const FIBONACCI: u64 = 0x9e37_79b9_7f4a_7c15;

/// At most 7 bytes and their number in one word; 0 for none.
fn pack_short(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    word[7] = bytes.len() as u8;
    u64::from_le_bytes(word)
}

/// At most 15 bytes and their number in one word; 0 for none.
fn pack_long(bytes: &[u8]) -> u128 {
    let mut word = [0; 16];
    word[..bytes.len()].copy_from_slice(bytes);
    word[15] = bytes.len() as u8;
    u128::from_le_bytes(word)
}

/// An open-addressed set of words other than 0, at most half full.
struct Set<W> {
    slots: Vec<W>,
    shift: u32,
}

/// What a [`Set`] holds.
trait Word: Copy + Default + PartialEq {
    fn fold(self) -> u64;
}

impl Word for u64 {
    fn fold(self) -> u64 {
        self
    }
}

impl Word for u128 {
    fn fold(self) -> u64 {
        (self as u64) ^ ((self >> 64) as u64).rotate_left(29)
    }
}

impl<W: Word> Set<W> {
    fn of(words: Vec<W>) -> Self {
        let bits = (words.len() * 2).next_power_of_two().trailing_zeros();
        let mut set = Self { slots: vec![W::default(); 1 << bits], shift: 64 - bits };
        for word in words {
            let at = set.slot(word);
            set.slots[at] = word;
        }
        set
    }

    fn has(&self, word: W) -> bool {
        self.slots[self.slot(word)] != W::default()
    }

    /// Where `word` is, or would be.
    fn slot(&self, word: W) -> usize {
        let mut at = (word.fold().wrapping_mul(FIBONACCI) >> self.shift) as usize;
        while self.slots[at] != W::default() && self.slots[at] != word {
            at = (at + 1) % self.slots.len();
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_counts_one() {
        let merges = &bpe_openai::o200k_base().bpe;
        for token in 0..u32::try_from(merges.num_tokens()).unwrap() {
            let bytes = merges.token_bytes(token);
            assert_eq!(O200K.count(bytes, &mut Recent::new()), merges.count(bytes), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_token_is_merged_and_remembered() {
        let mut recent = Recent::new();
        let pieces =
            ["", "zqxj", " zqxjkvbp", "zqxjkvbpwmtr", "  \u{2500}\u{2500}x", "qqqqqqqqqqqqqqqqqqqqqqqq"];
        for piece in pieces.into_iter().cycle().take(40) {
            assert_eq!(
                O200K.count(piece.as_bytes(), &mut recent),
                O200K.merges.count(piece.as_bytes()),
                "{piece}"
            );
        }
        // More than are remembered, and some that share a place.
        let names: Vec<String> = (0..2000).map(|n| format!("zq{n}xjkv")).collect();
        for name in names.iter().chain(&names) {
            assert_eq!(
                O200K.count(name.as_bytes(), &mut recent),
                O200K.merges.count(name.as_bytes()),
                "{name}"
            );
        }
    }
}
