//! Engines, policies and bodies for the laws.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use headroom_engine::{
    Dialect, Engine, Policy, RequestContext, Rewrite, Route,
    ccr::{self, HandleKey, ToolPresence, ToolShape},
    reduce::{Reduction, Witness, render},
};
use headroom_tests::{
    convert::convert,
    generate::{self, Talk},
    json::Spelling,
    places::DIALECTS,
};
use proptest::{prelude::*, test_runner::Config};

use crate::reducers::{Middle, Minify};

/// Who reduces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crew {
    /// The simple reducers of this suite, before the built-in ones.
    Doubles,
    /// The built-in specialists alone.
    BuiltIn,
}

pub(crate) const CREWS: [Crew; 2] = [Crew::Doubles, Crew::BuiltIn];

/// What the gate took, in order: source, kind, reduction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<Said>>>);

/// A source, the kind that was seen in it, and what was made of it.
type Said = (String, &'static str, Reduction);

impl Seen {
    /// What was made of `source`.
    pub(crate) fn of(&self, source: &str) -> Vec<(&'static str, Reduction)> {
        let seen = self.0.lock().unwrap();
        seen.iter().filter(|(of, ..)| of == source).map(|(_, kind, said)| (*kind, said.clone())).collect()
    }

    /// What the gate took of `source` that gives `output` with handles of `kind`.
    pub(crate) fn that_gives(&self, source: &str, kind: &str, output: &str) -> Option<Reduction> {
        let gives = |said: &Reduction| render(source, said, kind, &HandleKey::default()).text == output;
        self.of(source).into_iter().filter(|(of, _)| *of == kind).map(|(_, said)| said).find(gives)
    }
}

impl Witness for Seen {
    fn taken(&self, source: &str, kind: &'static str, reduction: &Reduction) {
        self.0.lock().unwrap().push((source.to_owned(), kind, reduction.clone()));
    }
}

/// A fresh engine, and what its gate takes from now on.
pub(crate) fn engine(crew: Crew) -> (Engine, Seen) {
    let seen = Seen::default();
    let mut builder = Engine::builder().memo_bytes(8 << 20).witness(Arc::new(seen.clone()));
    if crew == Crew::Doubles {
        builder = builder.reducer(Arc::new(Middle)).reducer(Arc::new(Minify));
    }
    (builder.build(), seen)
}

/// Rewrites `body` on a route whose answers are intercepted.
pub(crate) fn rewrite(engine: &Engine, dialect: Dialect, body: &str, policy: &Policy) -> Rewrite {
    let context = RequestContext::new(dialect).route(Route::Intercepted { durable_ledger: true });
    rewrite_as(engine, &context, Bytes::copy_from_slice(body.as_bytes()), policy)
}

pub(crate) fn rewrite_as(engine: &Engine, context: &RequestContext, body: Bytes, policy: &Policy) -> Rewrite {
    let rewrite = engine.scan(body, context).expect("a body that can be scanned").rewrite(policy, &[]);
    assert!(!rewrite.report.failed_open, "failed open: {:?}", rewrite.report);
    rewrite
}

pub(crate) fn utf8(body: &Bytes) -> &str {
    std::str::from_utf8(body).expect("UTF-8")
}

/// The retrieval tool as this dialect lists it.
pub(crate) fn definition(dialect: Dialect) -> String {
    let shape = ToolShape::of(dialect);
    ccr::definition(shape, headroom_engine::TOOL_NAME)
}

pub(crate) fn dialects() -> impl Strategy<Value = Dialect> {
    prop::sample::select(DIALECTS.as_slice())
}

/// Those whose messages are elements of one array: where values are moved and units leave.
pub(crate) fn chats() -> impl Strategy<Value = Dialect> {
    prop::sample::select(&[Dialect::AnthropicMessages, Dialect::OpenAiChat][..])
}

pub(crate) fn crews() -> impl Strategy<Value = Crew> {
    prop_oneof![2 => Just(Crew::Doubles), 3 => Just(Crew::BuiltIn)]
}

/// Policies under which short texts are elided too.
pub(crate) fn policies() -> impl Strategy<Value = Policy> {
    prop_oneof![
        5 => Just(eager()),
        2 => Just(Policy::default()),
        2 => Just(Policy::exact()),
        1 => Just(eager().presence(ToolPresence::Always)),
        1 => Just(eager().presence(ToolPresence::Never)),
        1 => Just(eager().error_tokens(30)),
    ]
}

/// Elides whatever pays at all.
pub(crate) fn eager() -> Policy {
    Policy::default().least_hidden(20)
}

/// A request of this dialect, spelled like this.
pub(crate) fn spell(dialect: Dialect, talk: &Talk, spelling: Spelling) -> String {
    generate::body(dialect, talk).spell(spelling)
}

pub(crate) fn cases(cases: u32) -> Config {
    Config { cases, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() }
}

/// Those in the dialects of [`chats`].
pub(crate) fn chat_fixtures() -> Vec<(String, Dialect, String)> {
    let chat = |dialect| matches!(dialect, Dialect::AnthropicMessages | Dialect::OpenAiChat);
    fixtures().into_iter().filter(|(_, dialect, _)| chat(*dialect)).collect()
}

/// The recorded conversations of `tests/fixtures`: name, dialect, body.
pub(crate) fn fixtures() -> Vec<(String, Dialect, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the fixtures") {
        let path = entry.expect("a fixture").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let dialect = match name.split('.').collect::<Vec<_>>()[..] {
            [_, "anthropic", "json"] => Dialect::AnthropicMessages,
            [_, "openai", "json"] => Dialect::OpenAiChat,
            _ => continue,
        };
        let body = std::fs::read_to_string(path).expect("UTF-8");
        // The same conversations in the dialects that none was recorded in.
        for dialect in [Dialect::OpenAiResponses, Dialect::Gemini, Dialect::BedrockConverse] {
            found.push((format!("{name} as {}", dialect.name()), dialect, convert(dialect, &body)));
        }
        found.push((name, dialect, body));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(DIALECTS.iter().all(|dialect| found.iter().any(|(_, of, _)| of == dialect)), "all dialects");
    found
}
