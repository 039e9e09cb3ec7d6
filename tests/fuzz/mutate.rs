//! A seeded mutator: the same seed, the same inputs.

/// Changes inputs at random.
#[derive(Clone, Debug)]
pub struct Mutator(u64);

/// What parsers look for.
const WORDS: [&[u8]; 40] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b":",
    b",",
    b"\n",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"data: ",
    b"event: ",
    b"data:[DONE]\n\n",
    b"null",
    b"true",
    b"0",
    b"-1e999",
    b"18446744073709551616",
    b"[~",
    b"[~lines 1-2 #",
    b"#",
    b"#123456789012345678901234567890",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\0",
    b"\xe2\x80\xa8",
    b"retrieve_original_content",
    b"tool_use",
    b"index",
    b"output_index",
    b"sequence_number",
    b"error",
    b"<",
    b"@@",
    b"\t",
    b"\xf0\x9f\xa6\x80",
];

impl Mutator {
    /// Starts at `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 for 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % (end.max(1) as u64)).unwrap_or_default()
    }

    /// A changed copy of one of `corpus`, at most `most` bytes.
    #[must_use]
    pub fn input(&mut self, corpus: &[Vec<u8>], most: usize) -> Vec<u8> {
        let at = self.below(corpus.len());
        let mut data = corpus.get(at).cloned().unwrap_or_default();
        // Mostly few changes, so that inputs stay near what is valid.
        for _ in 0..1 << self.below(5) {
            self.change(&mut data, corpus);
        }
        data.truncate(most);
        data
    }

    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length + 1);
        let most = 1 << self.below(9);
        start..start + self.below((length - start).min(most) + 1)
    }

    fn change(&mut self, data: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let range = self.range(data.len());
        match self.below(8) {
            0 => {
                if let Some(byte) = data.get_mut(range.start) {
                    *byte ^= 1 << self.below(8);
                }
            }
            1 => {
                if let Some(byte) = data.get_mut(range.start) {
                    *byte = u8::try_from(self.below(256)).unwrap_or_default();
                }
            }
            2 => drop(data.drain(range)),
            3 => {
                let copy = data[range.clone()].to_vec();
                data.splice(range.end..range.end, copy);
            }
            4 | 5 => {
                let word = WORDS[self.below(WORDS.len())];
                let end = if self.below(2) == 0 { range.start } else { range.end };
                data.splice(range.start..end, word.iter().copied());
            }
            6 => {
                let other = &corpus[self.below(corpus.len())];
                let part = self.range(other.len());
                data.splice(range, other[part].iter().copied());
            }
            _ => {
                let moved: Vec<u8> = data.drain(range).collect();
                let to = self.below(data.len() + 1);
                data.splice(to..to, moved);
            }
        }
    }
}
