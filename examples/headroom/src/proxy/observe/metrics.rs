//! The facade of metrics: names and labels in one place, whoever counts them. All labels have few
//! values, and none is taken from a request.

use std::{collections::BTreeMap, time::Duration};

use headroom_tower::{Report, Skipped};

use super::Finished;

/// Counts what it is told.
pub(crate) trait Recorder {
    /// Adds `by` to a counter.
    fn count(&self, name: &'static str, labels: &[(&'static str, &str)], by: f64);

    /// Sets a gauge.
    fn gauge(&self, name: &'static str, labels: &[(&'static str, &str)], to: f64);

    /// Adds a time to a histogram.
    fn time(&self, name: &'static str, labels: &[(&'static str, &str)], time: Duration);
}

/// Every metric: its name, its type and what it says.
pub(crate) const ALL: &[(&str, &str, &str)] = &[
    ("headroom_requests_total", "counter", "Requests by dialect and outcome"),
    ("headroom_refused_total", "counter", "Requests refused by the proxy itself, by reason"),
    ("headroom_open_requests", "gauge", "Requests whose answer has not ended"),
    ("headroom_uptime_seconds", "gauge", "Time since the start"),
    ("headroom_skipped_total", "counter", "Requests that went out as they came, by reason"),
    ("headroom_tokens_total", "counter", "Tokens as providers counted them, by direction"),
    ("headroom_block_tokens_total", "counter", "Tokens of replaced blocks, before and after, by kind"),
    ("headroom_blocks_total", "counter", "Blocks looked at, by what became of them"),
    ("headroom_retrievals_total", "counter", "Calls for originals, by what they got"),
    ("headroom_retrieved_tokens_total", "counter", "Tokens that retrievals returned"),
    ("headroom_cache_total", "counter", "What became of the prefix in the provider's cache"),
    (
        "headroom_cost_tokens_total",
        "counter",
        "Cost in fresh input tokens: paid, gross savings, what they cost",
    ),
    ("headroom_cost_dollars_total", "counter", "Cost in US dollars, where prices are known"),
    ("headroom_losses_dollars_total", "counter", "Dollars of requests that cost more than they saved"),
    ("headroom_declared_breaks_total", "counter", "Places where what was sent before is not repeated"),
    ("headroom_store_failures_total", "counter", "Requests in which a store failed, by part"),
    ("headroom_added_seconds", "histogram", "Until a request left for its upstream"),
    ("headroom_first_byte_seconds", "histogram", "Until the first byte of an answer went to the client"),
    ("headroom_request_seconds", "histogram", "Until an answer ended"),
];

/// Tells `to` of one request.
pub(super) fn record(to: &dyn Recorder, finished: &Finished) {
    let dialect = ("dialect", finished.wire.name());
    to.count("headroom_requests_total", &[dialect, ("outcome", finished.outcome.name())], 1.0);
    for (name, time) in [
        ("headroom_added_seconds", finished.added),
        ("headroom_first_byte_seconds", finished.first),
        ("headroom_request_seconds", Some(finished.total)),
    ] {
        if let Some(time) = time {
            to.time(name, &[dialect], time);
        }
    }
    if let Some(report) = &finished.report {
        blocks(to, report);
        money(to, report);
    }
}

fn blocks(to: &dyn Recorder, report: &Report) {
    if let Some(why) = report.skipped() {
        to.count("headroom_skipped_total", &[("reason", skipped(why))], 1.0);
    }
    if let Some(rewrite) = report.rewrite() {
        // A long conversation holds hundreds of blocks, of a few kinds.
        let mut sums: BTreeMap<_, (f64, [f64; 2])> = BTreeMap::new();
        for block in &rewrite.blocks {
            let (count, tokens) =
                sums.entry((block.kind.unwrap_or("none"), block.reason.name())).or_default();
            *count += 1.0;
            if block.reason.replaced() {
                tokens[0] += block.tokens_in as f64;
                tokens[1] += block.tokens_out as f64;
            }
        }
        for ((kind, became), (count, tokens)) in sums {
            let kind = ("kind", kind);
            to.count("headroom_blocks_total", &[kind, ("became", became)], count);
            for (when, tokens) in ["before", "after"].into_iter().zip(tokens).filter(|(_, sum)| *sum > 0.0) {
                to.count("headroom_block_tokens_total", &[kind, ("when", when)], tokens);
            }
        }
        if rewrite.declared_breaks > 0 {
            to.count("headroom_declared_breaks_total", &[], rewrite.declared_breaks.into());
        }
    }
    if let Some(retrieval) = report.retrieval().filter(|retrieval| retrieval.calls > 0) {
        let bad = retrieval.unknown + retrieval.malformed;
        let answered = retrieval.calls.saturating_sub(bad);
        for (got, count) in
            [("answer", answered), ("unknown", retrieval.unknown), ("malformed", retrieval.malformed)]
        {
            to.count("headroom_retrievals_total", &[("got", got)], count.into());
        }
        to.count("headroom_retrieved_tokens_total", &[], retrieval.tokens as f64);
    }
    let memory = report.memory();
    for (part, failed) in [("store", memory.store_failed), ("ledger", memory.ledger_failed)] {
        if failed {
            to.count("headroom_store_failures_total", &[("part", part)], 1.0);
        }
    }
}

fn money(to: &dyn Recorder, report: &Report) {
    if let Some(usage) = report.usage() {
        for (direction, tokens) in [
            ("input", usage.input),
            ("cache_read", usage.cache_read),
            ("cache_write", usage.cache_write),
            ("output", usage.output),
        ] {
            to.count("headroom_tokens_total", &[("direction", direction)], tokens as f64);
        }
    }
    if let Some(fate) = report.cache() {
        to.count("headroom_cache_total", &[("fate", fate.name())], 1.0);
    }
    let Some(bill) = report.bill() else { return };
    for (what, amount) in [
        ("paid", bill.paid),
        ("gross", bill.gross()),
        ("markers", bill.markers),
        ("retrievals", bill.retrievals),
        ("tool", bill.tool),
    ] {
        to.count("headroom_cost_tokens_total", &[("what", what)], amount);
        if let Some(dollars) = bill.in_dollars(amount) {
            to.count("headroom_cost_dollars_total", &[("what", what)], dollars);
        }
    }
    // A counter never falls: the net is gross less markers, retrievals and tool.
    if let Some(lost) = bill.in_dollars(-bill.net()).filter(|lost| *lost > 0.0) {
        to.count("headroom_losses_dollars_total", &[], lost);
    }
}

/// A stable name for why a request went out as it came.
pub(super) fn skipped(why: Skipped) -> &'static str {
    match why {
        Skipped::Off => "off",
        Skipped::Signed => "signed",
        Skipped::Encoded => "encoded",
        Skipped::TooLarge => "too_large",
        Skipped::Unread => "unread",
        Skipped::Unscannable => "unscannable",
        Skipped::Refused => "refused",
        Skipped::Aborted => "aborted",
        _ => "other",
    }
}
