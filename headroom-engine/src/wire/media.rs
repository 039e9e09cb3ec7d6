//! Media types that stand beside a text: `media_type` of a document's source, `mimeType` of what an
//! MCP server returned.

use super::scan::{ScanError, Scanner};

const KEYS: [&str; 2] = ["media_type", "mimeType"];
/// Parts of a result are no deeper.
const MAX_DEPTH: usize = 6;

/// Whether `block` may declare any; most do not, which is told at memory speed.
pub(crate) fn declares(block: &str) -> bool {
    KEYS.iter().any(|key| memchr::memmem::find(block.as_bytes(), key.as_bytes()).is_some())
}

/// The media type that the innermost object around the string at `at` of `block` declares.
pub(crate) fn declared(block: &str, at: usize) -> Option<String> {
    let mut found = None;
    read(&mut Scanner::new(block), at, MAX_DEPTH, &mut found).ok()?;
    found
}

/// Reads a value: whether it is the string, or holds it.
fn read(
    scanner: &mut Scanner<'_>,
    at: usize,
    depth: usize,
    found: &mut Option<String>,
) -> Result<bool, ScanError> {
    let mut holds = false;
    match scanner.peek() {
        b'"' => holds = scanner.string()?.range.start == at,
        b'[' if depth > 0 => {
            scanner.array(|scanner| {
                holds |= read(scanner, at, depth - 1, found)?;
                Ok(())
            })?;
        }
        b'{' if depth > 0 => {
            let mut own = None;
            scanner.object(|scanner, key| {
                if KEYS.contains(&key) {
                    let text = scanner.string_or_skip()?;
                    own = text.and_then(|text| text.decode(scanner.body()).map(Into::into));
                } else {
                    holds |= read(scanner, at, depth - 1, found)?;
                }
                Ok(())
            })?;
            if holds && found.is_none() {
                *found = own;
            }
        }
        _ => {
            scanner.skip()?;
        }
    }
    Ok(holds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_object_declares() {
        let block = r#"{"type":"tool_result","content":[{"type":"text","text":"one","mimeType":"text/csv"},
            {"type":"document","source":{"type":"text","media_type":"text/markdown","data":"two"}},
            {"type":"text","text":"three"}]}"#;
        let of = |text: &str| declared(block, block.find(text).unwrap() - 1);
        assert!(declares(block) && !declares(r#"{"type":"text"}"#));
        assert_eq!(of("one").as_deref(), Some("text/csv"));
        assert_eq!(of("two").as_deref(), Some("text/markdown"));
        assert_eq!(of("three"), None);
        assert_eq!(declared("{\"mimeType\":", 0), None);
    }
}
