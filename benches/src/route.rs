//! `route`: what the router sees in texts of known kinds, with and without its classifier.
//!
//! Held-out samples only: every fifth file or session, by its hash, none of which the weights in the
//! crate were trained on. A text in parts counts as its largest part; no hints are given, since the
//! labels of recorded sessions come from the calls. Texts that the classifier is too short of are left
//! out.

use std::{
    hint::black_box,
    io::{self, Write},
    path::PathBuf,
    time::Instant,
};

use headroom_engine::{
    Engine,
    reduce::Hints,
    route::{ContentRouter, classify},
};
use serde_json::{Value, json};

use crate::{
    samples::{self, Sample},
    table::{Table, percent, rounded, share},
};

/// `route --corpus DIR [--json]`
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A folder with typed folders and recorded bodies
    #[arg(long)]
    corpus: PathBuf,
    /// Other weights than the engine's
    #[arg(long)]
    weights: Option<PathBuf>,
    /// One JSON object as the last line
    #[arg(long)]
    json: bool,
    /// A row for every text that is taken for another kind
    #[arg(long)]
    verbose: bool,
}

const KINDS: usize = classify::KINDS.len();
/// The shortest text that is judged, in bytes: what the router asks the classifier about.
const LEAST: usize = 512;

/// Counts by the kind it is and the kind it is taken for; the last column is none.
#[derive(Clone, Debug, Default)]
struct Confusion([[usize; KINDS + 1]; KINDS]);

impl Confusion {
    fn total(&self) -> usize {
        self.0.iter().flatten().sum()
    }

    fn right(&self) -> usize {
        (0..KINDS).map(|kind| self.0[kind][kind]).sum()
    }

    /// Texts taken for a kind that they are not.
    fn wrong(&self) -> usize {
        let none: usize = self.0.iter().map(|row| row[KINDS]).sum();
        self.total() - self.right() - none
    }

    fn accuracy(&self) -> f64 {
        share(self.right() as f64, self.total() as f64)
    }
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<()> {
    let samples = samples::load(&arguments.corpus)?;
    let weights = match &arguments.weights {
        Some(path) => Some(
            <Box<[u8; classify::SIZE]>>::try_from(std::fs::read(path)?.into_boxed_slice())
                .map_err(|_| io::Error::other("weights of another size"))?,
        ),
        None => None,
    };
    let engine = Engine::new();
    let router = engine.router();
    let (mut rules, mut both, mut alone) = (Confusion::default(), Confusion::default(), Confusion::default());
    for sample in samples.iter().filter(|sample| sample.held_out && sample.text.len() >= LEAST) {
        let scores = match &weights {
            Some(weights) => classify::scores_with(weights, &sample.text),
            None => classify::scores(&sample.text),
        };
        let (best, ahead) = classify::best(&scores);
        let rule = by_rule(router, &sample.text);
        let guess = (ahead >= classify::SURE).then_some(best);
        rules.0[sample.kind][place(rule)] += 1;
        both.0[sample.kind][place(rule.or(guess))] += 1;
        alone.0[sample.kind][place(Some(best))] += 1;
        if arguments.verbose && rule.or(guess) != Some(classify::KINDS[sample.kind]) {
            let head: String = sample.text.chars().take(60).collect();
            let (kind, rule) = (classify::KINDS[sample.kind], rule.unwrap_or("-"));
            writeln!(out, "{kind}: rule {rule}, classifier {best} by {ahead}: {head:?}")?;
        }
    }
    let speed = speed(router, &samples);
    print(&both, out)?;
    writeln!(
        out,
        "{} held-out texts: rules alone {} ({} wrong), with the classifier {} ({} wrong), classifier alone {}",
        both.total(),
        percent(rules.accuracy()),
        rules.wrong(),
        percent(both.accuracy()),
        both.wrong(),
        percent(alone.accuracy()),
    )?;
    writeln!(out, "{:.0} MB/s over all texts, 1 MB of log in {:.2} ms", speed.megabytes, speed.log)?;
    if arguments.json {
        writeln!(out, "{}", report(&rules, &both, &alone, &speed))?;
    }
    Ok(())
}

fn place(kind: Option<&str>) -> usize {
    kind.and_then(|kind| classify::KINDS.iter().position(|of| *of == kind)).unwrap_or(KINDS)
}

/// The kind of the largest part, as the rules see it.
fn by_rule(router: &ContentRouter, text: &str) -> Option<&'static str> {
    let routed = router.route(text, Hints::default());
    routed
        .parts()
        .iter()
        .max_by_key(|part| part.range.len())
        .filter(|part| !part.guessed)
        .and_then(|part| part.kind())
}

#[derive(Clone, Copy, Debug)]
struct Speed {
    megabytes: f64,
    /// Milliseconds.
    log: f64,
}

/// The best of several runs of each text.
fn speed(router: &ContentRouter, samples: &[Sample]) -> Speed {
    let best = |text: &str| {
        let run = || {
            let start = Instant::now();
            drop(black_box(router.route(text, Hints::default())));
            start.elapsed().as_secs_f64()
        };
        (0..5).map(|_| run()).fold(f64::MAX, f64::min)
    };
    let bytes: usize = samples.iter().map(|sample| sample.text.len()).sum();
    let seconds: f64 = samples.iter().map(|sample| best(&sample.text)).sum();
    let lines = (0..).map(|n| {
        format!("2024-01-01T10:{:02}:{:02}Z INFO worker-{} took job {n}\n", n / 60 % 60, n % 60, n % 7)
    });
    let log: String = lines.take(20_000).collect();
    Speed { megabytes: bytes as f64 / seconds / 1e6, log: best(&log) * 1e3 * 1e6 / log.len() as f64 }
}

fn print(confusion: &Confusion, out: &mut impl Write) -> io::Result<()> {
    let mut head = vec!["is \\ taken for"];
    head.extend(classify::KINDS);
    head.push("none");
    let mut table = Table::new(&head);
    for (kind, row) in classify::KINDS.iter().zip(&confusion.0) {
        if row.iter().sum::<usize>() > 0 {
            table.row(std::iter::once((*kind).to_owned()).chain(row.iter().map(usize::to_string)));
        }
    }
    table.print(out)
}

fn report(rules: &Confusion, both: &Confusion, alone: &Confusion, speed: &Speed) -> Value {
    let matrix: serde_json::Map<String, Value> = classify::KINDS
        .iter()
        .zip(&both.0)
        .map(|(kind, row)| {
            let names = classify::KINDS.iter().chain(&["none"]);
            let cells: serde_json::Map<String, Value> = names
                .zip(row)
                .filter(|(_, count)| **count > 0)
                .map(|(name, count)| ((*name).to_owned(), json!(count)))
                .collect();
            ((*kind).to_owned(), cells.into())
        })
        .collect();
    json!({
        "held_out": both.total(),
        "accuracy_rules": rounded(rules.accuracy(), 4),
        "accuracy": rounded(both.accuracy(), 4),
        "accuracy_classifier_alone": rounded(alone.accuracy(), 4),
        "wrong_rules": rules.wrong(),
        "wrong": both.wrong(),
        "confusion": matrix,
        "megabytes_per_second": rounded(speed.megabytes, 0),
        "log_megabyte_ms": rounded(speed.log, 3),
    })
}
