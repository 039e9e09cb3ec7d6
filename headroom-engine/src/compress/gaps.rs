//! Runs of lines that are not kept, where a marker is cheaper than they are.

use std::ops::Range;

/// The runs of lines that `keep` leaves out and that cost more than `least` in all, and what they
/// cost together. Cheaper runs are kept after all.
pub(super) fn gaps(keep: &mut [bool], costs: &[usize], least: usize) -> (Vec<Range<usize>>, usize) {
    let (mut gaps, mut hidden, mut at) = (Vec::new(), 0, 0);
    while at < keep.len() {
        if keep[at] {
            at += 1;
            continue;
        }
        let end = keep[at..].iter().position(|keep| *keep).map_or(keep.len(), |length| at + length);
        let cost: usize = costs[at..end].iter().sum();
        if cost > least {
            hidden += cost;
            gaps.push(at..end);
        } else {
            keep[at..end].fill(true);
        }
        at = end;
    }
    (gaps, hidden)
}

#[cfg(test)]
mod tests {
    use super::gaps;

    #[test]
    fn cheap_runs_are_kept() {
        let mut keep = [true, false, false, true, false, true, false];
        let (found, hidden) = gaps(&mut keep, &[9, 3, 4, 9, 5, 9, 6], 5);
        assert_eq!((found, hidden), (vec![1..3, 6..7], 13));
        assert_eq!(keep, [true, false, false, true, true, true, false]);
        assert_eq!(gaps(&mut [], &[], 0), (Vec::new(), 0));
    }
}
