//! Which pieces of an original answer a query.

use std::{collections::HashMap, ops::Range};

use memchr::memmem;

use super::units::{Piece, children, floor, value_of};
use crate::rank::{Bm25, Query, terms};

/// Words that say nothing about what is looked for.
const STOP: &[&str] = &[
    "a", "about", "all", "an", "and", "any", "are", "as", "at", "be", "by", "can", "could", "details", "did",
    "do", "does", "entries", "entry", "event", "events", "find", "first", "for", "from", "give", "had",
    "has", "have", "hold", "how", "i", "in", "into", "is", "it", "its", "last", "line", "lines", "list",
    "log", "logs", "me", "of", "on", "or", "please", "s", "seen", "show", "tell", "that", "the", "there",
    "this", "those", "to", "up", "was", "went", "were", "what", "when", "where", "which", "who", "why",
    "will", "with", "you",
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
    ("fault", 1.5),
    ("segmentation", 2.0),
    ("undefined", 1.0),
    ("unknown", 1.0),
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

/// Prefers items in which the value of a field that the query names is rare, or far out.
fn odd_values(lower: &str, pieces: &[Piece], words: &[String], scores: &mut [f32]) {
    for word in words {
        let mut found: Vec<(usize, &str)> = Vec::new();
        let mut piece = 0;
        let key = format!("\"{word}\"");
        for at in memmem::find_iter(lower.as_bytes(), key.as_bytes()) {
            while piece < pieces.len() && pieces[piece].span.end <= at {
                piece += 1;
            }
            let rest = lower[at + key.len()..].trim_start();
            if let Some(rest) = rest.strip_prefix(':').filter(|_| piece < pieces.len()) {
                // A longer value is no category, and a bound keeps the whole linear.
                let rest = &rest[..floor(rest, 200)];
                let end = rest.find([',', '}', ']', '\n']).unwrap_or(rest.len());
                found.push((piece, rest[..end].trim()));
            }
        }
        let mut numbers: Vec<f64> = found.iter().filter_map(|(_, value)| value.parse().ok()).collect();
        if found.len() < 8 {
            continue;
        }
        if numbers.len() * 2 > found.len() {
            numbers.sort_by(f64::total_cmp);
            let median = numbers[numbers.len() / 2];
            let mut far: Vec<f64> = numbers.iter().map(|number| (number - median).abs()).collect();
            far.sort_by(f64::total_cmp);
            let spread = far[far.len() / 2].max(f64::MIN_POSITIVE);
            let most = (far[far.len() - 1] / spread).max(1.0);
            for (piece, value) in &found {
                if let Ok(number) = value.parse::<f64>() {
                    scores[*piece] += (20.0 * (number - median).abs() / spread / most) as f32;
                }
            }
        } else {
            let mut counts: HashMap<&str, u32> = HashMap::new();
            for (_, value) in &found {
                *counts.entry(value).or_insert(0) += 1;
            }
            for (piece, value) in &found {
                let count = counts.get(value).copied().unwrap_or(1) as f32;
                scores[*piece] += 10.0 * (1.0 - count / found.len() as f32).powi(8) / count.sqrt();
            }
        }
    }
}

/// Prefers what a path like `$.items[3].name` leads to, its first and last children most.
fn path_target(text: &str, pieces: &[Piece], path: &str, scores: &mut [f32]) {
    let mut span = 0..text.len();
    let steps = path.trim_start_matches('$').trim_end_matches(['?', ',', '.', ';', ':']);
    for step in steps.split(['.', '[', ']']).filter(|step| !step.is_empty()).take(32) {
        let Some(inner) = children(text, value_of(text, span.clone())) else { return };
        let found = match step.parse::<usize>() {
            Ok(at) => inner.get(at).cloned(),
            Err(_) => inner.into_iter().find(|child| {
                let child = &text[child.clone()];
                child
                    .strip_prefix('"')
                    .and_then(|rest| rest.strip_prefix(step))
                    .is_some_and(|rest| rest.starts_with('"'))
            }),
        };
        let Some(found) = found else { return };
        span = found;
    }
    let inner = children(text, value_of(text, span.clone())).unwrap_or_default();
    let edges = inner.iter().take(2).chain(inner.iter().rev().take(2));
    let mut prefer = |span: &Range<usize>, weight: f32| {
        let from = pieces.partition_point(|piece| piece.span.end <= span.start);
        for (score, piece) in scores.iter_mut().zip(pieces).skip(from) {
            if piece.span.start >= span.end {
                break;
            }
            *score += weight;
        }
    };
    prefer(&span, 3.0);
    for (at, edge) in edges.enumerate() {
        prefer(edge, if at % 2 == 0 { 40.0 } else { 20.0 });
    }
}

/// Whether what `query` looks for is single odd pieces, whose surroundings say little.
pub(super) fn wants_odd(query: &str) -> bool {
    cues(query).contains(&Cue::Odd)
}

/// Whether the order is by what is worth seeing, not by the query's words: then lines of one
/// template say the same.
pub(super) fn wants_variety(query: &str) -> bool {
    let cues = cues(query);
    cues.contains(&Cue::Odd) || cues.contains(&Cue::Trouble)
}

/// Whether `word` is `stem` with an ending: "failures", not "issue120".
fn is_form(word: &str, stem: &str) -> bool {
    word.strip_prefix(stem)
        .is_some_and(|end| end.len() <= 5 && end.bytes().all(|byte| byte.is_ascii_lowercase()))
}

fn cues(query: &str) -> Vec<Cue> {
    let mut cues = Vec::new();
    terms(query, &mut |word| {
        for (stem, cue) in CUES {
            if is_form(word, stem) && !cues.contains(cue) {
                cues.push(*cue);
            }
        }
    });
    cues
}

/// The query's words that say something; all of them if neither a word nor a cue does.
fn words(query: &str) -> Vec<String> {
    let mut all = Vec::new();
    terms(query, &mut |term| all.push(term.to_owned()));
    let tells = |word: &&String| {
        STOP.binary_search(&word.as_str()).is_err()
            && !CUES.iter().any(|(stem, cue)| *cue == Cue::Odd && is_form(word, stem))
    };
    let telling: Vec<String> = all.iter().filter(tells).cloned().collect();
    let mut words = if telling.is_empty() && cues(query).is_empty() { all } else { telling };
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
    fn the_stop_words_are_sorted() {
        assert!(STOP.is_sorted());
    }

    #[test]
    fn templates_ignore_numbers() {
        assert_eq!(template("took 12 ms"), template("took 345 ms"));
        assert_ne!(template("took 12 ms"), template("took 12 s"));
    }
}
