//! A provider double: an HTTP server on the loopback interface that behaves as the real ones do
//! where a rewriting layer can go wrong.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use headroom_tests::provider::{Provider, Received, Turn};
//! let provider = Provider::start(|_: &Received| Turn::text("Hello.").into()).await;
//! assert!(provider.url().starts_with("http://127.0.0.1:"));
//! # });
//! ```

mod asker;
mod binding;
mod cache;
mod check;
mod cloud;
mod keeping;
mod prefix;
mod received;
mod replay;
mod script;
mod server;
mod stream;
mod wire;

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::{net::TcpListener, sync::watch, task::AbortHandle};

pub use headroom_engine::TOOL_NAME as RETRIEVAL_TOOL;

pub use asker::{Asker, Question};
pub use check::Rejection;
pub use received::{Received, Usage, text_of};
pub use replay::{Replay, turn_of};
pub use script::{Block, Fault, Framing, Gate, Reply, Script, Turn};

pub(crate) use prefix::blocks as blocks_of;

use crate::Dialect;

/// A running double. It stops when it is dropped.
pub struct Provider {
    address: SocketAddr,
    state: Arc<State>,
    task: AbortHandle,
}

/// What all connections share.
struct State {
    script: Box<dyn Script>,
    log: Mutex<Log>,
    progress: watch::Sender<Progress>,
}

#[derive(Default)]
struct Log {
    received: Vec<Arc<Received>>,
    cache: cache::Cache,
    counts: prefix::Counts,
    keeping: keeping::Keeping,
}

/// Counts that tests wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// TCP connections accepted.
    pub connections: usize,
    /// Requests read to their end.
    pub requests: usize,
    /// Answers whose body is still being sent.
    pub open: usize,
    /// Answers that the client left before their end.
    pub abandoned: usize,
}

impl Provider {
    /// Listens on a free port of 127.0.0.1 and answers with `script`.
    ///
    /// # Panics
    /// If no port can be had, or outside a tokio runtime.
    pub async fn start(script: impl Script) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = Arc::new(State {
            script: Box::new(script),
            log: Mutex::default(),
            progress: watch::Sender::default(),
        });
        let task = tokio::spawn(server::serve(listener, Arc::clone(&state))).abort_handle();
        Self { address, state, task }
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where requests of `dialect` go.
    #[must_use]
    pub fn endpoint(&self, dialect: Dialect) -> String {
        self.url() + dialect.path()
    }

    /// Every request so far, in order of arrival.
    #[must_use]
    pub fn received(&self) -> Vec<Arc<Received>> {
        self.state.log().received.clone()
    }

    /// The latest request.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn last(&self) -> Arc<Received> {
        self.state.log().received.last().cloned().expect("a request was received")
    }

    /// The counts as they are.
    #[must_use]
    pub fn progress(&self) -> Progress {
        *self.state.progress.borrow()
    }

    /// Waits until the counts are as `reached` wants them.
    pub async fn until(&self, reached: impl FnMut(&Progress) -> bool) {
        let mut progress = self.state.progress.subscribe();
        let _ = progress.wait_for(reached).await;
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("address", &self.address).finish_non_exhaustive()
    }
}

impl State {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("no test thread panicked while it logged")
    }
}
