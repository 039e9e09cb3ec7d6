//! What the ledger is to keep of a hidden exchange: how later turns put it back.

use super::{Exchange, item};
use crate::{
    intercept::{Item, record::Restoration, round::Block},
    ledger::Record,
};

/// How far everything was once a round had been hidden.
#[derive(Clone, Copy, Debug)]
pub(super) struct Behind {
    /// The end of the messages.
    pub(super) end: usize,
    pub(super) earlier: usize,
    pub(super) thinking: usize,
    pub(super) visible: usize,
}

impl Exchange {
    /// What the ledger is to keep of an answer that ends in the middle of a round, of which these blocks
    /// have come: one record for each of the turns that a client may make of it.
    ///
    /// A client keeps the blocks that are whole, or the last one as well as far as it came; thinking in
    /// them is bound to what is hidden.
    pub(in crate::intercept) fn abandoned(&self, begun: Vec<Block>) -> Vec<Record> {
        /// More blocks than one round tells behind its thinking.
        const MOST: usize = 16;
        if !self.is_durable() || !(self.bound_thinking || begun.iter().any(Block::is_thinking)) {
            return Vec::new();
        }
        let mut records = Vec::new();
        // It may end with what it was shown of a round that was hidden itself.
        for pair in self.behind.windows(2) {
            let [before, round] = pair else { continue };
            if round.visible > before.visible {
                records.extend(self.record_of(&self.visible[..round.visible], Some(before)));
            }
        }
        let mut visible = self.visible.clone();
        for block in begun.into_iter().filter(Block::is_visible).take(MOST) {
            visible.push(item(self.texts(), &visible, block));
            records.extend(self.record_of(&visible, self.behind.last()));
        }
        records
    }

    /// What the ledger is to keep of this answer.
    pub(in crate::intercept) fn record(&self) -> Option<Record> {
        self.record_of(&self.visible, self.behind.last())
    }

    /// The record of a turn that ends behind these rounds.
    fn record_of(&self, visible: &[Item], behind: Option<&Behind>) -> Option<Record> {
        let hidden = self.hidden.zip(behind).map(|(start, behind)| start..behind.end);
        if self.forgets() || (hidden.is_none() && self.restoration.mixed.is_none()) {
            return None;
        }
        // It stands in the request, and what was seen of it among the rest.
        let hidden = hidden.and_then(|hidden| std::str::from_utf8(self.parts.request.get(hidden)?).ok());
        let seen = visible.iter().take(behind.map_or(0, |behind| behind.visible));
        let texts = seen.filter_map(|item| match item {
            Item::Text(text) => Some(text.as_str()),
            Item::Call { .. } | Item::Other(_) => None,
        });
        let mut restoration = Restoration {
            hidden: hidden.unwrap_or_default().to_owned(),
            prefix: texts.collect(),
            ..self.restoration.clone()
        };
        if let Some(behind) = behind {
            restoration.earlier.truncate(behind.earlier);
            restoration.thinking.truncate(behind.thinking);
        }
        Some(Record::new(self.parts.history.turn(visible), restoration.encode()))
    }
}
