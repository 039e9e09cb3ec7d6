//! What one call of the retrieval tool returns.

mod search;
mod units;

use std::{collections::HashMap, fmt::Write as _, ops::Range};

use super::{
    Handle, Unit,
    tool::{Arguments, BadArguments, Unresolved},
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
    /// The most tokens the answer may have, its first line (at most about 100 tokens) aside.
    pub budget: usize,
}

impl<'a> Request<'a> {
    /// A request for as much of the original as fits into `budget` tokens.
    #[must_use]
    pub fn new(handle: Handle, budget: usize) -> Self {
        Self { handle, query: None, range: None, unit: None, budget }
    }

    /// What a call with `arguments` asks for.
    #[must_use]
    pub fn of(handle: Handle, arguments: &'a Arguments, budget: usize) -> Self {
        let (query, range, unit) = (arguments.query(), arguments.range(), arguments.unit());
        Self { handle, query, range, unit, budget }
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
/// How many units behind one of the best hits are shown where there is room.
const BODY: usize = 24;
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
    // A short original is given whole even to a query: asking twice costs more than reading it.
    let enough = if query.is_some() { budget / 4 } else { budget };
    if request.range.is_none() && fits(original, enough, counter) {
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
    if units.unit == Unit::Items
        && request.unit.is_none()
        && let Some((first, _)) = request.range.filter(|(first, _)| *first > units.len())
    {
        let lines = Units::lines(original);
        if first <= lines.len() {
            return lines;
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
        let pieces = units.pieces(within.clone(), self.budget * 2);
        let scores = search::scores(units.text, &pieces, query);
        let mut order: Vec<usize> = (0..pieces.len()).filter(|at| scores[*at] > 0.0).collect();
        let shown: String = query[..floor(query, 60)].chars().filter(|c| !c.is_control()).collect();
        if order.is_empty() {
            let mut page = String::new();
            let head = self.head(within.clone(), (self.budget / 4).max(FLOOR));
            let _ = write!(
                page,
                "#{}: nothing in {} of {} matches \"{shown}\"; ",
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
        let (alone, same) = (search::wants_odd(query), if search::wants_variety(query) { 1 } else { 3 });
        let (picked, complete) = self.pick(&pieces, &order, alone, same);
        let mut out = format!(
            "#{}: {} of {} match \"{shown}\", {}",
            self.handle,
            order.len(),
            amount(units),
            if complete {
                "all here with their surroundings"
            } else {
                "the best here; more: range or a narrower query"
            },
        );
        if picked.is_empty() {
            // Not even the best fits.
            let span = pieces[order[0]].span.clone();
            let kept = prefix(&units.text[span.clone()], self.budget.saturating_sub(GAP), self.counter);
            let end = span.start + kept;
            let _ = write!(out, "\n-- bytes {}-{end} --\n{}", span.start + 1, &units.text[span.start..end]);
        }
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

    /// Which pieces to show, best first until the budget is used: at most `same` of each
    /// template, their surroundings unless `alone`, then the rest. Also whether all of `order` are among them.
    fn pick(&self, pieces: &[Piece], order: &[usize], alone: bool, same: u32) -> (Vec<usize>, bool) {
        let mut taken = vec![false; pieces.len()];
        let mut left = self.budget;
        let mut take = |at: usize, left: &mut usize| {
            if taken[at] {
                return true;
            }
            let near = (at > 0 && taken[at - 1]) || taken.get(at + 1) == Some(&true);
            let gap = if near {
                0
            } else if pieces[at].whole {
                GAP
            } else {
                2 * GAP
            };
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
            if *count > same {
                later.push(at);
            } else {
                first.push(at);
            }
        }
        // A quarter is kept for surroundings and for more of the same.
        let reserve = if alone { 0 } else { self.budget / 4 };
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
        for &at in hits.iter().take(if alone { 0 } else { 64 }) {
            let from = at.saturating_sub(CONTEXT);
            for near in (from..at).rev().chain(at + 1..(at + 1 + CONTEXT).min(pieces.len())) {
                take(near, &mut left);
            }
        }
        // With much room left, what follows the best hits: the body behind a signature.
        for &at in hits.iter().take(if alone { 0 } else { 4 }) {
            for next in at + 1..(at + 1 + BODY).min(pieces.len()) {
                if left < self.budget / 2 || !take(next, &mut left) {
                    break;
                }
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
        let picked: Vec<usize> = (0..pieces.len()).filter(|at| taken[*at]).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ccr::HandleKey, tokens::O200k};
    use proptest::prelude::*;

    /// What the first line and the labels may cost beyond the budget.
    const SLACK: usize = 100;

    fn handle() -> Handle {
        Handle::new(&HandleKey::default(), "text", "x")
    }

    fn ask(original: &str, request: &Request<'_>) -> String {
        let text = answer(original, request, &O200k);
        assert_eq!(text, answer(original, request, &O200k));
        assert!(text.starts_with(&format!("#{}: ", handle())), "{text}");
        let tokens = O200k.count(&text);
        assert!(tokens <= request.budget.max(FLOOR) + SLACK, "{tokens} of {}: {text:.300}", request.budget);
        text
    }

    fn lines(count: usize) -> String {
        (1..=count).map(|at| format!("line {at} of the file\n")).collect()
    }

    fn body(text: &str) -> &str {
        text.split_once('\n').unwrap().1
    }

    #[test]
    fn the_whole_original_where_it_fits() {
        let text = "[~lines 1-2 #123]\n[~~\n";
        assert_eq!(body(&ask(text, &Request::new(handle(), 1000))), text);
        assert_eq!(body(&ask(text, &Request::new(handle(), 1000).query("nothing"))), text);
        assert!(ask("", &Request::new(handle(), 1000)).contains("empty"));
    }

    #[test]
    fn a_range_is_those_lines() {
        let text = lines(1000);
        assert_eq!(
            body(&ask(&text, &Request::new(handle(), 1000).range(57, 58))),
            "line 57 of the file\nline 58 of the file"
        );
        let beyond = ask(&text, &Request::new(handle(), 1000).range(2000, 3000));
        assert!(beyond.contains("only 1000 lines") && beyond.ends_with("line 1000 of the file"));
        let paged = ask(&text, &Request::new(handle(), 100).range(1, 1000));
        let next = paged.split("next: range \"").nth(1).unwrap().split('-').next().unwrap();
        let last: usize = body(&paged).lines().last().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        assert_eq!(next.parse::<usize>().unwrap(), last + 1);
    }

    #[test]
    fn items_of_json_are_cut_as_they_are_written() {
        let text =
            format!("[{}]", (1..=500).map(|at| format!("{{\"id\": {at}.0}}")).collect::<Vec<_>>().join(", "));
        assert_eq!(
            body(&ask(&text, &Request::new(handle(), 1000).range(4, 5))),
            "{\"id\": 4.0}, {\"id\": 5.0}"
        );
        let found = ask(&text, &Request::new(handle(), 500).query("id 417.0"));
        assert!(found.contains("{\"id\": 417.0}"), "{found}");
        let lines = text.replace("}, ", "},\n");
        let request = Request { unit: Some(Unit::Lines), ..Request::new(handle(), 1000).range(4, 4) };
        assert_eq!(body(&ask(&lines, &request)), "{\"id\": 4.0},");
    }

    #[test]
    fn lines_beyond_the_items_are_lines() {
        let text = format!("{{\"a\": [\n{}\n0]}}", vec!["1,"; 500].join("\n"));
        assert_eq!(body(&ask(&text, &Request::new(handle(), 100).range(100, 101))), "1,\n1,");
    }

    #[test]
    fn a_query_finds_and_shows_where() {
        let mut text = lines(2000);
        text.push_str("the needle_in_hay broke\nand its cause\n");
        text.push_str(&lines(2000));
        let found = ask(&text, &Request::new(handle(), 500).query("needle_in_hay"));
        assert!(found.contains("the needle_in_hay broke\nand its cause"), "{found}");
        assert!(found.contains("-- lines 1999-2025 --"), "{found}");
        let none = ask(&text, &Request::new(handle(), 500).query("zebra"));
        assert!(
            none.contains("nothing in lines 1-4002 of 4002 matches") && none.contains("line 1 of"),
            "{none}"
        );
    }

    #[test]
    fn a_query_stays_in_its_range() {
        let text = lines(1000);
        let found = ask(&text, &Request::new(handle(), 200).query("line 57").range(500, 600));
        assert!(
            body(&found)
                .lines()
                .all(|line| line.starts_with("--") || line.contains(" 5") || line.contains(" 600")),
            "{found}"
        );
    }

    #[test]
    fn what_is_too_long_shows_both_ends_and_how_to_go_on() {
        let text = lines(5000);
        let ends = ask(&text, &Request::new(handle(), 400));
        assert!(ends.contains("line 1 of") && ends.ends_with("line 5000 of the file"), "{ends}");
        assert!(ends.contains("range in lines"));
    }

    #[test]
    fn one_long_line_is_searched_and_paged() {
        let text =
            format!("{}needle here {}", "lorem ipsum dolor ".repeat(100_000), "sit amet ".repeat(300_000));
        assert!(ask(&text, &Request::new(handle(), 500).query("needle")).contains("needle here"));
        assert!(ask(&text, &Request::new(handle(), 500)).contains("-- bytes "));
        let paged = ask(&text, &Request::new(handle(), 100).range(1, 1));
        assert!(paged.contains("next: range \"bytes "), "{paged}");
        let request = Request { unit: Some(Unit::Bytes), ..Request::new(handle(), 100).range(1, 5) };
        assert_eq!(body(&ask(&text, &request)), "lorem");
    }

    #[test]
    fn scripts_without_spaces_are_searched() {
        let mut text = "这是一个普通的日志行没有什么特别\n".repeat(1000);
        text.push_str("数据库连接失败请检查配置\n");
        text.push_str(&"这是一个普通的日志行没有什么特别\n".repeat(1000));
        assert!(
            ask(&text, &Request::new(handle(), 200).query("连接失败")).contains("数据库连接失败请检查配置")
        );
    }

    #[test]
    fn errors_say_what_to_do() {
        let known: Vec<Handle> =
            (0..30).map(|at| Handle::new(&HandleKey::default(), "text", &at.to_string())).collect();
        let text = unresolved(
            &Unresolved::Unknown("123456789".into()),
            known.iter().map(|handle| (*handle, "Bash, 300 lines")),
        );
        assert_eq!(text.lines().count(), 1 + LISTED + 1);
        assert!(text.contains(&known[0].to_string()) && text.ends_with("and 10 more"));
        assert!(unresolved(&Unresolved::TooShort("1".into()), []).contains("Nothing is left out"));
        assert!(limit_reached().contains("Answer with what you have"));
    }

    fn originals() -> impl Strategy<Value = String> {
        prop_oneof![
            ".{0,200}",
            proptest::collection::vec("[a-c日 é0-9]{0,40}", 0..200).prop_map(|lines| lines.join("\n")),
            proptest::collection::vec("[a-z\"\\\\]{0,30}", 0..100)
                .prop_map(|texts| serde_json::json!(texts).to_string()),
            (proptest::collection::vec("[a-z ]{0,30}", 0..60), 0usize..400).prop_map(|(texts, times)| {
                serde_json::json!({"a": texts, "b": texts.join(" ").repeat(times)}).to_string()
            }),
            ("[\\[\\]{}\",:1 \n日]{0,80}", 1usize..60).prop_map(|(text, times)| text.repeat(times)),
        ]
    }

    proptest! {
        #[test]
        fn never_empty_and_within_budget(
            original in originals(), query in proptest::option::of("[a-c日 1]{0,12}|error|first|odd"),
            range in proptest::option::of((0usize..300, 0usize..300)), budget in 0usize..600, unit in 0usize..4,
        ) {
            let unit = [None, Some(Unit::Lines), Some(Unit::Items), Some(Unit::Bytes)][unit];
            let request = Request { handle: handle(), query: query.as_deref(), range, unit, budget };
            let text = ask(&original, &request);
            prop_assert!(original.is_empty() || !body(&text).is_empty());
        }

        #[test]
        fn ranges_are_exact(lines in proptest::collection::vec("[a-z日 ]{0,20}", 1..100), a in 1usize..100, b in 1usize..100) {
            let original = lines.join("\n");
            let count = original.lines().count().max(1);
            let (first, last) = (a.min(b).min(count), a.max(b).min(count));
            let request = Request { unit: Some(Unit::Lines), ..Request::new(handle(), 100_000).range(first, last) };
            if !original.is_empty() {
                let text = ask(&original, &request);
                prop_assert_eq!(body(&text), lines[first - 1..last].join("\n"));
            }
        }

        #[test]
        fn every_part_shown_is_the_source(original in originals(), query in "[a-c日 1]{1,12}") {
            let text = ask(&original, &Request::new(handle(), 100).query(&query));
            if !original.contains("\n-- ") && !original.is_empty() {
                let parts = body(&text).split("\n-- ").flat_map(|part| part.split_once(" --\n").map(|(_, part)| part));
                for part in parts {
                    prop_assert!(original.contains(part), "{part:?}");
                }
            }
        }
    }
}
