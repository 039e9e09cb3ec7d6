//! The outline of code by its indentation: for fragments, and where there is no grammar.

use super::{
    lang::Language,
    outline::{Item, NONE, Outline},
};

/// The longest head of a Python function, in lines.
const HEAD: usize = 24;

/// The outline of `code`, whose lines are `lines`.
pub(super) fn outline(code: &str, lines: &[&str], language: Option<Language>) -> Outline {
    let mut outline = Outline::new(lines.len());
    let starts: Vec<usize> =
        lines.iter().map(|line| line.as_ptr() as usize - code.as_ptr() as usize).collect();
    let python = language == Some(Language::Python);
    let mut at = 0;
    while at < lines.len() {
        let found = if python { suite(lines, at) } else { braces(lines, at) };
        let Some((name, body)) = found else {
            at += 1;
            continue;
        };
        let name = starts[at] + name.start..starts[at] + name.end;
        let test = code[name.clone()].starts_with("test");
        at = body.end;
        outline.add(body.start - 1, !python, Item { name, body, parent: NONE, loose: false, test });
    }
    outline
}

/// The indentation of a line in bytes; `None` if it is blank.
fn indent(line: &str) -> Option<usize> {
    let text = line.trim_ascii_start();
    (!text.is_empty()).then(|| line.len() - text.len())
}

/// A function at line `at`, with its name within the line, and the lines of its suite.
fn suite(lines: &[&str], at: usize) -> Option<(std::ops::Range<usize>, std::ops::Range<usize>)> {
    let line = lines[at];
    let depth = indent(line)?;
    let text = &line[depth..];
    let keyword = ["def ", "async def "].into_iter().find(|keyword| text.starts_with(keyword))?;
    let from = depth + keyword.len();
    let name = from..from + line[from..].find('(')?;
    let head = lines[at..].iter().take(HEAD).position(|line| line.trim_ascii_end().ends_with(':'))?;
    let start = at + head + 1;
    let inside = |line: &&str| indent(line).is_none_or(|own| own > depth);
    let mut end = start + lines[start..].iter().take_while(|line| inside(line)).count();
    while end > start && indent(lines[end - 1]).is_none() {
        end -= 1;
    }
    (end > start).then_some((name, start..end))
}

/// What opens a block that is not a function's.
const CONTROL: [&str; 14] = [
    "if", "for", "while", "switch", "else", "do", "try", "catch", "match", "loop", "select", "}", "class",
    "return",
];

/// A function that opens a brace on line `at`, with its name, and the lines up to the brace that
/// closes it, which stands where the line begins.
fn braces(lines: &[&str], at: usize) -> Option<(std::ops::Range<usize>, std::ops::Range<usize>)> {
    let line = lines[at].trim_ascii_end();
    let depth = indent(line)?;
    let text = &line[depth..];
    if !text.ends_with('{') || text.len() < 2 && at == 0 {
        return None;
    }
    // The brace alone belongs to the line above.
    let (head, above) = if text == "{" { (lines[at - 1].trim_ascii_end(), true) } else { (line, false) };
    let word = head.trim_ascii_start();
    let word = &word[..word.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'}').count()];
    let paren = head.find('(')?;
    if CONTROL.contains(&word) || (above && indent(head) != Some(depth)) {
        return None;
    }
    let name = head[..paren].trim_ascii_end();
    let from = name
        .rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .map_or(0, |at| at + name[at..].chars().next().map_or(1, char::len_utf8));
    let start = at + 1;
    let inside = |line: &&str| {
        // What a preprocessor reads stands at the margin.
        indent(line).is_none_or(|own| own > depth || line.starts_with('#'))
    };
    let end = start + lines[start..].iter().take_while(|line| inside(line)).count();
    let closes =
        lines.get(end).is_some_and(|line| indent(line) == Some(depth) && line[depth..].starts_with('}'));
    let name = if above { 0..0 } else { from..name.len() };
    (closes && end > start).then_some((name, start..end))
}
