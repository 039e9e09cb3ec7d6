//! `headroom mcp`.

use std::process::ExitCode;

/// What `headroom mcp` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(Args {}: Args) -> ExitCode {
    ExitCode::FAILURE
}
