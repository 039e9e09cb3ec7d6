//! How far the ledger may be trusted, and what it puts back.

use std::{collections::HashMap, ops::Range};

use crate::{
    catalogue::Model,
    intercept::{
        Recall,
        record::{self, TurnView},
    },
    ledger::{LedgerKey, Record},
    policy::{RequestContext, Route},
    report::Report,
    wire::{Conversation, Dialect, Role, splice::Edit},
};

/// How far a record of this conversation may be trusted.
pub(crate) fn recall(model: &Model, conversation: &Conversation, context: &RequestContext) -> Recall {
    let durable = match context.route {
        Route::Intercepted { durable_ledger } | Route::Mirror { durable_ledger } => durable_ledger,
        Route::ExactOnly => false,
    };
    let bound = binds_thinking(model, conversation, context);
    match (bound, durable) {
        (true, false) => Recall::Forget,
        (bound, _) => Recall::Restore { durable: bound },
    }
}

/// Whether what the model thinks is bound to the bytes before it.
pub(crate) fn binds_thinking(model: &Model, conversation: &Conversation, context: &RequestContext) -> bool {
    // Some models think unless told not to.
    let signs = match context.dialect {
        Dialect::AnthropicMessages => true,
        #[cfg(feature = "bedrock")]
        Dialect::BedrockConverse => context.model.as_deref().is_none_or(may_be_claude),
        _ => false,
    };
    signs && conversation.thinking != Some(false) && model.checks_prefix
}

/// Whether a model of Bedrock may be one of Anthropic's: it is called so, or by an ARN that does not
/// tell. Others sign no thinking.
#[cfg(feature = "bedrock")]
fn may_be_claude(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    let opaque = model.starts_with("arn:") && !name.contains('.');
    opaque || ["anthropic", "claude"].iter().any(|known| model.contains(known))
}

/// The edits that put back what `records` hold, but for the messages that a cut has `forgotten`.
/// `keys` are those behind each message.
pub(crate) fn restore(
    body: &str,
    conversation: &Conversation,
    dialect: Dialect,
    keys: &[LedgerKey],
    records: &[Record],
    forgotten: &Range<usize>,
    report: &mut Report,
) -> Vec<Edit> {
    if records.is_empty() {
        return Vec::new();
    }
    let records: HashMap<LedgerKey, &Record> = records.iter().map(|record| (record.key, record)).collect();
    let mut edits = Vec::new();
    for ((at, message), key) in conversation.messages.iter().enumerate().zip(keys) {
        if message.role != Role::Assistant || forgotten.contains(&at) {
            continue;
        }
        let Some(record) = records.get(key) else { continue };
        let next = conversation.messages.get(at + 1).map(|next| next.span.clone());
        let turn = TurnView { dialect, body, message: message.span.clone(), next };
        match record::restore(&record.value, &turn) {
            Some(restored) => {
                report.restored += 1;
                report.declared_breaks += 1;
                edits.extend(restored.into_iter().map(|(span, text)| Edit { span, text: text.into() }));
            }
            None => report.unrestored += 1,
        }
    }
    edits
}

#[cfg(all(test, feature = "bedrock"))]
mod tests {
    use super::*;

    #[test]
    fn who_signs_thinking_on_bedrock() {
        let arn = |name: &str| format!("arn:aws:bedrock:us-east-1:1:{name}");
        for (model, expected) in [
            ("us.anthropic.claude-opus-5-5-v1:0".to_owned(), true),
            (arn("inference-profile/eu.anthropic.claude-opus-5-5-v1:0"), true),
            (arn("application-inference-profile/9f3k2j"), true),
            (arn("foundation-model/amazon.nova-pro-v1:0"), false),
            ("us.amazon.nova-pro-v1:0".to_owned(), false),
            ("deepseek.r1-v1:0".to_owned(), false),
        ] {
            assert_eq!(may_be_claude(&model), expected, "{model}");
        }
    }
}
