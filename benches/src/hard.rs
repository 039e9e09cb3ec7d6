//! `hard`: small inputs on which compressors fail, case by case, exact-only and retrievable.
//!
//! A target bounds the bytes of an output as a share of its source's, and names what must stay
//! visible in it. Targets are data, beside this program, and belong to cases by name.
//!
//! A needle is lost if an output neither shows it, nor holds it in an elided range that redeems, nor
//! is read back to it. What is read back, from an output or from what one left visible, is not lost;
//! where it is said in other words (the keys of a table, and paths, stand once), that is counted
//! apart, as reworded.

use std::{
    fs,
    io::{self, Write},
    ops::Range,
    path::PathBuf,
};

use headroom_engine::{Engine, Policy};
use memchr::memmem;
use serde_json::{Value, json};

use crate::{
    specialists::Recorded,
    table::{Table, percent, share},
    treat::{ANSWER_TOKENS, Treated, treat},
    visible::{Audit, Fate, fate},
};

/// `hard --inputs FILE`
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A JSON array of objects with name, query, needles and input
    #[arg(long)]
    inputs: PathBuf,
    /// One JSON object as the last line
    #[arg(long)]
    json: bool,
    /// Every output
    #[arg(long)]
    verbose: bool,
}

const TARGETS: &str = include_str!("../data/hard-targets.json");

/// What is read: a case's name would tell the engine what matters.
const PATH: &str = "output";

/// Which output a target speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// The exact-only one.
    Exact,
    /// The retrievable one.
    Out,
    /// The better of the two.
    Either,
}

/// What is asked of one case.
#[derive(Clone, Debug, PartialEq)]
struct Target {
    case: String,
    of: Of,
    /// The most bytes of output for a byte of source.
    at_most: f64,
    visible: Vec<String>,
    /// Only lines with this start are measured; every other line must stay visible.
    lines: Option<String>,
}

#[derive(Clone, Debug)]
struct Case {
    name: String,
    query: String,
    needles: Vec<String>,
    input: String,
}

#[derive(Clone, Debug)]
struct Outcome {
    name: String,
    bytes_in: usize,
    bytes_exact: usize,
    bytes_out: usize,
    needles_lost: usize,
    /// Needles that the exact-only output does not show as they stood.
    needles_reworded: usize,
    unmarked_loss_bytes: usize,
    /// Why its target is missed.
    missed: Option<String>,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<()> {
    let cases = cases(&fs::read_to_string(&arguments.inputs)?)?;
    let targets = targets(TARGETS)?;
    let mut outcomes = Vec::new();
    for case in &cases {
        let recorded = Recorded::new();
        let [exact, lossy] = both(&recorded.engine, &case.query, &case.input);
        if arguments.verbose {
            writeln!(out, "== {}\n{}\n-- exact\n{}\n", case.name, lossy.output, exact.output)?;
        }
        let target = targets.iter().find(|target| target.case == case.name);
        outcomes.push(outcome(case, target, &recorded, &exact, &lossy));
    }
    print(&outcomes, &targets, out)?;
    if arguments.json {
        writeln!(out, "{}", report(&outcomes))?;
    }
    Ok(())
}

fn both(engine: &Engine, query: &str, input: &str) -> [Treated; 2] {
    let retrievable = Policy::default().answer_tokens(ANSWER_TOKENS);
    [Policy::exact(), retrievable].map(|policy| treat(engine, input, PATH, query, &policy))
}

fn outcome(
    case: &Case,
    target: Option<&Target>,
    recorded: &Recorded,
    exact: &Treated,
    lossy: &Treated,
) -> Outcome {
    let source = case.input.as_str();
    let unmarked = |treated: &Treated| {
        let hidden = &treated.hidden;
        let audit = recorded.audit(source, &treated.output, hidden);
        // What no handle gives back is as lost as what no marker names.
        let redeemed: usize = treated.redeemable(source).iter().map(|(_, range)| range.len()).sum();
        let named: usize = hidden.iter().map(|hidden| hidden.range.len()).sum();
        audit.unmarked + named.saturating_sub(redeemed)
    };
    // Those not shown: in other words, and lost.
    let missing = |treated: &Treated| {
        let ranges: Vec<_> = treated.redeemable(source).into_iter().map(|(_, range)| range).collect();
        let absent = |needle: &&String| fate(needle, source, &treated.output, &ranges) == Fate::Lost;
        let audit = recorded.audit(source, &treated.output, &treated.hidden);
        let (reworded, lost): (Vec<&String>, Vec<&String>) = case
            .needles
            .iter()
            .filter(absent)
            .partition(|needle| audit == Audit::default() && stays(needle, source, treated));
        (reworded.len(), lost.len())
    };
    let (exact_missing, out_missing) = (missing(exact), missing(lossy));
    Outcome {
        name: case.name.clone(),
        bytes_in: source.len(),
        bytes_exact: exact.output.len(),
        bytes_out: lossy.output.len(),
        needles_lost: exact_missing.1 + out_missing.1,
        needles_reworded: exact_missing.0.max(out_missing.0),
        unmarked_loss_bytes: unmarked(exact) + unmarked(lossy),
        missed: target.and_then(|target| target.missed(source, &exact.output, &lossy.output)),
    }
}

/// Whether `needle` stands in the source where nothing is left out.
fn stays(needle: &str, source: &str, treated: &Treated) -> bool {
    let needle = needle.trim();
    let whole = |at: usize| {
        let apart = |range: &Range<usize>| range.end <= at || at + needle.len() <= range.start;
        treated.hidden.iter().all(|hidden| apart(&hidden.range))
    };
    memmem::find_iter(source.as_bytes(), needle.as_bytes()).any(whole)
}

impl Target {
    /// Why the target is missed; `None` where it is met.
    fn missed(&self, source: &str, exact: &str, lossy: &str) -> Option<String> {
        match self.of {
            Of::Exact => self.missed_by(source, exact),
            Of::Out => self.missed_by(source, lossy),
            Of::Either => self.missed_by(source, lossy).and_then(|_| self.missed_by(source, exact)),
        }
    }

    fn missed_by(&self, source: &str, output: &str) -> Option<String> {
        let measured = |line: &&str| self.lines.as_deref().is_none_or(|start| line.starts_with(start));
        let aside: Vec<&str> = source.lines().filter(|line| !measured(line)).collect();
        let visible = |text: &str| memmem::find(output.as_bytes(), text.as_bytes()).is_some();
        let wanted = self.visible.iter().map(String::as_str).chain(aside.iter().copied());
        let hidden: Vec<&str> = wanted.filter(|text| !visible(text)).collect();
        if let Some(first) = hidden.first() {
            return Some(format!("{} not visible: {first:?}", hidden.len()));
        }
        let aside: usize = aside.iter().map(|line| line.len() + 1).sum();
        let [before, after] = [source, output].map(|text| text.len().saturating_sub(aside) as f64);
        let ratio = share(after, before);
        (ratio > self.at_most).then(|| format!("{ratio:.3} of the bytes"))
    }
}

fn cases(text: &str) -> io::Result<Vec<Case>> {
    let read = |value: &Value| Case {
        name: string(&value["name"]),
        query: string(&value["query"]),
        needles: strings(&value["needles"]),
        input: string(&value["input"]),
    };
    let values: Vec<Value> = serde_json::from_str(text)?;
    Ok(values.iter().map(read).collect())
}

fn targets(text: &str) -> io::Result<Vec<Target>> {
    let read = |value: &Value| {
        let of = match value["of"].as_str() {
            Some("exact") => Of::Exact,
            Some("out") => Of::Out,
            Some("either") => Of::Either,
            _ => return Err(io::Error::other(format!("a target of what? {value}"))),
        };
        Ok(Target {
            case: string(&value["case"]),
            of,
            at_most: value["at_most"].as_f64().ok_or_else(|| io::Error::other("a target without a bound"))?,
            visible: strings(&value["visible"]).iter().flat_map(|text| expanded(text)).collect(),
            lines: value["lines"].as_str().map(str::to_owned),
        })
    };
    let values: Vec<Value> = serde_json::from_str(text)?;
    values.iter().map(read).collect()
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(string).collect()
}

/// `f{08..10}.c` as f08.c, f09.c and f10.c; anything else as it is.
fn expanded(text: &str) -> Vec<String> {
    let range = || {
        let (before, rest) = text.split_once('{')?;
        let (range, after) = rest.split_once('}')?;
        let (first, last) = range.split_once("..")?;
        let numbers = first.parse::<usize>().ok()?..=last.parse().ok()?;
        let width = first.len();
        Some(numbers.map(|n| format!("{before}{n:0width$}{after}")).collect())
    };
    range().unwrap_or_else(|| vec![text.to_owned()])
}

fn print(outcomes: &[Outcome], targets: &[Target], out: &mut impl Write) -> io::Result<()> {
    let mut table =
        Table::new(&["case", "bytes", "exact", "out", "lost", "reworded", "unmarked", "target", "missed"]);
    for outcome in outcomes {
        let of = |bytes: usize| percent(share(bytes as f64, outcome.bytes_in as f64));
        let target = targets.iter().find(|target| target.case == outcome.name);
        table.row([
            outcome.name.clone(),
            outcome.bytes_in.to_string(),
            of(outcome.bytes_exact),
            of(outcome.bytes_out),
            outcome.needles_lost.to_string(),
            outcome.needles_reworded.to_string(),
            outcome.unmarked_loss_bytes.to_string(),
            target
                .map_or("-".into(), |target| format!("{:?} {:.2}", target.of, target.at_most).to_lowercase()),
            outcome.missed.clone().unwrap_or_default(),
        ]);
    }
    table.print(out)
}

fn report(outcomes: &[Outcome]) -> Value {
    let case = |outcome: &Outcome| {
        json!({
            "name": outcome.name,
            "bytes_in": outcome.bytes_in,
            "bytes_exact": outcome.bytes_exact,
            "bytes_out": outcome.bytes_out,
            "needles_lost": outcome.needles_lost,
            "unmarked_loss_bytes": outcome.unmarked_loss_bytes,
        })
    };
    let missed = outcomes.iter().filter(|outcome| outcome.missed.is_some());
    json!({
        "cases": outcomes.iter().map(case).collect::<Vec<_>>(),
        "targets_missed": missed.map(|outcome| outcome.name.as_str()).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_expanded() {
        let targets = targets(TARGETS).unwrap();
        assert!(targets.iter().all(|target| (0.0..1.0).contains(&target.at_most)));
        let files = targets.iter().find(|target| target.case == "S1_200_files").unwrap();
        assert_eq!((files.visible.len(), files.visible[7].as_str()), (200, "src/file_007.py"));
        assert_eq!(expanded("f{8..10}.c"), ["f8.c", "f9.c", "f10.c"]);
        assert_eq!(expanded("{a}"), ["{a}"]);
        assert!(super::targets(r#"[{"case":"x","of":"none","at_most":1}]"#).is_err());
    }

    #[test]
    fn a_target_asks_for_bytes_and_for_what_is_visible() {
        let target = |of, lines: Option<&str>| Target {
            case: String::new(),
            of,
            at_most: 0.5,
            visible: vec!["one".into()],
            lines: lines.map(str::to_owned),
        };
        let source = "one two three four";
        assert_eq!(target(Of::Out, None).missed(source, source, "one two"), None);
        assert!(target(Of::Exact, None).missed(source, source, "one two").is_some(), "too long");
        assert_eq!(target(Of::Either, None).missed(source, source, "one two"), None);
        assert!(target(Of::Out, None).missed(source, source, "two").is_some(), "not visible");

        let source = "one\n|aaaaaaaa\n|bbbbbbbb\nend\n";
        let table = target(Of::Out, Some("|"));
        assert_eq!(table.missed(source, source, "one\n|aaaaaaaa\nend\n"), None);
        assert!(table.missed(source, source, "one\n|aaaaaaaa\n").is_some(), "prose is gone");
        assert!(table.missed(source, source, "one\n|aaaaaaaa|bbbb\nend\n").is_some(), "too long");
    }
}
