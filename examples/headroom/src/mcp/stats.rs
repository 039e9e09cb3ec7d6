//! What this server did, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::redeem::Redeemer;

/// Counts since the start.
#[derive(Debug, Default)]
pub(super) struct Stats {
    texts: AtomicU64,
    tokens_in: AtomicU64,
    tokens_out: AtomicU64,
}

impl Stats {
    pub(super) fn compressed(&self, before: usize, after: usize) {
        self.texts.fetch_add(1, Ordering::Relaxed);
        self.tokens_in.fetch_add(before as u64, Ordering::Relaxed);
        self.tokens_out.fetch_add(after as u64, Ordering::Relaxed);
    }

    /// All counts; those of the proxy too, if there is one.
    pub(super) async fn json(&self, redeemer: &Redeemer) -> Value {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (before, after) = (read(&self.tokens_in), read(&self.tokens_out));
        let counts = redeemer.counts();
        let mut all = json!({
            "compressed": {
                "texts": read(&self.texts),
                "tokens_in": before,
                "tokens_out": after,
                "tokens_saved": before as i64 - after as i64,
            },
            "retrieved": {
                "from_memory": read(&counts.memory),
                "from_store": read(&counts.store),
                "from_proxy": read(&counts.proxy),
                "bad_arguments": read(&counts.refused),
                "unknown": read(&counts.unknown),
                "failed": read(&counts.failed),
            },
        });
        if let Some(proxy) = redeemer.proxy() {
            all["proxy"] = match proxy.stats().await {
                Ok(stats) => stats,
                Err(error) => json!({ "error": error.to_string() }),
            };
        }
        all
    }
}
