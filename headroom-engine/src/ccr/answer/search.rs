//! Which pieces of an original answer a query.

use std::collections::HashMap;

use memchr::memmem;

use super::{
    cues::{Cue, TROUBLE, cues, words},
    json::{odd_values, path_target},
    units::Piece,
};
use crate::rank::{Bm25, Query};

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
    let cues = cues(query);
    let words = words(query);
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
    let count = |at: usize| {
        let piece = &text[pieces[at].span.clone()];
        counts.get(&template(piece)).copied().unwrap_or(1) as f32
    };
    let mut first_trouble = 0usize;
    for (at, piece) in pieces.iter().enumerate() {
        let line = &lower[piece.span.clone()];
        let score = &mut scores[at];
        if has(Cue::Trouble) || has(Cue::Odd) {
            let trouble = TROUBLE
                .iter()
                .filter(|(stem, _)| line.contains(stem))
                .map(|(_, weight)| *weight)
                .fold(0.0, f32::max);
            let source = &text[piece.span.clone()];
            let level = ["FATAL", "ERROR", "CRITICAL", "SEVERE"].iter().any(|level| source.contains(level));
            let trouble = if level { trouble * 1.5 } else { trouble };
            if has(Cue::Odd) {
                // Short ones first: more of them fit.
                *score += 2.0 * (1.0 + trouble) / count(at) / (1.0 + line.len() as f32 / 200.0);
            } else if trouble > 0.0 {
                let rarity = (1.0 + total / count(at)).ln() / (1.0 + total).ln().max(1.0);
                *score += trouble * (0.5 + 2.0 * rarity);
            }
            if has(Cue::Start) && trouble > 1.0 {
                *score += 8.0 / (1.0 + first_trouble as f32 / 4.0);
                first_trouble += 1;
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
    sections(&lower, pieces, &cues, &mut scores);
    if text.trim_start().starts_with(['[', '{']) {
        if has(Cue::Odd) {
            odd_values(&lower, pieces, &words, &mut scores);
        }
        if let Some(path) = query.split_whitespace().find(|word| word.starts_with('$')) {
            path_target(text, pieces, path, &mut scores);
        }
    }
    scores
}

/// Lines of a file's part of a diff inherit from its header, lines below a heading from the heading.
fn sections(lower: &str, pieces: &[Piece], cues: &[Cue], scores: &mut [f32]) {
    let (mut header, mut heading, mut since) = (0.0f32, 0.0f32, usize::MAX);
    let mut in_diff = false;
    for (piece, score) in pieces.iter().zip(scores) {
        let line = &lower[piece.span.clone()];
        since = since.saturating_add(1);
        if ["diff --git ", "--- ", "+++ ", "index: "].iter().any(|start| line.starts_with(start)) {
            // Several header lines stand together; any of them may hold the name.
            header = if since <= 6 { header.max(*score) } else { *score };
            *score *= 4.0; // what says which file it is comes before what changed there
            (since, in_diff) = (0, true);
        } else if in_diff {
            let added = line.starts_with('+') && cues.contains(&Cue::Added);
            let removed = line.starts_with('-') && cues.contains(&Cue::Removed);
            if added || removed {
                *score += header * 2.0;
            } else if line.starts_with("@@") {
                *score += header * 0.5;
            }
        } else if line.starts_with('#') {
            (heading, since) = (*score, 0);
        } else if since <= 40 {
            *score += heading * 0.3;
        }
    }
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

/// A hash of a piece in which all words with digits, and all paths from the root, look alike: one
/// value for lines of one template.
pub(super) fn template(text: &str) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325; // FNV-1a
    const PRIME: u64 = 0x0100_0000_01b3;
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    let (mut hash, mut before, mut varies, mut start) = (BASIS, BASIS, false, true);
    for byte in text.bytes().take(200) {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':' | b'/') || byte >= 0x80 {
            varies |= byte.is_ascii_digit() || (start && byte == b'/');
            start = false;
            hash = step(hash, byte);
        } else {
            before = step(if varies { step(before, b'0') } else { hash }, byte);
            (hash, varies, start) = (before, false, true);
        }
    }
    if varies { step(before, b'0') } else { hash }
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
    fn templates_ignore_numbers() {
        assert_eq!(template("took 12 ms"), template("took 345 ms"));
        assert_ne!(template("took 12 ms"), template("took 12 s"));
    }
}
