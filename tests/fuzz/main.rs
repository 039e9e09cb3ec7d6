//! Runs the fuzz targets: `cargo test -p headroom-tests --test fuzz -- [SECONDS] [TARGET…]`.
//!
//! Without an argument all of them share a minute. The seed is fixed but for the time given, so that
//! what fails once fails again; an input that fails is written beside the build's files.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program of the tests")]

mod memory;

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use headroom_tests::fuzz::{Mutator, TARGETS, Target, growth};

/// For all targets together, unless said otherwise.
const SECONDS: f64 = 60.0;
/// Bytes of an input.
const MOST: usize = 16 << 10;

fn main() -> ExitCode {
    // What cargo and other harnesses pass beside, `--nocapture`, is none of ours.
    let words: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let (numbers, names): (Vec<&String>, Vec<&String>) =
        words.iter().partition(|word| word.parse::<f64>().is_ok());
    let seconds = numbers.first().and_then(|word| word.parse().ok()).unwrap_or(SECONDS);
    let chosen =
        |target: &&Target| names.is_empty() || names.iter().any(|name| target.name().contains(&***name));
    let targets: Vec<&Target> = TARGETS.iter().filter(chosen).collect();
    let each = Duration::from_secs_f64(seconds / targets.len().max(1) as f64);
    let heavy = if names.is_empty() { memory::problems() } else { Vec::new() };
    heavy.iter().for_each(|problem| println!("fuzz memory: {problem}"));
    let failed = targets.iter().filter(|target| !holds(target, each)).count();
    println!("fuzz: {} targets, {failed} failed", targets.len());
    if failed == 0 && heavy.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one target for `time`.
fn holds(target: &Target, time: Duration) -> bool {
    let begin = Instant::now();
    let corpus = target.corpus();
    let mut mutator = Mutator::new(20_261_122);
    let mut runs = 0u64;
    for seed in &corpus {
        if !passes(target, seed) || !grows(target, seed) {
            return false;
        }
    }
    while begin.elapsed() < time {
        let input = mutator.input(&corpus, MOST);
        runs += 1;
        if !passes(target, &input) || (runs.is_multiple_of(1000) && !grows(target, &input)) {
            return false;
        }
    }
    println!("fuzz {:16} {runs:8} runs", target.name());
    true
}

fn passes(target: &Target, input: &[u8]) -> bool {
    let ran = catch_unwind(AssertUnwindSafe(|| target.run(input)));
    if ran.is_err() {
        tell(target, input, "it panicked");
    }
    ran.is_ok()
}

fn grows(target: &Target, input: &[u8]) -> bool {
    let found = catch_unwind(AssertUnwindSafe(|| growth(target, input)));
    match found {
        Ok(None) => true,
        Ok(Some(found)) => {
            tell(target, input, &format!("time grows by {:.2} from {} bytes on", found.ratio, found.bytes));
            false
        }
        Err(_) => {
            tell(target, input, "it panicked over the input, grown");
            false
        }
    }
}

fn tell(target: &Target, input: &[u8], why: &str) {
    let name = format!("fuzz-{}-{:016x}", target.name(), blake3_of(input));
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let written = std::fs::write(&path, input);
    println!("fuzz {}: {why}: {} {written:?}", target.name(), path.display());
}

fn blake3_of(input: &[u8]) -> u64 {
    let hash = blake3::hash(input);
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("eight bytes"))
}
