//! Times, counted in buckets of growing width.

use std::time::Duration;

use serde::Serialize;

/// Ten buckets a decade from 10 µs to 1,000 s: a percentile is at most 26 % above the truth.
const DECADE: usize = 10;
const BUCKETS: usize = 8 * DECADE + 1;
const FIRST: f64 = 1e-5;

/// How often which time was taken.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Box<[u64; BUCKETS]>,
    count: u64,
    sum: f64,
    max: f64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: Box::new([0; BUCKETS]), count: 0, sum: 0.0, max: 0.0 }
    }
}

/// The upper bound of bucket `at`, in seconds.
fn bound(at: usize) -> f64 {
    FIRST * 10f64.powf(at as f64 / DECADE as f64)
}

impl Histogram {
    pub(crate) fn add(&mut self, time: Duration) {
        let seconds = time.as_secs_f64();
        let at = (0..BUCKETS).find(|at| seconds <= bound(*at)).unwrap_or(BUCKETS - 1);
        self.counts[at] += 1;
        self.count += 1;
        self.sum += seconds;
        self.max = self.max.max(seconds);
    }

    /// The time that `share` of all did not exceed, in seconds; zero if there is none.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let wanted = (share * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (at, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return bound(at).min(self.max);
            }
        }
        self.max
    }

    /// Bounds in seconds, and how many times were not longer: two a decade.
    pub(crate) fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let mut seen = 0;
        self.counts.iter().enumerate().filter_map(move |(at, count)| {
            seen += count;
            (at % (DECADE / 2) == 0).then(|| (bound(at), seen))
        })
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn sum(&self) -> f64 {
        self.sum
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        let ms = |seconds: f64| (seconds * 1e6).round() / 1e3;
        Percentiles {
            count: self.count,
            mean: ms(self.sum / self.count.max(1) as f64),
            p50: ms(self.percentile(0.50)),
            p90: ms(self.percentile(0.90)),
            p99: ms(self.percentile(0.99)),
            max: ms(self.max),
        }
    }
}

/// A histogram in a few numbers, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Percentiles {
    count: u64,
    mean: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    max: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_near_the_truth() {
        let mut histogram = Histogram::default();
        for ms in 1..=1000u64 {
            histogram.add(Duration::from_millis(ms));
        }
        for (share, truth) in [(0.5, 0.5), (0.9, 0.9), (0.99, 0.99)] {
            let found = histogram.percentile(share);
            assert!(found >= truth * 0.999 && found <= truth * 1.27, "{share}: {found}");
        }
        assert!((histogram.percentile(1.0) - 1.0).abs() < 1e-9);
        assert!((histogram.sum() - 500.5).abs() < 1e-6 && histogram.count() == 1000);
        let last = histogram.cumulative().last().unwrap();
        assert_eq!(last.1, 1000);
        assert_eq!(histogram.cumulative().count(), 17);
    }

    #[test]
    fn nothing_and_the_extremes_count() {
        assert_eq!(Histogram::default().percentile(0.5), 0.0);
        let mut histogram = Histogram::default();
        histogram.add(Duration::ZERO);
        histogram.add(Duration::from_secs(1 << 20));
        assert_eq!(histogram.count(), 2);
        assert!(histogram.percentile(0.0) <= FIRST);
    }
}
