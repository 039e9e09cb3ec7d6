//! Finding tables in a text, line by line.

use std::ops::Range;

use super::{
    aligned,
    sheet::{Read, Sheet},
    style::{Slot, Style, Word},
    tuples,
};

/// Fewer rows than these are not worth a header.
pub(super) const MIN_ROWS: usize = 4;
/// Fewer rows of two cells look like a table too easily.
const MIN_PAIRS: usize = 8;
/// Cells longer than this on average are text.
const MAX_CELL: usize = 60;

/// A line of the source.
#[derive(Clone, Debug)]
pub(super) struct TextLine {
    /// With its end.
    pub(super) range: Range<usize>,
    /// Where its text ends, without `\n` and `\r\n`.
    pub(super) end: usize,
}

impl TextLine {
    pub(super) fn text<'s>(&self, source: &'s str) -> &'s str {
        &source[self.range.start..self.end]
    }

    pub(super) fn is_long_ended(&self, source: &str) -> bool {
        source[self.range.clone()].ends_with("\r\n")
    }
}

/// The lines of `source`.
fn lines(source: &str) -> Vec<TextLine> {
    let mut start = 0;
    source
        .split_inclusive('\n')
        .map(|line| {
            let range = start..start + line.len();
            start = range.end;
            let text = line.strip_suffix('\n').map_or(line, |text| text.strip_suffix('\r').unwrap_or(text));
            TextLine { end: range.start + text.len(), range }
        })
        .collect()
}

/// The tables in `source`, in order.
pub(super) fn sheets(source: &str) -> Vec<Sheet<'_>> {
    sheets_of(source, 0)
}

/// The tables in `source`, in order, unless they are less than `least` bytes: then some of them.
pub(super) fn sheets_of(source: &str, least: usize) -> Vec<Sheet<'_>> {
    let lines = lines(source);
    let mut sheets = tuples::sheets(source);
    if !sheets.is_empty() {
        return sheets;
    }
    let mut at = 0;
    let mut tried = [0; DELIMITERS.len() + 2];
    let mut found = 0;
    while at < lines.len() && found + source.len() - lines[at].range.start >= least {
        match at_line(source, &lines, at, &mut tried) {
            Some((sheet, next)) => {
                found += sheet.range.len();
                sheets.push(sheet);
                at = next.max(at + 1);
            }
            None => at += 1,
        }
    }
    sheets
}

/// What stands between cells, by kind.
const DELIMITERS: [(Word, u8); 4] =
    [(Word::Tsv, b'\t'), (Word::Csv, b','), (Word::Semi, b';'), (Word::Pipe, b'|')];

/// The table that begins at line `at`, and the line behind it. `tried` says for each kind up to
/// which line nothing was found, so that no line is looked at more often than there are kinds.
fn at_line<'s>(
    source: &'s str,
    lines: &[TextLine],
    at: usize,
    tried: &mut [usize],
) -> Option<(Sheet<'s>, usize)> {
    let text = lines[at].text(source);
    if text.is_empty() {
        return None;
    }
    if text.starts_with(['|', '+']) && at >= tried[0] {
        let end = run(lines, at, |line| line.text(source).starts_with(['|', '+']));
        if let Some(sheet) = boxed(source, &lines[at..end], at) {
            return Some((sheet, end));
        }
        tried[0] = end;
    }
    if let Some(rule) = lines.get(at + 1).map(|line| line.text(source))
        && is_psql_rule(rule)
    {
        let bars = count(rule, b'+');
        let end = run(lines, at + 2, |line| count(line.text(source), b'|') == bars);
        if count(text, b'|') == bars
            && let Some(sheet) = psql(source, &lines[at..end], at)
        {
            return Some((sheet, end));
        }
    }
    for (kind, (word, delimiter)) in DELIMITERS.into_iter().enumerate() {
        if at < tried[kind + 1] || memchr::memchr(delimiter, text.as_bytes()).is_none() {
            continue;
        }
        let cells = cells_of(text, delimiter);
        if cells < 2 {
            continue;
        }
        let end = delimited_run(source, lines, at, delimiter, cells);
        if let Some(sheet) = delimited(source, &lines[at..end], at, (word, delimiter), cells) {
            return Some((sheet, end));
        }
        tried[kind + 1] = end;
    }
    let last = tried.len() - 1;
    if at >= tried[last] && aligned::is_row(text) {
        let end = run(lines, at, |line| aligned::is_row(line.text(source)));
        if let Some(sheet) = aligned::sheet(source, &lines[at..end], at) {
            return Some((sheet, end));
        }
        tried[last] = end;
    }
    None
}

/// The end of the run of lines from `at` on that are `like`.
fn run(lines: &[TextLine], at: usize, like: impl Fn(&TextLine) -> bool) -> usize {
    lines[at.min(lines.len())..].iter().position(|line| !like(line)).map_or(lines.len(), |length| at + length)
}

fn count(text: &str, byte: u8) -> usize {
    memchr::memchr_iter(byte, text.as_bytes()).count()
}

/// Whether all or none of the lines end in `\r\n`; which.
pub(super) fn ends(source: &str, lines: &[TextLine]) -> bool {
    lines.first().is_some_and(|line| line.is_long_ended(source))
}

/// Tables between bars: Markdown, MySQL.
fn boxed<'s>(source: &'s str, lines: &[TextLine], at: usize) -> Option<Sheet<'s>> {
    if lines.len() < MIN_ROWS {
        return None;
    }
    let first = lines[0].text(source);
    let mysql = first.starts_with('+');
    let word = if mysql { Word::Mysql } else { Word::Md };
    let top = usize::from(mysql);
    let header = bar_cells(lines.get(top)?.text(source));
    let columns = header.len();
    if columns < 1 {
        return None;
    }
    let rule = lines.get(top + 1)?.text(source);
    if !rule.bytes().all(|byte| matches!(byte, b'|' | b'+' | b'-' | b':' | b' ')) {
        return None;
    }
    let rows = &lines[top + 2..];
    let raw: Vec<Vec<&str>> = rows.iter().map(|line| bar_cells(line.text(source))).collect();
    let mut style = Style::new(word);
    style.long_ends = ends(source, lines);
    let regular = || raw.iter().filter(|cells| cells.len() == columns);
    style.natural = !mysql
        && regular().all(|cells| {
            cells.iter().all(|cell| cell.len() == cell.trim_matches(' ').len() + 2 || cell.trim().is_empty())
        });
    let slots: Vec<Slot> = (0..columns)
        .map(|column| {
            let mut votes = 0i64;
            for cells in regular() {
                let cell = cells[column];
                let left = cell.len() - cell.trim_start_matches(' ').len();
                let right = cell.len() - cell.trim_end_matches(' ').len();
                votes += i64::from(left > right) - i64::from(right > left);
            }
            Slot { width: header[column].chars().count().saturating_sub(2), right: votes > 0 }
        })
        .collect();
    if !mysql {
        let mut drawn = String::new();
        for form in 0..4 {
            style.number = form;
            drawn.clear();
            style.rule(&slots, &mut drawn);
            if drawn == rule {
                break;
            }
        }
        style.number %= 4;
    }
    let read = rows
        .iter()
        .zip(raw)
        .map(|(line, cells)| Read {
            range: line.range.clone(),
            cells: cells.into_iter().map(|cell| cell.trim_matches(' ')).collect(),
        })
        .collect();
    let names = header.into_iter().map(|name| name.trim_matches(' ')).collect();
    Sheet::new(source, style, slots, lines[0].range.start, Some(names), at + top + 2, read)
}

/// The texts between the bars of a line, with their spaces; escaped bars are not bars.
fn bar_cells(text: &str) -> Vec<&str> {
    let Some(inner) = text.strip_prefix('|').and_then(|text| text.strip_suffix('|')) else {
        return Vec::new();
    };
    let mut cells = Vec::new();
    let mut start = 0;
    for at in memchr::memchr_iter(b'|', inner.as_bytes()) {
        if at > 0 && inner.as_bytes()[at - 1] == b'\\' {
            continue;
        }
        cells.push(&inner[start..at]);
        start = at + 1;
    }
    cells.push(&inner[start..]);
    cells
}

fn is_psql_rule(text: &str) -> bool {
    text.len() >= 3 && text.bytes().all(|byte| matches!(byte, b'-' | b'+')) && text.contains("-+-")
}

/// What psql prints: header, rule, rows.
fn psql<'s>(source: &'s str, lines: &[TextLine], at: usize) -> Option<Sheet<'s>> {
    let [header, rule, rows @ ..] = lines else { return None };
    let mut slots: Vec<Slot> = rule
        .text(source)
        .split('+')
        .map(|dashes| Slot { width: dashes.len().saturating_sub(2), right: false })
        .collect();
    let split = |line: &TextLine| line.text(source).split('|').collect::<Vec<&str>>();
    for (column, slot) in slots.iter_mut().enumerate() {
        let mut votes = 0i64;
        for line in rows {
            let Some(cell) = split(line).get(column).copied() else { continue };
            let left = cell.len() - cell.trim_start_matches(' ').len();
            votes += i64::from(left > 1) - i64::from(cell.ends_with("  "));
        }
        slot.right = votes > 0;
    }
    let trimmed = |line: &TextLine| split(line).into_iter().map(|cell| cell.trim_matches(' ')).collect();
    let read = rows.iter().map(|line| Read { range: line.range.clone(), cells: trimmed(line) }).collect();
    let mut style = Style::new(Word::Psql);
    style.long_ends = ends(source, lines);
    Sheet::new(source, style, slots, header.range.start, Some(trimmed(header)), at + 2, read)
}

/// How many cells a line has; quotes around a cell hide what is in it.
fn cells_of(text: &str, delimiter: u8) -> usize {
    let mut cells = 0;
    each_cell(text, delimiter, &mut |_| cells += 1);
    cells
}

fn each_cell<'s>(text: &'s str, delimiter: u8, each: &mut dyn FnMut(&'s str)) {
    let bytes = text.as_bytes();
    let mut start = 0;
    loop {
        let mut at = start;
        if bytes.get(at) == Some(&b'"') {
            at += 1;
            while let Some(quote) = memchr::memchr(b'"', bytes.get(at..).unwrap_or_default()) {
                at += quote + 1;
                if bytes.get(at) != Some(&b'"') {
                    break;
                }
                at += 1;
            }
        }
        match memchr::memchr(delimiter, bytes.get(at..).unwrap_or_default()) {
            Some(next) => {
                each(&text[start..at + next]);
                start = at + next + 1;
            }
            None => return each(&text[start..]),
        }
    }
}

/// The end of the run from `at` on whose lines have as many cells, but for a line now and then.
fn delimited_run(source: &str, lines: &[TextLine], at: usize, delimiter: u8, cells: usize) -> usize {
    let mut end = at;
    let mut odd = 0;
    for (next, line) in lines.iter().enumerate().skip(at) {
        let text = line.text(source);
        if text.is_empty() {
            break;
        }
        if cells_of(text, delimiter) == cells {
            end = next + 1;
        } else {
            odd += 1;
            if next > end || odd * 8 > next - at + 8 {
                break;
            }
        }
    }
    end
}

fn delimited<'s>(
    source: &'s str,
    lines: &[TextLine],
    at: usize,
    (word, delimiter): (Word, u8),
    cells: usize,
) -> Option<Sheet<'s>> {
    let few = if cells == 2 && word != Word::Tsv { MIN_PAIRS } else { MIN_ROWS };
    if lines.len() < few {
        return None;
    }
    let bytes: usize = lines.iter().map(|line| line.end - line.range.start).sum();
    if bytes > lines.len() * cells * MAX_CELL || !looks_like_data(source, lines, delimiter, cells) {
        return None;
    }
    let split = |line: &TextLine| {
        let mut cells = Vec::new();
        each_cell(line.text(source), delimiter, &mut |cell| cells.push(cell));
        cells
    };
    let read: Vec<Read<'_>> =
        lines.iter().map(|line| Read { range: line.range.clone(), cells: split(line) }).collect();
    let header = is_header(&read);
    let mut style = Style::new(word);
    style.long_ends = ends(source, lines);
    let slots = vec![Slot::default(); cells];
    let start = lines[0].range.start;
    if header {
        let names = read[0].cells.clone();
        return Sheet::new(source, style, slots, start, Some(names), at + 1, read[1..].to_vec());
    }
    let mut sheet = Sheet::new(source, style, slots, start, None, at, read)?;
    sheet.sure = cells > 2;
    Some(sheet)
}

/// Whether lines with delimiters are data: code and prose have spaces behind theirs, indent lines,
/// and end them with punctuation.
fn looks_like_data(source: &str, lines: &[TextLine], delimiter: u8, cells: usize) -> bool {
    let (mut spaced, mut indented, mut ended) = (0, 0, 0);
    for line in lines {
        let text = line.text(source);
        let bytes = text.as_bytes();
        if delimiter != b'|' {
            spaced +=
                memchr::memchr_iter(delimiter, bytes).filter(|at| bytes.get(at + 1) == Some(&b' ')).count();
        }
        indented +=
            usize::from(text.starts_with([' ', '\t', '#', '/', '<', '(', '{', '[', ')', '}', '-', '@']));
        ended += usize::from(text.ends_with(['{', ';', '(', ':', ')', '}', '[', '.', '\\', '>']));
    }
    let few = |count: usize, of: usize| count * 5 <= of;
    few(spaced, lines.len() * (cells - 1)) && few(indented, lines.len()) && few(ended, lines.len())
}

/// Whether the first row names the columns: words that do not come again below, while numbers do.
fn is_header(rows: &[Read<'_>]) -> bool {
    let Some((first, rest)) = rows.split_first() else { return false };
    let is_number = |cell: &str| cell.trim_matches('"').parse::<f64>().is_ok();
    let named = |cell: &str| {
        let name = cell.trim_matches('"');
        name.starts_with(|c: char| c.is_alphabetic() || c == '_') && name.len() <= 40
    };
    let sample = &rest[..rest.len().min(50)];
    let repeats = |(at, cell): (usize, &&str)| {
        sample.iter().any(|row| row.cells.get(at).is_some_and(|other| *other == *cell))
    };
    let numeric = (0..first.cells.len()).any(|at| {
        let numbers = sample.iter().filter(|row| row.cells.get(at).is_some_and(|cell| is_number(cell)));
        numbers.count() * 2 > sample.len()
    });
    first.cells.iter().all(|cell| named(cell))
        && !first.cells.iter().enumerate().any(repeats)
        && (numeric || first.cells.iter().all(|cell| !cell.contains(' ')))
}
