//! Terminal control sequences, each said by one character that the lines do not hold.

use std::ops::Range;

use super::super::hash::{ByHash, hash_bytes};

/// Characters that are one token and rare in logs.
const STAND_INS: [char; 12] =
    ['^', '`', '@', '$', '&', '!', '\u{a7}', '\u{b6}', '\u{a4}', '\u{b1}', '\u{ac}', '\u{a6}'];
/// An escape and its bracket, digits and letter are about so many tokens, less the stand-in.
const LEAST: usize = 3;

/// A sequence and what stands for it.
pub(super) type Colour<'a> = (char, &'a str);

/// The sequences of `lines` worth a stand-in, and about how many tokens they save.
pub(super) fn palette<'a>(lines: &[&'a str]) -> (Vec<Colour<'a>>, usize) {
    let mut known: ByHash<usize> = ByHash::default();
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for line in lines {
        for sequence in sequences(line) {
            let sequence = &line[sequence];
            let at = *known.entry(hash_bytes(sequence.as_bytes())).or_insert(counts.len());
            if at == counts.len() {
                counts.push((sequence, 0));
            }
            if counts[at].0 == sequence {
                counts[at].1 += 1;
            }
        }
    }
    // Saved by all occurrences, less what the palette says of it; the first seen wins a tie.
    let gain = |(sequence, count): (&str, usize)| {
        let each = LEAST + sequence.len() / 3;
        (each * count).saturating_sub(each + 3)
    };
    counts.sort_by_key(|entry| std::cmp::Reverse(gain(*entry)));
    let free = STAND_INS.into_iter().filter(|stand_in| !lines.iter().any(|line| line.contains(*stand_in)));
    let mut saved = 0;
    let palette = free
        .zip(counts)
        .take_while(|(_, entry)| gain(*entry) > 0)
        .map(|(stand_in, entry)| {
            saved += gain(entry);
            (stand_in, entry.0)
        })
        .collect();
    (palette, saved)
}

/// The control sequences of `line`: an escape, `[`, parameters, a letter.
fn sequences(line: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let bytes = line.as_bytes();
    memchr::memmem::find_iter(bytes, b"\x1b[").filter_map(move |at| {
        let parameters =
            bytes[at + 2..].iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b';' | b'?')).count();
        let end = at + 2 + parameters;
        bytes.get(end).is_some_and(u8::is_ascii_alphabetic).then_some(at..end + 1)
    })
}

/// `line` with each sequence of `palette` replaced by its stand-in.
pub(super) fn paint(line: &str, palette: &[Colour<'_>]) -> String {
    let mut out = String::with_capacity(line.len());
    let mut from = 0;
    for sequence in sequences(line) {
        if let Some((stand_in, _)) = palette.iter().find(|(_, known)| *known == &line[sequence.clone()]) {
            out.push_str(&line[from..sequence.start]);
            out.push(*stand_in);
            from = sequence.end;
        }
    }
    out.push_str(&line[from..]);
    out
}

/// The inverse of [`paint`].
pub(super) fn strip(painted: &str, palette: &[Colour<'_>]) -> String {
    let mut out = String::with_capacity(painted.len() * 2);
    for char in painted.chars() {
        match palette.iter().find(|(stand_in, _)| *stand_in == char) {
            Some((_, sequence)) => out.push_str(sequence),
            None => out.push(char),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paint_comes_off() {
        let line = "\u{1b}[31mred\u{1b}[0m and \u{1b}[31mred^\u{1b}[0m\u{1b}[2K \u{1b}[";
        let lines = [line, line, line];
        let (palette, saved) = palette(&lines);
        assert!(saved > 0 && !palette.iter().any(|(stand_in, _)| *stand_in == '^'));
        let painted = paint(line, &palette);
        assert!(painted.contains("`red@ and"), "{painted}");
        assert_eq!(strip(&painted, &palette), line);
    }
}
