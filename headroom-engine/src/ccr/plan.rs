//! How a request is treated, decided before anything is compressed.

use super::{ToolPresence, is_retrieval_name};
use crate::{
    policy::{Mode, Policy, Route},
    report::Reason,
    wire::{Conversation, text::Str},
};

/// How a request is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// It passes untouched.
    Off,
    /// Exact rewrites; no tool.
    ExactOnly,
    /// Our tool is listed and its calls are intercepted.
    Transparent(Retrievable),
    /// The client's own tool redeems from the store.
    ClientOwned(Retrievable),
}

/// Proof that what is hidden can be had back in this very request. Only [`decide`] and the library,
/// whose caller redeems, make one; the lossy path asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retrievable(());

impl Retrievable {
    /// The caller of the library redeems.
    pub(crate) fn by_caller() -> Self {
        Self(())
    }
}

impl Treatment {
    pub(crate) fn retrievable(self) -> Option<Retrievable> {
        match self {
            Self::Transparent(token) | Self::ClientOwned(token) => Some(token),
            Self::Off | Self::ExactOnly => None,
        }
    }
}

/// Decides from the route, the policy and the client's own tools: from nothing that a later turn of
/// the same conversation changes.
pub(crate) fn decide(
    body: &str,
    conversation: &Conversation,
    policy: &Policy,
    route: Route,
) -> (Treatment, Option<Reason>) {
    let exact = |reason| (Treatment::ExactOnly, Some(reason));
    match policy.mode() {
        Mode::Off => return (Treatment::Off, Some(Reason::PolicyOff)),
        Mode::Exact => return exact(Reason::PolicyExact),
        Mode::Retrievable => {}
    }
    let text = |text: &Option<Str>| {
        text.as_ref().and_then(|text| text.decode(body)).map(std::borrow::Cow::into_owned).unwrap_or_default()
    };
    let tools: Vec<(String, String)> = conversation
        .tools
        .iter()
        .flat_map(|tools| &tools.items)
        .map(|tool| (text(&tool.name), text(&tool.description)))
        .collect();
    if tools.iter().any(|(name, _)| is_retrieval_name(name, policy.retrieval_tool())) {
        return (Treatment::ClientOwned(Retrievable(())), Some(Reason::ClientOwned));
    }
    if route == Route::ExactOnly || conversation.tools_unreadable {
        return exact(Reason::RouteExact);
    }
    if conversation.stateful {
        return exact(Reason::Stateful);
    }
    if conversation.several_answers {
        return exact(Reason::SeveralAnswers);
    }
    if conversation.linked {
        // Listed from the conversation's first request on: what was hidden there is asked for here.
        return (Treatment::Transparent(Retrievable(())), None);
    }
    let names = tools.iter().map(|(name, description)| (name.as_str(), description.as_str()));
    match policy.tool_presence() {
        ToolPresence::Never => exact(Reason::PolicyExact),
        presence if presence.lists(names) => (Treatment::Transparent(Retrievable(())), None),
        _ => exact(Reason::NoBulkTool),
    }
}
