//! `sessions`: recorded agent sessions, turn by turn through the engine.
//!
//! Each body is cut into one request before every assistant message, and the whole where it does not
//! end in one. Both sides, direct and rewritten, are priced by the [simulator](crate::cache); the laws
//! are checked by a [reader of our own](crate::laws) on every request; the conversation's own later
//! words say what was needed ([`oracle`](mod@crate::oracle)). The window cut is off.

mod chart;
pub(crate) mod curve;
mod totals;

use std::{
    collections::{HashMap, HashSet},
    io::{self, Write},
    path::{Path, PathBuf},
};

use headroom_engine::{
    ContextPolicy, Engine, LedgerKey, Policy, Record, Report, RequestContext, Rewrite,
    ccr::{Handle, Marker, Unit, answer},
    reduce::Hidden,
    tokens::{O200k, TokenCounter},
};
use headroom_tests::{convert::convert, notes::taken_away};

use self::totals::{Kinds, Totals, print, report};
use crate::{
    cache::{Block, Flat, OUTPUT, Provider, READ, WRITE},
    corpus::{self, Probe, Probes},
    laws, oracle,
    specialists::Recorded,
    table::Progress,
    treat::{ANSWER_TOKENS, redeems},
    visible::{Fate, fate},
    wire::{self, Body, Dialect, Part, Piece},
};

/// `sessions --wire DIR --dialect anthropic|openai|responses|gemini [--exact] [--probes FILE]`
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A folder of request bodies
    #[arg(long)]
    wire: PathBuf,
    /// Their wire format
    #[arg(long)]
    dialect: Dialect,
    /// Exact rewrites only; no tool is listed
    #[arg(long)]
    exact: bool,
    /// Probes; by default the nearest probes.jsonl above the folder
    #[arg(long)]
    probes: Option<PathBuf>,
    /// A picture of what the sessions cost, turn by turn
    #[arg(long)]
    svg: Option<PathBuf>,
    /// One JSON object as the last line
    #[arg(long)]
    json: bool,
    /// A row for every session, and where savings come from
    #[arg(long)]
    verbose: bool,
}

/// Tokens of a retrieval call.
const CALL: f64 = 40.0;

/// What is shared by all sessions.
#[derive(Debug)]
struct Replay {
    dialect: Dialect,
    policy: Policy,
    recorded: Recorded,
    counts: HashMap<[u8; 16], u64>,
    audited: HashSet<[u8; 32]>,
    kinds: Kinds,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<()> {
    let probes = Probes::load(arguments.probes.as_deref(), &arguments.wire)?;
    let files = corpus::files(&arguments.wire)?;
    let policy = if arguments.exact { Policy::exact() } else { Policy::default() };
    let mut replay = Replay::new(arguments.dialect, policy);
    let mut sessions = replay.all(&arguments.wire, &files, &probes);
    if let Some(file) = &arguments.svg {
        std::fs::write(file, chart::turns(&sessions))?;
    }
    print(&mut sessions, &replay.kinds, arguments.verbose, out)?;
    if arguments.json {
        writeln!(out, "{}", report(&sessions))?;
    }
    Ok(())
}

impl Replay {
    fn new(dialect: Dialect, policy: Policy) -> Self {
        Self {
            dialect,
            // A request that would not fit has no direct cost to compare with.
            policy: policy.context(ContextPolicy::Keep).answer_tokens(ANSWER_TOKENS),
            recorded: Recorded::new(),
            counts: HashMap::new(),
            audited: HashSet::new(),
            kinds: Kinds::new(),
        }
    }

    /// Every session of `files`, which lie below `wire`.
    fn all(&mut self, wire: &Path, files: &[(PathBuf, String)], probes: &Probes) -> Vec<(PathBuf, Totals)> {
        let mut sessions = Vec::new();
        let progress = Progress::new();
        for (done, (path, source)) in files.iter().enumerate() {
            progress.show("sessions", done, files.len());
            let converted = self.dialect.is_converted().then(|| convert(self.dialect.of_engine(), source));
            let source = converted.as_ref().unwrap_or(source);
            let Some(body) = Body::read(source, self.dialect) else { continue };
            // Probes count the messages of what was recorded.
            let probes = if converted.is_none() { probes.of(path) } else { &[] };
            let totals = self.session(source, &body, probes);
            sessions.push((path.strip_prefix(wire).unwrap_or(path).to_owned(), totals));
        }
        sessions
    }

    fn session(&mut self, source: &str, body: &Body, probes: &[Probe]) -> Totals {
        let mut totals = Totals::default();
        let (mut flat_in, mut flat_out) = (Flat::default(), Flat::default());
        let mut cache_in = Provider::new(&body.model, self.dialect);
        let mut cache_out = cache_in.clone();
        let mut sent = Sent::default();
        let mut ledger = Ledger::default();
        let cuts = wire::cuts(body);
        for (turn, upto) in cuts.iter().copied().enumerate() {
            let request = wire::cut(source, body, upto);
            let Some(read) = Body::read(&request, self.dialect) else { continue };
            let before = totals.retrievals;
            totals.requests += 1;
            totals.turns += usize::from(upto < body.messages.len());

            let (tokens_in, direct, catalogue_direct) = self.price(&read, &mut flat_in, &mut cache_in);
            totals.tokens_in += tokens_in;
            totals.direct += direct;
            totals.catalogue_direct += catalogue_direct;

            // What cannot be scanned goes out as it came.
            let rewrite = ledger.send(&self.recorded.engine, &request, self.dialect, &self.policy);
            let out = rewrite.as_ref().map_or(request.as_bytes(), |rewrite| &rewrite.body);
            let out = String::from_utf8_lossy(out);
            let Some(read_out) = Body::read(&out, self.dialect) else {
                totals.byte_violations += 1;
                continue;
            };
            totals.prefix_violations += sent.check(&out, &read_out);
            let (tokens_out, rewritten, catalogue_rewritten) =
                self.price(&read_out, &mut flat_out, &mut cache_out);
            totals.tokens_out += tokens_out;
            totals.rewritten += rewritten;
            totals.catalogue_rewritten += catalogue_rewritten;
            let Some(rewrite) = &rewrite else {
                totals.failed_open += 1;
                continue;
            };
            totals.failed_open += usize::from(rewrite.report.failed_open);
            totals.declared_breaks += rewrite.report.declared_breaks as usize;
            if rewrite.report.tool_listed {
                let tool = read_out.tools.last().map_or(0, |tool| self.tokens(tool));
                totals.tool += tool as f64 * if turn == 0 { WRITE } else { READ };
                totals.tool_listed = 1;
            }

            let sides = Sides { request: &request, read: &read, out: &out, read_out: &read_out, rewrite };
            self.laws(&sides, &mut totals);
            let asked = oracle(body, upto, probes, &sides, &mut totals);
            if !asked.is_empty() {
                let returned = retrieve(&asked, rewrite);
                totals.rounds += 1;
                totals.retrieved_tokens += returned as u64;
                let calls = CALL * asked.len() as f64;
                totals.retrievals +=
                    READ * tokens_out as f64 + OUTPUT * calls + WRITE * (calls + returned as f64);
            }
            totals.by_turn.push((direct, rewritten + totals.retrievals - before));
            if turn + 1 == cuts.len() {
                self.note_kinds(&rewrite.report);
                // With nothing remembered the same must come out.
                let fresh = ledger.send(&Engine::new(), &request, self.dialect, &self.policy);
                totals.prefix_violations += usize::from(fresh.is_none_or(|fresh| fresh.body != rewrite.body));
            }
        }
        totals
    }

    /// Tokens, the flat price, the price by the provider's rules.
    fn price(&mut self, body: &Body, flat: &mut Flat, cache: &mut Provider) -> (u64, f64, f64) {
        let mut blocks = Vec::new();
        let mut position = 0;
        let mut before = None;
        for piece in body.pieces() {
            let run = matches!(piece.part, Part::Call | Part::Result) && before == Some(piece.part);
            position += usize::from(!run);
            before = Some(piece.part);
            blocks.push(Block {
                hash: digest(piece),
                tokens: self.tokens(piece),
                breakpoint: piece.breakpoint,
                position,
            });
        }
        if let (true, Some(last)) = (body.automatic, blocks.last_mut()) {
            last.breakpoint = true;
        }
        (blocks.iter().map(|block| block.tokens).sum(), flat.request(&blocks), cache.request(&blocks))
    }

    fn tokens(&mut self, piece: &Piece) -> u64 {
        let mut key = [0; 16];
        key.copy_from_slice(&blake3::hash(piece.text.as_bytes()).as_bytes()[..16]);
        *self.counts.entry(key).or_insert_with(|| O200k.count(&piece.text) as u64)
    }

    /// The byte law and the redeem law, and whether everything can be read back.
    fn laws(&mut self, sides: &Sides<'_>, totals: &mut Totals) {
        let Sides { request, read, out, rewrite, .. } = *sides;
        let plain = taken_away(self.dialect.of_engine(), out, &rewrite.report.alignment.notes);
        let same = Body::read(&plain, self.dialect)
            .is_some_and(|read_plain| laws::same_outside_edits(request, read, &plain, &read_plain));
        totals.byte_violations += usize::from(!same);
        let blocks = &rewrite.report.blocks;
        if blocks.iter().any(|block| block.reason.replaced()) && read.results().count() != blocks.len() {
            // The report speaks of other texts than the body holds: nothing can be checked.
            totals.undecodable += 1;
            return;
        }
        let handles: HashSet<Handle> = rewrite.originals.handles().iter().copied().collect();
        for (before, after, hidden) in sides.blocks() {
            if before.text == after.text && hidden.is_empty() {
                continue;
            }
            let unknown = |handle: Handle| !rewrite.report.tool_listed || !handles.contains(&handle);
            let named = laws::markers(&after.text).into_iter().filter_map(|marker| marker.handle());
            totals.unredeemable += named.filter(|handle| unknown(*handle)).count();
            let mut pair = blake3::Hasher::new();
            pair.update(blake3::hash(before.text.as_bytes()).as_bytes());
            pair.update(after.text.as_bytes());
            if !self.audited.insert(*pair.finalize().as_bytes()) {
                continue;
            }
            for hidden in hidden {
                let original = rewrite.originals.get(hidden.handle);
                totals.unredeemable += usize::from(!redeems(&before.text, hidden, original.as_deref()));
            }
            totals.undecodable +=
                usize::from(self.recorded.audit(&before.text, &after.text, hidden).undecodable);
        }
    }

    fn note_kinds(&mut self, report: &Report) {
        for block in &report.blocks {
            let kind = block.kind.unwrap_or("-").to_owned();
            let row = self.kinds.entry((kind, block.reason.name())).or_default();
            row.0 += 1;
            row.1 += block.tokens_in;
            row.2 += block.tokens_out;
        }
    }
}

/// One request on its way in and on its way out.
#[derive(Clone, Copy, Debug)]
struct Sides<'a> {
    request: &'a str,
    read: &'a Body,
    out: &'a str,
    read_out: &'a Body,
    rewrite: &'a Rewrite,
}

impl<'a> Sides<'a> {
    /// Each tool result before and after, with what it hides.
    fn blocks(self) -> impl Iterator<Item = (&'a Piece, &'a Piece, &'a [Hidden])> {
        let texts = self.read.results().zip(self.read_out.results());
        let hidden = self.rewrite.report.blocks.iter().map(|block| block.hidden.as_slice());
        texts.zip(hidden).map(|((before, after), hidden)| (before, after, hidden))
    }

    /// The model reads it, in any text of the request.
    fn shows(self, string: &str) -> bool {
        let finder = memchr::memmem::Finder::new(string.trim().as_bytes());
        self.read_out.pieces().any(|piece| finder.find(piece.text.as_bytes()).is_some())
    }
}

/// Counts what a turn needed and used; returns the parts that had to be asked for.
fn oracle(body: &Body, upto: usize, probes: &[Probe], sides: &Sides<'_>, totals: &mut Totals) -> Vec<Asked> {
    let mut missing: Vec<String> = Vec::new();
    for probe in
        probes.iter().filter(|probe| probe.family == "needed-by-next-call" && probe.upto == Some(upto))
    {
        let hidden: Vec<_> = probe.must_keep.iter().filter(|string| !sides.shows(string)).cloned().collect();
        totals.needed_total += 1;
        totals.needed_visible += usize::from(hidden.is_empty());
        missing.extend(hidden);
    }
    if upto < body.messages.len() {
        for line in oracle::used(body, upto) {
            totals.used_total += 1;
            if sides.shows(&line) {
                totals.used_visible += 1;
            } else {
                missing.push(line);
            }
        }
    }
    let mut asked: Vec<Asked> = Vec::new();
    for string in &missing {
        let place = sides.blocks().find_map(|(before, after, hidden)| {
            let holds = |hidden: &&Hidden| {
                fate(string, &before.text, "", std::slice::from_ref(&hidden.range)) == Fate::Redeemable
            };
            hidden.iter().find(holds).map(|hidden| Asked::new(&after.text, hidden))
        });
        match place {
            Some(place) if asked.contains(&place) => {}
            Some(place) => asked.push(place),
            None => totals.used_rewritten += 1,
        }
    }
    asked
}

/// Tokens that asking for these parts returns.
fn retrieve(asked: &[Asked], rewrite: &Rewrite) -> usize {
    let one = |asked: &Asked| {
        let original = rewrite.originals.get(asked.handle).unwrap_or_default();
        let mut request = answer::Request::new(asked.handle, ANSWER_TOKENS);
        request.range = asked.range;
        request.unit = asked.unit;
        O200k.count(&answer::answer(&original, &request, &O200k))
    };
    asked.iter().map(one).sum()
}

/// A part that the model asks for: what one marker hides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    handle: Handle,
    range: Option<(usize, usize)>,
    unit: Option<Unit>,
}

impl Asked {
    fn new(output: &str, hidden: &Hidden) -> Self {
        let marker: Option<Marker> = output.get(hidden.marker.clone()).and_then(|text| text.parse().ok());
        Self {
            handle: hidden.handle,
            range: marker.as_ref().map(|marker| (marker.first(), marker.last())),
            unit: marker.as_ref().map(Marker::unit),
        }
    }
}

/// What the layer's ledger is to one session.
#[derive(Debug, Default)]
pub(crate) struct Ledger(HashMap<LedgerKey, Record>);

impl Ledger {
    pub(crate) fn send(
        &mut self,
        engine: &Engine,
        request: &str,
        dialect: Dialect,
        policy: &Policy,
    ) -> Option<Rewrite> {
        self.send_as(engine, request, &RequestContext::new(dialect.of_engine()), policy)
    }

    pub(crate) fn send_as(
        &mut self,
        engine: &Engine,
        request: &str,
        context: &RequestContext,
        policy: &Policy,
    ) -> Option<Rewrite> {
        let scanned = engine.scan(request.to_owned().into(), context).ok()?;
        let known: Vec<Record> =
            scanned.ledger_keys().iter().filter_map(|key| self.0.get(key).cloned()).collect();
        let rewrite = scanned.rewrite(policy, &known);
        self.0.extend(rewrite.records.iter().map(|record| (record.key, record.clone())));
        Some(rewrite)
    }
}

fn digest(piece: &Piece) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&[piece.part as u8]);
    hasher.update(piece.text.as_bytes());
    let mut wide = [0; 8];
    wide.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(wide)
}

/// What was sent so far in a session: the prefix law's witness.
#[derive(Clone, Debug, Default)]
struct Sent {
    head: Option<blake3::Hash>,
    messages: Vec<blake3::Hash>,
}

impl Sent {
    /// How many of tools, system and messages differ from what an earlier request sent there.
    fn check(&mut self, out: &str, read: &Body) -> usize {
        let mut head = blake3::Hasher::new();
        head.update(read.tools_span.clone().map_or("", |span| &out[span]).as_bytes());
        for piece in &read.system {
            head.update(out[piece.span.clone()].as_bytes());
        }
        let head = head.finalize();
        let mut broken = usize::from(*self.head.get_or_insert(head) != head);
        for (at, message) in read.messages.iter().enumerate() {
            let hash = blake3::hash(out[message.span.clone()].as_bytes());
            match self.messages.get(at) {
                Some(before) => broken += usize::from(*before != hash),
                None => self.messages.push(hash),
            }
        }
        broken
    }
}
