//! What a query is after.

use crate::rank::terms;

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
pub(super) enum Cue {
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
pub(super) const TROUBLE: &[(&str, f32)] = &[
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
    ("abnormal", 1.0),
    ("unexpected", 1.0),
    ("unusual", 1.0),
    ("exceed", 1.0),
    ("mismatch", 1.0),
    ("conflict", 1.0),
    ("corrupt", 1.5),
];

/// Whether what `query` looks for are single pieces, whose surroundings say little.
pub(super) fn wants_alone(query: &str) -> bool {
    cues(query).iter().any(|cue| matches!(cue, Cue::Odd | Cue::Added | Cue::Removed))
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

/// What `query` hints at.
pub(super) fn cues(query: &str) -> Vec<Cue> {
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
pub(super) fn words(query: &str) -> Vec<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stop_words_are_sorted() {
        assert!(STOP.is_sorted());
    }

    #[test]
    fn cues_are_forms_of_stems() {
        assert!(cues("which failures").contains(&Cue::Trouble));
        assert!(cues("issue120").is_empty());
        assert_eq!(words("Where are the parse_errors?")[0], "parse_errors");
        assert_eq!(words("the"), ["the"]);
    }
}
