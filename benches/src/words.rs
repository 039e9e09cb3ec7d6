//! A ruler for outputs that no decoder reads back: the words of a text that stand nowhere else.

use std::collections::HashSet;

/// Bytes of the words of `sources` that stand in none of `texts`.
///
/// A word is a run of ASCII letters and digits. Colour codes are none, and what follows backslashes
/// is no part of one, so that strings count alike however often they are escaped. Repeated words,
/// order and everything between words are not looked at: the figure is a lower bound of what is lost.
pub(crate) fn missing<'a>(
    sources: impl Iterator<Item = &'a str>,
    texts: impl Iterator<Item = &'a str>,
) -> usize {
    let texts: Vec<String> = texts.map(plain).collect();
    let known: HashSet<&str> = texts.iter().flat_map(|text| words(text)).collect();
    let lost = |text: &str| -> usize { words(text).filter(|word| !known.contains(word)).map(str::len).sum() };
    sources.map(|text| lost(&plain(text))).sum()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = loop {
            let at = rest.find(|c: char| c.is_ascii_alphanumeric() || c == '\\')?;
            match rest.get(at..)?.strip_prefix('\\') {
                Some(behind) => rest = escaped(behind.trim_start_matches('\\')),
                None => break at,
            }
        };
        let word = rest.get(start..)?;
        let end = word.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(word.len());
        let (word, behind) = word.split_at(end);
        rest = behind;
        Some(word)
    })
}

/// What stands behind the letter, or the code point, that backslashes escape.
fn escaped(text: &str) -> &str {
    let escape = if text.starts_with('u') { 5 } else { 1 };
    text.get(escape..).unwrap_or(text)
}

/// A text without its control sequences, which may stand inside a word.
fn plain(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| ('@'..='~').contains(&c));
        out.push_str(end.and_then(|end| part.get(end + 1..)).unwrap_or(part));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_that_stand_nowhere() {
        let one = |source, text| missing([source].into_iter(), [text].into_iter());
        assert_eq!(one(r#"{"id": 17, "name": "a\nbc"}"#, "id,name\n17,\"a\nbc\"\n"), 0);
        assert_eq!(one("one two three two", "three one"), 6);
        assert_eq!(one("", "x"), 0);
        assert_eq!(one(r"\u00e9tude", "étude"), 0);
        assert_eq!(one("x \\", ""), 1);
        assert_eq!(one(r#"["a\nbc"]"#, r#"["[\"a\\nbc\"]"]"#), 0);
        assert_eq!(one("\x1b[1;32mgr\x1b[0meen", "green"), 0);
    }
}
