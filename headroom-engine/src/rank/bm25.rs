use std::collections::HashMap;

use super::{Query, terms};

/// Okapi BM25 over the units of one block, with the block's own document frequencies.
///
/// Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009), with `k1 = 1.2` and
/// `b = 0.75`, and `idf = ln(1 + (N - n + 0.5) / (n + 0.5))`. Only the query's terms are counted, so
/// memory is bounded by the query.
///
/// ```
/// use headroom_engine::rank::{Bm25, Query};
/// let ranked = Bm25::new(&Query::new(["Why did the deploy fail?"]), ["the deploy stopped", "all quiet"]);
/// assert!(ranked.score(0) > ranked.score(1));
/// ```
#[derive(Clone, Debug)]
pub struct Bm25 {
    scores: Vec<f32>,
    rarest: Vec<u32>,
}

const K1: f32 = 1.2;
const B: f32 = 0.75;

impl Bm25 {
    /// Scores every document of `documents` against `query`.
    #[must_use]
    pub fn new<'a>(query: &Query, documents: impl IntoIterator<Item = &'a str>) -> Self {
        let ids: HashMap<&str, usize> = {
            let mut sorted: Vec<&str> = query.iter().collect();
            sorted.sort_unstable();
            sorted.into_iter().enumerate().map(|(id, term)| (term, id)).collect()
        };
        // Most words are not in the query: a bitmap over length and first bytes says so at once.
        let mut known = [false; 1024];
        let slot = |term: &str| {
            let bytes = term.as_bytes();
            let byte = |at: usize| usize::from(bytes.get(at).copied().unwrap_or(0));
            (bytes.len() * 131 + byte(0) * 31 + byte(1) * 7 + byte(2)) % 1024
        };
        ids.keys().for_each(|term| known[slot(term)] = true);
        let mut frequency = vec![0u32; ids.len()];
        let mut lengths = Vec::new();
        let mut hits: Vec<Vec<(usize, u32)>> = Vec::new();
        for document in documents {
            let mut length = 0u32;
            let mut found: Vec<(usize, u32)> = Vec::new();
            terms(document, &mut |term| {
                length += 1;
                if !known[slot(term)] {
                    return;
                }
                if let Some(&id) = ids.get(term) {
                    match found.iter_mut().find(|(known, _)| *known == id) {
                        Some((_, count)) => *count += 1,
                        None => found.push((id, 1)),
                    }
                }
            });
            for (id, _) in &found {
                frequency[*id] += 1;
            }
            lengths.push(length as f32);
            hits.push(found);
        }
        let total = lengths.len() as f32;
        let mean = (lengths.iter().sum::<f32>() / total.max(1.0)).max(1.0);
        let idf = |id: usize| {
            let n = frequency[id] as f32;
            (1.0 + (total - n + 0.5) / (n + 0.5)).ln()
        };
        let scores = hits
            .iter()
            .zip(&lengths)
            .map(|(found, length)| {
                let norm = K1 * (1.0 - B + B * length / mean);
                found
                    .iter()
                    .map(|(id, count)| idf(*id) * *count as f32 * (K1 + 1.0) / (*count as f32 + norm))
                    .sum()
            })
            .collect();
        let rarest = hits
            .iter()
            .map(|found| found.iter().map(|(id, _)| frequency[*id]).min().unwrap_or(u32::MAX))
            .collect();
        Self { scores, rarest }
    }

    /// The score of document `at`; 0 if it shares no term with the query.
    #[must_use]
    pub fn score(&self, at: usize) -> f32 {
        self.scores.get(at).copied().unwrap_or(0.0)
    }

    /// In how many documents the rarest query term of document `at` stands; `None` if it holds none.
    #[must_use]
    pub fn rarest(&self, at: usize) -> Option<u32> {
        self.rarest.get(at).copied().filter(|count| *count < u32::MAX)
    }

    /// All scores, in the documents' order.
    #[must_use]
    pub fn scores(&self) -> &[f32] {
        &self.scores
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rare_term_outweighs_common_ones() {
        let query = Query::new(["status of zeta-key"]);
        let documents = ["status ok", "status ok", "zeta-key failed", "nothing here"];
        let bm25 = Bm25::new(&query, documents);
        assert!(bm25.score(2) > bm25.score(0) && bm25.score(0) > 0.0);
        assert_eq!(bm25.score(3), 0.0);
        assert_eq!([0, 2, 3].map(|at| bm25.rarest(at)), [Some(2), Some(1), None]);
    }
}
