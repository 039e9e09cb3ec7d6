use std::{
    future::Future,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use headroom_engine::ccr::Handle;
use tokio::time::{sleep, timeout};

use super::Core;
use crate::{
    store::{LedgerStore, OriginalStore, StoreError},
    tenant::Scope,
};

/// Failures in a row after which a store is down.
const FAILURES: u32 = 3;

/// How often one that is down is asked whether it is back: soon at first.
const FIRST: Duration = Duration::from_millis(20);
const LATER: Duration = Duration::from_secs(1);

/// Keeps requests from waiting for a store that does not answer.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: AtomicU32,
    probing: AtomicBool,
}

impl Breaker {
    pub(super) fn is_open(&self) -> bool {
        self.failures.load(Relaxed) >= FAILURES
    }

    /// Does `work` for a request: under the deadline, and not at all while the store is down.
    pub(super) async fn ask<S, T>(
        &self,
        core: &Arc<Core<S>>,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError>
    where
        S: OriginalStore + LedgerStore + 'static,
    {
        if self.is_open() {
            return Err(StoreError::new("the store is down"));
        }
        let done = timeout(core.wait, work).await.unwrap_or_else(|late| Err(StoreError::new(late)));
        match &done {
            Ok(_) => self.failures.store(0, Relaxed),
            Err(_) => self.failed(core),
        }
        done
    }

    fn failed<S>(&self, core: &Arc<Core<S>>)
    where
        S: OriginalStore + LedgerStore + 'static,
    {
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        if failures >= FAILURES && !self.probing.swap(true, Relaxed) {
            tokio::spawn(probe(Arc::downgrade(core)));
        }
    }
}

/// Asks a store that is down until it answers, or nobody needs it any more.
async fn probe<S>(core: Weak<Core<S>>)
where
    S: OriginalStore + LedgerStore + 'static,
{
    let mut pause = FIRST;
    loop {
        sleep(pause).await;
        pause = (pause * 2).min(LATER);
        let Some(core) = core.upgrade() else { return };
        let Some(nothing) = Handle::from_bytes([0; 16]) else { return };
        // No tenant has this scope.
        let question = core.back.get(Scope::of(b"headroom: is the store up?"), nothing);
        if matches!(timeout(core.wait, question).await, Ok(Ok(_))) {
            core.breaker.probing.store(false, Relaxed);
            core.breaker.failures.store(0, Relaxed);
            return;
        }
    }
}
