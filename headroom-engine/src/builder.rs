//! What an engine is made of.

use std::sync::Arc;

use crate::{
    catalogue::{Catalogue, Model},
    ccr::HandleKey,
    compress::{
        DiffCompressor, HtmlCompressor, Kompress, LogCompressor, SearchCompressor, SmartCrusher,
        TableCompressor, repeat::Indexes,
    },
    context::Counts,
    engine::{Engine, Inner},
    memo::Memo,
    policy,
    rank::{Bm25Scorer, Scorer},
    reduce::{Reducer, Witness},
    route::ContentRouter,
    tokens::{O200k, TokenCounter},
    trail::Trails,
};

/// Builds an [`Engine`].
///
/// ```
/// use headroom_engine::{Engine, ccr::HandleKey};
/// let engine = Engine::builder().handle_key(HandleKey::derive(b"a secret of the deployment")).build();
/// assert!(engine.reducers().any(|reducer| reducer.kind() == "log"));
/// ```
#[derive(Debug)]
#[must_use]
pub struct EngineBuilder {
    key: HandleKey,
    counter: Arc<dyn TokenCounter>,
    reducers: Vec<Arc<dyn Reducer>>,
    scorer: Arc<dyn Scorer>,
    catalogue: Catalogue,
    memo_bytes: u64,
    witness: Option<Arc<dyn Witness>>,
    lazy: bool,
}

impl Default for EngineBuilder {
    fn default() -> Self {
        Self {
            key: HandleKey::default(),
            counter: Arc::new(O200k),
            reducers: vec![
                Arc::new(SmartCrusher),
                Arc::new(DiffCompressor),
                #[cfg(feature = "code")]
                Arc::new(crate::compress::CodeCompressor),
                Arc::new(TableCompressor),
                Arc::new(SearchCompressor),
                Arc::new(LogCompressor),
                Arc::new(HtmlCompressor),
                Arc::new(Kompress),
            ],
            scorer: Arc::new(Bm25Scorer),
            catalogue: Catalogue::default(),
            memo_bytes: 64 << 20,
            witness: None,
            lazy: false,
        }
    }
}

impl EngineBuilder {
    /// The key that handles are hashed under; the same for all replicas of a deployment.
    pub fn handle_key(mut self, key: HandleKey) -> Self {
        self.key = key;
        self
    }

    /// What counts tokens; [`O200k`] by default.
    pub fn counter(mut self, counter: Arc<dyn TokenCounter>) -> Self {
        self.counter = counter;
        self
    }

    /// One more specialist, asked before the built-in ones of its kind; of a kind of its own, before
    /// all of them.
    pub fn reducer(mut self, reducer: Arc<dyn Reducer>) -> Self {
        self.reducers.insert(0, reducer);
        self
    }

    /// What is known of a model, before the built-in row of the same or a shorter stem. Part of the
    /// epoch: the same for all replicas of a deployment.
    pub fn model(mut self, row: Model) -> Self {
        self.catalogue = self.catalogue.with(row);
        self
    }

    /// What says which rows of a table or list answer the causal query; [`Bm25Scorer`] by default.
    /// The same for all replicas of a deployment: its identity is part of the epoch.
    pub fn scorer(mut self, scorer: Arc<dyn Scorer>) -> Self {
        self.scorer = scorer;
        self
    }

    /// Who is shown what the gate takes.
    pub fn witness(mut self, witness: Arc<dyn Witness>) -> Self {
        self.witness = Some(witness);
        self
    }

    /// The most bytes that the memo of known blocks may take; 64 MiB by default. Half as much again
    /// goes to the lines of conversations that may go on, and a quarter to where things stand in them.
    pub fn memo_bytes(mut self, bytes: u64) -> Self {
        self.memo_bytes = bytes;
        self
    }

    /// Leaves loading the counter's tables (some 40 MB) to the first request that needs them, which
    /// then waits for them. What is written is the same.
    pub fn lazy(mut self) -> Self {
        self.lazy = true;
        self
    }

    /// The engine. Loads the counter's tables, so that the first request need not, unless it was told
    /// to be [`lazy`](Self::lazy).
    #[must_use]
    pub fn build(self) -> Engine {
        if !self.lazy {
            self.counter.count("ready");
        }
        let router = ContentRouter::new(self.reducers);
        let kinds = router.reducers().map(|reducer| reducer.kind());
        Engine(Arc::new(Inner {
            facts: policy::facts(self.counter.family(), &self.scorer.identity(), kinds, &self.catalogue),
            trails: Trails::new(self.memo_bytes / 4, &self.key),
            key: self.key,
            counter: self.counter,
            router,
            scorer: self.scorer,
            catalogue: self.catalogue,
            counts: Counts::new(),
            memo: Memo::new(self.memo_bytes),
            indexes: Indexes::new(usize::try_from(self.memo_bytes / 2).unwrap_or(usize::MAX)),
            witness: self.witness,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rank::{Query, Relevance};

    #[derive(Debug)]
    struct Other;

    impl Scorer for Other {
        fn identity(&self) -> String {
            "other".to_owned()
        }

        fn score(&self, query: &Query, documents: &[&str]) -> Relevance {
            Relevance::new(query, documents, vec![0.0; documents.len()])
        }
    }

    #[test]
    fn a_scorer_is_part_of_the_epoch() {
        let facts = |builder: EngineBuilder| builder.build().0.facts;
        let plain = facts(EngineBuilder::default());
        assert_eq!(plain, facts(EngineBuilder::default().scorer(Arc::new(Bm25Scorer))));
        assert_ne!(plain, facts(EngineBuilder::default().scorer(Arc::new(Other))));
    }
}
