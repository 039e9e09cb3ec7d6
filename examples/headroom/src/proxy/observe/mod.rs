//! What passes: every request is watched from its head to the last byte of its answer, and told
//! once to those who count.

mod body;
mod histogram;
mod live;
mod metrics;
mod prometheus;
mod recent;
mod stats;
mod turns;

use std::{
    mem::take,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, Instant},
};

use axum::body::Body;
use headroom_tower::{HeadroomLayer, Report};
use http::{Request, Response};
use tokio::runtime::Handle;

use self::{body::Watched, live::Live, metrics::Recorder, prometheus::Prometheus, stats::Stats};
use super::wire::{Why, Wire};

/// When a request leaves the layer for its upstream; of several calls, the first.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    came: Instant,
    left: Arc<OnceLock<Duration>>,
}

impl Stamp {
    pub(crate) fn leaves(&self) {
        self.left.get_or_init(|| self.came.elapsed());
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// The upstream's success, to its end.
    Ok,
    /// The upstream's error in the request.
    Rejected,
    /// The upstream's own error, or that it is busy.
    Failed,
    /// There was no answer.
    Unreachable,
    /// The answer broke off.
    Broken,
    /// The client left before the answer's end.
    #[default]
    Abandoned,
    /// We refused it.
    Refused,
}

impl Outcome {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Unreachable => "unreachable",
            Self::Broken => "broken",
            Self::Abandoned => "abandoned",
            Self::Refused => "refused",
        }
    }

    fn of(response: &Response<Body>) -> Self {
        match response.extensions().get::<Why>() {
            Some(Why::Unreachable) => return Self::Unreachable,
            Some(_) => return Self::Refused,
            None => {}
        }
        match response.status().as_u16() {
            429 | 500.. => Self::Failed,
            400.. => Self::Rejected,
            _ => Self::Ok,
        }
    }
}

/// All that is told of one request: counts and times, no content.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) wire: Wire,
    pub(crate) outcome: Outcome,
    pub(crate) status: Option<u16>,
    /// From the proxy's start.
    pub(crate) came: Duration,
    /// Until the request left for its upstream; `None` if it did not.
    pub(crate) added: Option<Duration>,
    /// Until the first byte of the answer's body went to the client.
    pub(crate) first: Option<Duration>,
    /// Until it ended.
    pub(crate) total: Duration,
    pub(crate) bytes: u64,
    /// What the layer did; `None` if the path is not one of its own.
    pub(crate) report: Option<Report>,
}

/// Watches requests and keeps what they came to.
#[derive(Debug)]
pub(crate) struct Observer {
    started: Instant,
    live: Live,
    stats: Stats,
    metrics: Prometheus,
    /// What has ended and is yet to be told.
    ended: Mutex<Vec<Finished>>,
    telling: Mutex<()>,
}

impl Observer {
    /// Remembers the last `recent` requests.
    pub(crate) fn new(recent: usize) -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            live: Live::default(),
            stats: Stats::new(recent),
            metrics: Prometheus::default(),
            ended: Mutex::default(),
            telling: Mutex::default(),
        })
    }

    /// A request begins; it is told when the result is dropped.
    pub(crate) fn begin(self: &Arc<Self>, request: &mut Request<Body>) -> Exchange {
        let stamp = Stamp { came: Instant::now(), left: Arc::default() };
        request.extensions_mut().insert(stamp.clone());
        let wire = Wire::of(request.uri().path(), request.headers());
        Exchange {
            id: self.live.begin(wire, stamp.came),
            wire,
            observer: Arc::clone(self),
            stamp,
            outcome: Outcome::Abandoned,
            status: None,
            first: None,
            bytes: 0,
            ended: false,
            report: None,
        }
    }

    /// A request was refused before it was begun with.
    pub(crate) fn refused(&self, why: Why) {
        self.metrics.count("headroom_refused_total", &[("reason", why.name())], 1.0);
    }

    /// Everything that a dashboard shows.
    pub(crate) fn stats(&self, layer: &HeadroomLayer) -> serde_json::Value {
        self.tell();
        self.stats.snapshot(self.started.elapsed(), &self.live, &layer.costs())
    }

    /// The Prometheus text.
    pub(crate) fn metrics(&self) -> String {
        self.tell();
        self.metrics.gauge("headroom_open_requests", &[], self.live.count() as f64);
        self.metrics.gauge("headroom_uptime_seconds", &[], self.started.elapsed().as_secs_f64());
        self.metrics.text()
    }

    /// Counts what has ended. The answer's last bytes may not have left yet: they do not wait for it.
    fn finish(self: &Arc<Self>, finished: Finished) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(finished);
        match Handle::try_current() {
            Ok(runtime) => {
                let this = Arc::clone(self);
                drop(runtime.spawn(async move { this.tell() }));
            }
            Err(_) => self.tell(),
        }
    }

    /// Tells of all that has ended: when this returns, it is counted.
    pub(crate) fn tell(&self) {
        let _telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner));
        for finished in &ended {
            tracing::info!(
                target: "headroom::request",
                dialect = finished.wire.name(),
                outcome = finished.outcome.name(),
                status = finished.status,
                added_ms = finished.added.map(ms),
                total_ms = ms(finished.total),
                saved = finished.report.as_ref().and_then(Report::rewrite).map(|it| it.tokens_saved()),
                "answered"
            );
            metrics::record(&self.metrics, finished);
            self.stats.record(finished);
        }
    }
}

/// Milliseconds, to the microsecond.
fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Exchange {
    id: u64,
    observer: Arc<Observer>,
    wire: Wire,
    stamp: Stamp,
    outcome: Outcome,
    status: Option<u16>,
    first: Option<Duration>,
    bytes: u64,
    ended: bool,
    report: Option<Report>,
}

impl Exchange {
    /// The answer's head is here; its body is watched from now on.
    pub(crate) fn answered(mut self, response: Response<Body>) -> Response<Body> {
        self.outcome = Outcome::of(&response);
        self.status = Some(response.status().as_u16());
        self.report = response.extensions().get().cloned();
        self.observer.live.answers(self.id, self.report.as_ref());
        response.map(|body| Body::new(Watched::new(body, self)))
    }

    fn sends(&mut self, bytes: usize) {
        self.first.get_or_insert_with(|| self.stamp.came.elapsed());
        self.bytes += bytes as u64;
    }

    fn breaks(&mut self) {
        self.outcome = Outcome::Broken;
        self.ended = true;
    }

    fn ends(&mut self) {
        self.ended = true;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let finished = Finished {
            wire: self.wire,
            outcome: if self.ended { self.outcome } else { Outcome::Abandoned },
            status: self.status,
            came: self.stamp.came.duration_since(self.observer.started),
            added: self.stamp.left.get().copied(),
            first: self.first,
            total: self.stamp.came.elapsed(),
            bytes: self.bytes,
            report: self.report.take(),
        };
        self.observer.live.end(self.id);
        self.observer.finish(finished);
    }
}
