//! How each column is written: what all cells share is said once, in the header.

use std::collections::HashMap;

use super::{
    super::weigh::weigh,
    sheet::Sheet,
    style::{SEPARATORS, Word},
};

/// How the cells of a column are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding<'s> {
    /// All rows have this one and write none.
    Constant(&'s str),
    /// Row `i`, from 0, has `start + i * step` and writes none.
    Sequence { start: i64, step: i64 },
    /// Each row writes its own.
    Each(Each<'s>),
}

/// How a cell is written where each row has its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Each<'s> {
    /// An empty cell means this.
    pub(super) default: Option<&'s str>,
    /// An empty cell means the one above.
    pub(super) ditto: bool,
    /// What stands before every cell, and behind.
    pub(super) prefix: &'s str,
    pub(super) suffix: &'s str,
}

/// Stands before a cell that is written whole.
pub(super) const WHOLE: char = '=';

impl Each<'_> {
    /// Writes the cell `raw` below the cell `above`.
    pub(super) fn write(&self, raw: &str, above: Option<&str>, out: &mut String) {
        if self.default == Some(raw) || (self.ditto && above == Some(raw)) {
            return;
        }
        let inner = raw
            .strip_prefix(self.prefix)
            .and_then(|rest| rest.strip_suffix(self.suffix))
            .filter(|inner| !inner.starts_with(WHOLE))
            .filter(|inner| !inner.is_empty() || (self.default.is_none() && !self.ditto));
        if inner.is_none() {
            out.push(WHOLE);
        }
        out.push_str(inner.unwrap_or(raw));
    }

    /// The inverse of [`Each::write`]; `None` if there is no cell above.
    pub(super) fn read(&self, text: &str, above: Option<&str>) -> Option<String> {
        if let Some(raw) = text.strip_prefix(WHOLE) {
            return Some(raw.to_owned());
        }
        match (self.default, self.ditto) {
            (Some(default), _) if text.is_empty() => Some(default.to_owned()),
            (None, true) if text.is_empty() => above.map(str::to_owned),
            _ => Some([self.prefix, text, self.suffix].concat()),
        }
    }
}

/// Chooses how each column of `sheet` is written.
pub(super) fn codings<'s>(sheet: &Sheet<'s>) -> Vec<Coding<'s>> {
    let mut counted = false;
    (0..sheet.slots.len())
        .map(|column| {
            let cells: Vec<&'s str> = sheet.regular().filter_map(|row| sheet.cell(row, column)).collect();
            constant(&cells)
                .or_else(|| {
                    let found = if counted { None } else { sequence(sheet, column) };
                    counted |= found.is_some();
                    found
                })
                .unwrap_or_else(|| Coding::Each(each(&cells)))
        })
        .collect()
}

fn constant<'s>(cells: &[&'s str]) -> Option<Coding<'s>> {
    let (first, rest) = cells.split_first()?;
    (!rest.is_empty() && rest.iter().all(|cell| cell == first)).then_some(Coding::Constant(first))
}

fn sequence(sheet: &Sheet<'_>, column: usize) -> Option<Coding<'static>> {
    let integer = |text: &str| text.parse::<i64>().ok().filter(|number| number.to_string() == text);
    let mut rows = sheet.regular();
    let (first, second) = (rows.next()?, rows.next()?);
    let value = |row: usize| integer(sheet.cell(row, column)?);
    let apart = i64::try_from(second - first).ok()?;
    let step = value(second)?.checked_sub(value(first)?)?;
    if step == 0 || step % apart != 0 || sheet.regular().count() < 5 {
        return None;
    }
    let step = step / apart;
    let start = value(first)?.checked_sub(step.checked_mul(i64::try_from(first).ok()?)?)?;
    let at = |row: usize| start.checked_add(step.checked_mul(i64::try_from(row).ok()?)?);
    sheet.regular().all(|row| value(row) == at(row)).then_some(Coding::Sequence { start, step })
}

fn each<'s>(cells: &[&'s str]) -> Each<'s> {
    let mut each = Each::default();
    (each.prefix, each.suffix) = affixes(cells);
    let cost = |cell: &str| {
        let inner = cell.strip_prefix(each.prefix).and_then(|rest| rest.strip_suffix(each.suffix));
        weigh(inner.unwrap_or(cell))
    };
    let mut counts: HashMap<&str, usize> = HashMap::new();
    cells.iter().for_each(|cell| *counts.entry(cell).or_default() += 1);
    // The first of the most frequent, so that the order of the map decides nothing.
    let most = counts.values().copied().max().unwrap_or(0);
    let common = cells.iter().copied().find(|cell| counts.get(cell) == Some(&most)).unwrap_or("");
    let default = if most * 2 >= cells.len() { most * cost(common) } else { 0 };
    let ditto: usize = cells.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| cost(pair[1])).sum();
    if default >= ditto && default > 4 + weigh(common) {
        each.default = Some(common);
    } else if ditto > 6 {
        each.ditto = true;
    }
    each
}

/// What nearly all cells begin and end with, if it is worth to be said once.
fn affixes<'s>(cells: &[&'s str]) -> (&'s str, &'s str) {
    let is_null = |cell: &str| matches!(cell, "" | "None" | "NULL" | "null" | "-");
    let filled = cells.iter().copied().filter(|cell| !is_null(cell));
    let Some(first) = filled.clone().next() else { return ("", "") };
    if filled.clone().count() < 3 {
        return ("", "");
    }
    let (mut prefix, mut suffix) = (first, first);
    for cell in filled.clone() {
        prefix = &prefix[..common(prefix.char_indices(), cell.chars(), prefix.len())];
        let kept = common(
            suffix.chars().rev().scan(0, |at, c| {
                let start = *at;
                *at += c.len_utf8();
                Some((start, c))
            }),
            cell.chars().rev(),
            suffix.len(),
        );
        suffix = &suffix[suffix.len() - kept..];
    }
    // A word or number is not cut.
    prefix = prefix.trim_end_matches(|c: char| c.is_alphanumeric() || c == '*');
    suffix = suffix.trim_start_matches(|c: char| c.is_alphanumeric());
    let shortest = filled.clone().map(str::len).min().unwrap_or(0);
    if prefix.len() + suffix.len() > shortest {
        suffix = "";
    }
    if prefix.contains('*') {
        prefix = "";
    }
    let quotes = |text: &str| text.bytes().all(|byte| byte.is_ascii_punctuation());
    if prefix.len() + suffix.len() == 0 {
        return ("", "");
    }
    if quotes(prefix) && quotes(suffix) && !prefix.is_empty() {
        return (prefix, suffix);
    }
    let saved: usize = filled
        .clone()
        .map(|cell| {
            let inner = &cell[prefix.len()..cell.len() - suffix.len()];
            weigh(cell).saturating_sub(weigh(inner))
        })
        .sum();
    let enough = saved >= 3 * filled.count() && saved > 10 + weigh(prefix) + weigh(suffix);
    if enough { (prefix, suffix) } else { ("", "") }
}

/// How many bytes of the first characters are the second's too.
fn common(
    one: impl Iterator<Item = (usize, char)>,
    mut other: impl Iterator<Item = char>,
    length: usize,
) -> usize {
    for (at, c) in one {
        if other.next() != Some(c) {
            return at;
        }
    }
    length
}

/// A separator that stands in few of the texts that rows and header are made of.
pub(super) fn separator(sheet: &Sheet<'_>) -> char {
    let mut counts = [0usize; SEPARATORS.len()];
    let mut count = |text: &str, weight: usize| {
        for (count, separator) in counts.iter_mut().zip(SEPARATORS) {
            *count += weight * usize::from(memchr::memchr(separator as u8, text.as_bytes()).is_some());
        }
    };
    for row in sheet.regular() {
        sheet.cells(row).iter().for_each(|cell| count(cell, 1));
    }
    sheet.names.iter().for_each(|name| count(name, 1000));
    let least = counts.iter().copied().min().unwrap_or(0);
    let best = counts.iter().position(|count| *count == least).unwrap_or(0);
    SEPARATORS[best]
}

/// What the cells of a `:str` column stand between.
pub(super) fn quote(word: Word) -> &'static str {
    if word == Word::Tuples { "'" } else { "\"" }
}
