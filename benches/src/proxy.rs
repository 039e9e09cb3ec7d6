//! `proxy`: what `headroom proxy` adds to a request, beside a direct connection and a proxy of the
//! same make that does nothing; how soon it answers, and what it takes when idle.
//!
//! They are asked in turns with the same bytes, the proxy also with the word to leave the request
//! alone (`off`). A *first* turn is a conversation that was never seen; a *later* one adds a block of
//! about 4 KB to one that was, a *short* one half a KB.

use std::{
    io::{self, Write},
    path::PathBuf,
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::json;

use crate::{
    generate::{self, Dice},
    served::{
        HttpClient, ask, ask_as, client,
        process::{self, Process},
        provider::{self, Pace},
    },
    table::{Progress, Table, rounded},
};

/// `proxy [--samples N]`
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Requests of each size and turn; a quarter as many first turns
    #[arg(long, default_value_t = 200)]
    samples: usize,
    /// The proxy; else the one beside this program
    #[arg(long)]
    binary: Option<PathBuf>,
    /// One JSON object as the last line
    #[arg(long)]
    json: bool,
}

const SIZES: [usize; 3] = [26, 64, 600];
/// Bytes that a later turn adds, and a short one.
const NEW: usize = 4 << 10;
const SHORT: usize = 1 << 9;
/// Starts of which the median counts.
const STARTS: usize = 5;

/// Milliseconds of the four ways, request by request.
#[derive(Debug, Default)]
struct Times {
    direct: Vec<f64>,
    pass: Vec<f64>,
    /// Through the proxy, which was told to leave the request alone.
    off: Vec<f64>,
    proxy: Vec<f64>,
}

#[derive(Debug)]
struct Row {
    kb: usize,
    turn: &'static str,
    times: Times,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let upstream = provider::start(Pace { deltas: 1, pause: Duration::ZERO })?;
    let binary = process::binary(arguments.binary.as_deref())?;
    runtime.block_on(async {
        let mut starts = Vec::new();
        let mut idle = Vec::new();
        for _ in 0..STARTS {
            let proxy = Process::proxy(&binary, &upstream)?;
            idle.extend(proxy.rss());
            drop(proxy);
            let proxy = Process::proxy(&binary, &upstream)?;
            ask(&client(), &proxy.url, generate::conversation(1 << 10).into()).await?;
            starts.push(proxy.started.elapsed().as_secs_f64() * 1e3);
        }
        let ways = Ways {
            client: client(),
            direct: upstream.clone(),
            pass: Process::pass(&upstream)?,
            proxy: Process::proxy(&binary, &upstream)?,
        };
        let progress = Progress::new();
        let mut rows = Vec::new();
        for (done, kb) in SIZES.into_iter().enumerate() {
            progress.show("sizes", done, SIZES.len());
            rows.push(Row { kb, turn: "first", times: ways.first(kb, arguments.samples / 4).await? });
            rows.push(Row { kb, turn: "later", times: ways.later(kb, NEW, arguments.samples).await? });
            rows.push(Row { kb, turn: "short", times: ways.later(kb, SHORT, arguments.samples).await? });
        }
        drop(progress);
        let rss = ways.proxy.rss().unwrap_or_default();
        report(arguments, &rows, percentile(&starts, 0.5), percentile(&idle, 0.5), rss, out)
    })
}

/// The same provider, in four ways.
struct Ways {
    client: HttpClient,
    direct: String,
    pass: Process,
    proxy: Process,
}

impl Ways {
    async fn first(&self, kb: usize, samples: usize) -> io::Result<Times> {
        let mut times = Times::default();
        for at in 0..samples.max(5) {
            let seed = (kb * 10_000 + at) as u64;
            let mut dice = Dice::new(seed);
            let mut body = generate::conversation(1 << 10);
            let mut number = 0;
            while body.len() < kb << 10 {
                let wanted = ((kb << 10) - body.len()).min(8 << 10);
                let result = generate::output(&mut dice, wanted);
                body = generate::extended(&body, 500 + number, &result).unwrap_or(body);
                number += 1;
            }
            self.pair(&mut times, body.into(), at).await?;
        }
        Ok(times)
    }

    async fn later(&self, kb: usize, new: usize, samples: usize) -> io::Result<Times> {
        let body = generate::conversation(kb << 10);
        let mut dice = Dice::new((kb * new) as u64);
        self.pair(&mut Times::default(), Bytes::from(body.clone()), 0).await?;
        let mut times = Times::default();
        for at in 0..samples {
            // Each goes on from the same conversation with another new block.
            let result = generate::output(&mut dice, new);
            let next = generate::extended(&body, 1000 + at, &result).unwrap_or_default();
            self.pair(&mut times, next.into(), at).await?;
        }
        Ok(times)
    }

    /// One request in each of the four ways; who is first changes.
    async fn pair(&self, times: &mut Times, body: Bytes, at: usize) -> io::Result<()> {
        for way in 0..4 {
            let (url, mode, into) = match (way + at) % 4 {
                0 => (&self.direct, "on", &mut times.direct),
                1 => (&self.pass.url, "on", &mut times.pass),
                2 => (&self.proxy.url, "off", &mut times.off),
                _ => (&self.proxy.url, "on", &mut times.proxy),
            };
            let began = Instant::now();
            ask_as(&self.client, url, body.clone(), mode).await?;
            into.push(began.elapsed().as_secs_f64() * 1e3);
        }
        Ok(())
    }
}

fn percentile(times: &[f64], share: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(at.saturating_sub(1)).copied().unwrap_or_default()
}

fn report(
    arguments: &Arguments,
    rows: &[Row],
    start: f64,
    idle: f64,
    rss: f64,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut table = Table::new(&[
        "",
        "KB",
        "direct p50",
        "p99",
        "pass p50",
        "p99",
        "off p50",
        "p99",
        "proxy p50",
        "p99",
        "added p50",
    ]);
    let mut json_rows = Vec::new();
    for Row { kb, turn, times } in rows {
        let ways = [&times.direct, &times.pass, &times.off, &times.proxy];
        let [direct, pass, off, proxy] = ways.map(|times| (percentile(times, 0.5), percentile(times, 0.99)));
        let added = proxy.0 - pass.0;
        let mut cells = vec![(*turn).to_owned(), kb.to_string()];
        cells.extend(
            [direct, pass, off, proxy]
                .into_iter()
                .flat_map(|(p50, p99)| [format!("{p50:.2}"), format!("{p99:.2}")]),
        );
        cells.push(format!("{added:.2}"));
        table.row(cells);
        let both = |(p50, p99)| json!({"p50_ms": rounded(p50, 3), "p99_ms": rounded(p99, 3)});
        json_rows.push(json!({
            "kb": kb, "turn": turn,
            "direct": both(direct), "pass": both(pass), "off": both(off), "proxy": both(proxy),
            "added_p50_ms": rounded(added, 3), "added_p99_ms": rounded(proxy.1 - pass.1, 3),
        }));
    }
    table.print(out)?;
    writeln!(
        out,
        "\nfirst answer {start:.0} ms after the start; resident {idle:.1} MB when idle, {rss:.1} MB at the end"
    )?;
    if arguments.json {
        let json = json!({
            "start_ms": rounded(start, 1),
            "rss_idle_mb": rounded(idle, 1),
            "rss_end_mb": rounded(rss, 1),
            "rows": json_rows,
        });
        writeln!(out, "{json}")?;
    }
    Ok(())
}
