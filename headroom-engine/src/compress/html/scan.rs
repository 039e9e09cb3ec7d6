//! One pass over markup: what is text, what is tags, and what nobody reads.

use std::ops::Range;

/// A part of the source; parts tile it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// Tags, and white space between them.
    Tags,
    /// A script, a style sheet, a drawing, navigation, a comment, a long attribute.
    Unread,
}

/// Elements whose content is no markup.
const RAW: &[&str] = &["script", "style"];
/// Elements beside the content.
const BESIDE: &[&str] =
    &["nav", "aside", "svg", "noscript", "template", "iframe", "footer", "canvas", "object"];
/// Elements without content that say nothing to a reader.
const VOID: &[&str] = &["link", "meta", "base"];
/// What the class or the id of an element beside the content holds.
const CLASSES: &[&str] =
    &["cookie", "consent", "gdpr", "advert", "newsletter", "popup", "sidebar", "social-share"];
/// An attribute longer than this, in bytes, is left out by itself.
const LONG_ATTRIBUTE: usize = 240;
/// So many tags without an end outside quotation marks, and the marks are taken for stray.
const STRIKES: u32 = 64;

/// The parts of `source`, in order.
///
/// Total and linear: what has no end is text, and is looked for once a name.
pub(super) fn parts(source: &str) -> Vec<(Range<usize>, Kind)> {
    let mut scan =
        Scan { source, bytes: source.as_bytes(), parts: Vec::new(), unclosed: Vec::new(), strikes: 0 };
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'<', &scan.bytes[at..]) {
        scan.text(at..at + found);
        at = scan.tag(at + found);
    }
    scan.text(at..source.len());
    scan.parts
}

struct Scan<'a> {
    source: &'a str,
    bytes: &'a [u8],
    parts: Vec<(Range<usize>, Kind)>,
    /// Names of elements, and `-->`, that nothing closes from here on.
    unclosed: Vec<String>,
    strikes: u32,
}

impl Scan<'_> {
    fn push(&mut self, range: Range<usize>, kind: Kind) {
        match self.parts.last_mut() {
            _ if range.is_empty() => {}
            Some((last, of)) if *of == kind => last.end = range.end,
            _ => self.parts.push((range, kind)),
        }
    }

    /// Text; white space joins what stands before it.
    fn text(&mut self, range: Range<usize>) {
        let white = self.bytes[range.clone()].trim_ascii().is_empty();
        let kind = match self.parts.last() {
            Some((_, Kind::Tags)) | None if white => Kind::Tags,
            Some((_, Kind::Unread)) if white => Kind::Unread,
            _ => Kind::Text,
        };
        self.push(range, kind);
    }

    /// Reads what starts with `<` at `at`; returns where it ends.
    fn tag(&mut self, at: usize) -> usize {
        let rest = &self.bytes[at..];
        if rest.starts_with(b"<!--") {
            if let Some(end) = self.behind(at + 4, "-->") {
                self.push(at..end, Kind::Unread);
                return end;
            }
        } else if matches!(rest.get(1), Some(byte) if byte.is_ascii_alphabetic() || matches!(byte, b'/' | b'!' | b'?'))
            && let Some(end) = self.end(at)
        {
            let name = name(rest);
            if let Some(behind) = self.unread(at, end, name) {
                self.push(at..behind, Kind::Unread);
                return behind;
            }
            self.attributes(at, end);
            return end;
        }
        self.push(at..at + 1, Kind::Text);
        at + 1
    }

    /// Where `what` ends, from `from` on.
    fn behind(&mut self, from: usize, what: &str) -> Option<usize> {
        if self.unclosed.iter().any(|known| known == what) {
            return None;
        }
        let found = memchr::memmem::find(&self.bytes[from..], what.as_bytes());
        if found.is_none() {
            self.unclosed.push(what.to_owned());
        }
        found.map(|found| from + found + what.len())
    }

    /// Where the tag at `at` ends: behind the first `>` outside quotation marks.
    fn end(&mut self, at: usize) -> Option<usize> {
        let plain = memchr::memchr(b'>', &self.bytes[at..])? + at + 1;
        let mut from = at;
        while from < self.bytes.len() && self.strikes < STRIKES {
            let Some(found) = memchr::memchr3(b'>', b'"', b'\'', &self.bytes[from..]) else { break };
            let sign = self.bytes[from + found];
            from += found + 1;
            if sign == b'>' {
                return Some(from);
            }
            let Some(close) = memchr::memchr(sign, &self.bytes[from..]) else { break };
            from += close + 1;
        }
        self.strikes += 1;
        Some(plain)
    }

    /// Where the element that the tag `at..end` opens ends, if nobody reads it.
    fn unread(&mut self, at: usize, end: usize, name: &str) -> Option<usize> {
        if name.is_empty() || self.bytes[at + 1] == b'/' {
            return None;
        }
        let is = |list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(name));
        if is(VOID) {
            return Some(end);
        }
        let tag = &self.source[at..end];
        let raw = is(RAW);
        // Data that a page carries in a script is data.
        let data = raw && tag.contains("json");
        let beside = is(BESIDE) || (matches!(name, "div" | "section" | "form" | "ul") && has_class(tag));
        if data || !(raw || beside) {
            return None;
        }
        if tag.ends_with("/>") {
            return Some(end);
        }
        let lower = name.to_ascii_lowercase();
        if self.unclosed.contains(&lower) {
            return None;
        }
        let mut depth = 1usize;
        let mut from = end;
        while let Some(found) = memchr::memchr(b'<', &self.bytes[from..]) {
            let open = from + found;
            let closing = self.bytes.get(open + 1) == Some(&b'/');
            from = open + 1;
            if !is_name(&self.bytes[open + 1 + usize::from(closing)..], &lower) {
                continue;
            }
            if closing {
                depth -= 1;
            } else if !raw {
                depth += 1;
            }
            if depth == 0 {
                let behind = memchr::memchr(b'>', &self.bytes[from..]).map(|found| from + found + 1);
                return behind;
            }
        }
        self.unclosed.push(lower);
        None
    }

    /// A tag, its long attributes apart.
    fn attributes(&mut self, at: usize, end: usize) {
        let mut from = at;
        let mut look = at;
        let long = end - at > LONG_ATTRIBUTE;
        while look < end && long {
            let Some(found) = memchr::memchr2(b'"', b'\'', &self.bytes[look..end]) else { break };
            let open = look + found;
            let Some(length) = memchr::memchr(self.bytes[open], &self.bytes[open + 1..end]) else { break };
            look = open + 1 + length + 1;
            if length > LONG_ATTRIBUTE {
                self.push(from..open + 1, Kind::Tags);
                self.push(open + 1..open + 1 + length, Kind::Unread);
                from = open + 1 + length;
            }
        }
        self.push(from..end, Kind::Tags);
    }
}

/// The name in the tag at the start of `tag`.
pub(super) fn name(tag: &[u8]) -> &str {
    let from = if tag.get(1) == Some(&b'/') { 2 } else { 1 };
    let rest = tag.get(from..).unwrap_or_default();
    let length = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'-').count();
    std::str::from_utf8(&rest[..length]).unwrap_or_default()
}

/// Whether `rest` begins with the element's name and no longer one.
fn is_name(rest: &[u8], lower: &str) -> bool {
    rest.get(..lower.len()).is_some_and(|head| head.eq_ignore_ascii_case(lower.as_bytes()))
        && !rest.get(lower.len()).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

fn has_class(tag: &str) -> bool {
    let lower = tag.get(..tag.len().min(400)).unwrap_or(tag).to_ascii_lowercase();
    CLASSES.iter().any(|class| lower.contains(class))
}
