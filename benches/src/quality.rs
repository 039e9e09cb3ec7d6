//! `quality`: what becomes of every file of a corpus as one tool result, exact-only and retrievable.
//!
//! Token totals take one request a file: that of its first probe's query, or of a neutral text where
//! it has no probe. A file whose probes ask several different things is sent once for each query, and
//! each probe is judged in the request of its own.
//!
//! `reduce_ratio` is the specialist's time, nothing counted, over the time of parsing the same bytes
//! as `serde_json::Value` for json, and over that of counting their o200k tokens with `bpe-openai`
//! for the other kinds.
//! `gate_ratio` is the time of all of the gate (counting the source, rendering, decoding the output,
//! counting it) over that of counting the source with `bpe-openai`, for every kind; `whole_ratio` that
//! of specialist and gate together. The bounds of `reduce_ratio` go up to twenty times the same
//! yardstick, so a bound for the gate can only be for the gate.
//! Files without a specialist are in neither.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use headroom_engine::{
    Policy,
    ccr::Handle,
    rank::Query,
    tokens::{O200k, TokenCounter},
};
use serde_json::{Value, json};

use crate::{
    chart::{self, Bar},
    corpus::{self, KINDS, Probe, Probes},
    specialists::{self, Recorded},
    table::{Progress, Table, percent, rounded, share},
    treat::{ANSWER_TOKENS, TOOL, Treated, treat},
    visible::{Audit, Fate, fate},
};

/// `quality --corpus DIR [--probes FILE]`
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A folder with the folders json, logs, code, search, diffs and prose
    #[arg(long)]
    corpus: PathBuf,
    /// Probes; by default the nearest probes.jsonl above the corpus
    #[arg(long)]
    probes: Option<PathBuf>,
    /// One JSON object as the last line
    #[arg(long)]
    json: bool,
    /// Draws what is left of each kind into this SVG file
    #[arg(long)]
    svg: Option<PathBuf>,
    /// A row for every file, and every probe that is not visible
    #[arg(long)]
    verbose: bool,
    /// How often each file is timed; the best run counts
    #[arg(long, default_value_t = 5)]
    runs: usize,
}

/// The user's text before a file that has no probe.
const NEUTRAL: &str = "Please look at this.";

#[derive(Clone, Debug, Default)]
struct Totals {
    files: usize,
    touched: usize,
    tokens_in: usize,
    tokens_exact: usize,
    tokens_out: usize,
    probes: usize,
    exact_visible: usize,
    visible: usize,
    redeemable: usize,
    lost: usize,
    answerable: usize,
    reduce: f64,
    gate: f64,
    whole: f64,
    yardstick: f64,
    count: f64,
    undecodable: usize,
    unredeemable: usize,
    unmarked: usize,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<()> {
    let probes = Probes::load(arguments.probes.as_deref(), &arguments.corpus)?;
    let mut kinds: Vec<(&str, Totals)> = Vec::new();
    let mut notes = Vec::new();
    let recorded = Recorded::new();
    for kind in KINDS {
        let dir = arguments.corpus.join(kind);
        if !dir.is_dir() {
            continue;
        }
        let files = corpus::files(&dir)?;
        let progress = Progress::new();
        let mut run = Run {
            recorded: &recorded,
            kind,
            runs: arguments.runs,
            totals: Totals::default(),
            notes: &mut notes,
        };
        for (done, (path, text)) in files.iter().enumerate() {
            progress.show(kind, done, files.len());
            let name = path.strip_prefix(&arguments.corpus).unwrap_or(path);
            run.file(text, &name.to_string_lossy(), probes.of(path));
        }
        kinds.push((kind, run.totals));
    }
    if arguments.verbose {
        for note in notes {
            writeln!(out, "{note}")?;
        }
        writeln!(out)?;
    }
    print(&kinds, out)?;
    if let Some(path) = &arguments.svg {
        std::fs::write(path, picture(&kinds))?;
    }
    if arguments.json {
        writeln!(out, "{}", report(&kinds))?;
    }
    Ok(())
}

/// The kinds of which something is saved.
fn picture(kinds: &[(&str, Totals)]) -> String {
    let bars: Vec<Bar<'_>> = kinds
        .iter()
        .filter(|(_, totals)| totals.tokens_out * 50 < totals.tokens_in * 49)
        .map(|(name, totals)| Bar {
            name,
            exact: totals.tokens_exact as f64 / totals.tokens_in as f64,
            retrievable: totals.tokens_out as f64 / totals.tokens_in as f64,
        })
        .collect();
    chart::svg(&bars)
}

/// What is measured of one kind.
#[derive(Debug)]
struct Run<'a> {
    recorded: &'a Recorded,
    kind: &'a str,
    runs: usize,
    totals: Totals,
    notes: &'a mut Vec<String>,
}

impl Run<'_> {
    fn file(&mut self, text: &str, path: &str, probes: &[Probe]) {
        let mut queries: Vec<&str> = Vec::new();
        for probe in probes {
            if !queries.contains(&probe.query.as_str()) {
                queries.push(&probe.query);
            }
        }
        if queries.is_empty() {
            queries.push(NEUTRAL);
        }
        let retrievable = Policy::default().answer_tokens(ANSWER_TOKENS);
        for (at, query) in queries.iter().enumerate() {
            let exact = treat(&self.recorded.engine, text, path, query, &Policy::exact());
            let lossy = treat(&self.recorded.engine, text, path, query, &retrievable);
            for treated in [&exact, &lossy] {
                let audit = self.recorded.audit(text, &treated.output, &treated.hidden);
                self.totals.undecodable += usize::from(audit.undecodable);
                self.totals.unmarked += audit.unmarked;
                self.totals.unredeemable += treated.unredeemable(text);
                if audit != Audit::default() {
                    self.notes.push(format!("{path}: {audit:?}"));
                }
            }
            if at == 0 {
                self.count(text, path, query, &exact, &lossy);
            }
            for probe in probes.iter().filter(|probe| probe.query == *query) {
                self.judge(probe, text, path, &exact, &lossy);
            }
        }
    }

    /// Tokens and times.
    fn count(&mut self, text: &str, path: &str, query: &str, exact: &Treated, lossy: &Treated) {
        let [before, exact, after] = [text, &exact.output, &lossy.output].map(|text| O200k.count(text));
        self.notes.push(format!("{path}: {before} -> {exact} exact, {after} out"));
        self.totals.files += 1;
        self.totals.tokens_in += before;
        self.totals.tokens_exact += exact;
        self.totals.tokens_out += after;
        self.totals.touched += usize::from(lossy.output != text);
        let query = Query::new([TOOL, path, query]);
        if let Some(times) =
            specialists::times(&self.recorded.engine, text, &query, self.kind == "json", self.runs)
        {
            self.totals.reduce += times.reduce;
            self.totals.gate += times.gate;
            self.totals.whole += times.whole;
            self.totals.yardstick += times.yardstick();
            self.totals.count += times.count;
            let [reduce, gate] = [times.reduce / times.yardstick(), times.gate / times.count];
            self.notes.push(format!(
                "{path}: {} KB, reduce/yardstick {reduce:.2}, gate/count {gate:.2}",
                text.len() >> 10
            ));
        }
    }

    fn judge(&mut self, probe: &Probe, text: &str, path: &str, exact: &Treated, lossy: &Treated) {
        let worst = |treated: &Treated| {
            let ranges: Vec<_> = treated.redeemable(text).into_iter().map(|(_, range)| range).collect();
            let fates = probe.must_keep.iter().map(|string| fate(string, text, &treated.output, &ranges));
            fates.max().unwrap_or(Fate::Visible)
        };
        let fate = worst(lossy);
        let answered = fate == Fate::Visible || (fate == Fate::Redeemable && answerable(probe, text, lossy));
        self.totals.probes += 1;
        self.totals.exact_visible += usize::from(worst(exact) == Fate::Visible);
        match fate {
            Fate::Visible => self.totals.visible += 1,
            Fate::Redeemable => self.totals.redeemable += 1,
            Fate::Lost => self.totals.lost += 1,
        }
        self.totals.answerable += usize::from(answered);
        if fate != Fate::Visible {
            let answer = if answered { "answerable" } else { "NOT ANSWERABLE" };
            let Probe { family, must_keep, query, .. } = probe;
            self.notes.push(format!("{path}: {fate:?}, {answer}: {family} {must_keep:?} for {query:?}"));
        }
    }
}

/// Whether one call with the probe's query returns every string of it that is not visible.
fn answerable(probe: &Probe, text: &str, treated: &Treated) -> bool {
    let hidden = |string: &&String| fate(string, text, &treated.output, &[]) != Fate::Visible;
    let wanted: Vec<&str> = probe.must_keep.iter().filter(hidden).map(|string| string.trim()).collect();
    let mut handles: Vec<Handle> = treated.redeemable(text).into_iter().map(|(handle, _)| handle).collect();
    handles.dedup();
    handles.iter().any(|handle| {
        let answer = treated.answer(*handle, &probe.query);
        wanted.iter().all(|string| answer.contains(string))
    })
}

fn print(kinds: &[(&str, Totals)], out: &mut impl Write) -> io::Result<()> {
    let mut table = Table::new(&[
        "kind",
        "files",
        "touched",
        "tokens",
        "exact saves",
        "saves",
        "probes",
        "exact visible",
        "visible",
        "redeemable",
        "lost",
        "answerable",
        "reduce/parse or count",
        "gate/count",
        "both/count",
    ]);
    for (kind, t) in kinds {
        table.row([
            (*kind).to_owned(),
            t.files.to_string(),
            t.touched.to_string(),
            t.tokens_in.to_string(),
            percent(saved(t.tokens_in, t.tokens_exact)),
            percent(saved(t.tokens_in, t.tokens_out)),
            t.probes.to_string(),
            t.exact_visible.to_string(),
            t.visible.to_string(),
            t.redeemable.to_string(),
            t.lost.to_string(),
            t.answerable.to_string(),
            ratio(t.reduce, t.yardstick).map_or("-".into(), |ratio| format!("{ratio:.2}")),
            ratio(t.gate, t.count).map_or("-".into(), |ratio| format!("{ratio:.2}")),
            ratio(t.whole, t.count).map_or("-".into(), |ratio| format!("{ratio:.2}")),
        ]);
    }
    table.print(out)?;
    writeln!(
        out,
        "unmarked loss {} bytes, undecodable {}, unredeemable {}",
        sum(kinds, |t| t.unmarked),
        sum(kinds, |t| t.undecodable),
        sum(kinds, |t| t.unredeemable)
    )
}

fn report(kinds: &[(&str, Totals)]) -> Value {
    let by_kind: serde_json::Map<String, Value> = kinds
        .iter()
        .map(|(kind, t)| {
            let value = json!({
                "files": t.files,
                "touched": t.touched,
                "tokens_in": t.tokens_in,
                "tokens_exact": t.tokens_exact,
                "tokens_out": t.tokens_out,
                "exact_saved": rounded(saved(t.tokens_in, t.tokens_exact), 5),
                "saved": rounded(saved(t.tokens_in, t.tokens_out), 5),
                "probes": t.probes,
                "exact_visible": t.exact_visible,
                "visible": t.visible,
                "redeemable": t.redeemable,
                "lost": t.lost,
                "answerable": t.answerable,
                "reduce_ratio": ratio(t.reduce, t.yardstick).map(|ratio| rounded(ratio, 3)),
                "gate_ratio": ratio(t.gate, t.count).map(|ratio| rounded(ratio, 3)),
                "whole_ratio": ratio(t.whole, t.count).map(|ratio| rounded(ratio, 3)),
            });
            ((*kind).to_owned(), value)
        })
        .collect();
    json!({
        "kinds": by_kind,
        "unmarked_loss_bytes": sum(kinds, |t| t.unmarked),
        "undecodable": sum(kinds, |t| t.undecodable),
        "unredeemable": sum(kinds, |t| t.unredeemable),
    })
}

fn saved(before: usize, after: usize) -> f64 {
    share(before as f64 - after as f64, before as f64)
}

fn ratio(time: f64, yardstick: f64) -> Option<f64> {
    (yardstick > 0.0).then_some(time / yardstick)
}

fn sum(kinds: &[(&str, Totals)], of: impl Fn(&Totals) -> usize) -> usize {
    kinds.iter().map(|(_, totals)| of(totals)).sum()
}
