//! Words as people write them and as names hold them, to be compared: one by one, in lower case, in
//! the singular.

use std::collections::HashSet;

/// Shorter words, in bytes, say nothing.
const WORD: usize = 3;
/// Nor do these, in the singular.
const COMMON: [&str; 44] = [
    "about", "all", "also", "and", "any", "are", "but", "can", "could", "did", "doe", "for", "from", "get",
    "had", "has", "have", "her", "how", "into", "it", "like", "may", "more", "not", "now", "one", "our",
    "out", "should", "some", "than", "that", "the", "then", "thi", "wa", "what", "when", "which", "with",
    "would", "you", "your",
];

/// The words of `text`.
pub(super) fn of(text: &str) -> HashSet<String> {
    let mut all = HashSet::new();
    let mut word = String::new();
    for part in parts(text) {
        if fold(part, &mut word) && !all.contains(&word) {
            all.insert(word.clone());
        }
    }
    all
}

/// Writes `part` as it is compared: lower case, in the singular. Whether it says anything.
pub(crate) fn fold(part: &str, word: &mut String) -> bool {
    word.clear();
    if part.is_ascii() {
        word.push_str(part);
        word.make_ascii_lowercase();
    } else {
        word.extend(part.chars().flat_map(char::to_lowercase));
    }
    if word.len() > WORD && word.ends_with('s') && !word.ends_with("ss") {
        word.pop();
    }
    word.len() >= WORD && COMMON.binary_search(&word.as_str()).is_err()
}

/// The words of a text and of its names: `runRpcMode`, `run_rpc_mode` and `RPCMode` end with the
/// same one.
pub(crate) fn parts(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.flat_map(|word| {
        let mut rest = word;
        std::iter::from_fn(move || {
            let (part, after) = rest.split_at(first(rest)?);
            rest = after;
            Some(part)
        })
    })
}

/// Where the first word of a name ends; `None` behind the last one.
fn first(name: &str) -> Option<usize> {
    let mut letters = name.char_indices().peekable();
    let (_, mut before) = letters.next()?;
    while let Some((at, letter)) = letters.next() {
        let small = |next: &(usize, char)| next.1.is_lowercase();
        if letter.is_uppercase() && (!before.is_uppercase() || letters.peek().is_some_and(small)) {
            return Some(at);
        }
        before = letter;
    }
    Some(name.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_words() {
        let words = |text| parts(text).collect::<Vec<_>>();
        assert_eq!(
            words("runRpcMode run_rpc RPCMode v2"),
            ["run", "Rpc", "Mode", "run", "rpc", "RPC", "Mode", "v2"]
        );
        assert_eq!(words("ÄÖüß: été, __x__ A"), ["Ä", "Öüß", "été", "x", "A"]);
        assert!(words("").is_empty());
    }

    #[test]
    fn common_words_are_in_order() {
        assert!(COMMON.is_sorted());
    }
}
