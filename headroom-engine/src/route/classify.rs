//! The trained classifier: a linear model over hashed byte n-grams and line shapes.
//!
//! It was trained on what tools returned in recorded agent sessions, labelled by the calls that
//! produced it, and on files of known kinds; `headroom-bench train` makes the weights anew. It sees a
//! bounded part of a text, and decides in integers, so that every machine decides alike.

/// The kinds it tells apart, in the order of their weights.
pub const KINDS: [&str; 8] = ["code", "diff", "html", "json", "log", "prose", "search", "table"];
/// Places that features are hashed to.
pub const BUCKETS: usize = 1 << 13;
/// Bytes of the weights: a bias each, then a weight of each kind for each bucket.
pub const SIZE: usize = KINDS.len() * (4 + BUCKETS);

/// Biases (`i32`, little-endian) and weights (`i8`), as `headroom-bench train` writes them.
static WEIGHTS: &[u8; SIZE] = include_bytes!("weights.bin");

/// What is read of a text: its head, and as much from its middle and its end.
const HEAD: usize = 4 << 10;
const PROBE: usize = 2 << 10;
/// How far ahead the best must be.
pub const SURE: i64 = 2 << FRACTION;
/// Bits of the fraction that the mean weight is counted with.
const FRACTION: u32 = 8;

/// How well each of [`KINDS`] fits a text: mean weight of its features in 1/256, and the bias.
#[must_use]
pub fn scores(text: &str) -> [i64; KINDS.len()] {
    scores_with(WEIGHTS, text)
}

/// [`scores`] by other weights.
#[must_use]
pub fn scores_with(weights: &[u8; SIZE], text: &str) -> [i64; KINDS.len()] {
    let (biases, weights) = weights.split_at(4 * KINDS.len());
    let mut sums = [0i64; KINDS.len()];
    let features = features(text);
    for bucket in &features {
        let row = &weights[usize::from(*bucket) * KINDS.len()..][..KINDS.len()];
        for (sum, weight) in sums.iter_mut().zip(row) {
            *sum += i64::from(weight.cast_signed());
        }
    }
    let count = (features.len() as i64).max(1);
    for (sum, bias) in sums.iter_mut().zip(biases.chunks_exact(4)) {
        let bias = i32::from_le_bytes([bias[0], bias[1], bias[2], bias[3]]);
        *sum = (*sum << FRACTION) / count + i64::from(bias);
    }
    sums
}

/// The kind of `text` if it is clear; where the call says so too, if it is the best.
#[must_use]
pub fn guess(text: &str, said: Option<&str>) -> Option<&'static str> {
    let (kind, ahead) = best(&scores(text));
    (ahead >= SURE || said == Some(kind)).then_some(kind)
}

/// The best kind, and how far it is ahead of the next.
#[must_use]
pub fn best(scores: &[i64; KINDS.len()]) -> (&'static str, i64) {
    let mut best = 0;
    for at in 1..KINDS.len() {
        if scores[at] > scores[best] {
            best = at;
        }
    }
    let next = (0..KINDS.len()).filter(|at| *at != best).map(|at| scores[at]).max().unwrap_or_default();
    (KINDS[best], scores[best] - next)
}

/// The buckets of a text's features, each once, in order: byte 4-grams with digits and runs of blanks
/// folded, and the shapes of lines.
#[must_use]
pub fn features(text: &str) -> Vec<u16> {
    let mut seen = Seen([0; BUCKETS / 64]);
    let bytes = text.as_bytes();
    if bytes.len() <= HEAD + 2 * PROBE {
        seen.read(bytes);
    } else {
        let middle = bytes.len() / 2;
        seen.read(&bytes[..HEAD]);
        seen.read(&bytes[middle..middle + PROBE]);
        seen.read(&bytes[bytes.len() - PROBE..]);
    }
    seen.list()
}

struct Seen([u64; BUCKETS / 64]);

impl Seen {
    fn read(&mut self, bytes: &[u8]) {
        for line in bytes.split(|byte| *byte == b'\n') {
            self.shape(line);
            self.grams(line);
        }
    }

    fn grams(&mut self, line: &[u8]) {
        let mut window = u32::from(b'\n');
        let mut last = b'\n';
        for byte in line.iter().take(200).map(|byte| fold(*byte)) {
            if matches!(byte, b'0' | b' ') && byte == last {
                continue;
            }
            last = byte;
            window = window << 8 | u32::from(byte);
            self.add(1, window);
            self.add(2, window & 0xFF_FFFF);
        }
    }

    /// The first characters of a line as classes, its last character, and its length in steps.
    fn shape(&mut self, line: &[u8]) {
        let line = line.trim_ascii_end();
        let (mut shape, mut last, mut classes) = (0u32, 0, 0);
        for class in line.iter().map(|byte| class(*byte)) {
            if class == last && class < 4 {
                continue;
            }
            last = class;
            shape = shape.wrapping_mul(31).wrapping_add(u32::from(class));
            classes += 1;
            if classes == 4 || classes == 7 {
                self.add(3, shape);
            }
            if classes == 7 {
                break;
            }
        }
        let steps = usize::BITS - line.len().leading_zeros();
        let end = line.last().map_or(0, |byte| fold(*byte));
        self.add(4, u32::from(end) << 8 | steps);
        let indent = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        self.add(
            5,
            (indent.min(12) as u32) << 8 | u32::from(line.get(indent).map_or(0, |byte| class(*byte))),
        );
    }

    fn add(&mut self, family: u32, value: u32) {
        // Knuth's multiplicative hash.
        let hash = (value ^ family.wrapping_mul(0x85EB_CA6B)).wrapping_mul(2_654_435_761);
        let bucket = (hash >> (32 - BUCKETS.ilog2())) as usize;
        self.0[bucket / 64] |= 1 << (bucket % 64);
    }

    fn list(&self) -> Vec<u16> {
        let mut list = Vec::new();
        for (at, word) in self.0.iter().enumerate() {
            let mut word = *word;
            while word != 0 {
                list.push((at * 64) as u16 + word.trailing_zeros() as u16);
                word &= word - 1;
            }
        }
        list
    }
}

fn fold(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => b'0',
        b'\t' => b' ',
        0x80.. => 0x80,
        byte => byte.to_ascii_lowercase(),
    }
}

/// Blank, digit, letters, other bytes beyond ASCII, or the sign itself.
fn class(byte: u8) -> u8 {
    match byte {
        b' ' | b'\t' => 0,
        b'0'..=b'9' => 1,
        b'a'..=b'z' | b'A'..=b'Z' | b'_' => 2,
        0x80.. => 3,
        sign => sign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_few_sorted_and_bounded() {
        let long = "2024-01-01 10:00:00 INFO worker 1 started é\n".repeat(50_000);
        let features = features(&long);
        assert!(features.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(!features.is_empty() && features.len() < 600, "{}", features.len());
        assert!(super::features("").len() < 4);
    }

    #[test]
    fn clear_texts_are_told_apart() {
        let code = "    def run(self, value):\n        if value is None:\n            return self.items[0]\n        for item in self.items:\n            item.close()\n".repeat(8);
        let prose = "It is said that the river rose twice in that year. The people who lived on its banks moved\ntheir houses up the hill, and came back in the spring. Nobody knows how many they were.\n".repeat(6);
        assert_eq!(best(&scores(&code)).0, "code");
        assert_eq!(best(&scores(&prose)).0, "prose");
    }
}
