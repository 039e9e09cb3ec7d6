//! What became of a text: visible, redeemable or lost; and whether an output accounts for every byte
//! of its source.

use std::ops::Range;

use headroom_engine::reduce::{Codec, Equality, Piece, same_tokens};
use memchr::memmem;

/// What became of a string, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// The model reads it, with no decoder and no call.
    Visible,
    /// It lies in an elided range whose handle redeems.
    Redeemable,
    Lost,
}

/// What became of `string`, which stands in `source`, when the model reads `output` and the ranges
/// `redeemable` of the source can be had back.
pub(crate) fn fate(string: &str, source: &str, output: &str, redeemable: &[Range<usize>]) -> Fate {
    let string = string.trim();
    if memmem::find(output.as_bytes(), string.as_bytes()).is_some() {
        return Fate::Visible;
    }
    let inside = |at: usize| redeemable.iter().any(|r| r.start <= at && at + string.len() <= r.end);
    let redeems = memmem::find_iter(source.as_bytes(), string.as_bytes()).any(inside);
    if redeems { Fate::Redeemable } else { Fate::Lost }
}

/// Ranges that touch, as one.
pub(crate) fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut out: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match out.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => out.push(range),
        }
    }
    out
}

/// Whether an output accounts for its source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Audit {
    /// The output cannot be read back to the source.
    pub(crate) undecodable: bool,
    /// Bytes of the source that are neither in the decoded output nor in an elided range.
    pub(crate) unmarked: usize,
}

/// A part of a source, the part of the output that stands for it, and what reads it back.
#[derive(Clone, Debug)]
pub(crate) struct Section<'a> {
    pub(crate) source: Range<usize>,
    pub(crate) output: Range<usize>,
    pub(crate) codec: &'a dyn Codec,
}

/// Reads `output` back, puts the elided ranges (in source order) where the markers stand, and
/// compares the whole with `source`.
///
/// Unlike the gate this trusts no operation: it knows the two texts and the reported ranges only.
pub(crate) fn audit(source: &str, output: &str, hidden: &[Range<usize>], sections: &[Section<'_>]) -> Audit {
    let mut next = hidden.iter();
    let (mut from, mut read) = (0, 0);
    let mut good = true;
    for section in sections {
        let (Some(original), Some(text)) =
            (source.get(section.source.clone()), output.get(section.output.clone()))
        else {
            good = false;
            break;
        };
        good &= from == section.source.start && read == section.output.start;
        (from, read) = (section.source.end, section.output.end);
        let mut whole = String::with_capacity(original.len());
        let decoded = section.codec.decode(text, &mut |piece| match piece {
            Piece::Text(text) => whole.push_str(&text),
            Piece::Hidden(_) => match next.next().and_then(|range| source.get(range.clone())) {
                Some(text) => whole.push_str(text),
                None => good = false,
            },
        });
        good &= decoded.is_ok();
        good &= match section.codec.equality() {
            Equality::Bytes => whole == original,
            Equality::JsonTokens => same_tokens(original, &whole),
        };
    }
    if good && from == source.len() && read == output.len() && next.next().is_none() {
        return Audit::default();
    }
    Audit { undecodable: true, unmarked: source.len() - covered(hidden) }
}

fn covered(ranges: &[Range<usize>]) -> usize {
    merged(ranges.to_vec()).iter().map(Range::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use headroom_engine::reduce::Verbatim;

    const SOURCE: &str = "one\ntwo\nthree\nfour\n";

    #[test]
    fn a_string_is_visible_redeemable_or_lost() {
        let output = "one\n[~lines 2-3 #000000000000000000000000000000]\nfour\n";
        let hidden = std::slice::from_ref(&(4..14));
        assert_eq!(fate(" four\n", SOURCE, output, hidden), Fate::Visible, "trimmed at its ends");
        assert_eq!(fate("two\nthree", SOURCE, output, hidden), Fate::Redeemable);
        assert_eq!(fate("three\nfour", SOURCE, output, hidden), Fate::Lost, "half of it is hidden");
        assert_eq!(fate("two", SOURCE, output, &[]), Fate::Lost, "its handle does not redeem");
        assert!(Fate::Visible < Fate::Redeemable && Fate::Redeemable < Fate::Lost);
    }

    #[test]
    fn touching_ranges_are_one() {
        assert_eq!(merged(vec![8..14, 4..8, 20..21]), [4..14, 20..21]);
        let output = "one\n[~lines 2 #000000000000000000000000000000]\n[~lines 3]\nfour\n";
        assert_eq!(fate("two\nthree", SOURCE, output, &merged(vec![4..8, 8..14])), Fate::Redeemable);
    }

    fn audit(source: &str, output: &str, hidden: &[Range<usize>]) -> Audit {
        let all = Section { source: 0..source.len(), output: 0..output.len(), codec: &Verbatim };
        super::audit(source, output, hidden, &[all])
    }

    #[test]
    fn an_output_must_account_for_every_byte() {
        let output = "one\n[~lines 2-3 #000000000000000000000000000000]\nfour\n";
        assert_eq!(audit(SOURCE, output, &vec![4..14; 1]), Audit::default());
        let silent = audit(SOURCE, "one\nfour\n", &[]);
        assert_eq!(silent, Audit { undecodable: true, unmarked: SOURCE.len() });
        assert!(audit(SOURCE, output, &vec![4..13; 1]).undecodable, "a byte is missing");
        assert!(audit(SOURCE, output, &[4..8, 8..14]).undecodable, "a range has no marker");
        assert!(audit(SOURCE, "one\n[~lines 2-3", &vec![4..14; 1]).undecodable);
        assert!(super::audit(SOURCE, SOURCE, &[], &[]).undecodable, "nothing accounts for it");
    }
}
