//! Whether a text is code, or a numbered view of a file, and in which language.

use super::{lang::Language, view::View};
use crate::reduce::Hints;

/// Bytes that are looked at.
const HEAD: usize = 16 << 10;

/// What is numbered like a file is a view of one.
pub(super) fn is_view(source: &str) -> bool {
    View::numbered(head(source)).is_some()
}

/// Whether plain `source` looks like code of the language that its file's name says, or of any.
pub(super) fn is_code(source: &str, hints: Hints<'_>) -> bool {
    let known = hints.extension().and_then(Language::of_extension).is_some();
    let other = hints.extension().is_some() && !known;
    let looks = Looks::of(head(source));
    match looks.first {
        b'{' | b'[' | b'<' | 0 => false,
        _ if other => false,
        _ if known => 4 * looks.code >= looks.lines,
        // Documents fence the code in them.
        _ => 2 * looks.code >= looks.lines && looks.telling >= 2 && looks.fences < 2,
    }
}

/// The language of code without a name.
pub(super) fn language(code: &str) -> Option<Language> {
    let mut scores = [0usize; LANGUAGES.len()];
    for line in head(code).lines() {
        let line = line.trim_ascii();
        for (score, (_, words, ends)) in scores.iter_mut().zip(LANGUAGES) {
            *score += 2 * usize::from(words.iter().any(|word| line.starts_with(word)));
            *score += usize::from(ends.iter().any(|end| line.ends_with(end)));
        }
    }
    let best = scores.iter().copied().max()?;
    let at = scores.iter().position(|score| *score == best)?;
    (best >= 4).then_some(LANGUAGES[at].0)
}

/// How lines of a language begin and end.
const LANGUAGES: [(Language, &[&str], &[&str]); 7] = [
    (
        Language::Python,
        &[
            "def ",
            "class ",
            "import ",
            "from ",
            "elif ",
            "except",
            "self.",
            "with ",
            "raise ",
            "async def ",
            "\"\"\"",
            "# ",
        ],
        &["):", ":", "\"\"\""],
    ),
    (
        Language::Rust,
        &["use ", "pub ", "fn ", "impl", "let ", "mod ", "#[", "///", "//!", "match ", "self."],
        &["{", ";"],
    ),
    (Language::Go, &["package ", "func ", "type ", "import (", "defer ", "if err ", "return nil"], &["{"]),
    (
        Language::Java,
        &[
            "package ",
            "public ",
            "private ",
            "protected ",
            "@Override",
            "import java",
            "import com.",
            "import org.",
            "import static",
            "throw new",
        ],
        &["{", ";"],
    ),
    (
        Language::TypeScript,
        &["export ", "import {", "import type", "const ", "interface ", "private ", "let ", "await "],
        &["{", ";", "=> {", "});", "},"],
    ),
    (
        Language::JavaScript,
        &[
            "'use strict'",
            "\"use strict\"",
            "const ",
            "var ",
            "let ",
            "function ",
            "module.exports",
            "export ",
            "import ",
            "require(",
        ],
        &["{", ";", "});", "};"],
    ),
    (
        Language::Cpp,
        &[
            "#include",
            "#define",
            "#if",
            "#endif",
            "static ",
            "namespace ",
            "std::",
            "template",
            "struct ",
            "void ",
            "int ",
            "typedef ",
        ],
        &["{", ";"],
    ),
];

struct Looks {
    first: u8,
    /// Lines with something on them.
    lines: usize,
    /// Lines as code has them.
    code: usize,
    /// Lines as only code has them.
    telling: usize,
    /// Fences of Markdown, without indentation.
    fences: usize,
}

impl Looks {
    fn of(text: &str) -> Self {
        let first = text.trim_ascii_start().bytes().next().unwrap_or(0);
        let mut looks = Self { first, lines: 0, code: 0, telling: 0, fences: 0 };
        let mut last = 0;
        for line in text.lines() {
            let inside = line.starts_with([' ', '\t']);
            looks.fences += usize::from(line.starts_with("```"));
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            looks.lines += 1;
            let telling = tells(line);
            looks.telling += usize::from(telling);
            // The inside of a statement or of a comment goes with what it follows.
            let code = telling
                || line.contains(" = ")
                || ends(line)
                || (inside && looks.lines - last < 6)
                || line.starts_with(['*', '#', '}', ')']);
            looks.code += usize::from(code);
            if telling || ends(line) {
                last = looks.lines;
            }
        }
        looks
    }
}

fn ends(line: &str) -> bool {
    line.ends_with([';', '{', '}', '(', ',']) || line.ends_with("):")
}

/// How lines of code begin.
const WORDS: [&str; 38] = [
    "def ",
    "class ",
    "import ",
    "from ",
    "async def ",
    "@",
    "#include",
    "#define",
    "#if",
    "#[",
    "//",
    "/*",
    "fn ",
    "pub ",
    "use ",
    "impl ",
    "impl<",
    "mod ",
    "func ",
    "package ",
    "type ",
    "const ",
    "let ",
    "var ",
    "function ",
    "export ",
    "public ",
    "private ",
    "protected ",
    "static ",
    "return ",
    "namespace ",
    "template",
    "struct ",
    "interface ",
    "module.exports",
    "'use strict'",
    "self.",
];

fn tells(line: &str) -> bool {
    let word = WORDS.iter().find(|word| line.starts_with(**word));
    word.is_some_and(|word| {
        ends(line)
            || line.ends_with(':')
            || matches!(
                *word,
                "#include" | "#define" | "#if" | "#[" | "//" | "/*" | "return " | "'use strict'" | "self."
            )
            || (matches!(*word, "import " | "package " | "from ") && line.split(' ').count() <= 4)
            || (*word == "from " && line.contains(" import "))
    })
}

fn head(source: &str) -> &str {
    if source.len() <= HEAD {
        return source;
    }
    let end = memchr::memrchr(b'\n', &source.as_bytes()[..HEAD]).map_or(HEAD, |at| at + 1);
    source.get(..end).unwrap_or("")
}
