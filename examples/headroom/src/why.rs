//! Reasons in words.

use headroom_engine::Reason;

/// Why a block, or a request, became what it became.
pub(crate) fn block(reason: Reason) -> &'static str {
    match reason {
        Reason::Exact => "written shorter; a decoder rebuilds the original from it",
        Reason::Elided => "partly left out, behind handles",
        Reason::Small => "too short to save anything",
        Reason::NoSpecialist => "no specialist knows this kind of content",
        Reason::NothingToGain => "its specialist found nothing to gain",
        Reason::NotSmaller => "would not be smaller by enough to pay",
        Reason::Undecodable => "the decoder did not rebuild it, so it stays: a fault worth a report",
        Reason::Panicked => "its specialist failed, so it stays: a fault worth a report",
        Reason::ToolPolicy => "the policy keeps this tool's results",
        Reason::Retrieved => "what a retrieval returned is never shortened",
        Reason::NotText => "no text: it holds half a surrogate pair",
        Reason::PolicyOff => "the policy switches everything off",
        Reason::PolicyExact => "the policy allows exact rewrites only",
        Reason::SeveralAnswers => "several answers are asked for, whose calls cannot be intercepted",
        Reason::Stateful => {
            "the provider keeps the conversation, so a later request may go on without the tool"
        }
        Reason::RouteExact => "nobody answers retrievals on this route",
        Reason::NoBulkTool => "the client's tools cannot return much, so the retrieval tool would not pay",
        Reason::ClientOwned => "the client lists a retrieval tool of its own",
        Reason::NotOurs => "the conversation began elsewhere",
        _ => reason.name(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_not_names() {
        for reason in [Reason::Exact, Reason::Elided, Reason::Small, Reason::NotSmaller, Reason::NoBulkTool] {
            assert_ne!(block(reason), reason.name());
        }
    }
}
