//! `soak`: many streams at once through the proxy, for long: does its memory grow, does one fail?
//!
//! Each stream is a client of its own that sends its conversation again and again. Memory is looked
//! at when all of them have been answered twice (everything that is kept once is kept then), ten times
//! on the way, and at the end.

use std::{
    io::{self, Write},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::json;

use crate::{
    generate::{self, Dice},
    served::{
        HttpClient, ask, client,
        process::{self, Process},
        provider::{self, Pace},
    },
    table::{Progress, Table, rounded},
};

/// `soak [--streams N] [--minutes M]`
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Streams at once
    #[arg(long, default_value_t = 1000)]
    streams: usize,
    /// How long
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Milliseconds between the deltas of an answer; it has twenty
    #[arg(long, default_value_t = 200)]
    pause: u64,
    /// The proxy; else the one beside this program
    #[arg(long)]
    binary: Option<PathBuf>,
    /// One JSON object as the last line
    #[arg(long)]
    json: bool,
}

/// Bytes of each stream's conversation, about.
const BODY: usize = 8 << 10;
const DELTAS: usize = 20;
/// How often memory is looked at on the way.
const LOOKS: u32 = 10;

#[derive(Debug, Default)]
struct Counts {
    over: AtomicBool,
    answered: AtomicUsize,
    warm: AtomicUsize,
    errors: AtomicUsize,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<()> {
    let pace = Pace { deltas: DELTAS, pause: Duration::from_millis(arguments.pause) };
    let upstream = provider::start(pace)?;
    let proxy = Process::proxy(&process::binary(arguments.binary.as_deref())?, &upstream)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let counts = Arc::new(Counts::default());
    let idle = proxy.rss().unwrap_or_default();
    let Resident { start, peak, on_the_way } = runtime.block_on(soak(arguments, &proxy, &counts))?;
    let end = proxy.rss().unwrap_or_default();
    let (answered, errors) = (counts.answered.load(Relaxed), counts.errors.load(Relaxed));

    let mut table = Table::new(&["", ""]);
    table.row(["streams at once".to_owned(), arguments.streams.to_string()]);
    table.row(["minutes".to_owned(), arguments.minutes.to_string()]);
    table.row(["answers".to_owned(), answered.to_string()]);
    table.row(["errors".to_owned(), errors.to_string()]);
    for (name, mb) in [("idle", idle), ("at the start", start), ("at the end", end), ("most", peak)] {
        table.row([format!("resident, {name}"), format!("{mb:.1} MB")]);
    }
    table.print(out)?;
    let looks: Vec<String> = on_the_way.iter().map(|mb| format!("{mb:.1}")).collect();
    writeln!(out, "resident on the way: {} MB", looks.join(", "))?;
    if arguments.json {
        let json = json!({
            "streams": arguments.streams,
            "minutes": arguments.minutes,
            "rss_idle_mb": rounded(idle, 1),
            "rss_start_mb": rounded(start, 1),
            "rss_end_mb": rounded(end, 1),
            "rss_peak_mb": rounded(peak, 1),
            "rss_mb": on_the_way.iter().map(|mb| rounded(*mb, 1)).collect::<Vec<_>>(),
            "answers": answered,
            "errors": errors,
        });
        writeln!(out, "{json}")?;
    }
    Ok(())
}

/// Resident memory, in MB: when all streams are warm, the most that was seen, and what was seen after
/// each tenth of the time.
struct Resident {
    start: f64,
    peak: f64,
    on_the_way: Vec<f64>,
}

async fn soak(arguments: &Arguments, proxy: &Process, counts: &Arc<Counts>) -> io::Result<Resident> {
    let began = Instant::now();
    let whole = Duration::from_secs_f64(arguments.minutes * 60.0);
    let end = began + whole;
    let mut streams = tokio::task::JoinSet::new();
    for number in 0..arguments.streams {
        let (url, counts) = (proxy.url.clone(), Arc::clone(counts));
        streams.spawn(async move { stream(number, &client(), &url, &counts).await });
    }
    let progress = Progress::new();
    let (mut start, mut peak, mut on_the_way) = (None, 0.0f64, Vec::new());
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let rss = proxy.rss().unwrap_or_default();
        peak = peak.max(rss);
        if began.elapsed() >= whole / LOOKS * (on_the_way.len() as u32 + 1) {
            on_the_way.push(rss);
        }
        if start.is_none() && counts.warm.load(Relaxed) >= arguments.streams {
            start = Some(rss);
        }
        progress.show("seconds", began.elapsed().as_secs() as usize, (arguments.minutes * 60.0) as usize);
    }
    let last = proxy.rss().unwrap_or_default();
    counts.over.store(true, Relaxed);
    while streams.join_next().await.is_some() {}
    let peak = peak.max(last);
    start
        .map(|start| Resident { start, peak, on_the_way })
        .ok_or_else(|| io::Error::other("too short: no warm state was reached"))
}

/// One client: the same conversation, its own, until it is over.
async fn stream(number: usize, client: &HttpClient, url: &str, counts: &Counts) {
    let result = generate::output(&mut Dice::new(number as u64), BODY);
    let body =
        generate::extended(&generate::conversation(1 << 10), 1000 + number, &result).unwrap_or_default();
    let body = Bytes::from(body.replacen('{', "{\"stream\":true,", 1));
    // Not all at the same moment.
    tokio::time::sleep(Duration::from_millis(number as u64 % 1000 * 4)).await;
    let mut rounds = 0;
    while !counts.over.load(Relaxed) {
        match ask(client, url, body.clone()).await {
            Ok(last) if memchr::memmem::find(&last, b"message_stop").is_some() => {
                counts.answered.fetch_add(1, Relaxed);
            }
            _ => {
                counts.errors.fetch_add(1, Relaxed);
            }
        }
        rounds += 1;
        if rounds == 2 {
            counts.warm.fetch_add(1, Relaxed);
        }
    }
}
