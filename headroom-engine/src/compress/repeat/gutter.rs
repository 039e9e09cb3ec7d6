//! Line numbers in front of lines, as file views print them.

use std::{fmt::Write, ops::Range};

/// What stands between a number and its line.
const SEPARATORS: [&str; 6] = ["\t", ":", "|", "│", "→", " "];

/// Fewer numbered lines in a row say nothing.
const ROW: usize = 3;

/// How a view prints line numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gutter {
    /// The least width, blanks before the number included.
    width: usize,
    separator: &'static str,
}

impl Gutter {
    /// The gutter of `line`: its style, its number, its length in bytes.
    pub(super) fn of(line: &str) -> Option<(Self, usize, usize)> {
        let blanks = line.bytes().take_while(|byte| *byte == b' ').count();
        let digits = line[blanks..].bytes().take_while(u8::is_ascii_digit).take(8).count();
        let number = line.get(blanks..blanks + digits)?;
        if number.is_empty() || number.starts_with('0') {
            return None;
        }
        let end = blanks + digits;
        let separator = *SEPARATORS.iter().find(|separator| line[end..].starts_with(**separator))?;
        // Without blanks the numbers may be wider than any that came before.
        let width = if blanks > 0 { end } else { 1 };
        Some((Self { width, separator }, number.parse().ok()?, end + separator.len()))
    }

    /// Writes the gutter of line `number`.
    pub(super) fn write(self, number: usize, out: &mut String) {
        // Writing to a string does not fail.
        let _ = write!(out, "{number:>width$}{}", self.separator, width = self.width);
    }

    fn len(self, number: usize) -> usize {
        let digits = number.checked_ilog10().unwrap_or(0) as usize + 1;
        digits.max(self.width) + self.separator.len()
    }
}

/// Lines in a row that are numbered in one style, by ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rows {
    /// Lines of the text, from 0.
    pub(super) lines: Range<usize>,
    /// The number of the first.
    pub(super) number: usize,
    pub(super) gutter: Gutter,
}

impl Rows {
    /// The number of `line`, one of these.
    pub(super) fn number_of(&self, line: usize) -> usize {
        self.number + (line - self.lines.start)
    }

    /// What `text`, line `line` of these, says without its number.
    pub(super) fn bare<'a>(&self, line: usize, text: &'a str) -> &'a str {
        text.get(self.gutter.len(self.number_of(line))..).unwrap_or_default()
    }
}

/// The numbered rows of a text whose lines are `lines`; none if they are less than half of it.
pub(super) fn rows<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Rows> {
    let mut all: Vec<Rows> = Vec::new();
    let mut count = 0;
    for (at, line) in lines.enumerate() {
        count = at + 1;
        let Some((gutter, number, length)) = Gutter::of(line) else { continue };
        if let Some(last) = all.last_mut().filter(|last| last.lines.end == at) {
            let same = gutter == last.gutter
                // Numbers outgrow their blanks.
                || (gutter.separator == last.gutter.separator && length == last.gutter.len(number));
            if same && number == last.number_of(at) {
                last.lines.end = at + 1;
                continue;
            }
            if last.lines.len() < ROW {
                all.pop();
            }
        }
        all.push(Rows { lines: at..at + 1, number, gutter });
    }
    all.retain(|rows| rows.lines.len() >= ROW);
    let numbered: usize = all.iter().map(|rows| rows.lines.len()).sum();
    if numbered * 2 < count {
        all.clear();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn views_are_numbered_and_lists_of_numbers_are_not() {
        let view = "[a.rs]\n     9\tnine\n    10\t\n    11\t  eleven\nend";
        let found = rows(view.split('\n'));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].lines.clone(), found[0].number), (1..4, 9));
        assert_eq!(found[0].bare(3, "    11\t  eleven"), "  eleven");
        for text in
            ["1 2 3\n5 6 7\n9 9 9", "1:a\n2:b", "a\nb\nc\nd\ne\nf\ng\n1:a\n2:b\n3:c", "01:a\n02:b\n03:c"]
        {
            assert!(rows(text.split('\n')).is_empty(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(width in 1usize..8, number in 1usize..100_000, at in 0usize..6) {
            let gutter = Gutter { width, separator: SEPARATORS[at] };
            let mut out = String::new();
            gutter.write(number, &mut out);
            prop_assert_eq!(out.len(), gutter.len(number));
            let (read, same, length) = Gutter::of(&out).unwrap();
            prop_assert_eq!((same, length), (number, out.len()));
            let mut again = String::new();
            read.write(number, &mut again);
            prop_assert_eq!(again, out);
        }

        #[test]
        fn any_numbered_view_is_found(first in 1usize..2000, count in 3usize..40, width in 1usize..8) {
            let gutter = Gutter { width, separator: ":" };
            let mut text = String::new();
            for number in first..first + count {
                gutter.write(number, &mut text);
                text.push_str("x\n");
            }
            let found = rows(text.split_terminator('\n'));
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!((found[0].lines.clone(), found[0].number), (0..count, first));
            for (at, line) in text.split_terminator('\n').enumerate() {
                prop_assert_eq!(found[0].bare(at, line), "x");
                let mut whole = String::new();
                found[0].gutter.write(found[0].number_of(at), &mut whole);
                prop_assert_eq!(whole + "x", line);
            }
        }
    }
}
