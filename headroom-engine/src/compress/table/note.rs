//! A few words on the rows that a marker hides.

use std::ops::Range;

use super::sheet::Sheet;

/// More values than these are no summary.
const MAX_VALUES: usize = 2;
/// Longer values cost more than they say.
const MAX_BYTES: usize = 10;

/// How often the values of a column with few of them occur: `ok 38, idle 4`.
pub(super) fn note(sheet: &Sheet<'_>, rows: Range<usize>) -> String {
    for column in 0..sheet.slots.len() {
        let mut counts: Vec<(&str, usize)> = Vec::new();
        for row in rows.clone() {
            let Some(cell) = sheet.cell(row, column) else { continue };
            match counts.iter_mut().find(|(known, _)| *known == cell) {
                Some((_, count)) => *count += 1,
                None => counts.push((cell, 1)),
            }
            if counts.len() > MAX_VALUES {
                break;
            }
        }
        let short = |(cell, _): &(&str, usize)| !cell.is_empty() && cell.len() <= MAX_BYTES;
        if counts.len() == MAX_VALUES && counts.iter().all(short) {
            counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            let words: Vec<String> = counts.iter().map(|(cell, count)| format!("{cell} {count}")).collect();
            return words.join(", ");
        }
    }
    String::new()
}
