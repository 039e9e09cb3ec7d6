use super::Usage;
use crate::{catalogue::Model, report::Report};

/// What tokens cost, in fresh input tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tariff {
    read: f64,
    write: f64,
    output: f64,
    /// US dollars for a fresh input token, where the price is known.
    dollars: Option<f64>,
}

/// What an output token costs where no price is known: five input tokens, as with most models of
/// November 2026.
const OUTPUT: f64 = 5.0;

impl Tariff {
    /// The tariff of `model` for a prompt of `prompt` tokens.
    #[must_use]
    pub fn of(model: &Model, prompt: u64) -> Self {
        let price = model.price_of(u32::try_from(prompt).unwrap_or(u32::MAX));
        Self {
            read: model.cache_read,
            write: model.cache_write,
            output: price.map_or(OUTPUT, |price| price.output / price.input),
            dollars: price.map(|price| price.input / 1e6),
        }
    }

    fn price(&self, usage: Usage) -> f64 {
        usage.input as f64
            + self.read * usage.cache_read as f64
            + self.write * usage.cache_write as f64
            + self.output * usage.output as f64
    }
}

/// What one answered request cost, and what it would have cost without us. All amounts but
/// [`Bill::dollars`] are in fresh input tokens of its model.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Bill {
    /// What was paid, all rounds together.
    pub paid: f64,
    /// Saved on blocks that this request carried for the first time.
    pub first: f64,
    /// Saved on blocks that an earlier request had carried too.
    pub again: f64,
    /// Paid for retrievals: the rounds behind the first.
    pub retrievals: f64,
    /// Paid for the retrieval tool's definition.
    pub tool: f64,
    /// Markers and legends, already taken off the savings.
    pub markers: f64,
    /// US dollars for one fresh input token, where the price is known.
    pub dollars: Option<f64>,
}

impl Bill {
    /// The bill of a request that `report` tells of; `total` is what all of its rounds cost, `later`
    /// what those behind the first did.
    ///
    /// New blocks are priced as the request's new tokens were: written to the cache where the
    /// provider wrote, else fresh. Blocks sent before are priced as read where the provider read.
    #[must_use]
    pub fn new(report: &Report, total: Usage, later: Usage, tariff: &Tariff) -> Self {
        let fresh = if total.cache_write > 0 { tariff.write } else { 1.0 };
        let again = if total.cache_read > 0 { tariff.read } else { fresh };
        let (mut bill, mut markers) = (Self { dollars: tariff.dollars, ..Self::default() }, 0.0);
        for block in report.blocks.iter().filter(|block| block.reason.replaced()) {
            let saved = block.tokens_in.saturating_sub(block.tokens_out) as f64;
            let rate = if block.message >= report.new_from { fresh } else { again };
            let of = if block.message >= report.new_from { &mut bill.first } else { &mut bill.again };
            *of += rate * saved;
            markers += rate * block.marker_tokens() as f64;
        }
        bill.markers = markers;
        bill.again += report.context.map_or(0.0, |context| again * context.tokens as f64);
        bill.retrievals = tariff.price(later);
        bill.tool = if report.new_from > 1 { again } else { fresh } * report.tool_tokens as f64;
        bill.paid = tariff.price(total);
        bill
    }

    /// What was saved before what it cost is taken off.
    #[must_use]
    pub fn gross(&self) -> f64 {
        self.first + self.again + self.markers
    }

    /// What was saved in the end; negative if it cost more than it saved.
    #[must_use]
    pub fn net(&self) -> f64 {
        self.first + self.again - self.retrievals - self.tool
    }

    /// What the request would have cost without us.
    #[must_use]
    pub fn without(&self) -> f64 {
        self.paid + self.net()
    }

    /// An amount of this bill in US dollars, where the price is known.
    #[must_use]
    pub fn in_dollars(&self, amount: f64) -> Option<f64> {
        self.dollars.map(|dollars| dollars * amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ccr::{Handle, HandleKey},
        reduce::Hidden,
        report::{BlockReport, Reason},
    };

    fn block(message: usize, tokens_in: usize, tokens_out: usize) -> BlockReport {
        let handle = Handle::new(&HandleKey::default(), "text", "x");
        let hidden = vec![Hidden { range: 0..1, original: 0..1, handle, marker: 0..45 }];
        BlockReport {
            message,
            block: 0,
            part: 0,
            tool: "run".into(),
            kind: None,
            parts: 1,
            reason: Reason::Elided,
            tokens_in,
            tokens_out,
            tokens_exact: tokens_in,
            hidden,
        }
    }

    #[test]
    fn new_and_resent_are_priced_apart_and_overheads_come_off() {
        let report = Report {
            blocks: vec![block(2, 1000, 400), block(4, 1000, 900)],
            new_from: 4,
            tool_tokens: 70,
            ..Report::default()
        };
        let tariff = Tariff { read: 0.1, write: 1.25, output: 5.0, dollars: Some(1e-6) };
        let later = Usage { cache_read: 100, output: 10, ..Usage::default() };
        let first = Usage { input: 10, cache_read: 1000, cache_write: 100, output: 50 };
        let bill = Bill::new(&report, first.plus(later), later, &tariff);
        assert!((bill.first - 125.0).abs() < 1e-9 && (bill.again - 60.0).abs() < 1e-9);
        assert!((bill.retrievals - 60.0).abs() < 1e-9 && (bill.tool - 7.0).abs() < 1e-9);
        assert!((bill.net() - 118.0).abs() < 1e-9);
        assert!((bill.gross() - 185.0 - 15.0 * 1.35).abs() < 1e-9);
        assert!((bill.without() - bill.paid - bill.net()).abs() < 1e-9);
        assert_eq!(bill.in_dollars(1e6), Some(1.0));
    }

    #[test]
    fn without_a_cache_everything_is_fresh() {
        let report = Report { blocks: vec![block(2, 1000, 400)], new_from: 4, ..Report::default() };
        let tariff = Tariff { read: 0.1, write: 1.25, output: 5.0, dollars: None };
        let bill = Bill::new(&report, Usage { input: 500, ..Usage::default() }, Usage::default(), &tariff);
        assert!((bill.again - 600.0).abs() < 1e-9 && bill.in_dollars(1.0).is_none());
    }
}
