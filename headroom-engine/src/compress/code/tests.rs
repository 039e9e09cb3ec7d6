//! What the CodeCompressor promises, over written and generated code.

use std::fmt::Write as _;

use proptest::prelude::*;
use tree_sitter::Parser;

use super::*;
use crate::{
    ccr::{HandleKey, Marker, Unit},
    rank::Query,
    reduce::{Gate, Refusal, Rendered, render},
    tokens::{O200k, TokenCounter},
};

fn context<'a>(query: &'a Query, path: &'a str) -> Context<'a> {
    let hints = Hints::default().path(path);
    Context {
        query,
        tool: "read",
        hints,
        is_error: false,
        counter: &O200k,
        stakes: crate::reduce::Stakes::flat(250),
    }
}

fn gate(source: &str, reduction: &Reduction) -> Result<Rendered, Refusal> {
    let gate = Gate { counter: &O200k, key: &HandleKey::default() };
    gate.pass(source, None, "code", reduction).map(|accepted| accepted.rendered)
}

/// Elides `source`, and checks what always holds: it passes the gate, and it parses no worse.
fn elided(source: &str, path: &str, query: &str) -> String {
    assert!(CodeCompressor.recognises(source, Hints::default().path(path)), "{source}");
    let query = Query::new([query]);
    let reduction = CodeCompressor.elide(source, &context(&query, path)).unwrap();
    let rendered = gate(source, &reduction).unwrap();
    assert!(!rendered.hidden.is_empty(), "{}", rendered.text);
    let language = Language::of_extension(path.rsplit_once('.').unwrap().1).unwrap();
    assert!(errors(&rendered.text, language) <= errors(source, language), "{}", rendered.text);
    rendered.text
}

fn exact(source: &str) -> Option<String> {
    let query = Query::default();
    let reduction = CodeCompressor.exact(source, &context(&query, "x.py"))?;
    assert!(reduction.segments[0].ops.iter().all(|op| !matches!(op, Op::Elide { .. })));
    Some(gate(source, &reduction).ok()?.text)
}

/// How many places of `code` the grammar does not understand.
fn errors(code: &str, language: Language) -> usize {
    let mut parser = Parser::new();
    parser.set_language(&language.grammar()).unwrap();
    let tree = parser.parse(code, None).unwrap();
    let mut cursor = tree.walk();
    let mut errors = 0;
    loop {
        let node = cursor.node();
        errors += usize::from(node.is_error() || node.is_missing());
        if cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return errors;
            }
        }
    }
}

/// `count` statements, each different, indented by `indent`.
fn filler(count: usize, indent: &str, end: &str) -> String {
    (0..count).fold(String::new(), |mut out, at| {
        let _ = writeln!(out, "{indent}total_{at} = combine(total_{at}, weight_{at} + {at}){end}");
        out
    })
}

fn shows(text: &str, wanted: &[&str]) {
    for wanted in wanted {
        assert!(text.contains(wanted), "{wanted:?} is not in\n{text}");
    }
}

fn hides(text: &str, unwanted: &[&str]) {
    for unwanted in unwanted {
        assert!(!text.contains(unwanted), "{unwanted:?} is in\n{text}");
    }
}

#[test]
fn c1_rust_derives_docs_and_test_modules() {
    let source = format!(
        "//! A crate.\n\n/// A point.\n#[derive(Clone, Debug)]\npub struct Point {{\n    x: i32,\n}}\n\nimpl Point {{\n    /// Moves it.\n    #[must_use]\n    pub fn moved(mut self) -> Self {{\n{}        self\n    }}\n}}\n\n#[cfg(test)]\nmod tests {{\n    use super::*;\n\n    #[test]\n    fn it_moves() {{\n{}    }}\n}}\n",
        filler(40, "        ", ";"),
        filler(40, "        ", ";")
    );
    let text = elided(&source, "p.rs", "what is there");
    shows(
        &text,
        &[
            "/// A point.\n#[derive(Clone, Debug)]\npub struct Point {\n    x: i32,\n}",
            "    /// Moves it.\n    #[must_use]\n    pub fn moved(mut self) -> Self {\n        // [~lines 13-53",
            "#[cfg(test)]\nmod tests {\n    // [~lines 59-103: tests",
        ],
    );
}

#[test]
fn c2_cpp_namespaces_templates_conditionals_macros() {
    let body = filler(30, "    ", ";");
    let source = format!(
        "#include <vector>\n#define TWICE(x) \\\n  do {{ (x); (x); }} while (0)\n\nnamespace a::b {{\n\ntemplate <typename T>\nclass Box {{\n public:\n  explicit Box(T value) : value_(value) {{\n{body}  }}\n#ifdef WITH_NAME\n  std::string name() const {{\n{body}  }}\n#endif\n\n private:\n  T value_;\n}};\n\nint Box<int>::size() const {{\n{body}}}\n\n}} // namespace a::b\n"
    );
    let text = elided(&source, "box.cpp", "x");
    shows(
        &text,
        &[
            "template <typename T>\nclass Box {",
            "explicit Box(T value) : value_(value) {",
            "#ifdef WITH_NAME",
            "std::string name() const {",
            "#endif",
            "int Box<int>::size() const {",
            "} // namespace a::b",
            "do { (x); (x); } while (0)",
        ],
    );
    hides(&text, &["total_20"]);
}

#[test]
fn c3_js_arrows_fields_methods_and_default_exports() {
    let body = filler(30, "    ", ";");
    let source = format!(
        "'use strict'\nconst fs = require('fs')\n\nconst arrow = (a, b) => {{\n{body}}}\n\nclass A {{\n  field = 1\n  handler = async (event) => {{\n{body}  }}\n\n  static make() {{\n{body}  }}\n}}\n\nmodule.exports = {{\n  meta: {{ type: 'problem' }},\n  create(context) {{\n    function inner(node) {{\n{body}    }}\n{body}    return {{\n      'Program:exit'(node) {{\n{body}      }},\n    }}\n  }},\n}}\n\nexport default function main(argv) {{\n{body}}}\n"
    );
    let text = elided(&source, "a.js", "x");
    shows(
        &text,
        &[
            "const arrow = (a, b) => {\n    // [~lines",
            "handler = async (event) => {",
            "static make() {",
            "create(context) {",
            "function inner(node) {",
            "export default function main(argv) {",
            "meta: { type: 'problem' }",
        ],
    );
}

#[test]
fn c4_ts_decorators_and_overloads() {
    let body = filler(30, "    ", ";");
    let source = format!(
        "import {{ Component }} from 'core';\n\n@Component({{ selector: 'app' }})\nexport class App<T> implements Base {{\n  constructor(private readonly name: string) {{\n{body}  }}\n\n  get(id: number): T;\n  get(id: string): T;\n  @memo()\n  get(id: unknown): T {{\n{body}  }}\n}}\n\nexport interface Options {{\n  depth?: number;\n}}\n"
    );
    let text = elided(&source, "app.ts", "x");
    shows(
        &text,
        &[
            "@Component({ selector: 'app' })\nexport class App<T> implements Base {",
            "  get(id: number): T;\n  get(id: string): T;\n  @memo()\n  get(id: unknown): T {\n",
            "export interface Options {\n  depth?: number;\n}",
            "constructor(private readonly name: string) {",
        ],
    );
    let tsx = format!(
        "export const View = (props: Props) => {{\n{body}{body}  return <div>{{props.name}}</div>;\n}};\n"
    );
    shows(&elided(&tsx, "view.tsx", "x"), &["export const View = (props: Props) => {"]);
}

#[test]
fn c5_go_methods() {
    let body = filler(30, "\t", "");
    let source = format!(
        "package tree\n\nimport (\n\t\"fmt\"\n)\n\n// Node is one.\ntype Node struct {{\n\tname string\n}}\n\n// Walk walks.\n// It goes deep.\nfunc (n *Node) Walk(fn func(*Node) error) error {{\n{body}\treturn nil\n}}\n\nfunc New(name string) *Node {{\n{body}\treturn &Node{{name}}\n}}\n"
    );
    let text = elided(&source, "tree.go", "how does Walk end");
    shows(
        &text,
        &[
            "func (n *Node) Walk(fn func(*Node) error) error {\n\ttotal_0",
            "func New(name string) *Node {\n\t// [~lines",
        ],
    );
}

#[test]
fn c6_python_guarded_imports_defaults_decorators_and_nested_functions() {
    let body = filler(40, "        ", "");
    let source = format!(
        "#!/usr/bin/env python\n\"\"\"A module.\"\"\"\n\ntry:\n    import fast\nexcept ImportError:\n    fast = None\n\nif TYPE_CHECKING:\n    from x import Y\n\nDEFAULT = 3\n\n@wraps(f)\n@app.route(\"/{{x}}\")\ndef view(a=DEFAULT, *, b: int = 4) -> str:\n    \"\"\"Views.\n\n    A long text that tells of everything there is to be told,\n    over several lines, so that leaving it out is worth it,\n    and more lines of the same kind that nobody needs to read.\n    \"\"\"\n    match a:\n      case 1:\n{body}\n    def nested(x):\n{body}\n        return f\"{{x!r:>{{a}}}} {{{{\"\n    return nested\n\nclass A:\n    def method(self):\n{body}\n"
    );
    let text = elided(&source, "a.py", "x");
    shows(
        &text,
        &[
            "try:\n    import fast\nexcept ImportError:\n    fast = None\n\nif TYPE_CHECKING:\n    from x import Y\n\nDEFAULT = 3\n",
            "@wraps(f)\n@app.route(\"/{x}\")\ndef view(a=DEFAULT, *, b: int = 4) -> str:",
            "    \"\"\"Views.\n[~lines",
            "]\n    \"\"\"\n    # [~lines",
            "    def nested(x):\n",
            "class A:\n    def method(self):\n",
        ],
    );
}

#[test]
fn c7_a_body_of_one_loop() {
    let source = format!(
        "import sys\n\ndef run(rows):\n    for row in rows:\n{}\n\nrun(sys.argv)\n",
        filler(60, "        ", "")
    );
    let text = elided(&source, "run.py", "x");
    shows(&text, &["def run(rows):\n    # [~lines 4-64", "run(sys.argv)"]);
}

#[test]
fn c8_a_syntax_error_in_the_middle() {
    let body = filler(30, "    ", ";");
    let source = format!(
        "int first(int a) {{\n{body}}}\n\nint broken(int a {{ ]] =;\n\nint last(int a) {{\n{body}}}\n"
    );
    let text = elided(&source, "x.c", "x");
    shows(&text, &["int first(int a) {", "int broken(int a { ]] =;", "int last(int a) {"]);
}

#[test]
fn c9_code_within_texts_stays_text() {
    let sql: String = (0..60).fold(String::new(), |mut out, at| {
        let _ = writeln!(out, "    SELECT column_{at} FROM table_{at} WHERE id = {at};");
        out
    });
    let source = format!("QUERY = \"\"\"\n{sql}\"\"\"\n\ndef f():\n    return QUERY\n");
    let text = elided(&source, "q.py", "x");
    shows(&text, &["QUERY = \"\"\"\n", "\n\"\"\"\n\ndef f():\n    return QUERY\n"]);
    let vue = "<template>\n  <div>{{ name }}</div>\n</template>\n<script>\nexport default { name: 'x' };\n</script>\n";
    assert!(!CodeCompressor.recognises(vue, Hints::default().path("a.vue")));
}

#[test]
fn c10_a_megabyte_is_done_and_done_alike() {
    let function = |at: usize| format!("def function_{at}(a, b):\n{}    return a\n\n", filler(8, "    ", ""));
    let source: String = (0..4000).map(function).collect();
    assert!(source.len() > 1 << 20);
    let query = Query::default();
    let reduction = CodeCompressor.elide(&source, &context(&query, "big.py")).unwrap();
    let text = gate(&source, &reduction).unwrap().text;
    assert!(text.len() < source.len() / 2);
    shows(&text, &["def function_0(a, b):", "def function_3999(a, b):"]);
}

#[test]
fn c11_tabs_and_carriage_returns() {
    let source = format!(
        "func first() {{\n{}}}\n\nfunc last() {{\n{}}}\n",
        filler(30, "\t", ""),
        filler(30, "\t", "")
    )
    .replace('\n', "\r\n");
    let source = format!("package x\r\n\r\n{source}");
    let text = elided(&source, "x.go", "x");
    shows(&text, &["func first() {\r\n\t// [~lines 4-33", "\n}\r\n\r\nfunc last() {\r\n"]);
}

#[test]
fn c12_languages_without_a_grammar_stay_whole() {
    let kotlin = format!("package x\n\nfun main() {{\n{}}}\n", filler(60, "    ", ""));
    for path in ["a.kt", "a.swift", "a.php", "a.rb", "a.scala", "a.sh"] {
        let query = Query::default();
        assert!(!CodeCompressor.recognises(&kotlin, Hints::default().path(path)));
        assert!(CodeCompressor.elide(&kotlin, &context(&query, path)).is_none(), "{path}");
    }
}

#[test]
fn imports_that_nothing_names_are_one_run() {
    let imports: String = (0..12).map(|at| format!("import com.example.Unused{at};\n")).collect();
    let source = format!(
        "package x;\n\nimport java.util.List;\n{imports}\nclass A {{\n  List<String> all() {{\n{}  }}\n}}\n",
        filler(60, "    ", ";")
    );
    let text = elided(&source, "A.java", "x");
    shows(&text, &["import java.util.List;\n// [~lines 4-15: imports", "List<String> all() {"]);
}

#[test]
fn what_will_be_edited_stays() {
    let source =
        format!("def asked(a):\n{}\n\ndef other(a):\n{}", filler(40, "    ", ""), filler(40, "    ", ""));
    let text = elided(&source, "a.py", "please fix asked()");
    shows(&text, &["def asked(a):\n    total_0", "def other(a):\n    # [~lines"]);
    let reshape = Query::new(["refactor this file"]);
    assert!(!hides_any(&source, &reshape));
    for first in ["make a plan how to refactor this file", "read this file in full"] {
        assert!(hides_any(&source, &Query::new([first])), "{first}");
    }
    assert!(!hides_any(&source, &Query::new(["read it in full and split it into modules"])));
    let range = Query::new(["{\"path\": \"a.py\", \"offset\": 100}"]);
    assert!(!hides_any(&source, &range));
}

/// A function of `name` with a body that is worth leaving out.
fn function(name: &str) -> String {
    format!("def {name}(a):\n{}    return {name}_done\n\n", filler(40, "    ", ""))
}

#[test]
fn names_that_the_query_speaks_of_go_last() {
    let names = ["parse_args", "runRpcMode", "print_help", "run_print_mode", "load_all", "find_all"];
    let source: String = names.iter().map(|name| function(name)).collect();
    let kept = |query: &str| {
        let text = elided(&source, "a.py", query);
        names.into_iter().filter(|name| text.contains(&format!("return {name}_done"))).collect::<Vec<_>>()
    };
    assert_eq!(kept("read it in full and review how the modes share code"), ["runRpcMode", "run_print_mode"]);
    let help = kept("read it in full and review the help on args");
    assert!(["parse_args", "print_help"].iter().all(|name| help.contains(name)), "{help:?}");
}

#[test]
fn a_line_that_was_asked_for_keeps_what_it_begins() {
    let head = |name: &str| format!("def {name}(\n    first,\n    second,\n    third,\n    fourth,\n):\n");
    let body = filler(40, "    ", "");
    let code = format!("{}{body}\n\n{}{body}", head("one"), head("two"));
    let second = code.lines().position(|line| line == "def two(").unwrap() + 101;
    let source = numbered(&code, 101, |number, line| format!("{number}:{line}\n"));
    let text = elided(&source, "a.py", &format!("goto {second}"));
    shows(&text, &["def one(", "def two("]);
    assert_eq!(text.matches("    total_7 = ").count(), 1, "{text}");
    assert!(text.find("[~lines").unwrap() < text.find("def two(").unwrap(), "{text}");
}

fn hides_any(source: &str, query: &Query) -> bool {
    let reduction = CodeCompressor.elide(source, &context(query, "a.py"));
    reduction.is_some_and(|it| it.segments[0].ops.iter().any(|op| matches!(op, Op::Elide { .. })))
}

fn numbered(code: &str, first: usize, write: impl Fn(usize, &str) -> String) -> String {
    code.lines().enumerate().map(|(at, line)| write(first + at, line)).collect()
}

#[test]
fn views_lose_their_gutters_and_keep_their_numbers() {
    let code = format!("def f(a):\n{}    return a\n", "    step(a)\n\n".repeat(30));
    for write in [
        (|n, line| format!("{n:6}\t{line}\n")) as fn(usize, &str) -> String,
        |n, line| format!("{n}:{line}\n"),
        |n, line| format!("{n:4}|{line}\n"),
        |n, line| format!("{n:05}| {line}\n"),
        |n, line| format!("{n:6}\u{2192}{line}\r\n"),
    ] {
        let source = format!(
            "[File: /a/b.py (400 lines total)]\n(94 more lines above)\n{}(Open file: /a/b.py)\nbash-$",
            numbered(&code, 95, write)
        );
        let text = exact(&source).unwrap();
        shows(
            &text,
            &[
                "[~from line 95, each numbered like \"",
                "def f(a):",
                "\n[~100]\n    step(a)",
                "[~end]\n(Open file: /a/b.py)\nbash-$",
            ],
        );
        assert!(code.lines().all(|line| text.lines().any(|shown| shown == line)), "{text}");
        assert!(O200k.count(&text) * 100 < O200k.count(&source) * 95);
    }
}

#[test]
fn a_view_tells_the_numbers_of_the_file_and_of_the_text() {
    let code = format!("def first(a):\n{}\ndef last(a):\n{}", filler(60, "    ", ""), filler(60, "    ", ""));
    let source = format!(
        "Here's the result of running `cat -n` on /x/y.py:\n{}",
        numbered(&code, 1, |n, line| format!("{n:6}\t{line}\n"))
    );
    let query = Query::new(["last"]);
    let hints = Hints::default();
    let context = Context { hints, ..context(&query, "") };
    let reduction = CodeCompressor.elide(&source, &context).unwrap();
    let text = gate(&source, &reduction).unwrap().text;
    shows(&text, &["def first(a):\n    # [~lines 3-62: file 2-61 #", "]\n[~62]\n\ndef last(a):\n"]);
}

#[test]
fn fragments_are_outlined_by_their_indentation() {
    let method = |name: &str| format!("    def {name}(self):\n{}\n", filler(30, "        ", ""));
    let code = format!("        return 4\n\n{}{}{}", method("one"), method("two"), method("three"));
    let source = format!(
        "[File: /a/b.py (900 lines total)]\n(94 more lines above)\n{}(700 more lines below)\n",
        numbered(&code, 95, |n, line| format!("{n}:{line}\n"))
    );
    let query = Query::new(["what does two do"]);
    let context = Context { hints: Hints::default(), ..context(&query, "") };
    let reduction = CodeCompressor.elide(&source, &context).unwrap();
    let text = gate(&source, &reduction).unwrap().text;
    shows(
        &text,
        &[
            "        return 4\n",
            "    def one(self):\n        # [~lines",
            "    def two(self):\n[~130]\n        total_0",
            "    def three(self):\n",
        ],
    );
}

#[test]
fn the_same_lines_again_are_said_by_their_numbers() {
    let block = filler(8, "    ", ";");
    let source = format!("int a() {{\n{block}}}\nint b() {{\n{block}}}\n");
    let text = exact(&source).unwrap();
    shows(&text, &["}\nint b() {\n[~again 2-10]\n"]);
}

#[test]
fn odd_inputs_are_fine() {
    let query = Query::new(["x"]);
    for source in [
        String::new(),
        "\n".to_owned(),
        "x".to_owned(),
        "{".repeat(100_000),
        "(".repeat(50_000) + "def f():\n",
        "def f():\n".repeat(5_000),
        (0..3_000).map(|at| format!("{}def f{at}():\n", " ".repeat(at))).collect(),
        "function f() {\n".repeat(5_000),
        "1:\n2:\n3:\n4:\n5:".to_owned(),
        "1:a\n2:b\n3:c\n4:d\n5:".to_owned(),
        "     1\t[~3]\n     2\t[~end]\n     3\t[~~lines 1-2]\n     4\tx\n     5\ty\n".to_owned(),
        "import os\n[~again 1-2]\n# [~lines 3-4]\ndef f():\n    pass\n".to_owned(),
        "\"\"\"\n".repeat(2_001),
        "/*\n".repeat(2_000),
        "#if 1\n".repeat(5_000),
    ] {
        for path in ["x.py", "x.js", "x.cpp", "x.rs", "x.go", "x.java", "x.tsx", "x"] {
            let context = context(&query, path);
            for reduction in
                [CodeCompressor.exact(&source, &context), CodeCompressor.elide(&source, &context)]
                    .into_iter()
                    .flatten()
            {
                let refused = gate(&source, &reduction).err();
                assert!(
                    matches!(refused, None | Some(Refusal::NotSmaller)),
                    "{refused:?} {path} {source:.200}"
                );
            }
        }
    }
}

#[test]
fn other_kinds_are_not_taken() {
    for other in [
        "{\"a\": [1, 2, 3]}\n",
        "12:00:01 INFO started\n12:00:02 ERROR disk full\n12:00:03 INFO x\n12:00:04 INFO y\n",
        "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-a\n+b\n",
        "src/main.rs:12:    let error = parse()?;\nsrc/main.rs:19:    return Err(error);\nsrc/lib.rs:3:// error\n",
        "12:import os\n40:import sys\n88:import re\n130:from x import y\n",
        "It was a bright day.\nThe class of the day was long, and nobody\nhad to import anything; from then on\nall was well.\n",
        "<html><body>x</body></html>\n",
        "# Title\n\nSome text.\n\n```python\nimport os\n```\n\nMore text follows here.\n",
        "-rw-r--r-- 1 user user 84 May  2 12:03 a.py\n-rw-r--r-- 1 user user 84 May  2 12:04 b.py\n",
        "",
    ] {
        assert!(!CodeCompressor.recognises(other, Hints::default()), "{other}");
    }
}

/// Code in the shapes that matter: functions in classes in functions, docs, attributes, literals.
fn arbitrary_code() -> impl Strategy<Value = (String, Language)> {
    let part = (0usize..6, 1usize..30, 0usize..3);
    (prop::collection::vec(part, 1..12), prop::bool::ANY).prop_map(|(parts, python)| {
        let mut out = String::new();
        for (at, (shape, length, depth)) in parts.into_iter().enumerate() {
            let pad = "    ".repeat(depth);
            if python {
                for level in 0..depth {
                    let _ = writeln!(out, "{}class Level{level}x{at}:", "    ".repeat(level));
                }
                let body = filler(length, &format!("{pad}    "), "");
                let _ = match shape {
                    0 => write!(out, "{pad}@decorated\n{pad}def name_{at}(a, b=(1,\n        2)):\n{body}"),
                    1 => write!(out, "{pad}def name_{at}(a):\n{pad}    \"\"\"Doc {at}.\n\n{body}{pad}    \"\"\"\n{pad}    return a\n"),
                    2 => write!(out, "{pad}TABLE_{at} = [\n{}{pad}]\n", filler(length, &pad, ",").replace('=', "==")),
                    3 => write!(out, "{}", format!("{pad}# a comment that says {at}\n").repeat(length) + &format!("{pad}pass\n")),
                    4 => write!(out, "{pad}async def name_{at}(a):\n{pad}    def inner_{at}():\n{}{pad}    return inner_{at}\n", filler(length, &format!("{pad}        "), "")),
                    _ => writeln!(out, "{pad}name_{at} = '[~lines 1-2] [~3]'"),
                };
            } else {
                let body = filler(length, "    ", ";");
                let _ = match shape {
                    0 => write!(out, "/**\n * Doc {at}.\n{} */\npub fn name_{at}(a: i32) {{\n{body}}}\n", " * more words on it\n".repeat(length)),
                    1 => write!(out, "impl A{at} {{\n    #[inline]\n    fn name_{at}(a: i32)\n    where\n        T: X,\n    {{\n{body}    }}\n}}\n"),
                    2 => write!(out, "static TABLE_{at}: &[&str] = &[\n{}];\n", "    \"a value of some length\",\n".repeat(length)),
                    3 => write!(out, "{}", "// a comment about things\n".repeat(length)),
                    4 => write!(out, "fn name_{at}() {{\n    if x {{\n        let f = |a| {{\n{body}        }};\n    }}\n    fn inner_{at}() {{\n{body}    }}\n}}\n"),
                    _ => write!(out, "#[cfg(test)]\nmod tests_{at} {{\n    fn name_{at}() {{\n{body}    }}\n}}\n"),
                };
            }
        }
        (out, if python { Language::Python } else { Language::Rust })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn elision_is_honest_and_parses((source, language) in arbitrary_code()) {
        let path = if language == Language::Python { "a.py" } else { "a.rs" };
        let query = Query::new(["look"]);
        let Some(reduction) = CodeCompressor.elide(&source, &context(&query, path)) else { return Ok(()) };
        let rendered = render(&source, &reduction, "code", &HandleKey::default());
        let refused = gate(&source, &reduction).err();
        prop_assert!(matches!(refused, None | Some(Refusal::NotSmaller)), "{:?}", refused);
        let text = &rendered.text;
        if !rendered.hidden.is_empty() {
            prop_assert!(errors(text, language) <= errors(&source, language), "{}", text);
        }
        // Every declaration's name and its attribute are there.
        for line in source.lines() {
            let head = line.trim();
            if head.starts_with("def ") || head.starts_with("fn ") || head.starts_with("class ") || head.starts_with('@') {
                prop_assert!(text.contains(line), "{}\n{}", line, text);
            }
        }
        // The markers and the lines that stay are all lines of the source.
        let hidden: usize = rendered.hidden.iter().map(|hidden| {
            let marker: Marker = text[hidden.marker.clone()].parse().unwrap();
            assert_eq!(marker.unit(), Unit::Lines);
            marker.last() - marker.first() + 1
        }).sum();
        if !rendered.hidden.is_empty() {
            prop_assert_eq!(hidden + text.lines().count() - rendered.hidden.len(), source.lines().count());
        }
        let again = CodeCompressor.elide(&source, &context(&query, path)).unwrap();
        prop_assert_eq!(&render(&source, &again, "code", &HandleKey::default()).text, text);
    }

    #[test]
    fn views_come_back((code, _) in arbitrary_code(), first in 1usize..2000, style in 0usize..4, ended: bool, interrupted in 0usize..40) {
        let mut source = String::from("Here it is:\n");
        for (at, line) in code.lines().enumerate() {
            let n = first + at;
            if at == interrupted {
                source.push_str("<<<<< START CURSOR >>>>>\n");
            }
            let _ = match style {
                0 => writeln!(source, "{n:6}\t{line}"),
                1 => writeln!(source, "{n}:{line}"),
                2 => writeln!(source, "{n:05}| {line}"),
                _ => writeln!(source, "{n:4} {line}\r"),
            };
        }
        if !ended {
            source.pop();
        }
        let query = Query::default();
        let context = Context { hints: Hints::default(), ..context(&query, "") };
        for reduction in [CodeCompressor.exact(&source, &context), CodeCompressor.elide(&source, &context)].into_iter().flatten() {
            let refused = gate(&source, &reduction).err();
            prop_assert!(matches!(refused, None | Some(Refusal::NotSmaller)), "{:?}", refused);
        }
    }

    #[test]
    fn any_text_comes_back(source in "(([ 0]{0,3}[1-9]{1,2}[:\t|])?[a-c{}():#/\"* ~\\[\\]\r]{0,20}\n){0,24}[a-c0-9]{0,3}") {
        let query = Query::default();
        for path in ["a.py", "a.c", "a"] {
            let context = context(&query, path);
            for reduction in [CodeCompressor.exact(&source, &context), CodeCompressor.elide(&source, &context)].into_iter().flatten() {
                let refused = gate(&source, &reduction).err();
                prop_assert!(matches!(refused, None | Some(Refusal::NotSmaller)), "{:?}", refused);
            }
        }
    }
}

#[test]
fn fenced_documents_are_not_code() {
    let code = "def size(path):\n    return os.stat(path).st_size\n\ndef name(path):\n    return path.name\n";
    assert!(CodeCompressor.recognises(code, Hints::default()));
    let document = format!("The size:\n```python\n{code}```\n");
    assert!(!CodeCompressor.recognises(&document, Hints::default()));
    // What the call says goes before it.
    assert!(CodeCompressor.recognises(&document, Hints::default().path("a.py")));
}
