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

impl Pieces {
    /// The tokens of one piece. A piece that is a token is that token.
    pub(super) fn count(&self, piece: &[u8]) -> usize {
        let is_token = match piece.len() {
            0..=7 => self.short.has(pack_short(piece)),
            8..=15 => self.long.has(pack_long(piece)),
            _ => false,
        };
        if is_token { 1 } else { self.merges.count(piece) }
    }
}

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
        // Fibonacci hashing (Knuth, TAOCP 3, 6.4).
        let mut at = (word.fold().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize;
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
            assert_eq!(O200K.count(bytes), merges.count(bytes), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_token_is_merged() {
        for piece in
            ["", "zqxj", " zqxjkvbp", "zqxjkvbpwmtr", "  \u{2500}\u{2500}x", "qqqqqqqqqqqqqqqqqqqqqqqq"]
        {
            assert_eq!(O200K.count(piece.as_bytes()), O200K.merges.count(piece.as_bytes()), "{piece}");
        }
    }
}
