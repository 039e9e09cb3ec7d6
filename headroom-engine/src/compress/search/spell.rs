//! Writes kept lines in the grammar of [`codec`](super::codec), and markers between them.

use std::ops::Range;

use super::{
    super::{
        names::{Names, Spelling},
        writer::Writer,
    },
    codec::{BREAKS, goes_on},
    line::{Hits, Line, numbered},
};
use crate::{ccr::marker, reduce::Op};

/// What becomes of the lines of a search.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    /// Runs of lines to leave out, in order, and what each marker notes.
    pub(super) gaps: Vec<(Range<usize>, String)>,
    /// Bytes of kept lines to leave out, in order.
    pub(super) cuts: Vec<Range<usize>>,
}

/// Spells `hits` and returns the operations, and how many bytes the paths saved.
pub(super) fn spell(hits: &Hits<'_>, choice: &Choice) -> (Vec<Op>, usize) {
    let kept = kept(hits, choice);
    let kept_hits = hits.lines().iter().zip(&kept).filter(|(line, kept)| **kept && line.is_hit());
    let texts = kept_hits.map(|(line, _)| hits.text(line).trim_start());
    let names = if hits.is_headed() { Names::default() } else { Names::new(texts) };
    let mut speller = Speller {
        hits,
        follows: follows(hits, &kept),
        names,
        implied: !hits.is_headed() && breaks_are_implied(hits),
        file: None,
        under: None,
        out: Writer::new(hits.source(), &choice.cuts),
        saved: 0,
    };
    if speller.implied {
        speller.out.rewrite(0..0, |out| out.push_str(BREAKS));
    }
    let mut at = 0;
    for (gap, note) in &choice.gaps {
        speller.lines(at..gap.start);
        speller.gap(gap.clone(), note.clone());
        at = gap.end;
    }
    speller.lines(at..hits.lines().len());
    (speller.out.finish(), speller.saved)
}

/// For each line, whether it is kept.
fn kept(hits: &Hits<'_>, choice: &Choice) -> Vec<bool> {
    let mut kept = vec![true; hits.lines().len()];
    for (gap, _) in &choice.gaps {
        kept[gap.clone()].fill(false);
    }
    kept
}

/// For each kept line, whether the next kept line (but `--`) is of the same file.
fn follows(hits: &Hits<'_>, kept: &[bool]) -> Vec<bool> {
    let mut follows = vec![false; kept.len()];
    let mut next = None;
    for (at, line) in hits.lines().iter().enumerate().rev().filter(|(at, _)| kept[*at]) {
        if line.is_hit() {
            follows[at] = next == Some(line.file);
            next = Some(line.file);
        } else if !is_break(hits, line) {
            next = None;
        }
    }
    follows
}

/// Whether `--` stands between two hits exactly where their numbers or paths do not go on, and
/// often enough for that to be worth saying.
fn breaks_are_implied(hits: &Hits<'_>) -> bool {
    let lines = hits.lines();
    let mut breaks = 0;
    let mut last: Option<(usize, &Line)> = None;
    for (at, line) in lines.iter().enumerate() {
        if !line.is_hit() {
            if !is_break(hits, line) {
                last = None;
            }
            continue;
        }
        if let Some((before, hit)) = last {
            let goes_on = hit.file == line.file && goes_on(hits.number(hit), hits.number(line));
            let apart = at - before;
            if apart != if goes_on { 1 } else { 2 } {
                return false;
            }
            breaks += apart - 1;
        }
        last = Some((at, line));
    }
    breaks > 8
}

/// Whether the reader keeps its path across `line`.
fn is_break(hits: &Hits<'_>, line: &Line) -> bool {
    &hits.source()[line.range.clone()] == "--\n"
}

struct Speller<'h, 'a> {
    hits: &'h Hits<'a>,
    follows: Vec<bool>,
    names: Names<'a>,
    /// Whether `--` is left to the reader between hits under paths.
    implied: bool,
    /// The line last written, if it is under a path.
    under: Option<usize>,
    /// The file whose path stands above.
    file: Option<usize>,
    out: Writer<'h>,
    saved: usize,
}

impl<'a> Speller<'_, 'a> {
    fn lines(&mut self, lines: Range<usize>) {
        if self.hits.is_headed() {
            let of = &self.hits.lines()[lines];
            if let (Some(first), Some(last)) = (of.first(), of.last()) {
                self.out.keep(first.range.start..last.range.end);
            }
            return;
        }
        let mut at = lines.start;
        while at < lines.end {
            at = self.line(at, lines.end);
        }
    }

    /// Spells line `at`, with those up to `end` that share its text, and returns the next.
    fn line(&mut self, at: usize, end: usize) -> usize {
        let hits = self.hits;
        let source = hits.source();
        let all = hits.lines();
        let line = &all[at];
        if !line.is_hit() || !self.is_under(at) {
            if !is_break(hits, line) {
                self.file = None;
            } else if self.implied
                && self.under == at.checked_sub(1)
                && self.under.is_some()
                && at + 1 < end
                && all[at + 1].is_hit()
                && self.is_under(at + 1)
            {
                self.under = Some(at);
                self.out.rewrite(line.range.clone(), |_| ());
                return at + 1;
            }
            self.under = None;
            self.out.keep(line.range.clone());
            return at + 1;
        }
        if self.file == Some(line.file) {
            self.saved += line.path_end - line.range.start;
        } else {
            self.file = Some(line.file);
            self.out.rewrite(line.range.start..line.range.start, |out| {
                marker::escape(hits.path(line.file), out);
                out.push('\n');
            });
        }
        let is_numbered = line.number_end > line.path_end;
        let text = &source[line.number_end..line.range.end];
        let mut last = at;
        if is_numbered && text.ends_with('\n') && !self.out.is_cut(&line.range) {
            while last + 1 < end
                && all[last + 1].is_hit()
                && all[last + 1].file == line.file
                && all[last + 1].number_end > all[last + 1].path_end
                && source[all[last + 1].number_end..all[last + 1].range.end] == *text
            {
                last += 1;
            }
        }
        for line in &all[at..last] {
            self.saved += text.len();
            self.out.rewrite(line.range.clone(), |out| {
                out.push_str(&source[line.path_end + 1..line.number_end]);
                out.push(',');
            });
        }
        let line = &all[last];
        let from = line.path_end + usize::from(is_numbered);
        self.out.rewrite(line.range.start..from, |_| ());
        self.named(line, from);
        self.under = Some(last);
        last + 1
    }

    /// Writes a hit's text from `from`, its separator, by name where it has one.
    fn named(&mut self, line: &Line, from: usize) {
        let source = self.hits.source();
        let text = self.hits.text(line).trim_start();
        let start = line.number_end + 1 + self.hits.text(line).len() - text.len();
        if self.out.is_cut(&line.range) {
            self.out.text(from..line.range.end);
            return;
        }
        let spelling = match self.names.spell(text) {
            Spelling::Whole => {
                self.out.text(from..line.range.end);
                return;
            }
            Spelling::Named(name) => format!("[~{name}:]"),
            Spelling::Again(name) => {
                self.saved += text.len();
                format!("[~{name}]")
            }
        };
        let end = start + text.len();
        let again = !spelling.ends_with(":]");
        self.out.rewrite(from..line.range.end, |out| {
            marker::escape(&source[from..start], out);
            out.push_str(&spelling);
            if !again {
                marker::escape(text, out);
            }
            out.push_str(&source[end..line.range.end]);
        });
    }

    /// Whether line `at` is written under its path.
    fn is_under(&self, at: usize) -> bool {
        let line = &self.hits.lines()[at];
        if self.file == Some(line.file) {
            return true;
        }
        let path = self.hits.path(line.file);
        (self.follows[at] || self.names.has(self.hits.text(line).trim_start()))
            && path != "--"
            && numbered(path).is_none()
            && !path.is_empty()
    }

    fn gap(&mut self, lines: Range<usize>, note: String) {
        let all = self.hits.lines();
        self.under = None;
        self.out.lines(all[lines.start].range.start..all[lines.end - 1].range.end, lines, note);
    }
}
