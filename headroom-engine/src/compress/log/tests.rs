//! What the LogCompressor promises, over written and generated logs.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::{
    ccr::{HandleKey, Marker},
    rank::Query,
    reduce::{Accepted, Gate, Hints, Refusal},
    tokens::{O200k, TokenCounter},
};

fn gate(source: &str, reduction: &Reduction) -> Result<Accepted, Refusal> {
    Gate { counter: &O200k, key: &HandleKey::default() }.pass(source, None, "log", reduction)
}

fn context(query: &Query) -> Context<'_> {
    Context {
        query,
        tool: "",
        hints: Hints::default(),
        is_error: false,
        counter: &O200k,
        stakes: crate::reduce::Stakes::flat(250),
    }
}

fn exact(source: &str) -> String {
    let reduction = LogCompressor.exact(source, &context(&Query::default())).unwrap();
    assert!(reduction.segments.iter().all(|s| s.ops.iter().all(|op| !matches!(op, Op::Elide { .. }))));
    gate(source, &reduction).unwrap().rendered.text
}

fn elided_for(source: &str, query: &str) -> String {
    let query = Query::new([query]);
    let reduction = LogCompressor.elide(source, &context(&query)).unwrap();
    gate(source, &reduction).unwrap().rendered.text
}

fn elided(source: &str) -> String {
    elided_for(source, "why did it fail")
}

fn ratio(source: &str, text: &str) -> f64 {
    O200k.count(text) as f64 / O200k.count(source) as f64
}

fn lines(range: Range<usize>, line: impl Fn(usize) -> String) -> String {
    range.map(|at| line(at) + "\n").collect()
}

fn assert_shows(text: &str, needles: &[&str]) {
    for needle in needles {
        assert!(text.contains(needle), "{needle:?} is not visible in\n{text}");
    }
}

#[test]
fn a_counter_between_errors_is_said_once() {
    let source = lines(0..120, |at| match at % 2 {
        0 => format!("INFO tick {}", at / 2 + 8),
        _ => format!("ERROR E{:03}: subsystem {} failed [~ x", at / 2, ["a", "b", "c"][at % 3]),
    });
    for text in [exact(&source), elided(&source)] {
        assert!(
            text.starts_with("[~before 60 from 8: INFO tick [~]]\nERROR E000: subsystem b failed [~~ x\n"),
            "{text}"
        );
        for at in 0..60 {
            assert!(text.contains(&format!("E{at:03}:")), "{at} is not visible in\n{text}");
        }
    }
}

#[test]
fn one_odd_line_among_many_stays() {
    let clock = |at: usize| format!("{:02}:{:02}:{:02}", 10 + at / 3600, at / 60 % 60, at % 60);
    let cases: [(String, &str); 6] = [
        (
            lines(0..400, |at| {
                format!("2024-01-01T{} INFO worker-{} processing job {at}", clock(at), at % 7)
            }),
            "2024-01-01T11:00:00 ERROR worker-1 job 399 failed: connection refused",
        ),
        (
            lines(0..400, |at| {
                format!("Jan  1 {} host sshd[{at}]: Accepted publickey for user{at}", clock(at))
            }),
            "Jan  1 11:00:00 host kernel: Out of memory: Killed process 4242 (java)",
        ),
        (
            lines(0..400, |at| format!("[INFO] worker-{} processing job {at}", at % 7)),
            "[ERROR] job 399 failed: connection refused",
        ),
        (
            lines(0..400, |at| format!("I0101 10:00:00.{at:06}    1 sync.go:12] synced pod {at}")),
            "E0101 10:00:01.000000    1 sync.go:99] cannot bind volume",
        ),
        (
            lines(0..400, |at| format!("17040672{:02} served request {at} in {} ms", at % 60, at % 9)),
            "1704067260 Segmentation fault (core dumped)",
        ),
        (
            lines(0..400, |at| format!("[{:>12.6}] usb 1-{at}: new device number {at}", at as f64)),
            "[  401.000000] BUG: unable to handle kernel NULL pointer dereference",
        ),
    ];
    for (ordinary, odd) in cases {
        let (head, tail) = ordinary.split_at(ordinary.len() / 2);
        let (line, tail) = tail.split_once('\n').unwrap();
        let source = format!("{head}{line}\n{odd}\n{tail}");
        assert!(LogCompressor.recognises(&source, Hints::default()), "{odd}");
        let text = elided(&source);
        assert_shows(&text, &[odd]);
        assert!(ratio(&source, &text) <= 0.15, "{odd}: {}\n{text}", ratio(&source, &text));
    }
}

#[test]
fn sixty_distinct_errors_stay() {
    let mut source = String::new();
    for at in 0..60 {
        let _ = writeln!(
            source,
            "INFO tick {at}\nERROR E{at:03}: subsystem {} failed with code {}",
            at % 26,
            at * 13
        );
    }
    source += &lines(0..300, |at| format!("INFO idle {at}"));
    let text = elided(&source);
    for at in 0..60 {
        assert_shows(&text, &[&format!("ERROR E{at:03}: subsystem")]);
    }
    assert!(ratio(&source, &text) <= 0.45);
}

#[test]
fn a_deep_traceback_keeps_its_exception() {
    let frames = lines(0..50, |at| {
        format!("  File \"/app/mod{at}.py\", line {at}, in f{at}\n    return f{}(x)", at + 1)
    });
    let source = format!(
        "{}Traceback (most recent call last):\n{frames}ledger.MyDomainFault: ledger 8812 is unbalanced by 0.03\n{}",
        lines(0..300, |at| format!("INFO request {at} served")),
        lines(0..300, |at| format!("INFO request {at} served")),
    );
    let text = elided(&source);
    assert_shows(
        &text,
        &[
            "Traceback (most recent",
            "mod0.py",
            "mod49.py",
            "\nledger.MyDomainFault: ledger 8812 is unbalanced by 0.03\n",
        ],
    );
    assert!(!text.contains("mod25.py"), "frames are thinned");
    assert!(ratio(&source, &text) <= 0.15);
}

#[test]
fn chained_causes_of_java_stay() {
    let at = |name: &str, count: usize| {
        lines(0..count, |n| format!("\tat com.example.{name}.call{n}({name}.java:{n})"))
    };
    let source = format!(
        "{}2024-01-01 10:00:00 ERROR request 7 broke\njava.lang.IllegalStateException: no ledger\n{}Caused by: java.io.IOException: disk /dev/sda1 is full\n{}\t... 23 more\n{}",
        lines(0..300, |n| format!("2024-01-01 10:00:00 INFO request {n} served")),
        at("Web", 60),
        at("Disk", 40),
        lines(0..300, |n| format!("2024-01-01 10:00:01 INFO request {n} served")),
    );
    let text = elided(&source);
    assert_shows(
        &text,
        &[
            "IllegalStateException: no ledger",
            "Caused by: java.io.IOException: disk /dev/sda1 is full",
            "... 23 more",
        ],
    );
    assert!(ratio(&source, &text) <= 0.15);
}

#[test]
fn verdicts_of_tools_stay() {
    let noise =
        |from: usize| lines(from..from + 200, |at| format!("[INFO] Downloading artifact {at} from central"));
    for verdict in [
        "[INFO] BUILD FAILURE",
        "FAILURE: Build failed with an exception.",
        "ninja: build stopped: subcommand failed.",
        "FAILED: src/main.o",
        "make: *** [Makefile:12: all] Error 2",
        "Killed",
        "Segmentation fault (core dumped)",
        "test result: FAILED. 29 passed; 1 failed; 0 ignored",
        "FAILED (errors=2)",
        "Ran 30 tests in 1.2s",
        "error: could not compile `demo` (lib) due to 1 previous error",
        "Process completed with exit code 137.",
        "--- FAIL: TestLedger (0.00s)",
        "FAILED tests/test_a.py::test_b - AssertionError",
        "=========== 2 failed, 40 passed in 3.1s ===========",
        "Tests run: 12, Failures: 1, Errors: 0",
        "fatal: not a git repository",
        "npm ERR! code ELIFECYCLE",
        "  \u{2715} adds numbers: expected 3 but failed",
        "panic: runtime error: index out of range [3] with length 3",
        "\u{1b}[31mERROR\u{1b}[0m no space left on device",
    ] {
        let source = format!("{}{verdict}\n{}", noise(0), noise(200));
        assert_shows(&elided(&source), &[verdict]);
    }
}

#[test]
fn a_panic_keeps_its_message() {
    let source = format!(
        "{}thread 'main' panicked at src/main.rs:10:5:\nindex out of bounds: the len is 3 but the index is 7\n{}",
        lines(0..300, |at| format!("   Compiling crate{at} v0.1.{at}")),
        lines(0..100, |at| format!("info note {at}")),
    );
    let text = elided(&source);
    assert_shows(
        &text,
        &["panicked at src/main.rs:10:5", "index out of bounds: the len is 3 but the index is 7"],
    );
    assert!(ratio(&source, &text) <= 0.15);
}

#[test]
fn diagnostics_stay_whole() {
    let rustc = "error[E0308]: mismatched types\n  --> src/lib.rs:7:9\n   |\n6  | fn f() -> u8 {\n   |           -- expected `u8`\n7  |     \"x\"\n   |     ^^^ expected `u8`, found `&str`\n   |\n   = note: a note that matters\n";
    let gcc = "main.c:4:10: error: 'x' undeclared (first use in this function)\n    4 |   return x;\n      |          ^\n";
    for unit in [rustc, gcc] {
        let source = format!(
            "{}{unit}\n{}",
            lines(0..200, |at| format!("   Compiling crate{at} v0.1.{at}")),
            lines(0..200, |at| format!("   Compiling other{at} v0.1.{at}")),
        );
        assert_shows(&elided(&source), &[unit]);
    }
}

#[test]
fn what_is_denied_is_no_error() {
    for calm in [
        "0 errors, 0 warnings",
        "no error found in 12 files",
        "error_count=0 state=7",
        "errors: 0 done",
        "tests/test_errors.py::test_failure_path PASSED",
        "test_error_is_raised (app.tests.ErrorTests) ... ok",
        "compiled src/error.rs",
        "failed=0 unreachable=0",
        "loaded plugin exception-mapper",
    ] {
        let log = Log::new(calm).unwrap();
        assert!(!log.line(0).marks.has(line::Marks::ERROR), "{calm}");
    }
    for trouble in [
        "3 errors",
        "ERROR x",
        "it failed",
        "E   assert 1 == 2",
        "[error] x",
        "java.lang.NullPointerException",
    ] {
        let log = Log::new(trouble).unwrap();
        assert!(log.line(0).marks.has(line::Marks::ERROR), "{trouble}");
    }
}

#[test]
fn the_query_finds_its_line() {
    let source = lines(0..2000, |at| {
        format!("12:00:{:02} INFO order {} shipped to depot {}", at % 60, at * 37 + 100_000, at % 5)
    });
    let needle = format!("order {} shipped", 1234 * 37 + 100_000);
    assert!(!elided(&source).contains(&needle));
    assert_shows(&elided_for(&source, &format!("What became of order {}?", 1234 * 37 + 100_000)), &[&needle]);
}

#[test]
fn every_error_of_an_error_result_stays() {
    let source = lines(0..900, |at| {
        if at % 9 == 0 {
            format!("ERROR job {at} failed")
        } else {
            format!("INFO job {at} went through all its {at} steps")
        }
    });
    let query = Query::default();
    let reduction = LogCompressor.elide(&source, &Context { is_error: true, ..context(&query) }).unwrap();
    let text = gate(&source, &reduction).unwrap().rendered.text;
    assert!((0..900).step_by(9).all(|at| text.contains(&format!("ERROR job {at} failed"))));
}

#[test]
fn repeats_are_counted_and_referred_to() {
    let block = "configure: checking for a working compiler\nconfigure: checking whether it links\nconfigure: done with checks\n";
    let source =
        format!("{}{block}first pass\n{block}second pass\n", "still waiting for the lock\n".repeat(40));
    let text = exact(&source);
    assert_shows(
        &text,
        &["still waiting for the lock\n[~same 39]\n", "working compiler\n[~then 2]\nsecond pass"],
    );
}

/// A part that is gone over looks like a line that stands alone, and is none.
#[test]
fn parts_of_lines_are_not_repeated_as_lines() {
    let block =
        "Traceback (most recent call last):\n  File \"/a.py\", line 3, in f\n    g()\nKeyError: 'x'\n\r";
    let text = exact(&format!("{block}load 0% of 1\n{block}\nand what stands behind it\n"));
    assert!(text.contains("[~then 3]\n\r\n"), "{text}");
}

#[test]
fn numbers_and_common_heads_are_said_once() {
    let source = lines(0..60, |at| {
        format!(
            "2024-01-01 10:00:{at:02},123 INFO [pool-1-thread-1] com.example.Ledger: balance of account is {}",
            at * at
        )
    });
    let text = exact(&source);
    assert!(ratio(&source, &text) < 0.45, "{text}");
    let source = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]
        .map(|name| format!("tests/integration/test_ledger.py::TestBalances::test_{name} PASSED\n"))
        .concat();
    assert_shows(
        &exact(&source),
        &["[~next 10: tests/integration/test_ledger.py::TestBalances::", "\nepsilon"],
    );
}

#[test]
fn control_sequences_have_stand_ins() {
    let words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"];
    let source = words
        .map(|word| format!("\u{1b}[38;5;143m{word}\u{1b}[0m | \u{1b}[38;5;143m{word}s\u{1b}[0m\n"))
        .concat();
    let text = exact(&source);
    assert_shows(&text, &["[~paint 6: ", "^beta` | ^betas`"]);
}

#[test]
fn odd_inputs_are_fine() {
    let query = Query::new(["x"]);
    for source in [
        String::new(),
        "\n".to_owned(),
        "x".to_owned(),
        "\n".repeat(100_000),
        "a b 1 ".repeat(100_000),
        "12:00:01 INFO done\r\n".repeat(500),
        "12:00:01 \0 INFO \0\n".repeat(500),
        lines(0..500, |at| format!("12:00:{:02} 信息 第{at}个任务完成", at % 60)),
        "[~same 3]\n[~a:]x\n[~next 2: [~]]\n[~lines 1-2]\n".repeat(100),
    ] {
        for reduction in
            [LogCompressor.exact(&source, &context(&query)), LogCompressor.elide(&source, &context(&query))]
                .into_iter()
                .flatten()
        {
            let refused = gate(&source, &reduction).err();
            assert!(matches!(refused, None | Some(Refusal::NotSmaller)), "{refused:?}");
        }
    }
}

#[test]
fn other_kinds_are_not_taken() {
    for other in [
        "{\"level\": \"error\", \"time\": \"12:00:00\"}\n",
        "[{\"level\": \"error\"}]\n",
        "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-a\n+b\n",
        "src/main.rs:12:    let error = parse()?;\nsrc/main.rs:19:    return Err(error);\nsrc/lib.rs:3:// error handling\n",
        "use std::io;\n\nfn main() {\n    println!(\"error: {}\", 1);\n}\n",
        "def main():\n    raise ValueError('failed')\n\nclass Error(Exception):\n    pass\n",
        "It was a bright day. The error was found at once, and nobody\nfailed to see it. A warning had been given.\n",
        "<html><body>12:00 error</body></html>\n",
        "-rw-r--r-- 1 user user 84 May  2 12:03 error.txt\n-rw-r--r-- 1 user user 84 May  2 12:04 b.txt\n",
        "time,level,value\n2024-01-01T00:00:00,INFO,1\n2024-01-01T00:00:01,ERROR,2\n",
        "",
    ] {
        assert!(!LogCompressor.recognises(other, Hints::default()), "{other}");
    }
    for log in [
        "============ test session starts ============\ncollected 2 items\n\ntests/test_a.py ..   [100%]\n\n============ 2 passed in 0.1s ============\n",
        "running 2 tests\ntest a ... ok\ntest b ... FAILED\n\ntest result: FAILED. 1 passed; 1 failed\n",
        "test_a (app.Tests) ... ok\ntest_b (app.Tests) ... ok\n\n----------\nRan 2 tests in 0.1s\n\nOK\n",
        "=== RUN   TestA\n--- FAIL: TestA (0.00s)\n    a_test.go:12: got 3\nFAIL\nexit status 1\n",
        "main.c:4:10: warning: unused variable 'x' [-Wunused]\n    4 |   int x;\n      |       ^\n",
        "[INFO] Scanning for projects...\n[INFO] BUILD SUCCESS\n",
        "npm warn deprecated a@1.0.0\nnpm error code E404\n",
        "[1/3] Building C object a.o\n[2/3] Building C object b.o\nninja: build stopped: subcommand failed.\n",
        "\u{1b}[1mStep 1\u{1b}[0m\n\u{1b}[32mok\u{1b}[0m\n",
    ] {
        assert!(LogCompressor.recognises(log, Hints::default()), "{log}");
    }
}

/// Lines as logs have them: a few templates with numbers, repeats, errors, look-alikes of ours.
fn arbitrary_log() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        8 => (0u32..9999).prop_map(|n| format!("12:00:{:02}.{n:04} INFO worker-{} served request {n}", n % 60, n % 4)),
        3 => (0u32..99).prop_map(|n| format!("tests/a.py::TestA::test_{n} PASSED")),
        2 => (0u32..5).prop_map(|n| format!("ERROR unit {} failed with {n}", ["a", "b", "c", "d", "e"][n as usize])),
        2 => Just("still waiting".to_owned()),
        1 => Just(String::new()),
        1 => Just("Traceback (most recent call last):\n  File \"/a.py\", line 3, in f\n    g()\nKeyError: 'x'".to_owned()),
        1 => "[\\[~a_^ :\\]0-9\\r\\té\u{1b}]{0,24}",
        1 => (1usize..40).prop_map(|n| (0..n).map(|at| format!("\rload {at}% of {n}")).collect()),
        1 => (0u32..9, "[a-z^`]{6}").prop_map(|(n, word)| format!("\u{1b}[3{n}m{word}\u{1b}[0m \u{1b}[1m{word}\u{1b}[0m").repeat(6)),
        1 => Just("[~a 1 2]".to_owned()),
        1 => Just("[~next 2: a[~]b]".to_owned()),
    ];
    (prop::collection::vec((line, 1usize..4), 0..80), any::<bool>()).prop_map(|(lines, ended)| {
        let mut text: String = lines.iter().map(|(line, times)| format!("{line}\n").repeat(*times)).collect();
        if !ended {
            text.pop();
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn exact_comes_back(source in arbitrary_log()) {
        let query = Query::default();
        if let Some(reduction) = LogCompressor.exact(&source, &context(&query)) {
            match gate(&source, &reduction) {
                Ok(accepted) => prop_assert!(accepted.rendered.hidden.is_empty()),
                Err(refusal) => prop_assert_eq!(refusal, Refusal::NotSmaller),
            }
        }
    }

    #[test]
    fn any_text_comes_back(source in "([a-c0-9 .:\\[~\\]\n_^é]{0,60}\n){0,12}") {
        let query = Query::default();
        let log = Log::new(&source).unwrap();
        let (ops, _) = exact::spell(&log, std::slice::from_ref(&(0..log.len())));
        let spelled = reduction(&source, ops.into_iter().flatten().collect());
        let refused = gate(&source, &spelled).err();
        prop_assert!(matches!(refused, None | Some(Refusal::NotSmaller)), "{:?}", refused);
        let refused = LogCompressor.elide(&source, &context(&query)).and_then(|it| gate(&source, &it).err());
        prop_assert!(matches!(refused, None | Some(Refusal::NotSmaller)), "{:?}", refused);
    }

    #[test]
    fn elision_is_honest_and_keeps_what_matters(source in arbitrary_log(), filler in 60usize..200) {
        let source = format!("{}{source}\n{}", lines(0..filler, |at| format!("INFO idle {at}")), lines(0..filler, |at| format!("INFO idle {at}")));
        let query = Query::default();
        let Some(reduction) = LogCompressor.elide(&source, &context(&query)) else { return Ok(()) };
        let accepted = match gate(&source, &reduction) {
            Ok(accepted) => accepted,
            Err(refusal) => {
                prop_assert_eq!(refusal, Refusal::NotSmaller);
                return Ok(());
            }
        };
        let text = &accepted.rendered.text;
        // Every distinct error, by its words, is visible.
        for unit in ["a", "b", "c", "d", "e"] {
            let error = format!("ERROR unit {unit} failed");
            prop_assert!(!source.contains(&error) || text.contains(&error));
        }
        prop_assert!(!source.contains("KeyError: 'x'") || text.contains("\nKeyError: 'x'\n"));
        // Lines left out and lines that the text stands for are all lines.
        let newlines = |range: &Range<usize>| source[range.clone()].matches('\n').count();
        let hidden: usize = accepted
            .rendered
            .hidden
            .iter()
            .map(|hidden| {
                let marker: Marker = text[hidden.marker.clone()].parse().unwrap();
                match marker.unit() {
                    Unit::Lines => marker.last() - marker.first() + 1,
                    _ => newlines(&hidden.range),
                }
            })
            .sum();
        let kept = reduction.segments[0].ops.iter().filter(|op| !matches!(op, Op::Elide { .. }));
        let kept: usize = kept.map(|op| newlines(op.range())).sum();
        prop_assert_eq!(hidden + kept, source.lines().count());
        // The same again, and again on its own output.
        let again = LogCompressor.elide(&source, &context(&query)).map(|it| gate(&source, &it).unwrap().rendered.text);
        prop_assert_eq!(again.as_ref(), Some(text));
        if let Some(twice) = LogCompressor.elide(text, &context(&query)) {
            let refused = gate(text, &twice).err();
            prop_assert!(matches!(refused, None | Some(Refusal::NotSmaller)));
        }
    }
}
