//! Which pieces of an original answer a query.

use std::collections::HashMap;

use memchr::memmem;

use super::units::Piece;
use crate::rank::{Bm25, Query, terms};

/// Words that say nothing about what is looked for.
const STOP: &[&str] = &[
    "a", "about", "all", "an", "and", "any", "are", "as", "at", "be", "by", "can", "could", "did", "do",
    "does", "find", "for", "from", "give", "had", "has", "have", "how", "i", "in", "into", "is", "it", "its",
    "list", "me", "of", "on", "or", "please", "s", "seen", "show", "tell", "that", "the", "there", "this",
    "those", "to", "up", "was", "were", "what", "when", "where", "which", "who", "why", "will", "with",
    "you",
];

/// What a query may be after besides its own words.
#[derive(Clone, Copy, PartialEq)]
enum Cue {
    Trouble,
    Odd,
    Start,
    End,
    Files,
    Added,
    Removed,
    Definition,
}

/// Stems of query words, and what they hint at.
const CUES: &[(&str, Cue)] = &[
    ("error", Cue::Trouble),
    ("wrong", Cue::Trouble),
    ("fail", Cue::Trouble),
    ("problem", Cue::Trouble),
    ("exception", Cue::Trouble),
    ("assert", Cue::Trouble),
    ("crash", Cue::Trouble),
    ("warn", Cue::Trouble),
    ("fatal", Cue::Trouble),
    ("panic", Cue::Trouble),
    ("traceback", Cue::Trouble),
    ("broke", Cue::Trouble),
    ("issue", Cue::Trouble),
    ("unusual", Cue::Odd),
    ("odd", Cue::Odd),
    ("outlier", Cue::Odd),
    ("anomal", Cue::Odd),
    ("rare", Cue::Odd),
    ("once", Cue::Odd),
    ("range", Cue::Odd),
    ("unexpected", Cue::Odd),
    ("first", Cue::Start),
    ("begin", Cue::Start),
    ("start", Cue::Start),
    ("document", Cue::Start),
    ("title", Cue::Start),
    ("created", Cue::Start),
    ("overview", Cue::Start),
    ("summar", Cue::Start),
    ("summar", Cue::End),
    ("end", Cue::End),
    ("last", Cue::End),
    ("result", Cue::End),
    ("final", Cue::End),
    ("finish", Cue::End),
    ("total", Cue::End),
    ("touch", Cue::Files),
    ("file", Cue::Files),
    ("rename", Cue::Files),
    ("binary", Cue::Files),
    ("changed", Cue::Files),
    ("added", Cue::Added),
    ("insert", Cue::Added),
    ("new", Cue::Added),
    ("removed", Cue::Removed),
    ("delete", Cue::Removed),
    ("signature", Cue::Definition),
    ("defin", Cue::Definition),
    ("declar", Cue::Definition),
    ("implement", Cue::Definition),
];

/// What lines about trouble hold, lower case, and how much that says.
const TROUBLE: &[(&str, f32)] = &[
    ("error", 3.0),
    ("fail", 3.0),
    ("exception", 3.0),
    ("fatal", 3.0),
    ("panic", 3.0),
    ("traceback", 2.0),
    ("critical", 3.0),
    ("severe", 2.0),
    ("abort", 2.0),
    ("cannot", 1.5),
    ("can't", 1.5),
    ("unable", 1.5),
    ("not found", 1.5),
    ("denied", 1.5),
    ("refused", 1.5),
    ("timed out", 1.5),
    ("warn", 1.5),
    ("reject", 1.5),
    ("invalid", 1.0),
];

const DEFINITIONS: &[&str] = &[
    "def",
    "class",
    "fn",
    "func",
    "function",
    "struct",
    "enum",
    "trait",
    "interface",
    "type",
    "impl",
    "const",
    "static",
    "export",
    "public",
    "private",
    "protected",
    "async",
    "let",
    "var",
    "#define",
    "typedef",
    "template",
];

/// A score for every piece; 0 for those that do not answer `query`.
pub(super) fn scores(text: &str, pieces: &[Piece], query: &str) -> Vec<f32> {
    let words = words(query);
    let cues: Vec<Cue> = {
        let mut cues = Vec::new();
        for word in &words {
            for (stem, cue) in CUES {
                if word.starts_with(stem) && !cues.contains(cue) {
                    cues.push(*cue);
                }
            }
        }
        cues
    };
    let has = |cue| cues.contains(&cue);
    let bm25 = Bm25::new(
        &Query::new([words.join(" ").as_str()]),
        pieces.iter().map(|piece| &text[piece.span.clone()]),
    );
    let mut scores = bm25.scores().to_vec();
    let lower = text.to_ascii_lowercase();
    substrings(&lower, pieces, query, &words, &mut scores);
    let templates = has(Cue::Trouble) || has(Cue::Odd);
    let counts = if templates { template_counts(text, pieces) } else { HashMap::new() };
    let total = pieces.len() as f32;
    let mut first_trouble = 0usize;
    for (at, piece) in pieces.iter().enumerate() {
        let line = &lower[piece.span.clone()];
        let score = &mut scores[at];
        let rarity = || {
            let count = counts.get(&template(&text[piece.span.clone()])).copied().unwrap_or(1);
            (1.0 + total / count as f32).ln() / (1.0 + total).ln().max(1.0)
        };
        if has(Cue::Trouble) || has(Cue::Odd) {
            let trouble = TROUBLE
                .iter()
                .filter(|(stem, _)| line.contains(stem))
                .map(|(_, weight)| *weight)
                .fold(0.0, f32::max);
            if trouble > 0.0 {
                *score += trouble * (0.5 + 2.0 * rarity());
                if has(Cue::Start) && trouble > 1.0 {
                    *score += 8.0 / (1.0 + first_trouble as f32 / 4.0);
                    first_trouble += 1;
                }
            } else if has(Cue::Odd) {
                *score += rarity();
            }
        }
        if has(Cue::Start) && at < 12 {
            *score += 4.0 - at as f32 / 4.0;
        }
        if has(Cue::End) && at + 12 >= pieces.len() {
            *score += 4.0 - (pieces.len() - 1 - at) as f32 / 4.0;
        }
        if has(Cue::Files)
            && ["diff --git", "rename ", "binary files", "+++ ", "--- "].iter().any(|p| line.starts_with(p))
        {
            *score += 6.0;
        }
        if *score > 0.0 && has(Cue::Definition) {
            let word = line.trim_start().split(|c: char| c.is_whitespace() || c == '(').next().unwrap_or("");
            if DEFINITIONS.contains(&word) {
                *score *= 2.0;
            }
        }
    }
    scores
}

/// The query's words that say something; all of them if none does.
fn words(query: &str) -> Vec<String> {
    let mut all = Vec::new();
    terms(query, &mut |term| all.push(term.to_owned()));
    let telling: Vec<String> =
        all.iter().filter(|word| STOP.binary_search(&word.as_str()).is_err()).cloned().collect();
    let mut words = if telling.is_empty() { all } else { telling };
    words.truncate(64);
    // A plural also asks for the singular.
    for at in 0..words.len() {
        if let Some(one) = words[at].strip_suffix('s').filter(|one| one.len() > 3) {
            words.push(one.to_owned());
        }
    }
    words
}

/// Adds what stands inside of words: the query as a whole, parts of identifiers, pairs of
/// characters of scripts without spaces.
fn substrings(lower: &str, pieces: &[Piece], query: &str, words: &[String], scores: &mut [f32]) {
    let phrase = query.trim().to_ascii_lowercase();
    let mut needles: Vec<(String, f32)> = vec![(phrase, 4.0)];
    for word in words {
        if word.is_ascii() {
            if word.len() >= 4 {
                needles.push((word.clone(), 0.5));
            }
            continue;
        }
        let chars: Vec<char> = word.chars().collect();
        needles.extend(chars.windows(2).take(32).map(|pair| (pair.iter().collect(), 0.5)));
    }
    needles.truncate(96);
    let total = pieces.len() as f32;
    for (needle, weight) in needles {
        if needle.is_empty() {
            continue;
        }
        let mut hits: Vec<usize> = Vec::new();
        let mut piece = 0;
        for at in memmem::find_iter(lower.as_bytes(), needle.as_bytes()) {
            while piece < pieces.len() && pieces[piece].span.end <= at {
                piece += 1;
            }
            if piece < pieces.len() && pieces[piece].span.start <= at && hits.last() != Some(&piece) {
                hits.push(piece);
            }
        }
        let idf = (1.0 + total / (1.0 + hits.len() as f32)).ln();
        for hit in hits {
            scores[hit] += weight * idf;
        }
    }
}

/// A hash of a piece in which all numbers look alike: one value for lines of one template.
pub(super) fn template(text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut digit = false;
    for byte in text.bytes().take(160) {
        let is_digit = byte.is_ascii_digit();
        if !(is_digit && digit) {
            let byte = if is_digit { b'0' } else { byte };
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        digit = is_digit;
    }
    hash
}

fn template_counts(text: &str, pieces: &[Piece]) -> HashMap<u64, u32> {
    let mut counts = HashMap::new();
    for piece in pieces {
        *counts.entry(template(&text[piece.span.clone()])).or_insert(0) += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stop_words_are_sorted() {
        assert!(STOP.is_sorted());
    }

    #[test]
    fn templates_ignore_numbers() {
        assert_eq!(template("took 12 ms"), template("took 345 ms"));
        assert_ne!(template("took 12 ms"), template("took 12 s"));
    }
}
