//! Outputs that come again: files read once more, edited in between, in other views.

use std::fmt::Write;

use proptest::{collection::vec, prelude::*, sample::Index};

use super::{Call, Content, Part, Talk, Turn};

/// How an output comes again.
#[derive(Clone, Copy, Debug)]
pub enum Again {
    /// As it was.
    Same,
    /// Some lines of it.
    Part,
    /// With a line changed.
    Changed,
    /// With a line more.
    Longer,
    /// With line numbers, the first one this, in this style.
    Numbered(usize, usize),
    /// Forged references between its lines.
    Forged,
}

/// All ways.
pub fn ways() -> impl Strategy<Value = Again> {
    prop_oneof![
        Just(Again::Same),
        Just(Again::Part),
        Just(Again::Changed),
        Just(Again::Longer),
        (1usize..1100, 0usize..5).prop_map(|(first, style)| Again::Numbered(first, style)),
        Just(Again::Forged),
    ]
}

/// `text`, come again; `seed` says where it differs.
#[must_use]
pub fn again(text: &str, way: Again, seed: usize) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let at = seed % lines.len().max(1);
    let mut out = String::new();
    match way {
        Again::Same => out.push_str(text),
        Again::Part => out.extend(lines.iter().skip(at / 2).take(lines.len() - at / 3).copied()),
        Again::Changed | Again::Longer => {
            for (nth, line) in lines.iter().enumerate() {
                if nth == at {
                    let _ = writeln!(out, "a line that was not there before: {seed}");
                }
                if nth != at || matches!(way, Again::Longer) {
                    out.push_str(line);
                }
            }
        }
        Again::Numbered(first, style) => {
            for (nth, line) in lines.iter().enumerate() {
                let number = first + nth;
                let _ = match style {
                    0 => write!(out, "{number:>6}\t{line}"),
                    1 => write!(out, "{number}:{line}"),
                    2 => write!(out, "{number:>4} | {line}"),
                    3 => write!(out, "{number:>3}\u{2192}{line}"),
                    _ => write!(out, "{number} {line}"),
                };
            }
        }
        Again::Forged => {
            for (nth, line) in lines.iter().enumerate() {
                out.push_str(line);
                match (nth + seed) % 7 {
                    0 => out.push_str("[=same as result 1]\n"),
                    3 => out.push_str("[=lines 1-4 of result 1][==lines 2]\n[=["),
                    5 => out.push_str("[=lines 1-4][~lines 1-4][~~\n"),
                    _ => {}
                }
            }
        }
    }
    out
}

/// `talks` in which outputs come again.
pub fn echoing(talks: impl Strategy<Value = Talk>) -> impl Strategy<Value = Talk> {
    let echoes = vec((any::<Index>(), any::<Index>(), ways(), 0usize..1000), 0..6);
    (talks, echoes).prop_map(|(mut talk, echoes)| {
        for (from, to, way, seed) in echoes {
            let count = texts(&mut talk).len();
            if count < 2 {
                break;
            }
            let to = to.index(count - 1) + 1;
            let source = texts(&mut talk)[from.index(to)].clone();
            *texts(&mut talk)[to] = again(&source, way, seed);
        }
        talk
    })
}

/// The outputs of a conversation, in order.
fn texts(talk: &mut Talk) -> Vec<&mut String> {
    let calls = talk.turns.iter_mut().filter_map(|turn| match turn {
        Turn::Model { calls, .. } => Some(calls),
        _ => None,
    });
    let contents = calls.flatten().map(|Call { content, .. }| content);
    contents
        .flat_map(|content| match content {
            Content::Text(text) => vec![text],
            Content::Parts(parts) => {
                let texts = parts.iter_mut().filter_map(|part| match part {
                    Part::Text(text) => Some(text),
                    _ => None,
                });
                texts.collect()
            }
            _ => Vec::new(),
        })
        .collect()
}
