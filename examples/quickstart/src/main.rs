//! `cargo run --release -p quickstart`.
#![forbid(unsafe_code)]

use std::error::Error;

use clap::Parser as _;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    quickstart::run(quickstart::Args::parse())
}
