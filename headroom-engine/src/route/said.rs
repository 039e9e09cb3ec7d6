//! The kind that a call leads one to expect: of its file, its media type, its command line.

use crate::reduce::Hints;

/// The kind that `hints` lead one to expect; `None` if they say nothing. Content overrules it.
///
/// ```
/// use headroom_engine::{reduce::Hints, route::said};
/// assert_eq!(said(Hints::default().path("src/main.rs")), Some("code"));
/// assert_eq!(said(Hints::default().command("cd /repo && python -m pytest -q | tail -50")), Some("log"));
/// assert_eq!(said(Hints::default().command("./run")), None);
/// ```
#[must_use]
pub fn said(hints: Hints<'_>) -> Option<&'static str> {
    if let Some(kind) = hints.declared().and_then(declared) {
        return Some(kind);
    }
    let file = || hints.extension().and_then(of_extension);
    // A command line may do more than read the file that it names.
    match hints.command_line() {
        Some(command) => ran(command).or_else(file),
        None => file(),
    }
}

fn declared(media_type: &str) -> Option<&'static str> {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    Some(match essence {
        "text/html" | "application/xhtml+xml" => "html",
        "text/csv" | "text/tab-separated-values" => "table",
        "text/markdown" => "prose",
        "text/x-diff" | "text/x-patch" => "diff",
        json if json.ends_with("/json") || json.ends_with("+json") => "json",
        _ => return None,
    })
}

fn of_extension(extension: &str) -> Option<&'static str> {
    const EXTENSIONS: &[(&[&str], &str)] = &[
        (
            &[
                "py", "pyi", "js", "mjs", "cjs", "jsx", "ts", "mts", "tsx", "go", "rs", "java", "c", "h",
                "cc", "cpp", "cxx", "hpp", "hh", "cs", "rb", "php", "kt", "swift", "scala", "sh", "bash",
                "pl", "lua",
            ],
            "code",
        ),
        (&["json", "jsonl", "ndjson", "geojson", "ipynb"], "json"),
        (&["md", "rst", "txt", "adoc", "tex"], "prose"),
        (&["diff", "patch"], "diff"),
        (&["csv", "tsv"], "table"),
        (&["html", "htm", "xhtml"], "html"),
        (&["log"], "log"),
    ];
    let extension = extension.to_ascii_lowercase();
    EXTENSIONS.iter().find(|(all, _)| all.contains(&extension.as_str())).map(|(_, kind)| *kind)
}

/// Programs and the kind of what they print; of readers it is that of the file.
pub(super) const PROGRAMS: &[(&[&str], &str)] = &[
    (
        &[
            "grep",
            "egrep",
            "fgrep",
            "rg",
            "ag",
            "ack",
            "find",
            "fd",
            "ls",
            "tree",
            "glob",
            "search_dir",
            "find_file",
            "search_file",
        ],
        "search",
    ),
    (
        &[
            "pytest",
            "npm",
            "npx",
            "yarn",
            "pnpm",
            "cargo",
            "make",
            "cmake",
            "ninja",
            "mvn",
            "gradle",
            "tox",
            "jest",
            "pip",
            "pip3",
            "apt",
            "apt-get",
            "docker",
            "journalctl",
            "dmesg",
            "tsc",
            "gcc",
            "g++",
            "clang",
            "javac",
            "rustc",
            "configure",
            "bazel",
            "unittest",
        ],
        "log",
    ),
    (&["jq", "kubectl", "aws", "gh"], "json"),
    (&["psql", "mysql", "sqlite3"], "table"),
    (&["diff"], "diff"),
    (
        &[
            "cat",
            "bat",
            "head",
            "tail",
            "sed",
            "nl",
            "open",
            "goto",
            "scroll_down",
            "scroll_up",
            "edit",
            "view",
        ],
        "",
    ),
    (&["git", "go", "python", "python3", "curl"], ""),
];

/// The kind of what a command line prints: that of its last command that says something, filters
/// aside.
fn ran(command: &str) -> Option<&'static str> {
    let mut kind = None;
    for simple in command.split(['\n', ';', '&']) {
        // Of a pipe the first that says something, if the rest only filter its lines.
        let filters = simple.split('|').skip(1).filter_map(|filter| filter.split_ascii_whitespace().next());
        if filters.clone().any(|filter| REWRITERS.contains(&filter)) {
            kind = None;
            continue;
        }
        kind = simple.split('|').find_map(program).or(kind);
    }
    kind
}

/// Filters behind which nothing is as it was printed.
const REWRITERS: &[&str] =
    &["xargs", "awk", "sed", "cut", "tr", "wc", "md5sum", "sha256sum", "od", "xxd", "base64", "jq"];

fn program(simple: &str) -> Option<&'static str> {
    let mut words = simple
        .split_ascii_whitespace()
        .skip_while(|word| {
            word.contains('=') || matches!(*word, "sudo" | "time" | "timeout" | "nohup" | "env" | "!")
        })
        .skip_while(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
    let name = words.next()?.rsplit('/').next()?;
    let rest = || words.clone().filter(|word| !word.starts_with('-'));
    match name {
        "find" if words.clone().any(|word| word.starts_with("-exec") || word == "-printf") => None,
        // Lines without their places are those of the files.
        "grep" | "rg" if words.clone().any(|word| word == "-h" || word == "-o" || word == "-oh") => None,
        "git" => match rest().next()? {
            "diff" | "show" | "format-patch" => Some("diff"),
            "grep" | "ls-files" => Some("search"),
            "log" if words.clone().any(|word| word == "-p" || word == "--patch") => Some("diff"),
            _ => Some("log"),
        },
        "go" => matches!(rest().next()?, "test" | "build" | "vet").then_some("log"),
        "python" | "python3" => {
            let runs = ["pytest", "unittest", "pip", "tox", "manage.py", "runtests.py", "tests/runtests.py"];
            words.any(|word| runs.iter().any(|run| word.ends_with(run))).then_some("log")
        }
        "curl" => {
            let says = |end: &str| words.clone().any(|word| word.trim_matches(['"', '\'']).ends_with(end));
            if says(".json") || says("application/json") { Some("json") } else { None }
        }
        _ => PROGRAMS
            .iter()
            .find(|(programs, _)| programs.contains(&name))
            .map(|(_, kind)| *kind)
            .filter(|kind| !kind.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_lead_one_to_expect_a_kind() {
        for (command, kind) in [
            ("cat a/b.py", Some("code")),
            ("cd x; sed -n '1,5p' README.md", Some("prose")),
            ("RUST_LOG=1 timeout 60 cargo test 2>&1 | tail -5", Some("log")),
            ("git show HEAD~1", Some("diff")),
            ("git log --oneline", Some("log")),
            ("git log -p src", Some("diff")),
            ("rg -n x src | head", Some("search")),
            ("curl -s http://h/a.json", Some("json")),
            ("python -m pytest tests/x.py", Some("log")),
            ("python x.py", None),
            ("find . -exec md5sum {} +", None),
            ("grep -rl x . | xargs cat", None),
            ("", None),
        ] {
            assert_eq!(said(Hints::default().command(command)), kind, "{command}");
        }
        assert_eq!(
            said(Hints::default().media_type("application/problem+json; charset=utf-8")),
            Some("json")
        );
        assert_eq!(said(Hints::default().path("x/Makefile")), None);
    }
}
