//! What an engine is made of.

use std::sync::Arc;

use crate::{
    catalogue::{Catalogue, Model},
    ccr::HandleKey,
    compress::{DiffCompressor, LogCompressor, SearchCompressor, SmartCrusher},
    context::Counts,
    engine::{Engine, Inner},
    memo::Memo,
    policy,
    reduce::Reducer,
    tokens::{O200k, TokenCounter},
};

/// Builds an [`Engine`].
#[derive(Debug)]
#[must_use]
pub struct EngineBuilder {
    key: HandleKey,
    counter: Arc<dyn TokenCounter>,
    reducers: Vec<Arc<dyn Reducer>>,
    catalogue: Catalogue,
    memo_bytes: u64,
}

impl Default for EngineBuilder {
    fn default() -> Self {
        Self {
            key: HandleKey::default(),
            counter: Arc::new(O200k),
            reducers: vec![
                Arc::new(SmartCrusher),
                Arc::new(DiffCompressor),
                Arc::new(SearchCompressor),
                Arc::new(LogCompressor),
            ],
            catalogue: Catalogue::default(),
            memo_bytes: 64 << 20,
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

    /// One more specialist, asked before the built-in ones.
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

    /// The most bytes that the memo of known blocks may take; 64 MiB by default.
    pub fn memo_bytes(mut self, bytes: u64) -> Self {
        self.memo_bytes = bytes;
        self
    }

    /// The engine. Loads the counter's tables, so that the first request need not.
    #[must_use]
    pub fn build(self) -> Engine {
        self.counter.count("ready");
        let kinds = self.reducers.iter().map(|reducer| reducer.kind());
        Engine(Arc::new(Inner {
            facts: policy::facts(self.counter.family(), kinds, &self.catalogue),
            key: self.key,
            counter: self.counter,
            reducers: self.reducers,
            catalogue: self.catalogue,
            memo: Memo::new(self.memo_bytes),
            counts: Counts::new(),
        }))
    }
}
