//! What may be done: a conversation's policy, and what is known of its request.

use std::collections::BTreeMap;

pub use crate::ccr::tool::DEFAULT_NAME as TOOL_NAME;
use crate::{catalogue::Catalogue, ccr::ToolPresence, intercept::MAX_ROUNDS, wire::Dialect};

/// The version of what the engine writes. From the first release on, any change of output bytes raises it.
pub(crate) const OUTPUT_VERSION: u32 = 1;

/// How far the engine may go.
///
/// ```
/// use headroom_engine::{Mode, Policy};
/// assert_eq!(Policy::default().mode(), Mode::Retrievable);
/// assert_eq!(Policy::exact().mode(), Mode::Exact);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Mode {
    /// Requests pass untouched.
    Off,
    /// Only what a decoder undoes from the request itself; no tool is listed.
    Exact,
    /// Exact rewrites, and elisions that the model can have back.
    #[default]
    Retrievable,
}

/// When earlier calls and their results leave a conversation that is too long.
///
/// ```
/// use headroom_engine::{ContextPolicy, Policy};
/// let policy = Policy::default().context(ContextPolicy::Tokens(150_000));
/// # assert!(policy.problems().is_empty());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ContextPolicy {
    /// Never: a request that is too long is refused by the provider.
    Keep,
    /// Where the request would not fit the model's window; of models whose window is not known,
    /// never.
    #[default]
    Window,
    /// Where the prompt would have more than so many tokens; on models that check the prefix of
    /// thinking only where it would not fit the window.
    Tokens(usize),
}

/// How far the engine may go with the results of one tool.
///
/// ```
/// use headroom_engine::{Policy, ToolPolicy};
/// let policy = Policy::default().tool("Read", ToolPolicy::Exact).tool("get_secret", ToolPolicy::Off);
/// # assert!(policy.problems().is_empty());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ToolPolicy {
    /// Untouched.
    Off,
    /// Exact rewrites only.
    Exact,
    /// As the conversation's policy allows.
    #[default]
    Retrievable,
}

/// What becomes of a conversation that began without the layer.
///
/// Whether one did is known to a durable ledger alone; without one each counts as begun with it.
///
/// ```
/// use headroom_engine::{AdoptPolicy, Policy};
/// assert!(Policy::default().adopt(AdoptPolicy::NewOnly).needs_durable_ledger());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum AdoptPolicy {
    /// It is taken over at once, which breaks the provider's cache once: except where it holds
    /// thinking that is bound to what it was produced under. That one is never taken over.
    #[default]
    Always,
    /// It stays as it is to its end.
    NewOnly,
}

/// A conversation's policy. Changing it midway changes what was already sent, so do not.
///
/// ```
/// use headroom_engine::{Policy, ToolPolicy};
/// let policy = Policy::default().tool("Read", ToolPolicy::Exact);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    mode: Mode,
    presence: ToolPresence,
    tool_name: String,
    tools: BTreeMap<String, ToolPolicy>,
    error_tokens: usize,
    least_hidden: usize,
    turns: u32,
    caution: u32,
    chances: BTreeMap<String, u32>,
    tool_chances: BTreeMap<String, u32>,
    answer_tokens: usize,
    rounds: u32,
    repeats: bool,
    context: ContextPolicy,
    aligned: bool,
    steady_tools: bool,
    breakpoints: bool,
    adopt: AdoptPolicy,
    images: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: Mode::Retrievable,
            presence: ToolPresence::Auto,
            tool_name: TOOL_NAME.into(),
            tools: BTreeMap::new(),
            error_tokens: 2000,
            least_hidden: 60,
            turns: 20,
            caution: 100,
            chances: BTreeMap::from([("code".to_owned(), 10)]),
            tool_chances: BTreeMap::new(),
            answer_tokens: 8000,
            rounds: MAX_ROUNDS,
            repeats: true,
            context: ContextPolicy::default(),
            aligned: true,
            steady_tools: false,
            breakpoints: false,
            adopt: AdoptPolicy::Always,
            images: false,
        }
    }
}

impl Policy {
    /// Nothing is touched.
    #[must_use]
    pub fn off() -> Self {
        Self { mode: Mode::Off, ..Self::default() }
    }

    /// Exact rewrites only; no tool is listed.
    #[must_use]
    pub fn exact() -> Self {
        Self { mode: Mode::Exact, ..Self::default() }
    }

    /// This policy, but for exact rewrites only.
    #[must_use]
    pub fn exactly(mut self) -> Self {
        self.mode = if self.mode == Mode::Off { Mode::Off } else { Mode::Exact };
        self
    }

    /// How far the engine may go.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// When the retrieval tool is listed; [`ToolPresence::Auto`] by default.
    #[must_use]
    pub fn presence(mut self, presence: ToolPresence) -> Self {
        self.presence = presence;
        self
    }

    /// The retrieval tool's name; `retrieve_original_content` by default.
    #[must_use]
    pub fn tool_name(mut self, name: impl Into<String>) -> Self {
        self.tool_name = name.into();
        self
    }

    /// What may be done with the results of the tool called `name`.
    #[must_use]
    pub fn tool(mut self, name: impl Into<String>, policy: ToolPolicy) -> Self {
        self.tools.insert(name.into(), policy);
        self
    }

    /// Results flagged as errors are never elided up to this many tokens; 2,000 by default.
    #[must_use]
    pub fn error_tokens(mut self, tokens: usize) -> Self {
        self.error_tokens = tokens;
        self
    }

    /// A block is elided only where that hides at least this many tokens more than exact rewriting
    /// saves, and more where the price of asking for them says so (see [`turns`](Self::turns)); 60 by
    /// default, three times what a marker costs.
    #[must_use]
    pub fn least_hidden(mut self, tokens: usize) -> Self {
        self.least_hidden = tokens;
        self
    }

    /// How many turns a conversation is expected to go on for, behind any block; 20 by default.
    ///
    /// A hidden token saves the writing of it and so many readings; what asking for it costs, times
    /// the [chance](Self::chance) of that, must be less. At a cached prefix of 100,000 tokens, read at
    /// a tenth of the price for each of 20 turns, 300 hidden tokens pay for a retrieval at a chance of
    /// 9 %, 1,000 at 28 %. In recorded trajectories of coding agents a token is read 20.7 times on
    /// average (AgentDiet, arXiv:2509.23586).
    #[must_use]
    pub fn turns(mut self, turns: u32) -> Self {
        self.turns = turns;
        self
    }

    /// How dear asking for what is hidden counts, in percent of what it is expected to cost; 100 by
    /// default. The more, the less is hidden: from 0, wherever a marker pays, on.
    #[must_use]
    pub fn caution(mut self, percent: u32) -> Self {
        self.caution = percent;
        self
    }

    /// How likely it is, in percent, that the model asks for what is hidden of a block of `kind`
    /// (`"json"`, `"log"`); 5 by default, 10 for `"code"`.
    ///
    /// In the 183 recorded sessions of the bench about one elided block in twenty hides what is
    /// needed or used later.
    #[must_use]
    pub fn chance(mut self, kind: impl Into<String>, percent: u32) -> Self {
        self.chances.insert(kind.into(), percent.min(100));
        self
    }

    /// How likely it is, in percent, that the model asks for what is hidden of a result of the tool
    /// called `name`, of whatever kind it is.
    #[must_use]
    pub fn tool_chance(mut self, name: impl Into<String>, percent: u32) -> Self {
        self.tool_chances.insert(name.into(), percent.min(100));
        self
    }

    /// The most tokens that one retrieval returns; 8,000 by default.
    #[must_use]
    pub fn answer_tokens(mut self, tokens: usize) -> Self {
        self.answer_tokens = tokens;
        self
    }

    /// When earlier calls and their results leave a conversation that is too long;
    /// [`ContextPolicy::Window`] by default.
    #[must_use]
    pub fn context(mut self, context: ContextPolicy) -> Self {
        self.context = context;
        self
    }

    /// The most rounds of retrieval within one answer; 3 by default.
    #[must_use]
    pub fn rounds(mut self, rounds: u32) -> Self {
        self.rounds = rounds;
        self
    }

    /// Whether lines that earlier results of the conversation still show become references to them;
    /// they do by default.
    #[must_use]
    pub fn repeats(mut self, repeats: bool) -> Self {
        self.repeats = repeats;
        self
    }

    /// Whether dynamic values, times and ids, leave the system prompt for a note behind the user's
    /// words, so that the provider's cache finds the prefix again; they do by default, where answers
    /// are intercepted. See [`AlignReport`](crate::AlignReport).
    #[must_use]
    pub fn aligned(mut self, aligned: bool) -> Self {
        self.aligned = aligned;
        self
    }

    /// Whether tool definitions are kept the same from request to request, for clients that write them
    /// anew each time; they are not by default.
    ///
    /// Times and ids in their descriptions are told behind the user's words, as those of the system
    /// prompt are; and where a request lists the same definitions as the conversation's first one, in
    /// another order of tools or of their keys, they go out as that one wrote them. A volatile field is
    /// always reported ([`AlignReport::in_tools`](crate::AlignReport::in_tools)).
    ///
    /// The risk: definitions are what the model calls tools by. A moment in a description that says how
    /// a tool is to be used (`data up to 2026-11-22 17:00`) is then read further down, and an order
    /// that the application changes on purpose, so that the model prefers other tools, has no effect.
    /// Names, schemas, defaults and examples are never touched. The ledger is asked once more.
    #[must_use]
    pub fn steady_tools(mut self, steady: bool) -> Self {
        self.steady_tools = steady;
        self
    }

    /// Whether cache breakpoints are set where the client sets none and the model's prompt is long
    /// enough to be cached; off by default, since writing to the cache costs more than not to.
    #[must_use]
    pub fn breakpoints(mut self, breakpoints: bool) -> Self {
        self.breakpoints = breakpoints;
        self
    }

    /// What becomes of conversations that began without the layer; [`AdoptPolicy::Always`] by
    /// default.
    #[must_use]
    pub fn adopt(mut self, adopt: AdoptPolicy) -> Self {
        self.adopt = adopt;
        self
    }

    /// Whether images become smaller where the provider then counts fewer tokens, and images that the
    /// conversation showed before leave a marker; they do not by default. Anthropic Messages and
    /// OpenAI Responses only, and only where answers are intercepted; not where the client's tools
    /// take places in an image, such as clicks.
    #[cfg(feature = "image")]
    #[must_use]
    pub fn images(mut self, images: bool) -> Self {
        self.images = images;
        self
    }

    /// Why this policy cannot work; empty if it can. A name that providers refuse would fail every
    /// request, and without a round or a token nothing hidden could be had back.
    ///
    /// ```
    /// use headroom_engine::Policy;
    /// assert!(Policy::default().problems().is_empty());
    /// assert_eq!(Policy::default().tool_name("get it back").rounds(0).problems().len(), 2);
    /// ```
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if !(1..=64).contains(&self.tool_name.len()) || !self.tool_name.bytes().all(good) {
            problems.push(format!(
                "policy: the tool name {:?} is not 1 to 64 letters, digits, '_' and '-'",
                self.tool_name
            ));
        }
        for (name, zero) in [("round", self.rounds == 0), ("answer token", self.answer_tokens == 0)] {
            if zero {
                problems.push(format!("policy: no {name} to retrieve with"));
            }
        }
        problems
    }

    /// Whether this policy can be kept with a durable ledger alone.
    ///
    /// ```
    /// use headroom_engine::{AdoptPolicy, Policy};
    /// assert!(Policy::default().adopt(AdoptPolicy::NewOnly).needs_durable_ledger());
    /// ```
    #[must_use]
    pub fn needs_durable_ledger(&self) -> bool {
        self.adopt == AdoptPolicy::NewOnly
    }

    pub(crate) fn tool_presence(&self) -> ToolPresence {
        self.presence
    }

    pub(crate) fn retrieval_tool(&self) -> &str {
        &self.tool_name
    }

    pub(crate) fn for_tool(&self, name: &str) -> ToolPolicy {
        self.tools.get(name).copied().unwrap_or_default()
    }

    pub(crate) fn error_limit(&self) -> usize {
        self.error_tokens
    }

    pub(crate) fn hidden_limit(&self) -> usize {
        self.least_hidden
    }

    pub(crate) fn turn_count(&self) -> u32 {
        self.turns
    }

    pub(crate) fn caution_share(&self) -> f64 {
        f64::from(self.caution) / 100.0
    }

    /// How likely the model asks for what is hidden of a result of `tool` that is of `kind`, in
    /// percent.
    pub(crate) fn chance_of(&self, tool: &str, kind: &str) -> u32 {
        /// Of other kinds.
        const CHANCE: u32 = 5;
        let known = self.tool_chances.get(tool).or_else(|| self.chances.get(kind));
        known.copied().unwrap_or(CHANCE)
    }

    /// The most tokens of one answer to a retrieval: what [`answer_tokens`](Self::answer_tokens) set.
    #[must_use]
    pub fn answer_limit(&self) -> usize {
        self.answer_tokens
    }

    pub(crate) fn context_policy(&self) -> ContextPolicy {
        self.context
    }

    pub(crate) fn round_limit(&self) -> u32 {
        self.rounds
    }

    pub(crate) fn refers(&self) -> bool {
        self.repeats
    }

    pub(crate) fn aligns(&self) -> bool {
        self.aligned
    }

    pub(crate) fn steadies_tools(&self) -> bool {
        self.steady_tools
    }

    pub(crate) fn sets_breakpoints(&self) -> bool {
        self.breakpoints
    }

    #[cfg(feature = "image")]
    pub(crate) fn shows_images_smaller(&self) -> bool {
        self.images
    }

    pub(crate) fn adopts(&self) -> AdoptPolicy {
        self.adopt
    }

    /// The epoch: a digest of everything but the conversation that decides output bytes. `facts` is
    /// what does not change within one engine.
    pub(crate) fn epoch(&self, facts: &[u8; 32]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(facts);
        let mut text = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        };
        text(&self.tool_name);
        for (name, policy) in &self.tools {
            text(name);
            text(match policy {
                ToolPolicy::Off => "off",
                ToolPolicy::Exact => "exact",
                ToolPolicy::Retrievable => "retrievable",
            });
        }
        // Numbers cannot be taken for names: each name's length stands before it.
        for chances in [&self.chances, &self.tool_chances] {
            hasher.update(&(chances.len() as u64).to_le_bytes());
            for (name, percent) in chances {
                hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
                hasher.update(&percent.to_le_bytes());
            }
        }
        hasher.update(&self.turns.to_le_bytes()).update(&self.caution.to_le_bytes());
        hasher.update(&[self.mode as u8, self.presence as u8, u8::from(self.repeats)]);
        hasher.update(&match self.context {
            ContextPolicy::Keep => [0; 9],
            ContextPolicy::Window => [1; 9],
            ContextPolicy::Tokens(tokens) => {
                let mut bytes = [2; 9];
                bytes[1..].copy_from_slice(&(tokens as u64).to_le_bytes());
                bytes
            }
        });
        hasher.update(&[u8::from(self.aligned), u8::from(self.breakpoints), self.adopt as u8]);
        if self.images {
            hasher.update(b"images");
        }
        if self.steady_tools {
            hasher.update(b"steady tools");
        }
        for number in [self.error_tokens, self.least_hidden, self.answer_tokens, self.rounds as usize] {
            hasher.update(&(number as u64).to_le_bytes());
        }
        *hasher.finalize().as_bytes()
    }
}

/// What decides output bytes besides policy and conversation: the output version, the counter, the
/// scorer, the specialists and the catalogue.
pub(crate) fn facts<'a>(
    family: &'a str,
    scorer: &'a str,
    kinds: impl Iterator<Item = &'a str>,
    catalogue: &Catalogue,
) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&OUTPUT_VERSION.to_le_bytes());
    for text in [family, scorer].into_iter().chain(kinds) {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    }
    catalogue.digest(&mut hasher);
    *hasher.finalize().as_bytes()
}

/// What the caller can do with the answers on this route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Route {
    /// Answers pass through a [`Continuation`](crate::intercept::Continuation).
    Intercepted {
        /// What the ledger acknowledges survives restarts and reaches every replica.
        durable_ledger: bool,
    },
    /// The request is only counted: it becomes what the real one will, nothing is intercepted.
    Mirror {
        /// As for the real request.
        durable_ledger: bool,
    },
    /// Nobody intercepts the answer: exact rewrites only.
    ExactOnly,
}

/// What is known of a request besides its body.
///
/// ```
/// use headroom_engine::{Dialect, RequestContext, Route};
/// let counted = RequestContext::new(Dialect::Gemini)
///     .model("gemini-3-pro") // Gemini names it in the path.
///     .route(Route::Mirror { durable_ledger: false });
/// assert_eq!(counted.model.as_deref(), Some("gemini-3-pro"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestContext {
    /// The body's format.
    pub dialect: Dialect,
    /// The model, where the body does not name it.
    pub model: Option<String>,
    /// What can be done with the answer.
    pub route: Route,
}

impl RequestContext {
    /// A request whose body names its model and whose answer is intercepted, without a durable
    /// ledger.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, model: None, route: Route::Intercepted { durable_ledger: false } }
    }

    /// The same on another route.
    #[must_use]
    pub fn route(mut self, route: Route) -> Self {
        self.route = route;
        self
    }

    /// The same with a model that the body does not name.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }
}
