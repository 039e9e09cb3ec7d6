//! What hiding saves, and what asking for it back costs.
//!
//! A hidden token is not written to the cache now, nor read from it on each turn that is still to
//! come. A retrieval reads the whole prefix once more, writes a call, and has what it returns
//! written. Hiding pays where the first is more than the second times the chance of it:
//!
//! ```text
//! hidden * (write + turns * read)  >  chance * (prefix * read + call * (output + write) + hidden * write)
//! ```
//!
//! The prices are the model's, relative to a fresh token of the prompt. How many turns are to come
//! is a constant of the policy, and so are the chances; the prefix is known as a power of two.
//! So the break-even is a function of what stands before a block, and moves rarely.

use crate::{catalogue::Model, policy::Policy};

/// Tokens of a call that asks for an original.
const CALL: f64 = 40.0;
/// What a token of the answer costs, where the catalogue has no price: that of all models of 2026
/// whose prices are listed.
const OUTPUT: f64 = 5.0;
/// Bytes of a token, about.
const TOKEN: usize = 4;

/// A number of tokens, as the power of two below it: what stands before a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(u8);

impl Size {
    /// Of a text of so many bytes.
    pub(crate) fn of_bytes(bytes: usize) -> Self {
        /// Shorter ones are one.
        const SMALLEST: usize = 1 << 10;
        Self(u8::try_from((bytes / TOKEN).max(SMALLEST).ilog2()).unwrap_or(u8::MAX))
    }

    /// Which power of two.
    pub(crate) fn power(self) -> u8 {
        self.0
    }

    /// The middle of those that it stands for.
    fn tokens(self) -> f64 {
        1.5 * (1u64 << self.0.min(62)) as f64
    }
}

/// What is won and lost by hiding something of a block, in prices of a fresh prompt token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stakes {
    /// By each token that is hidden.
    hidden: f64,
    /// By each retrieval, besides what it returns.
    asked: f64,
    /// By each token that is returned.
    returned: f64,
    /// Fewer tokens are never worth hiding.
    least: usize,
    /// How likely a retrieval is, in percent.
    chance: u32,
}

impl Stakes {
    /// Of a block behind a `prefix`, of whose hidden part the model asks for some at a `chance`, in
    /// percent.
    pub(crate) fn new(policy: &Policy, model: &Model, prefix: Size, chance: u32) -> Self {
        let (read, write) = (model.cache_read, model.cache_write);
        let output = output(model);
        let caution = policy.caution_share();
        Self {
            hidden: write + f64::from(policy.turn_count()) * read,
            asked: caution * (prefix.tokens() * read + CALL * (output + write)),
            returned: caution * write,
            least: policy.hidden_limit(),
            chance,
        }
    }

    /// Stakes at which `tokens` of a block are worth hiding whatever the chance is.
    #[must_use]
    pub fn flat(tokens: usize) -> Self {
        Self { hidden: 1.0, asked: 0.0, returned: 0.0, least: tokens, chance: 0 }
    }

    /// The fewest tokens of a block that are worth hiding.
    #[must_use]
    pub fn worth(&self) -> usize {
        self.least.max(self.least(f64::from(self.chance)))
    }

    /// The fewest tokens that are worth hiding where one in a hundred times `percent` they are asked
    /// for; more than there are if none are.
    #[must_use]
    pub fn least(&self, percent: f64) -> usize {
        let chance = percent / 100.0;
        /// What is not finite, or lost, is no number of tokens.
        const NEVER: f64 = (1 << 30) as f64;
        let won = self.hidden - chance * self.returned;
        let tokens = chance * self.asked / won;
        let tokens = if won > 0.0 { tokens.min(NEVER) } else { NEVER };
        tokens.ceil() as usize
    }

    /// What of a model decides its stakes.
    pub(crate) fn prices(model: &Model) -> [u8; 24] {
        let mut bytes = [0; 24];
        for (to, from) in bytes.chunks_exact_mut(8).zip([model.cache_read, model.cache_write, output(model)])
        {
            to.copy_from_slice(&from.to_le_bytes());
        }
        bytes
    }
}

/// What a token of the answer costs, in fresh tokens of the prompt.
fn output(model: &Model) -> f64 {
    model.price.map_or(OUTPUT, |price| price.output / price.input)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::model;

    fn least(tokens: usize, percent: f64) -> usize {
        let policy = Policy::default().least_hidden(1);
        Stakes::new(&policy, model("claude-sonnet-4-5"), Size::of_bytes(tokens * TOKEN), 5).least(percent)
    }

    #[test]
    fn the_break_even_is_the_published_one() {
        // A prefix of 2^16 stands for 98,304 tokens: at 9 % about 300 hidden ones pay, at 28 % about 1,000.
        assert_eq!((least(65_536, 9.0), least(65_536, 28.0)), (290, 974));
    }

    #[test]
    fn hiding_must_pay_more_where_asking_is_dearer_or_likelier() {
        let mut before = 0;
        for tokens in [0, 5_000, 20_000, 80_000, 300_000, 1 << 24] {
            let here = least(tokens, 5.0);
            assert!(here >= before && least(tokens, 10.0) > here, "{tokens}");
            before = here;
        }
        assert_eq!(
            Stakes { hidden: 1.0, asked: 1.0, returned: 1.0, least: 0, chance: 0 }.least(100.0),
            1 << 30
        );
        assert_eq!(Stakes::flat(250).worth(), 250);
    }

    #[test]
    fn sizes_move_rarely() {
        assert_eq!(Size::of_bytes(0), Size::of_bytes(4 * 2047));
        assert_eq!(Size::of_bytes(4 * 2048), Size::of_bytes(4 * 4095));
        assert!(Size::of_bytes(4 * 4095) < Size::of_bytes(4 * 4096));
        assert!(Size::of_bytes(usize::MAX).tokens().is_finite());
    }
}
