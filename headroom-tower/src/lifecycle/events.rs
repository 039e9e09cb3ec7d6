//! Who is told, and what of one request.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use bytes::Bytes;
use headroom_engine::{Dialect, Report as RewriteReport, Rewrite};
use http::{Response, StatusCode};
use http_body::{Body, Frame};

use super::{Ending, Hook, PipelineEvent, Stage};
use crate::{body::BoxError, report::Report};

/// A hook that the builder was given.
#[derive(Clone)]
pub(crate) struct Registered(Arc<dyn Hook>);

impl Registered {
    pub(crate) fn new(hook: impl Hook) -> Self {
        Self(Arc::new(hook))
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook(..)")
    }
}

/// The hooks of a layer. Where there are none, nothing is held and nothing done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hooks(Option<Arc<Listeners>>);

#[derive(Debug)]
struct Listeners {
    hooks: Vec<Registered>,
    started: AtomicBool,
    ready: AtomicBool,
    requests: AtomicU64,
}

impl Listeners {
    /// Tells each in its order. What one of them breaks, it breaks for itself.
    fn tell(&self, event: &PipelineEvent<'_>) {
        for Registered(hook) in &self.hooks {
            let _ = catch_unwind(AssertUnwindSafe(|| hook.on_pipeline_event(event)));
        }
    }
}

impl Hooks {
    /// The layer is built.
    pub(crate) fn setup(hooks: Vec<Registered>) -> Self {
        if hooks.is_empty() {
            return Self(None);
        }
        let (started, ready) = (AtomicBool::new(false), AtomicBool::new(false));
        let listeners = Listeners { hooks, started, ready, requests: AtomicU64::new(1) };
        listeners.tell(&PipelineEvent::at(Stage::Setup));
        Self(Some(Arc::new(listeners)))
    }

    /// The layer is put around a service.
    pub(crate) fn start(&self) {
        self.once(Stage::PreStart, |listeners| &listeners.started);
    }

    /// A service of the layer is ready.
    pub(crate) fn ready(&self) {
        self.once(Stage::PostStart, |listeners| &listeners.ready);
    }

    fn once(&self, stage: Stage, told: impl FnOnce(&Listeners) -> &AtomicBool) {
        let Some(listeners) = &self.0 else { return };
        let told = told(listeners);
        if !told.load(Relaxed) && !told.swap(true, Relaxed) {
            listeners.tell(&PipelineEvent::at(stage));
        }
    }

    /// A request has come in.
    pub(crate) fn request(&self, dialect: Dialect) -> Events {
        Events(self.0.as_ref().map(|listeners| {
            Arc::new(Told {
                request: listeners.requests.fetch_add(1, Relaxed),
                listeners: Arc::clone(listeners),
                dialect,
                since: Instant::now(),
                rounds: AtomicU32::new(0),
                report: OnceLock::new(),
                ended: AtomicBool::new(false),
            })
        }))
    }
}

/// Tells the hooks of one request's way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events(Option<Arc<Told>>);

#[derive(Debug)]
struct Told {
    listeners: Arc<Listeners>,
    request: u64,
    dialect: Dialect,
    since: Instant,
    /// Sent so far.
    rounds: AtomicU32,
    /// From the first round on.
    report: OnceLock<Report>,
    ended: AtomicBool,
}

/// What is known at a stage.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts<'a> {
    bytes: Option<u64>,
    status: Option<StatusCode>,
    rewrite: Option<&'a RewriteReport>,
    ending: Option<Ending>,
}

impl<'a> Facts<'a> {
    /// So many bytes, if they are known.
    pub(crate) fn bytes(bytes: Option<u64>) -> Self {
        Self { bytes, ..Self::default() }
    }

    pub(crate) fn rewrite(rewrite: &'a Rewrite) -> Self {
        Self { rewrite: Some(&rewrite.report), ..Self::bytes(Some(rewrite.body.len() as u64)) }
    }

    pub(crate) fn response<R: Body>(response: &Response<R>) -> Self {
        Self { status: Some(response.status()), ..Self::bytes(response.body().size_hint().exact()) }
    }
}

impl Events {
    /// The request has reached `stage`.
    pub(crate) fn tell(&self, stage: Stage, facts: Facts<'_>) {
        if let Some(told) = &self.0 {
            told.tell(stage, facts);
        }
    }

    /// A first round of so many bytes is sent next: from here on there is a report.
    pub(crate) fn send(&self, bytes: Option<u64>, report: &Report) {
        if let Some(told) = &self.0 {
            let _ = told.report.set(report.clone());
            told.send(bytes);
        }
    }

    /// A further round of so many bytes is sent next.
    pub(crate) fn send_again(&self, bytes: usize) {
        if let Some(told) = &self.0 {
            told.send(Some(bytes as u64));
        }
    }

    /// No answer will come.
    pub(crate) fn broken(&self) {
        if let Some(told) = &self.0 {
            told.end(Ending::Broken, None);
        }
    }

    /// Watches for the end of an answer's body, `done` if there is nothing in it.
    pub(crate) fn closing(self, done: bool) -> Option<Box<Closing>> {
        let ending = if done { Ending::Whole } else { Ending::Dropped };
        self.0.map(|told| Box::new(Closing { told, bytes: 0, ending }))
    }
}

impl Told {
    fn tell(&self, stage: Stage, facts: Facts<'_>) {
        self.listeners.tell(&PipelineEvent {
            request: Some(self.request),
            round: self.rounds.load(Relaxed),
            dialect: Some(self.dialect),
            elapsed: Some(self.since.elapsed()),
            bytes: facts.bytes,
            status: facts.status,
            rewrite: facts.rewrite,
            report: self.report.get(),
            ending: facts.ending,
            ..PipelineEvent::at(stage)
        });
    }

    fn send(&self, bytes: Option<u64>) {
        self.rounds.fetch_add(1, Relaxed);
        self.tell(Stage::PreSend, Facts::bytes(bytes));
    }

    /// Told once, of what was sent.
    fn end(&self, ending: Ending, bytes: Option<u64>) {
        if self.rounds.load(Relaxed) > 0 && !self.ended.swap(true, Relaxed) {
            self.tell(Stage::ResponseReceived, Facts { ending: Some(ending), ..Facts::bytes(bytes) });
        }
    }
}

/// Whoever waited for the head of the answer has left.
impl Drop for Told {
    fn drop(&mut self) {
        self.end(Ending::Dropped, None);
    }
}

/// The body of an answer, seen from the client. That it is dropped is its end.
#[derive(Debug)]
pub(crate) struct Closing {
    told: Arc<Told>,
    bytes: u64,
    ending: Ending,
}

impl Closing {
    /// What the body gave, and whether nothing is behind it; `true` if this was the end.
    pub(crate) fn see(&mut self, frame: Option<&Result<Frame<Bytes>, BoxError>>, last: bool) -> bool {
        self.ending = match frame {
            Some(Err(_)) => Ending::Broken,
            None => Ending::Whole,
            // Nobody asks for more behind the last frame.
            Some(Ok(_)) if last => Ending::Whole,
            Some(Ok(_)) => Ending::Dropped,
        };
        let data = frame.and_then(|frame| frame.as_ref().ok()?.data_ref());
        self.bytes += data.map_or(0, |data| data.len() as u64);
        !matches!(frame, Some(Ok(_)))
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.told.end(self.ending, Some(self.bytes));
    }
}

impl PipelineEvent<'_> {
    fn at(stage: Stage) -> Self {
        Self {
            stage,
            request: None,
            round: 0,
            dialect: None,
            elapsed: None,
            bytes: None,
            status: None,
            rewrite: None,
            report: None,
            ending: None,
        }
    }
}
