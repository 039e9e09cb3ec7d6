//! What stands out in a column of numbers.

/// Which of `values` stand out: beyond two standard deviations of the mean, or beyond five median
/// absolute deviations of the median (Leys et al., "Detecting outliers", 2013), which opposite
/// spikes cannot mask. The robust rule adds at most one value in a hundred (but three), the farthest.
///
/// ```
/// use headroom_engine::rank::outliers;
/// let mut values = vec![10.0; 40];
/// values[7] = 99.0;
/// assert_eq!(outliers(&values).iter().position(|out| *out), Some(7));
/// ```
#[must_use]
pub fn outliers(values: &[f64]) -> Vec<bool> {
    let mut out = vec![false; values.len()];
    let total = values.len() as f64;
    if values.len() < 5 {
        return out;
    }
    let mean = values.iter().sum::<f64>() / total;
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / total).sqrt();
    for (out, value) in out.iter_mut().zip(values) {
        *out = deviation > 0.0 && (value - mean).abs() > 2.0 * deviation;
    }
    let mut sorted = values.to_vec();
    let median = median(&mut sorted);
    let mut distances: Vec<f64> = values.iter().map(|value| (value - median).abs()).collect();
    let mad = self::median(&mut distances);
    if mad > 0.0 && is_unordered(values) {
        let mut far: Vec<usize> =
            (0..values.len()).filter(|at| !out[*at] && (values[*at] - median).abs() > 5.0 * mad).collect();
        far.sort_by(|a, b| {
            (values[*b] - median).abs().total_cmp(&(values[*a] - median).abs()).then(a.cmp(b))
        });
        for at in far.into_iter().take((values.len() / 100).max(3)) {
            out[at] = true;
        }
    }
    out
}

/// Ids, counters and times rise or fall all along; being far from the middle is their nature.
fn is_unordered(values: &[f64]) -> bool {
    !(values.is_sorted_by(|a, b| a < b) || values.is_sorted_by(|a, b| a > b))
}

fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    match values.get(middle) {
        Some(_) => *values.select_nth_unstable_by(middle, f64::total_cmp).1,
        None => 0.0,
    }
}

/// Where the mean of `values` changes: the first index of each new level, at most `limit`.
///
/// Binary segmentation by least squares with a penalty of `3 ln n` a change (the Bayesian
/// information criterion for a mean and a position; Killick et al., 2012). O(n) a change.
///
/// ```
/// use headroom_engine::rank::change_points;
/// let values: Vec<f64> = (0..60).map(|at| if at < 20 { 10.0 } else { 50.0 } + f64::from(at % 3)).collect();
/// assert_eq!(change_points(&values, 4), [20]);
/// ```
#[must_use]
pub fn change_points(values: &[f64], limit: usize) -> Vec<usize> {
    let mut sums = Vec::with_capacity(values.len() + 1);
    let (mut sum, mut squares) = (0.0, 0.0);
    sums.push((sum, squares));
    for value in values {
        sum += value;
        squares += value * value;
        sums.push((sum, squares));
    }
    let error = |from: usize, to: usize| {
        let (sum, squares) = (sums[to].0 - sums[from].0, sums[to].1 - sums[from].1);
        (squares - sum * sum / (to - from) as f64).max(0.0)
    };
    let scale = error(0, values.len().max(1).min(sums.len() - 1)).max(f64::MIN_POSITIVE) * 1e-9;
    let penalty = 3.0 * (values.len().max(2) as f64).ln();
    let split = |from: usize, to: usize| -> Option<usize> {
        if to - from < 10 {
            return None;
        }
        let whole = error(from, to) + scale;
        let length = (to - from) as f64;
        let (at, best) = (from + 4..=to - 4)
            .map(|at| (at, error(from, at) + error(at, to) + scale))
            .min_by(|a, b| a.1.total_cmp(&b.1))?;
        (length * (whole / best).ln() > penalty).then_some(at)
    };
    let mut found = Vec::new();
    let mut parts = std::collections::VecDeque::from([(0, values.len())]);
    while let Some((from, to)) = parts.pop_front() {
        if found.len() == limit {
            break;
        }
        if let Some(at) = split(from, to) {
            found.push(at);
            parts.extend([(from, at), (at, to)]);
        }
    }
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn opposite_spikes_do_not_mask_each_other() {
        let mut values: Vec<f64> = (0..100).map(|at| f64::from(at % 7)).collect();
        (values[20], values[60]) = (1e9, -1e9);
        values[40] = 60.0;
        let found: Vec<usize> = (0..100).filter(|at| outliers(&values)[*at]).collect();
        assert_eq!(found, [20, 40, 60]);
    }

    #[test]
    fn steps_are_found_and_noise_is_not() {
        let step: Vec<f64> = (0..100).map(|at| if at < 50 { 10.0 } else { 20.0 }).collect();
        assert_eq!(change_points(&step, 5), [50]);
        let noise: Vec<f64> =
            (0..200).map(|at: u32| f64::from(at.wrapping_mul(2_654_435_761) >> 20)).collect();
        assert!(change_points(&noise, 5).len() <= 1);
        assert!(change_points(&[], 5).is_empty() && change_points(&[1.0], 5).is_empty());
    }

    proptest! {
        #[test]
        fn every_value_beyond_two_sigma_is_out(values in proptest::collection::vec(-1e6f64..1e6, 5..80)) {
            let total = values.len() as f64;
            let mean = values.iter().sum::<f64>() / total;
            let sigma = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / total).sqrt();
            for (value, out) in values.iter().zip(outliers(&values)) {
                prop_assert!(out || (value - mean).abs() <= 2.0 * sigma);
            }
        }
    }
}
