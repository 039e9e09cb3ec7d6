//! Twice the input takes about twice the time.

use super::Target;
use crate::clock::spent;

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
    for _ in 0..8 {
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

/// The shortest of some runs, in seconds of the processor's time: what a busy machine adds is least
/// there.
fn timed(target: &Target, data: &[u8]) -> f64 {
    let run = |_| {
        let begin = spent();
        target.run(data);
        spent().saturating_sub(begin).as_secs_f64()
    };
    (0..3).map(run).fold(f64::INFINITY, f64::min)
}

/// `data`, `times` over.
pub(super) fn repeated(data: &[u8], times: usize) -> Vec<u8> {
    data.repeat(times)
}
