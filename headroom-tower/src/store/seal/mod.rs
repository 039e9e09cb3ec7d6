//! Encryption at rest, over any store.

mod keys;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use headroom_engine::{LedgerKey, Record, ccr::Handle};

pub use self::keys::{KeySource, Keyring, SealKey};
use super::{
    Durability, LedgerStore, Original, OriginalStore, StoreError,
    pack::{self, Codec},
};
use crate::tenant::Scope;

/// Seals what goes into a store, each scope's under a key of its own (feature `encrypt`).
///
/// ```no_run
/// # use std::sync::Arc;
/// use headroom_tower::{Keyring, PostgresStore, Sealed, TieredStore};
/// # async fn f(secret: [u8; 32], url: &str) -> Result<(), Box<dyn std::error::Error>> {
/// let postgres = PostgresStore::connect(url).await?;
/// let store = Arc::new(TieredStore::new(Sealed::new(postgres, Keyring::new(1, secret))));
/// # drop(store); Ok(()) }
/// ```
///
/// Content is compressed, then sealed with XChaCha20-Poly1305. Scope and handle (or ledger key) are
/// authenticated with it: a row that is moved under another scope or handle is an error, not another
/// text. The nonce is a keyed hash of all that is sealed, so the same text in the same place seals to
/// the same bytes and no nonce is ever used for two; this needs no randomness.
///
/// Names stay readable: scopes are hashes of what the tenant resolver says, handles are hashes under
/// the [handle key](crate::HeadroomBuilder::handle_key), which should be a private one here; so do
/// kinds, sizes and times.
///
/// [`delete_scope`](OriginalStore::delete_scope) deletes the rows and then has the key source
/// [erase](KeySource::erase) the scope's keys. With keys that exist nowhere else, backups and logs of
/// the database are unreadable from then on.
pub struct Sealed<S> {
    store: S,
    keys: Arc<dyn KeySource>,
}

/// What a row of ours begins with.
const VERSION: u8 = 1;
const NONCE: usize = 24;
const HEAD: usize = 1 + 4 + NONCE;

/// What is sealed, so that one is not taken for the other.
#[derive(Clone, Copy, Debug)]
enum What {
    Original,
    Record,
}

impl<S> Sealed<S> {
    /// `store`, which sees no content from here on. What it held unsealed counts as damaged.
    #[must_use]
    pub fn new(store: S, keys: impl KeySource + 'static) -> Self {
        Self { store, keys: Arc::new(keys) }
    }

    /// The store behind.
    pub fn get_ref(&self) -> &S {
        &self.store
    }

    /// `None` if the key that it was sealed with is gone.
    async fn open(
        &self,
        what: What,
        scope: Scope,
        name: &[u8],
        sealed: &Bytes,
    ) -> Result<Option<Bytes>, StoreError> {
        let Some(id) = key_id(sealed) else { return Err(damaged()) };
        let Some(key) = self.keys.named(scope, id).await? else { return Ok(None) };
        open(&key, &place(what, scope, name), sealed).map(Some)
    }
}

impl<S: fmt::Debug> fmt::Debug for Sealed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sealed").field(&self.store).finish()
    }
}

/// What is authenticated beside the content: where it stands.
fn place(what: What, scope: Scope, name: &[u8]) -> Vec<u8> {
    let mut place = Vec::with_capacity(2 + 32 + name.len());
    place.extend_from_slice(&[VERSION, what as u8]);
    place.extend_from_slice(&scope.to_bytes());
    place.extend_from_slice(name);
    place
}

fn seal(key: &SealKey, place: &[u8], content: &[u8]) -> Result<Bytes, StoreError> {
    let (codec, packed) = pack::pack(content);
    let length = u32::try_from(content.len()).map_err(StoreError::new)?;
    let mut plain = Vec::with_capacity(packed.len() + 5);
    plain.push(codec as u8);
    plain.extend_from_slice(&length.to_le_bytes());
    plain.extend_from_slice(&packed);

    let mut hasher = blake3::Hasher::new_keyed(&key.nonces());
    hasher.update(&(place.len() as u64).to_le_bytes());
    hasher.update(place);
    hasher.update(&plain);
    let mut nonce = [0; NONCE];
    hasher.finalize_xof().fill(&mut nonce);

    let cipher = XChaCha20Poly1305::new(&key.cipher().into());
    let payload = Payload { msg: &plain, aad: place };
    // The error says nothing but that there is one.
    let body = cipher
        .encrypt(&XNonce::from(nonce), payload)
        .map_err(|_| StoreError::new("too long to be sealed"))?;
    let mut sealed = Vec::with_capacity(HEAD + body.len());
    sealed.push(VERSION);
    sealed.extend_from_slice(&key.id().to_le_bytes());
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&body);
    Ok(sealed.into())
}

fn key_id(sealed: &[u8]) -> Option<u32> {
    if sealed.len() < HEAD || sealed[0] != VERSION {
        return None;
    }
    Some(u32::from_le_bytes(sealed[1..5].try_into().ok()?))
}

fn open(key: &SealKey, place: &[u8], sealed: &[u8]) -> Result<Bytes, StoreError> {
    let (head, body) = sealed.split_at_checked(HEAD).ok_or_else(damaged)?;
    let nonce: [u8; NONCE] = head[HEAD - NONCE..].try_into().map_err(|_| damaged())?;
    let cipher = XChaCha20Poly1305::new(&key.cipher().into());
    let payload = Payload { msg: body, aad: place };
    let plain = cipher.decrypt(&XNonce::from(nonce), payload).map_err(|_| damaged())?;
    let (head, packed) = plain.split_at_checked(5).ok_or_else(damaged)?;
    let codec = Codec::of(i16::from(head[0])).ok_or_else(damaged)?;
    let length = u32::from_le_bytes(head[1..5].try_into().map_err(|_| damaged())?);
    let content = pack::unpack(codec, packed.to_vec(), length as usize).map_err(|_| damaged())?;
    Ok(content.into())
}

fn damaged() -> StoreError {
    StoreError::new("a row is not what was sealed")
}

#[async_trait]
impl<S: OriginalStore> OriginalStore for Sealed<S> {
    async fn put_many(&self, scope: Scope, originals: Vec<Original>) -> Result<(), StoreError> {
        self.put_with(scope, originals, Durability::Required).await
    }

    async fn put_with(
        &self,
        scope: Scope,
        mut originals: Vec<Original>,
        durability: Durability,
    ) -> Result<(), StoreError> {
        if originals.is_empty() {
            return Ok(());
        }
        let key = self.keys.current(scope).await?;
        for original in &mut originals {
            let place = place(What::Original, scope, &original.handle.to_bytes());
            original.text = seal(&key, &place, &original.text)?;
        }
        self.store.put_with(scope, originals, durability).await
    }

    async fn touch_many(&self, scope: Scope, handles: &[Handle]) -> Result<Vec<Handle>, StoreError> {
        self.store.touch_many(scope, handles).await
    }

    async fn get(&self, scope: Scope, handle: Handle) -> Result<Option<Bytes>, StoreError> {
        match self.store.get(scope, handle).await? {
            Some(sealed) => self.open(What::Original, scope, &handle.to_bytes(), &sealed).await,
            None => Ok(None),
        }
    }

    fn shared(&self) -> bool {
        self.store.shared()
    }

    async fn delete_scope(&self, scope: Scope) -> Result<(), StoreError> {
        let deleted = self.store.delete_scope(scope).await;
        self.keys.erase(scope).await?;
        deleted
    }
}

#[async_trait]
impl<S: LedgerStore> LedgerStore for Sealed<S> {
    async fn get_many(&self, scope: Scope, keys: &[LedgerKey]) -> Result<Vec<Record>, StoreError> {
        let mut found = Vec::new();
        for record in self.store.get_many(scope, keys).await? {
            let value = self.open(What::Record, scope, &record.key.to_bytes(), &record.value).await?;
            found.extend(value.map(|value| Record::new(record.key, value)));
        }
        Ok(found)
    }

    async fn put_many(&self, scope: Scope, records: Vec<Record>) -> Result<(), StoreError> {
        LedgerStore::put_with(self, scope, records, Durability::Required).await
    }

    async fn put_with(
        &self,
        scope: Scope,
        mut records: Vec<Record>,
        durability: Durability,
    ) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        let key = self.keys.current(scope).await?;
        for record in &mut records {
            let place = place(What::Record, scope, &record.key.to_bytes());
            record.value = seal(&key, &place, &record.value)?;
        }
        self.store.put_with(scope, records, durability).await
    }

    fn shared(&self) -> bool {
        self.store.shared()
    }

    fn durable(&self) -> bool {
        self.store.durable()
    }

    async fn delete_scope(&self, scope: Scope) -> Result<(), StoreError> {
        let deleted = self.store.delete_scope(scope).await;
        self.keys.erase(scope).await?;
        deleted
    }
}
