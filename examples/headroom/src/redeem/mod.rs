//! Handles, redeemed from wherever their originals are: this process, a shared store, a proxy.

mod proxy;
mod store;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use headroom_engine::{
    ccr::{self, Arguments, Handle, Unresolved, answer},
    tokens::O200k,
};
use headroom_tower::{MemoryStore, Original, OriginalStore, Scope, StoreError};
use serde_json::{Value, json};

pub(crate) use self::proxy::Proxy;
use crate::{config::Secret, exit::Failure};

/// Where handles are looked up, and the tokens that one answer may have.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Places {
    /// A running `headroom proxy`, as in `http://127.0.0.1:8787`.
    #[arg(long, value_name = "URL", env = "HEADROOM_PROXY")]
    proxy: Option<String>,

    /// What the proxy asks for, if it asks.
    #[arg(long, value_name = "TOKEN", env = "HEADROOM_TOKEN", hide_env_values = true)]
    proxy_token: Option<Secret>,

    /// A header line for the proxy, as in `x-api-key: …`: where it keeps the originals of different
    /// credentials apart, it wants the client's.
    #[arg(long, value_name = "LINE", requires = "proxy")]
    proxy_header: Vec<Secret>,

    /// A store that others put originals into: `postgres://user@host/database`.
    #[arg(long, value_name = "URL", env = "HEADROOM_STORE", hide_env_values = true)]
    store: Option<Secret>,

    /// What seals the content of that store, if it is sealed.
    #[arg(long, value_name = "KEY", env = "HEADROOM_STORE_KEY", hide_env_values = true)]
    store_key: Option<Secret>,

    /// Whose originals in that store.
    #[arg(long, value_name = "NAME", requires = "store")]
    tenant: Option<String>,

    /// The most tokens that one answer has.
    #[arg(long, value_name = "TOKENS", default_value_t = 8000)]
    answer_tokens: usize,
}

impl Places {
    /// Whether nobody is named who could be asked.
    pub(crate) fn are_none(&self) -> bool {
        self.proxy.is_none() && self.store.as_ref().is_none_or(|store| store.reveal() == "memory")
    }
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Memory,
    Store,
    Proxy,
}

/// Why there is no answer. Each says what to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The arguments cannot be understood.
    Arguments(String),
    /// Nobody has the original.
    Unknown(String),
    /// A store or a proxy failed, so nobody knows.
    Failed(String),
}

impl Refusal {
    /// As a model reads it.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Arguments(text) | Self::Unknown(text) | Self::Failed(text) => text,
        }
    }

    /// As people read it, behind the program's name.
    pub(crate) fn told(&self) -> &str {
        self.text().trim_start_matches("Error: ")
    }
}

/// The shared store, and whose originals in it.
#[derive(Clone, Debug)]
struct Shared {
    store: Arc<dyn OriginalStore>,
    scope: Scope,
}

/// Redeems handles. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub(crate) struct Redeemer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    memory: MemoryStore,
    /// What was put here, so that a handle's first digits suffice.
    known: Mutex<Vec<Handle>>,
    shared: Option<Shared>,
    proxy: Option<Proxy>,
    answer_tokens: usize,
    counts: Counts,
}

/// How often what happened.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) memory: AtomicU64,
    pub(crate) store: AtomicU64,
    pub(crate) proxy: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) unknown: AtomicU64,
    pub(crate) failed: AtomicU64,
}

/// Handles that are completed from their first digits.
const KNOWN: usize = 100_000;

impl Redeemer {
    /// Connects to what `places` names.
    pub(crate) async fn open(places: &Places) -> Result<Self, Failure> {
        // The proxy's own memory is asked through the proxy.
        let shared = match places.store.as_ref().map(Secret::reveal) {
            None | Some("memory") => None,
            Some(url) => {
                let key = places.store_key.as_ref();
                let store = store::connect(url, key).await?;
                let tenant = places.tenant.as_ref();
                let scope = tenant.map_or_else(Scope::shared, |name| Scope::of(name.as_bytes()));
                Some(Shared { store, scope })
            }
        };
        let proxy = match &places.proxy {
            None => None,
            Some(url) => {
                let proxy = Proxy::new(url, places.proxy_token.as_ref(), &places.proxy_header);
                Some(proxy.map_err(|error| Failure::wrong(format_args!("--proxy: {error}")))?)
            }
        };
        Ok(Self(Arc::new(Inner {
            memory: MemoryStore::default(),
            known: Mutex::default(),
            shared,
            proxy,
            answer_tokens: places.answer_tokens,
            counts: Counts::default(),
        })))
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.0.counts
    }

    pub(crate) fn proxy(&self) -> Option<&Proxy> {
        self.0.proxy.as_ref()
    }

    /// Keeps `originals`, here and in the shared store. Only if all were taken may they be left out.
    pub(crate) async fn keep(&self, originals: Vec<Original>) -> Result<(), StoreError> {
        if let Some(Shared { store, scope }) = &self.0.shared {
            store.put_many(*scope, originals.clone()).await?;
        }
        self.hold(originals).await
    }

    /// Keeps `originals` here alone.
    pub(crate) async fn hold(&self, originals: Vec<Original>) -> Result<(), StoreError> {
        let handles: Vec<Handle> = originals.iter().map(|original| original.handle).collect();
        self.0.memory.put_many(Scope::shared(), originals).await?;
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(handles);
        if known.len() > KNOWN {
            known.drain(..KNOWN / 2);
        }
        Ok(())
    }

    /// Answers a retrieval whose arguments are the JSON text `arguments`, with at most `tokens`.
    pub(crate) async fn redeem(
        &self,
        arguments: &str,
        tokens: Option<usize>,
    ) -> Result<(String, Place), Refusal> {
        let answered = self.answer(arguments, tokens).await;
        let counts = &self.0.counts;
        let count = match &answered {
            Ok((_, Place::Memory)) => &counts.memory,
            Ok((_, Place::Store)) => &counts.store,
            Ok((_, Place::Proxy)) => &counts.proxy,
            Err(Refusal::Arguments(_)) => &counts.refused,
            Err(Refusal::Unknown(_)) => &counts.unknown,
            Err(Refusal::Failed(_)) => &counts.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
        answered
    }

    async fn answer(&self, json: &str, tokens: Option<usize>) -> Result<(String, Place), Refusal> {
        let arguments =
            Arguments::parse(json).map_err(|error| Refusal::Arguments(answer::bad_arguments(&error)))?;
        let handle = self.handle(&arguments)?;
        let tokens = tokens.unwrap_or(self.0.answer_tokens);
        let mut failures = Vec::new();
        match self.original(handle).await {
            Ok(Some((original, place))) => {
                let original = String::from_utf8_lossy(&original);
                let request = answer::Request::of(handle, &arguments, tokens);
                return Ok((ccr::answer(&original, &request, &O200k), place));
            }
            Ok(None) => {}
            Err(error) => failures.push(format!("the store failed: {error}")),
        }
        if let Some(proxy) = &self.0.proxy {
            let mut asked: Value = serde_json::from_str(json).unwrap_or_default();
            if let Value::Object(asked) = &mut asked {
                asked.retain(|name, value| {
                    ["handle", "query", "range"].contains(&name.as_str()) && !value.is_null()
                });
                asked.insert("budget".to_owned(), tokens.into());
            }
            match proxy.retrieve(&asked).await {
                Ok(Some(text)) => return Ok((text, Place::Proxy)),
                Ok(None) => {}
                Err(error) => failures.push(error.to_string()),
            }
        }
        Err(match failures.is_empty() {
            true => Refusal::Unknown(answer::missing(handle)),
            false => Refusal::Failed(format!("Error: {}.", failures.join("; "))),
        })
    }

    /// The original itself, from here or the shared store.
    async fn original(&self, handle: Handle) -> Result<Option<(Bytes, Place)>, StoreError> {
        if let Some(original) = self.0.memory.get(Scope::shared(), handle).await? {
            return Ok(Some((original, Place::Memory)));
        }
        let Some(Shared { store, scope }) = &self.0.shared else { return Ok(None) };
        Ok(store.get(*scope, handle).await?.map(|original| (original, Place::Store)))
    }

    /// All of the original that `handle` names, from wherever it is.
    pub(crate) async fn whole(&self, handle: &str) -> Result<Bytes, Refusal> {
        let json = json!({ "handle": handle }).to_string();
        let arguments =
            Arguments::parse(&json).map_err(|error| Refusal::Arguments(answer::bad_arguments(&error)))?;
        let handle = self.handle(&arguments)?;
        let failed = |error: String| Refusal::Failed(format!("Error: {error}."));
        match self.original(handle).await {
            Ok(Some((original, _))) => return Ok(original),
            Ok(None) => {}
            Err(error) => return Err(failed(format!("the store failed: {error}"))),
        }
        let unknown = || Refusal::Unknown(answer::missing(handle));
        let proxy = self.0.proxy.as_ref().ok_or_else(unknown)?;
        let asked = json!({ "handle": handle.to_string(), "whole": true });
        let text = proxy.retrieve(&asked).await.map_err(|error| failed(error.to_string()))?;
        text.map(Bytes::from).ok_or_else(unknown)
    }

    /// The handle that is meant: one of ours, or a whole one that others may know.
    fn handle(&self, arguments: &Arguments) -> Result<Handle, Refusal> {
        let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        let error = match arguments.resolve(&known) {
            Ok(handle) => return Ok(handle),
            Err(error) => error,
        };
        let text = format!("Error: {error}.");
        Err(match &error {
            Unresolved::Unknown(digits) => match digits.parse() {
                Ok(handle) => return Ok(handle),
                Err(_) => Refusal::Unknown(text),
            },
            _ => Refusal::Arguments(text),
        })
    }
}
