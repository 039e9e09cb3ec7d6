//! Whether a text is a log, from a bounded look at it.

use super::line::{Log, Marks};

/// How much of the head is read, and of each probe behind it.
const HEAD: usize = 64 << 10;
const PROBE: usize = 8 << 10;

pub(super) fn is_log(source: &str) -> bool {
    if is_document(source) {
        return false;
    }
    let head = part(source, 0, HEAD);
    if head.len() == source.len() && is_mostly_other(head) {
        return false;
    }
    let mut seen = Seen::default();
    seen.look(head);
    if source.len() > HEAD + 4 * PROBE {
        let step = (source.len() - HEAD) / 4;
        for probe in 1..=3 {
            seen.look(part(source, HEAD + probe * step, PROBE));
        }
    }
    seen.is_log()
}

/// JSON, markup or a patch by its first bytes.
fn is_document(source: &str) -> bool {
    let body = source.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    let starts = |with: &[&str]| with.iter().any(|with| body.starts_with(with));
    let array =
        body.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with(['{', '[', '"', ']']));
    let patch =
        starts(&["diff ", "--- a/", "+++ ", "@@ -", "Index: ", "index ", "From ", "Only in ", "*** "]);
    let history = body
        .strip_prefix("commit ")
        .is_some_and(|rest| rest.len() > 7 && rest.bytes().take(7).all(|byte| byte.is_ascii_hexdigit()));
    body.starts_with(['{', '<']) || array || patch || history
}

/// Whole lines of `source` from about `from` on, at most `length` bytes.
fn part(source: &str, from: usize, length: usize) -> &str {
    let mut start = from.min(source.len());
    if start > 0 {
        start += memchr::memchr(b'\n', &source.as_bytes()[start..]).map_or(0, |at| at + 1);
    }
    let mut end = (start + length).min(source.len());
    while !source.is_char_boundary(start) {
        start += 1;
    }
    while !source.is_char_boundary(end) {
        end -= 1;
    }
    &source[start..end.max(start)]
}

#[derive(Debug, Default)]
struct Seen {
    lines: usize,
    /// Lines that only a log has.
    sure: usize,
    /// Lines that a log often has.
    likely: usize,
    /// Lines of code, data or diffs.
    other: usize,
    /// Headings and fences.
    markdown: usize,
}

impl Seen {
    fn look(&mut self, part: &str) {
        let Some(log) = Log::new(part) else { return };
        for at in 0..log.len() {
            let marks = log.line(at).marks;
            if marks.has(Marks::BLANK) {
                continue;
            }
            self.lines += 1;
            let text = log.text(at);
            self.markdown +=
                usize::from(["## ", "### ", "#### ", "```"].iter().any(|start| text.starts_with(start)));
            // A runner's total says what the whole is, however much else it shows.
            if marks.has(Marks::SUMMARY) && marks.has(Marks::TOOL) {
                self.sure += if text.starts_with("=====") { 25 } else { 8 };
            }
            if is_other(text) {
                self.other += 1;
            } else if marks.has(
                Marks::TIMED.and(Marks::TOOL).and(Marks::TERMINAL).and(Marks::TRACEBACK).and(Marks::PLACE),
            ) {
                self.sure += 1;
            } else if marks.has(Marks::LEVELLED) {
                self.sure += usize::from(log.text(at).len() < 400);
            } else if marks.has(Marks::ERROR.and(Marks::WARN).and(Marks::SUMMARY).and(Marks::CONTINUES)) {
                self.likely += 1;
            }
        }
    }

    fn is_log(&self) -> bool {
        if self.markdown * 25 > self.lines {
            return false;
        }
        self.sure > 0 && self.sure * 6 + self.likely >= self.lines && self.other * 2 <= self.lines
    }
}

/// Whether [`Seen`] would count too many other lines: that is told without reading what all say.
fn is_mostly_other(text: &str) -> bool {
    // A carriage return makes other lines.
    if memchr::memchr(b'\r', text.as_bytes()).is_some() {
        return false;
    }
    let (mut lines, mut other) = (0usize, 0usize);
    for line in text.split('\n').filter(|line| !line.trim_ascii().is_empty()) {
        lines += 1;
        other += usize::from(is_other(line));
    }
    other * 2 > lines
}

/// A line of JSON, of a diff, of markup, of code.
fn is_other(text: &str) -> bool {
    let body = text.trim();
    let data = body.starts_with(['{', '}', '<', '"', '@']) || body.ends_with(['{', ';', '}']);
    let diff = text.starts_with("diff --git ") || text.starts_with("+++ ") || text.starts_with("--- a/");
    let code = [
        "def ", "class ", "import ", "from ", "fn ", "pub ", "use ", "//", "/*", "* ", "#include", "return ",
    ]
    .iter()
    .any(|start| body.starts_with(start));
    let listing = body.len() > 10
        && body.as_bytes()[1..10]
            .iter()
            .all(|byte| matches!(byte, b'r' | b'w' | b'x' | b's' | b'S' | b't' | b'T' | b'-'))
        && body.starts_with(['-', 'd', 'l', 'b', 'c', 'p', 's']);
    data || diff || code || listing
}
