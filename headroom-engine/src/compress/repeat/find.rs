//! Which lines of a result the conversation already shows, and what is said instead.

use std::{ops::Range, sync::Arc};

use super::{Earlier, Here, Holder, Index, Place, Reference, Repeats};
use crate::{
    reduce::{Op, Reduction, Segment},
    tokens::TokenCounter,
};

/// Shorter runs, in bytes, are not looked at.
const SHORT: usize = 48;

/// What a reference must save, in tokens: each one is a place that the reader has to look up.
const LEAST: usize = 16;

/// How many earlier lines a run is tried at.
const TRIED: usize = 8;

/// Shorter parts between references, in bytes, stay as they are.
const PART: usize = 512;

/// The lines of a source that earlier results show.
#[derive(Debug)]
pub(crate) struct Found {
    /// Without the last newline, in order; each reference names its result.
    runs: Vec<(Range<usize>, Reference)>,
    codec: Arc<Repeats>,
}

/// Looks in `index` for the lines of `source`, whose digest is `digest`. Linear in its lines.
pub(crate) fn find(
    source: &str,
    digest: &[u8; 32],
    index: &Index,
    counter: &dyn TokenCounter,
) -> Option<Found> {
    if let Some(earlier) = index.whole(digest) {
        let reference = Reference {
            lines: None,
            of: Some(earlier.place()),
            here: Here::Same,
            note: earlier.note().to_owned(),
        };
        let codec = Arc::new(Repeats::new([Arc::clone(earlier)]));
        return Some(Found { runs: vec![(0..source.len(), reference)], codec });
    }
    let nowhere = Place { holder: Holder::Result, number: 0, part: None };
    let here = Earlier::new(nowhere, "", source);
    let search = Search { hashes: here.hashes().collect(), here, index };
    let mut runs: Vec<(Range<usize>, Reference)> = Vec::new();
    let mut earlier: Vec<Arc<Earlier>> = Vec::new();
    let (mut at, mut free) = (0, 0);
    let mut last: Option<Place> = None;
    while at < search.hashes.len() {
        let Some(run) = search.best(at, free, last) else {
            at += 1;
            continue;
        };
        let range = search.here.inside(run.lines.clone());
        if range.len() < SHORT {
            at += 1;
            continue;
        }
        at = run.lines.end;
        free = at;
        let Some((text, reference)) = search.reference(&run) else { continue };
        let spelled = written(&reference, last).to_string();
        if counter.count(&source[range.clone()]) < counter.count(&spelled) + LEAST {
            continue;
        }
        last = reference.of;
        if !earlier.iter().any(|known| Arc::ptr_eq(known, text)) {
            earlier.push(Arc::clone(text));
        }
        runs.push((range, reference));
    }
    (!runs.is_empty()).then(|| Found { runs, codec: Arc::new(Repeats::new(earlier)) })
}

/// As it is written behind a reference to `last`.
fn written(reference: &Reference, last: Option<Place>) -> Reference {
    match reference.of {
        of if of == last => Reference { of: None, note: String::new(), ..reference.clone() },
        _ => reference.clone(),
    }
}

/// Lines of the source, and where the first of them stands in the index.
#[derive(Clone, Debug)]
struct Run {
    lines: Range<usize>,
    there: usize,
}

struct Search<'a> {
    here: Earlier,
    hashes: Vec<u64>,
    index: &'a Index,
}

impl Search<'_> {
    /// The longest run that holds line `at` and starts at `free` or later.
    fn best(&self, at: usize, free: usize, last: Option<Place>) -> Option<Run> {
        let tried = self.index.with(self.hashes[at]).take(TRIED);
        let runs = tried.map(|there| self.around(at, there, free));
        runs.max_by_key(|run| {
            let there = self.index.get(run.there);
            let text = there.and_then(|line| self.index.text(line.text));
            let same = text.zip(there).is_some_and(|(text, line)| {
                self.here.gutter(run.lines.start) == text.gutter(line.line as usize)
            });
            let follows = text.is_some_and(|text| Some(text.place()) == last);
            (run.lines.len(), same, follows, run.there)
        })
    }

    /// Extends the pair of equal lines `at` and `there` both ways.
    fn around(&self, at: usize, there: usize, free: usize) -> Run {
        let mut count = 1;
        while self.next(at + count, there + count) {
            count += 1;
        }
        let mut before = 0;
        while at - before > free
            && there > before
            && self.next(at - before, there - before)
            && self.equal(at - before - 1, there - before - 1)
        {
            before += 1;
        }
        Run { lines: at - before..at + count, there: there - before }
    }

    fn equal(&self, at: usize, there: usize) -> bool {
        self.index.get(there).is_some_and(|line| self.hashes.get(at) == Some(&line.hash))
    }

    /// Whether both lines are equal and go on from those before them, in one text and one gutter.
    fn next(&self, at: usize, there: usize) -> bool {
        let (Some(line), Some(before)) = (self.index.get(there), self.index.get(there.wrapping_sub(1)))
        else {
            return false;
        };
        self.equal(at, there)
            && line.text == before.text
            && line.line == before.line + 1
            && self.here.joined(at)
            && self.index.text(line.text).is_some_and(|text| text.joined(line.line as usize))
    }

    fn reference(&self, run: &Run) -> Option<(&Arc<Earlier>, Reference)> {
        let line = self.index.get(run.there)?;
        let text = self.index.text(line.text)?;
        let there = line.line as usize;
        let first = text.number(there)?;
        let number =
            |text: &Earlier, line| text.rows_of(line).map(|rows| (rows.gutter, rows.number_of(line)));
        let here = match (number(&self.here, run.lines.start), number(text, there)) {
            (here, there) if here == there => Here::Same,
            (None, _) => Here::Bare,
            (Some((style, from)), Some((other, _))) if style == other => Here::From(from),
            (Some((style, from)), _) => {
                let mut gutter = String::new();
                style.write(from, &mut gutter);
                Here::Styled(gutter)
            }
        };
        let lines = Some((first, first + run.lines.len() - 1));
        let reference = Reference { lines, of: Some(text.place()), here, note: text.note().to_owned() };
        Some((text, reference))
    }
}

impl Found {
    /// How many bytes of the source they are.
    pub(crate) fn bytes(&self) -> usize {
        self.runs.iter().map(|(range, _)| range.len()).sum()
    }

    /// References, and between them what `specialist` makes of the rest.
    pub(crate) fn reduction(
        &self,
        source: &str,
        mut specialist: impl FnMut(&str) -> Option<Reduction>,
    ) -> Reduction {
        let mut parts: Vec<Reduction> = Vec::new();
        let mut open = Open { codec: &self.codec, start: 0, ops: Vec::new() };
        let mut last = None;
        let mut from = 0;
        let end = source.len()..source.len();
        let runs = self.runs.iter().map(|(range, reference)| (range.clone(), Some(reference)));
        for (range, reference) in runs.chain([(end, None)]) {
            // The newline behind a reference stays with it.
            let rest = if from > 0 && from < range.start { from + 1 } else { from };
            let part = source.get(rest..range.start).filter(|part| part.len() >= PART);
            match part.and_then(&mut specialist) {
                Some(reduction) => {
                    open.keep(from..rest);
                    parts.extend(open.close(rest));
                    parts.push(reduction.shifted(rest));
                    open.start = range.start;
                    last = None;
                }
                None => open.keep(from..range.start),
            }
            if let Some(reference) = reference {
                let text = written(reference, last).to_string();
                last = reference.of;
                open.ops.push(Op::Rewrite { range: range.clone(), text });
            }
            from = range.end;
        }
        parts.extend(open.close(source.len()));
        Reduction::joined(parts)
    }
}

/// A segment of references that is still being written.
struct Open<'a> {
    codec: &'a Arc<Repeats>,
    start: usize,
    ops: Vec<Op>,
}

impl Open<'_> {
    fn keep(&mut self, range: Range<usize>) {
        if !range.is_empty() {
            self.ops.push(Op::Keep(range));
        }
    }

    fn close(&mut self, end: usize) -> Option<Reduction> {
        let ops = std::mem::take(&mut self.ops);
        let codec = Arc::<Repeats>::clone(self.codec);
        let segment = Segment { range: self.start..end, codec, ops };
        (!segment.ops.is_empty()).then(|| Reduction { segments: vec![segment] })
    }
}
