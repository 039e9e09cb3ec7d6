//! The engine's specialists: recorded while it works, so that its outputs can be read back, and timed
//! on their own.

use std::{
    collections::HashMap,
    hint::black_box,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use headroom_engine::{
    Engine,
    ccr::HandleKey,
    rank::Query,
    reduce::{Context, Gate, Hidden, Reducer, Reduction, render},
    tokens::{O200k, TokenCounter},
};

use crate::visible::{Audit, Section, audit};

type Log = Arc<Mutex<HashMap<blake3::Hash, Vec<(&'static str, Reduction)>>>>;

/// An engine that works like any other and remembers what its specialists said to do.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) engine: Engine,
    log: Log,
}

impl Recorded {
    pub(crate) fn new() -> Self {
        let (plain, log) = (Engine::new(), Log::default());
        let mut builder = Engine::builder();
        for at in (0..plain.reducers().count()).rev() {
            builder = builder.reducer(Arc::new(Recorder { plain: plain.clone(), at, log: log.clone() }));
        }
        Self { engine: builder.build(), log }
    }

    /// Whether `output`, which hides `hidden`, accounts for every byte of `source`.
    pub(crate) fn audit(&self, source: &str, output: &str, hidden: &[Hidden]) -> Audit {
        if source == output && hidden.is_empty() {
            return Audit::default();
        }
        let ranges: Vec<_> = hidden.iter().map(|hidden| hidden.range.clone()).collect();
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        for (kind, reduction) in log.get(&blake3::hash(source.as_bytes())).into_iter().flatten() {
            let rendered = render(source, reduction, kind, &HandleKey::default());
            if rendered.text == output {
                let pairs = reduction.segments.iter().zip(rendered.segments);
                let sections: Vec<_> = pairs
                    .map(|(s, output)| Section { source: s.range.clone(), output, codec: &*s.codec })
                    .collect();
                return audit(source, output, &ranges, &sections);
            }
        }
        audit(source, output, &ranges, &[])
    }
}

/// Passes everything on to a specialist of `plain`.
#[derive(Debug)]
struct Recorder {
    plain: Engine,
    at: usize,
    log: Log,
}

impl Recorder {
    fn inner(&self) -> Option<&dyn Reducer> {
        self.plain.reducers().nth(self.at)
    }

    fn note(&self, source: &str, reduction: Option<Reduction>) -> Option<Reduction> {
        if let Some(reduction) = &reduction {
            let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
            log.entry(blake3::hash(source.as_bytes())).or_default().push((self.kind(), reduction.clone()));
        }
        reduction
    }
}

impl Reducer for Recorder {
    fn kind(&self) -> &'static str {
        self.inner().map(Reducer::kind).unwrap_or_default()
    }

    fn recognises(&self, source: &str) -> bool {
        self.inner().is_some_and(|inner| inner.recognises(source))
    }

    fn exact(&self, source: &str, context: &Context<'_>) -> Option<Reduction> {
        self.note(source, self.inner()?.exact(source, context))
    }

    fn elide(&self, source: &str, context: &Context<'_>) -> Option<Reduction> {
        self.note(source, self.inner()?.elide(source, context))
    }
}

/// Counts nothing: what a specialist's own time is measured with.
#[derive(Debug)]
struct Quarter;

impl TokenCounter for Quarter {
    fn count(&self, text: &str) -> usize {
        text.len() / 4
    }

    fn family(&self) -> &str {
        "quarter"
    }
}

/// Seconds, the best of several interleaved runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// The specialist alone, nothing counted.
    pub(crate) reduce: f64,
    /// The specialist and the gate: counting and decoding.
    pub(crate) gate: f64,
    /// Parsing the same bytes as JSON values, or counting their tokens.
    pub(crate) yardstick: f64,
}

/// Times the specialist of `text`; `None` where it has none.
pub(crate) fn times(engine: &Engine, text: &str, query: &Query, json: bool, runs: usize) -> Option<Times> {
    let reducer = engine.reducers().find(|reducer| reducer.recognises(text))?;
    let key = HandleKey::default();
    let gate = Gate { counter: &O200k, key: &key };
    let mut best = Times { reduce: f64::MAX, gate: f64::MAX, yardstick: f64::MAX };
    for _ in 0..runs.max(1) {
        let context = Context { query, tool: "read_file", is_error: false, counter: &Quarter };
        best.reduce = best.reduce.min(seconds(|| {
            black_box(reducer.recognises(text));
            black_box(reducer.elide(text, &context));
        }));
        let context = Context { counter: &O200k, ..context };
        best.gate = best.gate.min(seconds(|| {
            black_box(reducer.recognises(text));
            if let Some(reduction) = reducer.elide(text, &context) {
                let _ = black_box(gate.pass(text, None, reducer.kind(), &reduction));
            }
        }));
        best.yardstick = best.yardstick.min(seconds(|| {
            if json {
                let values = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>();
                black_box(values.take_while(Result::is_ok).count());
            } else {
                black_box(O200k.count(text));
            }
        }));
    }
    Some(best)
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}
