use std::{
    collections::HashSet,
    sync::{Arc, OnceLock},
};

use super::{Bm25Scorer, Relevance, Scorer, words};

/// What a block answers, as a set of terms: the causal query.
///
/// It is made only of what came before the block: the tool call's name and arguments, and the
/// user's text before it.
#[derive(Clone, Debug)]
pub struct Query {
    terms: HashSet<String>,
    /// Of a text that several queries end with.
    shared: Arc<Shared>,
    text: String,
    /// Where the text begins that is shared.
    own: usize,
    words: OnceLock<HashSet<String>>,
    scorer: Arc<dyn Scorer>,
}

/// What is found once for the queries that share a text.
#[derive(Debug, Default)]
struct Shared {
    terms: HashSet<String>,
    words: OnceLock<HashSet<String>>,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            terms: HashSet::new(),
            shared: Arc::default(),
            text: String::new(),
            own: 0,
            words: OnceLock::new(),
            scorer: Arc::new(Bm25Scorer),
        }
    }
}

impl Query {
    /// A query from any number of texts.
    ///
    /// ```
    /// use headroom_engine::rank::Query;
    /// let query = Query::new(["Why does parse_header fail?"]);
    /// assert!(query.contains("parse_header") && query.contains("header"));
    /// ```
    #[must_use]
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut set = HashSet::new();
        let mut whole = String::new();
        for text in texts {
            if !whole.is_empty() {
                whole.push('\n');
            }
            whole.push_str(text);
            terms(text, &mut |term| {
                if term.len() > 1 && !set.contains(term) {
                    set.insert(term.to_owned());
                }
            });
        }
        Self { terms: set, own: whole.len(), text: whole, ..Self::default() }
    }

    /// The same query, and what `after` asks: its terms are shared, not copied.
    ///
    /// `after` is one that [`Query::to_share`] made.
    #[must_use]
    pub(crate) fn then(mut self, after: &Self) -> Self {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(&after.text);
        self.shared = Arc::clone(&after.shared);
        self
    }

    /// A query to be put behind many others.
    pub(crate) fn to_share(text: &str) -> Self {
        let Self { terms, text, .. } = Self::new([text]);
        Self { shared: Arc::new(Shared { terms, ..Shared::default() }), text, ..Self::default() }
    }

    /// The same query, ranked by another scorer.
    #[must_use]
    pub fn scored_by(mut self, scorer: Arc<dyn Scorer>) -> Self {
        self.scorer = scorer;
        self
    }

    /// How much each of `documents` has to do with this query, as its scorer says.
    #[must_use]
    pub fn rank(&self, documents: &[&str]) -> Relevance {
        self.scorer.score(self, documents)
    }

    /// The texts it was made of, a line each.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the query holds no term.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty() && self.shared.terms.is_empty()
    }

    /// Whether `term` (lower case) is in the query.
    #[must_use]
    pub fn contains(&self, term: &str) -> bool {
        self.terms.contains(term) || self.shared.terms.contains(term)
    }

    /// Whether the query holds a name or a word with this [word](words) in it.
    pub(crate) fn speaks_of(&self, word: &str) -> bool {
        let (own, shared) = self.text.split_at(self.own);
        self.words.get_or_init(|| words::of(own)).contains(word)
            || self.shared.words.get_or_init(|| words::of(shared)).contains(word)
    }

    /// The terms, in no particular order: never let it decide bytes.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let others = self.shared.terms.iter().filter(|term| !self.terms.contains(*term));
        self.terms.iter().chain(others).map(String::as_str)
    }
}

/// Calls `each` with every term of `text`, lower case: words of letters and digits; identifiers
/// joined by `_`, `-`, `.`, `/` or `:` also whole.
pub fn terms(text: &str, each: &mut dyn FnMut(&str)) {
    let mut lower = String::new();
    if text.is_ascii() {
        return ascii_terms(text, &mut lower, each);
    }
    for whole in text.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':'))) {
        let whole = whole.trim_matches(|c: char| !c.is_alphanumeric());
        if whole.is_empty() {
            continue;
        }
        lower.clear();
        lower.extend(whole.chars().flat_map(char::to_lowercase));
        each(&lower);
        if lower.contains(|c: char| !c.is_alphanumeric()) {
            lower.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).for_each(&mut *each);
        }
    }
}

/// [`terms`] for ASCII, several times as fast.
fn ascii_terms(text: &str, lower: &mut String, each: &mut dyn FnMut(&str)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_alphanumeric() {
            at += 1;
            continue;
        }
        let (start, mut end, mut joined) = (at, at, false);
        while let Some(byte) = bytes.get(at) {
            if byte.is_ascii_alphanumeric() {
                joined |= end < at;
                end = at + 1;
            } else if !matches!(byte, b'_' | b'-' | b'.' | b'/' | b':') {
                break;
            }
            at += 1;
        }
        lower.clear();
        lower.push_str(&text[start..end]);
        lower.make_ascii_lowercase();
        each(lower);
        if joined {
            let parts = lower.split(|c: char| !c.is_ascii_alphanumeric());
            parts.filter(|part| !part.is_empty()).for_each(&mut *each);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ascii_takes_a_short_cut_to_the_same_terms(text in "[a-zA-Z0-9_./: -]{0,40}") {
            let (mut fast, mut slow) = (Vec::new(), Vec::new());
            terms(&text, &mut |term| fast.push(term.to_owned()));
            terms(&format!("{text} é"), &mut |term| slow.push(term.to_owned()));
            slow.pop();
            prop_assert_eq!(fast, slow);
        }
    }

    #[test]
    fn a_shared_end_asks_the_same() {
        for texts in [["read a.rs", "why does a.rs fail"], ["", "why"], ["why", ""]] {
            let [one, other] = [Query::new(texts), Query::new([texts[0]]).then(&Query::to_share(texts[1]))];
            let sorted = |query: &Query| {
                let mut terms: Vec<String> = query.iter().map(str::to_owned).collect();
                terms.sort();
                terms
            };
            assert_eq!((one.text(), sorted(&one)), (other.text(), sorted(&other)));
            assert_eq!((one.is_empty(), one.contains("why")), (other.is_empty(), other.contains("why")));
            for word in ["read", "fail", "why"] {
                assert_eq!(one.speaks_of(word), other.speaks_of(word), "{texts:?} {word}");
            }
        }
    }

    #[test]
    fn identifiers_whole_and_in_parts() {
        let mut seen = Vec::new();
        terms("See `src/Main.rs:12` — (naïve)!", &mut |term| seen.push(term.to_owned()));
        assert_eq!(seen, ["see", "src/main.rs:12", "src", "main", "rs", "12", "naïve"]);
    }
}
