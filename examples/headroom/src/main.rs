//! `headroom`: the layer as a proxy, as an MCP server and as a command.
#![allow(rustdoc::bare_urls, rustdoc::invalid_html_tags, reason = "help texts are for terminals")]

mod compress;
mod config;
mod dashboard;
mod exit;
mod manual;
mod mcp;
mod proxy;
mod redeem;
mod retrieve;
mod text;
mod why;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(version, about, after_help = exit::TABLE)]
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
    /// Compresses a request, messages or a text.
    Compress(compress::Args),
    /// Prints the original behind a handle.
    Retrieve(retrieve::Args),
    /// Shows what is saved, without a key and without a network.
    Demo(quickstart::Args),
    /// Prints a shell's completions.
    Completions(manual::Args),
    /// Prints the man page.
    Man,
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Proxy(args) => proxy::run(*args),
        Command::Mcp(args) => mcp::run(args),
        Command::Compress(args) => compress::run(args),
        Command::Retrieve(args) => retrieve::run(&args),
        Command::Demo(args) => exit::of(quickstart::run(args)),
        Command::Completions(args) => manual::completions(&args),
        Command::Man => manual::man(),
    }
}
