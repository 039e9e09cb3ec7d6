//! `headroom compress`.

use std::process::ExitCode;

/// What `headroom compress` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(Args {}: Args) -> ExitCode {
    ExitCode::FAILURE
}
