//! The exact stage: the same lines, spelled shorter in the grammar of [`codec`](super::codec).
//!
//! Lines that tell of errors stay whole, so that they are visible; what is folded is what stands
//! in full elsewhere, or differs from it in numbers only.

use std::{fmt::Write as _, ops::Range};

use super::{
    super::{
        fold::{self, Repeats},
        hash::ByHash,
    },
    codec::{LEGEND_NAMES, name},
    line::{Log, Marks},
    paint::{paint, palette},
    template::{Count, count, slots},
};
use crate::{
    ccr::marker::{INTRODUCER, escape},
    reduce::Op,
};

/// An error that occurs more often than this may be folded into its first occurrence.
const NOISE: u32 = 50;
/// A warning that occurs no more often than this stays whole.
const RARE: u32 = 8;
/// About the tokens of the legend.
const LEGEND: usize = 45;
/// About the tokens of a `[~next 8: [~]]`.
const FRAME: usize = 12;
/// Longest run of lines in one frame.
const LONGEST_FRAME: usize = 400;

/// Spells the lines of `stretches` (in order, apart from each other) and returns the operations
/// for each, and about how many tokens that saves.
pub(super) fn spell(log: &Log<'_>, stretches: &[Range<usize>]) -> (Vec<Vec<Op>>, usize) {
    let (spelled, saved, named) = with(log, stretches, true);
    // A legend and a handful of names must pay for themselves.
    if named > 0 && named < 2 * LEGEND {
        let (spelled, saved, _) = with(log, stretches, false);
        return (spelled, saved);
    }
    (spelled, saved.saturating_sub(if named > 0 { LEGEND } else { 0 }))
}

fn with(log: &Log<'_>, stretches: &[Range<usize>], naming: bool) -> (Vec<Vec<Op>>, usize, usize) {
    let lines = stretches.iter().cloned().flatten();
    let mut speller = Speller {
        log,
        naming,
        named: 0,
        counts: count(lines.map(|at| (at, log.line(at).literal))),
        names: ByHash::default(),
        repeats: Repeats::default(),
        alone: stretches.len() == 1,
        ops: Vec::new(),
        saved: 0,
        unpainted: 0,
    };
    let mut spelled = Vec::with_capacity(stretches.len());
    for stretch in stretches {
        speller.stretch(stretch.clone());
        spelled.push(std::mem::take(&mut speller.ops));
    }
    if !speller.names.is_empty()
        && let Some((ops, stretch)) = spelled.first_mut().zip(stretches.first())
    {
        let at = log.start(stretch.start);
        ops.insert(0, Op::Rewrite { range: at..at, text: LEGEND_NAMES.to_owned() });
    }
    let names = speller.names.len();
    let named = speller.named.saturating_sub(4 * names).max(names.min(1));
    (spelled, speller.saved, named)
}

struct Speller<'l, 'a> {
    log: &'l Log<'a>,
    counts: ByHash<Count>,
    /// The name and the line of each template that has one.
    names: ByHash<(String, usize)>,
    repeats: Repeats,
    /// Nothing is left out, so earlier lines can be referred to.
    alone: bool,
    ops: Vec<Op>,
    saved: usize,
    /// Whether lines may be named, and about how many tokens that saved.
    naming: bool,
    named: usize,
    /// Up to where stand-ins for control sequences were found not to pay.
    unpainted: usize,
}

impl Speller<'_, '_> {
    fn stretch(&mut self, stretch: Range<usize>) {
        let mut at = stretch.start;
        while at < stretch.end {
            at = self.one(at, stretch.end);
        }
    }

    /// Spells line `at` and what can be said with it; returns the first line not yet spelled.
    fn one(&mut self, at: usize, end: usize) -> usize {
        if !self.log.is_complete(at) {
            self.keep(at..at + 1);
            return at + 1;
        }
        if let Some(pairs) = self.counted(at, end) {
            self.note(at..at + 2 * pairs);
            return at + 2 * pairs;
        }
        if let Some(repeat) = self.repeats.find(self.log, at, end) {
            let behind = at + 1 + repeat.len();
            self.line(at);
            self.note(at..behind);
            self.rewrite(at + 1..behind, &repeat.text(), fold::COST);
            return behind;
        }
        if let Some(count) = self.painted(at, end).or_else(|| self.frame(at, end)) {
            self.note(at..at + count);
            return at + count;
        }
        self.line(at);
        self.note(at..at + 1);
        at + 1
    }

    /// Notes where the lines of `range` stand.
    fn note(&mut self, range: Range<usize>) {
        if self.alone {
            self.repeats.note(self.log, range);
        }
    }

    /// Whether line `at` must stand as it is: an error or a verdict, or a warning or diagnostic of
    /// a kind that is rare.
    fn is_whole(&self, at: usize) -> bool {
        let line = self.log.line(at);
        let most = if line.marks.has(Marks::ERROR.and(Marks::SUMMARY)) {
            NOISE
        } else if line.marks.has(Marks::WARN.and(Marks::PLACE)) {
            RARE
        } else {
            return false;
        };
        self.counts.get(&line.literal).is_none_or(|count| count.count <= most)
    }

    /// Spells line `at` by its template, or keeps it.
    fn line(&mut self, at: usize) {
        let line = self.log.line(at);
        let Some(count) = self.counts.get(&line.literal).map(|count| count.count) else {
            return self.keep(at..at + 1);
        };
        if let Some((name, pattern)) = self.names.get(&line.literal) {
            if self.is_whole(at) {
                return self.keep(at..at + 1);
            }
            match fold(name, self.log.text(*pattern), self.log.text(at)) {
                Some((text, cost)) if cost + 1 < usize::from(line.cost) => {
                    self.named += usize::from(line.cost) - cost;
                    self.rewrite(at..at + 1, &text, cost);
                }
                _ => self.keep(at..at + 1),
            }
            return;
        }
        let worth = self.naming && count > 2 && line.cost > 9 && !self.log.text(at).contains(INTRODUCER);
        // A line without words is all slots.
        if worth
            && (!self.is_whole(at) || count > NOISE)
            && let Some(name) = name(self.names.len())
        {
            let start = self.log.start(at);
            self.ops.push(Op::Rewrite { range: start..start, text: format!("[~{name}:]") });
            self.saved = self.saved.saturating_sub(4);
            self.names.insert(line.literal, (name, at));
        }
        self.keep(at..at + 1);
    }

    /// Whether line `at` may be spelled in parts: it is not whole, and nothing else repeats it.
    fn is_free(&self, at: usize) -> bool {
        let line = self.log.line(at);
        !self.is_whole(at)
            && line.cost > 5
            && self.counts.get(&line.literal).is_none_or(|count| count.count <= 2)
            && self.log.is_complete(at)
    }

    /// Gives the control sequences of lines from `at` on stand-ins, if that pays; returns how many.
    fn painted(&mut self, at: usize, end: usize) -> Option<usize> {
        if at < self.unpainted || !self.log.line(at).marks.has(Marks::TERMINAL) {
            return None;
        }
        let free = |at: &usize| self.is_free(*at) && self.log.line(*at).marks.has(Marks::TERMINAL);
        let count = (at..end.min(at + LONGEST_FRAME)).take_while(free).count();
        let lines: Vec<&str> = (at..at + count).map(|at| self.log.text(at)).collect();
        let (palette, saved) = palette(&lines);
        let cost: usize = (at..at + count).map(|line| usize::from(self.log.line(line).cost)).sum();
        if saved < FRAME + cost / 8 {
            self.unpainted = at + count;
            return None;
        }
        let mut text = format!("[~paint {count}:");
        for (stand_in, sequence) in &palette {
            let _ = write!(text, " {stand_in}={sequence}");
        }
        text.push_str("]\n");
        for line in lines {
            escape(&paint(line, &palette), &mut text);
            text.push('\n');
        }
        self.rewrite(at..at + count, &text, cost.saturating_sub(saved));
        Some(count)
    }

    /// Says every other line from `at` on by a number that counts up, if that pays; returns how many
    /// pairs of lines that are.
    fn counted(&mut self, at: usize, end: usize) -> Option<usize> {
        let log = self.log;
        // Other lines that need not stand as they are can be spelled shorter than they are here.
        if at + 4 > end
            || self.is_whole(at)
            || !self.is_whole(at + 1)
            || log.line(at).literal != log.line(at + 2).literal
        {
            return None;
        }
        let line = log.text(at);
        if line.contains(INTRODUCER) {
            return None;
        }
        let (slot, first) = slots(line).find_map(|slot| {
            let first: u64 = line[slot.clone()].parse().ok().filter(|first| *first < u64::MAX / 2)?;
            let is_next =
                log.text(at + 2) == format!("{}{}{}", &line[..slot.start], first + 1, &line[slot.end..]);
            is_next.then_some((slot, first))
        })?;
        let (head, tail) = (&line[..slot.start], &line[slot.end..]);
        let counts = |pair: &usize| {
            let (this, other) = (at + 2 * pair, at + 2 * pair + 1);
            log.is_complete(this)
                && log.is_complete(other)
                && log.text(this) == format!("{head}{}{tail}", first + *pair as u64)
        };
        let pairs = (0..(end - at) / 2).take_while(counts).count();
        let cost: usize = (0..pairs).map(|pair| usize::from(log.line(at + 2 * pair).cost)).sum();
        if cost < 2 * FRAME {
            return None;
        }
        let mut text = format!("[~before {pairs} from {first}: ");
        escape(head, &mut text);
        text.push_str("[~]");
        escape(tail, &mut text);
        text.push_str("]\n");
        let mut others = 0;
        for other in (0..pairs).map(|pair| at + 2 * pair + 1) {
            escape(log.text(other), &mut text);
            text.push('\n');
            others += usize::from(log.line(other).cost);
        }
        self.rewrite(at..at + 2 * pairs, &text, others + FRAME);
        Some(pairs)
    }

    /// Puts lines from `at` on between a common head and tail, if that pays; returns how many.
    fn frame(&mut self, at: usize, end: usize) -> Option<usize> {
        if !self.is_free(at) {
            return None;
        }
        let first = self.log.text(at);
        let (mut head, mut tail) = (first.len(), first.len());
        let (mut best, mut count, mut best_frame) = (FRAME, 0, (0, 0));
        let mut each = (usize::MAX, usize::MAX, 0);
        for next in at + 1..end.min(at + LONGEST_FRAME) {
            if !self.is_free(next) {
                break;
            }
            let text = self.log.text(next);
            head = common_head(&first[..head], text);
            tail = common_tail(&first[first.len() - tail..], text);
            if head + tail < 6 {
                break;
            }
            let lines = next - at + 1;
            let shortest = first.len().min(text.len());
            let tail_here = tail.min(shortest.saturating_sub(head));
            if (each.0, each.1) != (head, tail_here) {
                let tail = first.len() - word_start(first, tail_here);
                each = (head, tail_here, tokens(&first[..head]) + tokens(&first[tail..]));
            }
            if each.2 == 0 {
                break;
            }
            let saved = (each.2 * (lines - 1)).saturating_sub(FRAME);
            if saved > best {
                (best, count, best_frame) = (saved, lines, (head, tail));
            } else if lines > count + 3 && count > 0 {
                break;
            }
        }
        if count < 2 {
            return None;
        }
        let (head, mut tail) = best_frame;
        for line in at..at + count {
            tail = tail.min(self.log.text(line).len() - head);
        }
        let (head, tail) = (&first[..head], &first[first.len() - word_start(first, tail)..]);
        let mut text = format!("[~next {count}: ");
        escape(head, &mut text);
        text.push_str("[~]");
        escape(tail, &mut text);
        text.push_str("]\n");
        for line in at..at + count {
            let line = self.log.text(line);
            escape(&line[head.len()..line.len() - tail.len()], &mut text);
            text.push('\n');
        }
        // Escapes may not join or part where pieces meet.
        if text.contains("[~~") || text.matches("[~").count() != 2 {
            return None;
        }
        let cost: usize = (at..at + count).map(|line| usize::from(self.log.line(line).cost)).sum();
        self.rewrite(at..at + count, &text, cost.saturating_sub(best));
        Some(count)
    }

    fn bytes(&self, lines: &Range<usize>) -> Range<usize> {
        self.log.start(lines.start)..self.log.start(lines.end)
    }

    fn keep(&mut self, lines: Range<usize>) {
        let range = self.bytes(&lines);
        match self.ops.last_mut() {
            Some(Op::Keep(before)) => before.end = range.end,
            _ => self.ops.push(Op::Keep(range)),
        }
    }

    /// Writes `text`, about `cost` tokens, for `lines`.
    fn rewrite(&mut self, lines: Range<usize>, text: &str, cost: usize) {
        let range = self.bytes(&lines);
        let whole: usize = lines.map(|at| usize::from(self.log.line(at).cost)).sum();
        self.saved += whole.saturating_sub(cost);
        match self.ops.last_mut() {
            Some(Op::Rewrite { range: before, text: written }) if before.end == range.start => {
                before.end = range.end;
                written.push_str(text);
            }
            _ => self.ops.push(Op::Rewrite { range, text: text.to_owned() }),
        }
    }
}

/// Says `line` as `pattern`, called `name`, with other numbers, and about how many tokens that is;
/// `None` if it differs in more.
fn fold(name: &str, pattern: &str, line: &str) -> Option<(String, usize)> {
    let mut text = format!("[~{name}");
    let mut cost = 4;
    let mut given = (text.len(), cost);
    let (mut pattern_at, mut line_at) = (0, 0);
    let mut theirs = slots(line);
    for slot in slots(pattern) {
        let value = theirs.next()?;
        if pattern[pattern_at..slot.start] != line[line_at..value.start] {
            return None;
        }
        let (was, is) = (&pattern[slot.clone()], &line[value.clone()]);
        if was == is {
            text.push_str(" _");
            cost += 1;
        } else {
            let same = same_start(was, is);
            text.push(' ');
            if same > 0 {
                text.push('^');
            }
            text.push_str(&is[same..]);
            let length = is.len() - same;
            cost += 1 + length.div_ceil(3) + usize::from(length > 5);
            given = (text.len(), cost);
        }
        (pattern_at, line_at) = (slot.end, value.end);
    }
    if theirs.next().is_some() || pattern[pattern_at..] != line[line_at..] {
        return None;
    }
    text.truncate(given.0);
    text.push_str("]\n");
    Some((text, given.1))
}

/// How much of `is` need not be said because `was` begins so: whole parts, of which a few pay.
fn same_start(was: &str, is: &str) -> usize {
    if was.len() != is.len() {
        return 0;
    }
    let same = was.bytes().zip(is.bytes()).take_while(|(was, is)| was == is).count();
    let parts = is.as_bytes()[..same].iter().rposition(|byte| byte.is_ascii_punctuation()).unwrap_or(0);
    if parts < 4 { 0 } else { parts + 1 }
}

/// How much of `head` also begins `text`, up to the end of a word.
fn common_head(head: &str, text: &str) -> usize {
    let (left, right) = (head.as_bytes(), text.as_bytes());
    let same = left.iter().zip(right).take_while(|(left, right)| left == right).count();
    left[..same]
        .iter()
        .rposition(|byte| byte.is_ascii() && !byte.is_ascii_alphanumeric())
        .map_or(0, |at| at + 1)
}

/// How much of `tail` also ends `text`, from the start of a word.
fn common_tail(tail: &str, text: &str) -> usize {
    let (left, right) = (tail.as_bytes(), text.as_bytes());
    let length = left.iter().rev().zip(right.iter().rev()).take_while(|(left, right)| left == right).count();
    word_start(tail, length)
}

/// The most of the last `length` bytes of `text` that starts where a reader would start.
fn word_start(text: &str, mut length: usize) -> usize {
    while length > 0
        && !matches!(text.as_bytes()[text.len() - length], b' ' | b'\t' | b'(' | b'[' | b'/' | b'"')
    {
        length -= 1;
    }
    length
}

/// About how many tokens `text` is.
fn tokens(text: &str) -> usize {
    let mut tokens = 0;
    let mut run = 0;
    let mut kind = 0u8;
    for byte in text.bytes() {
        let now = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | 0x80.. => 1,
            b'0'..=b'9' => 2,
            b' ' => 3,
            _ => 4,
        };
        run = if now == kind { run + 1 } else { 0 };
        tokens += usize::from(match now {
            1 => run % 8 == 0,
            2 => run % 3 == 0,
            3 => run == 1,
            _ => run == 0,
        });
        kind = now;
    }
    tokens
}
