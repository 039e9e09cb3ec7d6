//! Columns aligned with spaces: what `ps`, `docker`, `kubectl`, `df` and `ls -l` print.

use super::{
    find::{MIN_ROWS, TextLine, ends},
    sheet::{MAX_COLUMNS, Read, Sheet},
    style::{MAX_GAP, Slot, Style, Word},
};

/// Columns are looked for in so many characters of a line.
const MAX_LINE: usize = 1000;

/// Whether a line can be one of an aligned table.
pub(super) fn is_row(text: &str) -> bool {
    !text.contains('\t') && text.split_ascii_whitespace().nth(2).is_some()
        || text.contains("  ") && !text.contains('\t') && text.split_ascii_whitespace().nth(1).is_some()
}

/// A character that is not blank, by its place in the line.
type Extent = (usize, usize);

/// The table in `lines`, the first of which is line `at`.
pub(super) fn sheet<'s>(source: &'s str, lines: &[TextLine], at: usize) -> Option<Sheet<'s>> {
    if lines.len() < MIN_ROWS + 1 {
        return None;
    }
    let texts: Vec<&str> = lines.iter().map(|line| line.text(source)).collect();
    let columns = columns(&texts)?;
    // What stands in each column of each line.
    let spans: Vec<Vec<Option<Extent>>> = texts.iter().map(|text| extents(text, &columns)).collect();
    let bounds: Vec<Extent> = (0..columns.len())
        .map(|column| {
            let filled = || spans.iter().filter_map(|spans| spans[column]);
            (filled().map(|span| span.0).min().unwrap_or(0), filled().map(|span| span.1).max().unwrap_or(0))
        })
        .collect();
    let right: Vec<bool> = (0..columns.len())
        .map(|column| {
            let filled = || spans.iter().filter_map(|spans| spans[column]);
            let starts = filled().filter(|span| span.0 == bounds[column].0).count();
            let stops = filled().filter(|span| span.1 == bounds[column].1).count();
            stops > starts || (column == 0 && bounds[0].0 > 0)
        })
        .collect();
    let last = columns.len() - 1;
    let gap = (1..columns.len()).map(|at| bounds[at].0.saturating_sub(bounds[at - 1].1)).min()?;
    if !(1..=MAX_GAP).contains(&gap) {
        return None;
    }
    let mut slots = Vec::with_capacity(columns.len());
    let mut start = 0;
    for column in 0..columns.len() {
        let (_, stop) = bounds[column];
        let stop = if column == last || right[column] || right[column + 1] {
            stop
        } else {
            bounds[column + 1].0 - gap
        };
        slots.push(Slot { width: stop.saturating_sub(start), right: right[column] });
        start = stop + gap;
    }
    let cells = |at: usize| -> Vec<&'s str> {
        let text = texts[at];
        let places: Option<Vec<usize>> =
            (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).chain([text.len()]).collect());
        let place = |at: usize| match &places {
            Some(places) => places.get(at).copied().unwrap_or(text.len()),
            None => at.min(text.len()),
        };
        spans[at].iter().map(|span| span.map_or("", |(from, to)| &text[place(from)..place(to)])).collect()
    };
    let mut style = Style::new(Word::Cols);
    style.number = gap;
    style.long_ends = ends(source, lines);
    let full = |text: &&&str| text.ends_with(' ');
    style.tail = texts.iter().filter(full).count() * 2 > texts.len();
    let read: Vec<Read<'s>> = lines
        .iter()
        .enumerate()
        .map(|(at, line)| Read { range: line.range.clone(), cells: cells(at) })
        .collect();
    let head = lines[0].range.start;
    let listing = texts.iter().filter(|text| is_mode(text)).count() * 10 >= texts.len() * 9;
    let names = is_names(&read[0].cells, &read[1..]);
    if names {
        let names = read[0].cells.clone();
        let mut sheet = Sheet::new(source, style, slots, head, Some(names), at + 1, read[1..].to_vec())?;
        sheet.sure = columns.len() > 2;
        return Some(sheet);
    }
    // Code and logs are aligned too.
    if listing { Sheet::new(source, style, slots, head, None, at, read) } else { None }
}

/// Where columns begin: characters that follow a blank that nearly all lines have, with most lines
/// having something up to the next.
fn columns(texts: &[&str]) -> Option<Vec<usize>> {
    let mut filled: Vec<u32> = Vec::new();
    let few = texts.len() as u32 / 20;
    // A name in the first line is not cut, however few rows reach as far.
    let mut weight = few + 1;
    for text in texts {
        for (at, c) in text.chars().take(MAX_LINE).enumerate() {
            if filled.len() <= at {
                filled.push(0);
            }
            filled[at] += weight * u32::from(c != ' ');
        }
        weight = 1;
    }
    let mut starts: Vec<usize> = Vec::new();
    let mut blank = true;
    for (at, count) in filled.iter().enumerate() {
        let is_blank = *count <= few;
        if blank && !is_blank {
            starts.push(at);
        }
        blank = is_blank;
    }
    if starts.first().is_some_and(|start| *start > 0) {
        starts[0] = 0;
    }
    // A column that few rows have is a part of the one before.
    let count = |from: usize, to: usize| {
        let has = |text: &&&str| text.chars().skip(from).take(to - from).any(|c| c != ' ');
        texts.iter().filter(has).count()
    };
    if starts.len() > MAX_COLUMNS {
        return None;
    }
    let mut columns: Vec<usize> = Vec::new();
    for (at, start) in starts.iter().enumerate() {
        let to = starts.get(at + 1).copied().unwrap_or(filled.len());
        if at == 0 || count(*start, to) * 2 >= texts.len() {
            columns.push(*start);
        }
    }
    (columns.len() >= 2).then_some(columns)
}

/// From where to where each column of a line is filled.
fn extents(text: &str, columns: &[usize]) -> Vec<Option<Extent>> {
    let mut spans = vec![None; columns.len()];
    let mut column = 0;
    for (at, c) in text.chars().enumerate() {
        while column + 1 < columns.len() && at >= columns[column + 1] {
            column += 1;
        }
        if c != ' ' {
            let span: &mut Option<Extent> = &mut spans[column];
            *span = Some((span.map_or(at, |span| span.0), at + 1));
        }
    }
    spans
}

/// A line of `ls -l`.
fn is_mode(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() > 10
        && matches!(bytes[0], b'-' | b'd' | b'l' | b'b' | b'c' | b'p' | b's')
        && bytes[1..10]
            .iter()
            .all(|byte| matches!(byte, b'r' | b'w' | b'x' | b's' | b'S' | b't' | b'T' | b'-'))
}

/// Whether the first row names columns: letters without digits, and other cells below each.
fn is_names(first: &[&str], rest: &[Read<'_>]) -> bool {
    let name = |cell: &str| {
        !cell.is_empty()
            && cell.starts_with(|c: char| c.is_alphabetic() || matches!(c, '%' | '#'))
            && !cell.contains([':', '=', '"', '/'])
    };
    let differs = |(at, cell): (usize, &&str)| {
        rest.iter().take(20).all(|row| row.cells.get(at).is_none_or(|other| other != cell))
    };
    let data = |row: &Read<'_>| row.cells.iter().any(|cell| cell.contains(|c: char| c.is_ascii_digit()));
    first.iter().all(|cell| name(cell))
        && first.iter().enumerate().all(differs)
        && rest.iter().filter(|row| data(row)).count() * 2 >= rest.len()
}
