//! Where a JSON document ends, by its brackets and strings.

/// Deeper documents are left to whoever claims the whole text.
const MAX_DEPTH: usize = 128;

/// Finds documents; what is read of those that never close is counted, so that many openings do not
/// cost a pass each.
#[derive(Debug)]
pub(super) struct Documents {
    /// Bytes that may still be read in vain.
    budget: usize,
}

impl Documents {
    pub(super) fn new(source: &str) -> Self {
        Self { budget: 2 * source.len() }
    }

    /// The end of the document that starts `text`: a bracket at depth 0. It is a document as far as
    /// brackets and strings tell.
    pub(super) fn end(&mut self, text: &[u8]) -> Option<usize> {
        if !opens(text) {
            return None;
        }
        let text = &text[..text.len().min(self.budget)];
        let (end, read) = balanced(text);
        if end.is_none() {
            self.wasted(read);
        }
        end
    }

    /// So many bytes were read, and are going to be read again.
    pub(super) fn wasted(&mut self, bytes: usize) {
        self.budget = self.budget.saturating_sub(bytes);
    }
}

/// Whether `text` starts like a JSON object or array.
fn opens(text: &[u8]) -> bool {
    let next = |text: &[u8]| text.iter().copied().find(|byte| !byte.is_ascii_whitespace());
    match text {
        [b'{', rest @ ..] => matches!(next(rest), Some(b'"' | b'}')),
        [b'[', rest @ ..] => {
            matches!(next(rest), Some(b'{' | b'[' | b']' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n'))
        }
        _ => false,
    }
}

/// The end of what opens at the start of `text`, and how much was read.
fn balanced(text: &[u8]) -> (Option<usize>, usize) {
    let mut open = [0u8; MAX_DEPTH];
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'"' => match string(text, at) {
                Ok(end) => at = end,
                Err(read) => return (None, read),
            },
            bracket @ (b'{' | b'[') => {
                if depth == MAX_DEPTH {
                    return (None, at);
                }
                open[depth] = bracket;
                depth += 1;
                at += 1;
            }
            bracket @ (b'}' | b']') => {
                // The closing bracket stands two behind the opening one in ASCII.
                if depth == 0 || open[depth - 1] + 2 != bracket {
                    return (None, at + 1);
                }
                depth -= 1;
                at += 1;
                if depth == 0 {
                    return (Some(at), at);
                }
            }
            b' '
            | b'\t'
            | b'\r'
            | b'\n'
            | b','
            | b':'
            | b'0'..=b'9'
            | b'-'
            | b'+'
            | b'.'
            | b'a'..=b'z'
            | b'E' => {
                at += 1;
            }
            // Nothing else stands outside strings.
            _ => return (None, at + 1),
        }
    }
    (None, at)
}

/// The end of the string that starts at `at`, or how far it was read; it has no newline.
fn string(text: &[u8], at: usize) -> Result<usize, usize> {
    let mut from = at + 1;
    while let Some(found) = memchr::memchr3(b'"', b'\\', b'\n', &text[from..]) {
        let found = from + found;
        match text[found] {
            b'"' => return Ok(found + 1),
            b'\n' => return Err(found),
            _ => from = (found + 2).min(text.len()),
        }
    }
    Err(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_end_where_their_brackets_close() {
        for (text, end) in [
            (r#"{"a":[1,"]}"]} tail"#, Some(14)),
            (r#"["\"]",{}] x"#, Some(10)),
            ("{ x", None),
            ("[INFO] started", None),
            ("[1, 2}", None),
            ("{\"a\n\": 1}", None),
            ("{\"a\": 1", None),
            ("[]", Some(2)),
        ] {
            assert_eq!(Documents::new(text).end(text.as_bytes()), end, "{text}");
        }
    }

    #[test]
    fn what_never_closes_is_read_a_bounded_number_of_times() {
        let text = "[\n".repeat(100) + &"[1,\n".repeat(50_000);
        let mut documents = Documents::new(&text);
        let mut read = 0;
        for at in (0..text.len()).filter(|at| text.as_bytes()[*at] == b'[') {
            let before = documents.budget;
            assert_eq!(documents.end(&text.as_bytes()[at..]), None);
            read += before - documents.budget;
        }
        assert!(read <= 2 * text.len(), "{read}");
    }
}
