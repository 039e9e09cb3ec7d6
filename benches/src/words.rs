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
    let known: HashSet<&str> = texts.flat_map(words).collect();
    sources.flat_map(words).filter(|word| !known.contains(word)).map(str::len).sum()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let start = loop {
            let at = rest.find(|c: char| c.is_ascii_alphanumeric() || c == '\\' || c == '\x1b')?;
            let (mark, behind) = (rest.as_bytes().get(at)?, rest.get(at + 1..)?);
            rest = match mark {
                b'\\' => escaped(behind.trim_start_matches('\\')),
                0x1b => colour(behind),
                _ => break at,
            };
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

/// What stands behind a control sequence whose first byte is read.
fn colour(text: &str) -> &str {
    let Some(sequence) = text.strip_prefix('[') else { return text };
    let end = sequence.find(|c: char| ('@'..='~').contains(&c));
    end.and_then(|end| sequence.get(end + 1..)).unwrap_or(sequence)
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
        assert_eq!(one("\x1b[1;32mgreen\x1b[0m", "green"), 0);
    }
}
