//! The blocks of a request: reduced where they stand, or gone where the whole would not fit.

use std::sync::Arc;

use super::Scanned;
#[cfg(feature = "image")]
use crate::images::Images;
use crate::{
    block::Blocks,
    ccr::plan::Treatment,
    context::{self, Cut, Marks},
    originals::Originals,
    policy::Policy,
    report::{BlockReport, ContextReport, Report},
    wire::splice::Edit,
};

/// The blocks of a request, reduced.
pub(super) struct Compressed {
    pub(super) edits: Vec<Edit>,
    pub(super) originals: Originals,
    pub(super) blocks: Vec<BlockReport>,
}

impl Scanned {
    pub(super) fn blocks<'a>(
        &'a self,
        body: &'a str,
        treatment: Treatment,
        policy: &'a Policy,
    ) -> Blocks<'a> {
        Blocks::new(
            &self.engine.0,
            body,
            &self.conversation,
            &self.candidates,
            treatment,
            policy,
            &self.model,
        )
    }

    #[cfg(feature = "image")]
    pub(super) fn images<'a>(
        &'a self,
        body: &'a str,
        treatment: Treatment,
        policy: &'a Policy,
    ) -> Option<Images<'a>> {
        Images::find(&self.engine.0, self.context.dialect, body, &self.conversation, treatment, policy)
    }

    /// Every eligible block: what was shown before, its specialists, the gate and the memo.
    pub(super) fn compress(&self, body: &str, treatment: Treatment, policy: &Policy) -> Compressed {
        let mut compressed = Compressed {
            edits: Vec::new(),
            originals: Originals::new(self.body.clone()),
            blocks: Vec::new(),
        };
        let outcomes = self.blocks(body, treatment, policy).outcomes();
        for (candidate, outcome) in self.candidates.all().iter().zip(outcomes) {
            if outcome.reason.replaced() {
                let span = candidate.text.range.clone();
                compressed.edits.push(Edit { span, text: outcome.literal.clone() });
                let kind = outcome.kind.unwrap_or_default();
                compressed.originals.add(kind, &candidate.text, &outcome.hidden);
            }
            compressed.blocks.push(BlockReport {
                message: candidate.message,
                tool: Arc::clone(&candidate.tool),
                block: candidate.block,
                part: candidate.part,
                kind: outcome.kind,
                parts: outcome.parts,
                reason: outcome.reason,
                tokens_in: outcome.tokens_in,
                tokens_out: outcome.tokens_out,
                tokens_exact: outcome.tokens_exact,
                hidden: outcome.hidden.to_vec(),
            });
        }
        #[cfg(feature = "image")]
        for change in self.images(body, treatment, policy).iter().flat_map(Images::changes) {
            compressed.edits.extend(change.edits);
            compressed.originals.add_image(change.data, &change.report.hidden);
            compressed.blocks.push(change.report);
        }
        compressed
    }

    /// What leaves where the conversation would not fit, and the blocks of what stays: without
    /// references, which might point at what has left.
    pub(super) fn cut(
        &self,
        body: &str,
        tools: Option<&str>,
        treatment: Treatment,
        policy: &Policy,
        report: &mut Report,
    ) -> Option<(Cut, Compressed)> {
        treatment.retrievable()?;
        // Calls that stand elsewhere need their results here.
        if self.conversation.previous.is_some() {
            return None;
        }
        let marks = Marks::below(context::most(policy.context_policy(), &self.model, self.binds)?);
        if marks.fits_bytes(body.len()) {
            return None;
        }
        let engine = &self.engine.0;
        let compressed = self.compress(body, treatment, &policy.clone().repeats(false));
        let (entries, units, fixed) = context::measure(
            body,
            &self.conversation,
            &self.dynamic,
            tools,
            &compressed.blocks,
            &engine.counts,
            &*engine.counter,
        );
        let plan = context::plan(&entries, &units, fixed, marks);
        let cut = Cut::new(self.context.dialect, body, &self.conversation, &plan, self.binds, &engine.key);
        let moved = cut.is_some() && plan.moved_at == self.conversation.messages.len();
        if plan.too_long || cut.is_some() {
            report.context = Some(ContextReport {
                messages: cut.as_ref().map_or(0, |_| plan.dropped.len()),
                tokens: cut.as_ref().map_or(0, |_| plan.tokens),
                moved,
                too_long: plan.too_long || cut.is_none(),
            });
        }
        report.declared_breaks += u32::from(moved);
        Some((cut?, compressed))
    }
}
