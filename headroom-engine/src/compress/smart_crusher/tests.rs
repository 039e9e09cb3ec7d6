use proptest::prelude::*;

use super::{
    semantics::{Meaning, holds_error, meaning},
    *,
};
use crate::{
    ccr::HandleKey,
    rank::Query,
    reduce::{Accepted, Codec, Gate, Hints, Piece, Refusal, render, same_tokens},
    tokens::O200k,
};

fn reduce(source: &str, query: &str, elide: bool) -> Option<Reduction> {
    let query = Query::new([query]);
    let context = Context {
        query: &query,
        tool: "",
        hints: Hints::default(),
        is_error: false,
        counter: &O200k,
        stakes: crate::reduce::Stakes::flat(250),
    };
    if elide { SmartCrusher.elide(source, &context) } else { SmartCrusher.exact(source, &context) }
}

fn pass(source: &str, query: &str, elide: bool) -> Result<Accepted, Refusal> {
    let Some(reduction) = reduce(source, query, elide) else { return Err(Refusal::NotSmaller) };
    Gate { counter: &O200k, key: &HandleKey::default() }.pass(source, None, "json", &reduction)
}

fn text(source: &str, query: &str, elide: bool) -> String {
    pass(source, query, elide).unwrap().rendered.text
}

/// Encodes and decodes also what is not worth it.
fn round_trip(source: &str) -> String {
    let tape = Tape::parse(source).unwrap();
    let ops = Encoder::new(&tape, &Twins::of(&tape), None).run();
    let reduction =
        Reduction { segments: vec![Segment { range: 0..source.len(), codec: Arc::new(JsonCodec), ops }] };
    let text = render(source, &reduction, "json", &HandleKey::default()).text;
    let mut back = String::new();
    let read = reduction.segments[0].codec.decode(&text, &mut |piece| match piece {
        Piece::Text(text) => back.push_str(&text),
        Piece::Hidden(_) => panic!("nothing was left out"),
    });
    assert_eq!(read, Ok(()), "{text}");
    assert!(same_tokens(source, &back), "{source}\n{text}\n{back}");
    text
}

fn rows(count: usize, row: impl Fn(usize) -> String) -> String {
    format!("[{}]", (0..count).map(row).collect::<Vec<_>>().join(","))
}

fn plain(count: usize) -> String {
    rows(count, |n| {
        format!(r#"{{"id":{n},"name":"user {n}","error":null,"errors":[],"failed":0,"timeout":30}}"#)
    })
}

#[test]
fn a_table_says_each_key_once() {
    let source =
        rows(40, |n| format!(r#"{{"id": {n}, "ok": true, "at": {{"x": {}.50, "y": "{n}"}}}}"#, n * n % 7));
    let text = text(&source, "", false);
    assert!(text.starts_with("$table id,ok=true,at.x,at.y:str\n0,0.50,0\n1,1.50,1\n"), "{text}");
}

#[test]
fn a_constant_that_cannot_stand_in_a_header_stands_in_the_rows() {
    let hit = r#"[{"fragment":"def \"authenticate\"(request): return response"}]"#;
    let items = rows(30, |n| format!(r#"{{"path":"src/{n}.py","score":{},"hits":{hit}}}"#, n * n % 7));
    let source = format!(r#"{{"total":30,"items":{items}}}"#);
    let text = text(&source, "", false);
    assert!(text.starts_with(r#"{"total":30,"items":{"$table":["path,score,hits""#), "{text}");
    assert!(text.ends_with(r#",["src/29.py",1,"$=1"]]}}"#), "{text}");
    round_trip(&source);
}

#[test]
fn nothing_is_confused_with_anything() {
    let values = [
        "null",
        "\"\"",
        "\"null\"",
        "1",
        "\"1\"",
        "true",
        "\"true\"",
        "1.10",
        "9223372036854775809",
        "1e400",
        "-0",
        "\"\\ud800\"",
        "\"a,b\"",
        "\"'q'\"",
        "\"'`\"",
        "\"=x\"",
        "\" x \"",
        "\"[~items 3]\"",
        "\"$=1\"",
        "\"$-\"",
        "\"$table\"",
        "[]",
        "{}",
        "[null]",
        "{\"a\":null}",
        "\"x\\\"y\"",
        "\"é😀\"",
        "\"{\"",
        "\"1e5\"",
        "\"\\n\"",
        "[[\"$table a\"]]",
        "{\"$table\":[\"a\",\"1\"]}",
        "{\"$=1\":2}",
        "{\"$map\":[]}",
    ];
    for key in ["k", "a,b", "q\\\"x", "n\\n", "😀", "a.b", "", "$table", "$=2", "a=b", "[~x"] {
        round_trip(&rows(values.len(), |n| format!("{{\"id\":{n},\"{key}\":{},\"z\":\"zz\"}}", values[n])));
        round_trip(&format!(
            "{{\"in\":{}}}",
            rows(values.len(), |n| format!("{{\"id\":{n},\"{key}\":{}}}", values[n]))
        ));
    }
    // Missing, duplicate and unordered keys.
    let odd =
        [r#"{"a":1,"b":2}"#, r#"{"b":2}"#, r#"{"a":1}"#, r#"{"b":1,"a":2}"#, r#"{"a":1,"a":2}"#, "{}", "7"];
    round_trip(&rows(40, |n| odd[if n < 33 { n % 3 } else { n % 7 }].to_owned()));
}

#[test]
fn maps_matrices_and_lines_are_tables_too() {
    let map: Vec<String> = (0..30).map(|n| format!(r#""user_{n}":{{"name":"n{n}","age":{n}}}"#)).collect();
    let map = format!("{{{}}}", map.join(", "));
    assert!(text(&map, "", false).starts_with("$map name,age\nuser_0,n0,0\n"));
    let matrix = rows(30, |n| format!("[{n}, {}, \"c\"]", 3 * n));
    assert!(text(&matrix, "", false).starts_with("$matrix ,@0+3,=c\n0\n1\n"));
    let lines: Vec<String> = (0..30).map(|n| format!(r#"{{"id": {n}, "v": "x{n}"}}"#)).collect();
    assert!(text(&lines.join("\n"), "", false).starts_with("$lines id,v\n0,x0\n"));
    round_trip(&rows(9, |_| r#"{"a":1}"#.to_owned()));
    round_trip(&rows(9, |_| "[[1,2],[1,2]]".to_owned()));
    let inner = format!("{{\"total\":30,\"map\":{map}}}");
    assert!(text(&inner, "", false).starts_with(r#"{"total":30,"map":{"$map":["name,age","user_0,n0,0","#));
}

#[test]
fn a_value_that_occurs_again_is_named() {
    let user = r#"{"login":"octocat","url":"https://api.example.com/users/octocat","bio":"a \"quote\""}"#;
    let source = format!(r#"{{"owner":{user},"sender":{user},"actors":[{user},{user}]}}"#);
    let text = text(&source, "", false);
    assert!(text.starts_with(&format!(r#"{{"owner":{{"$=1":{user}}},"sender":"$=1""#)), "{text}");
    assert_eq!(text.matches("octocat").count(), 2);
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
}

#[test]
fn deep_nesting_and_odd_roots_are_harmless() {
    for depth in [40, 60, 200, 500, 100_000] {
        let deep = format!("{}1{}", "[ ".repeat(depth), "] ".repeat(depth));
        round_trip(&deep);
        let object = format!("{}1{}", "{ \"a\" : ".repeat(depth), "} ".repeat(depth));
        round_trip(&object);
    }
    for bad in ["", "[", "nothing", "{\"a\":1}x", "[1] [2]", "\u{feff} 1", "1"] {
        assert!(reduce(bad, "", true).is_none() && !SmartCrusher.recognises(bad, Hints::default()), "{bad}");
    }
    assert!(reduce("[1,2,3]", "", true).is_none(), "nothing to gain");
}

#[test]
fn what_is_not_json_stays_between_what_is() {
    let line = |n: usize| format!(r#"{{"id":{n},"event":"tick","note":"nothing {n} to see"}}"#);
    let lines: Vec<String> =
        (0..200).map(|n| if n == 120 { "{broken [~items 3]".to_owned() } else { line(n) }).collect();
    let source = lines.join("\n");
    assert!(text(&source, "", false).contains("\n119,nothing 119 to see\n{broken [~~items 3]\n$lines id,"));
    let shortened = text(&source, "", true);
    assert!(shortened.contains("[~lines") && shortened.contains("\n{broken [~~items 3]\n"), "{shortened}");
    let banner = format!("Found 300 rows:\n{}", plain(300));
    assert!(text(&banner, "", true).starts_with("Found 300 rows:\n$table id,"));
}

#[test]
fn a_thousand_rows_become_about_fifty() {
    let text = text(&plain(1000), "", true);
    let kept = text.lines().skip(1).filter(|line| !line.starts_with("[~")).count();
    assert!((40..=60).contains(&kept), "{kept} rows:\n{text}");
}

#[test]
fn what_matters_stays() {
    let source = rows(300, |n| match n {
        77 => r#"{"path":"/p/77","status":503,"ms":51,"kind":"a"}"#.to_owned(),
        120 => r#"{"path":"/p/120","status":200,"ms":9000,"kind":"b"}"#.to_owned(),
        180 => r#"{"path":"/p/180","status":200,"ms":52,"kind":"rare"}"#.to_owned(),
        211 => r#"{"path":"/zeta-key","status":200,"ms":50,"kind":"b"}"#.to_owned(),
        _ => {
            format!(r#"{{"path":"/p/{n}","status":200,"ms":{},"kind":"{}"}}"#, 50 + n % 5, ["a", "b"][n % 2])
        }
    });
    let text = text(&source, "what is the path of the status for zeta-key?", true);
    for needle in ["/p/77,503", "9000", "rare", "/zeta-key", "/p/0", "/p/299"] {
        assert!(text.contains(needle), "{needle} in {text}");
    }
    assert!(text.lines().count() < 60);
}

#[test]
fn j3_strings_of_one_pattern_are_their_numbers() {
    let paths = rows(40, |n| format!("\"/srv/app/module_{n}/handlers/file_{n}.py\""));
    let text = round_trip(&paths);
    assert!(text.starts_with("$list /srv/app/module_#/handlers/file_#.py\n0,0\n1,1\n"), "{text}");
    let text = round_trip(&format!(r#"{{"count":40,"paths":{paths},"more":[{paths},[]]}}"#));
    assert!(text.contains(r##"{"$list":["/srv/app/module_#/handlers/file_#.py","0,0","##), "{text}");
    assert!(text.ends_with(r#""more":["$=1",[]]}"#), "{text}");
    round_trip(&rows(5, |n| format!(r#"{{"id":{n},"paths":{paths}}}"#)));
    round_trip(&paths.replace("srv", "$list"));
    round_trip(r#"{"$list":["a#","1"],"$$list":[]}"#);
    // What tells of errors is read as it stands.
    let errors = rows(40, |n| format!("\"error: field number {n} must not be blank\""));
    assert!(round_trip(&errors).contains("number 7 must"));
}

#[test]
fn steps_are_shown_on_both_sides() {
    let source =
        rows(400, |n| format!("{{\"n\":\"tick number {n}\",\"v\":{}}}", if n < 251 { 10 } else { 11 }));
    let text = text(&source, "", true);
    assert!(text.contains("tick number 250") && text.contains("tick number 251"), "{text}");
}

#[test]
fn items_of_errors_are_errors() {
    let source =
        format!(r#"{{"errors":{}}}"#, rows(60, |n| format!("\"field number {n} must not be blank\"")));
    assert!(pass(&source, "", true).is_err_and(|refusal| refusal == Refusal::NotSmaller));
    let source = source.replace("errors", "fields");
    assert!(text(&source, "", true).contains("[~items"));
}

#[test]
fn links_and_signatures_of_single_objects_go_unless_asked_for() {
    let links: Vec<String> = (0..20)
        .map(|n| format!(r#""link{n}_url":"https://api.example.com/repos/octo/hello/things/{n}""#))
        .collect();
    let opaque = "QmFzZTY0IGlzIG5vdCByZWFkYWJsZQ".repeat(30);
    let source =
        format!(r#"{{"id":7,"name":"hello",{},"signature":"{opaque}","error":"E"}}"#, links.join(","));
    let text = text(&source, "what is link7_url", true);
    assert!(text.contains("things/7\"") && !text.contains("things/12"), "{text}");
    assert!(text.contains(r#""signature":"[~bytes 1-902 #"#), "{text}");
    assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    let query = Query::default();
    let context = Context {
        query: &query,
        tool: "",
        hints: Hints::default(),
        is_error: true,
        counter: &O200k,
        stakes: crate::reduce::Stakes::flat(250),
    };
    assert!(SmartCrusher.elide(&source, &context).is_none(), "an error keeps them");
}

#[test]
fn own_output_is_left_alone_or_read_as_text() {
    for source in [plain(300), format!("{{\"a\":{}}}", plain(300))] {
        for elide in [false, true] {
            let once = text(&source, "", elide);
            if let Ok(twice) = pass(&once, "", elide) {
                panic!("{once}\nbecame\n{}", twice.rendered.text);
            }
        }
    }
}

/// JSON of any shape, with what could be taken for our own words in it.
fn json() -> impl Strategy<Value = String> {
    let string = prop_oneof![
        "[a-z]{0,8}",
        "[a-z0-9 ,'`=$\\[~:.#-]{0,12}",
        Just("$table".to_owned()),
        Just("$list".to_owned()),
        Just("$=1".to_owned()),
        Just("$-".to_owned()),
        Just("[~items 1-2]".to_owned()),
        Just("\\ud800\\\"é".to_owned()),
        Just("a long string that occurs here and there and again".to_owned()),
        "[0-9]{1,3}(\\.[0-9])?",
        Just("null".to_owned()),
    ];
    let key = prop_oneof![
        "[a-d]",
        "[a-d]",
        Just("$table".to_owned()),
        Just("$list".to_owned()),
        Just("x.y".to_owned()),
        Just(String::new())
    ];
    let leaf = prop_oneof![
        string.prop_map(|inner| format!("\"{inner}\"")),
        Just("null".to_owned()),
        Just("true".to_owned()),
        (-50i32..50).prop_map(|n| n.to_string()),
        Just("1e400".to_owned()),
        Just("-0.10".to_owned()),
    ];
    leaf.prop_recursive(5, 120, 10, move |inner| {
        let object = proptest::collection::vec((key.clone(), inner.clone()), 0..5).prop_map(|members| {
            let members: Vec<String> =
                members.into_iter().map(|(key, value)| format!("\"{key}\" : {value}")).collect();
            format!("{{ {}}}", members.join(", "))
        });
        prop_oneof![
            object.clone(),
            proptest::collection::vec(object, 2..8).prop_map(|items| format!("[{}]", items.join(", \n"))),
            proptest::collection::vec(inner, 0..6).prop_map(|items| format!("[{}]", items.join(","))),
        ]
    })
}

/// Rows that share most keys, to be shortened.
fn table() -> impl Strategy<Value = (Vec<String>, u8)> {
    let cell = prop_oneof![
        4 => (0u32..1000).prop_map(|n| n.to_string()),
        4 => "[a-z]{3,9}( [a-z]{3,9}){0,4}".prop_map(|text| format!("\"{text}\"")),
        1 => Just("null".to_owned()),
        1 => Just(r#"{"error":"it broke"}"#.to_owned()),
        1 => Just("\"request failed: refused\"".to_owned()),
    ];
    let row =
        (cell.clone(), cell.clone(), proptest::option::of(cell), 0..12u8).prop_map(|(a, b, c, kind)| {
            let c = c.map(|c| format!(",\"c\":{c}")).unwrap_or_default();
            match kind {
                0 => format!(r#"{{"status":500,"a":{a}}}"#),
                1 => format!("[{a},{b}]"),
                _ => format!(r#"{{"a":{a},"b":{b},"status":200{c}}}"#),
            }
        });
    (proptest::collection::vec(row, 12..160), 0..4u8)
}

/// The numbers of the items that a reduction of one list leaves out.
fn hidden(reduction: &Reduction, list: usize) -> Vec<bool> {
    let mut hidden = vec![false; list];
    for op in &reduction.segments[0].ops {
        if let Op::Elide { first, last, original, .. } = op {
            assert!(original.start < 10, "only the outer list is shortened");
            hidden[first - 1..*last].fill(true);
        }
    }
    hidden
}

proptest! {
    #[test]
    fn any_json_round_trips(source in json()) {
        round_trip(&source);
        round_trip(&format!("{{\"in\":[{source},{source}]}}\n{source}"));
    }

    #[test]
    fn lists_of_strings_come_back(
        head in "[a-z/.$é#\\[~-]{0,16}",
        middle in "[a-z/., '-]{0,16}",
        numbers in proptest::collection::vec((0u32..2000, 0u32..2), 0..40),
    ) {
        let items: Vec<String> = numbers.iter().map(|(a, b)| format!("\"{head}{a}{middle}{b}\"")).collect();
        let list = format!("[{}]", items.join(", "));
        round_trip(&list);
        round_trip(&format!(r#"{{"a":{list},"b":[{list},1],"c":[{{"d":{list}}},{{"d":{list}}}]}}"#));
    }

    #[test]
    fn any_text_is_harmless(source in "\\PC{0,60}", json in json()) {
        prop_assert!(pass(&source, "a b", true).err().is_none_or(|refusal| refusal == Refusal::NotSmaller));
        // The decoder is total on what it did not write.
        let _ = JsonCodec.decode(&json, &mut |_| ());
        let _ = JsonCodec.decode(&format!("$list {source}\n{json}\n{source}"), &mut |_| ());
        let _ = JsonCodec.decode(&format!("$table {source}\n{json}\n{source}"), &mut |_| ());
    }

    #[test]
    fn every_elision_is_honest_and_keeps_every_error((rows, kind) in table(), query in "[a-z]{3} [0-9]{1,3}") {
        let member = |(n, row): (usize, &String)| format!("\"key {n}\": {row}");
        let source = match kind {
            0 => format!("[{}]", rows.join(", ")),
            1 => format!("{{\"x\":[{}]}}", rows.join(", ")),
            2 => format!("{{{}}}", rows.iter().enumerate().map(member).collect::<Vec<_>>().join(",\n")),
            _ => rows.join("\n"),
        };
        let Some(reduction) = reduce(&source, &query, true) else { return Ok(()) };
        let outcome = Gate { counter: &O200k, key: &HandleKey::default() }.pass(&source, None, "json", &reduction);
        prop_assert!(!matches!(outcome, Err(Refusal::Undecodable | Refusal::Untiled)), "{outcome:?}");
        let hidden = hidden(&reduction, rows.len());
        prop_assert!(!hidden[0] && !hidden[rows.len() - 1]);
        for (row, hidden) in rows.iter().zip(hidden) {
            let tape = Tape::parse(row).unwrap();
            let error = holds_error(&tape, 0, tape.after(0), Meaning::Other, |key| meaning(tape.inner(key)));
            prop_assert!(!(hidden && error), "{row}");
        }
        let again = reduce(&source, &query, true).map(|reduction| format!("{reduction:?}"));
        prop_assert_eq!(again, Some(format!("{reduction:?}")));
    }

    #[test]
    fn a_unique_term_of_the_query_is_found(count in 20usize..300, at in 0usize..300) {
        let at = at % count;
        let source = rows(count, |n| format!(r#"{{"id":"key-{n}x","status":"fine","note":"row of the list"}}"#));
        let text = pass(&source, &format!("the status of row key-{at}x"), true).unwrap().rendered.text;
        prop_assert!(text.contains(&format!("key-{at}x")), "{text}");
    }
}
