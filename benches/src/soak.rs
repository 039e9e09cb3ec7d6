//! `soak`: many streams at once through the proxy, for long: does its memory grow, does one fail?
//!
//! Each stream is a client of its own that sends its conversation again and again. Memory is looked
//! at when all of them have been answered twice (everything that is kept once is kept then), and at
//! the end.

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
    /// The proxy; else the one beside this program
    #[arg(long)]
    binary: Option<PathBuf>,
    /// One JSON object as the last line
    #[arg(long)]
    json: bool,
}

/// Bytes of each stream's conversation, about.
const BODY: usize = 8 << 10;
const PACE: Pace = Pace { deltas: 20, pause: Duration::from_millis(200) };

#[derive(Debug, Default)]
struct Counts {
    over: AtomicBool,
    answered: AtomicUsize,
    warm: AtomicUsize,
    errors: AtomicUsize,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<()> {
    let upstream = provider::start(PACE)?;
    let proxy = Process::proxy(&process::binary(arguments.binary.as_deref())?, &upstream)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let counts = Arc::new(Counts::default());
    let idle = proxy.rss().unwrap_or_default();
    let (start, peak) = runtime.block_on(soak(arguments, &proxy, &counts))?;
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
    if arguments.json {
        let json = json!({
            "streams": arguments.streams,
            "minutes": arguments.minutes,
            "rss_idle_mb": rounded(idle, 1),
            "rss_start_mb": rounded(start, 1),
            "rss_end_mb": rounded(end, 1),
            "rss_peak_mb": rounded(peak, 1),
            "answers": answered,
            "errors": errors,
        });
        writeln!(out, "{json}")?;
    }
    Ok(())
}

/// Resident memory when all streams are warm, and the most that was seen.
async fn soak(arguments: &Arguments, proxy: &Process, counts: &Arc<Counts>) -> io::Result<(f64, f64)> {
    let began = Instant::now();
    let end = began + Duration::from_secs_f64(arguments.minutes * 60.0);
    let mut streams = tokio::task::JoinSet::new();
    for number in 0..arguments.streams {
        let (url, counts) = (proxy.url.clone(), Arc::clone(counts));
        streams.spawn(async move { stream(number, &client(), &url, &counts).await });
    }
    let progress = Progress::new();
    let (mut start, mut peak) = (None, 0.0f64);
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let rss = proxy.rss().unwrap_or_default();
        peak = peak.max(rss);
        if start.is_none() && counts.warm.load(Relaxed) >= arguments.streams {
            start = Some(rss);
        }
        progress.show("seconds", began.elapsed().as_secs() as usize, (arguments.minutes * 60.0) as usize);
    }
    let last = proxy.rss().unwrap_or_default();
    counts.over.store(true, Relaxed);
    while streams.join_next().await.is_some() {}
    start
        .map(|start| (start, peak.max(last)))
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
