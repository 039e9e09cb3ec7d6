//! Twice the input takes about twice the time.

use std::time::Instant;

use super::Target;

/// How the time of a target grew.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    /// Bytes of the smaller input.
    pub bytes: usize,
    /// How many times as long twice of it took.
    pub ratio: f64,
}

/// Bytes of the smaller input.
const SMALL: usize = 48 << 10;
/// Less than this is noise.
const SECONDS: f64 = 0.001;
/// What a busy machine may make of two.
const MOST: f64 = 2.5;

/// Measures a target over `seed`, grown; `Some` if its time more than doubles, again and again.
#[must_use]
pub fn growth(target: &Target, seed: &[u8]) -> Option<Growth> {
    if seed.is_empty() {
        return None;
    }
    let small = (target.more)(seed, SMALL.div_ceil(seed.len()));
    let large = (target.more)(seed, 2 * SMALL.div_ceil(seed.len()));
    let by = large.len() as f64 / small.len().max(1) as f64;
    let mut least: Option<f64> = None;
    for _ in 0..6 {
        let (one, two) = (timed(target, &small), timed(target, &large));
        if two < SECONDS {
            return None;
        }
        // Of an input that did not quite double, less is expected.
        let ratio = two / one.max(f64::MIN_POSITIVE) * 2.0 / by;
        let ratio = least.map_or(ratio, |least| least.min(ratio));
        if ratio <= MOST {
            return None;
        }
        least = Some(ratio);
    }
    least.map(|ratio| Growth { bytes: small.len(), ratio })
}

/// The shorter of two runs.
fn timed(target: &Target, data: &[u8]) -> f64 {
    let run = || {
        let clock = Clock::start();
        target.run(data);
        clock.seconds()
    };
    run().min(run())
}

/// The time that this thread was running, where the system tells it.
struct Clock(Option<u64>, Instant);

impl Clock {
    fn start() -> Self {
        Self(on_cpu(), Instant::now())
    }

    fn seconds(&self) -> f64 {
        match (self.0, on_cpu()) {
            (Some(before), Some(after)) => after.saturating_sub(before) as f64 / 1e9,
            _ => self.1.elapsed().as_secs_f64(),
        }
    }
}

/// Nanoseconds on a processor (Linux).
fn on_cpu() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split(' ').next()?.parse().ok()
}

/// `data`, `times` over.
pub(super) fn repeated(data: &[u8], times: usize) -> Vec<u8> {
    data.repeat(times)
}
