//! The eleven stages of a layer and of a request through it, and the hooks that observe them.

mod events;
#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use headroom_engine::{Dialect, Report as RewriteReport};
use http::StatusCode;

pub(crate) use self::events::{Closing, Events, Facts, Hooks, Registered};
use crate::report::Report;

/// A stage of the layer's life, or of a request's.
///
/// A request's stages come in the order in which they stand here. Each is told once a request, but
/// [`PreSend`](Self::PreSend) and [`PostSend`](Self::PostSend), which are told once a
/// [round](PipelineEvent::round).
///
/// ```
/// use headroom_tower::Stage;
/// assert_eq!(Stage::InputCompressed.name(), "input_compressed");
/// assert_eq!(Stage::PreSend.to_string(), "pre_send");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The layer was built.
    Setup,
    /// The layer was put around a service, the first one.
    PreStart,
    /// A service of the layer is ready, the first time.
    PostStart,
    /// The body was read, decoded and scanned, or could not be.
    InputReceived,
    /// The ledger has answered: what the provider has cached is known and stays as it is.
    InputCached,
    /// What each block is, is known. The engine routes and compresses block by block, so this is told
    /// behind both, as is the next.
    InputRouted,
    /// What each block became, and its tokens, are known.
    InputCompressed,
    /// Originals and notes were handed to the stores.
    InputRemembered,
    /// The request of a round is sent next.
    PreSend,
    /// The head of a round's response is here.
    PostSend,
    /// The response's body has ended, or was dropped: its [`Ending`] says which.
    ResponseReceived,
}

impl Stage {
    /// A stable name for logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::PreStart => "pre_start",
            Self::PostStart => "post_start",
            Self::InputReceived => "input_received",
            Self::InputCached => "input_cached",
            Self::InputRouted => "input_routed",
            Self::InputCompressed => "input_compressed",
            Self::InputRemembered => "input_remembered",
            Self::PreSend => "pre_send",
            Self::PostSend => "post_send",
            Self::ResponseReceived => "response_received",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How an answer ended for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ending {
    /// With its last byte.
    Whole,
    /// With an error, of the service or of the body.
    Broken,
    /// It was dropped before its end: the client went away, or had heard enough.
    Dropped,
}

impl Ending {
    /// A stable name for logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Broken => "broken",
            Self::Dropped => "dropped",
        }
    }
}

/// Observes what the layer does: see [`HeadroomBuilder::hook`](crate::HeadroomBuilder::hook), and
/// [`docs::hooks`](crate::docs::hooks) for when what is told.
///
/// A closure over `&PipelineEvent<'_>` is one.
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicU64, Ordering::Relaxed}};
/// use headroom_tower::{HeadroomLayer, Hook, PipelineEvent, Stage};
///
/// #[derive(Clone, Default)]
/// struct Saved(Arc<AtomicU64>);
///
/// impl Hook for Saved {
///     fn on_pipeline_event(&self, event: &PipelineEvent<'_>) {
///         if let (Stage::InputCompressed, Some(rewrite)) = (event.stage(), event.rewrite()) {
///             self.0.fetch_add(rewrite.tokens_saved() as u64, Relaxed);
///         }
///     }
/// }
///
/// let saved = Saved::default();
/// let layer = HeadroomLayer::builder().hook(saved.clone()).build()?;
/// # drop(layer);
/// # Ok::<(), headroom_tower::BuildError>(())
/// ```
pub trait Hook: Send + Sync + 'static {
    /// A stage was reached.
    ///
    /// It is called on the task of the request, which waits for it: what takes time (a file, the
    /// network, a contended lock) belongs behind a channel. A panic ends this call alone, where
    /// panics unwind.
    fn on_pipeline_event(&self, event: &PipelineEvent<'_>);
}

impl<F> Hook for F
where
    F: Fn(&PipelineEvent<'_>) + Send + Sync + 'static,
{
    fn on_pipeline_event(&self, event: &PipelineEvent<'_>) {
        self(event);
    }
}

/// A stage that was reached, and what is known there: numbers and reasons, never text, headers or
/// addresses.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct PipelineEvent<'a> {
    stage: Stage,
    request: Option<u64>,
    round: u32,
    dialect: Option<Dialect>,
    elapsed: Option<Duration>,
    bytes: Option<u64>,
    status: Option<StatusCode>,
    rewrite: Option<&'a RewriteReport>,
    report: Option<&'a Report>,
    ending: Option<Ending>,
}

impl<'a> PipelineEvent<'a> {
    /// The stage.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The request's number, no other's in this layer; `None` for the stages of the layer itself.
    #[must_use]
    pub fn request(&self) -> Option<u64> {
        self.request
    }

    /// The round, from 1, that is being sent and answered; 0 before the first
    /// [`Stage::PreSend`]. Rounds behind the first one carry what the model asked back.
    #[must_use]
    pub fn round(&self) -> u32 {
        self.round
    }

    /// The dialect that the request's path speaks.
    #[must_use]
    pub fn dialect(&self) -> Option<Dialect> {
        self.dialect
    }

    /// The time since the request came in.
    #[must_use]
    pub fn elapsed(&self) -> Option<Duration> {
        self.elapsed
    }

    /// Bytes of the body, where they are known: received, as they came; from
    /// [`Stage::InputRouted`] to [`Stage::PreSend`], going out; at [`Stage::PostSend`], what the
    /// response announces; at [`Stage::ResponseReceived`], what the client was given.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// The status of the round's response, at [`Stage::PostSend`].
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// What the engine did to each block, from [`Stage::InputRouted`] on; `None` if the request was
    /// [skipped](Report::skipped).
    #[must_use]
    pub fn rewrite(&self) -> Option<&'a RewriteReport> {
        self.rewrite.or_else(|| self.report?.rewrite())
    }

    /// The report, from [`Stage::PreSend`] on; complete at [`Stage::ResponseReceived`]. A clone may be
    /// kept.
    #[must_use]
    pub fn report(&self) -> Option<&'a Report> {
        self.report
    }

    /// How the answer ended, at [`Stage::ResponseReceived`].
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }
}

impl fmt::Debug for PipelineEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PipelineEvent");
        debug.field("stage", &self.stage);
        let mut some = |name, value: Option<&dyn fmt::Debug>| {
            if let Some(value) = value {
                debug.field(name, value);
            }
        };
        some("request", self.request.as_ref().map(|it| it as _));
        some("round", Some(&self.round).filter(|round| **round > 0).map(|it| it as _));
        some("dialect", self.dialect.as_ref().map(|it| it as _));
        some("elapsed", self.elapsed.as_ref().map(|it| it as _));
        some("bytes", self.bytes.as_ref().map(|it| it as _));
        some("status", self.status.as_ref().map(|it| it as _));
        some("tokens_saved", self.rewrite().map(RewriteReport::tokens_saved).as_ref().map(|it| it as _));
        some("skipped", self.report.and_then(Report::skipped).as_ref().map(|it| it as _));
        some("ending", self.ending.as_ref().map(|it| it as _));
        debug.finish_non_exhaustive()
    }
}
