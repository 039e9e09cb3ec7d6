//! Where originals and ledger records outlive their request.
//!
//! While a request is in flight it is its own store. What is kept here serves originals that the
//! client has compacted away, other ways of retrieval, and the ledger. A store that fails or is
//! slow changes reports, not bytes.

#[cfg(feature = "conformance")]
pub mod conformance;
mod moka;
#[cfg(any(feature = "postgres", feature = "encrypt"))]
mod pack;
#[cfg(feature = "postgres")]
mod postgres;
pub(crate) mod scoped;
#[cfg(feature = "encrypt")]
mod seal;
mod tiered;

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use headroom_engine::{LedgerKey, Record, ccr::Handle};

pub use self::moka::MemoryStore;
#[cfg(feature = "postgres")]
pub use self::postgres::{PostgresOptions, PostgresStore, Sweeper, Swept};
#[cfg(feature = "encrypt")]
pub use self::seal::{KeySource, Keyring, SealKey, Sealed};
pub use self::tiered::{TieredOptions, TieredStore};
use crate::{body::BoxError, tenant::Scope};

/// One original on its way into a store.
///
/// ```
/// use headroom_tower::{Handle, HandleKey, Original};
/// let original = Original::new(Handle::new(&HandleKey::default(), "text", "secret"), "text", "secret".into());
/// assert!(!format!("{original:?}").contains("secret"));
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Original {
    /// Names the text: a hash of `kind` and `text`.
    pub handle: Handle,
    /// The kind of content: `"json"`, `"log"`.
    pub kind: &'static str,
    /// The bytes as the client sent them: UTF-8, unless a store in front has sealed them.
    pub text: Bytes,
}

impl Original {
    /// An original of that name, kind and text.
    #[must_use]
    pub fn new(handle: Handle, kind: &'static str, text: Bytes) -> Self {
        Self { handle, kind, text }
    }
}

impl fmt::Debug for Original {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { handle, kind, text } = self;
        f.debug_struct("Original")
            .field("handle", handle)
            .field("kind", kind)
            .field("bytes", &text.len())
            .finish()
    }
}

/// What a put promises when it succeeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Durability {
    /// It will be kept unless something fails. The store may answer before it has written.
    BestEffort,
    /// It is kept: as durably as the store can.
    #[default]
    Required,
}

/// Keeps originals, each under a scope and its handle.
///
/// Handles are hashes of the content, so every call is idempotent. Calls may be dropped at any
/// await point. Each is under a deadline ([`Limits::store`](crate::Limits::store)).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use headroom_tower::{Handle, HandleKey, MemoryStore, Original, OriginalStore as _, Scope};
/// let (store, mine) = (MemoryStore::default(), Scope::of(b"me"));
/// let handle = Handle::new(&HandleKey::default(), "text", "hidden");
/// store.put_many(mine, vec![Original::new(handle, "text", "hidden".into())]).await?;
/// assert_eq!(store.get(mine, handle).await?.as_deref(), Some(&b"hidden"[..]));
/// assert_eq!(store.get(Scope::of(b"you"), handle).await?, None);
/// # Ok::<(), headroom_tower::StoreError>(())
/// # }).unwrap();
/// ```
#[async_trait]
pub trait OriginalStore: Send + Sync + fmt::Debug {
    /// Keeps `originals`.
    ///
    /// # Errors
    /// If not all of them were taken.
    async fn put_many(&self, scope: Scope, originals: Vec<Original>) -> Result<(), StoreError>;

    /// [`put_many`](Self::put_many), which is what [`Durability::Required`] means; a store that can
    /// be quicker where less is asked for does so here.
    ///
    /// # Errors
    /// As `put_many`.
    async fn put_with(
        &self,
        scope: Scope,
        originals: Vec<Original>,
        durability: Durability,
    ) -> Result<(), StoreError> {
        let _ = durability;
        self.put_many(scope, originals).await
    }

    /// Whether others than this process look things up here. Then the builder wants to be told who
    /// its [tenants](crate::HeadroomBuilder::tenant) are.
    fn shared(&self) -> bool {
        true
    }

    /// Marks what is held as seen now, so that it lives on, and returns what is not held.
    ///
    /// # Errors
    /// If the store cannot tell.
    async fn touch_many(&self, scope: Scope, handles: &[Handle]) -> Result<Vec<Handle>, StoreError>;

    /// The text of an original, or `None` if this scope does not hold it.
    ///
    /// # Errors
    /// If the store cannot tell.
    async fn get(&self, scope: Scope, handle: Handle) -> Result<Option<Bytes>, StoreError>;

    /// Forgets everything under `scope`.
    ///
    /// # Errors
    /// If something may be left.
    async fn delete_scope(&self, scope: Scope) -> Result<(), StoreError>;
}

/// Keeps ledger records, each under a scope and its key. Values are opaque.
///
/// Calls may be dropped at any await point. Each is under a deadline
/// ([`Limits::store`](crate::Limits::store)).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use headroom_tower::{LedgerKey, LedgerStore as _, MemoryStore, Record, Scope};
/// let (ledger, mine) = (MemoryStore::default(), Scope::of(b"me"));
/// let record = Record::new(LedgerKey::from_bytes([7; 32]), "what was said".into());
/// ledger.put_many(mine, vec![record.clone()]).await?;
/// assert_eq!(ledger.get_many(mine, &[record.key]).await?, [record]);
/// # Ok::<(), headroom_tower::StoreError>(())
/// # }).unwrap();
/// ```
#[async_trait]
pub trait LedgerStore: Send + Sync + fmt::Debug {
    /// The records that `scope` holds under `keys`, in any order, and marks them as seen now.
    ///
    /// # Errors
    /// If the ledger cannot tell.
    async fn get_many(&self, scope: Scope, keys: &[LedgerKey]) -> Result<Vec<Record>, StoreError>;

    /// What can be told of `keys` at once and without asking others, when
    /// [`get_many`](Self::get_many) has failed and nothing depends on what is missing.
    async fn at_hand(&self, scope: Scope, keys: &[LedgerKey]) -> Vec<Record> {
        let _ = (scope, keys);
        Vec::new()
    }

    /// Keeps `records`; the last one of a key wins.
    ///
    /// # Errors
    /// If not all of them were taken. For a durable ledger success is a promise.
    async fn put_many(&self, scope: Scope, records: Vec<Record>) -> Result<(), StoreError>;

    /// [`put_many`](Self::put_many), which is what [`Durability::Required`] means; a ledger that can
    /// be quicker where less is asked for does so here.
    ///
    /// # Errors
    /// As `put_many`.
    async fn put_with(
        &self,
        scope: Scope,
        records: Vec<Record>,
        durability: Durability,
    ) -> Result<(), StoreError> {
        let _ = durability;
        self.put_many(scope, records).await
    }

    /// Whether others than this process look things up here. Then the builder wants to be told who
    /// its [tenants](crate::HeadroomBuilder::tenant) are.
    fn shared(&self) -> bool {
        true
    }

    /// Whether what was acknowledged is found by every replica and outlives them.
    fn durable(&self) -> bool;

    /// Forgets everything under `scope`.
    ///
    /// # Errors
    /// If something may be left.
    async fn delete_scope(&self, scope: Scope) -> Result<(), StoreError>;
}

/// A store failed; the cause is its [`source`](std::error::Error::source).
///
/// ```
/// use std::error::Error as _;
/// let error = headroom_tower::StoreError::new("the disk is full");
/// assert_eq!(error.source().unwrap().to_string(), "the disk is full");
/// ```
#[derive(Debug, thiserror::Error)]
#[error("the store failed")]
pub struct StoreError {
    source: BoxError,
}

impl StoreError {
    /// Wraps a store's own error.
    #[must_use]
    pub fn new(source: impl Into<BoxError>) -> Self {
        Self { source: source.into() }
    }
}
