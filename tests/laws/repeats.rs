//! References to what earlier results show: read back here by a reader that shares nothing with the
//! engine, from the conversation alone; and what they point at is visible in what was sent.

use std::collections::BTreeMap;

use headroom_engine::{Dialect, Policy, Reason, Rewrite};
use headroom_tests::{
    generate::{
        Call, Content, Part, Talk, Tool, Turn,
        again::{Again, again, ways},
    },
    json::{Spelling, elements, members, object, only, text},
    places::results,
};
use proptest::{collection::vec, prelude::*, sample::Index};

use crate::{
    harness::{CREWS, Crew, cases, chat_fixtures, chats, crews, eager, engine, rewrite, spell, utf8},
    never_worse,
    prefix::{forgets, grows},
    redeem,
};

/// A file, numbered from 0.
fn file(seed: usize, lines: usize) -> String {
    let line = |at: usize| match (at + seed) % 5 {
        0 => String::from("\n"),
        1 => format!("fn part_{seed}_{at}(input: &str) -> Option<usize> {{\n"),
        2 => format!("    let value = input.find({at}).map(|found| found + {seed});\n"),
        3 => "    value\n".to_owned(),
        _ => "}\n".to_owned(),
    };
    (0..lines).map(line).collect()
}

/// A conversation in which these texts are read, one after the other.
pub(crate) fn reads(texts: Vec<String>) -> Talk {
    let turn = |text| {
        let call = Call {
            name: "read_file".into(),
            arguments: object([("path", "src/parse.rs".into())]),
            content: Content::Text(text),
            is_error: false,
        };
        Turn::Model { thinks: false, says: None, calls: vec![call], adds: None }
    };
    let asked = Turn::User(vec![Part::Text("Go on".into())]);
    Talk {
        system: Vec::new(),
        tools: Some(vec![Tool { name: "read_file".into(), description: "Reads a file".into() }]),
        turns: std::iter::once(asked).chain(texts.into_iter().map(turn)).collect(),
        extra: Vec::new(),
    }
}

/// Files read again and again, edited in between, in several views.
fn rereads() -> impl Strategy<Value = Vec<String>> {
    let step = (any::<Index>(), ways(), 0usize..1000);
    (1usize..3, 20usize..60, vec(step, 1..7)).prop_map(|(files, lines, steps)| {
        let mut texts: Vec<String> = (0..files).map(|seed| file(seed, lines)).collect();
        for (from, way, seed) in steps {
            let next = again(&texts[from.index(texts.len())], way, seed);
            texts.push(next);
        }
        texts
    })
}

/// One reference, read.
struct Points<'a> {
    place: &'a str,
    lines: Option<(usize, usize)>,
    here: Option<&'a str>,
}

fn span(numbers: &str) -> (usize, usize) {
    let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
    (first.parse().expect("a number"), last.parse().expect("a number"))
}

/// Reads what stands between `[=` and `]`; `last` is the place that the reference before it names.
fn points<'a>(inner: &'a str, last: &'a str) -> Points<'a> {
    let inner = inner.split_once(": ").map_or(inner, |(inner, _)| inner);
    let (inner, here) = inner.split_once(" here ").map_or((inner, None), |(inner, here)| (inner, Some(here)));
    let inner = inner.strip_prefix("same as ").unwrap_or(inner);
    let (inner, place) = match inner.find("result ").or_else(|| inner.find("call ")) {
        Some(at) => (inner[..at].trim_end_matches(" of "), &inner[at..]),
        None => (inner, last),
    };
    Points { place, lines: inner.strip_prefix("lines ").map(span), here }
}

/// A line and its number, as views print it.
fn numbered(line: &str) -> Option<(usize, &str)> {
    let digits = line.trim_start_matches(' ');
    let end = digits.find(|c: char| !c.is_ascii_digit())?;
    let number = digits[..end].parse().ok()?;
    let separator = digits[end..].chars().next().filter(|c| "\t:| \u{2192}".contains(*c))?;
    Some((number, &digits[end + separator.len_utf8()..]))
}

/// The lines that a reference points at, as they stand there and bare.
fn lines_of(source: &str, (first, last): (usize, usize)) -> Vec<(&str, &str)> {
    let lines: Vec<&str> = source.split('\n').collect();
    // A view with numbers, three or more in a row, is counted by them.
    let number = |at: usize| lines.get(at).and_then(|line| numbered(line)).map(|(number, _)| number);
    let follows = |at: usize| at > 0 && number(at).is_some() && number(at) == number(at - 1).map(|n| n + 1);
    let in_row = |at: &usize| {
        number(*at).is_some()
            && (at.saturating_sub(2)..=*at).any(|from| follows(from + 1) && follows(from + 2))
    };
    let rows: Vec<usize> = (0..lines.len()).filter(in_row).collect();
    if rows.len() * 2 < lines.len() {
        return lines[first - 1..last].iter().map(|line| (*line, *line)).collect();
    }
    let start = rows.into_iter().find(|at| numbered(lines[*at]).is_some_and(|(number, _)| number == first));
    let start = start.expect("a line with that number");
    let lines = &lines[start..start + last + 1 - first];
    lines.iter().map(|line| (*line, numbered(line).expect("a numbered line").1)).collect()
}

/// The texts of a conversation before some block, by their names: as the client sent them, and as
/// the model reads them.
type Texts = BTreeMap<String, (String, String)>;

/// Puts the source together again from `output` and the texts before it, as the client sent them;
/// what is pointed at must stand in what was sent of them. `None` where a specialist wrote what
/// lies between references: the redeem law decodes that.
fn read_back(output: &str, texts: &Texts) -> Option<(String, usize)> {
    let (mut out, mut rest, mut last, mut count) = (String::new(), output, "", 0);
    while let Some(at) = rest.find("[=").or_else(|| rest.find("[~")) {
        let at = rest.find("[~").map_or(at, |other| at.min(other));
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest[2..].starts_with(&rest[1..2]) {
            out.push_str(&rest[..2]);
            rest = &rest[3..];
            continue;
        }
        if !rest.starts_with("[=") {
            return None;
        }
        let end = rest.find(']').expect("an end");
        let points = points(&rest[2..end], last);
        last = points.place;
        count += 1;
        let (source, shown) = texts.get(last).unwrap_or_else(|| panic!("no text before: {last}"));
        match points.lines {
            None => {
                // Perhaps in other words, but all of it.
                let hides = ["[~lines ", "[~items ", "[~bytes "].iter().any(|mark| shown.contains(mark));
                assert!(source == shown || !hides, "a whole result is all there: {shown}");
                out.push_str(source);
            }
            Some(span) => {
                let lines = lines_of(source, span);
                // The first line's gutter tells how wide all are: the last number may fill its own.
                let (head, body) = lines[0];
                for (nth, (whole, bare)) in lines.into_iter().enumerate() {
                    assert!(shown.contains(bare), "not visible: {whole:?}");
                    if nth > 0 {
                        out.push('\n');
                    }
                    out.push_str(&match points.here {
                        None => whole.to_owned(),
                        Some("bare") => bare.to_owned(),
                        Some(quoted) if quoted.starts_with('"') => {
                            let (first, _) = numbered(quoted.trim_matches('"')).expect("a gutter");
                            let style = quoted.trim_matches('"').replacen(&first.to_string(), "@", 1);
                            renumber(&style, first.to_string().len(), first + nth) + bare
                        }
                        Some(numbers) => {
                            let (first, _) = numbered(head).expect("a gutter");
                            let gutter = &head[..head.len() - body.len()];
                            let style = gutter.replacen(&first.to_string(), "@", 1);
                            renumber(&style, first.to_string().len(), self::span(numbers).0 + nth) + bare
                        }
                    });
                }
            }
        }
        rest = &rest[end + 1..];
    }
    Some((out + rest, count))
}

/// `style` with `number` where `@` stands in place of `digits` digits: blanks make room for it.
fn renumber(style: &str, digits: usize, number: usize) -> String {
    let number = number.to_string();
    let blanks = style.find('@').expect("a place");
    let wide = blanks > 0;
    let width = if wide { (blanks + digits).max(number.len()) } else { number.len() };
    format!("{number:>width$}{}", &style[blanks + 1..])
}

/// Whose calls are read here; references of all dialects are decoded by the redeem law.
const CHATS: [Dialect; 2] = [Dialect::AnthropicMessages, Dialect::OpenAiChat];

/// The string arguments of every call: its message, its name in references, the text, and the JSON
/// that the model reads.
fn arguments(dialect: Dialect, body: &str) -> Vec<(usize, String, String, String)> {
    let mut found = Vec::new();
    let mut count = 0;
    for (at, message) in elements(only(body, "messages").expect("messages")).into_iter().enumerate() {
        let calls: Vec<String> = match dialect {
            Dialect::AnthropicMessages => {
                let blocks = elements(only(message, "content").unwrap_or("")).into_iter();
                blocks.filter_map(|block| only(block, "input")).map(str::to_owned).collect()
            }
            _ => {
                let calls = elements(only(message, "tool_calls").unwrap_or("")).into_iter();
                let function = calls.filter_map(|call| only(call, "function"));
                function.filter_map(|function| text(only(function, "arguments")?)).collect()
            }
        };
        for call in calls {
            count += 1;
            let mut texts: Vec<(String, String)> =
                members(&call).into_iter().filter_map(|(key, value)| Some((key, text(value)?))).collect();
            texts.sort();
            for (nth, (_, text)) in texts.iter().enumerate() {
                let part = if texts.len() > 1 { format!(".{}", nth + 1) } else { String::new() };
                found.push((at, format!("call {count}{part}"), text.clone(), call.clone()));
            }
        }
    }
    found
}

/// Every exact block is read back; returns how many references were.
fn visible(dialect: Dialect, body: &str, out: &Rewrite) -> usize {
    let places = results(dialect, body);
    let decoded = |body: &str| -> Vec<String> {
        results(dialect, body).into_iter().map(|place| text(&body[place.span]).expect("text")).collect()
    };
    let (sources, sent) = (decoded(body), decoded(utf8(&out.body)));
    let calls = arguments(dialect, body);
    let mut texts = Texts::new();
    let mut count = 0;
    for (at, block) in out.report.blocks.iter().enumerate() {
        let before = calls.iter().filter(|(message, ..)| *message < places[at].message);
        texts.extend(before.map(|(_, name, text, shown)| (name.clone(), (text.clone(), shown.clone()))));
        if (block.kind, block.reason) == (Some("repeat"), Reason::Exact)
            && let Some((back, references)) = read_back(&sent[at], &texts)
        {
            assert!(back == sources[at], "{}\nis not\n{}\nbut\n{back}", sent[at], sources[at]);
            count += references;
        }
        texts.insert(format!("result {}", at + 1), (sources[at].clone(), sent[at].clone()));
    }
    count
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn what_is_pointed_at_is_visible(crew in crews(), dialect in chats(), texts in rereads(), all: bool) {
        let policy = if all { eager() } else { Policy::exact() };
        let body = spell(dialect, &reads(texts), Spelling::COMPACT);
        let (engine, seen) = engine(crew);
        let out = rewrite(&engine, dialect, &body, &policy);
        visible(dialect, &body, &out);
        redeem::holds(&seen, dialect, &body, &out);
        never_worse::holds(dialect, &body, &out, 20);
    }

    #[test]
    fn the_prefix_law_holds_for_them(
        crew in crews(), dialect in chats(), texts in rereads(), remembers: bool,
    ) {
        let body = spell(dialect, &reads(texts), Spelling::COMPACT);
        grows(&engine(crew).0, dialect, &body, &eager(), remembers);
        forgets(crew, dialect, &body, &eager());
    }
}

/// What became of the last of these texts.
fn last(texts: &[String], policy: &Policy) -> String {
    let mut became = CHATS.map(|dialect| {
        let body = spell(dialect, &reads(texts.to_vec()), Spelling::COMPACT);
        let out = rewrite(&engine(Crew::BuiltIn).0, dialect, &body, policy);
        visible(dialect, &body, &out);
        let places = results(dialect, utf8(&out.body));
        text(&utf8(&out.body)[places.last().expect("a result").span.clone()]).expect("text")
    });
    assert_eq!(became[0], became[1], "the same in both dialects");
    std::mem::take(&mut became[0])
}

#[test]
fn a_file_read_again_is_a_reference() {
    let whole = file(0, 40);
    let of = |way| last(&[whole.clone(), again(&whole, way, 20)], &Policy::exact());
    assert_eq!(of(Again::Same), "[=same as result 1: parse.rs]");
    assert_eq!(
        of(Again::Changed),
        "[=same as lines 1-20 of result 1: parse.rs]\na line that was not there before: 20\n[=lines 22-41]"
    );
    assert_eq!(of(Again::Numbered(7, 0)), "[=same as lines 1-40 of result 1 here \"     7\t\": parse.rs]\n");
    assert_eq!(last(&[whole.clone(), again(&whole, Again::Same, 0)], &Policy::exact().repeats(false)), whole);
}

#[test]
fn views_that_overlap_share_their_lines() {
    let whole: Vec<String> = file(0, 100).split_inclusive('\n').map(str::to_owned).collect();
    let view = |from: usize, to: usize| again(&whole[from..to].concat(), Again::Numbered(from + 1, 0), 0);
    let became = last(&[view(10, 50), view(30, 70)], &Policy::exact());
    assert!(became.starts_with("[=same as lines 31-50 of result 1: parse.rs]\n"), "{became}");
    // Moved by an edit.
    let moved = again(&whole[20..50].concat(), Again::Numbered(24, 0), 0);
    let became = last(&[view(10, 50), moved], &Policy::exact());
    assert_eq!(became, "[=same as lines 21-50 of result 1 here 24-53: parse.rs]\n");
}

/// A line that an earlier result only points at is pointed at where it stands.
#[test]
fn references_do_not_chain() {
    let (whole, other) = (file(0, 40), file(1, 40));
    let again = format!("{whole}{other}");
    let became = last(&[whole, again.clone(), again], &Policy::exact());
    assert_eq!(
        became,
        "[=same as lines 1-40 of result 1: parse.rs]\n[=same as lines 41-81 of result 2: parse.rs]"
    );
}

/// A file that the model wrote, read: what the call holds, but for lines that JSON writes otherwise.
#[test]
fn what_a_call_wrote_is_pointed_at() {
    let quoted = "    println!(\"done\");\n";
    let written = file(0, 30) + quoted + &file(1, 30);
    let mut talk = reads(vec!["written".into(), again(&written, Again::Numbered(1, 0), 0)]);
    if let Turn::Model { calls, .. } = &mut talk.turns[1] {
        calls[0].arguments = object([("path", "src/parse.rs".into()), ("content", written.as_str().into())]);
    }
    for dialect in CHATS {
        let body = spell(dialect, &talk, Spelling::COMPACT);
        let out = rewrite(&engine(Crew::BuiltIn).0, dialect, &body, &Policy::exact());
        assert_eq!(visible(dialect, &body, &out), 2);
        let sent = &results(dialect, utf8(&out.body))[1];
        assert_eq!(
            text(&utf8(&out.body)[sent.span.clone()]).expect("text"),
            format!(
                "[=same as lines 1-30 of call 1.1 here \"     1\t\": content, parse.rs]\n    31\t{quoted}\
                 [=lines 32-61 here \"    32\t\"]\n"
            )
        );
    }
}

#[test]
fn real_conversations_repeat_themselves() {
    let mut count = 0;
    for (name, dialect, body) in chat_fixtures() {
        println!("{name}");
        for crew in CREWS {
            let out = rewrite(&engine(crew).0, dialect, &body, &Policy::exact());
            count += out.report.blocks.iter().filter(|block| block.kind == Some("repeat")).count();
        }
    }
    assert!(count > 4, "the suite bites: {count}");
}
