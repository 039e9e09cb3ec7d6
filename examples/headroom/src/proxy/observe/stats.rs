//! `/stats`: sums of everything, for a dashboard.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use headroom_engine::cost::Bill;
use headroom_tower::{Costs, Report};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Finished, histogram::Histogram, live::Live, metrics::skipped, recent::Recent, turns::Turns};

/// Sums since the start.
#[derive(Debug)]
pub(crate) struct Stats(Mutex<Sums>);

#[derive(Debug, Default)]
struct Sums {
    requests: u64,
    rewritten: u64,
    outcomes: BTreeMap<&'static str, u64>,
    dialects: BTreeMap<&'static str, Part>,
    models: BTreeMap<String, Part>,
    kinds: BTreeMap<&'static str, Kind>,
    reasons: BTreeMap<&'static str, u64>,
    skipped: BTreeMap<&'static str, u64>,
    cache: BTreeMap<&'static str, u64>,
    tokens: Tokens,
    blocks: Blocks,
    money: Money,
    retrievals: Retrievals,
    memory: Memory,
    turns: Turns,
    added: Histogram,
    first: Histogram,
    total: Histogram,
    recent: Recent,
}

/// A dialect's or a model's share.
#[derive(Clone, Debug, Default, Serialize)]
struct Part {
    requests: u64,
    tokens: Tokens,
    /// In fresh input tokens.
    paid: f64,
    net: f64,
    dollars_paid: f64,
    dollars_net: f64,
}

/// As providers counted them, all rounds together.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Tokens {
    /// The whole prompt: the three below.
    prompt: u64,
    input: u64,
    cache_read: u64,
    cache_write: u64,
    output: u64,
}

/// Replaced blocks, by our count, in every request that carried them.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Blocks {
    before: u64,
    after: u64,
    saved: u64,
}

/// A kind of content.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Kind {
    blocks: u64,
    replaced: u64,
    before: u64,
    after: u64,
    saved: u64,
}

/// In fresh input tokens of each request's model, and in US dollars where prices are known.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Money {
    billed: u64,
    /// Billed requests of models without a price.
    unpriced: u64,
    paid: f64,
    without: f64,
    gross: f64,
    net: f64,
    first: f64,
    again: f64,
    markers: f64,
    retrievals: f64,
    tool: f64,
    dollars_paid: f64,
    dollars_without: f64,
    dollars_gross: f64,
    dollars_net: f64,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Retrievals {
    /// Requests in which something was left out, so that the model could ask.
    offered: u64,
    /// Of those, requests in which it asked.
    asked: u64,
    /// `asked / offered`.
    rate: f64,
    rounds: u64,
    calls: u64,
    unknown: u64,
    malformed: u64,
    tokens: u64,
    limit_hit: u64,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Memory {
    stored: u64,
    recorded: u64,
    store_failed: u64,
    ledger_failed: u64,
    declared_breaks: u64,
}

impl Stats {
    pub(crate) fn new(recent: usize) -> Self {
        Self(Mutex::new(Sums { recent: Recent::new(recent), ..Sums::default() }))
    }

    pub(crate) fn record(&self, finished: &Finished) {
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sums.record(finished);
    }

    pub(crate) fn snapshot(&self, uptime: Duration, live: &Live, costs: &Costs) -> Value {
        let sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut retrievals = sums.retrievals;
        retrievals.rate = retrievals.asked as f64 / retrievals.offered.max(1) as f64;
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": uptime.as_secs_f64(),
            "requests": {
                "total": sums.requests,
                "open": live.count(),
                "rewritten": sums.rewritten,
                "by_outcome": sums.outcomes,
                "by_dialect": sums.dialects,
                "by_model": sums.models,
                "skipped": sums.skipped,
            },
            "tokens": sums.tokens,
            "blocks": sums.blocks,
            "cost": sums.money,
            "turns": sums.turns.sums(),
            "kinds": sums.kinds,
            "reasons": sums.reasons,
            "retrievals": retrievals,
            "cache": sums.cache,
            "store": sums.memory,
            "alarms": costs.alarms,
            "latency_ms": {
                "added": sums.added.percentiles(),
                "first_byte": sums.first.percentiles(),
                "total": sums.total.percentiles(),
            },
            "live": live.all(),
            "recent": sums.recent.all(),
        })
    }
}

impl Sums {
    fn record(&mut self, finished: &Finished) {
        self.requests += 1;
        *self.outcomes.entry(finished.outcome.name()).or_default() += 1;
        self.total.add(finished.total);
        for (histogram, time) in [(&mut self.added, finished.added), (&mut self.first, finished.first)] {
            if let Some(time) = time {
                histogram.add(time);
            }
        }
        let turn = finished.report.as_ref().and_then(|report| self.report(report));
        let part = self.dialects.entry(finished.wire.name()).or_default();
        part.add(finished.report.as_ref());
        if let Some(rewrite) = finished.report.as_ref().and_then(Report::rewrite) {
            // The catalogue's names, not the client's: there are few.
            let model = match &*rewrite.model.stem {
                "" => "unknown",
                stem => stem,
            };
            self.models.entry(model.to_owned()).or_default().add(finished.report.as_ref());
        }
        self.recent.push(finished, turn);
    }

    /// Adds what the layer tells; which turn of its conversation it was.
    fn report(&mut self, report: &Report) -> Option<usize> {
        if let Some(why) = report.skipped() {
            *self.skipped.entry(skipped(why)).or_default() += 1;
        }
        if let Some(usage) = report.usage() {
            self.tokens.add(usage);
        }
        if let Some(fate) = report.cache() {
            *self.cache.entry(fate.name()).or_default() += 1;
        }
        let memory = report.memory();
        self.memory.stored += memory.stored as u64;
        self.memory.recorded += memory.recorded as u64;
        self.memory.store_failed += u64::from(memory.store_failed);
        self.memory.ledger_failed += u64::from(memory.ledger_failed);
        let rewrite = report.rewrite()?;
        self.memory.declared_breaks += u64::from(rewrite.declared_breaks);
        self.rewritten += u64::from(rewrite.blocks.iter().any(|block| block.reason.replaced()));
        for block in &rewrite.blocks {
            *self.reasons.entry(block.reason.name()).or_default() += 1;
            let kind = self.kinds.entry(block.kind.unwrap_or("none")).or_default();
            kind.blocks += 1;
            if block.reason.replaced() {
                let (before, after) = (block.tokens_in as u64, block.tokens_out as u64);
                let saved = before.saturating_sub(after);
                kind.replaced += 1;
                kind.before += before;
                kind.after += after;
                kind.saved += saved;
                self.blocks.before += before;
                self.blocks.after += after;
                self.blocks.saved += saved;
            }
        }
        let offered = rewrite.blocks.iter().any(|block| !block.hidden.is_empty());
        self.retrievals.offered += u64::from(offered);
        if let Some(retrieval) = report.retrieval() {
            self.retrievals.asked += u64::from(offered && retrieval.calls > 0);
            self.retrievals.rounds += u64::from(retrieval.rounds);
            self.retrievals.calls += u64::from(retrieval.calls);
            self.retrievals.unknown += u64::from(retrieval.unknown);
            self.retrievals.malformed += u64::from(retrieval.malformed);
            self.retrievals.tokens += retrieval.tokens;
            self.retrievals.limit_hit += u64::from(retrieval.limit_hit);
        }
        let turn = rewrite.lineage.as_ref().map(|lineage| self.turns.number(lineage));
        if let Some(bill) = report.bill() {
            self.money.add(&bill);
            self.turns.bill(turn.unwrap_or(1), &bill);
        }
        turn
    }
}

impl Tokens {
    fn add(&mut self, usage: headroom_engine::cost::Usage) {
        self.prompt += usage.prompt();
        self.input += usage.input;
        self.cache_read += usage.cache_read;
        self.cache_write += usage.cache_write;
        self.output += usage.output;
    }
}

impl Money {
    fn add(&mut self, bill: &Bill) {
        self.billed += 1;
        self.unpriced += u64::from(bill.dollars.is_none());
        self.paid += bill.paid;
        self.without += bill.without();
        self.gross += bill.gross();
        self.net += bill.net();
        self.first += bill.first;
        self.again += bill.again;
        self.markers += bill.markers;
        self.retrievals += bill.retrievals;
        self.tool += bill.tool;
        let dollars = |amount| bill.in_dollars(amount).unwrap_or_default();
        self.dollars_paid += dollars(bill.paid);
        self.dollars_without += dollars(bill.without());
        self.dollars_gross += dollars(bill.gross());
        self.dollars_net += dollars(bill.net());
    }
}

impl Part {
    fn add(&mut self, report: Option<&Report>) {
        self.requests += 1;
        if let Some(usage) = report.and_then(Report::usage) {
            self.tokens.add(usage);
        }
        if let Some(bill) = report.and_then(Report::bill) {
            self.paid += bill.paid;
            self.net += bill.net();
            self.dollars_paid += bill.in_dollars(bill.paid).unwrap_or_default();
            self.dollars_net += bill.in_dollars(bill.net()).unwrap_or_default();
        }
    }
}
