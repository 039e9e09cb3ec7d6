//! Tokens by their bytes: what a piece of a split text counts.

use std::{ops::Range, sync::LazyLock};

use bpe_openai::byte_pair_encoding::BytePairEncoding;

/// Short tokens by their bytes, before the general encoder is asked.
///
/// `bpe` sets up an encoder and walks an automaton of many megabytes for every piece, and most
/// pieces are one token anyhow; those that are several are short, and merged here by the definition.
pub(super) struct Pieces {
    /// Of at most 7 bytes: most pieces, in a table that stays in the cache.
    short: Ranks<u64>,
    /// Of 8 to 15 bytes.
    long: Ranks<u128>,
    merges: &'static BytePairEncoding,
}

pub(super) static O200K: LazyLock<Pieces> = LazyLock::new(|| {
    let merges = &bpe_openai::o200k_base().bpe;
    let tokens = || {
        (0..u32::try_from(merges.num_tokens()).unwrap_or(u32::MAX))
            .map(|token| (merges.token_bytes(token), token))
            .filter(|(bytes, _)| bytes.is_ascii() || bytes[0] == 0xe2 || bytes[0] == b' ')
    };
    let short = tokens()
        .filter(|(bytes, _)| bytes.len() <= 7)
        .map(|(bytes, rank)| (pack_short(bytes, &(0..bytes.len())), rank));
    let long = tokens().filter(|(bytes, _)| (8..=15).contains(&bytes.len()));
    let long = long.map(|(bytes, rank)| (pack_long(bytes, &(0..bytes.len())), rank));
    Pieces { short: Ranks::of(short.collect()), long: Ranks::of(long.collect()), merges }
});

/// Pieces that were merged lately, with their tokens: names occur again and again in one text.
pub(super) struct Recent<'t> {
    /// Of at most [`LONGEST`] bytes, in one word.
    short: [(u128, usize); RECENT],
    long: [(&'t [u8], usize); RECENT_LONG],
}

/// Powers of two.
const RECENT: usize = 256;
const RECENT_LONG: usize = 64;

impl Recent<'_> {
    pub(super) fn new() -> Self {
        Self { short: [(0, 0); RECENT], long: [(&[], 0); RECENT_LONG] }
    }
}

impl Pieces {
    /// The tokens of one piece of `text`. A piece that is a token is that token.
    #[inline]
    pub(super) fn count<'t>(&self, text: &'t [u8], piece: Range<usize>, recent: &mut Recent<'t>) -> usize {
        match piece.len() {
            0..=7 => {
                let word = pack_short(text, &piece);
                if self.short.has(word) { 1 } else { self.merge(text, piece, u128::from(word), recent) }
            }
            8..=LONGEST => {
                let word = pack_long(text, &piece);
                if self.long.has(word) { 1 } else { self.merge(text, piece, word, recent) }
            }
            length => {
                let piece = &text[piece];
                let ends =
                    pack_short(piece, &(0..7)) ^ pack_short(piece, &(length - 7..length)).rotate_left(29);
                let (known, tokens) = &mut recent.long[place(ends ^ length as u64, RECENT_LONG)];
                if *known != piece {
                    (*known, *tokens) = (piece, self.merges.count(piece));
                }
                *tokens
            }
        }
    }

    /// The tokens of a piece that may be several; `word` is the piece.
    fn merge(&self, text: &[u8], piece: Range<usize>, word: u128, recent: &mut Recent<'_>) -> usize {
        let (known, tokens) = &mut recent.short[place(word.fold(), RECENT)];
        if *known != word {
            let piece = &text[piece];
            let count = if piece.is_ascii() { self.merge_short(piece) } else { self.merges.count(piece) };
            (*known, *tokens) = (word, count);
        }
        *tokens
    }

    /// The tokens of at most [`LONGEST`] bytes of ASCII, by the definition (R. Sennrich et al., 2016):
    /// of all neighbours that are one token together, those of the least rank become it, the first
    /// of the same.
    fn merge_short(&self, piece: &[u8]) -> usize {
        let whole = pack_long(piece, &(0..piece.len()));
        // Where each part begins, and behind the last one; the rank of it with the next part.
        let mut starts = [0u8; LONGEST + 1];
        let mut ranks = [NO_RANK; LONGEST];
        let mut parts = piece.len();
        for at in 0..parts {
            starts[at + 1] = at as u8 + 1;
            if at + 1 < parts {
                ranks[at] = self.rank(whole, at as u8, at as u8 + 2);
            }
        }
        loop {
            let mut least = NO_RANK;
            let mut at = 0;
            for (other, rank) in ranks[..parts].iter().enumerate() {
                if *rank < least {
                    (least, at) = (*rank, other);
                }
            }
            if least == NO_RANK {
                return parts;
            }
            starts.copy_within(at + 2..=parts, at + 1);
            ranks.copy_within(at + 1..parts, at);
            parts -= 1;
            ranks[parts] = NO_RANK;
            if at + 1 < parts {
                ranks[at] = self.rank(whole, starts[at], starts[at + 2]);
            }
            if at > 0 {
                ranks[at - 1] = self.rank(whole, starts[at - 1], starts[at + 1]);
            }
        }
    }

    /// The rank of bytes `start` to `end` of a packed piece as a token.
    fn rank(&self, whole: u128, start: u8, end: u8) -> u32 {
        let length = u32::from(end - start);
        let bytes = (whole >> (8 * u32::from(start))) & ((1 << (8 * length)) - 1);
        match length {
            0..=7 => self.short.rank(bytes as u64 | (u64::from(length) << 56)),
            _ => self.long.rank(bytes | (u128::from(length) << 120)),
        }
    }
}

/// The most bytes of a piece in one word.
const LONGEST: usize = 15;

/// Of what is no token; tokens are fewer.
const NO_RANK: u32 = u32::MAX;

/// Fibonacci hashing (Knuth, TAOCP 3, 6.4).
const FIBONACCI: u64 = 0x9e37_79b9_7f4a_7c15;

/// Where a word is remembered among `places`, a power of two.
fn place(word: u64, places: usize) -> usize {
    (word.wrapping_mul(FIBONACCI) >> (64 - places.trailing_zeros())) as usize
}

/// At most 7 bytes of `text` and their number in one word; 0 for none.
#[inline]
fn pack_short(text: &[u8], piece: &Range<usize>) -> u64 {
    let length = piece.len();
    let word = match text[piece.start..].first_chunk() {
        Some(chunk) => u64::from_le_bytes(*chunk) & !(u64::MAX << (8 * length)),
        None => {
            let mut word = [0; 8];
            word[..length].copy_from_slice(&text[piece.clone()]);
            u64::from_le_bytes(word)
        }
    };
    word | ((length as u64) << 56)
}

/// At most 15 bytes of `text` and their number in one word; 0 for none.
#[inline]
fn pack_long(text: &[u8], piece: &Range<usize>) -> u128 {
    let length = piece.len();
    let word = match text[piece.start..].first_chunk() {
        Some(chunk) => u128::from_le_bytes(*chunk) & !(u128::MAX << (8 * length)),
        None => {
            let mut word = [0; 16];
            word[..length].copy_from_slice(&text[piece.clone()]);
            u128::from_le_bytes(word)
        }
    };
    word | ((length as u128) << 120)
}

/// The ranks of words other than 0, open-addressed, at most half full.
struct Ranks<W> {
    words: Vec<W>,
    /// Of the word in the same place: most words are only asked for.
    ranks: Vec<u32>,
    shift: u32,
}

/// What [`Ranks`] are of.
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

impl<W: Word> Ranks<W> {
    fn of(ranked: Vec<(W, u32)>) -> Self {
        let bits = (ranked.len() * 2).next_power_of_two().trailing_zeros();
        let (words, ranks) = (vec![W::default(); 1 << bits], vec![NO_RANK; 1 << bits]);
        let mut all = Self { words, ranks, shift: 64 - bits };
        for (word, rank) in ranked {
            let at = all.slot(word);
            all.words[at] = word;
            all.ranks[at] = rank;
        }
        all
    }

    fn has(&self, word: W) -> bool {
        self.words[self.slot(word)] != W::default()
    }

    /// [`NO_RANK`] of what is not there.
    fn rank(&self, word: W) -> u32 {
        self.ranks[self.slot(word)]
    }

    /// Where `word` is, or would be.
    fn slot(&self, word: W) -> usize {
        let mut at = (word.fold().wrapping_mul(FIBONACCI) >> self.shift) as usize;
        while self.words[at] != W::default() && self.words[at] != word {
            at = (at + 1) % self.words.len();
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count<'t>(piece: &'t [u8], recent: &mut Recent<'t>) -> usize {
        O200K.count(piece, 0..piece.len(), recent)
    }

    #[test]
    fn every_token_counts_one() {
        let merges = &bpe_openai::o200k_base().bpe;
        for token in 0..u32::try_from(merges.num_tokens()).unwrap() {
            let bytes = merges.token_bytes(token);
            assert_eq!(count(bytes, &mut Recent::new()), merges.count(bytes), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_token_is_merged_and_remembered() {
        let mut recent = Recent::new();
        let pieces =
            ["", "zqxj", " zqxjkvbp", "zqxjkvbpwmtr", "  \u{2500}\u{2500}x", "qqqqqqqqqqqqqqqqqqqqqqqq"];
        for piece in pieces.into_iter().cycle().take(40) {
            assert_eq!(count(piece.as_bytes(), &mut recent), O200K.merges.count(piece.as_bytes()), "{piece}");
        }
        // More than are remembered, and some that share a place.
        let names: Vec<String> = (0..2000).map(|n| format!("zq{n}xjkv")).collect();
        for name in names.iter().chain(&names) {
            assert_eq!(count(name.as_bytes(), &mut recent), O200K.merges.count(name.as_bytes()), "{name}");
        }
    }
}
