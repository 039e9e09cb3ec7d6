//! The words of a text, hashed, and what some of them say.

use super::super::hash::mix;

/// What a word is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sense {
    /// It says little by itself.
    Stop,
    /// `not`, `never`, `except`.
    Negation,
    /// `must`, `shall`, `required`.
    Duty,
    /// A number, or a word with digits in it.
    Number,
    /// A capital not at the start of a sentence.
    Name,
    Plain,
}

const NEGATIONS: &[&str] = &[
    "not", "no", "never", "none", "nor", "without", "except", "unless", "cannot", "don", "doesn", "didn",
    "isn", "aren", "wasn", "weren", "won", "wouldn", "shouldn", "couldn", "mustn", "nicht", "kein", "keine",
    "nie", "ne", "pas", "jamais", "nunca", "sin", "excepto", "senza", "mai",
];

const DUTIES: &[&str] = &[
    "must",
    "shall",
    "should",
    "required",
    "requires",
    "require",
    "only",
    "always",
    "mandatory",
    "forbidden",
    "prohibited",
    "deprecated",
    "removed",
    "breaking",
    "warning",
    "important",
    "caution",
    "error",
    "errors",
    "fail",
    "fails",
    "failed",
    "failure",
    "raises",
    "exception",
    "muss",
    "soll",
    "doit",
    "debe",
    "deve",
];

const STOPS: &[&str] = &[
    "a", "an", "the", "of", "to", "in", "on", "at", "by", "for", "with", "from", "as", "is", "are", "was",
    "were", "be", "been", "being", "it", "its", "this", "that", "these", "those", "and", "or", "but", "if",
    "then", "than", "so", "such", "which", "who", "whom", "whose", "what", "when", "where", "why", "how",
    "i", "you", "he", "she", "we", "they", "them", "his", "her", "their", "our", "your", "my", "me", "him",
    "us", "has", "have", "had", "do", "does", "did", "can", "could", "will", "would", "may", "might",
    "there", "here", "into", "about", "over", "after", "before", "also", "more", "most", "some", "any",
    "all", "other", "der", "die", "das", "und", "ist", "ein", "eine", "mit", "von", "den", "dem", "im", "zu",
    "auf", "le", "la", "les", "des", "et", "un", "une", "est", "dans", "que", "qui", "pour", "el", "los",
    "las", "y", "en", "es", "una", "con", "por", "para", "il", "di", "che", "per", "non", "sono", "de",
    "het", "een", "van", "o", "os", "e", "do", "da", "em", "um", "uma", "com", "och", "att", "som", "det",
    "ett", "i", "w", "na", "nie", "jest", "si", "sa",
];

/// The longest word in the lists, in bytes.
const LONGEST: usize = 16;

/// The lists as a hash table with open addressing, made once, by the compiler.
static TABLE: [(u128, Sense); SLOTS] = {
    let mut table = [(0, Sense::Plain); SLOTS];
    let lists = [(STOPS, Sense::Stop), (NEGATIONS, Sense::Negation), (DUTIES, Sense::Duty)];
    let mut list = 0;
    while list < lists.len() {
        let mut at = 0;
        while at < lists[list].0.len() {
            let word = pack(lists[list].0[at].as_bytes());
            let mut slot = slot(word);
            while table[slot].0 != 0 && table[slot].0 != word {
                slot = (slot + 1) % SLOTS;
            }
            table[slot] = (word, lists[list].1);
            at += 1;
        }
        list += 1;
    }
    table
};
const SLOTS: usize = 1024;

/// The bytes of a word of letters, capitals aside, as one number.
const fn pack(word: &[u8]) -> u128 {
    let mut packed = 0;
    let mut at = 0;
    while at < word.len() && at < LONGEST {
        packed = packed << 8 | (word[at] | 0x20) as u128;
        at += 1;
    }
    packed
}

const fn slot(word: u128) -> usize {
    (hash(word) >> 54) as usize
}

const fn hash(word: u128) -> u64 {
    let mixed = (word as u64 ^ ((word >> 64) as u64).rotate_left(23)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

/// Calls `each` with the hash and the sense of every word of `text`, capitals aside; of scripts that
/// do not part words, with every pair of neighbours.
pub(super) fn words(text: &str, mut each: impl FnMut(u64, Sense)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut first = true;
    while at < bytes.len() {
        if !(bytes[at].is_ascii_alphanumeric() || bytes[at] >= 0x80) {
            at += 1;
            continue;
        }
        let start = at;
        let (mut packed, mut digit, mut wide) = (0u128, false, false);
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'0'..=b'9' => digit = true,
                b'a'..=b'z' | b'A'..=b'Z' => {}
                0x80.. => wide |= *byte >= 0xe2,
                _ => break,
            }
            // Of a long word the last letters tell, and its length.
            packed = packed << 8 | u128::from(byte | 0x20);
            at += 1;
        }
        if wide {
            pairs(&text[start..at], &mut each);
            first = false;
            continue;
        }
        let word = &bytes[start..at];
        let sense = if digit {
            Sense::Number
        } else {
            match sense(word.len(), packed) {
                Sense::Plain if !first && word[0].is_ascii_uppercase() && word.len() > 1 => Sense::Name,
                sense => sense,
            }
        };
        each(hash(packed) ^ word.len() as u64, sense);
        first = false;
    }
}

fn pairs(text: &str, each: &mut impl FnMut(u64, Sense)) {
    let mut before = None;
    for char in text.chars() {
        let is_word = char.is_alphanumeric();
        let sense = match char {
            '不' | '没' | '無' | '无' | '非' | '未' | '勿' => Sense::Negation,
            '必' | '须' | '須' => Sense::Duty,
            _ => Sense::Plain,
        };
        if let Some(before) = before.filter(|_| is_word) {
            let hash = mix(u64::from(before), u64::from(u32::from(char)));
            each(hash ^ (hash >> 31), sense);
        }
        before = is_word.then(|| u32::from(char));
    }
}

/// What the lists say of a word of letters.
fn sense(length: usize, word: u128) -> Sense {
    if length > LONGEST {
        return Sense::Plain;
    }
    let mut slot = slot(word);
    while TABLE[slot].0 != 0 {
        if TABLE[slot].0 == word {
            return TABLE[slot].1;
        }
        slot = (slot + 1) % SLOTS;
    }
    Sense::Plain
}
