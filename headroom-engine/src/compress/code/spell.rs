//! Writes lines of code: as they are, without their gutters, or by the numbers of earlier lines.

use std::{fmt::Write as _, ops::Range};

use super::{
    super::{
        hash::{ByHash, hash_bytes, mix},
        weigh::weigh,
    },
    codec::{AGAIN, END, FROM, LIKE, LIKE_END, NUMBERED},
    select::Hidden,
    view::View,
};
use crate::{ccr::Unit, reduce::Op};

/// About the tokens of `[~again 120-131]`.
const REFERENCE: usize = 9;
/// Fewer tokens than these saved in all are not worth a grammar.
const WORTH: usize = 16;

/// The operations that leave out `hidden`, lines of `view`; `comment` begins a comment there.
pub(super) fn elisions(view: &View<'_>, hidden: &[Hidden], comment: &'static str) -> Vec<(Range<usize>, Op)> {
    hidden
        .iter()
        .map(|hidden| {
            let (first, last) = (hidden.lines.start, hidden.lines.end - 1);
            let numbers = (view.lines[first].number, view.lines[last].number);
            let mut note = hidden.note.to_owned();
            if numbers.0 as usize != first + 1 && view.gutter.is_some() {
                let space = if note.is_empty() { "" } else { " " };
                let _ = write!(note, "{space}file {}-{}", numbers.0, numbers.1);
            }
            let op = Op::Elide {
                range: view.range(&hidden.lines),
                original: 0..view.source.len(),
                unit: Unit::Lines,
                first: first + 1,
                last: last + 1,
                note,
                frame: (frame(view.code(first), if hidden.code { comment } else { "" }), "\n"),
            };
            (hidden.lines.clone(), op)
        })
        .collect()
}

/// The indentation of `line`, and what begins a comment.
fn frame(line: &str, comment: &str) -> &'static str {
    const FRAMES: [[&str; 3]; 2] = [
        [
            "                                                ",
            "                                                # ",
            "                                                // ",
        ],
        ["\t\t\t\t\t\t\t\t\t\t\t\t", "\t\t\t\t\t\t\t\t\t\t\t\t# ", "\t\t\t\t\t\t\t\t\t\t\t\t// "],
    ];
    let tabs = line.starts_with('\t');
    let fill = if tabs { b'\t' } else { b' ' };
    let frame = FRAMES[usize::from(tabs)][match comment {
        "" => 0,
        "# " => 1,
        _ => 2,
    }];
    let most = frame.len() - comment.len();
    let indent = line.bytes().take_while(|byte| *byte == fill).count();
    &frame[most - indent.min(most)..]
}

/// Plain lines, but for what is left out.
pub(super) fn plain(view: &View<'_>, elisions: &[(Range<usize>, Op)]) -> Vec<Op> {
    let mut ops = Vec::with_capacity(2 * elisions.len() + 1);
    let mut from = 0;
    for (_, op) in elisions {
        let range = op.range().clone();
        ops.push(Op::Keep(from..range.start));
        from = range.end;
        ops.push(op.clone());
    }
    ops.push(Op::Keep(from..view.source.len()));
    ops
}

/// The lines of a view without their gutters, but for what is left out.
pub(super) fn bare(view: &View<'_>, elisions: &[(Range<usize>, Op)]) -> Vec<Op> {
    let Some(gutter) = view.gutter else { return plain(view, elisions) };
    let mut ops = Vec::new();
    let mut elisions = elisions.iter().peekable();
    let (mut known, mut next) = (false, None);
    let mut text = String::new();
    let mut from = 0;
    let mut at = 0;
    while at < view.lines.len() {
        let line = view.lines[at];
        if let Some((lines, op)) = elisions.next_if(|(lines, _)| lines.start == at) {
            ops.push(Op::Rewrite { range: from..line.start, text: std::mem::take(&mut text) });
            ops.push(op.clone());
            from = op.range().end;
            (at, next) = (lines.end, None);
            continue;
        }
        if line.number == 0 {
            if next.take().is_some() {
                text.push_str(END);
            }
        } else if !known {
            known = true;
            let _ = write!(text, "{FROM}{}{LIKE}", line.number);
            gutter.write(line.number, &mut text);
            text.push_str(LIKE_END);
        } else if next != Some(line.number) || line.number.is_multiple_of(NUMBERED) {
            let _ = writeln!(text, "[~{}]", line.number);
        }
        if line.number > 0 {
            next = line.number.checked_add(1);
        }
        // The code itself is kept, so that later blocks may point at it.
        if from < line.code || !text.is_empty() {
            ops.push(Op::Rewrite { range: from..line.code, text: std::mem::take(&mut text) });
        }
        ops.push(Op::Keep(line.code..line.end));
        from = line.end;
        at += 1;
    }
    if from < view.source.len() || !text.is_empty() {
        ops.push(Op::Rewrite { range: from..view.source.len(), text });
    }
    ops
}

/// Says runs of lines that stood before by their numbers; `None` if that saves little.
pub(super) fn again(source: &str) -> Option<Vec<Op>> {
    let view = View::plain(source);
    let lines: Vec<&str> = (0..view.lines.len()).map(|at| view.code(at)).collect();
    // Where each pair of lines stood first.
    let hashes: Vec<u64> = lines.iter().map(|line| hash_bytes(line.as_bytes())).collect();
    let mut pairs: ByHash<usize> = ByHash::with_capacity_and_hasher(lines.len(), Default::default());
    let mut ops = Vec::new();
    let (mut from, mut at, mut saved) = (0, 0, 0);
    while at + 1 < lines.len() {
        let pair = mix(hashes[at], hashes[at + 1]);
        let before = pairs.get(&pair).copied();
        let length = before.map_or(0, |before| {
            let run = lines[at..].iter().zip(&lines[before..at]);
            run.take_while(|(now, then)| now == then && now.ends_with('\n')).count()
        });
        let cost: usize = lines[at..at + length].iter().map(|line| weigh(line)).sum();
        let (Some(before), true) = (before, cost > 2 * REFERENCE && length > 1) else {
            pairs.entry(pair).or_insert(at);
            at += 1;
            continue;
        };
        let range = view.range(&(at..at + length));
        ops.push(Op::Keep(from..range.start));
        from = range.end;
        ops.push(Op::Rewrite { range, text: format!("{AGAIN}{}-{}]\n", before + 1, before + length) });
        saved += cost - REFERENCE;
        at += length;
    }
    ops.push(Op::Keep(from..source.len()));
    (saved >= WORTH).then_some(ops)
}
