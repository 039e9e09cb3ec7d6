//! What one call of the retrieval tool returns.

mod search;
mod units;

use std::{collections::HashMap, fmt::Write as _, ops::Range};

use super::{
    Handle, Unit,
    tool::{BadArguments, Unresolved},
};
use crate::tokens::TokenCounter;
use units::{Piece, Units, ceil, floor};

/// One retrieval: which original, and which part of it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The original's handle, repeated in the answer's first line.
    pub handle: Handle,
    /// What to search for.
    pub query: Option<&'a str>,
    /// The first and last unit wanted, from 1, both included.
    pub range: Option<(usize, usize)>,
    /// What `range` counts, where it is known; else it is seen from the original: items of a JSON
    /// array or object, lines of anything else.
    pub unit: Option<Unit>,
    /// The most tokens the answer may have, its first line (at most about 80 tokens) aside.
    pub budget: usize,
}

impl<'a> Request<'a> {
    /// A request for as much of the original as fits into `budget` tokens.
    #[must_use]
    pub fn new(handle: Handle, budget: usize) -> Self {
        Self { handle, query: None, range: None, unit: None, budget }
    }

    /// Asks for units `first` to `last` only.
    #[must_use]
    pub fn range(mut self, first: usize, last: usize) -> Self {
        self.range = Some((first, last));
        self
    }

    /// Asks for the units that answer `query` only.
    #[must_use]
    pub fn query(mut self, query: &'a str) -> Self {
        self.query = Some(query);
        self
    }
}

/// Tokens that a line saying where a part lies costs, about.
const GAP: usize = 10;
/// How many of an original's units around a hit are shown with it.
const CONTEXT: usize = 2;
/// At least this many tokens are given, whatever the budget.
const FLOOR: usize = 32;

/// The text that answers `request` from its `original`.
///
/// One line says what follows and how to get more; the rest is text of the original, verbatim,
/// with a line like `-- lines 57-60 --` before each part that does not follow the one before.
/// Never empty; time is linear in the original, but for sorting what matches.
///
/// ```
/// use headroom_engine::{ccr::{Handle, HandleKey, answer::{Request, answer}}, tokens::O200k};
/// let original = "one\ntwo\nthree\n";
/// let handle = Handle::new(&HandleKey::default(), "text", original);
/// let text = answer(original, &Request::new(handle, 1000).range(2, 3), &O200k);
/// assert!(text.ends_with("two\nthree"));
/// ```
#[must_use]
pub fn answer(original: &str, request: &Request<'_>, counter: &dyn TokenCounter) -> String {
    let budget = request.budget.max(FLOOR);
    let query = request.query.map(str::trim).filter(|query| !query.is_empty());
    if original.is_empty() {
        return format!("#{}: the original is empty", request.handle);
    }
    if query.is_none() && request.range.is_none() && fits(original, budget, counter) {
        let units = Units::of(original, request.unit);
        return format!("#{}: all {}\n{original}", request.handle, amount(&units));
    }
    if let (Some(Unit::Bytes), Some((first, last)), None) = (request.unit, request.range, query) {
        return bytes(original, request.handle, first, last, budget, counter);
    }
    let units = choose(original, request);
    let within = request.range.map_or(0..units.len(), |(first, last)| clamp(first, last, units.len()));
    let page = Page { units: &units, handle: request.handle, budget, counter };
    match query {
        Some(query) => page.search(query, within),
        None if request.range.is_some() => page.range(within, request.range),
        None => page.ends(),
    }
}

/// The units a range counts: lines, if there are too few items for it.
fn choose<'a>(original: &'a str, request: &Request<'_>) -> Units<'a> {
    let units = Units::of(original, request.unit);
    if units.unit == Unit::Items && request.unit.is_none() {
        if let Some((first, _)) = request.range.filter(|(first, _)| *first > units.len()) {
            let lines = Units::lines(original);
            if first <= lines.len() {
                return lines;
            }
        }
    }
    units
}

/// `first..=last` from 1 as a range from 0 that is not empty; the end if it lies behind it.
fn clamp(first: usize, last: usize, len: usize) -> Range<usize> {
    let (first, last) = (first.min(last), first.max(last));
    let first = first.clamp(1, len.max(1)) - 1;
    first..last.clamp(first + 1, len.max(1))
}

/// Whether `text` has at most `budget` tokens; counts only where length does not tell.
fn fits(text: &str, budget: usize, counter: &dyn TokenCounter) -> bool {
    text.len() <= budget || (text.len() / 64 <= budget && counter.count(text) <= budget)
}

fn amount(units: &Units<'_>) -> String {
    match units.len() {
        1 => format!("1 {}", &units.unit.word()[..4]),
        len => format!("{len} {}", units.unit.word()),
    }
}

fn bytes(
    original: &str,
    handle: Handle,
    first: usize,
    last: usize,
    budget: usize,
    counter: &dyn TokenCounter,
) -> String {
    let wanted = clamp(first, last, original.len());
    let wanted = floor(original, wanted.start)..ceil(original, wanted.end);
    let end = wanted.start + prefix(&original[wanted.clone()], budget, counter);
    let mut out = format!("#{handle}: bytes {}-{end} of {}", wanted.start + 1, original.len());
    if end < wanted.end {
        let _ = write!(out, "; next: range \"bytes {}-{}\"", end + 1, wanted.end);
    }
    out.push('\n');
    out.push_str(&original[wanted.start..end]);
    out
}

/// How many bytes of the start of `text`, at least one character, have at most `budget` tokens.
fn prefix(text: &str, budget: usize, counter: &dyn TokenCounter) -> usize {
    if fits(text, budget, counter) {
        return text.len();
    }
    // Bytes double until too long, then halve the gap: the text counted stays within a small
    // multiple of what is returned.
    let (mut low, mut high) = (0, budget.min(text.len()));
    while high < text.len() && counter.count(&text[..floor(text, high)]) <= budget {
        low = high;
        high = (high * 2).min(text.len());
    }
    while high - low > 16 {
        let middle = low + (high - low) / 2;
        if counter.count(&text[..floor(text, middle)]) <= budget {
            low = middle;
        } else {
            high = middle;
        }
    }
    floor(text, low).max(ceil(text, 1))
}

struct Page<'a> {
    units: &'a Units<'a>,
    handle: Handle,
    budget: usize,
    counter: &'a dyn TokenCounter,
}

impl Page<'_> {
    /// The first units of `within` that fit, and where to go on.
    fn range(&self, within: Range<usize>, asked: Option<(usize, usize)>) -> String {
        let units = self.units;
        let slice = units.slice(within.start, within.end - 1);
        let beyond = asked.filter(|(first, last)| (*first).min(*last) > units.len());
        let mut out = format!("#{}: ", self.handle);
        if beyond.is_some() {
            let _ = write!(out, "there are only {}; ", amount(units));
        }
        if fits(slice, self.budget, self.counter) {
            let label = units.label(within.start, within.end - 1);
            let _ = write!(out, "{label} of {}\n{slice}", units.len());
            return out;
        }
        let end = within.start + self.head(within.clone(), self.budget);
        if end == within.start {
            // Not even one unit fits.
            let span = units.spans[within.start].clone();
            let kept = prefix(&units.text[span.clone()], self.budget, self.counter);
            let label = units.label(within.start, within.start);
            let _ = write!(
                out,
                "the start of {label} of {}; next: range \"bytes {}-{}\"\n{}",
                units.len(),
                span.start + kept + 1,
                units.spans[within.end - 1].end,
                &units.text[span.start..span.start + kept],
            );
            return out;
        }
        let label = units.label(within.start, end - 1);
        let _ = write!(
            out,
            "{label} of {}; next: range \"{}\"\n{}",
            units.len(),
            numbers(end + 1, within.end),
            units.slice(within.start, end - 1)
        );
        out
    }

    /// How many units from the start of `within` fit into `budget`.
    fn head(&self, within: Range<usize>, budget: usize) -> usize {
        self.fitting(within, budget, false)
    }

    fn fitting(&self, within: Range<usize>, budget: usize, back: bool) -> usize {
        let mut left = budget;
        let mut count = 0;
        for step in 0..within.len() {
            let at = if back { within.end - 1 - step } else { within.start + step };
            let Some(rest) =
                self.cost(self.units.spans[at].clone(), left).and_then(|cost| left.checked_sub(cost))
            else {
                break;
            };
            left = rest;
            count += 1;
        }
        count
    }

    /// The tokens of a span and its line end, `None` if certainly more than `most`.
    fn cost(&self, span: Range<usize>, most: usize) -> Option<usize> {
        (span.len() / 64 <= most).then(|| self.counter.count(&self.units.text[span]) + 1)
    }

    /// The start and the end of an original that does not fit.
    fn ends(&self) -> String {
        let units = self.units;
        let tail_budget = self.budget / 4;
        let head = self.head(0..units.len(), self.budget - tail_budget - GAP);
        if head == 0 || units.len() == 1 {
            return self.long(&format!("too long, here are its start and end; {}", self.how()));
        }
        let tail = self.fitting(head..units.len(), tail_budget, true);
        let mut out = format!(
            "#{}: {} are too long for one answer, here are the first and last; {}\n{}",
            self.handle,
            amount(units),
            self.how(),
            units.slice(0, head - 1),
        );
        if tail > 0 {
            let label = units.label(units.len() - tail, units.len() - 1);
            let _ = write!(out, "\n-- {label} --\n{}", units.slice(units.len() - tail, units.len() - 1));
        }
        out
    }

    /// The first and the last bytes.
    fn long(&self, note: &str) -> String {
        let text = self.units.text;
        let kept = prefix(text, self.budget * 3 / 4, self.counter);
        let mut out = format!("#{}: {}: {note}\n{}", self.handle, amount(self.units), &text[..kept]);
        let rest = &text[kept..];
        // A byte is at most one token for byte-level vocabularies.
        let tail = ceil(rest, rest.len().saturating_sub(self.budget / 4 - GAP.min(self.budget / 4)));
        if tail < rest.len() {
            let _ = write!(out, "\n-- bytes {}-{} --\n{}", kept + tail + 1, text.len(), &rest[tail..]);
        }
        out
    }

    fn how(&self) -> &'static str {
        match (self.units.unit, self.units.len()) {
            (_, 1) => "more: query, or range \"bytes 1000-9000\"",
            (Unit::Items, _) => "more: range in items, e.g. \"20-40\", or query",
            _ => "more: range in lines, e.g. \"200-300\", or query",
        }
    }

    /// The pieces that answer `query`, in source order.
    fn search(&self, query: &str, within: Range<usize>) -> String {
        let units = self.units;
        let pieces = units.pieces(within.clone());
        let scores = search::scores(units.text, &pieces, query);
        let mut order: Vec<usize> = (0..pieces.len()).filter(|at| scores[*at] > 0.0).collect();
        let shown: String = query.chars().filter(|c| !c.is_control()).take(60).collect();
        if order.is_empty() {
            let mut page = String::new();
            let head = self.head(within.clone(), (self.budget / 4).max(FLOOR));
            let _ = write!(
                page,
                "#{}: nothing in {} of {} matches {shown:?}; ",
                self.handle,
                units.label(within.start, within.end - 1),
                units.len()
            );
            if head == 0 {
                let span = units.spans[within.start].clone();
                let kept = prefix(&units.text[span.clone()], (self.budget / 4).max(FLOOR), self.counter);
                let _ = write!(page, "it starts like this\n{}", &units.text[span.start..span.start + kept]);
            } else {
                let _ = write!(
                    page,
                    "here is {}; try other words or a range\n{}",
                    units.label(within.start, within.start + head - 1),
                    units.slice(within.start, within.start + head - 1)
                );
            }
            return page;
        }
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
        let (picked, complete) = self.pick(&pieces, &order);
        let mut out = format!(
            "#{}: {} of {} match {shown:?}, {}",
            self.handle,
            order.len(),
            amount(units),
            if complete {
                "all here with their surroundings"
            } else {
                "the best here; more: range or a narrower query"
            },
        );
        let mut at = 0;
        while at < picked.len() {
            let start = at;
            while at + 1 < picked.len() && picked[at + 1] == picked[at] + 1 {
                at += 1;
            }
            let (first, last) = (&pieces[picked[start]], &pieces[picked[at]]);
            let label = if first.whole && last.whole {
                units.label(first.unit, last.unit)
            } else {
                let label = units.label(first.unit, last.unit);
                format!("in {label}, bytes {}-{}", first.span.start + 1, last.span.end)
            };
            let _ = write!(out, "\n-- {label} --\n{}", &units.text[first.span.start..last.span.end]);
            at += 1;
        }
        out
    }

    /// Which pieces to show, best first until the budget is used: a few of each kind, their
    /// surroundings, then the rest. Also whether all of `order` are among them.
    fn pick(&self, pieces: &[Piece], order: &[usize]) -> (Vec<usize>, bool) {
        let mut taken = vec![false; pieces.len()];
        let mut left = self.budget;
        let mut take = |at: usize, left: &mut usize| {
            if taken[at] {
                return true;
            }
            let near = (at > 0 && taken[at - 1]) || taken.get(at + 1) == Some(&true);
            let gap = if near { 0 } else { GAP };
            let room = left.saturating_sub(gap);
            let cost = self.cost(pieces[at].span.clone(), room).filter(|cost| *cost <= room);
            if let Some(cost) = cost {
                taken[at] = true;
                *left = room - cost;
            }
            cost.is_some()
        };
        let mut seen: HashMap<u64, u32> = HashMap::new();
        let mut later = Vec::new();
        let mut complete = true;
        let mut misses = 0;
        let mut first = Vec::new();
        for &at in order {
            let count = seen.entry(search::template(&self.units.text[pieces[at].span.clone()])).or_insert(0);
            *count += 1;
            if *count > 3 {
                later.push(at);
            } else {
                first.push(at);
            }
        }
        // A quarter is kept for surroundings and for more of the same.
        let reserve = self.budget / 4;
        left -= reserve;
        let mut hits = Vec::new();
        for &at in &first {
            if take(at, &mut left) {
                hits.push(at);
            } else {
                complete = false;
                misses += 1;
                if misses > 64 || left < GAP {
                    break;
                }
            }
        }
        left += reserve;
        for &at in hits.iter().take(64) {
            let from = at.saturating_sub(CONTEXT);
            for near in (from..at).rev().chain(at + 1..(at + 1 + CONTEXT).min(pieces.len())) {
                take(near, &mut left);
            }
        }
        misses = 0;
        for &at in first.iter().chain(&later) {
            if misses > 64 || left < GAP {
                complete = false;
                break;
            }
            if !take(at, &mut left) {
                complete = false;
                misses += 1;
            }
        }
        let mut picked: Vec<usize> = (0..pieces.len()).filter(|at| taken[*at]).collect();
        if picked.is_empty() {
            picked.extend(order.first());
        }
        let complete = complete && order.iter().all(|at| taken[*at]);
        (picked, complete)
    }
}

fn numbers(first: usize, last: usize) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

/// How many handles an error lists.
const LISTED: usize = 20;

/// What the model reads when its handle names nothing: what went wrong, and up to 20 handles it
/// may use, each with what it stands for.
#[must_use]
pub fn unresolved<'a>(error: &Unresolved, known: impl IntoIterator<Item = (Handle, &'a str)>) -> String {
    let mut out = format!("Error: {error}.");
    let mut known = known.into_iter().peekable();
    if known.peek().is_none() {
        out.push_str(" Nothing is left out here: all text is as you see it.");
        return out;
    }
    out.push_str(" Handles you can use:");
    for (handle, what) in known.by_ref().take(LISTED) {
        let what: String = what.chars().filter(|c| !c.is_control()).take(80).collect();
        let _ = write!(out, "\n{handle} {what}");
    }
    let more = known.count();
    if more > 0 {
        let _ = write!(out, "\nand {more} more");
    }
    out
}

/// What the model reads when its arguments cannot be understood.
#[must_use]
pub fn bad_arguments(error: &BadArguments) -> String {
    format!("Error: {error}.")
}

/// What the model reads when a known handle's original is not to be had any more.
#[must_use]
pub fn missing(handle: Handle) -> String {
    format!("Error: the text behind {handle} is no longer available. Run the tool that returned it again.")
}

/// What the model reads when it has asked too often in one turn.
#[must_use]
pub fn limit_reached() -> &'static str {
    "Error: no more retrievals in this turn. Answer with what you have."
}
