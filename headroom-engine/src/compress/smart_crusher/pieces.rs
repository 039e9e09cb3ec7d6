//! Which parts of a source are JSON: all of it, all behind a banner, or runs of its lines.

use std::ops::Range;

use super::tape::Tape;

/// Banners of more lines than this are some other kind of text.
const MAX_BANNER: usize = 3;
/// Fewer lines of JSON in a row stay as they are.
const MIN_LINES: usize = 3;

/// A part of a source and its tape, or none if it stays as it is.
#[derive(Debug)]
pub(super) struct Piece<'s> {
    pub(super) range: Range<usize>,
    pub(super) tape: Option<Tape<'s>>,
}

/// The parts of `source`, tiling it; empty if less than half of it is JSON.
pub(super) fn pieces(source: &str) -> Vec<Piece<'_>> {
    if let Some(tape) = parse(source) {
        return vec![Piece { range: 0..source.len(), tape: Some(tape) }];
    }
    let pieces = behind_banner(source).unwrap_or_else(|| lines(source));
    let json: usize = pieces.iter().filter(|piece| piece.tape.is_some()).map(|piece| piece.range.len()).sum();
    if json * 2 >= source.len() { pieces } else { Vec::new() }
}

/// The tape of `text`, if it is made of objects and arrays.
fn parse(text: &str) -> Option<Tape<'_>> {
    let starts = text.trim_start_matches([' ', '\t', '\n', '\r']).starts_with(['{', '[']);
    if starts { Tape::parse(text) } else { None }
}

fn behind_banner(source: &str) -> Option<Vec<Piece<'_>>> {
    let mark = source.strip_prefix('\u{feff}').map(|rest| source.len() - rest.len());
    let lines = memchr::memchr_iter(b'\n', source.as_bytes()).take(MAX_BANNER).map(|at| at + 1);
    mark.into_iter().chain(lines).find_map(|at| {
        let tape = parse(&source[at..])?;
        Some(vec![Piece { range: 0..at, tape: None }, Piece { range: at..source.len(), tape: Some(tape) }])
    })
}

/// Runs of lines that are JSON each, and what stands between them with the newlines around it.
fn lines(source: &str) -> Vec<Piece<'_>> {
    let mut pieces: Vec<Piece<'_>> = Vec::new();
    let mut from = 0;
    let mut run = (0, 0..0);
    let mut close = |run: &mut (usize, Range<usize>), from: &mut usize| {
        let (count, range) = std::mem::replace(run, (0, 0..0));
        if count < MIN_LINES {
            return;
        }
        if let Some(tape) = parse(&source[range.clone()]) {
            if *from < range.start {
                pieces.push(Piece { range: *from..range.start, tape: None });
            }
            *from = range.end;
            pieces.push(Piece { range, tape: Some(tape) });
        }
    };
    let mut at = 0;
    for line in source.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let line = line.trim_end_matches(['\n', '\r']);
        if parse(line).is_none() {
            close(&mut run, &mut from);
            continue;
        }
        if run.0 == 0 {
            run.1.start = start;
        }
        run.0 += 1;
        run.1.end = start + line.len();
    }
    close(&mut run, &mut from);
    if from > 0 && from < source.len() {
        pieces.push(Piece { range: from..source.len(), tape: None });
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> Vec<(&str, bool)> {
        let pieces = pieces(source);
        assert!(
            pieces.is_empty()
                || pieces.iter().map(|piece| &source[piece.range.clone()]).collect::<String>() == source
        );
        pieces.into_iter().map(|piece| (&source[piece.range], piece.tape.is_some())).collect()
    }

    #[test]
    fn banners_and_broken_lines_are_told_from_json() {
        assert_eq!(kinds("{\"a\":1}"), [("{\"a\":1}", true)]);
        assert_eq!(kinds("\u{feff}[1]"), [("\u{feff}", false), ("[1]", true)]);
        assert_eq!(kinds("Found 3:\n[1,\n2,3]\n"), [("Found 3:\n", false), ("[1,\n2,3]\n", true)]);
        assert_eq!(
            kinds("{}\n[1]\n{}\noops {\n{}\r\n{}\n{}\n"),
            [("{}\n[1]\n{}", true), ("\noops {\n", false), ("{}\r\n{}\n{}", true), ("\n", false)]
        );
        for none in
            ["", "text", "[1", "a\nb\nc\nd\n[1]", "[1]\n[2]\nx", "{}\n{}\n{}\na longer line of other text"]
        {
            assert_eq!(kinds(none), [], "{none}");
        }
    }
}
