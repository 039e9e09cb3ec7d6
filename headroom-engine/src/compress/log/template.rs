//! Lines that say the same with other numbers: slots, templates and how often they occur.
//!
//! A *slot* is a run of letters and digits that holds a digit, joined to the next of that kind by
//! one of `.:,/-_`: `18:03:52,298`, `10.0.0.7:50010`, `0x7f92`, `1.2.3`. Everything else is
//! literal. Timestamps, addresses, ids and counters are slots; words are not.

use std::ops::Range;

use super::{super::hash::ByHash, line::slot};

/// The slots of `line`, in order.
pub(super) fn slots(line: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let bytes = line.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let byte = bytes[at];
            if byte.is_ascii_alphanumeric() || byte >= 0x80 {
                let start = at;
                let (end, digit) = slot(bytes, at);
                at = end;
                if digit {
                    return Some(start..end);
                }
            } else {
                at += 1;
            }
        }
        None
    })
}

/// Occurrences of a hash: how many, the first and the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count {
    pub(super) count: u32,
    pub(super) first: u32,
    pub(super) last: u32,
}

/// Counts the hashes of lines, given in order with their indices.
pub(super) fn count(hashes: impl Iterator<Item = (usize, u64)>) -> ByHash<Count> {
    let mut counts: ByHash<Count> = ByHash::default();
    for (at, hash) in hashes {
        let at = at as u32;
        let entry = counts.entry(hash).or_insert(Count { count: 0, first: at, last: at });
        entry.count += 1;
        entry.last = at;
    }
    counts
}
