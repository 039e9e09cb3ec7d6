//! Lists of strings that differ in their numbers only: a pattern, and the numbers of each.

use std::ops::Range;

use super::tape::{Id, Kind, Tape};
use crate::{ccr::marker::INTRODUCER, reduce::DecodeError};

/// Stands in a pattern for a number.
const SLOT: char = '#';
/// Shorter lists stay as they are.
const LEAST: usize = 12;
/// More numbers than this in a string are no pattern.
const MAX_SLOTS: usize = 6;

/// A list of strings of one pattern.
#[derive(Clone, Debug)]
pub(super) struct List {
    /// With a `#` for each number that is not the same everywhere.
    pub(super) pattern: String,
    /// Which of the numbers of a string those are.
    varies: Vec<bool>,
}

impl List {
    /// The pattern of the array `id`, if all its items follow one that is worth it.
    pub(super) fn find(tape: &Tape<'_>, id: Id) -> Option<Self> {
        let mut items = tape.children(id);
        let string = |item: Id| (tape.kind(item) == Kind::String).then(|| tape.inner(item));
        let first = string(items.next()?)?;
        let slots: Vec<Range<usize>> = numbers(first).collect();
        let odd = first.starts_with('$') || first.contains([SLOT, '\\']) || first.contains(INTRODUCER);
        if odd || slots.is_empty() || slots.len() > MAX_SLOTS {
            return None;
        }
        let mut varies = vec![false; slots.len()];
        let mut count = 1;
        for item in items {
            let text = string(item)?;
            let mut theirs = numbers(text);
            let (mut at, mut their_at) = (0, 0);
            for (slot, varies) in slots.iter().zip(&mut varies) {
                let their = theirs.next()?;
                if first[at..slot.start] != text[their_at..their.start] {
                    return None;
                }
                *varies |= first[slot.clone()] != text[their.clone()];
                (at, their_at) = (slot.end, their.end);
            }
            if theirs.next().is_some() || first[at..] != text[their_at..] {
                return None;
            }
            count += 1;
        }
        let (mut pattern, mut at, mut holes) = (String::new(), 0, 0);
        for (slot, _) in slots.iter().zip(&varies).filter(|(_, varies)| **varies) {
            pattern.push_str(&first[at..slot.start]);
            pattern.push(SLOT);
            (at, holes) = (slot.end, holes + 1);
        }
        pattern.push_str(&first[at..]);
        // About four bytes are a token; each number but the last is followed by one.
        let pays = count >= LEAST && holes > 0 && pattern.len() >= 8 + 5 * holes;
        pays.then_some(Self { pattern, varies })
    }

    /// Writes the numbers of `item` that its pattern leaves open.
    pub(super) fn write(&self, item: &str, out: &mut String) {
        let open = numbers(item).zip(&self.varies).filter(|(_, varies)| **varies);
        for (at, (number, _)) in open.enumerate() {
            if at > 0 {
                out.push(',');
            }
            out.push_str(&item[number]);
        }
    }
}

/// Reads back the string that `row` gives the numbers of, with its quotes.
pub(super) fn read(pattern: &str, row: &str, out: &mut String) -> Result<(), DecodeError> {
    if pattern.contains(['"', '\\']) {
        return Err(DecodeError("no pattern"));
    }
    let mut numbers = row.split(',');
    out.push('"');
    for (at, literal) in pattern.split(SLOT).enumerate() {
        if at > 0 {
            let number = numbers.next().filter(|number| is_number(number));
            out.push_str(number.ok_or(DecodeError("no number"))?);
        }
        out.push_str(literal);
    }
    out.push('"');
    numbers.next().map_or(Ok(()), |_| Err(DecodeError("a number too many")))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Where the runs of digits of `text` stand.
fn numbers(text: &str) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let mut from = 0;
    std::iter::from_fn(move || {
        let start = from + bytes[from..].iter().position(u8::is_ascii_digit)?;
        let end = bytes[start..].iter().position(|byte| !byte.is_ascii_digit());
        from = end.map_or(bytes.len(), |length| start + length);
        Some(start..from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_the_same_everywhere_stay_in_the_pattern() {
        let items: Vec<String> =
            (5..30).map(|n| format!("\"/srv/app2/mod_{n}/handlers/f_{}.py\"", n * 7)).collect();
        let source = format!("[{}]", items.join(","));
        let tape = Tape::parse(&source).unwrap();
        let list = List::find(&tape, 0).unwrap();
        assert_eq!(list.pattern, "/srv/app2/mod_#/handlers/f_#.py");
        let mut row = String::new();
        list.write(tape.inner(1), &mut row);
        assert_eq!(row, "5,35");
        let mut back = String::new();
        read(&list.pattern, &row, &mut back).unwrap();
        assert_eq!(back, items[0]);
    }

    #[test]
    fn what_is_no_row_of_a_pattern_is_refused() {
        for (pattern, row) in [("a#b", ""), ("a#b", "x"), ("a#b", "1,2"), ("a#b#", "1"), ("a\"#", "1")] {
            assert!(read(pattern, row, &mut String::new()).is_err(), "{pattern} {row}");
        }
    }

    #[test]
    fn other_lists_stay() {
        for item in ["\"a#{n}/long/enough/to/pay\"", "\"r{n}\"", "\"$list/long/enough/{n}\"", "{n}"] {
            let items: Vec<String> = (0..30).map(|n| item.replace("{n}", &n.to_string())).collect();
            let source = format!("[{}]", items.join(","));
            assert!(List::find(&Tape::parse(&source).unwrap(), 0).is_none(), "{item}");
        }
    }
}
