//! Whether a text is code, or a numbered view of a file, and in which language.

use super::{lang::Language, view::View};
use crate::reduce::Hints;

/// Bytes that are looked at.
const HEAD: usize = 16 << 10;

/// Bytes of a file of text before it may be code.
const TEXT: usize = 8 << 10;

/// What is numbered like a file is a view of one.
pub(super) fn is_view(source: &str) -> bool {
    View::numbered(head(source)).is_some()
}

/// Whether plain `source` looks like code of the language that its file's name says, or of any.
pub(super) fn is_code(source: &str, hints: Hints<'_>) -> bool {
    let known = hints.extension().and_then(Language::of_extension).is_some();
    // What a file of text holds is seen in it alone, where it is long enough to pay.
    let text = source.len() >= TEXT
        && hints.extension().is_some_and(|extension| matches!(extension, "txt" | "text" | "out"));
    let other = hints.extension().is_some() && !known && !text;
    let looks = Looks::of(head(source));
    match looks.first {
        b'{' | b'[' | b'<' | 0 => false,
        _ if other => false,
        _ if known => 4 * looks.code >= looks.lines,
        _ if looks.is_told() => false,
        _ if text => 4 * looks.code >= 3 * looks.lines && looks.telling >= 4,
        _ => 2 * looks.code >= looks.lines && looks.telling >= 2,
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
    /// Sentences at the start of lines, and whether the first line is one.
    sentences: usize,
    begins: bool,
    /// A line opens a fence: what it quotes is not what the text is.
    fenced: bool,
}

impl Looks {
    fn of(text: &str) -> Self {
        let first = text.trim_ascii_start().bytes().next().unwrap_or(0);
        let mut looks =
            Self { first, lines: 0, code: 0, telling: 0, sentences: 0, begins: false, fenced: false };
        let mut last = 0;
        for line in text.lines() {
            let inside = line.starts_with([' ', '\t']);
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            looks.lines += 1;
            looks.fenced |= !inside && line.starts_with("```");
            let telling = tells(line);
            if !inside && !telling && is_sentence(line) {
                looks.sentences += 1;
                looks.begins |= looks.lines == 1;
            }
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

    /// Whether somebody tells of code: a text that begins with a sentence and goes on with others.
    fn is_told(&self) -> bool {
        // A long comment at the start tells, too.
        self.first != b'/'
            && (self.fenced || (self.begins && self.sentences >= 3) || self.sentences * 6 >= self.lines)
    }
}

/// Whether a line is words from its first on: no comment, no statement.
fn is_sentence(line: &str) -> bool {
    let signs = line.bytes().filter(|byte| b";{}()[]=<>_/\\*#\"".contains(byte)).count();
    let words = line.split_ascii_whitespace().count();
    let word = line.starts_with(|first: char| first.is_alphabetic());
    word && words >= 6 && signs * 4 <= words && !ends(line) && !line.contains(" import ")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_tells_of_code_writes_none() {
        let code = "from a import b\n\n@b.c\nclass D(E):\n    def f(self, g):\n        return self.h[g]\n";
        let told = "Saving a widget of a deleted owner raises an error\nSteps to see it in the latest release\n\
                    The error is raised although nothing was saved yet\n";
        assert!(
            is_code(code, Hints::default()) && !is_code(&format!("{told}{code}{code}"), Hints::default())
        );
        assert!(!is_code(&format!("Title\n```\n{code}```\n"), Hints::default()));
        let (text, long) = (Hints::default().path("chunks.txt"), code.repeat(200));
        assert!(is_code(&long, text) && !is_code(code, text) && !is_code(&format!("{told}{long}"), text));
        assert!(!is_code(code, Hints::default().path("README.md")));
    }
}
