//! What tools return.

use std::fmt::Write;

use proptest::prelude::*;

use crate::json::{Json, Spelling};

/// A kind of tool output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A JSON array of like objects.
    Rows,
    /// The same, indented.
    IndentedRows,
    /// One JSON object with an array in it.
    Envelope,
    /// A log with levels, time stamps and tracebacks.
    Log,
    /// Lines that repeat.
    Repeats,
    /// Text that looks like our own markers and tables.
    Forged,
    /// Colours, carriage returns, other scripts.
    Terminal,
    /// Paragraphs.
    Prose,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Rows,
        Self::IndentedRows,
        Self::Envelope,
        Self::Log,
        Self::Repeats,
        Self::Forged,
        Self::Terminal,
        Self::Prose,
    ];
}

/// Tool outputs of every kind, mostly of 10 to 80 lines, and arbitrary text.
pub fn outputs() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => (prop::sample::select(Kind::ALL.as_slice()), any::<u32>(), 0usize..80)
            .prop_map(|(kind, seed, size)| output(kind, seed, size)),
        2 => any_text(300),
        1 => "[\\[~ #\\]{}\":,0-9a-z\n-]{0,200}",
    ]
}

/// A few sentences.
pub fn prose(sentences: usize) -> impl Strategy<Value = String> {
    (any::<u32>(), 1..=sentences).prop_map(|(seed, size)| output(Kind::Prose, seed, size))
}

/// Any text, control characters and other planes included.
pub fn any_text(length: usize) -> impl Strategy<Value = String> {
    prop::collection::vec(any::<char>(), 0..length).prop_map(String::from_iter)
}

/// A string literal with a lone surrogate behind `text`.
#[must_use]
pub fn lone(text: &str) -> Json {
    let literal = Json::from(text).spell(Spelling::COMPACT);
    Json::Raw(format!("{}\\ud83d\"", &literal[..literal.len() - 1]))
}

/// An output of about `size` lines; the same for the same arguments.
#[must_use]
pub fn output(kind: Kind, seed: u32, size: usize) -> String {
    let mut dice = Dice(u64::from(seed) | 1 << 40);
    let mut out = String::new();
    match kind {
        Kind::Rows | Kind::IndentedRows | Kind::Envelope => {
            let (open, close) = match kind {
                Kind::Envelope => ("{\"total\": 1.50, \"next\": null, \"items\": [", "], \"took\": 3e1}"),
                _ => ("[", "]"),
            };
            let (line, blank) = if kind == Kind::IndentedRows { ("\n    ", " ") } else { ("", "") };
            out.push_str(open);
            for n in 0..size {
                let status = dice.of(&["ok", "ok", "ok", "ok", "failed", "caf\u{e9}"]);
                let tag = dice.of(&["a/b", "[~items 1-3]", "x|y", "", "\\n\\u00e9\\\"q\\\""]);
                let score = dice.of(&["1.50", "2", "1e5", "-0", "null", "12345678901234567890"]);
                let _ = write!(
                    out,
                    "{}{line}{{\"id\":{blank}{n},{blank}\"status\":{blank}\"{status}\",{line}\"tag\":\"{tag}\",\
                     {blank}\"score\":{score},\"nested\":{{\"on\":{blank}{},\"list\":[1,{blank}2]}}}}",
                    if n > 0 { "," } else { "" },
                    dice.up_to(2) == 0,
                );
            }
            out.push_str(close);
        }
        Kind::Log => {
            for n in 0..size {
                let level = dice.of(&["INFO", "INFO", "INFO", "DEBUG", "WARN", "ERROR"]);
                let what =
                    dice.of(&["GET /health 200", "cache miss for key", "retrying", "row 0007 written"]);
                let _ = writeln!(
                    out,
                    "2026-11-22T10:{:02}:{:02}.{:03}Z {level} [worker-{}] {what} id={n:04}",
                    n / 60,
                    n % 60,
                    dice.up_to(1000),
                    dice.up_to(4)
                );
                if level == "ERROR" {
                    out.push_str("Traceback (most recent call last):\n  File \"src/a.rs\", line 7, in parse_header\n    raise ValueError('bad')\nValueError: bad\n");
                }
            }
        }
        Kind::Repeats => {
            let line = dice.of(&["Downloading crates ...", "  at Object.<anonymous> (/x.js:1:2)", "waiting"]);
            for n in 0..size {
                let line = if dice.up_to(17) == 0 { "something else, once" } else { line };
                out.push_str(line);
                out.push_str(if n + 1 < size || dice.up_to(2) == 0 { "\n" } else { "" });
            }
        }
        Kind::Forged => {
            for n in 0..size {
                let line = dice.of(&[
                    "[~lines 1-2 #111111111111111111111111111111]",
                    "[~lines 57-98]",
                    "[~~lines 57-98]",
                    "[~items 4-480: status ok 470 #730185021946520397154428690315]",
                    "[~",
                    "[~~~[~[~~",
                    "[~table 3 rows: id|status]",
                    "[3 rows] id, status, tag",
                    "id|status|tag",
                    "| id | status |",
                    "(x12) same line",
                    "\"[~items 1-9]\"",
                    "plain text in between, to have something that can be left out",
                ]);
                let _ = write!(out, "{line}{}", if n % 7 == 6 { " " } else { "\n" });
            }
        }
        Kind::Terminal => {
            for n in 0..size {
                let line = dice.of(&[
                    "\u{1b}[32mPASS\u{1b}[0m tests/a.rs\r",
                    "\u{feff}\u{202e}\u{5e9}\u{5dc}\u{5d5}\u{5dd}",
                    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} \u{65e5}\u{672c}\u{8a9e} e\u{301}",
                    "10%\r20%\r30%\r",
                    "\u{0}\u{8}\u{c}\u{7f}\u{2028}\t/",
                    "caf\u{e9} na\u{ef}ve \u{3a9}",
                ]);
                let _ = writeln!(out, "{line}{n}");
            }
        }
        Kind::Prose => {
            for n in 0..size {
                let who = dice.of(&["The parser", "A header", "Row 0007", "The cache", "parse_header"]);
                let does = dice.of(&["fails on", "returns", "waits for", "was seen in", "keeps"]);
                let what = dice.of(&["an empty line", "the second field", "the lock", "nothing at all"]);
                let _ = write!(out, "{who} {does} {what}.{}", if n % 4 == 3 { "\n\n" } else { " " });
            }
        }
    }
    out
}

/// A linear congruential generator (Knuth, MMIX): the same everywhere.
struct Dice(u64);

impl Dice {
    fn up_to(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[usize::try_from(self.up_to(choices.len() as u64)).unwrap_or(0)]
    }
}
