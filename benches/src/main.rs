//! `headroom-bench`: what Headroom saves, what it costs, and whether anything is lost.
//!
//! ```text
//! cargo run --release -q -p headroom-bench -- quality --corpus DIR [--probes FILE]
//! cargo run --release -q -p headroom-bench -- sessions --wire DIR --dialect anthropic|openai [--exact]
//! cargo run --release -q -p headroom-bench -- curve --wire DIR --dialect anthropic|openai [--svg FILE]
//! cargo run --release -q -p headroom-bench -- simulate --wire DIR
//! cargo run --release -q -p headroom-bench -- overhead [--wire DIR]
//! cargo run --release -q -p headroom-bench -- aligned --wire DIR --dialect anthropic|openai|responses|gemini|converse [--every]
//! cargo run --release -q -p headroom-bench -- bodies --wire DIR --dialect anthropic|openai [--exact]
//! cargo run --release -q -p headroom-bench -- hard --inputs FILE
//! cargo run --release -q -p headroom-bench -- route --corpus DIR
//! cargo run --release -q -p headroom-bench -- train --corpus DIR --out headroom-engine/src/route/weights.bin
//! cargo run --release -q -p headroom-bench -- stores --database URL
//! cargo run --release -q -p headroom-bench -- proxy [--samples N]
//! cargo run --release -q -p headroom-bench -- soak [--streams N] [--minutes M]
//! cargo run --release -q -p headroom-bench -- peer --corpus DIR --wire DIR --python PATH
//! ```
//!
//! Each prints a table and, with `--json`, one JSON object as its last line. Shares are fractions
//! weighted by tokens (`o200k`, counted on JSON-decoded text).
#![forbid(unsafe_code)]

mod aligned;
mod bodies;
mod cache;
mod chart;
mod corpus;
mod generate;
mod hard;
mod laws;
mod oracle;
mod overhead;
mod peer;
mod proxy;
mod python;
mod quality;
mod route;
mod samples;
mod served;
mod sessions;
mod simulate;
mod soak;
mod specialists;
mod stores;
mod table;
mod train;
mod transport;
mod treat;
mod visible;
mod wire;
mod words;

use std::{io, process::ExitCode};

use clap::Parser;

/// Measures Headroom.
#[derive(Debug, Parser)]
#[command(name = "headroom-bench")]
enum Command {
    /// What becomes of every file of a corpus as one tool result
    Quality(quality::Arguments),
    /// Recorded sessions, turn by turn: laws, tokens and cache-priced cost
    Sessions(sessions::Arguments),
    /// Cost against what stays visible, over the policy's range
    Curve(sessions::curve::Arguments),
    /// Recorded sessions against a provider that binds thinking to what came before it
    Simulate(simulate::Arguments),
    /// What the layer adds to a request, with and without sockets
    Overhead(overhead::Arguments),
    /// What of the prompts is cached where the system prompt holds a time or an id
    Aligned(aligned::Arguments),
    /// The last request of each recorded body
    Bodies(bodies::Arguments),
    /// Small inputs on which compressors fail, case by case
    Hard(hard::Arguments),
    /// What the router sees in texts of known kinds, with and without its classifier
    Route(route::Arguments),
    /// Makes the weights of the router's classifier
    Train(train::Arguments),
    /// What keeping originals in Postgres costs a request, and what a database takes
    Stores(stores::Arguments),
    /// What the proxy adds to a request, how soon it answers and what it takes
    Proxy(proxy::Arguments),
    /// A proxy that does nothing: the yardstick
    #[command(hide = true)]
    Pass(served::pass::Arguments),
    /// Many streams at once through the proxy, for long
    Soak(soak::Arguments),
    /// The same requests through the Python package headroom-ai, side by side
    Peer(peer::Arguments),
}

fn main() -> ExitCode {
    let mut out = io::stdout().lock();
    let done = match Command::parse() {
        Command::Quality(arguments) => quality::run(&arguments, &mut out),
        Command::Curve(arguments) => sessions::curve::run(&arguments, &mut out),
        Command::Simulate(arguments) => simulate::run(&arguments, &mut out),
        Command::Overhead(arguments) => overhead::run(&arguments, &mut out),
        Command::Aligned(arguments) => aligned::run(&arguments, &mut out),
        Command::Bodies(arguments) => bodies::run(&arguments, &mut out),
        Command::Hard(arguments) => hard::run(&arguments, &mut out),
        Command::Route(arguments) => route::run(&arguments, &mut out),
        Command::Train(arguments) => train::run(&arguments, &mut out),
        Command::Proxy(arguments) => proxy::run(&arguments, &mut out),
        Command::Pass(arguments) => served::pass::run(&arguments),
        Command::Soak(arguments) => soak::run(&arguments, &mut out),
        Command::Peer(arguments) => peer::run(&arguments, &mut out),
        Command::Stores(arguments) => stores::run(&arguments, &mut out),
        Command::Sessions(arguments) => sessions::run(&arguments, &mut out),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // A reader that closed the pipe has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = io::Write::write_all(&mut io::stderr(), format!("headroom-bench: {error}\n").as_bytes());
            ExitCode::FAILURE
        }
    }
}
