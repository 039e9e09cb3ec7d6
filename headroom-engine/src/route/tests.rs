use proptest::prelude::*;

use super::*;
use crate::{Engine, compress::LogCompressor};

fn router() -> ContentRouter {
    use crate::compress::{DiffCompressor, SearchCompressor, SmartCrusher};
    ContentRouter::new(vec![
        Arc::new(LogCompressor),
        Arc::new(SearchCompressor),
        Arc::new(SmartCrusher),
        Arc::new(DiffCompressor),
    ])
}

/// The kinds of the parts by rule, and the text of each.
fn parts<'s>(source: &'s str, hints: Hints<'s>) -> Vec<(Option<&'static str>, &'s str)> {
    let router = router();
    let routed = router.route(source, hints);
    let parts = routed.parts();
    assert!(!parts.is_empty());
    let mut at = 0;
    for part in parts {
        assert_eq!(part.range.start, at, "the parts tile the source");
        at = part.range.end;
    }
    assert_eq!(at, source.len());
    let rule = |part: &Part<'_>| part.kind().filter(|_| !part.guessed);
    parts.iter().map(|part| (rule(part), &source[part.range.clone()])).collect()
}

fn kinds(source: &str) -> Vec<Option<&'static str>> {
    parts(source, Hints::default()).into_iter().map(|(kind, _)| kind).collect()
}

fn log(lines: usize) -> String {
    (0..lines)
        .map(|n| format!("2024-01-01T10:00:{:02} INFO worker-{n} processing job {n}\n", n % 60))
        .collect()
}

fn rows(rows: usize) -> String {
    let rows: Vec<String> = (0..rows)
        .map(|n| format!("  {{\"id\": {n}, \"name\": \"item [{n}\", \"path\": \"/srv/{n}\"}}"))
        .collect();
    format!("[\n{}\n]", rows.join(",\n"))
}

fn hits(count: usize) -> String {
    (0..count)
        .map(|n| format!("src/module_{}/file.rs:{}:    let value = compute({n});\n", n / 4, n + 1))
        .collect()
}

fn patch(lines: usize) -> String {
    let changes: String = (0..lines).map(|n| format!("-    let old = {n};\n+    let new = {n};\n")).collect();
    format!(
        "diff --git a/src/x.rs b/src/x.rs\nindex 1111111..2222222 100644\n--- a/src/x.rs\n+++ b/src/x.rs\n@@ -1,{lines} +1,{lines} @@ fn x() {{\n{changes}"
    )
}

#[test]
fn asked_by_specificity_whatever_the_order_of_registration() {
    let kinds: Vec<_> = router().reducers().map(Reducer::kind).collect();
    assert_eq!(kinds, ["json", "diff", "search", "log"]);
}

#[test]
fn a_timestamped_line_is_a_log_not_a_hit() {
    let plain: String = (0..60).map(|n| format!("2024-01-01T10:00:{n:02} x\n")).collect();
    let places: String = (0..60).map(|n| format!("2024-01-01 10:00:{n:02} src/a.rs:{n}: opened\n")).collect();
    let syslog: String =
        (0..60).map(|n| format!("Jan  1 10:00:{n:02} host sshd[{n}]: Accepted key\n")).collect();
    let bracket: String = (0..60).map(|n| format!("[INFO] worker-{n} processing job {n}\n")).collect();
    for source in [plain, places, syslog, bracket.clone(), bracket.replace('\n', "\r\n")] {
        assert_eq!(kinds(&source), [Some("log")], "{}", &source[..40]);
    }
}

#[test]
fn addresses_are_no_hits() {
    let source: String = (0..60).map(|n| format!("a:b:0:{n}::1 reaches fe80:0:{n}:1\n")).collect();
    assert!(!kinds(&source).contains(&Some("search")));
}

#[test]
fn a_document_behind_a_line_and_before_a_prompt() {
    let source =
        format!("HTTP/1.1 200 OK\ncontent-type: application/json\nvia: a\nvia: b\n\n{}\nbash-$ ", rows(40));
    let parts = parts(&source, Hints::default());
    assert_eq!(parts.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [None, Some("json"), None]);
    assert_eq!(parts[1].1, rows(40), "without the newline behind it");
    let crlf = source.replace('\n', "\r\n");
    assert_eq!(kinds(&crlf), [None, Some("json"), None]);
}

#[test]
fn a_fence_may_name_any_language() {
    let prose = "Some words on what follows.\n\n".repeat(4);
    for info in ["c++", "", "json", "C# title=\"x\"", "{.r}"] {
        let source =
            format!("{prose}```{info}\n{}\n```\n\n{prose}````\n```\nnot the end\n````\n{prose}", rows(30));
        assert_eq!(kinds(&source), [None, Some("json"), None], "{info}");
    }
    // Not closed, or too short to pay: nothing is cut.
    assert_eq!(kinds(&format!("{prose}```c++\nint x;\n")), [None]);
    assert_eq!(kinds(&format!("{prose}~~~\n[1, 2, 3]\n~~~\n{prose}")), [None]);
}

#[test]
fn a_language_is_a_hint_to_its_part_only() {
    let source = format!("text\n\n```rust\n{}\n```\ntext\n", rows(30));
    let router = router();
    let routed = router.route(&source, Hints::default().path("README.md"));
    let said: Vec<_> = routed.parts().iter().map(|part| part.hints.extension()).collect();
    assert_eq!(said, [Some("md"), Some("rs"), Some("md")]);
}

#[test]
fn outputs_of_several_commands() {
    let source =
        format!("=== tests ===\n{}=== matches ===\n{}=== data ===\n{}\n", log(30), hits(40), rows(30));
    // The log's rule would claim it all; documents prove themselves.
    assert!(kinds(&source).contains(&Some("json")));
    let source = format!(
        "+ rg value\n{}+ cat notes.txt\n{}+ git diff\n{}",
        hits(40),
        "a word\n".repeat(300),
        patch(40)
    );
    assert_eq!(kinds(&source), [Some("search"), None, Some("diff")]);
}

#[test]
fn a_patch_behind_a_long_message() {
    let message = "Explains at length why the value is computed.\n".repeat(200);
    let source = format!("{message}\n{}Done in 3 s\n{}", patch(40), "More words.\n".repeat(100));
    assert_eq!(kinds(&source), [None, Some("diff"), None]);
}

#[test]
fn a_log_and_its_traceback_are_one() {
    let frames: String =
        (0..30).map(|n| format!("  File \"/srv/app/m{n}.py\", line {n}, in run\n    step({n})\n")).collect();
    let source = format!("{}Traceback (most recent call last):\n{frames}ValueError: no\n", log(40));
    assert_eq!(kinds(&source), [Some("log")]);
}

#[test]
fn a_dump_in_a_log_is_cut_where_it_pays() {
    let source = format!("{}{}\n{}", log(60), rows(60), log(60));
    assert_eq!(kinds(&source), [Some("log"), Some("json"), Some("log")]);
    let source = format!("{}{}\n{}", log(60), rows(4), log(60));
    assert_eq!(kinds(&source), [Some("log")]);
    let source = format!("{}{}{}", log(60), patch(40), log(60));
    assert_eq!(kinds(&source), [Some("log")]);
}

#[test]
fn brackets_in_strings_do_not_count() {
    let odd = format!("[\n{}\n]", vec!["  {\"a\": \"]}[{\\\"\", \"b\": [1, 2]}"; 40].join(",\n"));
    assert_eq!(kinds(&format!("one\ntwo\nthree\nfour\n{odd}\nend\n")), [None, Some("json"), None]);
}

#[test]
fn a_readme_stays_as_it_is() {
    let source = "# Title\n\nWords about it [1].\n\n```\n$ install it\n```\n\n```c++\nint main() { return 0; }\n```\n\n\n[1]: http://x\n\n".repeat(20);
    let messages = serde_json::json!([
        {"role": "user", "content": "read"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "read", "input": {"path": "README.md"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": source}]},
    ])
    .to_string();
    let compressed = Engine::new().compress(&messages, "m", None).unwrap();
    assert!(compressed.messages().len() <= messages.len());
    assert_eq!(compressed.report().blocks[0].parts, 1);
}

/// Claims what it was made for.
#[derive(Debug)]
struct Claims(&'static str, fn(&str) -> bool);

impl Reducer for Claims {
    fn kind(&self) -> &'static str {
        self.0
    }

    fn recognises(&self, source: &str, _: Hints<'_>) -> bool {
        self.1(source)
    }

    fn exact(&self, _: &str, _: &Context<'_>) -> Option<crate::reduce::Reduction> {
        None
    }

    fn elide(&self, _: &str, _: &Context<'_>) -> Option<crate::reduce::Reduction> {
        None
    }
}

#[test]
fn views_and_tables_are_cut_out_for_those_who_claim_them() {
    let router = ContentRouter::new(vec![
        Arc::new(Claims("table", |text| text.starts_with('|'))),
        Arc::new(Claims("code", |text| text.starts_with("1:use"))),
        Arc::new(Claims("prose", |text| text.starts_with("# "))),
    ]);
    let kinds = |source: &str| -> Vec<_> {
        router.route(source, Hints::default()).parts().iter().map(Part::kind).collect()
    };
    let view: String = (1..80).map(|n| format!("{n}:use std::fmt::Debug as D{n};\n")).collect();
    let source = format!("[File: /x/y.rs (300 lines total)]\n{view}(221 more lines below)\n\nbash-$ ");
    assert_eq!(kinds(&source), [None, Some("code"), None]);
    let table: String = (0..60).map(|n| format!("| item {n} | {n} | yes |\n")).collect();
    assert_eq!(kinds(&format!("# Report\n\n{table}\nThe end.\n")), [None, Some("table"), None]);
    // An unknown specialist, or that of a file, claims all that it claims.
    let router = ContentRouter::new(vec![
        Arc::new(Claims("mine", |text| text.starts_with("mine"))),
        Arc::new(Claims("table", |text| text.starts_with('|'))),
    ]);
    let source = format!("mine\n{table}");
    assert_eq!(router.route(&source, Hints::default()).parts().len(), 1);
}

#[test]
fn one_refused_part_leaves_the_others() {
    use crate::{ccr::HandleKey, rank::Query, reduce::Gate, tokens::O200k};
    let source = format!("one\ntwo\nthree\nfour\n{}\nbash-$ \n{}\nbash-$ ", rows(60), rows(60));
    let (query, key) = (Query::default(), HandleKey::default());
    let context = Context {
        query: &query,
        tool: "",
        hints: Hints::default(),
        is_error: false,
        counter: &O200k,
        stakes: crate::reduce::Stakes::flat(250),
    };
    let gate = Gate { counter: &O200k, key: &key };
    let router = router();
    let routed = router.route(&source, Hints::default());
    assert_eq!(routed.kind(), Some("json"));
    let (kind, exact) = routed.exact(&context, &gate).unwrap();
    let exact = gate.pass(&source, None, kind, &exact).unwrap();
    assert!(exact.rendered.hidden.is_empty() && exact.rendered.text.ends_with("\nbash-$ "));
    let (kind, elided) = routed.elide(&context, &gate, 300).unwrap();
    let elided = gate.pass(&source, None, kind, &elided).unwrap();
    assert!(elided.tokens_out < exact.tokens_out);
    // What a handle names is the part, so ranges count in it.
    for hidden in &elided.rendered.hidden {
        assert!(routed.parts().iter().any(|part| part.range == hidden.original));
    }
    assert!(elided.rendered.hidden.len() > 1);
    let refused = routed.elide(&context, &gate, 1_000_000).unwrap().1;
    assert!(gate.pass(&source, None, kind, &refused).unwrap().rendered.hidden.is_empty());
}

/// Work is counted, not timed: a bound on what is read in vain is tested where it is kept.
#[test]
fn hostile_shapes_are_routed() {
    for unit in [
        "{ x\n",
        "[\n",
        "{\"a\":\n",
        "```c++\n",
        "~~~~\n",
        "diff x\n",
        "--- a\n+++ b\n@@ -1,9 +1,9 @@\n",
        "1:x\n",
        "=== x ===\n",
        "\r\n",
        "→\n",
    ] {
        assert!(!kinds(&unit.repeat(20_000)).is_empty());
    }
    let nested = "[\n".repeat(20_000) + &"]x\n".repeat(20_000);
    assert_eq!(kinds(&nested), [None]);
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        (1usize..60).prop_map(log),
        (1usize..60).prop_map(rows),
        (1usize..60).prop_map(hits),
        (1usize..40).prop_map(patch),
        "\\PC{0,80}",
        "[\\[\\]{}\",:`~=+$> \n\r0-9a-z@#é→-]{0,200}",
        prop::sample::select(vec![
            "```json\n",
            "```\n",
            "~~~~\n",
            "=== a ===\n",
            "==> a.rs <==\n",
            "+ git diff\n",
            "bash-$ ",
            "\n"
        ])
        .prop_map(str::to_owned),
        (1usize..400, 1usize..60).prop_map(|(from, count)| (from..from + count)
            .map(|n| format!("{n:>6}\tlet x = {n};\n"))
            .collect()),
    ];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_parts_tile_the_source(source in pieces(), path in prop::option::of("[a-z]{1,3}\\.(rs|md|json|csv)")) {
        let hints = path.as_deref().map_or(Hints::default(), |path| Hints::default().path(path));
        let first = parts(&source, hints);
        prop_assert_eq!(first.iter().map(|(_, text)| *text).collect::<String>(), source.clone());
        prop_assert_eq!(first, parts(&source, hints), "and are the same again");
    }

    #[test]
    fn a_newline_more_changes_no_kind(source in prop_oneof![
        (5usize..60).prop_map(log), (5usize..60).prop_map(rows), (5usize..60).prop_map(hits), (5usize..60).prop_map(patch),
    ]) {
        prop_assert_eq!(kinds(&source), kinds(&format!("{source}\n")));
    }
}
