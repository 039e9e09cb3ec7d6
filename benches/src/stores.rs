//! `stores`: what keeping originals and ledger records in Postgres costs a request, and what a
//! database takes.
//!
//! Everything goes through a `TieredStore`, as in the layer. A *put* is what a request waits for when
//! it hides three new originals of about 4 KB; `put_required` is one that is promised, and waits for
//! the database's disk. A *get* is an original that the memory does not hold; a *ledger* look-up asks
//! for the records of a conversation of twenty turns, and always asks the database. Puts and sweeps a
//! second are sustained, batched, and counted when they are committed.

use std::{
    io::{self, Write},
    path::PathBuf,
    time::{Duration, Instant},
};

use bytes::Bytes;
use headroom_tower::{
    Durability, Handle, HandleKey, LedgerKey, LedgerStore, Original, OriginalStore, PostgresOptions,
    PostgresStore, Record, Scope, StoreError, TieredOptions, TieredStore,
};
use serde_json::json;

use crate::table::{Table, rounded};

/// `stores --database URL`
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A database to work in: its tables are made if they are missing, and what is put is deleted
    #[arg(long)]
    database: String,
    /// A file whose lines stand for what tools return; generated ones without it
    #[arg(long)]
    text: Option<PathBuf>,
    /// One JSON object as the last line
    #[arg(long)]
    json: bool,
    /// Samples of each latency
    #[arg(long, default_value_t = 2_000)]
    samples: usize,
    /// Originals that are put for the throughput, and swept
    #[arg(long, default_value_t = 100_000)]
    rows: usize,
}

/// Bytes of an original.
const SIZE: usize = 4 << 10;

#[derive(Debug, Default)]
struct Figures {
    put: f64,
    required: f64,
    get: f64,
    ledger: f64,
    puts: f64,
    swept: f64,
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let lines = match &arguments.text {
        Some(path) => std::fs::read_to_string(path)?,
        None => String::new(),
    };
    let figures = runtime.block_on(measure(arguments, &lines)).map_err(io::Error::other)?;
    print(&figures, out)?;
    if arguments.json {
        let line = json!({
            "put_p50_us": rounded(figures.put, 1),
            "put_required_p50_us": rounded(figures.required, 1),
            "get_p50_us": rounded(figures.get, 1),
            "ledger_p50_us": rounded(figures.ledger, 1),
            "puts_per_s": rounded(figures.puts, 0),
            "swept_per_s": rounded(figures.swept, 0),
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn print(figures: &Figures, out: &mut impl Write) -> io::Result<()> {
    let mut table = Table::new(&["through the tier", "", ""]);
    for (what, value, unit) in [
        ("put of 3 originals, p50", figures.put, "us"),
        ("promised put of 1 record, p50", figures.required, "us"),
        ("get, memory cold, p50", figures.get, "us"),
        ("ledger look-up of 20 keys, p50", figures.ledger, "us"),
        ("originals put and committed", figures.puts, "/s"),
        ("expired rows swept", figures.swept, "/s"),
    ] {
        table.row([what.to_owned(), format!("{value:.0}"), unit.to_owned()]);
    }
    table.print(out)
}

async fn measure(arguments: &Arguments, lines: &str) -> Result<Figures, StoreError> {
    let options = PostgresOptions::default().acquire(Duration::from_secs(10));
    let postgres = PostgresStore::connect_with(&arguments.database, options.clone()).await?;
    let scope = Scope::of(b"headroom-bench stores");
    OriginalStore::delete_scope(&postgres, scope).await?;
    let mut figures = Figures::default();
    let samples = arguments.samples.max(1);
    // Nothing here is to fail fast.
    let patient = TieredOptions::default().wait(Duration::from_secs(10));

    let tier = TieredStore::with(postgres.clone(), patient);
    let mut times = Vec::with_capacity(samples);
    for n in 0..samples {
        let originals: Vec<Original> = (0..3).map(|m| original(lines, n * 3 + m)).collect();
        let handles: Vec<Handle> = originals.iter().map(|it| it.handle).collect();
        let start = Instant::now();
        let missing = tier.touch_many(scope, &handles).await?;
        if !missing.is_empty() {
            OriginalStore::put_with(&tier, scope, originals, Durability::BestEffort).await?;
        }
        times.push(start.elapsed());
        // A request is more than its put.
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    figures.put = p50(&mut times);
    tier.flush().await;

    times.clear();
    for n in 0..samples {
        let value = Bytes::copy_from_slice(&text(lines, n).as_bytes()[..SIZE / 2]);
        let start = Instant::now();
        LedgerStore::put_many(&tier, scope, vec![Record::new(key(n), value)]).await?;
        times.push(start.elapsed());
    }
    figures.required = p50(&mut times);

    times.clear();
    for n in 0..samples {
        let keys: Vec<LedgerKey> =
            (0..20).map(|m| key(if m < 5 { n + m } else { n + m + samples })).collect();
        let start = Instant::now();
        tier.get_many(scope, &keys).await?;
        times.push(start.elapsed());
    }
    figures.ledger = p50(&mut times);

    let cold = TieredStore::with(postgres.clone(), patient);
    times.clear();
    for n in 0..samples {
        let handle = original(lines, n).handle;
        let start = Instant::now();
        let found = OriginalStore::get(&cold, scope, handle).await?;
        times.push(start.elapsed());
        if found.is_none() {
            return Err(StoreError::new("an original was lost"));
        }
    }
    figures.get = p50(&mut times);
    OriginalStore::delete_scope(&postgres, scope).await?;

    figures.puts = throughput(&postgres, patient, scope, lines, arguments.rows).await?;
    OriginalStore::delete_scope(&postgres, scope).await?;
    figures.swept = sweeping(arguments, options, scope).await?;
    OriginalStore::delete_scope(&postgres, scope).await?;
    Ok(figures)
}

/// Requests of several tenants, each with three originals, as fast as the queue takes them.
async fn throughput(
    postgres: &PostgresStore,
    options: TieredOptions,
    scope: Scope,
    lines: &str,
    rows: usize,
) -> Result<f64, StoreError> {
    let tier = TieredStore::with(postgres.clone(), options);
    // Making texts up is not what is measured.
    let batches: Vec<Vec<Original>> =
        (0..rows / 3).map(|n| (0..3).map(|m| original(lines, n * 3 + m)).collect()).collect();
    let put = batches.len() * 3;
    let start = Instant::now();
    for batch in batches {
        while OriginalStore::put_with(&tier, scope, batch.clone(), Durability::BestEffort).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    tier.flush().await;
    let took = start.elapsed();
    if tier.lost() > 0 {
        return Err(StoreError::new("originals were lost"));
    }
    Ok(put as f64 / took.as_secs_f64())
}

async fn sweeping(arguments: &Arguments, options: PostgresOptions, scope: Scope) -> Result<f64, StoreError> {
    let idle = Duration::from_secs(1);
    let postgres = PostgresStore::connect_with(&arguments.database, options.idle(idle)).await?;
    for from in (0..arguments.rows).step_by(5_000) {
        let small = |n: usize| {
            let text = format!("row {n}");
            Original::new(handle(&text), "text", text.into())
        };
        let originals = (from..(from + 5_000).min(arguments.rows)).map(small).collect();
        OriginalStore::put_with(&postgres, scope, originals, Durability::BestEffort).await?;
    }
    tokio::time::sleep(idle + Duration::from_millis(200)).await;
    let start = Instant::now();
    let swept = postgres.sweep().await?;
    Ok(swept.expired as f64 / start.elapsed().as_secs_f64())
}

fn p50(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64) * 1e6
}

fn handle(text: &str) -> Handle {
    Handle::new(&HandleKey::default(), "text", text)
}

fn key(n: usize) -> LedgerKey {
    LedgerKey::from_bytes(*blake3::hash(&n.to_le_bytes()).as_bytes())
}

fn original(lines: &str, n: usize) -> Original {
    let text = text(lines, n);
    Original::new(handle(&text), "text", text.into())
}

/// Text number `n`: lines of the file from somewhere on, or a log.
fn text(lines: &str, n: usize) -> String {
    let mut out = format!("original {n}\n");
    let mut given = lines.lines().cycle().skip(if lines.is_empty() { 0 } else { n * 37 % 10_000 });
    let mut seed = n as u64;
    while out.len() < SIZE {
        if let Some(line) = given.next() {
            out.push_str(line);
            out.push('\n');
            continue;
        }
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (at, token) = (out.len(), seed >> 40);
        out.push_str(&format!(
            "2026-11-22T10:{:02}:{:02} INFO worker {}: batch {token:08x} done in {} ms\n",
            at / 60 % 60,
            at % 60,
            seed >> 60,
            token % 977
        ));
    }
    out
}
