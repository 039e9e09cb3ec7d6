//! Which turn of its conversation a request is, and what requests of each turn cost.

use std::collections::{HashMap, VecDeque};

use headroom_engine::cost::{Bill, Lineage};
use serde::Serialize;

use headroom_tower::LedgerKey;

/// Conversations that are remembered.
const CONVERSATIONS: usize = 4096;
/// Later turns are counted with this one.
const LAST: usize = 500;

/// Sums of the requests that were the same turn of their conversations, in fresh input tokens.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Turn {
    turn: usize,
    requests: u64,
    /// What was paid.
    paid: f64,
    /// What would have been paid.
    without: f64,
    /// Those of models with a price.
    priced: u64,
    dollars_paid: f64,
    dollars_without: f64,
}

/// Conversations by where they ended last.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    known: HashMap<LedgerKey, usize>,
    order: VecDeque<LedgerKey>,
    sums: Vec<Turn>,
}

impl Turns {
    /// The number of a request's turn, from 1: one more than the request it continues.
    pub(crate) fn number(&mut self, lineage: &Lineage) -> usize {
        let before = lineage.before.and_then(|before| self.known.get(&before.key)).copied();
        let turn = before.unwrap_or(0) + 1;
        if self.known.insert(lineage.here.key, turn).is_none() {
            self.order.push_back(lineage.here.key);
            if self.order.len() > CONVERSATIONS
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
        turn
    }

    pub(crate) fn bill(&mut self, turn: usize, bill: &Bill) {
        let at = turn.clamp(1, LAST) - 1;
        while self.sums.len() <= at {
            self.sums.push(Turn { turn: self.sums.len() + 1, ..Turn::default() });
        }
        let sum = &mut self.sums[at];
        sum.requests += 1;
        sum.paid += bill.paid;
        sum.without += bill.without();
        sum.priced += u64::from(bill.dollars.is_some());
        sum.dollars_paid += bill.in_dollars(bill.paid).unwrap_or_default();
        sum.dollars_without += bill.in_dollars(bill.without()).unwrap_or_default();
    }

    pub(crate) fn sums(&self) -> &[Turn] {
        &self.sums
    }
}

#[cfg(test)]
mod tests {
    use headroom_engine::cost::Mark;

    use super::*;

    fn lineage(here: u16, before: Option<u16>) -> Lineage {
        let mark = |at: u16| {
            let mut key = [0; 32];
            key[..2].copy_from_slice(&at.to_le_bytes());
            Mark { key: LedgerKey::from_bytes(key), ours: [0; 32] }
        };
        Lineage { here: mark(here), before: before.map(mark), tools: [0; 32] }
    }

    #[test]
    fn turns_follow_the_conversation_and_a_repeated_request_is_the_same_turn() {
        let mut turns = Turns::default();
        assert_eq!(turns.number(&lineage(1, None)), 1);
        assert_eq!(turns.number(&lineage(2, Some(1))), 2);
        assert_eq!(turns.number(&lineage(2, Some(1))), 2);
        assert_eq!(turns.number(&lineage(3, Some(2))), 3);
        assert_eq!(turns.number(&lineage(9, Some(8))), 1, "the one before was not seen");
    }

    #[test]
    fn memory_is_bounded() {
        let mut turns = Turns::default();
        for at in 0..10_000 {
            turns.number(&lineage(at, None));
        }
        assert_eq!((turns.known.len(), turns.order.len()), (CONVERSATIONS, CONVERSATIONS));
        let bill = Bill::default();
        turns.bill(1 << 40, &bill);
        turns.bill(0, &bill);
        assert_eq!((turns.sums().len(), turns.sums()[0].requests), (LAST, 1));
        assert_eq!(turns.sums()[0].priced, 0, "a bill without prices is in no sum of dollars");
    }
}
