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

use crate::rank::{Query, words};

/// How much each of `names` is one that `query` speaks of: the sum of its words' rarities.
pub(super) fn weights<'t>(query: &Query, names: impl Iterator<Item = &'t str>) -> Vec<f32> {
    // The words that are spoken of, numbered; in how many names each is, and which held it last.
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut with: Vec<u32> = Vec::new();
    let mut last: Vec<usize> = Vec::new();
    let mut held: Vec<usize> = Vec::new();
    let mut ends: Vec<usize> = Vec::new();
    let mut word = String::new();
    for name in names {
        for part in words::parts(name) {
            if !words::fold(part, &mut word) {
                continue;
            }
            let number = match numbers.get(&word) {
                Some(number) => *number,
                None if query.speaks_of(&word) => {
                    with.push(0);
                    last.push(usize::MAX);
                    *numbers.entry(word.clone()).or_insert(with.len() - 1)
                }
                None => continue,
            };
            if std::mem::replace(&mut last[number], ends.len()) != ends.len() {
                held.push(number);
                with[number] += 1;
            }
        }
        ends.push(held.len());
    }
    let all = ends.len() as f32;
    let rarity = |number: &usize| (all / with[*number] as f32).ln_1p() / all.ln_1p();
    let mut from = 0;
    let weigh = |end: &usize| held[std::mem::replace(&mut from, *end)..*end].iter().map(rarity).sum();
    ends.iter().map(weigh).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rare_word_weighs_more_and_the_number_of_letters_does_not_matter() {
        let query = Query::new(["share code between the rpc modes, and with the agent"]);
        let names = ["runRpcMode", "run_print_mode", "RPCModes", "agent", "show", "the_with_and"];
        let found = weights(&query, names.into_iter());
        assert_eq!(found[0], found[2]);
        assert!(found[0] > found[3] && found[3] > found[1] && found[1] > 0.0, "{found:?}");
        assert_eq!(found[4..], [0.0, 0.0]);
        assert!((weights(&query, ["rpc"].into_iter())[0] - 1.0).abs() < 1e-6);
        assert!(weights(&query, std::iter::empty()).is_empty());
        assert!(weights(&Query::default(), names.into_iter()).iter().all(|weight| *weight == 0.0));
    }
}
