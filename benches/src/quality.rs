//! `quality`: what becomes of every file of a corpus as one tool result, exact-only and retrievable.
//!
//! Token totals take one request a file: that of its first probe's query, or of a neutral text where
//! it has no probe. A file whose probes ask several different things is sent once for each query, and
//! each probe is judged in the request of its own.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use headroom_engine::{
    Policy,
    ccr::Handle,
    rank::Query,
    tokens::{O200k, TokenCounter},
};
use serde_json::{Value, json};

use crate::{
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
    yardstick: f64,
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
        let mut totals = Totals::default();
        for (done, (path, text)) in files.iter().enumerate() {
            progress.show(kind, done, files.len());
            let name = path.strip_prefix(&arguments.corpus).unwrap_or(path);
            let before = totals.clone();
            file(&recorded, text, name, kind, probes.of(path), arguments.runs, &mut totals, &mut notes);
            let (tokens_in, tokens_out) =
                (totals.tokens_in - before.tokens_in, totals.tokens_out - before.tokens_out);
            let exact = totals.tokens_exact - before.tokens_exact;
            notes.push(format!("{}: {tokens_in} -> {exact} exact, {tokens_out} out", name.display()));
        }
        kinds.push((kind, totals));
    }
    if arguments.verbose {
        for note in notes {
            writeln!(out, "{note}")?;
        }
        writeln!(out)?;
    }
    print(&kinds, out)?;
    if arguments.json {
        writeln!(out, "{}", report(&kinds))?;
    }
    Ok(())
}

fn file(
    recorded: &Recorded,
    text: &str,
    name: &Path,
    kind: &str,
    probes: &[Probe],
    runs: usize,
    totals: &mut Totals,
    notes: &mut Vec<String>,
) {
    let path = name.to_string_lossy();
    let mut queries: Vec<&str> = Vec::new();
    for probe in probes {
        if !queries.contains(&probe.query.as_str()) {
            queries.push(&probe.query);
        }
    }
    if queries.is_empty() {
        queries.push(NEUTRAL);
    }
    for (at, query) in queries.iter().enumerate() {
        let exact = treat(&recorded.engine, text, &path, query, &Policy::exact());
        let lossy =
            treat(&recorded.engine, text, &path, query, &Policy::default().answer_tokens(ANSWER_TOKENS));
        for treated in [&exact, &lossy] {
            let audit = recorded.audit(text, &treated.output, &treated.hidden);
            totals.undecodable += usize::from(audit.undecodable);
            totals.unmarked += audit.unmarked;
            totals.unredeemable += treated.unredeemable(text);
            if audit != Audit::default() {
                notes.push(format!("{path}: {audit:?}"));
            }
        }
        if at == 0 {
            totals.files += 1;
            totals.tokens_in += O200k.count(text);
            totals.tokens_exact += O200k.count(&exact.output);
            totals.tokens_out += O200k.count(&lossy.output);
            totals.touched += usize::from(lossy.output != text);
            if let Some(times) =
                specialists::times(&recorded.engine, text, &terms(&path, query), kind == "json", runs)
            {
                totals.reduce += times.reduce;
                totals.gate += times.gate;
                totals.yardstick += times.yardstick;
            }
        }
        for probe in probes.iter().filter(|probe| probe.query == *query) {
            judge(probe, text, &path, &exact, &lossy, totals, notes);
        }
    }
}

fn terms(path: &str, query: &str) -> Query {
    Query::new([TOOL, path, query])
}

fn judge(
    probe: &Probe,
    text: &str,
    path: &str,
    exact: &Treated,
    lossy: &Treated,
    totals: &mut Totals,
    notes: &mut Vec<String>,
) {
    let worst = |treated: &Treated| {
        let ranges: Vec<_> = treated.redeemable(text).into_iter().map(|(_, range)| range).collect();
        let fates = probe.must_keep.iter().map(|string| fate(string, text, &treated.output, &ranges));
        fates.max().unwrap_or(Fate::Visible)
    };
    totals.probes += 1;
    totals.exact_visible += usize::from(worst(exact) == Fate::Visible);
    let fate = worst(lossy);
    match fate {
        Fate::Visible => totals.visible += 1,
        Fate::Redeemable => totals.redeemable += 1,
        Fate::Lost => totals.lost += 1,
    }
    let answered = fate == Fate::Visible || (fate == Fate::Redeemable && answerable(probe, text, lossy));
    totals.answerable += usize::from(answered);
    if fate != Fate::Visible {
        let answer = if answered { "answerable" } else { "NOT ANSWERABLE" };
        notes.push(format!(
            "{path}: {fate:?}, {answer}: {} {:?} for {:?}",
            probe.family, probe.must_keep, probe.query
        ));
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
        "reduce/yardstick",
        "gate/yardstick",
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
            ratio(t.gate, t.yardstick).map_or("-".into(), |ratio| format!("{ratio:.2}")),
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
                "gate_ratio": ratio(t.gate, t.yardstick).map(|ratio| rounded(ratio, 3)),
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
