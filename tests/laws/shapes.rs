//! Answers whose keys an earlier one shows: read back here by a reader that shares nothing with the
//! engine, from the conversation alone; and those keys are visible in what was sent.

use headroom_engine::{Dialect, Policy, Reason, Rewrite};
use headroom_tests::{
    json::{self, Spelling, elements, members, text},
    places::results,
};
use proptest::{collection::vec, prelude::*};

use crate::{
    harness::{CREWS, Crew, cases, chat_fixtures, crews, dialects, eager, engine, rewrite, spell, utf8},
    never_worse,
    prefix::{forgets, grows},
    redeem,
    repeats::reads,
};

/// An answer of one of three shapes, without white space.
fn answer(shape: usize, seed: usize, items: usize) -> String {
    let words = ["open", "caf\u{e9}", "a \\\"b\\\": {", "", "]},", "\\u00e9"];
    let word = |at: usize| words[(seed + at) % words.len()];
    let number = ["1.50", "-0", "1e5", "12345678901234567890"][seed % 4];
    let item = |at: usize| match (shape + at) % 4 {
        3 => format!("{{\"sku\":{at},\"gift\":true}}"),
        _ => format!(
            "{{\"sku\":\"S{seed}{at}\",\"price_in_cents\":{number},\"available\":{}}}",
            at.is_multiple_of(2)
        ),
    };
    let items: Vec<String> = (0..items).map(item).collect();
    let items = items.join(",");
    match shape % 3 {
        0 => format!(
            "{{\"order_id\":\"#W{seed}\",\"status\":\"{}\",\"shipping_address\":{{\"first_name\":\"{}\",\
             \"postal_code\":\"{seed:05}\",\"country\":null}},\"line_items\":[{items}],\"payment_history\":{{}}}}",
            word(0),
            word(1)
        ),
        1 => format!(
            "[{{\"reservation\":{seed},\"passengers\":[\"{}\",\"{}\"],\"cabin_class\":\"{}\"}},{{\"flights\":[{items}]}}]",
            word(0),
            word(1),
            word(2)
        ),
        _ => format!(
            "{{\"accepted\":{},\"message_for_user\":\"{}\",\"total\":[{items}]}}",
            seed.is_multiple_of(2),
            word(3)
        ),
    }
}

fn answers() -> impl Strategy<Value = Vec<String>> {
    vec((0usize..3, 0usize..1000, 0usize..5), 2..9)
        .prop_map(|all| all.into_iter().map(|(shape, seed, items)| answer(shape, seed, items)).collect())
}

fn string(text: &str) -> Option<&str> {
    let mut escaped = false;
    let end = text.strip_prefix('"')?.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    Some(&text[..end? + 2])
}

/// Puts keys of `there` in front of the values at the start of `text`; returns what follows them.
fn keyed<'a>(text: &'a str, there: Option<&str>, out: &mut String) -> &'a str {
    let list = text.starts_with('[');
    if !list && !text.starts_with('{') {
        let end = string(text).map_or_else(|| text.find([',', ']', '}']).unwrap_or(text.len()), str::len);
        out.push_str(&text[..end]);
        return &text[end..];
    }
    let (known, there): (Vec<(String, &str)>, Vec<&str>) = match there {
        Some(there) if list => (Vec::new(), elements(there)),
        Some(there) => (members(there), Vec::new()),
        None => Default::default(),
    };
    out.push_str(&text[..1]);
    let mut rest = &text[1..];
    for at in 0.. {
        if let Some(after) = rest.strip_prefix([']', '}']) {
            out.push_str(&rest[..1]);
            return after;
        }
        if at > 0 {
            rest = rest.strip_prefix(',').expect("a comma");
            out.push(',');
        }
        let own = string(rest).filter(|key| !list && rest[key.len()..].starts_with(':'));
        let place = if list {
            there.get(at).or(there.last()).copied()
        } else if let Some(key) = own {
            out.push_str(key);
            out.push(':');
            rest = &rest[key.len() + 1..];
            let same = known.iter().find(|(name, _)| Some(name) == json::text(key).as_ref());
            same.or(known.first()).map(|(_, value)| *value)
        } else {
            let (key, value) = &known[at];
            out.extend(["\"", key, "\":"]);
            Some(*value)
        };
        rest = keyed(rest, place, out);
    }
    unreachable!("values end")
}

/// The keys of all objects in `value`.
fn keys(value: &str) -> Vec<String> {
    let inner = members(value).into_iter().flat_map(|(key, value)| [vec![key], keys(value)].concat());
    inner.chain(elements(value).into_iter().flat_map(keys)).collect()
}

/// Every block that borrows keys is read back; returns how many do.
fn visible(dialect: Dialect, body: &str, out: &Rewrite) -> usize {
    let decoded = |body: &str| -> Vec<String> {
        results(dialect, body).into_iter().map(|place| text(&body[place.span]).expect("text")).collect()
    };
    let (sources, sent) = (decoded(body), decoded(utf8(&out.body)));
    let mut count = 0;
    for (at, block) in out.report.blocks.iter().enumerate() {
        if block.kind != Some("shape") || block.reason != Reason::Exact {
            continue;
        }
        let (line, values) = sent[at].split_once('\n').expect("two lines");
        let said = line.strip_prefix("[=keys of result ").expect("a reference");
        let number: usize =
            said.split([':', ']']).next().and_then(|number| number.parse().ok()).expect("one");
        assert!(number <= at, "an earlier one");
        let (source, shown) = (&sources[number - 1], &sent[number - 1]);
        assert!(!shown.starts_with("[=") && !shown.contains("[~items"), "not a reference itself: {shown}");
        for key in keys(source) {
            assert!(shown.contains(&key), "{key} is not visible: {shown}");
        }
        let mut back = String::new();
        assert_eq!(keyed(values, Some(source), &mut back), "");
        assert_eq!(back, sources[at]);
        count += 1;
    }
    count
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn keys_left_out_are_visible(crew in crews(), dialect in dialects(), texts in answers(), all: bool) {
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
        crew in crews(), dialect in dialects(), texts in answers(), remembers: bool,
    ) {
        let body = spell(dialect, &reads(texts), Spelling::COMPACT);
        grows(&engine(crew).0, dialect, &body, &eager(), remembers);
        forgets(crew, dialect, &body, &eager());
    }
}

#[test]
fn later_answers_are_values() {
    let texts: Vec<String> = (0..6).map(|at| answer(at % 2, 7 * at, 3)).collect();
    let dialect = Dialect::AnthropicMessages;
    let body = spell(dialect, &reads(texts), Spelling::COMPACT);
    let of = |policy: &Policy| {
        let out = rewrite(&engine(Crew::BuiltIn).0, dialect, &body, policy);
        visible(dialect, &body, &out)
    };
    assert_eq!((of(&Policy::exact()), of(&Policy::exact().repeats(false))), (4, 0));
}

#[test]
fn real_answers_share_their_keys() {
    let mut count = 0;
    for (name, dialect, body) in chat_fixtures() {
        println!("{name}");
        for crew in CREWS {
            let out = rewrite(&engine(crew).0, dialect, &body, &Policy::exact());
            count += out.report.blocks.iter().filter(|block| block.kind == Some("shape")).count();
        }
    }
    assert!(count > 4, "the suite bites: {count}");
}
