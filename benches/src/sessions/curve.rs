//! `curve`: what a lower cost hides.
//!
//! The same sessions over the policy's range, beside a yardstick (of every tool result above N tokens
//! only its head and its tail) and the oracle's limit: every line of a tool result left out that is
//! never needed or used, with nothing in its place.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::PathBuf,
};

use headroom_engine::Policy;
use serde_json::{Value, json};

use super::{
    Replay,
    chart::{Line, plot},
    totals::{Totals, sum},
};
use crate::{
    cache::{Flat, Provider},
    corpus::{self, Probe, Probes},
    oracle,
    table::{Table, percent, rounded, share},
    wire::{self, Body, Dialect, Part},
};

/// `curve --wire DIR --dialect anthropic|openai [--svg FILE]`
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A folder of request bodies
    #[arg(long)]
    wire: PathBuf,
    /// Their wire format
    #[arg(long)]
    dialect: Dialect,
    /// Probes; by default the nearest probes.jsonl above the folder
    #[arg(long)]
    probes: Option<PathBuf>,
    /// A picture
    #[arg(long)]
    svg: Option<PathBuf>,
    /// One JSON object as the last line
    #[arg(long)]
    json: bool,
}

/// The policy's range: how dear asking counts, in percent of what it costs.
const CAUTIONS: [u32; 6] = [2000, 800, 300, 100, 30, 0];
/// The yardstick's lengths, in tokens.
const LENGTHS: [u64; 4] = [2000, 1000, 500, 250];

/// One way to treat the sessions, and what it came to.
struct Point {
    side: &'static str,
    name: String,
    change: f64,
    charged: f64,
    needed: f64,
    used: f64,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<()> {
    let probes = Probes::load(arguments.probes.as_deref(), &arguments.wire)?;
    let files = corpus::files(&arguments.wire)?;
    let ours = [("exact".to_owned(), Policy::exact())].into_iter().chain(CAUTIONS.map(|caution| {
        let name = if caution == 100 { " (default)" } else { "" };
        (format!("caution {caution}{name}"), Policy::default().caution(caution))
    }));
    let mut points = Vec::new();
    for (name, policy) in ours {
        let mut replay = Replay::new(arguments.dialect, policy);
        let all = sum(&replay.all(&arguments.wire, &files, &probes));
        points.push(Point::new("ours", name, &all));
    }
    let mut replay = Replay::new(arguments.dialect, Policy::off());
    let sides = LENGTHS.map(|length| ("head and tail", format!("{length} tokens"), Cut::Ends(length)));
    for (side, name, cut) in
        sides.into_iter().chain([("oracle", "what is never used".to_owned(), Cut::Unused)])
    {
        let mut all = Totals::default();
        for (path, source) in &files {
            if let Some(body) = Body::read(source, arguments.dialect) {
                all.add(&session(&mut replay, source, &body, probes.of(path), cut));
            }
        }
        points.push(Point::new(side, name, &all));
    }
    let mut table = Table::new(&["", "", "cost", "charged", "needed visible", "used visible"]);
    for point in &points {
        table.row([
            point.side.to_owned(),
            point.name.clone(),
            percent(point.change),
            percent(point.charged),
            percent(point.needed),
            percent(point.used),
        ]);
    }
    table.print(out)?;
    if let Some(file) = &arguments.svg {
        std::fs::write(file, picture(&points))?;
    }
    if arguments.json {
        writeln!(out, "{}", points.iter().map(Point::report).collect::<Value>())?;
    }
    Ok(())
}

impl Point {
    fn new(side: &'static str, name: String, all: &Totals) -> Self {
        let seen =
            |visible: usize, total: usize| if total == 0 { 1.0 } else { share(visible as f64, total as f64) };
        Self {
            side,
            name,
            change: all.change(),
            charged: all.charged(),
            needed: seen(all.needed_visible, all.needed_total),
            used: seen(all.used_visible, all.used_total),
        }
    }

    fn report(&self) -> Value {
        json!({
            "side": self.side,
            "name": self.name,
            "cost_change": rounded(self.change, 5),
            "cost_change_charged": rounded(self.charged, 5),
            "needed_visible": rounded(self.needed, 5),
            "used_visible": rounded(self.used, 5),
        })
    }
}

fn picture(points: &[Point]) -> String {
    let line = |side: &'static str, color: &'static str| {
        let points = points.iter().filter(|point| point.side == side);
        let points = points.map(|point| (-point.charged * 100.0, point.used * 100.0)).collect();
        let name = match side {
            "ours" => "Headroom for Tower, over its policy",
            "oracle" => "what an oracle could hide",
            _ => "head and tail of every result",
        };
        Line { name, color, points, dotted: true }
    };
    let lines = [line("head and tail", "#d1862f"), line("ours", "#2458a6"), line("oracle", "#2da44e")];
    let most = points.iter().map(|point| -point.charged * 100.0).fold(10.0, f64::max);
    plot(
        "What a lower cost hides",
        ["cost saved, %, retrievals charged", "lines the model later used, still visible, %"],
        [most, 100.0],
        [0.0, 0.0],
        &lines,
    )
}

/// What is left out of tool results.
#[derive(Clone, Copy)]
enum Cut {
    /// Of longer ones than so many tokens all but the ends.
    Ends(u64),
    /// Every line that nothing later needs or uses.
    Unused,
}

/// One session, its tool results cut.
fn session(replay: &mut Replay, source: &str, body: &Body, probes: &[Probe], cut: Cut) -> Totals {
    let mut totals = Totals::default();
    let (mut flat_in, mut flat_out) = (Flat::default(), Flat::default());
    let mut cache = Provider::new(&body.model, replay.dialect);
    let needed = |upto: usize| {
        let here = move |probe: &&Probe| probe.family == "needed-by-next-call" && probe.upto == Some(upto);
        probes.iter().filter(here)
    };
    let cuts = wire::cuts(body);
    let used: Vec<Vec<String>> = cuts
        .iter()
        .map(|upto| if *upto < body.messages.len() { oracle::used(body, *upto) } else { Vec::new() })
        .collect();
    let mut keep: BTreeSet<&str> = used.iter().flatten().map(String::as_str).collect();
    keep.extend(
        cuts.iter().flat_map(|upto| needed(*upto)).flat_map(|probe| &probe.must_keep).map(String::as_str),
    );
    for (upto, used) in cuts.iter().zip(&used) {
        let Some(mut read) = Body::read(&wire::cut(source, body, *upto), replay.dialect) else { continue };
        totals.direct += replay.price(&read, &mut flat_in, &mut cache).1;
        let pieces = read.messages.iter_mut().flat_map(|message| &mut message.pieces);
        for piece in pieces.filter(|piece| piece.part == Part::Result) {
            match cut {
                Cut::Ends(most) => {
                    let tokens = replay.tokens(piece);
                    if tokens > most {
                        piece.text = ends(&piece.text, most as f64 / tokens as f64);
                    }
                }
                Cut::Unused => {
                    let wanted = |line: &&str| keep.iter().any(|kept| line.contains(kept.trim()));
                    let lines: Vec<&str> = piece.text.lines().filter(wanted).collect();
                    piece.text = lines.join("\n");
                }
            }
        }
        totals.rewritten += replay.price(&read, &mut flat_out, &mut cache).1;
        let shows = |string: &str| read.pieces().any(|piece| piece.text.contains(string.trim()));
        for probe in needed(*upto) {
            totals.needed_total += 1;
            totals.needed_visible += usize::from(probe.must_keep.iter().all(|string| shows(string)));
        }
        totals.used_total += used.len();
        totals.used_visible += used.iter().filter(|line| shows(line)).count();
    }
    totals
}

/// The first and the last half of `part` of a text.
fn ends(text: &str, part: f64) -> String {
    let half = (text.len() as f64 * part / 2.0) as usize;
    let head = text.floor_char_boundary(half);
    let tail = text.ceil_char_boundary(text.len() - half);
    format!("{}\n...\n{}", &text[..head], &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = r#"{"model":"claude","messages":[
        {"role":"user","content":"go"},
        {"role":"assistant","content":[{"type":"tool_use","id":"1","name":"read","input":{}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":"a line that nobody ever used\nthe line that is used later on\nanother that nobody ever used\n"}]},
        {"role":"assistant","content":"the line that is used later on"}]}"#;

    #[test]
    fn the_oracle_hides_what_is_never_used() {
        let body = Body::read(SESSION, Dialect::Anthropic).unwrap();
        let mut replay = Replay::new(Dialect::Anthropic, Policy::off());
        let limit = session(&mut replay, SESSION, &body, &[], Cut::Unused);
        assert_eq!((limit.used_visible, limit.used_total), (1, 1));
        assert!(limit.rewritten < limit.direct);
        let ends = session(&mut replay, SESSION, &body, &[], Cut::Ends(8));
        assert_eq!((ends.used_visible, ends.used_total), (0, 1));
    }

    #[test]
    fn ends_are_half_each() {
        assert_eq!(ends("0123456789", 0.4), "01\n...\n89");
    }
}
