//! The words of the output's own grammar, and how source text that looks like one is told apart.
//!
//! A string or key of the source that reads like a word of ours behind its dollar signs gets one
//! dollar sign more; a bare introducer gets one tilde more, as everywhere.

use crate::{ccr::marker, reduce::DecodeError};

/// Stands for a missing key where a row is written as a JSON array.
pub(super) const MISSING: &str = "$-";

/// Begins the name of a value that occurs again: `{"$=1":value}` or, in a row, `$=1:value` gives
/// it, `"$=1"` or `$=1` stands for it.
pub(super) const NAME: &str = "$=";

/// The words that introduce tables.
pub(super) const TABLE: &str = "$table";
pub(super) const MAP: &str = "$map";
pub(super) const MATRIX: &str = "$matrix";
pub(super) const LINES: &str = "$lines";
/// Introduces a list of strings of one pattern.
pub(super) const LIST: &str = "$list";

/// Whether the inner text of a string is one of our words, or was before it got dollar signs.
fn is_reserved(inner: &str) -> bool {
    let Some(rest) = inner.strip_prefix('$') else { return false };
    let rest = rest.trim_start_matches('$');
    rest.starts_with('=') || [MISSING, TABLE, MAP, MATRIX, LINES, LIST].iter().any(|word| word[1..] == *rest)
}

/// What has to be escaped in one source; mostly nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Escapes {
    markers: bool,
    words: bool,
}

impl Escapes {
    pub(super) fn of(source: &str) -> Self {
        let holds = |text: &str| memchr::memmem::find(source.as_bytes(), text.as_bytes()).is_some();
        Self { markers: holds(marker::INTRODUCER), words: holds("\"$") }
    }

    /// Writes a literal of the source, with its quotes or without.
    pub(super) fn write(self, literal: &str, out: &mut String) {
        let (quote, inner) = literal.split_at(quotes(literal));
        out.push_str(quote);
        if self.words && is_reserved(&inner[..inner.len() - quote.len()]) {
            out.push('$');
        }
        if self.markers {
            marker::escape(inner, out);
        } else {
            out.push_str(inner);
        }
    }
}

/// How many bytes of quotes a literal begins and ends with.
fn quotes(literal: &str) -> usize {
    usize::from(literal.len() >= 2 && literal.starts_with('"'))
}

/// The inverse of [`Escapes::write`].
pub(super) fn read(literal: &str, out: &mut String) -> Result<(), DecodeError> {
    let (quote, inner) = literal.split_at(quotes(literal));
    out.push_str(quote);
    let more = inner.starts_with("$$") && is_reserved(&inner[..inner.len() - quote.len()]);
    let inner = &inner[usize::from(more)..];
    out.push_str(&marker::unescape(inner).ok_or(DecodeError("a bare introducer"))?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_alikes_come_back() {
        for text in [
            "$table",
            "$$table",
            "$list",
            "$=1",
            "$=",
            "$-",
            "$$$-",
            "$tables",
            "a$table",
            "[~items 1]",
            "$=[~1",
            "$",
            "",
            "$$",
        ] {
            for literal in [text.to_owned(), format!("\"{text}\"")] {
                let (mut out, mut back) = (String::new(), String::new());
                Escapes { markers: true, words: true }.write(&literal, &mut out);
                let word = out.trim_matches('"');
                assert!(!word.starts_with(NAME) && ![MISSING, TABLE, LIST].contains(&word), "{out}");
                read(&out, &mut back).unwrap();
                assert_eq!(back, literal);
            }
        }
    }
}
