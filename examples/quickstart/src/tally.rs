//! Sums over a conversation.

use std::{iter::Sum, time::Duration};

use headroom_engine::Report as RewriteReport;
use headroom_tests::client::Billed;

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// Sent directly; `None` if only the layer's side was paid for.
    pub(crate) before: Option<Tally>,
    pub(crate) after: Tally,
}

/// What a conversation took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Requests of the client.
    pub(crate) requests: usize,
    /// Tokens of all prompts, follow-ups included.
    pub(crate) tokens: u64,
    /// In US dollars, output included.
    pub(crate) cost: f64,
    /// Tokens saved by exact rewrites, over all requests.
    pub(crate) exact: usize,
    /// Tokens saved by leaving out.
    pub(crate) elided: usize,
    /// Originals that the model asked for.
    pub(crate) retrievals: u32,
    /// From the request's coming to its going out, smaller: one a request.
    pub(crate) added: Vec<Duration>,
}

impl Tally {
    /// Adds what was billed for one answer.
    pub(crate) fn bill(&mut self, billed: Billed, cost: f64) {
        self.requests += 1;
        self.tokens += billed.uncached + billed.cache_read + billed.cache_write;
        self.cost += cost;
    }

    /// Adds what was done to one request.
    pub(crate) fn note(&mut self, report: &RewriteReport) {
        for block in report.blocks.iter().filter(|block| block.reason.replaced()) {
            // Of an elided block, as much counts as exact as exact rewriting alone would have saved.
            let exact = if block.tokens_exact == 0 { block.tokens_in } else { block.tokens_exact };
            let exact = if block.hidden.is_empty() { block.tokens_out } else { exact.max(block.tokens_out) };
            self.exact += block.tokens_in.saturating_sub(exact);
            self.elided += exact - block.tokens_out;
        }
    }

    /// The median of what the layer added.
    pub(crate) fn added_median(&self) -> Option<Duration> {
        let mut added = self.added.clone();
        added.sort_unstable();
        added.get(added.len() / 2).copied()
    }
}

impl<'a> Sum<&'a Tally> for Tally {
    fn sum<I: Iterator<Item = &'a Tally>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |mut sum, one| {
            sum.requests += one.requests;
            sum.tokens += one.tokens;
            sum.cost += one.cost;
            sum.exact += one.exact;
            sum.elided += one.elided;
            sum.retrievals += one.retrievals;
            sum.added.extend(&one.added);
            sum
        })
    }
}
