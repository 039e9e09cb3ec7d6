//! What the DiffCompressor promises, over written and generated patches.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::{
    ccr::HandleKey,
    rank::Query,
    reduce::{Codec, Gate, Hints, Op, Piece, Rendered, Verbatim, render},
    tokens::{O200k, TokenCounter},
};

fn context(query: &Query) -> Context<'_> {
    Context {
        query,
        tool: "bash",
        hints: Hints::default(),
        is_error: false,
        counter: &O200k,
        stakes: crate::reduce::Stakes::flat(250),
    }
}

fn elided(source: &str, query: &str) -> Rendered {
    assert!(DiffCompressor.recognises(source, Hints::default()), "{source}");
    let reduction = DiffCompressor.elide(source, &context(&Query::new([query]))).unwrap();
    let gate = Gate { counter: &O200k, key: &HandleKey::default() };
    gate.pass(source, None, "diff", &reduction).unwrap().rendered
}

fn exact(source: &str) -> String {
    let reduction = DiffCompressor.exact(source, &context(&Query::default())).unwrap();
    assert!(reduction.segments[0].ops.iter().all(|op| !matches!(op, Op::Elide { .. })));
    render(source, &reduction, "diff", &HandleKey::default()).text
}

fn decoded(codec: &dyn Codec, text: &str) -> String {
    let mut out = String::new();
    codec
        .decode(text, &mut |piece| {
            if let Piece::Text(text) = piece {
                out.push_str(&text);
            }
        })
        .unwrap();
    out
}

fn file(name: &str, context: usize, change: &str) -> String {
    let lines = |side: &str| {
        (0..context).fold(String::new(), |mut out, at| {
            let _ = writeln!(out, " {side} context line {at} of {name} with some words");
            out
        })
    };
    let count = 2 * context + 1;
    format!(
        "diff --git a/{name} b/{name}\nindex 1111111..2222222 100644\n--- a/{name}\n+++ b/{name}\n@@ -1,{count} +1,{count} @@ int {name}()\n{}-old {change}\n+new {change}\n{}",
        lines("before"),
        lines("after")
    )
}

#[test]
fn fifty_files_keep_their_names_and_changes_in_half() {
    let source: String = (0..50).map(|at| file(&format!("f{at}.c"), 14, &at.to_string())).collect();
    let text = elided(&source, "why did it fail").text;
    for at in 0..50 {
        for needle in [format!("+++ b/f{at}.c\n"), format!("-old {at}\n"), format!("+new {at}\n")] {
            assert!(text.contains(&needle), "{needle}\n{text}");
        }
    }
    assert!(O200k.count(&text) * 2 <= O200k.count(&source));
}

#[test]
fn content_that_looks_like_a_header_stays_a_change() {
    let mut source = file("q.sql", 30, "x");
    source.push_str("diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\ndiff --git a/l b/l\nnew file mode 120000\nindex 0000000..3333333\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+target\n\\ No newline at end of file\ndiff --git a/v.sql b/v.sql\nindex 1..2 100644\n--- a/v.sql\n+++ b/v.sql\n@@ -1,3 +1,2 @@\n keep\n--- a/drop the old view\n-++ b/and this\n+++ b/add the new one\n");
    source.push_str(&file("z.sql", 30, "y"));
    let text = elided(&source, "").text;
    for needle in [
        "old mode 100644\nnew mode 100755\n",
        "new file mode 120000\n",
        "\n--- a/drop the old view\n-++ b/and this\n+++ b/add the new one\n",
        "+target\n\\ No newline at end of file\n",
    ] {
        assert!(text.contains(needle), "{needle}\n{text}");
    }
}

#[test]
fn renames_binaries_commits_and_quoted_paths_are_identical() {
    let head = "commit 3ea751c087f32b16e039a2233dd6eefecef325d5\nAuthor: A <a@b.c>\nDate:   Thu Jul 16 20:51:18 2026 +0530\n\n    fix: @@ -1 +1 @@ in a message\n\n";
    let odd = "diff --git a/old b/new\nsimilarity index 90%\nrename from old\nrename to new\ndiff --git \"a/\\303\\251\" \"b/\\303\\251\"\nindex 1..2 100644\nBinary files \"a/\\303\\251\" and \"b/\\303\\251\" differ\n";
    let source = format!("{head}{odd}{}{}", file("a b.c", 40, "1"), file("c.c", 40, "2"));
    let text = elided(&source, "").text;
    assert!(text.starts_with(&format!("{head}{odd}")), "{text}");
    let crlf = source.replace('\n', "\r\n");
    assert!(elided(&crlf, "").text.contains("rename from old\r\nrename to new\r\n"));
}

#[test]
fn plain_merged_and_unprefixed_patches_are_read() {
    for source in [
        "--- old/x.c\t2026-01-01\n+++ new/x.c\t2026-01-02\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n",
        "diff --git x.c x.c\nindex 1..2 100644\n--- x.c\n+++ x.c\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n",
        "diff --cc x.c\nindex 1,2..3\n--- a/x.c\n+++ b/x.c\n@@@ -1,2 -1,2 +1,3 @@@\n  a\n++b\n- c\n -d\n++e\n",
        "From 3ea751c0 Mon Sep 17 00:00:00 2001\nFrom: a\nSubject: [PATCH] x\n\n---\n x.c | 2 +-\n\ndiff --git a/x.c b/x.c\nindex 1..2 100644\n--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-b\n+c\n-- \n2.40.0\n",
        "Index: x.c\n===================================================================\n--- x.c\t(revision 1)\n+++ x.c\t(working copy)\n@@ -1 +1 @@\n-b\n+c\n",
    ] {
        assert!(DiffCompressor.recognises(source, Hints::default()), "{source}");
    }
}

#[test]
fn other_kinds_are_not_taken() {
    for other in [
        "",
        "- a list\n+ of things\n--- a rule\n",
        "--- a\n+++ b\n",
        "see diff below\ndiff is a tool\n",
        "10:00:01 INFO started\n",
        "fn main() {}\n--- x\n+++ y\nnot a hunk\n",
    ] {
        assert!(!DiffCompressor.recognises(other, Hints::default()), "{other}");
    }
}

#[test]
fn a_lock_file_is_counted_and_the_rest_stays() {
    let mut lock = String::from(
        "diff --git a/package-lock.json b/package-lock.json\nindex 1..2 100644\n--- a/package-lock.json\n+++ b/package-lock.json\n@@ -1,400 +1,400 @@\n",
    );
    for at in 0..400 {
        let _ = writeln!(lock, "-    \"version\": \"1.0.{at}\",\n+    \"version\": \"2.0.{at}\",");
    }
    let source = format!("{lock}{}", file("main.c", 3, "the change"));
    let text = elided(&source, "").text;
    assert!(text.contains("+++ b/package-lock.json\n[~lines 5-805: +400 -400 #"), "{text}");
    assert!(text.contains("-old the change\n+new the change\n"));
    let asked =
        elided(&format!("{source}{}", file("other.c", 60, "x")), "what changed in package-lock.json").text;
    assert!(asked.contains("2.0.399"), "{asked}");
}

#[test]
fn a_header_is_said_in_one_line_less_and_texts_once() {
    let long = "    \"license\": \"(MIT OR Apache-2.0 WITH LLVM-exception)\",";
    let source = format!(
        "diff --git a/x b/x\nindex 1f2e3d..4c5b6a 100644\n--- a/x\n+++ b/x\n@@ -1,2 +1,4 @@\n {long}\n-{long}\n+{long}\n+  {long}\n+[~a] [~lines 3]\n"
    );
    let text = exact(&source);
    assert!(text.starts_with("[~git index 1f2e3d..4c5b6a 100644]\n--- a/x\n+++ b/x\n@@"), "{text}");
    assert!(text.contains("+    [~a]\n+      [~a]\n+[~~a] [~~lines 3]\n"), "{text}");
    assert_eq!(decoded(&codec::DiffCodec, &text), source);
}

/// Changed lines of `source`, as its grammar reads them.
fn changed(source: &str) -> (usize, usize) {
    let patch = Patch::new(source);
    patch.changes(0..patch.lines().len())
}

/// What is elided and what is read back make up the source; markers count every hidden change.
fn accounts_for_all(source: &str, reduction: &Reduction) {
    let rendered = render(source, reduction, "diff", &HandleKey::default());
    let mut at = 0;
    let mut left = String::new();
    for hidden in &rendered.hidden {
        left.push_str(&source[at..hidden.range.start]);
        at = hidden.range.end;
    }
    left.push_str(&source[at..]);
    assert_eq!(decoded(&codec::DiffCodec, &rendered.text), left);
    let patch = Patch::new(source);
    let (mut added, mut removed) = (0, 0);
    for op in &reduction.segments[0].ops {
        if let Op::Elide { note, first, last, unit: crate::ccr::Unit::Lines, .. } = op {
            let noted = |sign: char| -> usize {
                note.split(' ').find_map(|word| word.strip_prefix(sign)?.parse().ok()).unwrap_or(0)
            };
            assert_eq!((noted('+'), noted('-')), patch.changes(first - 1..*last));
            added += noted('+');
            removed += noted('-');
        }
    }
    let all = changed(source);
    assert!(added <= all.0 && removed <= all.1);
}

/// Patches, well formed or not.
fn patch() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        Just("    return handle_the_error(of, the, context);".to_owned()),
        "[ -~]{0,50}",
        "\\PC{0,12}",
        prop::sample::select(vec![
            "-- a/x",
            "++ b/x",
            "@@ -1 +1 @@",
            "[~a]",
            "[~git index 1]",
            "diff --git a b"
        ])
        .prop_map(str::to_owned),
    ];
    let line = (prop::sample::select(vec![' ', ' ', ' ', '+', '-']), text);
    let hunk =
        (prop::collection::vec(line, 1..25), any::<bool>(), 0usize..12).prop_map(|(lines, honest, more)| {
            let old = lines.iter().filter(|(sign, _)| *sign != '+').count() + usize::from(!honest);
            let new = lines.iter().filter(|(sign, _)| *sign != '-').count();
            let mut out = format!("@@ -{more},{old} +{more},{new} @@ fn x{more}\n");
            for (sign, text) in lines {
                let _ = writeln!(out, "{sign}{text}");
            }
            out
        });
    let name = prop::sample::select(vec!["src/a.rs", "Cargo.lock", "x y.c", "[~a]", "b.min.js"]);
    let file = (name, prop::collection::vec(hunk, 0..4), any::<bool>()).prop_map(|(name, hunks, git)| {
        let head =
            if git { format!("diff --git a/{name} b/{name}\nindex 12..34 100644\n") } else { String::new() };
        format!("{head}--- a/{name}\n+++ b/{name}\n{}", hunks.concat())
    });
    (prop::collection::vec(file, 0..5), any::<bool>(), any::<bool>()).prop_map(|(files, crlf, cut)| {
        let text = format!("commit 1234567\n\n    message\n\n{}", files.concat());
        let text = if crlf { text.replace('\n', "\r\n") } else { text };
        if cut { text.trim_end().to_owned() } else { text }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_is_written_is_read_back(source in patch(), query in "[a-z. ]{0,20}") {
        let query = Query::new([query.as_str(), "a.rs"]);
        let one = DiffCompressor.exact(&source, &context(&query));
        let two = DiffCompressor.elide(&source, &context(&query));
        for reduction in one.iter().chain(&two) {
            accounts_for_all(&source, reduction);
        }
        let again = DiffCompressor.elide(&source, &context(&query));
        prop_assert_eq!(two.map(|two| two.segments[0].ops.clone()), again.map(|two| two.segments[0].ops.clone()));
    }

    #[test]
    fn any_text_is_read_back(source in "(?s).{0,200}") {
        DiffCompressor.recognises(&source, Hints::default());
        let query = Query::default();
        let both = [DiffCompressor.exact(&source, &context(&query)), DiffCompressor.elide(&source, &context(&query))];
        both.iter().flatten().for_each(|reduction| accounts_for_all(&source, reduction));
    }

    #[test]
    fn what_says_what_a_patch_is_about_is_identical(source in patch()) {
        // Read with names and headers written out, but without what is elided.
        let Some(reduction) = DiffCompressor.elide(&source, &context(&Query::default())) else { return Ok(()) };
        let text = render(&source, &reduction, "diff", &HandleKey::default()).text;
        let text = decoded(&codec::DiffCodec, &text);
        let patch = Patch::new(&source);
        for file in patch.files() {
            for at in file.lines.start..file.hunks.first().map_or(file.lines.end, |hunk| hunk.start) {
                prop_assert!(text.contains(patch.text(at)), "{}", patch.text(at));
            }
        }
    }

    #[test]
    fn every_choice_of_lines_is_read_back(source in patch(), gaps in prop::collection::vec((0usize..20, 1usize..9), 0..8)) {
        let patch = Patch::new(&source);
        let mut at = 0;
        let mut choice = Choice::default();
        for (skip, length) in gaps {
            let start = at + skip;
            let end = (start + length).min(patch.lines().len());
            if start < end {
                let (added, removed) = patch.changes(start..end);
                choice.gaps.push((start..end, format!("+{added} -{removed}")));
                at = end + 1;
            }
        }
        let (ops, _) = spell::spell(&patch, &choice);
        accounts_for_all(&source, &reduction(&source, ops));
    }
}

#[test]
fn kept_lines_alone_need_no_grammar() {
    let source = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n";
    assert!(DiffCompressor.exact(source, &context(&Query::default())).is_none());
    assert_eq!(decoded(&Verbatim, source), source);
}
