//! The layer's engine and originals, for those who ask outside of a conversation: an admin endpoint,
//! an MCP server.

use headroom_engine::{Engine, Originals, Policy, ccr::Handle};
use http::request::Parts;
use tokio::time::timeout;

use crate::{
    layer::HeadroomLayer,
    store::{Durability, Original, StoreError},
};

impl HeadroomLayer {
    /// The engine that all requests of this layer's services pass.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    /// The policy of requests without one of their own.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.shared.policy
    }

    /// The text of an original, if the [tenant](crate::HeadroomBuilder::tenant) that sends `head` may
    /// have it: `None` if the store does not hold it, or holds it for others.
    ///
    /// # Errors
    /// If the store fails, or takes longer than [`Limits::store`](crate::Limits::store).
    ///
    /// ```
    /// # async fn f(layer: headroom_tower::HeadroomLayer, request: http::Request<()>) {
    /// let handle = "730185021946520397154428690315".parse().unwrap();
    /// let (head, _) = request.into_parts();
    /// if let Ok(Some(text)) = layer.original(&head, handle).await {
    ///     println!("{text}");
    /// }
    /// # }
    /// ```
    pub async fn original(&self, head: &Parts, handle: Handle) -> Result<Option<String>, StoreError> {
        let stores = self.shared.stores(head);
        let found = timeout(stores.wait, stores.originals.get(stores.scope, handle)).await;
        let text = found.map_err(StoreError::new)??;
        // Originals are text; bytes that are not were not put by us.
        Ok(text.and_then(|text| String::from_utf8(text.into()).ok()))
    }

    /// Keeps what a rewrite of [`engine`](Self::engine) hid, so that the tenant that sends `head` can
    /// [have it back](Self::original). When this returns, the store has it.
    ///
    /// # Errors
    /// If the store fails, or takes longer than [`Limits::store`](crate::Limits::store).
    pub async fn keep(&self, head: &Parts, originals: &Originals) -> Result<(), StoreError> {
        if originals.is_empty() {
            return Ok(());
        }
        let stores = self.shared.stores(head);
        let texts = originals.iter().filter_map(|(handle, kind)| {
            originals.get(handle).map(|text| Original::new(handle, kind, text.into()))
        });
        let put = stores.originals.put_with(stores.scope, texts.collect(), Durability::Required);
        timeout(stores.wait, put).await.map_err(StoreError::new)?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use headroom_engine::{Dialect, RequestContext, ccr::HandleKey};
    use http::{Request, header};

    use super::*;
    use crate::{MemoryStore, store::scoped::tests::Broken};

    fn head(key: &str) -> Parts {
        Request::builder().header(header::AUTHORIZATION, key).body(()).unwrap().into_parts().0
    }

    /// What hiding the lines of a log leaves behind.
    fn hidden(layer: &HeadroomLayer) -> Originals {
        let log: String =
            (0..2000).map(|at| format!("2026-11-22 10:00:{:02} INFO step {at}\\n", at % 60)).collect();
        let body = format!(
            r#"{{"model":"gpt-6","messages":[{{"role":"user","content":"run"}},{{"role":"assistant","tool_calls":[{{"id":"c","type":"function","function":{{"name":"run_tests","arguments":"{{}}"}}}}]}},{{"role":"tool","tool_call_id":"c","content":"{log}"}}],"tools":[{{"type":"function","function":{{"name":"run_tests","parameters":{{}}}}}}]}}"#
        );
        let scanned = layer.engine().scan(body.into(), &RequestContext::new(Dialect::OpenAiChat)).unwrap();
        let rewrite = scanned.rewrite(layer.policy(), &[]);
        assert!(!rewrite.originals.is_empty(), "{:?}", rewrite.report);
        rewrite.originals
    }

    #[tokio::test]
    async fn what_was_kept_for_one_tenant_is_had_by_that_tenant() {
        let layer = HeadroomLayer::new();
        let originals = hidden(&layer);
        layer.keep(&head("one"), &originals).await.unwrap();
        for &handle in originals.handles() {
            assert_eq!(layer.original(&head("one"), handle).await.unwrap(), originals.get(handle));
            assert_eq!(layer.original(&head("two"), handle).await.unwrap(), None);
        }
        let unknown = Handle::new(&HandleKey::default(), "text", "unknown");
        assert_eq!(layer.original(&head("one"), unknown).await.unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_fails_or_is_silent_is_an_error() {
        for broken in [Broken::Silent, Broken::Failing] {
            let layer = HeadroomLayer::builder().store(Arc::new(broken)).single_tenant().build().unwrap();
            let handle = Handle::new(&HandleKey::default(), "text", "x");
            assert!(layer.original(&head("one"), handle).await.is_err());
            assert!(layer.keep(&head("one"), &hidden(&layer)).await.is_err());
        }
        let layer = HeadroomLayer::builder().store(Arc::new(MemoryStore::default())).build().unwrap();
        layer.keep(&head("one"), &Originals::default()).await.unwrap();
    }
}
