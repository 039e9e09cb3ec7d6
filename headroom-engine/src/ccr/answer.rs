//! What one call of the retrieval tool returns.

mod cues;
mod errors;
mod json;
mod page;
mod search;
mod units;

use std::ops::Range;

use super::{Arguments, Handle, Unit};
use crate::tokens::TokenCounter;
pub use errors::{bad_arguments, limit_reached, missing, unreadable, unresolved};
use page::{Page, bytes, fits};
use units::Units;

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
        return format!("#{}: all {}\n{original}", request.handle, units.amount());
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
        let next = paged.split("next: range \"lines ").nth(1).unwrap().split('-').next().unwrap();
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

    #[test]
    fn a_blank_head_is_no_answer() {
        let original = "\na  0ééé0a0000éa0日 \n日0éé0a0éé日a0日a日éé日日日0";
        let request = Request { handle: handle(), query: None, range: None, unit: None, budget: 0 };
        assert!(!body(&ask(original, &request)).trim().is_empty());
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
            prop_assert!(!text.trim().is_empty());
            // A range may name a blank line.
            prop_assert!(range.is_some() || original.trim().is_empty() || !body(&text).is_empty());
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
