//! The engine's specialists: recorded while it works, so that its outputs can be read back, and timed
//! on their own.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hint::black_box,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use headroom_engine::{
    Engine,
    ccr::HandleKey,
    rank::Query,
    reduce::{Context, Gate, Hidden, Hints, Reducer, Reduction, render},
    tokens::{O200k, TokenCounter},
};

use crate::visible::{Audit, Section, audit};

/// A text, the kind that was seen in it, and what was made of it.
type Said = (Arc<String>, &'static str, Reduction);
type Log = Arc<Mutex<HashMap<blake3::Hash, Vec<Said>>>>;

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
        let Some((reduction, kind)) = self.said(source, output) else {
            return audit(source, output, &ranges, &[]);
        };
        let rendered = render(source, &reduction, kind, &HandleKey::default());
        let pairs = reduction.segments.iter().zip(rendered.segments);
        let sections: Vec<_> =
            pairs.map(|(s, output)| Section { source: s.range.clone(), output, codec: &*s.codec }).collect();
        audit(source, output, &ranges, &sections)
    }

    /// What specialists said of `source`, or of parts of it, that gives `output`.
    fn said(&self, source: &str, output: &str) -> Option<(Reduction, &'static str)> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let key = HandleKey::default();
        let whole = log.get(&blake3::hash(source.as_bytes())).into_iter().flatten();
        let mut whole = whole.filter(|(_, kind, said)| render(source, said, kind, &key).text == output);
        if let Some((_, kind, said)) = whole.next() {
            return Some((said.clone(), kind));
        }
        let parts: Vec<Said> =
            log.values().flatten().filter(|(part, ..)| source.contains(part.as_str())).cloned().collect();
        composed(source, output, &parts)
    }
}

/// The reduction that is put together from what was `said` of parts of `source`, what lies between
/// them as it is, so that it renders to `output`; and the kind that its handles are hashed with.
/// Nothing here knows how a source is cut.
fn composed(source: &str, output: &str, said: &[Said]) -> Option<(Reduction, &'static str)> {
    let key = HandleKey::default();
    let mut starts: BTreeMap<usize, Vec<&Said>> = BTreeMap::new();
    for said in said.iter().filter(|(part, ..)| !part.is_empty() && part.len() <= source.len()) {
        for (at, _) in source.match_indices(said.0.as_str()) {
            starts.entry(at).or_default().push(said);
        }
    }
    let kinds: BTreeSet<&'static str> = starts.values().flatten().map(|(_, kind, _)| *kind).collect();
    kinds.into_iter().find_map(|kind| {
        let mut tried = BTreeSet::new();
        let mut open = vec![(0, 0, Vec::new())];
        while let Some((from, read, parts)) = open.pop() {
            if (from, read) == (source.len(), output.len()) {
                return Some((Reduction::joined(parts), kind));
            }
            if from == source.len() || !tried.insert((from, read)) {
                continue;
            }
            let next = starts.range(from + 1..).next().map_or(source.len(), |(at, _)| *at);
            let here = starts.get(&from).into_iter().flatten();
            let reduced = here.map(|(part, _, said)| (from + part.len(), said.clone().shifted(from)));
            for (end, part) in std::iter::once((next, Reduction::kept(from..next))).chain(reduced) {
                let text = render(source, &part, kind, &key).text;
                if output[read..].starts_with(&text) {
                    let parts: Vec<Reduction> = parts.iter().cloned().chain([part]).collect();
                    open.push((end, read + text.len(), parts));
                }
            }
        }
        None
    })
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
            let said = (Arc::new(source.to_owned()), self.kind(), reduction.clone());
            log.entry(blake3::hash(source.as_bytes())).or_default().push(said);
        }
        reduction
    }
}

impl Reducer for Recorder {
    fn kind(&self) -> &'static str {
        self.inner().map(Reducer::kind).unwrap_or_default()
    }

    fn recognises(&self, source: &str, hints: Hints<'_>) -> bool {
        self.inner().is_some_and(|inner| inner.recognises(source, hints))
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

/// Seconds, each the best of several interleaved runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// The specialist alone, nothing counted.
    pub(crate) reduce: f64,
    /// The specialist and all of the gate: counting the source, decoding, counting the output.
    pub(crate) gate: f64,
    /// Parsing the same bytes as JSON values; `None` where they are not JSON's kind.
    pub(crate) parse: Option<f64>,
    /// Counting the tokens of the same bytes with `bpe-openai`, the published counter: a yardstick
    /// that does not move when ours gets faster.
    pub(crate) count: f64,
}

impl Times {
    /// What `reduce` is compared with.
    pub(crate) fn yardstick(&self) -> f64 {
        self.parse.unwrap_or(self.count)
    }
}

/// Times the specialist of `text`; `None` where it has none.
pub(crate) fn times(engine: &Engine, text: &str, query: &Query, json: bool, runs: usize) -> Option<Times> {
    let router = engine.router();
    router.route(text, Hints::default()).kind()?;
    let key = HandleKey::default();
    let gate = Gate { counter: &O200k, key: &key };
    let context =
        |counter| Context { query, tool: "read_file", hints: Hints::default(), is_error: false, counter };
    // Routing is the specialists' time too, and so is the gate of each of several parts.
    let reduce = |context: &Context<'_>| {
        let routed = black_box(router.route(text, Hints::default()));
        routed.elide(context, &gate, 0).or_else(|| routed.exact(context, &gate))
    };
    let mut best =
        Times { reduce: f64::MAX, gate: f64::MAX, parse: json.then_some(f64::MAX), count: f64::MAX };
    for _ in 0..runs.max(1) {
        best.reduce = best.reduce.min(seconds(|| drop(black_box(reduce(&context(&Quarter))))));
        best.gate = best.gate.min(seconds(|| {
            // As the engine does it: the source is counted whatever becomes of it.
            let tokens = O200k.count(text);
            if let Some((kind, reduction)) = reduce(&context(&O200k)) {
                let _ = black_box(gate.pass(text, Some(tokens), kind, &reduction));
            }
        }));
        best.parse = best.parse.map(|parse| {
            parse.min(seconds(|| {
                let values = serde_json::Deserializer::from_str(text).into_iter::<serde_json::Value>();
                black_box(values.take_while(Result::is_ok).count());
            }))
        });
        best.count = best.count.min(seconds(|| {
            black_box(bpe_openai::o200k_base().count(text));
        }));
    }
    Some(best)
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_comes_on_top_of_the_specialist() {
        let rows: Vec<String> =
            (0..2000).map(|n| format!(r#"{{"id":{n},"name":"item {n}","ok":true}}"#)).collect();
        let text = format!("[{}]", rows.join(","));
        let query = Query::new(["item"]);
        let times = times(&Engine::new(), &text, &query, true, 9).unwrap();
        assert!(times.gate > times.reduce && times.count > 0.0, "{times:?}");
        assert_eq!(times.yardstick(), times.parse.unwrap());
        let logs = Times { parse: None, ..times };
        assert_eq!(logs.yardstick(), times.count);
    }
}
