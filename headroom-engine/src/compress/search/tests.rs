//! What the SearchCompressor promises, over written and generated output.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{
    ccr::{HandleKey, Marker},
    rank::Query,
    reduce::{Accepted, Gate, Hints, Rendered, render},
    tokens::{O200k, TokenCounter},
};

fn context(query: &Query) -> Context<'_> {
    Context {
        query,
        tool: "grep",
        hints: Hints::default(),
        is_error: false,
        counter: &O200k,
        stakes: crate::reduce::Stakes::flat(250),
    }
}

fn gate(source: &str, reduction: &Reduction) -> Accepted {
    Gate { counter: &O200k, key: &HandleKey::default() }.pass(source, None, "search", reduction).unwrap()
}

fn exact(source: &str) -> String {
    assert!(SearchCompressor.recognises(source, Hints::default()));
    let reduction = SearchCompressor.exact(source, &context(&Query::default())).unwrap();
    assert!(reduction.segments.iter().all(|s| s.ops.iter().all(|op| !matches!(op, Op::Elide { .. }))));
    gate(source, &reduction).rendered.text
}

fn elided(source: &str, query: &str) -> Rendered {
    assert!(SearchCompressor.recognises(source, Hints::default()));
    let reduction = SearchCompressor.elide(source, &context(&Query::new([query]))).unwrap();
    gate(source, &reduction).rendered
}

fn ratio(source: &str, text: &str) -> f64 {
    O200k.count(text) as f64 / O200k.count(source) as f64
}

/// What the codec reads back, markers as lines of their own.
fn decoded(codec: &dyn Codec, text: &str) -> String {
    let mut out = String::new();
    codec
        .decode(text, &mut |piece| match piece {
            crate::reduce::Piece::Text(text) => out.push_str(&text),
            crate::reduce::Piece::Hidden(_) => {}
        })
        .unwrap();
    out
}

#[test]
fn a_path_stands_once_above_its_lines() {
    let source = "src/hmac.c-66-  if(keylen > max)\nsrc/hmac.c:68:      goto fail;\nsrc/hmac.c:79:      goto fail;\nsrc/one.c:3:int one;\nsrc/hmac.c=90=int f()\nsrc/hmac.c:91:  return 1;\ngrep: /root: Permission denied\nBinary file a.bin matches\n";
    assert_eq!(
        exact(source),
        "src/hmac.c\n66-  if(keylen > max)\n68,79:      goto fail;\nsrc/one.c:3:int one;\nsrc/hmac.c\n90=int f()\n91:  return 1;\ngrep: /root: Permission denied\nBinary file a.bin matches\n"
    );
}

#[test]
fn columns_drives_odd_paths_and_no_numbers() {
    for (source, text) in [
        (
            "C:\\x\\main.rs:1:5:use a;\nC:\\x\\main.rs:2:9:use b;\nC:\\x\\main.rs:3:9:use c;\n",
            "C:\\x\\main.rs\n1:5:use a;\n2:9:use b;\n3:9:use c;\n",
        ),
        (
            "src/a-1-b.txt-4-near\nsrc/a-1-b.txt:5:five\nsrc/a-1-b.txt:6:six\n",
            "src/a-1-b.txt\n4-near\n5:five\n6:six\n",
        ),
        (
            "src/alpha.c:int x;\nsrc/alpha.c: int y;\nsrc/alpha.c:12\n",
            "src/alpha.c\n:int x;\n: int y;\n:12\n",
        ),
        (
            "12:30 not a hit\nsrc/alpha/beta.c:1:a\r\nsrc/alpha/beta.c:2:b\r\nsrc/alpha/beta.c:3:[~lines 3]",
            "[~]12:30 not a hit\nsrc/alpha/beta.c\n1:a\r\n2:b\r\n3:[~~lines 3]",
        ),
    ] {
        let hits = Hits::new(source);
        let (ops, _) = spell::spell(&hits, &Choice::default());
        let rendered =
            render(source, &reduction(source, Arc::new(SearchCodec), ops), "search", &HandleKey::default());
        assert_eq!(rendered.text, text);
        assert_eq!(decoded(&SearchCodec, text), source);
    }
}

#[test]
fn breaks_that_follow_from_the_numbers_are_left_to_the_reader() {
    let source: String = (0..60)
        .map(|at| format!("src/a.py-{}-context {at}\nsrc/a.py:{}:match {at}\n--\n", at * 3, at * 3 + 1))
        .chain(["grep: secret.key: Permission denied\n".to_owned()])
        .collect();
    let text = exact(&source);
    assert!(text.starts_with("[~--]\nsrc/a.py\n0-context 0\n1:match 0\n3-context 1\n4:match 1\n"), "{text}");
    assert!(text.ends_with("grep: secret.key: Permission denied\n"));
    assert!(ratio(&source, &text) <= 0.6, "{}", ratio(&source, &text));
    let odd = source.replacen("--\nsrc/a.py-9-", "src/a.py-9-", 1);
    assert!(!exact(&odd).starts_with("[~--]"));
}

#[test]
fn a_text_that_occurs_again_is_named() {
    let source: String = (1..30)
        .map(|at| format!("src/f{at}.c:{at}:  return handle_every_error_of(context, {});\n", at % 2))
        .collect();
    let text = exact(&source);
    assert!(text.contains("src/f1.c\n1:  [~a:]return handle_every_error_of(context, 1);\n"), "{text}");
    assert!(text.contains("src/f3.c\n3:  [~a]\n"), "{text}");
}

#[test]
fn two_hundred_files_of_one_hit_are_all_named() {
    let source: String =
        (0..200).map(|at| format!("src/file_{at:03}.py:{}:def handler_{at}(request):\n", at + 1)).collect();
    let text = elided(&source, "handler").text;
    assert!(ratio(&source, &text) <= 0.45, "{}\n{text}", ratio(&source, &text));
    for at in 0..200 {
        assert!(text.contains(&format!("src/file_{at:03}.py")), "{at}\n{text}");
    }
}

#[test]
fn the_line_that_is_asked_for_stays_with_its_path() {
    let source: String = (0..400)
        .map(|at| format!("lib/part_{}.rs:{at}:    let value_{at} = compute({at});\n", at / 20))
        .collect();
    let text = elided(&source, "where is value_317 computed").text;
    assert!(text.contains("let value_317 = compute(317);") && text.contains("lib/part_15.rs"), "{text}");
    assert!(ratio(&source, &text) < 0.4, "{}", ratio(&source, &text));
}

#[test]
fn a_minified_line_is_cut_around_the_match() {
    let junk = "var a=1;".repeat(20_000);
    let source = format!(
        "dist/app.min.js:1:{junk}function renderWidget(){{}}{junk}\nsrc/widget.js:4:renderWidget();\nsrc/other.js:9:renderWidget(x);\n"
    );
    let rendered = elided(&source, "renderWidget");
    assert!(rendered.text.contains("function renderWidget(){}"), "{}", rendered.text);
    assert!(rendered.text.starts_with("dist/app.min.js:1:var a=1;"));
    assert!(rendered.text.len() < 1200);
}

#[test]
fn headings_of_the_source_stay_above_their_lines() {
    let source: String = (0..40)
        .map(|file| {
            let lines: String = (1..12).map(|at| format!("{at}:    call_{file}_{at}(argument);\n")).collect();
            format!("src/module_{file}.py\n{lines}\n")
        })
        .collect();
    let text = elided(&source, "call_31_7").text;
    let heading = text.find("src/module_31.py\n").unwrap();
    let line = text.find("7:    call_31_7(argument);").unwrap();
    assert!(heading < line && !text[heading + 1..line].contains("src/"), "{text}");
    for file in 0..40 {
        assert!(text.contains(&format!("src/module_{file}.py")), "{file}\n{text}");
    }
}

#[test]
fn paths_in_a_list_stand_below_their_folder() {
    let source: String =
        (0..30).map(|at| format!("./src/deeply/nested/folder_{}/file_{at}.rs\n", at / 10)).collect();
    let text = exact(&source);
    assert!(text.starts_with("./src/deeply/nested/folder_0/\n file_0.rs\n file_1.rs\n"), "{text}");
}

#[test]
fn a_long_list_keeps_what_is_asked_for_and_names_its_folders() {
    let source: String = (0..2000).map(|at| format!("./src/part_{}/module_{at}.rs\n", at / 250)).collect();
    let text = elided(&source, "open module_1234.rs").text;
    assert!(text.contains("module_1234.rs") && ratio(&source, &text) < 0.3, "{text}");
    for part in 0..8 {
        assert!(text.contains(&format!("./src/part_{part}/")), "{part}\n{text}");
    }
}

#[test]
fn other_kinds_are_not_taken() {
    for other in [
        "10:00:01 INFO started\n10:00:02 ERROR disk full\n10:00:03 INFO x\n",
        "2024-01-01T10:00:00Z a.b: x\n2024-01-01T10:00:01Z a.b: y\n2024-01-01T10:00:02Z a.b: z\n",
        "src/a.c:1:5: error: x\nsrc/a.c:2:5: warning: y\nsrc/a.c:3:5: error: z\n",
        "{\"type\":\"match\"}\n{\"type\":\"match\"}\n{\"type\":\"match\"}\n",
        "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n",
        "Some prose about a/path: and more\nanother line of it\nand a third\n",
        "fn main() {\n    let x: u32 = 1;\n    match x {}\n}\n",
        "",
    ] {
        assert!(!SearchCompressor.recognises(other, Hints::default()), "{other}");
    }
}

/// Search output and what may stand in it.
fn output() -> impl Strategy<Value = String> {
    let path = prop_oneof![
        Just("src/a.rs"),
        Just("src/b-1-c.rs"),
        Just("C:\\x\\y.c"),
        Just("12:x/z.c"),
        Just("a b/[id].tsx"),
        Just("lib/deep/er/mod.py"),
    ];
    let text = prop_oneof![
        Just("    goto fail; /* every time it is the same */".to_owned()),
        "[ -~]{0,60}",
        "\\PC{0,20}",
        Just("[~lines 3-4]".to_owned()),
        Just("[~a] [~b:] [~] [~~".to_owned()),
    ];
    let line = prop_oneof![
        8 => (path.clone(), prop::sample::select(vec![':', '-', '=']), 1u32..300, text)
            .prop_map(|(path, sep, number, text)| format!("{path}{sep}{number}{sep}{text}")),
        1 => Just("--".to_owned()),
        1 => Just(String::new()),
        1 => path.prop_map(str::to_owned),
        1 => prop::sample::select(vec![
            "grep: x: Permission denied", "12:30", ":odd", "[~]", "[~--]", "3,4:x", " name", "Binary file q matches",
        ])
        .prop_map(str::to_owned),
    ];
    (
        prop::collection::vec((line, 1usize..12), 0..60),
        prop::sample::select(vec!["\n", "\r\n"]),
        any::<bool>(),
    )
        .prop_map(|(lines, newline, ends)| {
            let mut out = String::new();
            for (line, times) in lines {
                for _ in 0..times {
                    out.push_str(&line);
                    out.push_str(newline);
                }
            }
            if ends { out } else { out.trim_end().to_owned() }
        })
}

/// The source with the elided ranges cut out equals what is read back; the gate takes nothing else.
fn accounts_for_all(source: &str, reduction: &Reduction) {
    let rendered = render(source, reduction, "search", &HandleKey::default());
    let mut at = 0;
    let mut left = String::new();
    for hidden in &rendered.hidden {
        left.push_str(&source[at..hidden.range.start]);
        at = hidden.range.end;
        let marker = Marker::parse_prefix(&rendered.text[hidden.marker.start..]).unwrap().0;
        if marker.unit() == crate::ccr::Unit::Lines {
            let lines: Vec<&str> = source.split_inclusive('\n').collect();
            assert_eq!(lines[marker.first() - 1..marker.last()].concat(), source[hidden.range.clone()]);
        }
    }
    left.push_str(&source[at..]);
    assert_eq!(decoded(&*reduction.segments[0].codec, &rendered.text), left);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_is_written_is_read_back(source in output(), query in "[a-z ]{0,20}") {
        let query = Query::new([query.as_str(), "goto"]);
        let one = SearchCompressor.exact(&source, &context(&query));
        let two = SearchCompressor.elide(&source, &context(&query));
        for reduction in one.iter().chain(&two) {
            accounts_for_all(&source, reduction);
        }
        let again = SearchCompressor.elide(&source, &context(&query));
        prop_assert_eq!(two.map(|two| two.segments[0].ops.clone()), again.map(|two| two.segments[0].ops.clone()));
    }

    #[test]
    fn any_text_is_read_back(source in "(?s).{0,200}") {
        let query = Query::default();
        SearchCompressor.recognises(&source, Hints::default());
        let both = [SearchCompressor.exact(&source, &context(&query)), SearchCompressor.elide(&source, &context(&query))];
        both.iter().flatten().for_each(|reduction| accounts_for_all(&source, reduction));
    }

    #[test]
    fn every_choice_of_lines_is_read_back(source in output(), gaps in prop::collection::vec((0usize..40, 1usize..9), 0..8)) {
        let hits = Hits::new(&source);
        let mut at = 0;
        let mut choice = Choice::default();
        for (skip, length) in gaps {
            let start = at + skip;
            let end = (start + length).min(hits.lines().len());
            if start < end {
                choice.gaps.push((start..end, "note".to_owned()));
                at = end + 1;
            }
        }
        let (ops, _) = spell::spell(&hits, &choice);
        let codec: Arc<dyn Codec> = if hits.is_headed() { Arc::new(Verbatim) } else { Arc::new(SearchCodec) };
        accounts_for_all(&source, &reduction(&source, codec, ops));
    }

    #[test]
    fn lists_are_read_back(source in "(?s)([ ./~\\[a-c]{0,12}\n){0,30}[ ./a-c]{0,9}") {
        if let Some(reduction) = Listing::new(&source).exact(&context(&Query::default())) {
            accounts_for_all(&source, &reduction);
        }
        let long = source.repeat(1 + 16_000 / source.len().max(1));
        if let Some(reduction) = Listing::new(&long).elide(&context(&Query::new(["abc"]))) {
            accounts_for_all(&long, &reduction);
        }
    }

    #[test]
    fn no_hit_gets_another_coordinate(source in output()) {
        // What stands under a path in the output, read by eye, is a line of the source.
        let hits = Hits::new(&source);
        let (ops, _) = spell::spell(&hits, &Choice::default());
        let codec: Arc<dyn Codec> = if hits.is_headed() { Arc::new(Verbatim) } else { Arc::new(SearchCodec) };
        let text = decoded(&SearchCodec, &if hits.is_headed() { String::new() } else {
            render(&source, &reduction(&source, codec, ops), "search", &HandleKey::default()).text
        });
        let count = |text: &str| {
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            text.lines().for_each(|line| *counts.entry(line.to_owned()).or_default() += 1);
            counts
        };
        if !hits.is_headed() {
            prop_assert_eq!(count(&text), count(&source));
        }
    }
}

/// `source` as ripgrep or grep paints it.
fn painted_like(source: &str, is_grep: bool, words: &[&str]) -> String {
    let (path, number, separator, matched, over) = if is_grep {
        ("\x1b[35m\x1b[K", "\x1b[32m\x1b[K", "\x1b[36m\x1b[K", "\x1b[01;31m\x1b[K", "\x1b[m\x1b[K")
    } else {
        ("\x1b[0m\x1b[35m", "\x1b[0m\x1b[32m", "", "\x1b[0m\x1b[1m\x1b[31m", "\x1b[0m")
    };
    let mut out = String::new();
    for line in source.split_inclusive('\n') {
        let Some((path_end, number_end)) = line::place(line) else {
            out.push_str(line);
            continue;
        };
        let mut text = line[number_end + 1..].to_owned();
        for word in words {
            text = text.replace(word, &format!("{matched}{word}{over}"));
        }
        let sep = if is_grep { format!("{separator}:{over}") } else { ":".to_owned() };
        out += &format!(
            "{path}{}{over}{sep}{number}{}{over}{sep}{text}",
            &line[..path_end],
            &line[path_end + 1..number_end]
        );
    }
    out
}

#[test]
fn colours_are_said_once() {
    let source: String = (0..60)
        .map(|at| format!("src/part_{}.rs:{at}:    pub async fn call_{at}(of: usize) {{}}\n", at / 6))
        .collect();
    for is_grep in [true, false] {
        let painted = painted_like(&source, is_grep, &["async fn"]);
        let text = exact(&painted);
        assert!(text.contains("src/part_3.rs\n18:    pub async fn call_18(of: usize) {}\n"), "{text}");
        assert!(ratio(&painted, &text) < 0.4, "{}", ratio(&painted, &text));
        let text = elided(&painted, "call_43").text;
        assert!(text.contains("43:    pub async fn call_43(of: usize) {}\n"), "{text}");
    }
}

proptest! {
    #[test]
    fn colours_are_put_back(source in output(), is_grep: bool, word in "[a-z ]{1,4}", odd in "(\x1b\\[[0-9;]{0,3}[mKA]|x|\n){0,4}", at in 0usize..9) {
        let mut painted = painted_like(&source, is_grep, &[&word]);
        let place = painted.split_inclusive('\n').take(at).map(str::len).sum();
        painted.insert_str(place, &odd);
        let query = Query::new(["goto"]);
        let both = [SearchCompressor.exact(&painted, &context(&query)), SearchCompressor.elide(&painted, &context(&query))];
        both.iter().flatten().for_each(|reduction| accounts_for_all(&painted, reduction));
    }
}
