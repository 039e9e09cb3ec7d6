//! Runs the fuzz targets: `HEADROOM_FUZZ_SECONDS=60 cargo test -p headroom-tests --test fuzz -- [TARGET…]`.
//!
//! Each target gets that many seconds of mutations behind its corpus; as many run at once as there are
//! processors. The seed is fixed but for the time given, so that what fails once fails again; an input
//! that fails is written beside the build's files.
#![allow(clippy::print_stdout, clippy::expect_used, reason = "a program of the tests")]
#![allow(clippy::disallowed_methods, reason = "the one knob, which cargo's own arguments do not reach")]

mod memory;

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use headroom_tests::fuzz::{Mutator, TARGETS, Target, growth};

/// Seconds of a target's mutations.
const KNOB: &str = "HEADROOM_FUZZ_SECONDS";
/// What they are unless the environment says.
const SECONDS: f64 = 3.0;

fn main() -> ExitCode {
    // What cargo and other harnesses pass beside, `--nocapture`, is none of ours.
    let names: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let seconds = env::var(KNOB).map_or(Ok(SECONDS), |word| word.parse());
    let Ok(each) = seconds.map(Duration::from_secs_f64) else {
        println!("fuzz: {KNOB} is no number");
        return ExitCode::FAILURE;
    };
    let chosen =
        |target: &&Target| names.is_empty() || names.iter().any(|name| target.name().contains(&**name));
    let targets: Vec<&Target> = TARGETS.iter().filter(chosen).collect();
    // Before anything else allocates.
    let heavy = if names.is_empty() { memory::problems() } else { Vec::new() };
    heavy.iter().for_each(|problem| println!("fuzz memory: {problem}"));

    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
            if !holds(target, each) {
                failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner();
    println!("fuzz: {} targets, {failed} failed", targets.len());
    if failed == 0 && heavy.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs one target's corpus, and then mutations of it for `time`.
fn holds(target: &Target, time: Duration) -> bool {
    let begin = Instant::now();
    let corpus = target.corpus();
    for seed in &corpus {
        if !passes(target, seed) || !grows(target, seed) {
            return false;
        }
    }
    let seeds = begin.elapsed();
    let mut mutator = Mutator::new(20_261_122);
    let mut runs = 0u64;
    let (begin, mut growing) = (Instant::now(), Duration::ZERO);
    while begin.elapsed() < time {
        let input = mutator.input(&corpus, target.most());
        runs += 1;
        if !passes(target, &input) {
            return false;
        }
        // Growing an input costs as much as thousands of runs: a tenth of the time at most.
        if growing * 10 < begin.elapsed() && runs.is_multiple_of(100) {
            let start = Instant::now();
            if !grows(target, &input) {
                return false;
            }
            growing += start.elapsed();
        }
    }
    println!("fuzz {:16} {runs:8} runs, seeds {:.1} s", target.name(), seeds.as_secs_f64());
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
