//! Which lines of a result the conversation already shows, and what is said instead.

use std::{ops::Range, sync::Arc};

use super::{Earlier, Here, Holder, Index, Place, Reference, Repeats, reference::INTRODUCER};
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
        let Some((there, reference)) = search.reference(&run) else { continue };
        let spelled = written(&reference, last).to_string();
        let least = counter.count(&spelled) + LEAST;
        let text = &source[range.clone()];
        if words(text, least) < least && counter.count(text) < least {
            continue;
        }
        last = reference.of;
        if !earlier.iter().any(|known| Arc::ptr_eq(known, there)) {
            earlier.push(Arc::clone(there));
        }
        runs.push((range, reference));
    }
    (!runs.is_empty()).then(|| Found { runs, codec: Arc::new(Repeats::new(earlier)) })
}

/// The words of `text`, up to `most`: each one is a token at least.
fn words(text: &str, most: usize) -> usize {
    let mut inside = false;
    let starts = text.bytes().filter(|byte| {
        let before = std::mem::replace(&mut inside, byte.is_ascii_alphanumeric());
        inside && !before
    });
    starts.take(most).count()
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
    pub(crate) fn reduction<'s>(
        &self,
        source: &'s str,
        mut specialist: impl FnMut(&'s str) -> Option<Reduction>,
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
            // What looks like a reference stays with the codec that escapes it: other specialists do
            // not know this grammar.
            let part = source.get(rest..range.start);
            let part = part.filter(|part| part.len() >= PART && !part.contains(INTRODUCER));
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

#[cfg(test)]
mod tests {
    use super::super::Shown;
    use super::*;
    use crate::{reduce::Piece, tokens::O200k};
    use proptest::prelude::*;

    fn index(texts: &[&str]) -> Index {
        let mut index = Index::default();
        for (at, text) in texts.iter().enumerate() {
            let place = Place { holder: Holder::Result, number: at + 1, part: None };
            let digest = *blake3::hash(text.as_bytes()).as_bytes();
            index.push_result([0; 32], digest, Some(Earlier::new(place, "a.rs", text)), &Shown::All);
        }
        index
    }

    fn written(texts: &[&str], source: &str) -> Option<String> {
        let digest = *blake3::hash(source.as_bytes()).as_bytes();
        let found = find(source, &digest, &index(texts), &O200k)?;
        let reduction = found.reduction(source, |_| None);
        let [segment] = &reduction.segments[..] else { panic!("one segment") };
        let mut text = String::new();
        for op in &segment.ops {
            match op {
                Op::Keep(range) => segment.codec.escape(&source[range.clone()], &mut text),
                Op::Rewrite { text: reference, .. } => text.push_str(reference),
                Op::Elide { .. } => panic!("nothing is left out"),
            }
        }
        let mut back = String::new();
        let read = segment.codec.decode(&text, &mut |piece| match piece {
            Piece::Text(text) => back.push_str(&text),
            Piece::Hidden(_) => panic!("nothing is left out"),
        });
        assert_eq!((read, back.as_str()), (Ok(()), source));
        Some(text)
    }

    fn lines(numbers: Range<usize>) -> String {
        numbers.map(|n| format!("let value_{n} = compute(input, {n});\n")).collect()
    }

    #[test]
    fn the_longest_run_wins_and_the_latest_of_equals() {
        let (short, long) = (lines(0..10), lines(0..30));
        assert_eq!(
            written(&[&long, &short], &lines(0..20)).as_deref(),
            Some("[=same as lines 1-20 of result 1: a.rs]\n")
        );
        assert_eq!(
            written(&[&long, &short], &(lines(2..10) + "new")).as_deref(),
            Some("[=same as lines 3-10 of result 2: a.rs]\nnew")
        );
    }

    #[test]
    fn runs_grow_backwards_from_a_rare_line() {
        // More closing braces than are tried stand behind the right one.
        let common = "}\n\n";
        let first = format!("{common}{}", lines(0..10));
        let many = common.repeat(50);
        let source = format!("a new line\n{first}");
        assert_eq!(
            written(&[&first, &many], &source).as_deref(),
            Some("a new line\n[=same as lines 1-13 of result 1: a.rs]")
        );
    }

    #[test]
    fn little_is_left_as_it_is() {
        assert_eq!(written(&[&lines(0..10)], &format!("new\n{}new", lines(3..4))), None);
        assert_eq!(written(&[&"\n".repeat(1000)], &("new\n".to_owned() + &"\n".repeat(900))), None);
    }

    #[test]
    fn parts_between_go_to_their_specialist() {
        let (old, new) = (lines(0..20), lines(50..90));
        let source = format!("{}{new}{}", lines(0..10), lines(10..20));
        let digest = [1; 32];
        let found = find(&source, &digest, &index(&[&old]), &O200k).unwrap();
        let mut asked = Vec::new();
        let reduction = found.reduction(&source, |part| {
            asked.push(part.to_owned());
            Some(Reduction::kept(0..part.len()))
        });
        assert_eq!(asked, [new]);
        let ranges: Vec<Range<usize>> =
            reduction.segments.iter().map(|segment| segment.range.clone()).collect();
        assert_eq!(ranges.len(), 3);
        assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert_eq!((ranges[0].start, ranges[2].end), (0, source.len()));
    }

    proptest! {
        #[test]
        fn whatever_is_found_comes_back(
            texts in proptest::collection::vec("((  [0-9]{1,2}[:\t])?(some words of a line|}|\\[=lines 1\\]|\\[~~)?\r?\n){0,20}", 1..5),
            copies in proptest::collection::vec((0usize..5, 0usize..20, 1usize..12), 1..6),
        ) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let mut source = String::new();
            for (text, from, count) in copies {
                source.extend(texts[text % texts.len()].split_inclusive('\n').skip(from).take(count));
            }
            written(&texts, &source);
        }
    }
}
