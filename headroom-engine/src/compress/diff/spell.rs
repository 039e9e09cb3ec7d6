//! Writes kept lines in the grammar of [`codec`](super::codec), and markers between them.

use std::ops::Range;

use super::{
    super::{
        names::{Names, Spelling},
        writer::Writer,
    },
    codec::GIT,
    patch::{Kind, Patch},
};
use crate::{ccr::marker, reduce::Op};

/// What becomes of the lines of a patch.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    /// Runs of lines to leave out, in order, and what each marker notes.
    pub(super) gaps: Vec<(Range<usize>, String)>,
    /// Bytes of kept lines to leave out, in order.
    pub(super) cuts: Vec<Range<usize>>,
}

/// Spells `patch` and returns the operations, and whether any is an exact rewrite.
pub(super) fn spell(patch: &Patch<'_>, choice: &Choice) -> (Vec<Op>, bool) {
    let mut kept = vec![true; patch.lines().len()];
    for (gap, _) in &choice.gaps {
        kept[gap.clone()].fill(false);
    }
    let texts = (0..kept.len()).filter(|at| kept[*at]).filter_map(|at| body(patch, at).map(|(text, _)| text));
    let mut speller = Speller {
        patch,
        names: Names::new(texts),
        out: Writer::new(patch.source(), &choice.cuts),
        saved: false,
    };
    let mut at = 0;
    for (gap, note) in &choice.gaps {
        speller.lines(at..gap.start);
        let all = patch.lines();
        let range = all[gap.start].range.start..all[gap.end - 1].range.end;
        speller.out.lines(range, gap.clone(), note.clone());
        at = gap.end;
    }
    speller.lines(at..kept.len());
    (speller.out.finish(), speller.saved)
}

/// What a line of a hunk says, behind its sign and indentation, and where that starts.
fn body<'a>(patch: &Patch<'a>, at: usize) -> Option<(&'a str, usize)> {
    let line = patch.lines().get(at)?;
    if !matches!(line.kind, Kind::Context | Kind::Added | Kind::Removed) {
        return None;
    }
    // A whole line's end, so that the reader's idea of a line is this one.
    let text = patch.source()[line.range.clone()].trim_end_matches(['\n', '\r']).get(1..)?;
    let body = text.trim_start();
    Some((body, line.range.start + 1 + text.len() - body.len()))
}

struct Speller<'p, 'a> {
    patch: &'p Patch<'a>,
    names: Names<'a>,
    out: Writer<'p>,
    saved: bool,
}

impl<'a> Speller<'_, 'a> {
    fn lines(&mut self, lines: Range<usize>) {
        let mut at = lines.start;
        while at < lines.end {
            if let Some(index) = self.header(at, lines.end) {
                let all = self.patch.lines();
                self.out.rewrite(all[at].range.start..all[at + 1].range.end, |out| {
                    out.push_str(GIT);
                    marker::escape(index, out);
                    out.push_str("]\n");
                });
                self.saved = true;
                at += 2;
                continue;
            }
            self.line(at);
            at += 1;
        }
    }

    fn line(&mut self, at: usize) {
        let range = self.patch.lines()[at].range.clone();
        let named = body(self.patch, at).filter(|(text, _)| self.names.has(text));
        let Some((text, start)) = named.filter(|_| !self.out.is_cut(&range)) else {
            self.out.keep(range);
            return;
        };
        let source = self.patch.source();
        let end = start + text.len();
        let spelling = self.names.spell(text);
        self.out.rewrite(range.clone(), |out| {
            marker::escape(&source[range.start..start], out);
            match spelling {
                Spelling::Whole => marker::escape(text, out),
                Spelling::Named(name) => {
                    out.push_str(&format!("[~{name}:]"));
                    marker::escape(text, out);
                }
                Spelling::Again(name) => out.push_str(&format!("[~{name}]")),
            }
            out.push_str(&source[end..range.end]);
        });
        self.saved = true;
    }

    /// What follows `index ` in the git header at `at`, if its names follow from `---` and `+++`.
    fn header(&self, at: usize, end: usize) -> Option<&'a str> {
        let lines = self.patch.lines();
        if lines.get(at)?.kind != Kind::File || at + 4 > end {
            return None;
        }
        let source = self.patch.source();
        let header = &source[lines[at].range.start..lines[at + 3].range.end];
        let (names, rest) = header.strip_prefix("diff --git ")?.split_once("\nindex ")?;
        let (index, rest) = rest.split_once("\n--- ")?;
        let (old, new) = rest.strip_suffix('\n')?.split_once("\n+++ ")?;
        let plain =
            !index.contains(['\n', ']']) && !new.contains('\n') && !self.out.is_cut(&lines[at + 3].range);
        let implied = names.strip_prefix(old)?.strip_prefix(' ')? == new;
        (plain && implied).then_some(index)
    }
}
