use std::fmt;

use async_trait::async_trait;

use crate::{store::StoreError, tenant::Scope};

/// A key that one scope's rows are sealed with.
#[derive(Clone)]
pub struct SealKey {
    id: u32,
    secret: [u8; 32],
}

impl SealKey {
    /// A key. Its `id` stands in each row that it seals, in the clear.
    #[must_use]
    pub fn new(id: u32, secret: [u8; 32]) -> Self {
        Self { id, secret }
    }

    /// What names it among its scope's keys.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn cipher(&self) -> [u8; 32] {
        blake3::derive_key("headroom 2026-11 seal cipher", &self.secret)
    }

    pub(super) fn nonces(&self) -> [u8; 32] {
        blake3::derive_key("headroom 2026-11 seal nonce", &self.secret)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealKey({}, ..)", self.id)
    }
}

/// Where keys come from: a [`Keyring`], or a service that keeps them.
///
/// It is asked for each call of the store; a source that asks others should remember their answers.
#[async_trait]
pub trait KeySource: Send + Sync + fmt::Debug {
    /// The key that `scope`'s new rows are sealed with.
    ///
    /// # Errors
    /// If there is none now: then nothing is put.
    async fn current(&self, scope: Scope) -> Result<SealKey, StoreError>;

    /// The key that `scope`'s rows were sealed with under this id; `None` if it was erased or never
    /// was: these rows count as not held.
    ///
    /// # Errors
    /// If the source cannot tell.
    async fn named(&self, scope: Scope, id: u32) -> Result<Option<SealKey>, StoreError>;

    /// Forgets `scope`'s keys for good.
    ///
    /// # Errors
    /// If one may be left.
    async fn erase(&self, scope: Scope) -> Result<(), StoreError>;
}

/// Derives each scope's key from secrets of the deployment.
///
/// Rotate by adding a secret under a new id and keeping the old ones until what they sealed has aged
/// away. A key that can be derived can be derived again: erasing a scope deletes its rows, but not
/// what backups hold of them. For that, keep a random key for each scope in a [`KeySource`] of your
/// own.
///
/// ```
/// use headroom_tower::{Keyring, MemoryStore, Sealed};
/// let (old, new) = ([1; 32], [2; 32]); // from your secrets
/// let store = Sealed::new(MemoryStore::default(), Keyring::new(2, new).and_older(1, old));
/// # drop(store);
/// ```
#[derive(Clone)]
pub struct Keyring {
    current: u32,
    secrets: Vec<(u32, [u8; 32])>,
}

impl Keyring {
    /// A ring of one secret, 32 bytes that nobody can guess.
    #[must_use]
    pub fn new(id: u32, secret: [u8; 32]) -> Self {
        Self { current: id, secrets: vec![(id, secret)] }
    }

    /// One more secret, for what was sealed with it before.
    #[must_use]
    pub fn and_older(mut self, id: u32, secret: [u8; 32]) -> Self {
        self.secrets.push((id, secret));
        self
    }

    fn key(&self, scope: Scope, id: u32) -> Option<SealKey> {
        let (_, secret) = self.secrets.iter().find(|(known, _)| *known == id)?;
        let key = blake3::derive_key("headroom 2026-11 keyring", secret);
        Some(SealKey::new(id, *blake3::keyed_hash(&key, &scope.to_bytes()).as_bytes()))
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("current", &self.current).finish_non_exhaustive()
    }
}

#[async_trait]
impl KeySource for Keyring {
    async fn current(&self, scope: Scope) -> Result<SealKey, StoreError> {
        self.key(scope, self.current).ok_or_else(|| StoreError::new("no key"))
    }

    async fn named(&self, scope: Scope, id: u32) -> Result<Option<SealKey>, StoreError> {
        Ok(self.key(scope, id))
    }

    async fn erase(&self, _: Scope) -> Result<(), StoreError> {
        Ok(())
    }
}
