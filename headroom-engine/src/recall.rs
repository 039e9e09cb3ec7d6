//! How far the ledger may be trusted, and what it puts back.

use crate::{
    catalogue,
    history::LedgerKey,
    intercept::Record,
    policy::{RequestContext, Route},
    report::Report,
    wire::{Conversation, Dialect, splice::Edit},
};

/// What becomes of exchanges that the client never saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recall {
    /// They are recorded, and put back on later turns.
    Restore {
        /// Nothing may be delivered that a lost record would break.
        durable: bool,
    },
    /// They are forgotten, and the thinking that ran behind them is withheld from the client, so
    /// that nothing it holds is bound to bytes it cannot send again.
    Forget,
}

impl Recall {
    pub(crate) fn new(body: &str, conversation: &Conversation, context: &RequestContext) -> Self {
        let durable = match context.route {
            Route::Intercepted { durable_ledger } | Route::Mirror { durable_ledger } => durable_ledger,
            Route::ExactOnly => false,
        };
        let named = conversation.model.as_ref().and_then(|model| model.decode(body));
        let model = context.model.as_deref().or(named.as_deref()).unwrap_or_default();
        // Some models think unless told not to.
        let bound = context.dialect == Dialect::AnthropicMessages
            && conversation.thinking != Some(false)
            && catalogue::model(model).checks_prefix;
        match (bound, durable) {
            (true, false) => Self::Forget,
            (_, durable) => Self::Restore { durable: bound && durable },
        }
    }
}

pub(crate) fn restore(
    _body: &str,
    _conversation: &Conversation,
    _dialect: Dialect,
    _keys: &[LedgerKey],
    _records: &[Record],
    _report: &mut Report,
) -> Vec<Edit> {
    Vec::new()
}
