//! JSON equality by tokens: literals verbatim, white space aside.

/// The next token at or behind `at`: its range, or `None` at the end of `text`.
///
/// Tokens are found by shape alone (strings by their quotes, punctuation one by one, everything
/// else as a run); whether they form a document is for the parser to say.
pub(crate) fn next_token(text: &[u8], mut at: usize) -> Option<(usize, usize)> {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    let start = at;
    match text.get(at)? {
        b'"' => {
            at += 1;
            loop {
                at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
                if text[at] == b'"' {
                    return Some((start, at + 1));
                }
                at += 2;
            }
        }
        b'{' | b'}' | b'[' | b']' | b',' | b':' => Some((start, at + 1)),
        _ => {
            while let Some(byte) = text.get(at) {
                if matches!(
                    byte,
                    b' ' | b'\t' | b'\n' | b'\r' | b'"' | b'{' | b'}' | b'[' | b']' | b',' | b':'
                ) {
                    break;
                }
                at += 1;
            }
            Some((start, at))
        }
    }
}

/// Whether the JSON tokens of `decoded` are those of `source` from byte `from` on; returns where in
/// `source` they end.
pub(super) fn advance(source: &str, mut from: usize, decoded: &str) -> Option<usize> {
    let (source, decoded) = (source.as_bytes(), decoded.as_bytes());
    let mut at = 0;
    while let Some((start, end)) = next_token(decoded, at) {
        let (source_start, source_end) = next_token(source, from)?;
        if decoded[start..end] != source[source_start..source_end] {
            return None;
        }
        (at, from) = (end, source_end);
    }
    decoded[at..].iter().all(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).then_some(from)
}

/// Where the next token of `source` behind `from` starts; `source.len()` if there is none.
pub(super) fn skip_white(source: &str, from: usize) -> usize {
    let rest = &source.as_bytes()[from..];
    from + rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count()
}

/// Whether two JSON texts hold the same tokens in the same order, every literal verbatim.
///
/// ```
/// use headroom_engine::reduce::same_tokens;
/// assert!(same_tokens("[1.0, 2]", "[1.0,2]"));
/// assert!(!same_tokens("[1.0]", "[1]"));
/// ```
#[must_use]
pub fn same_tokens(left: &str, right: &str) -> bool {
    advance(left, 0, right).is_some_and(|end| skip_white(left, end) == left.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_compared_literally() {
        assert!(same_tokens(" { \"a\" : [ 1e400 , true ] } ", "{\"a\":[1e400,true]}"));
        assert!(!same_tokens("{\"a\":1}", "{\"a\":1"));
        assert!(!same_tokens("{\"a\":1", "{\"a\":1}"));
        assert!(!same_tokens("[1 2]", "[12]"));
        assert!(!same_tokens(r#"["é"]"#, r#"["\u00e9"]"#));
        assert!(!same_tokens(r#"["a\"]"#, r#"["a\"]"#), "an open string is no token");
    }
}
