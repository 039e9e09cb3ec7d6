//! What a query speaks of, and which names do.
//!
//! People write of *the rpc modes*, code of `runRpcMode` and `rpc_modes`: both are compared word by
//! word, in the singular. A word that many names of a file have (`show`, `handle`) says little of
//! one of them, so each counts by its rarity, between 0 and 1:
//!
//! ```text
//! rarity = ln(1 + all / with) / ln(1 + all)      all: names, with: those that hold the word
//! ```
//!
//! That is the inverse document frequency (K. Spärck Jones, 1972), scaled.

use std::collections::HashMap;

use crate::rank::Query;

/// Shorter words, in bytes, say nothing.
const WORD: usize = 3;
/// Nor do these, in the singular.
const COMMON: [&str; 44] = [
    "about", "all", "also", "and", "any", "are", "but", "can", "could", "did", "doe", "for", "from", "get",
    "had", "has", "have", "her", "how", "into", "it", "like", "may", "more", "not", "now", "one", "our",
    "out", "should", "some", "than", "that", "the", "then", "thi", "wa", "what", "when", "which", "with",
    "would", "you", "your",
];

/// The words of a query, numbered.
#[derive(Debug)]
pub(super) struct Topics {
    numbers: HashMap<String, u32>,
}

impl Topics {
    pub(super) fn of(query: &Query) -> Self {
        let mut numbers = HashMap::new();
        let mut word = String::new();
        for part in parts(query.text()) {
            if fold(part, &mut word) && !numbers.contains_key(&word) {
                let number = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                numbers.insert(word.clone(), number);
            }
        }
        Self { numbers }
    }

    /// How much each of `names` is one that the query speaks of: the sum of its words' rarities.
    pub(super) fn weights<'t>(&self, names: impl Iterator<Item = &'t str>) -> Vec<f32> {
        let mut with = vec![0u32; self.numbers.len()];
        // Which name held each word last.
        let mut last = vec![usize::MAX; self.numbers.len()];
        let mut words: Vec<u32> = Vec::new();
        let mut ends: Vec<usize> = Vec::new();
        let mut word = String::new();
        for name in names {
            for part in parts(name) {
                if let Some(number) = fold(part, &mut word).then(|| self.numbers.get(&word)).flatten()
                    && std::mem::replace(&mut last[*number as usize], ends.len()) != ends.len()
                {
                    words.push(*number);
                    with[*number as usize] += 1;
                }
            }
            ends.push(words.len());
        }
        let all = ends.len() as f32;
        let rarity = |number: &u32| (all / with[*number as usize] as f32).ln_1p() / all.ln_1p();
        let mut from = 0;
        let weigh = |end: &usize| words[std::mem::replace(&mut from, *end)..*end].iter().map(rarity).sum();
        ends.iter().map(weigh).collect()
    }
}

/// Writes `part` as it is compared: lower case, in the singular. Whether it says anything.
fn fold(part: &str, word: &mut String) -> bool {
    word.clear();
    word.extend(part.chars().flat_map(char::to_lowercase));
    if word.len() > WORD && word.ends_with('s') && !word.ends_with("ss") {
        word.pop();
    }
    word.len() >= WORD && COMMON.binary_search(&word.as_str()).is_err()
}

/// The words of a text and of its names: `runRpcMode`, `run_rpc_mode` and `RPCMode` end with the
/// same one.
fn parts(text: &str) -> impl Iterator<Item = &str> {
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
    fn a_rare_word_weighs_more_and_the_number_of_letters_does_not_matter() {
        let topics = Topics::of(&Query::new(["share code between the rpc modes, and with the agent"]));
        let names = ["runRpcMode", "run_print_mode", "RPCModes", "agent", "show", "the_with_and"];
        let weights = topics.weights(names.into_iter());
        assert_eq!(weights[0], weights[2]);
        assert!(weights[0] > weights[3] && weights[3] > weights[1] && weights[1] > 0.0, "{weights:?}");
        assert_eq!(weights[4..], [0.0, 0.0]);
        assert!((topics.weights(["rpc"].into_iter())[0] - 1.0).abs() < 1e-6);
        assert!(topics.weights(std::iter::empty()).is_empty());
        assert!(Topics::of(&Query::default()).weights(names.into_iter()).iter().all(|weight| *weight == 0.0));
    }

    #[test]
    fn common_words_are_in_order() {
        assert!(COMMON.is_sorted());
    }
}
