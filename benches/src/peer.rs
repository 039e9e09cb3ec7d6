//! `peer`: the same requests through this engine and through the Python package `headroom-ai`, side
//! by side in one run.
//!
//! Every file of a corpus is the result of a call in a request of its own, as `quality` sends it,
//! but of a tool named [`TOOL`]: the peer passes over results of the names that agents read files
//! with. Recorded bodies are sent as they are, cut where their probes ask. Both sides start every
//! call with nothing remembered of it.
//!
//! A probe is *visible* where its strings stand in the results that the model reads, *behind a
//! marker* where what a handle in the output gives back holds them, else *lost*. Unmarked loss of
//! this engine is audited by decoding every byte; the peer has no decoder, so its figure counts only
//! [words](words::missing) that stand nowhere in its output nor behind its handles: a lower bound.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use bytes::Bytes;
use headroom_engine::{
    ContextPolicy, Engine, Policy, RequestContext,
    reduce::Hidden,
    tokens::{O200k, TokenCounter},
};
use serde_json::{Value, json};

use crate::{
    corpus::{self, KINDS, Probe, Probes},
    python::Peer,
    specialists::Recorded,
    table::{Progress, Table, percent, rounded, share},
    treat::ANSWER_TOKENS,
    wire::{self, Body, Dialect, Part},
    words,
};

/// `peer --corpus DIR --wire DIR --python PATH`
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A folder with the folders json, logs, code, search, diffs and prose
    #[arg(long)]
    corpus: Option<PathBuf>,
    /// A folder of request bodies; may be given several times
    #[arg(long)]
    wire: Vec<PathBuf>,
    /// A Python interpreter that has the package headroom-ai
    #[arg(long)]
    python: PathBuf,
    /// Probes; by default the nearest probes.jsonl above each folder
    #[arg(long)]
    probes: Option<PathBuf>,
    /// One JSON object as the last line
    #[arg(long)]
    json: bool,
    /// What each side made of every request
    #[arg(long)]
    verbose: bool,
}

/// The tool that every file of a corpus is a result of.
const TOOL: &str = "fetch";

/// The user's text before a file that has no probe.
const NEUTRAL: &str = "Please look at this.";

/// What one side did with the requests of a group.
#[derive(Clone, Debug, Default)]
struct Totals {
    tokens: usize,
    visible: usize,
    marked: usize,
    lost: usize,
    unmarked: usize,
    failed: usize,
    calls: usize,
    seconds: f64,
}

/// The requests of one kind of content, or of one folder of bodies.
#[derive(Clone, Debug, Default)]
struct Group {
    inputs: usize,
    tokens: usize,
    probes: usize,
    ours: Totals,
    peer: Totals,
}

/// A request to be sent through both.
#[derive(Debug)]
struct Request<'a> {
    name: String,
    body: String,
    dialect: Dialect,
    probes: Vec<&'a Probe>,
    /// Its tokens count: once for each input.
    counted: bool,
    /// All of it counts: a recorded body, not a file in a body made for it.
    whole: bool,
}

/// What came out of one side.
#[derive(Debug)]
struct Output {
    body: String,
    originals: Vec<String>,
    seconds: f64,
    unmarked: usize,
    failed: bool,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<()> {
    let mut peer = Peer::start(&arguments.python)?;
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    let progress = Progress::new();
    if let Some(dir) = &arguments.corpus {
        let probes = Probes::load(arguments.probes.as_deref(), dir)?;
        for kind in KINDS.into_iter().filter(|kind| dir.join(kind).is_dir()) {
            let files = corpus::files(&dir.join(kind))?;
            for (done, (path, text)) in files.iter().enumerate() {
                progress.show(kind, done, files.len());
                let name = relative(path, dir);
                let requests = results(&name, text, probes.of(path));
                compare(
                    &requests,
                    groups.entry(kind.into()).or_default(),
                    &mut peer,
                    arguments.verbose,
                    out,
                )?;
            }
        }
    }
    for dir in &arguments.wire {
        let probes = Probes::load(arguments.probes.as_deref(), dir)?;
        let files = corpus::files(dir)?;
        for (done, (path, source)) in files.iter().enumerate() {
            progress.show("bodies", done, files.len());
            let Some(dialect) = dialect(source) else { continue };
            let name = relative(path, dir);
            let folder = name.split_once('/').map_or_else(|| name.clone(), |(folder, _)| folder.to_owned());
            let requests = cuts(&name, source, dialect, probes.of(path));
            compare(&requests, groups.entry(folder).or_default(), &mut peer, arguments.verbose, out)?;
        }
    }
    drop(progress);
    print(&groups, &peer.version, out)?;
    if arguments.json {
        writeln!(out, "{}", report(&groups, &peer.version))?;
    }
    Ok(())
}

fn relative(path: &Path, dir: &Path) -> String {
    path.strip_prefix(dir).unwrap_or(path).to_string_lossy().into_owned()
}

/// A file as the result of a call, once for each query of its probes.
fn results<'a>(name: &str, text: &str, probes: &'a [Probe]) -> Vec<Request<'a>> {
    let mut queries: Vec<&str> = Vec::new();
    for probe in probes {
        if !queries.contains(&probe.query.as_str()) {
            queries.push(&probe.query);
        }
    }
    if queries.is_empty() {
        queries.push(NEUTRAL);
    }
    let request = |(at, query): (usize, &str)| Request {
        name: name.to_owned(),
        body: result(text, name, query),
        dialect: Dialect::Anthropic,
        probes: probes.iter().filter(|probe| probe.query == query).collect(),
        counted: at == 0,
        whole: false,
    };
    queries.into_iter().enumerate().map(request).collect()
}

fn result(text: &str, path: &str, query: &str) -> String {
    let schema = json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]});
    let call = json!({"type": "tool_use", "id": "toolu_1", "name": TOOL, "input": {"path": path}});
    let body = json!({
        "model": "claude-sonnet-4-5",
        "max_tokens": 1024,
        "tools": [{"name": TOOL, "description": "Fetches a text.", "input_schema": schema}],
        "messages": [
            {"role": "user", "content": query},
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": text}]},
        ],
    });
    body.to_string()
}

/// The last request of a body, and every earlier one that a probe belongs to.
fn cuts<'a>(name: &str, source: &str, dialect: Dialect, probes: &'a [Probe]) -> Vec<Request<'a>> {
    let Some(body) = Body::read(source, dialect) else { return Vec::new() };
    let all = body.messages.len();
    let last = wire::cuts(&body).last().copied().unwrap_or(all);
    let of = |probe: &Probe| probe.upto.filter(|upto| (1..=all).contains(upto)).unwrap_or(last);
    let mut places: BTreeSet<usize> = probes.iter().map(of).collect();
    places.insert(last);
    let request = |upto: usize| Request {
        name: format!("{name} [..{upto}]"),
        body: wire::cut(source, &body, upto),
        dialect,
        probes: probes.iter().filter(|probe| of(probe) == upto).collect(),
        counted: upto == last,
        whole: true,
    };
    places.into_iter().map(request).collect()
}

/// What a body is written in, told by what only one of the two has.
fn dialect(source: &str) -> Option<Dialect> {
    let top: Value = serde_json::from_str(source).ok()?;
    let messages = top["messages"].as_array()?;
    let openai = |message: &Value| {
        matches!(message["role"].as_str(), Some("system" | "developer" | "tool"))
            || message["tool_calls"].is_array()
    };
    Some(if messages.iter().any(openai) { Dialect::OpenAi } else { Dialect::Anthropic })
}

fn compare(
    requests: &[Request<'_>],
    group: &mut Group,
    peer: &mut Peer,
    verbose: bool,
    out: &mut impl Write,
) -> io::Result<()> {
    for request in requests {
        let Some(read) = Body::read(&request.body, request.dialect) else { continue };
        let before: usize = request.tokens(&read);
        let ours = ours(request, &read);
        let theirs = theirs(request, &read, peer)?;
        group.inputs += usize::from(request.counted);
        group.tokens += if request.counted { before } else { 0 };
        group.probes += request.probes.len();
        let mut after = [0; 2];
        for ((side, totals), after) in
            [(&ours, &mut group.ours), (&theirs, &mut group.peer)].into_iter().zip(&mut after)
        {
            *after = totals.add(request, side);
        }
        if verbose {
            let [a, b] = after;
            let lost = theirs.unmarked;
            writeln!(
                out,
                "{}: {before} -> {a}, the peer {b}, unmarked loss {} and {lost}",
                request.name, ours.unmarked
            )?;
        }
    }
    Ok(())
}

impl Request<'_> {
    /// Of a recorded body everything the model reads, the tools' definitions too; of a file its text.
    fn tokens(&self, read: &Body) -> usize {
        let pieces = read.pieces().filter(|piece| self.whole || piece.part == Part::Result);
        pieces.map(|piece| O200k.count(&piece.text)).sum()
    }
}

fn ours(request: &Request<'_>, read: &Body) -> Output {
    let unchanged = |seconds| Output::unchanged(request, seconds);
    let recorded = Recorded::new();
    let context = RequestContext::new(request.dialect.of_engine());
    let policy = Policy::default().answer_tokens(ANSWER_TOKENS).context(ContextPolicy::Keep);
    let body: Bytes = request.body.clone().into();
    let plain = Engine::new();
    let start = Instant::now();
    let timed = plain.scan(body.clone(), &context).map(|scanned| scanned.rewrite(&policy, &[]));
    let seconds = start.elapsed().as_secs_f64();
    drop(timed);
    let rewrite = recorded.engine.scan(body, &context).map(|scanned| scanned.rewrite(&policy, &[]));
    let Ok(rewrite) = rewrite else { return unchanged(seconds) };
    let body = String::from_utf8_lossy(&rewrite.body).into_owned();
    let Some(after) = Body::read(&body, request.dialect) else { return unchanged(seconds) };
    let listed = rewrite.report.tool_listed;
    let redeem = |hidden: &Hidden| listed.then(|| rewrite.originals.get(hidden.handle)).flatten();
    let blocks = &rewrite.report.blocks;
    let mut unmarked = 0;
    for ((before, after), block) in read.results().zip(after.results()).zip(blocks) {
        let lost = block.hidden.iter().filter(|hidden| redeem(hidden).is_none());
        unmarked += recorded.audit(&before.text, &after.text, &block.hidden).unmarked;
        unmarked += lost.map(|hidden| hidden.range.len()).sum::<usize>();
    }
    let handles = rewrite.originals.handles().iter();
    let originals = handles.filter(|_| listed).filter_map(|handle| rewrite.originals.get(*handle)).collect();
    Output { body, originals, seconds, unmarked, failed: rewrite.report.failed_open }
}

fn theirs(request: &Request<'_>, read: &Body, peer: &mut Peer) -> io::Result<Output> {
    let answer = peer.compress(&request.body, &read.model)?;
    let Some(answer) = answer else { return Ok(Output::unchanged(request, 0.0)) };
    let Some(after) = Body::read(&answer.body, request.dialect) else {
        return Ok(Output::unchanged(request, answer.seconds));
    };
    let texts = after.pieces().map(|piece| piece.text.as_str());
    let known = texts.chain(answer.originals.iter().map(String::as_str));
    let unmarked = words::missing(read.results().map(|piece| piece.text.as_str()), known);
    let (originals, seconds) = (answer.originals, answer.seconds);
    Ok(Output { body: answer.body, originals, seconds, unmarked, failed: false })
}

impl Output {
    fn unchanged(request: &Request<'_>, seconds: f64) -> Self {
        Self { body: request.body.clone(), originals: Vec::new(), seconds, unmarked: 0, failed: true }
    }
}

impl Totals {
    /// Adds what became of a request; returns the tokens it has now.
    fn add(&mut self, request: &Request<'_>, output: &Output) -> usize {
        let read = Body::read(&output.body, request.dialect).unwrap_or_default();
        let tokens = request.tokens(&read);
        if request.counted {
            self.tokens += tokens;
        }
        self.unmarked += output.unmarked;
        self.failed += usize::from(output.failed);
        self.calls += 1;
        self.seconds += output.seconds;
        for probe in &request.probes {
            let strings = || probe.must_keep.iter().map(|string| string.trim());
            let visible = |string: &str| read.results().any(|piece| piece.text.contains(string));
            let marked = |string: &str| output.originals.iter().any(|text| text.contains(string));
            if strings().all(visible) {
                self.visible += 1;
            } else if strings().all(|string| visible(string) || marked(string)) {
                self.marked += 1;
            } else {
                self.lost += 1;
            }
        }
        tokens
    }

    fn saved(&self, before: usize) -> f64 {
        share(before as f64 - self.tokens as f64, before as f64)
    }

    fn milliseconds(&self) -> f64 {
        share(self.seconds * 1000.0, self.calls as f64)
    }

    fn report(&self, before: usize) -> Value {
        json!({
            "tokens_out": self.tokens,
            "saved": rounded(self.saved(before), 5),
            "visible": self.visible,
            "behind_marker": self.marked,
            "lost": self.lost,
            "unmarked_loss_bytes": self.unmarked,
            "failed": self.failed,
            "calls": self.calls,
            "ms_a_call": rounded(self.milliseconds(), 3),
        })
    }
}

fn print(groups: &BTreeMap<String, Group>, version: &str, out: &mut impl Write) -> io::Result<()> {
    let mut table = Table::new(&[
        "inputs",
        "n",
        "tokens",
        "probes",
        "side",
        "saved",
        "visible",
        "behind a marker",
        "lost",
        "unmarked loss",
        "ms a call",
    ]);
    for (name, group) in groups {
        let head =
            [name.clone(), group.inputs.to_string(), group.tokens.to_string(), group.probes.to_string()];
        for (side, totals, head) in
            [("Headroom for Tower", &group.ours, head), ("the peer", &group.peer, Default::default())]
        {
            table.row(head.into_iter().chain([
                side.to_owned(),
                percent(totals.saved(group.tokens)),
                totals.visible.to_string(),
                totals.marked.to_string(),
                totals.lost.to_string(),
                totals.unmarked.to_string(),
                format!("{:.1}", totals.milliseconds()),
            ]));
        }
    }
    table.print(out)?;
    let failed: usize = groups.values().map(|group| group.peer.failed).sum();
    writeln!(out, "the peer: headroom-ai {version}, {failed} calls failed")
}

fn report(groups: &BTreeMap<String, Group>, version: &str) -> Value {
    let group = |(name, group): (&String, &Group)| {
        json!({
            "name": name,
            "inputs": group.inputs,
            "tokens_in": group.tokens,
            "probes": group.probes,
            "ours": group.ours.report(group.tokens),
            "peer": group.peer.report(group.tokens),
        })
    };
    json!({"peer": version, "groups": groups.iter().map(group).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(query: &str, string: &str, upto: Option<usize>) -> Probe {
        Probe { query: query.into(), must_keep: vec![string.into()], family: String::new(), upto }
    }

    #[test]
    fn a_file_is_sent_once_for_each_query() {
        let probes = [probe("a", "x", None), probe("b", "y", None), probe("a", "z", None)];
        let requests = results("f", "x y z", &probes);
        assert_eq!(
            requests.iter().map(|r| (r.probes.len(), r.counted)).collect::<Vec<_>>(),
            [(2, true), (1, false)]
        );
        assert_eq!(results("f", "x", &[]).len(), 1);
        assert_eq!(dialect(&requests[0].body), Some(Dialect::Anthropic));
    }

    #[test]
    fn a_body_is_cut_where_its_probes_ask() {
        let source = r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","tool_calls":[]},{"role":"user","content":"c"}]}"#;
        assert_eq!(dialect(source), Some(Dialect::OpenAi));
        let probes = [probe("q", "x", Some(1)), probe("q", "x", Some(99))];
        let requests = cuts("f", source, Dialect::OpenAi, &probes);
        let names: Vec<_> = requests.iter().map(|r| (r.name.as_str(), r.counted, r.probes.len())).collect();
        assert_eq!(names, [("f [..1]", false, 1), ("f [..3]", true, 1)]);
    }

    #[test]
    fn a_probe_is_visible_behind_a_marker_or_lost() {
        let probes = [probe("q", "seen", None), probe("q", "kept", None), probe("q", "gone", None)];
        let request = &Request { probes: probes.iter().collect(), ..results("f", "", &[]).remove(0) };
        let output = Output {
            body: result("seen", "f", "kept gone"),
            originals: vec!["kept".into()],
            seconds: 0.5,
            unmarked: 3,
            failed: false,
        };
        let mut totals = Totals::default();
        assert!(totals.add(request, &output) > 0);
        assert_eq!((totals.visible, totals.marked, totals.lost, totals.unmarked), (1, 1, 1, 3));
        assert_eq!(totals.milliseconds(), 500.0);
    }
}
