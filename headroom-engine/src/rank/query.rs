use std::collections::HashSet;

/// What a block answers, as a set of terms: the causal query.
///
/// It is made only of what came before the block: the tool call's name and arguments, and the
/// user's text before it.
#[derive(Clone, Debug, Default)]
pub struct Query {
    terms: HashSet<String>,
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
        for text in texts {
            terms(text, &mut |term| {
                if term.len() > 1 && !set.contains(term) {
                    set.insert(term.to_owned());
                }
            });
        }
        Self { terms: set }
    }

    /// Whether the query holds no term.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether `term` (lower case) is in the query.
    #[must_use]
    pub fn contains(&self, term: &str) -> bool {
        self.terms.contains(term)
    }

    /// The terms, in no particular order: never let it decide bytes.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().map(String::as_str)
    }
}

/// Calls `each` with every term of `text`, lower case: words of letters and digits; identifiers
/// joined by `_`, `-`, `.`, `/` or `:` also whole.
pub fn terms(text: &str, each: &mut dyn FnMut(&str)) {
    let mut lower = String::new();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_whole_and_in_parts() {
        let mut seen = Vec::new();
        terms("See `src/Main.rs:12` — (naïve)!", &mut |term| seen.push(term.to_owned()));
        assert_eq!(seen, ["see", "src/main.rs:12", "src", "main", "rs", "12", "naïve"]);
    }
}
