//! The exact stage: lines that stand above are not said again.

use std::ops::Range;

use super::{
    super::{
        fold::{self, Lines, Repeat, Repeats},
        names::{Names, Spelling},
    },
    text::Text,
};
use crate::{ccr::marker::INTRODUCER, reduce::Op};

/// Spells `stretches`, ranges of bytes in order and apart from each other, and returns the
/// operations for each, and about how many tokens that saves.
pub(super) fn spell(text: &Text<'_>, stretches: &[Range<usize>]) -> (Vec<Vec<Op>>, usize) {
    let mut repeats = Repeats::default();
    let mut saved = 0;
    let mut folded = Vec::with_capacity(stretches.len());
    for stretch in stretches {
        repeats.clear();
        folded.push(fold(text, text.lines_within(stretch), &mut repeats, &mut saved));
    }
    let said = folded.iter().flatten().filter_map(|part| match part {
        Part::Line(at) => Some(nameable(text.text(*at))),
        Part::Again(..) => None,
    });
    let mut names = Names::new(said);
    let mut ops = Vec::with_capacity(stretches.len());
    for (stretch, parts) in stretches.iter().zip(folded) {
        ops.push(write(text, stretch.clone(), &parts, &mut names, &mut saved));
    }
    (ops, saved)
}

/// A line to say, or lines that are said by what stands above.
enum Part {
    Line(usize),
    Again(Range<usize>, Repeat),
}

fn fold(text: &Text<'_>, lines: Range<usize>, repeats: &mut Repeats, saved: &mut usize) -> Vec<Part> {
    let mut parts = Vec::with_capacity(lines.len());
    let mut at = lines.start;
    while at < lines.end {
        parts.push(Part::Line(at));
        let mut behind = at + 1;
        // A blank line is no line to refer to.
        if !text.text(at).is_empty()
            && let Some(repeat) = repeats.find(text, at, lines.end)
        {
            behind += repeat.len();
            *saved += (at + 1..behind).map(|line| text.cost(line)).sum::<usize>().saturating_sub(fold::COST);
            parts.push(Part::Again(at + 1..behind, repeat));
        }
        repeats.note(text, at..behind);
        at = behind;
    }
    parts
}

/// What of a line may have a name; empty if nothing.
fn nameable(line: &str) -> &str {
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.contains(INTRODUCER) || line.ends_with(['\r', '\n']) { "" } else { line }
}

fn write<'a>(
    text: &Text<'a>,
    stretch: Range<usize>,
    parts: &[Part],
    names: &mut Names<'a>,
    saved: &mut usize,
) -> Vec<Op> {
    let mut ops = Vec::new();
    let mut at = stretch.start;
    let keep = |from: usize, to: usize, ops: &mut Vec<Op>| {
        if from < to {
            ops.push(Op::Keep(from..to));
        }
    };
    for part in parts {
        match part {
            Part::Line(line) => {
                let whole = nameable(text.line(*line));
                let start = text.start(*line);
                match names.spell(whole) {
                    Spelling::Whole => {}
                    Spelling::Named(name) => {
                        keep(at, start, &mut ops);
                        ops.push(Op::Rewrite { range: start..start, text: format!("[~{name}:]") });
                        *saved = saved.saturating_sub(3);
                        at = start;
                    }
                    Spelling::Again(name) => {
                        keep(at, start, &mut ops);
                        ops.push(Op::Rewrite {
                            range: start..start + whole.len(),
                            text: format!("[~{name}]"),
                        });
                        *saved += text.cost(*line).saturating_sub(4);
                        at = start + whole.len();
                    }
                }
            }
            Part::Again(lines, repeat) => {
                let range = text.start(lines.start)..text.start(lines.end);
                keep(at, range.start, &mut ops);
                at = range.end;
                ops.push(Op::Rewrite { range, text: repeat.text() });
            }
        }
    }
    keep(at, stretch.end, &mut ops);
    ops
}
