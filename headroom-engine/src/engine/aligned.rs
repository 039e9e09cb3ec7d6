//! What may be kept from the prefix: dynamic values, and tools that are written anew each time.

use super::Scanned;
use crate::{
    align::tools::Steady,
    catalogue::{Matching, Tokenizer},
    intercept::Recall,
    policy::{Mode, Policy, Route},
    wire::Dialect,
};

impl Scanned {
    /// Says under which policy the request will be rewritten, before the ledger is asked: one that
    /// [keeps tools steady](Policy::steady_tools) asks it for more.
    #[must_use]
    pub fn under(mut self, policy: &Policy) -> Self {
        self.steadied = true;
        if !policy.steadies_tools() || !self.can_move(policy) {
            return self;
        }
        if policy.aligns() {
            self.dynamic.with_tools();
        }
        if let Some(first) = self.points.first() {
            let dynamic = self.aligns(policy).then_some(&self.dynamic);
            self.steady = Steady::of(&self.body, &self.conversation, dynamic, first.key);
        }
        self.asked = self.questions();
        self.asked.extend(self.steady.iter().map(Steady::key));
        self
    }

    /// Whether dynamic values are moved: decided from what no later turn changes.
    pub(super) fn aligns(&self, policy: &Policy) -> bool {
        /// Bytes of a token, at least.
        const TOKEN: usize = 4;
        let tools = self.conversation.tools.as_ref();
        let works = tools.is_some_and(|tools| !tools.items.is_empty());
        policy.aligns()
            && !self.dynamic.is_empty()
            && self.can_move(policy)
            && (works || self.dynamic.prompt_bytes() / TOKEN >= self.model.cache_minimum as usize)
    }

    /// Whether what changes may be kept from the prefix at all.
    fn can_move(&self, policy: &Policy) -> bool {
        policy.mode() != Mode::Off
            && self.can_tell()
            && self.recall != Recall::Forget
            && !self.conversation.stateful
            // What goes on with a stored answer brings prompt and tools again, but not the place of a note.
            && !self.conversation.stored
            && self.conversation.previous.is_none()
            && self.context.route != Route::ExactOnly
            && self.model.matching != Matching::None
    }

    /// Whether notes keep their place: what stands between a Responses client and a model that is not
    /// OpenAI's may put a developer's words elsewhere.
    fn can_tell(&self) -> bool {
        self.context.dialect != Dialect::OpenAiResponses || self.model.tokenizer == Tokenizer::O200k
    }
}
