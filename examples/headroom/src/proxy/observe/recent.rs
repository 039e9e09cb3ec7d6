//! The last requests, without their content.

use std::collections::VecDeque;

use headroom_tower::Report;
use serde::Serialize;

use super::Finished;

/// One request, as `/stats` lists it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Seen {
    /// Counts requests from 1.
    id: u64,
    /// Seconds from the proxy's start to the request's.
    at: f64,
    dialect: &'static str,
    model: Option<String>,
    outcome: &'static str,
    status: Option<u16>,
    /// Which turn of its conversation, from 1; `null` where that is not known.
    turn: Option<usize>,
    /// `transparent`, `exact`, … or why it went out as it came.
    treated: Option<String>,
    tokens_in: u64,
    tokens_out: u64,
    cache_read: u64,
    cache_write: u64,
    /// Tokens of blocks before and after.
    before: usize,
    after: usize,
    retrievals: u32,
    cache: Option<&'static str>,
    dollars_paid: Option<f64>,
    dollars_saved: Option<f64>,
    added_ms: Option<f64>,
    first_ms: Option<f64>,
    total_ms: f64,
    bytes: u64,
}

/// The newest at the end.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    keep: usize,
    count: u64,
    seen: VecDeque<Seen>,
}

impl Recent {
    pub(crate) fn new(keep: usize) -> Self {
        Self { keep, ..Self::default() }
    }

    pub(crate) fn push(&mut self, finished: &Finished, turn: Option<usize>) {
        self.count += 1;
        if self.keep == 0 {
            return;
        }
        if self.seen.len() >= self.keep {
            self.seen.pop_front();
        }
        let report = finished.report.as_ref();
        let rewrite = report.and_then(Report::rewrite);
        let usage = report.and_then(Report::usage).unwrap_or_default();
        let bill = report.and_then(Report::bill);
        let skipped = report.and_then(Report::skipped).map(super::metrics::skipped);
        self.seen.push_back(Seen {
            id: self.count,
            at: finished.came.as_secs_f64(),
            dialect: finished.wire.name(),
            model: rewrite.map(|rewrite| rewrite.model.stem.to_string()).filter(|name| !name.is_empty()),
            outcome: finished.outcome.name(),
            status: finished.status,
            turn,
            treated: skipped
                .map(str::to_owned)
                .or_else(|| rewrite.map(|rewrite| format!("{:?}", rewrite.mode).to_lowercase())),
            tokens_in: usage.prompt(),
            tokens_out: usage.output,
            cache_read: usage.cache_read,
            cache_write: usage.cache_write,
            before: rewrite.map_or(0, |rewrite| rewrite.tokens_in()),
            after: rewrite.map_or(0, |rewrite| rewrite.tokens_out()),
            retrievals: report.and_then(Report::retrieval).map_or(0, |retrieval| retrieval.calls),
            cache: report.and_then(Report::cache).map(|fate| fate.name()),
            dollars_paid: bill.and_then(|bill| bill.in_dollars(bill.paid)),
            dollars_saved: bill.and_then(|bill| bill.in_dollars(bill.net())),
            added_ms: finished.added.map(super::ms),
            first_ms: finished.first.map(super::ms),
            total_ms: super::ms(finished.total),
            bytes: finished.bytes,
        });
    }

    pub(crate) fn all(&self) -> Vec<Seen> {
        self.seen.iter().cloned().collect()
    }
}
