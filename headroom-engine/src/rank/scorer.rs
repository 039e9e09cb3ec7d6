use std::fmt;

use super::{Bm25, Query};

/// Says how much the units of one block have to do with what the block answers.
///
/// A scorer decides bytes: it must be a pure function of its arguments and give the same bits on
/// every machine, and its [identity](Self::identity) is part of the epoch.
pub trait Scorer: Send + Sync + fmt::Debug {
    /// What tells this scorer, with its model and settings, from all others.
    fn identity(&self) -> String;

    /// Scores every document of `documents` against `query`.
    fn score(&self, query: &Query, documents: &[&str]) -> Relevance;
}

/// The default scorer: [`Bm25`], with the document frequencies of the block itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bm25Scorer;

impl Scorer for Bm25Scorer {
    fn identity(&self) -> String {
        "bm25".to_owned()
    }

    fn score(&self, query: &Query, documents: &[&str]) -> Relevance {
        Relevance { scores: None, words: Bm25::new(query, documents.iter().copied()) }
    }
}

/// What a [`Scorer`] found.
#[derive(Clone, Debug)]
pub struct Relevance {
    scores: Option<Vec<f32>>,
    words: Bm25,
}

impl Relevance {
    /// Scores of a scorer's own, one a document, higher is better and 0 or less is nothing. Which
    /// documents alone hold a word of the query is always counted.
    ///
    /// ```
    /// use headroom_engine::rank::{Query, Relevance};
    /// let query = Query::new(["zeta"]);
    /// let relevance = Relevance::new(&query, &["zeta", "other"], vec![0.1, 0.9]);
    /// assert_eq!(relevance.score(1), 0.9);
    /// assert_eq!(relevance.rarest(0), Some(1));
    /// ```
    #[must_use]
    pub fn new(query: &Query, documents: &[&str], scores: Vec<f32>) -> Self {
        Self { scores: Some(scores), words: Bm25::new(query, documents.iter().copied()) }
    }

    /// The score of document `at`; 0 if there is none.
    #[must_use]
    pub fn score(&self, at: usize) -> f32 {
        match &self.scores {
            Some(scores) => scores.get(at).copied().filter(|score| score.is_finite()).unwrap_or(0.0),
            None => self.words.score(at),
        }
    }

    /// In how many documents the rarest query word of document `at` stands; `None` if it holds none.
    #[must_use]
    pub fn rarest(&self, at: usize) -> Option<u32> {
        self.words.rarest(at)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Debug)]
    struct Longest;

    impl Scorer for Longest {
        fn identity(&self) -> String {
            "longest".to_owned()
        }

        fn score(&self, query: &Query, documents: &[&str]) -> Relevance {
            Relevance::new(query, documents, documents.iter().map(|text| text.len() as f32).collect())
        }
    }

    #[test]
    fn a_query_is_ranked_by_its_scorer() {
        let documents = ["zeta", "another, longer"];
        let query = Query::new(["zeta"]);
        let words = query.rank(&documents);
        assert!(words.score(0) > 0.0 && words.score(1) == 0.0);
        let own = query.scored_by(Arc::new(Longest)).rank(&documents);
        assert!(own.score(1) > own.score(0));
        assert_eq!([own.rarest(0), own.rarest(1)], [Some(1), None]);
        let odd = Relevance::new(&Query::default(), &documents, vec![f32::NAN]);
        assert_eq!([odd.score(0), odd.score(1)], [0.0, 0.0]);
    }
}
