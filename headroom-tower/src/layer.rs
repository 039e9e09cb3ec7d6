//! The layer and its builder.

use std::{fmt, sync::Arc};

use headroom_engine::{
    Dialect, Engine, Policy, catalogue::Model, ccr::HandleKey, reduce::Reducer, tokens::TokenCounter,
};
use http::request::Parts;
use tower_layer::Layer;

use crate::{
    costs::{CostLedger, Costs},
    lifecycle::{Hook, Hooks, Registered},
    limits::Limits,
    pool::Pool,
    resign::Resigner,
    service::Headroom,
    store::{LedgerStore, MemoryStore, OriginalStore, scoped::Scoped},
    tenant::{Scope, TenantResolver},
};

/// Shrinks LLM requests on their way out and answers the model when it asks for what was left out.
///
/// See the [crate page](crate) for its place among other layers. Clones share everything.
///
/// ```
/// use headroom_tower::HeadroomLayer;
/// use tower::{ServiceBuilder, service_fn};
/// # async fn send(_: http::Request<()>) -> Result<http::Response<()>, std::io::Error> { Ok(http::Response::default()) }
/// let layer = HeadroomLayer::new();
/// let client = ServiceBuilder::new().layer(layer.clone()).service(service_fn(send));
/// // ... and once requests have been answered:
/// println!("{:.0} tokens saved, net", layer.costs().net());
/// # drop(client);
/// ```
#[derive(Clone, Debug)]
pub struct HeadroomLayer {
    pub(crate) shared: Arc<Shared>,
}

/// What all services of one layer share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) policy: Arc<Policy>,
    /// The same for requests that want nothing left out.
    pub(crate) exact: Arc<Policy>,
    pub(crate) originals: Arc<dyn OriginalStore>,
    pub(crate) ledger: Arc<dyn LedgerStore>,
    pub(crate) tenant: TenantResolver,
    pub(crate) on_ledger_failure: LedgerFailure,
    pub(crate) routes: Vec<(String, Dialect)>,
    pub(crate) resigner: Option<Resigner>,
    pub(crate) limits: Limits,
    pub(crate) pool: Pool,
    pub(crate) costs: Arc<CostLedger>,
    pub(crate) hooks: Hooks,
}

impl Shared {
    pub(crate) fn stores(&self, head: &Parts) -> Scoped {
        Scoped {
            originals: Arc::clone(&self.originals),
            ledger: Arc::clone(&self.ledger),
            scope: self.tenant.scope(head),
            wait: self.limits.store,
            bound: false,
            stored: false,
            on_failure: self.on_ledger_failure,
        }
    }
}

impl HeadroomLayer {
    /// The layer with its defaults: the default policy, and a [`MemoryStore`] of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().assemble()
    }

    /// What all requests of this layer's services cost and saved so far, by the providers' own
    /// counts. A request counts once its response has ended.
    #[must_use]
    pub fn costs(&self) -> Costs {
        self.shared.costs.total()
    }

    /// The same of one scope.
    #[must_use]
    pub fn costs_of(&self, scope: Scope) -> Costs {
        self.shared.costs.of(scope)
    }

    /// Configures a layer.
    pub fn builder() -> HeadroomBuilder {
        HeadroomBuilder::default()
    }
}

impl Default for HeadroomLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for HeadroomLayer {
    type Service = Headroom<S>;

    fn layer(&self, inner: S) -> Headroom<S> {
        // Pre-Start: everything is configured, nothing runs yet.
        self.shared.hooks.start();
        Headroom::new(inner, Arc::clone(&self.shared))
    }
}

/// What becomes of a request when its ledger cannot be read and thinking in the conversation may be
/// bound to what it holds, or the request goes on with a stored answer whose id may be an alias there.
///
/// Other conversations always go on: without what was recorded they are valid, merely forgetful.
///
/// ```
/// use headroom_tower::{HeadroomLayer, LedgerFailure};
/// HeadroomLayer::builder().on_ledger_failure(LedgerFailure::Refuse).build()?;
/// # Ok::<(), headroom_tower::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LedgerFailure {
    /// It goes as if nothing were recorded: a break that the report counts. Where nothing is, which
    /// is the case of most conversations, nothing is lost; where something is, the provider may
    /// refuse the thinking that it finds out of place, with a status that clients do not retry.
    #[default]
    Unrecorded,
    /// It is not sent: the client gets status 503 and `retry-after`, which official clients heed.
    Refuse,
}

/// How tenants are told apart.
#[derive(Clone, Debug)]
enum Tenants {
    By(TenantResolver),
    ByCredential,
}

/// Configures a [`HeadroomLayer`].
///
/// ```
/// use headroom_tower::{Dialect, HeadroomLayer, Limits, Policy, ToolPolicy};
/// let layer = HeadroomLayer::builder()
///     .policy(Policy::default().tool("Read", ToolPolicy::Exact))
///     .route("/v1/llm", Dialect::OpenAiChat)
///     .limits(Limits::default().request_bytes(16 << 20))
///     .build()?;
/// # drop(layer);
/// # Ok::<(), headroom_tower::BuildError>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it is built"]
pub struct HeadroomBuilder {
    policy: Policy,
    originals: Option<Arc<dyn OriginalStore>>,
    ledger: Option<Arc<dyn LedgerStore>>,
    tenant: Option<Tenants>,
    on_ledger_failure: LedgerFailure,
    handle_key: Option<HandleKey>,
    counter: Option<Arc<dyn TokenCounter>>,
    reducers: Vec<Arc<dyn Reducer>>,
    models: Vec<Model>,
    routes: Vec<(String, Dialect)>,
    resigner: Option<Resigner>,
    limits: Limits,
    hooks: Vec<Registered>,
    lazy: bool,
}

impl HeadroomBuilder {
    /// What may become of which block. One policy a conversation: see
    /// [`RequestPolicy`](crate::RequestPolicy).
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Where originals outlive their request.
    pub fn store(mut self, store: Arc<dyn OriginalStore>) -> Self {
        self.originals = Some(store);
        self
    }

    /// Where retrievals are recorded that the client never saw. A
    /// [durable](LedgerStore::durable) one is needed to give a thinking model's retrievals back to
    /// it in later turns.
    pub fn ledger(mut self, ledger: Arc<dyn LedgerStore>) -> Self {
        self.ledger = Some(ledger);
        self
    }

    /// Who may redeem what a request hides, told from its head. Without it, everyone with the same
    /// credentials: see [`tenant_by_credential`](Self::tenant_by_credential).
    ///
    /// A store that [others look things up in](OriginalStore::shared) wants this said, by this method
    /// or by one of the two below; the builder fails otherwise.
    pub fn tenant(mut self, scope: impl Fn(&Parts) -> Scope + Send + Sync + 'static) -> Self {
        self.tenant = Some(Tenants::By(TenantResolver::new(scope)));
        self
    }

    /// Everyone with the same credentials is one tenant: all of `authorization`, `x-api-key`,
    /// `x-goog-api-key` and `api-key`, hashed under the [handle key](Self::handle_key); requests
    /// without one share a scope. It is wrong where credentials are added below this layer (everyone
    /// is one tenant), and forgetful where tokens are renewed within a conversation.
    pub fn tenant_by_credential(mut self) -> Self {
        self.tenant = Some(Tenants::ByCredential);
        self
    }

    /// There is one tenant: whoever sends requests through this layer may redeem what all of them
    /// hide.
    pub fn single_tenant(self) -> Self {
        self.tenant(|_| Scope::shared())
    }

    /// What becomes of a request whose ledger does not answer, or not in time, when thinking in the
    /// conversation may be bound to what the ledger holds.
    pub fn on_ledger_failure(mut self, then: LedgerFailure) -> Self {
        self.on_ledger_failure = then;
        self
    }

    /// The deployment's key for handles; the same on every replica. A private one keeps outsiders
    /// from computing the handle of a text they guess.
    pub fn handle_key(mut self, key: HandleKey) -> Self {
        self.handle_key = Some(key);
        self
    }

    /// Counts tokens instead of the embedded `o200k`.
    pub fn counter(mut self, counter: Arc<dyn TokenCounter>) -> Self {
        self.counter = Some(counter);
        self
    }

    /// One more specialist, asked before those added earlier and the built-in ones.
    pub fn reducer(mut self, reducer: Arc<dyn Reducer>) -> Self {
        self.reducers.push(reducer);
        self
    }

    /// What is known of a model, before the built-in [catalogue](headroom_engine::catalogue); the same
    /// on every replica.
    pub fn model(mut self, row: Model) -> Self {
        self.models.push(row);
        self
    }

    /// Requests whose path ends with `suffix` speak `dialect`, beside the providers' own paths.
    pub fn route(mut self, suffix: impl Into<String>, dialect: Dialect) -> Self {
        self.routes.push((suffix.into(), dialect));
        self
    }

    /// Signs anew what carries an AWS signature when it comes here: the first request if it was
    /// changed, and every follow-up. Without it such requests pass untouched.
    ///
    /// The better place of this layer is outside signing, where nothing is signed yet. `sign` gets the
    /// final head and body, of which the old signature is still a part, and puts its own in its place;
    /// what it leaves unsigned the provider refuses.
    ///
    /// ```
    /// use headroom_tower::HeadroomLayer;
    /// let layer = HeadroomLayer::builder()
    ///     .resign(|head, body| {
    ///         head.headers.remove("authorization");
    ///         // aws_sigv4::http_request::sign(...) over `head` and `body`
    ///         let _ = body.len();
    ///     })
    ///     .build();
    /// # assert!(layer.is_ok());
    /// ```
    #[cfg(feature = "bedrock")]
    pub fn resign(mut self, sign: impl Fn(&mut Parts, &bytes::Bytes) + Send + Sync + 'static) -> Self {
        self.resigner = Some(Resigner::new(sign));
        self
    }

    /// What is held in memory, and how long others may take.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// One more hook that [observes](Hook::on_pipeline_event) what the layer does, called behind those
    /// given earlier.
    ///
    /// ```
    /// use headroom_tower::{HeadroomLayer, PipelineEvent, Stage};
    /// use std::sync::mpsc;
    /// let (sender, receiver) = mpsc::channel();
    /// let layer = HeadroomLayer::builder()
    ///     .hook(move |event: &PipelineEvent<'_>| drop(sender.send(event.stage())))
    ///     .build()?;
    /// assert_eq!(receiver.try_recv(), Ok(Stage::Setup));
    /// # drop(layer);
    /// # Ok::<(), headroom_tower::BuildError>(())
    /// ```
    pub fn hook(mut self, hook: impl Hook) -> Self {
        self.hooks.push(Registered::new(hook));
        self
    }

    /// Leaves loading the counter's tables (some 40 MB) to the first request that needs them, which
    /// then waits for them: for processes that are often idle, or must be there at once.
    pub fn lazy(mut self) -> Self {
        self.lazy = true;
        self
    }

    /// Builds the layer.
    ///
    /// # Errors
    /// Every configuration error at once.
    pub fn build(self) -> Result<HeadroomLayer, BuildError> {
        let problems = self.problems();
        if problems.is_empty() { Ok(self.assemble()) } else { Err(BuildError { problems }) }
    }

    fn problems(&self) -> Vec<String> {
        let mut problems = self.policy.problems();
        let durable = self.ledger.as_ref().is_some_and(|ledger| ledger.durable());
        if self.policy.needs_durable_ledger() && !durable {
            problems.push("policy: AdoptPolicy::NewOnly needs a durable ledger".to_owned());
        }
        for (at, (suffix, dialect)) in self.routes.iter().enumerate() {
            if !suffix.starts_with('/') || suffix.len() < 2 {
                problems.push(format!("route {suffix:?}: a path suffix starts with '/' and names something"));
            }
            if suffix.contains(['?', '#']) {
                problems.push(format!("route {suffix:?}: a path has no query or fragment"));
            }
            if self.routes[..at].iter().any(|(other, before)| other == suffix && before != dialect) {
                problems.push(format!("route {suffix:?}: two dialects"));
            }
        }
        let shared = self.originals.as_ref().is_some_and(|store| store.shared())
            || self.ledger.as_ref().is_some_and(|ledger| ledger.shared());
        if shared && self.tenant.is_none() {
            problems.push(
                "a shared store: say who the tenants are (tenant, tenant_by_credential or single_tenant)"
                    .to_owned(),
            );
        }
        let limits = &self.limits;
        for (name, zero) in [
            ("request_bytes", limits.request_bytes == 0),
            ("response_bytes", limits.response_bytes == 0),
            ("store", limits.store.is_zero()),
            ("keep_alive", limits.keep_alive.is_zero()),
        ] {
            if zero {
                problems.push(format!("limits: {name} is zero"));
            }
        }
        problems
    }

    fn assemble(self) -> HeadroomLayer {
        let tenant = match self.tenant {
            Some(Tenants::By(resolver)) => resolver,
            Some(Tenants::ByCredential) | None => {
                TenantResolver::by_credential(self.handle_key.clone().unwrap_or_default())
            }
        };
        let mut engine = Engine::builder();
        if let Some(key) = self.handle_key {
            engine = engine.handle_key(key);
        }
        if let Some(counter) = self.counter {
            engine = engine.counter(counter);
        }
        if self.lazy {
            engine = engine.lazy();
        }
        for reducer in self.reducers {
            engine = engine.reducer(reducer);
        }
        for row in self.models {
            engine = engine.model(row);
        }
        let memory = Arc::new(MemoryStore::default());
        HeadroomLayer {
            shared: Arc::new(Shared {
                engine: engine.build(),
                exact: Arc::new(self.policy.clone().exactly()),
                policy: Arc::new(self.policy),
                originals: self.originals.unwrap_or_else(|| memory.clone()),
                ledger: self.ledger.unwrap_or(memory),
                tenant,
                on_ledger_failure: self.on_ledger_failure,
                routes: self.routes,
                resigner: self.resigner,
                limits: self.limits,
                pool: Pool::default(),
                costs: Arc::default(),
                // Setup.
                hooks: Hooks::setup(self.hooks),
            }),
        }
    }
}

/// The configuration cannot work; its text lists every reason.
///
/// ```
/// use headroom_tower::{Dialect, HeadroomLayer};
/// let error = HeadroomLayer::builder().route("no-slash", Dialect::OpenAiChat).build().unwrap_err();
/// assert_eq!(error.problems().count(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError {
    problems: Vec<String>,
}

impl BuildError {
    /// The reasons, one by one.
    pub fn problems(&self) -> impl Iterator<Item = &str> {
        self.problems.iter().map(String::as_str)
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration cannot work: {}", self.problems.join("; "))
    }
}

impl std::error::Error for BuildError {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::scoped::tests::Broken;

    #[test]
    fn every_configuration_error_at_once() {
        let error = HeadroomLayer::builder()
            .route("v1/llm", Dialect::OpenAiChat)
            .route("/v1/llm?x", Dialect::OpenAiChat)
            .route("/twice", Dialect::OpenAiChat)
            .route("/twice", Dialect::AnthropicMessages)
            .limits(Limits::default().request_bytes(0).keep_alive(Duration::ZERO))
            .policy(Policy::default().tool_name("get it back").rounds(0))
            .store(Arc::new(Broken::Failing))
            .build()
            .unwrap_err();
        assert_eq!(error.problems().count(), 8, "{error}");
        let text = error.to_string();
        let words = [
            "v1/llm",
            "query",
            "two dialects",
            "request_bytes",
            "keep_alive",
            "get it back",
            "round",
            "tenants",
        ];
        for word in words {
            assert!(text.contains(word), "{word} is not in: {text}");
        }
    }

    #[test]
    fn a_shared_store_wants_its_tenants_named() {
        let shared = || HeadroomLayer::builder().store(Arc::new(Broken::Failing));
        let ledger = || HeadroomLayer::builder().ledger(Arc::new(Broken::Failing));
        assert!(shared().build().is_err() && ledger().build().is_err());
        for named in
            [shared().single_tenant(), shared().tenant_by_credential(), ledger().tenant(|_| Scope::of(b"x"))]
        {
            named.build().unwrap();
        }
    }

    #[test]
    fn a_sound_configuration_builds() {
        let store = Arc::new(MemoryStore::default());
        HeadroomLayer::builder()
            .store(store.clone())
            .ledger(store)
            .tenant(|_| Scope::of(b"x"))
            .handle_key(HandleKey::derive(b"secret"))
            .route("/v1/llm", Dialect::AnthropicMessages)
            .build()
            .unwrap();
    }

    #[test]
    fn debug_shows_no_secret() {
        let layer = HeadroomLayer::builder().handle_key(HandleKey::derive(b"secret")).build().unwrap();
        assert!(!format!("{layer:?}").contains("secret"));
    }

    #[test]
    fn static_property_send_sync_clone() {
        fn all<T: Send + Sync + Clone + Unpin + 'static>() {}
        all::<HeadroomLayer>();
        all::<HeadroomBuilder>();
        all::<Headroom<()>>();
    }
}
