//! Whether a text is prose.

use super::{
    line::{self, Shape},
    words::{Sense, words},
};
use crate::reduce::Hints;

/// So many bytes are read at the start, in the middle and at the end.
const SAMPLE: usize = 8 << 10;
/// A shorter text is not worth a look.
const SHORTEST: usize = 600;

/// Extensions of files that are prose, and of files that never are, whatever their comments say.
const PROSE: &[&str] = &["md", "markdown", "mdx", "rst", "txt", "adoc", "org", "tex", "text"];
const OTHER: &[&str] = &[
    "py", "pyi", "js", "jsx", "mjs", "cjs", "ts", "tsx", "go", "rs", "java", "kt", "c", "h", "cc", "cpp",
    "hpp", "cs", "rb", "php", "swift", "scala", "sh", "bash", "zsh", "pl", "lua", "sql", "json", "jsonl",
    "ndjson", "yaml", "yml", "toml", "ini", "cfg", "conf", "xml", "html", "htm", "css", "scss", "svg", "csv",
    "tsv", "log", "lock", "diff", "patch", "proto", "gradle", "cmake", "mk", "ipynb", "vue", "svelte", "po",
];

/// Whether most of `source` is sentences, titles and lists.
pub(super) fn is_prose(source: &str, hints: Hints<'_>) -> bool {
    if source.len() < SHORTEST {
        return false;
    }
    let extension = hints.extension().map(str::to_ascii_lowercase);
    let extension = extension.as_deref().unwrap_or("");
    if OTHER.contains(&extension) {
        return false;
    }
    let tally = tally(source);
    let (prose, all) = (tally.prose * 100, tally.all.max(1));
    let named = PROSE.contains(&extension);
    if named { prose >= all * 20 } else { prose >= all * 45 && tally.code * 100 <= all * 35 }
}

/// Bytes of a sample: all, those of lines that are prose, those of lines that are code.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    all: usize,
    prose: usize,
    code: usize,
}

fn tally(source: &str) -> Tally {
    let mut tally = Tally::default();
    let middle = source.len() / 2;
    let mut from = 0;
    for start in [0, middle.saturating_sub(SAMPLE / 2), source.len().saturating_sub(SAMPLE)] {
        let start = source.floor_char_boundary(start.max(from));
        let end = source.floor_char_boundary((start + SAMPLE).min(source.len()));
        from = end;
        let mut fenced = false;
        for text in source[start..end].lines() {
            match line::shape(text) {
                Shape::Fence(..) => fenced = !fenced,
                Shape::Blank | Shape::Rule => {}
                // What is fenced is neither: a text quotes it.
                _ if fenced => {}
                Shape::Row => tally.all += text.len(),
                _ => {
                    tally.all += text.len();
                    if line::is_code_line(text) {
                        tally.code += text.len();
                    } else if is_prose_line(text) {
                        tally.prose += text.len();
                    }
                }
            }
        }
    }
    tally
}

/// Whether a line is a sentence or a part of one: words, most of them short common ones now and
/// then, hardly anything but letters.
fn is_prose_line(text: &str) -> bool {
    let text = text.trim_ascii();
    let (mut letters, mut wide, mut signs) = (0usize, 0usize, 0usize);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b' ' | b',' | b'.' | b'\'' => letters += 1,
            0x80.. => wide += 1,
            _ => signs += 1,
        }
    }
    if signs * 4 > letters + wide {
        return false;
    }
    if wide > letters {
        return wide >= 24;
    }
    let (mut count, mut stops) = (0usize, 0usize);
    words(text, |_, sense| {
        count += 1;
        stops += usize::from(matches!(sense, Sense::Stop | Sense::Negation | Sense::Duty));
    });
    if count < 4 || text.len() > count * 14 {
        return false;
    }
    let sentence = text.ends_with(['.', '!', '?']) || text.contains(". ");
    let capital = text.starts_with(|char: char| char.is_uppercase());
    stops * 6 >= count || sentence && capital && signs * 12 < letters
}
