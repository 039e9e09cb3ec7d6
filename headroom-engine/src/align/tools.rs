//! Tool definitions that a client writes anew for each request, in another order of tools or of their
//! keys: they stand in front of everything else, and whatever differs there is read by no cache.
//!
//! Under [`Policy::steady_tools`](crate::Policy::steady_tools) the definitions of a conversation's
//! first request go out in every later one that lists the same set: the same definitions as JSON
//! values, whatever their order and that of their keys. The ledger holds them, one entry a set.

use std::ops::Range;

use super::Dynamic;
use crate::{
    history,
    ledger::{LedgerKey, Record},
    report::Report,
    wire::{
        Conversation,
        scan::{ScanError, Scanner},
        splice::Edit,
        text::Str,
    },
};

/// The first byte of an entry.
const VERSION: u8 = 0x54;
/// Longer lists, in bytes, are not kept.
const LONGEST: usize = 256 << 10;
/// Deeper than this, in a schema, no description is looked for.
const DEPTH: usize = 32;

/// The tools of a request, ready to be told from others.
#[derive(Debug)]
pub(crate) struct Steady {
    key: LedgerKey,
    span: Range<usize>,
    /// The array, placeholders in it.
    text: String,
    set: [u8; 32],
}

/// The array that goes out.
#[derive(Debug)]
pub(crate) struct Pinned {
    span: Range<usize>,
    pub(crate) text: String,
}

impl Steady {
    /// The tools of a conversation that begins with `first`, with placeholders for the values that
    /// `dynamic` moves; `None` where they are no list that can be told apart.
    pub(crate) fn of(
        body: &str,
        conversation: &Conversation,
        dynamic: Option<&Dynamic>,
        first: LedgerKey,
    ) -> Option<Self> {
        let tools = conversation.tools.as_ref().filter(|tools| !tools.wrapped)?;
        let span = tools.span.clone();
        let text = dynamic.map_or_else(|| body[span.clone()].to_owned(), |some| some.within(body, &span));
        let (count, set) = set(&text).ok()?;
        (count == tools.items.len() && text.len() <= LONGEST).then(|| {
            let mut hasher = blake3::Hasher::new_keyed(&first.to_bytes());
            hasher.update(b"tools").update(&set);
            Self { key: LedgerKey::from_bytes(*hasher.finalize().as_bytes()), span, text, set }
        })
    }

    /// Where the ledger may know how the set was first written.
    pub(crate) fn key(&self) -> LedgerKey {
        self.key
    }

    /// The set as it was first written, as far as `records` know; `begun` says that the conversation
    /// has, and an entry to be kept is added to `new`.
    pub(crate) fn pin(
        self,
        records: &[Record],
        begun: bool,
        new: &mut Vec<Record>,
        report: &mut Report,
    ) -> Pinned {
        let known = records.iter().find(|record| record.key == self.key);
        let known = known.and_then(|record| std::str::from_utf8(record.value.strip_prefix(&[VERSION])?).ok());
        let text = match known.filter(|text| set(text).is_ok_and(|(_, set)| set == self.set)) {
            Some(text) => {
                let differs = text != self.text;
                report.alignment.tools_restored = differs;
                report.restored += u32::from(differs);
                report.declared_breaks += u32::from(differs);
                text.to_owned()
            }
            None => {
                // Whether they were written otherwise before is not known.
                report.declared_breaks += u32::from(begun);
                let mut value = vec![VERSION];
                value.extend_from_slice(self.text.as_bytes());
                new.push(Record::new(self.key, value.into()));
                self.text
            }
        };
        Pinned { span: self.span, text }
    }
}

impl Pinned {
    /// Writes the array, but for its end: what is added there stays behind it. `edits` of values
    /// within are in it already.
    pub(crate) fn write(&self, body: &str, edits: &mut Vec<Edit>) {
        let inside = self.span.start..self.span.end - 1;
        edits.retain(|edit| edit.span.start < inside.start || edit.span.end > inside.end);
        if body[self.span.clone()] != self.text {
            edits.push(Edit { span: inside, text: self.text[..self.text.len() - 1].into() });
        }
    }
}

/// How many tools an array lists, and a digest that does not depend on their order. Breakpoints count,
/// wherever they stand: as many as the client sets now must go out.
fn set(array: &str) -> Result<(usize, [u8; 32]), ScanError> {
    let mut digests = Vec::new();
    let mut points = Vec::new();
    let mut scanner = Scanner::new(array);
    scanner.array(|scanner| {
        let span = scanner.skip()?;
        let tool = &scanner.body()[span];
        digests.push(history::sorted(tool));
        points.extend(breakpoint(tool));
        Ok(())
    })?;
    scanner.end()?;
    digests.sort_unstable();
    points.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    digests.iter().chain(&points).for_each(|digest| {
        hasher.update(digest);
    });
    Ok((digests.len(), *hasher.finalize().as_bytes()))
}

/// A digest of the breakpoint on a tool.
fn breakpoint(tool: &str) -> Option<[u8; 32]> {
    let mut found = None;
    let mut scanner = Scanner::new(tool);
    // What is no object has none.
    let _ = scanner.object(|scanner, key| {
        let span = scanner.skip()?;
        if key == "cache_control" {
            found = Some(history::sorted(&scanner.body()[span]));
        }
        Ok(())
    });
    found
}

/// The literals that describe tools and their parameters, in order.
pub(super) fn descriptions(body: &str, conversation: &Conversation) -> Vec<Str> {
    let mut found = Vec::new();
    let Some(tools) = &conversation.tools else { return found };
    let mut scanner = Scanner::new(&body[tools.span.clone()]);
    // It was read before.
    let _ = collect(&mut scanner, &mut found, 0);
    for text in &mut found {
        text.range = text.range.start + tools.span.start..text.range.end + tools.span.start;
    }
    found
}

fn collect(scanner: &mut Scanner<'_>, found: &mut Vec<Str>, depth: usize) -> Result<(), ScanError> {
    match scanner.peek() {
        b'{' if depth < DEPTH => scanner
            .object(|scanner, key| {
                if key == "description" && scanner.peek() == b'"' {
                    found.push(scanner.string()?);
                    return Ok(());
                }
                collect(scanner, found, depth + 1)
            })
            .map(drop),
        b'[' if depth < DEPTH => scanner.array(|scanner| collect(scanner, found, depth + 1)).map(drop),
        _ => scanner.skip().map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_the_same_in_any_order() {
        let of = |array: &str| set(array).unwrap();
        let one =
            of(r#"[{"name":"a","cache_control":{"type":"ephemeral"}},{"name":"b","x":{"p":1,"q":[2]}}]"#);
        assert_eq!(one.0, 2);
        let other =
            r#"[ {"x":{"q":[2],"p":1},"name":"\u0062","cache_control":{"type":"ephemeral"}},{"name":"a"}]"#;
        assert_eq!(one, of(other));
        for changed in [
            other.replace("[2]", "[3]"),
            other.replace(r#","cache_control":{"type":"ephemeral"}"#, ""),
            other.replace("ephemeral\"", "ephemeral\",\"ttl\":\"1h\""),
            other.replace(r#",{"name":"a"}"#, ""),
            other.replace(r#",{"name":"a"}"#, r#",{"name":"a"},{"name":"a"}"#),
        ] {
            assert_ne!(one, of(&changed), "{changed}");
        }
        assert!(set("{}").is_err());
    }

    #[test]
    fn descriptions_at_any_depth() {
        let body = r#"{"messages":[],"tools":[{"name":"a","description":"one","input_schema":{"properties":
            {"description":{"type":"string","description":"t\u0077o"},"b":{"anyOf":[{"description":"three"}]}}}}]}"#;
        let conversation = crate::wire::read(crate::Dialect::AnthropicMessages, body).unwrap();
        let found = descriptions(body, &conversation);
        let texts: Vec<_> = found.iter().map(|text| text.decode(body).unwrap()).collect();
        assert_eq!(texts, ["one", "two", "three"]);
    }
}
