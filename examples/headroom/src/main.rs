//! `headroom`: the layer as a proxy, as an MCP server and as a command.

mod compress;
mod config;
mod mcp;
mod proxy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Stands between clients and LLM providers.
    Proxy(Box<proxy::Args>),
    /// Offers compression and retrieval to MCP clients.
    Mcp(mcp::Args),
    /// Compresses a request from a file or stdin.
    Compress(compress::Args),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Proxy(args) => proxy::run(*args),
        Command::Mcp(args) => mcp::run(args),
        Command::Compress(args) => compress::run(args),
    }
}
