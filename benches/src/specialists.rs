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
    reduce::{Context, Gate, Hidden, Hints, Reduction, Witness, render},
    tokens::{O200k, TokenCounter},
};

use crate::visible::{Audit, Section, audit};

type Log = Arc<Mutex<HashMap<blake3::Hash, Vec<(&'static str, Reduction)>>>>;

/// An engine that works like any other and remembers what its gate took.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) engine: Engine,
    log: Log,
}

impl Recorded {
    pub(crate) fn new() -> Self {
        let log = Log::default();
        let engine = Engine::builder().witness(Arc::new(Recorder { log: log.clone() })).build();
        Self { engine, log }
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

/// Writes down what the gate takes.
#[derive(Debug)]
struct Recorder {
    log: Log,
}

impl Witness for Recorder {
    fn taken(&self, source: &str, kind: &'static str, reduction: &Reduction) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.entry(blake3::hash(source.as_bytes())).or_default().push((kind, reduction.clone()));
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
    /// All of the gate: counting the source, rendering, decoding, counting the output.
    pub(crate) gate: f64,
    /// The specialist and the gate.
    pub(crate) whole: f64,
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
    let context = |counter| Context {
        query,
        tool: "read_file",
        hints: Hints::default(),
        is_error: false,
        counter,
        stakes: headroom_engine::reduce::Stakes::flat(250),
    };
    // Routing is the specialists' time too, and so is the gate of each of several parts.
    let reduce = |context: &Context<'_>| {
        let routed = black_box(router.route(text, Hints::default()));
        routed.elide(context, &gate, 0).or_else(|| routed.exact(context, &gate))
    };
    let mut best = Times {
        reduce: f64::MAX,
        gate: f64::MAX,
        whole: f64::MAX,
        parse: json.then_some(f64::MAX),
        count: f64::MAX,
    };
    let reduced = reduce(&context(&O200k));
    for _ in 0..runs.max(1) {
        best.reduce = best.reduce.min(seconds(|| drop(black_box(reduce(&context(&Quarter))))));
        best.gate = best.gate.min(seconds(|| {
            let tokens = O200k.count(text);
            if let Some((kind, reduction)) = &reduced {
                let _ = black_box(gate.pass(text, Some(tokens), kind, reduction));
            }
        }));
        best.whole = best.whole.min(seconds(|| {
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
        assert!(times.whole > times.reduce && times.count > 0.0, "{times:?}");
        assert_eq!(times.yardstick(), times.parse.unwrap());
        let logs = Times { parse: None, ..times };
        assert_eq!(logs.yardstick(), times.count);
    }
}
