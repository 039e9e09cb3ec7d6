//! `overhead`: what the layer adds to a request, as paired differences with and without it.
//!
//! Both sides run in one process, in turns, on the same bytes: `service` around a service without
//! sockets, `loopback` around a hyper client that talks to a hyper server on another thread. A *first*
//! turn meets an empty memo; a *later* turn adds one block of about 4 KB to a conversation the layer
//! has seen. `floor_us` is scanning and hashing alone, `engine_us` the engine without the service; `frame_us` is one
//! frame of a streamed answer without a retrieval, by dialect. Allocations are counted by `stats_alloc`, which
//! needs no unsafe code here.

use std::{
    alloc::System,
    fs,
    hint::black_box,
    io::{self, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use headroom_engine::{Dialect, Engine, Policy, RequestContext};
use headroom_tests::streams::{STREAMED, Streamed as Wire};
use headroom_tower::HeadroomLayer;
use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tower::Layer;

use crate::{
    corpus, generate,
    generate::Dice,
    table::{Progress, Table, rounded},
    transport::{Idle, InProcess, Loopback, Streamed, Streaming, Transport, other},
    wire::{self, Body},
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// `overhead [--wire DIR]`
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Anthropic bodies to take conversations from; generated ones without it
    #[arg(long)]
    wire: Option<PathBuf>,
    /// Streamed answers alone
    #[arg(long)]
    streams: bool,
    /// One JSON object as the last line
    #[arg(long)]
    json: bool,
    /// Paired samples of each later turn; a tenth as many of each first turn
    #[arg(long, default_value_t = 300)]
    samples: usize,
}

const SIZES: [usize; 4] = [16, 64, 200, 600];

/// Bytes of the block that a later turn adds.
const NEW: usize = 4 << 10;

#[derive(Clone, Debug)]
struct Row {
    kb: usize,
    transport: &'static str,
    turn: &'static str,
    new_kb: f64,
    p50: f64,
    p99: f64,
    direct: f64,
    floor: f64,
    engine: f64,
    allocations: i64,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let sources = match arguments.streams {
        true => Vec::new(),
        false => bodies(arguments.wire.as_deref())?,
    };
    let progress = Progress::new();
    let mut rows = Vec::new();
    let loopback = Loopback::start()?;
    runtime.block_on(async {
        for (done, body) in sources.iter().enumerate() {
            progress.show("sizes", done, sources.len());
            rows.extend(measure("service", &InProcess, body, arguments.samples).await);
            rows.extend(measure("loopback", &loopback, body, arguments.samples).await);
        }
    });
    let streams = runtime.block_on(streams(&progress))?;
    let not_ours = runtime.block_on(not_ours());
    drop(progress);
    print(&rows, &streams, not_ours, out)?;
    if arguments.json {
        writeln!(out, "{}", report(&rows, &streams, not_ours))?;
    }
    Ok(())
}

/// One conversation for each size.
fn bodies(wire: Option<&Path>) -> io::Result<Vec<String>> {
    let files = wire.map(corpus::files).transpose()?.unwrap_or_default();
    let read = |text: String| Body::read(&text, wire::Dialect::Anthropic).map(|body| (text, body));
    let anthropic = |text: &String| !text.contains("\"tool_calls\"") && !text.contains("\"role\":\"tool\"");
    let read: Vec<(String, Body)> =
        files.into_iter().map(|(_, text)| text).filter(anthropic).filter_map(read).collect();
    // The request nearest in size that a few results stand in.
    let nearest = |bytes: usize| {
        let size = |text: &str, body: &Body, upto: usize| {
            let tail = body.messages.last().map_or(0, |last| text.len() - last.span.end);
            body.messages[upto - 1].span.end + tail
        };
        let cuts = read
            .iter()
            .flat_map(|(text, body)| wire::cuts(body).into_iter().map(move |upto| (text, body, upto)));
        let grown = cuts.filter(|(_, _, upto)| *upto > 8);
        let best = grown.min_by_key(|(text, body, upto)| size(text, body, *upto).abs_diff(bytes))?;
        let (text, body, upto) = best;
        (size(text, body, upto).abs_diff(bytes) * 10 <= bytes).then(|| wire::cut(text, body, upto))
    };
    Ok(SIZES.iter().map(|kb| nearest(kb << 10).unwrap_or_else(|| generate::conversation(kb << 10))).collect())
}

async fn measure<T: Transport>(name: &'static str, transport: &T, body: &str, samples: usize) -> Vec<Row> {
    let kb = (body.len() + 512) >> 10;
    let mut rows = Vec::new();

    // A layer for each first turn: its memo is empty.
    let first = Bytes::copy_from_slice(body.as_bytes());
    let mut samples_first = Vec::new();
    for at in 0..(samples / 10).max(3) {
        let layered = transport.layered(&HeadroomLayer::new());
        samples_first.push(pair(transport, &layered, &Engine::new(), &first, at % 2 == 0).await);
    }
    let new_kb = body.len() as f64 / 1024.0;
    rows.push(Row { kb, transport: name, turn: "first", new_kb, ..row(&samples_first) });

    let (layered, engine) = (transport.layered(&HeadroomLayer::new()), Engine::new());
    pair(transport, &layered, &engine, &first, true).await;
    let mut dice = Dice::new(kb as u64);
    let mut samples_later = Vec::new();
    let mut new = 0;
    for at in 0..samples {
        let block = generate::output(&mut dice, NEW);
        new += block.len();
        let Some(longer) = generate::extended(body, 100_000 + at, &block) else { continue };
        samples_later.push(pair(transport, &layered, &engine, &longer.into(), at % 2 == 0).await);
    }
    let new_kb = new as f64 / samples.max(1) as f64 / 1024.0;
    rows.push(Row { kb, transport: name, turn: "later", new_kb, ..row(&samples_later) });
    rows
}

/// One request, in µs.
#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    direct: f64,
    layered: f64,
    /// Scanning and hashing alone.
    floor: f64,
    /// Scanning and rewriting.
    engine: f64,
    allocations: i64,
}

/// The same request both ways, each side first in turn, then through the engine alone.
async fn pair<T: Transport>(
    transport: &T,
    layered: &T::Layered,
    engine: &Engine,
    body: &Bytes,
    direct_first: bool,
) -> Pair {
    let mut pair = Pair::default();
    for direct in [direct_first, !direct_first] {
        let body = body.clone();
        // A fresh time slice, so that other processes interrupt neither side sooner than the other.
        thread::sleep(Duration::from_micros(200));
        let before = ALLOCATOR.stats().allocations as i64;
        let start = Instant::now();
        if direct {
            transport.direct(body).await;
            pair.direct = micros(start);
            pair.allocations -= ALLOCATOR.stats().allocations as i64 - before;
        } else {
            transport.send(layered, body).await;
            pair.layered = micros(start);
            pair.allocations += ALLOCATOR.stats().allocations as i64 - before;
        }
    }
    let (context, policy) = (RequestContext::new(Dialect::AnthropicMessages), Policy::default());
    let start = Instant::now();
    if let Ok(scanned) = engine.scan(body.clone(), &context) {
        pair.floor = micros(start);
        black_box(scanned.rewrite(&policy, &[]));
        pair.engine = micros(start);
    }
    pair
}

fn row(pairs: &[Pair]) -> Row {
    let sorted = |of: fn(&Pair) -> f64| {
        let mut values: Vec<f64> = pairs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let added = sorted(|pair| pair.layered - pair.direct);
    Row {
        kb: 0,
        transport: "",
        turn: "",
        new_kb: 0.0,
        p50: quantile(&added, 0.5),
        p99: quantile(&added, 0.99),
        direct: quantile(&sorted(|pair| pair.direct), 0.5),
        floor: quantile(&sorted(|pair| pair.floor), 0.5),
        engine: quantile(&sorted(|pair| pair.engine), 0.5),
        allocations: quantile(&sorted(|pair| pair.allocations as f64), 0.5) as i64,
    }
}

fn micros(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e6
}

/// The nearest-rank quantile of sorted values.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// What a streamed answer without a retrieval costs more, in one dialect.
#[derive(Clone, Copy, Debug)]
struct Stream {
    wire: Wire,
    /// µs a frame: the median, and the least of the quarters' medians.
    frame: f64,
    least: f64,
    /// µs a frame without the layer.
    direct: f64,
    first_token: f64,
    /// Frames that the upstream had given when the client saw the first token, more than without the
    /// layer.
    held: i64,
}

impl Stream {
    /// The most that a frame may cost, in µs.
    fn allowed(&self) -> f64 {
        if self.wire.is_framed() { 4.0 } else { 2.0 }
    }
}

async fn streams(progress: &Progress) -> io::Result<Vec<Stream>> {
    let mut rows = Vec::new();
    for (done, wire) in STREAMED.into_iter().enumerate() {
        progress.show("streams", done, STREAMED.len());
        rows.push(stream(wire).await?);
    }
    Ok(rows)
}

async fn stream(wire: Wire) -> io::Result<Stream> {
    const FRAMES: usize = 2000;
    const RUNS: usize = 60;
    let layer = HeadroomLayer::new();
    let streaming = Streaming::new(wire, FRAMES);
    let (mut frames, mut bare, mut first, mut held) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for at in 0..=RUNS {
        let (mut direct, mut layered) = (Streamed::default(), Streamed::default());
        for is_direct in [at % 2 == 0, at % 2 != 0] {
            if is_direct {
                direct = streaming.streamed(None).await;
            } else {
                layered = streaming.streamed(Some(&layer)).await;
            }
        }
        if !layered.intercepted || direct.came != layered.came {
            let (came, of) = (layered.came, direct.came);
            return Err(io::Error::other(format!("{}: {came} frames of {of} came through", wire.name())));
        }
        if at > 0 {
            frames.push((layered.all - direct.all) / FRAMES as f64);
            bare.push(direct.all / FRAMES as f64);
            first.push(layered.first - direct.first);
            held.push(layered.given as i64 - direct.given as i64);
        }
    }
    let median = |values: &[f64]| {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        quantile(&sorted, 0.5)
    };
    // What else the machine does comes and goes; the quietest quarter tells most.
    let least = frames.chunks(RUNS / 4).map(median).fold(f64::INFINITY, f64::min);
    Ok(Stream {
        wire,
        frame: median(&frames),
        least,
        direct: median(&bare),
        first_token: median(&first),
        held: held.into_iter().max().unwrap_or(0),
    })
}

/// What a request that is not ours costs more: the median of batches.
async fn not_ours() -> f64 {
    const BATCH: usize = 5000;
    let (mut direct, mut layered) = (Idle, HeadroomLayer::new().layer(Idle));
    let mut differences = Vec::new();
    for at in 0..31 {
        let mut added = 0.0;
        for is_direct in [at % 2 == 0, at % 2 != 0] {
            let start = Instant::now();
            for _ in 0..BATCH {
                if is_direct {
                    other(&mut direct).await;
                } else {
                    other(&mut layered).await;
                }
            }
            let time = micros(start) / BATCH as f64;
            added += if is_direct { -time } else { time };
        }
        differences.push(added);
    }
    differences.sort_by(f64::total_cmp);
    quantile(&differences, 0.5)
}

/// The most memory this process ever held, where the system says so.
fn peak_mb() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kb: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kb / 1024.0)
}

fn print(rows: &[Row], streams: &[Stream], not_ours: f64, out: &mut impl Write) -> io::Result<()> {
    let mut table = Table::new(&[
        "body",
        "transport",
        "turn",
        "new KB",
        "added p50 µs",
        "p99 µs",
        "direct p50 µs",
        "floor µs",
        "engine µs",
        "allowed p50 µs",
        "allocations",
    ]);
    for row in rows {
        table.row([
            format!("{} KB", row.kb),
            row.transport.to_owned(),
            row.turn.to_owned(),
            format!("{:.1}", row.new_kb),
            format!("{:.0}", row.p50),
            format!("{:.0}", row.p99),
            format!("{:.0}", row.direct),
            format!("{:.0}", row.floor),
            format!("{:.0}", row.engine),
            format!("{:.0}", 2.0 * row.floor + 60.0 * row.new_kb),
            row.allocations.to_string(),
        ]);
    }
    if !rows.is_empty() {
        table.print(out)?;
        writeln!(out)?;
    }
    let mut table = Table::new(&[
        "stream",
        "a frame µs",
        "least µs",
        "allowed µs",
        "direct µs",
        "first token µs later",
        "frames held",
    ]);
    for row in streams {
        table.row([
            row.wire.name().to_owned(),
            format!("{:.2}", row.frame),
            format!("{:.2}", row.least),
            format!("{:.0}", row.allowed()),
            format!("{:.2}", row.direct),
            format!("{:.1}", row.first_token),
            row.held.to_string(),
        ]);
    }
    table.print(out)?;
    writeln!(out, "\nnot ours {not_ours:.3} µs, peak {:.0} MB", peak_mb().unwrap_or(0.0))
}

fn report(rows: &[Row], streams: &[Stream], not_ours: f64) -> Value {
    let bodies: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "kb": row.kb,
                "transport": row.transport,
                "turn": row.turn,
                "new_kb": rounded(row.new_kb, 2),
                "p50_us": rounded(row.p50, 1),
                "p99_us": rounded(row.p99, 1),
                "direct_p50_us": rounded(row.direct, 1),
                "floor_us": rounded(row.floor, 1),
                "engine_us": rounded(row.engine, 1),
                "allocations": row.allocations,
            })
        })
        .collect();
    let by = |of: fn(&Stream) -> Value| -> Value {
        streams
            .iter()
            .map(|row| (row.wire.name().to_owned(), of(row)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    json!({
        "bodies": bodies,
        "frame_us": by(|row| json!(rounded(row.frame, 3))),
        "frame_least_us": by(|row| json!(rounded(row.least, 3))),
        "frame_allowed_us": by(|row| json!(row.allowed())),
        "first_token_us": by(|row| json!(rounded(row.first_token, 2))),
        "first_token_frames_held": by(|row| json!(row.held)),
        "not_ours_us": rounded(not_ours, 4),
        "peak_mb": peak_mb().map(|mb| rounded(mb, 1)),
    })
}
