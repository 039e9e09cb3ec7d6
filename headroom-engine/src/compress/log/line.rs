//! One pass over the bytes: where lines start, what they look like, what they say.

use super::{
    super::{
        fold::Lines,
        hash::{hash_bytes, mix},
    },
    blocks::tracebacks,
    judge::judge,
    words::{self, Word},
};

/// What a line was recognised as; a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(u16);

impl Marks {
    /// An error, a failure, an exception, a failed test.
    pub(super) const ERROR: Self = Self(1);
    /// A warning, or a word that often goes with trouble.
    pub(super) const WARN: Self = Self(1 << 1);
    /// A total, a verdict, an exit status, a section's title.
    pub(super) const SUMMARY: Self = Self(1 << 2);
    /// A part of what the line before it says: a frame, an indented or ruled line.
    pub(super) const CONTINUES: Self = Self(1 << 3);
    /// A cause inside a block: `Caused by`, `E   ` and `>   ` of pytest, `panicked at`.
    pub(super) const CAUSE: Self = Self(1 << 4);
    /// Nothing but white space.
    pub(super) const BLANK: Self = Self(1 << 5);
    /// The first line of a Python traceback.
    pub(super) const TRACEBACK: Self = Self(1 << 6);
    /// A level word in some spelling, whatever the level.
    pub(super) const LEVELLED: Self = Self(1 << 7);
    /// A time of day, or a date, near the line's start.
    pub(super) const TIMED: Self = Self(1 << 8);
    /// A test runner's or build tool's line by its words.
    pub(super) const TOOL: Self = Self(1 << 9);
    /// Terminal control bytes.
    pub(super) const TERMINAL: Self = Self(1 << 10);
    /// A test that went well.
    pub(super) const PASSED: Self = Self(1 << 12);
    /// The title of what follows, as `____ test_x ____`.
    pub(super) const HEADING: Self = Self(1 << 13);
    /// A word of trouble within a name: `DecodeError.cpp`, `error_handler`.
    pub(super) const MENTION: Self = Self(1 << 14);
    /// A place in a file: `path:12:` or `path:12:5:`, or its like.
    pub(super) const PLACE: Self = Self(1 << 11);

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    pub(super) fn remove(&mut self, other: Self) {
        self.0 &= !other.0;
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A line of the source, or the part of one up to a carriage return that goes back over it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    start: u32,
    /// About as many tokens as the line is, newline included.
    pub(super) cost: u16,
    /// What it was recognised as.
    pub(super) marks: Marks,
    /// Hash of the line with every [slot](super::template) replaced by its class.
    pub(super) literal: u64,
    /// A coarser hash: identifiers and paths are classes too. For an error it is finer instead: its
    /// code (`E0308:`) counts.
    pub(super) shape: u64,
}

/// A source and its lines.
#[derive(Clone, Debug)]
pub(super) struct Log<'a> {
    source: &'a str,
    lines: Vec<Line>,
}

impl<'a> Log<'a> {
    /// Scans `source`; `None` if it is too large for 32-bit offsets.
    pub(super) fn new(source: &'a str) -> Option<Self> {
        u32::try_from(source.len()).ok()?;
        let bytes = source.as_bytes();
        let mut lines = Vec::with_capacity(bytes.len() / 64 + 1);
        let mut start = 0;
        while start < bytes.len() {
            let end = memchr::memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |at| start + at);
            // A carriage return goes back over what was written: what follows is another line.
            while let Some(back) = overwrite(&bytes[start..end]) {
                lines.push(Scan::run(&bytes[start..start + back], start as u32));
                start += back;
            }
            lines.push(Scan::run(&bytes[start..end], start as u32));
            start = end + 1;
        }
        let mut log = Self { source, lines };
        for trace in tracebacks(&log) {
            let line = &mut log.lines[trace.exception];
            line.marks.add(Marks::ERROR);
            line.shape = line.literal;
        }
        Some(log)
    }

    pub(super) fn source(&self) -> &'a str {
        self.source
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn line(&self, at: usize) -> &Line {
        &self.lines[at]
    }

    pub(super) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Where line `at` starts; the end of the source for one past the last.
    pub(super) fn start(&self, at: usize) -> usize {
        self.lines.get(at).map_or(self.source.len(), |line| line.start as usize)
    }

    /// Line `at` without its newline.
    pub(super) fn text(&self, at: usize) -> &'a str {
        let whole = &self.source[self.start(at)..self.start(at + 1)];
        whole.strip_suffix('\n').unwrap_or(whole)
    }

    /// Whether line `at` begins where a line of the source begins.
    pub(super) fn is_begun(&self, at: usize) -> bool {
        at == 0 || self.source.as_bytes()[self.start(at) - 1] == b'\n'
    }

    /// Whether line `at` is a line of the source from its beginning to its newline.
    pub(super) fn is_complete(&self, at: usize) -> bool {
        self.is_begun(at) && self.start(at + 1) > 0 && self.source.as_bytes()[self.start(at + 1) - 1] == b'\n'
    }
}

impl Lines for Log<'_> {
    fn text(&self, at: usize) -> &str {
        self.text(at)
    }

    fn cost(&self, at: usize) -> usize {
        usize::from(self.line(at).cost)
    }

    fn is_same(&self, left: usize, right: usize) -> bool {
        self.line(left).literal == self.line(right).literal
            && self.is_complete(left)
            && self.is_complete(right)
            && self.text(left) == self.text(right)
    }
}

/// Where `line` is written over: behind its first carriage return that is not at its end.
fn overwrite(line: &[u8]) -> Option<usize> {
    let at =
        memchr::memchr_iter(b'\r', line).find(|at| line.get(at + 1).is_some_and(|next| *next != b'\r'))?;
    (at + 1 < line.len()).then_some(at + 1)
}

const SEED: u64 = 0x0068_6561_6472_6f6f;
const SLOT: u64 = 1;
const IDENTIFIER: u64 = 2;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Digit,
    Space,
    Escape,
    Other,
}

const CLASSES: [Class; 256] = {
    let mut table = [Class::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | 0x80..=0xff => Class::Letter,
            b'0'..=b'9' => Class::Digit,
            b' ' | b'\t' | b'\r' => Class::Space,
            0x1b => Class::Escape,
            _ => Class::Other,
        };
        byte += 1;
    }
    table
};

#[inline]
fn class(byte: u8) -> Class {
    CLASSES[byte as usize]
}

/// The end of the run of letters and digits at `from`, and whether it holds a digit.
#[inline]
fn alnum(line: &[u8], from: usize) -> (usize, bool) {
    let mut at = from;
    let mut digit = false;
    while at < line.len() {
        match class(line[at]) {
            Class::Letter => {}
            Class::Digit => digit = true,
            _ => break,
        }
        at += 1;
    }
    (at, digit)
}

/// The end of the slot that starts at `from`, or of the word if it holds no digit: letters and
/// digits with at least one digit, joined to the next of that kind by one of `.:,/-_`.
pub(super) fn slot(line: &[u8], from: usize) -> (usize, bool) {
    let (mut end, digit) = alnum(line, from);
    if !digit {
        return (end, false);
    }
    while end + 1 < line.len() && matches!(line[end], b'.' | b':' | b',' | b'/' | b'-' | b'_') {
        let (next, digit) = alnum(line, end + 1);
        if !digit {
            break;
        }
        end = next;
    }
    (end, true)
}

/// The end of the control sequence at `from`, which holds an escape.
fn control(line: &[u8], from: usize) -> usize {
    match line.get(from + 1) {
        Some(b'[') => {
            let parameters = line[from + 2..].iter().take_while(|byte| (0x20..0x40).contains(*byte)).count();
            (from + 2 + parameters + 1).min(line.len())
        }
        Some(b'_' | b']' | b'P') => {
            line[from..].iter().position(|byte| *byte == 7).map_or(from + 1, |at| from + at + 1)
        }
        _ => from + 1,
    }
}

/// The state of one line's scan.
struct Scan<'l> {
    line: &'l [u8],
    marks: Marks,
    literal: u64,
    shape: u64,
    /// The hash of the space-delimited word being read, and whether it is an identifier.
    word: u64,
    identifier: bool,
    tokens: usize,
    /// A hash of the codes read.
    codes: u64,
    after: Before,
}

/// What stands right before a word, as far as it changes its meaning.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    Anything,
    /// `no`, `not`, `without`.
    Negation,
    /// The number 0.
    Zero,
    /// Another number.
    Number,
}

impl<'l> Scan<'l> {
    fn run(line: &'l [u8], start: u32) -> Line {
        let mut scan = Self {
            line,
            marks: Marks::default(),
            literal: SEED,
            shape: SEED,
            word: SEED,
            identifier: false,
            tokens: 1,
            codes: 0,
            after: Before::Anything,
        };
        scan.bytes();
        scan.end_word();
        judge(line, &mut scan.marks);
        Line {
            start,
            cost: u16::try_from(scan.tokens).unwrap_or(u16::MAX),
            marks: scan.marks,
            literal: scan.literal,
            shape: if scan.marks.has(Marks::ERROR) { mix(scan.literal, scan.codes) } else { scan.shape },
        }
    }

    fn bytes(&mut self) {
        let line = self.line;
        let mut at = 0;
        let mut slots = 0;
        while at < line.len() {
            match class(line[at]) {
                Class::Letter | Class::Digit => {
                    let (end, digit) = slot(line, at);
                    if digit {
                        self.slot(at, end, slots);
                        slots += 1;
                    } else {
                        self.letters(at, end);
                    }
                    at = end;
                }
                Class::Space => {
                    let mut end = at + 1;
                    while end < line.len() && class(line[end]) == Class::Space {
                        end += 1;
                    }
                    self.tokens += usize::from(end - at > 1);
                    self.literal = mix(self.literal, (end - at) as u64);
                    self.end_word();
                    at = end;
                }
                Class::Escape => {
                    self.marks.add(Marks::TERMINAL);
                    let end = control(line, at);
                    for byte in &line[at..end] {
                        let class = if byte.is_ascii_digit() { SLOT } else { u64::from(*byte) };
                        self.literal = mix(self.literal, class);
                    }
                    self.tokens += 3 + (end - at) / 2;
                    at = end;
                }
                Class::Other => {
                    let byte = line[at];
                    self.literal = mix(self.literal, u64::from(byte));
                    let inside = at > 0 && at + 1 < line.len() && class(line[at + 1]) == Class::Letter;
                    if inside && matches!(byte, b'_' | b'.' | b'/' | b':' | b'@' | b'\\' | b'$') {
                        self.identifier = true;
                    }
                    self.word = mix(self.word, u64::from(byte));
                    if at == 0 || line[at - 1] != byte {
                        self.tokens += 1;
                    }
                    if !matches!(byte, b'(' | b'[') {
                        self.after = Before::Anything;
                    }
                    at += 1;
                }
            }
        }
    }

    #[inline]
    fn end_word(&mut self) {
        let class = if self.identifier { IDENTIFIER } else { self.word };
        self.shape = mix(self.shape, class);
        self.word = SEED;
        self.identifier = false;
    }

    #[inline]
    fn slot(&mut self, at: usize, end: usize, before: usize) {
        let text = &self.line[at..end];
        self.literal = mix(self.literal, SLOT);
        self.word = mix(self.word, SLOT);
        self.tokens += text.len().div_ceil(3) + usize::from(text.len() > 6);
        self.after = if text.iter().all(|byte| *byte == b'0') { Before::Zero } else { Before::Number };
        // An access log's server error: `"GET / HTTP/1.1" 503`.
        let quoted = at > 1 && self.line[at - 1] == b' ' && self.line[at - 2] == b'"';
        if quoted && text.len() == 3 && text[0] == b'5' {
            self.marks.add(Marks::ERROR);
        }
        if words::is_code(text, self.line.get(end).copied()) {
            self.codes = mix(self.codes, hash_bytes(text));
        }
        // A field of a table is followed by its separator.
        let field = matches!(self.line.get(end), Some(b',' | b';' | b'\t'));
        if before < 4 && at < 80 && !field && !self.marks.has(Marks::TIMED) && words::is_time(text, at == 0) {
            self.marks.add(Marks::TIMED);
        }
    }

    #[inline]
    fn letters(&mut self, at: usize, end: usize) {
        let text = &self.line[at..end];
        let hash = hash_bytes(text);
        self.literal = mix(self.literal, hash);
        self.word = mix(self.word, hash);
        self.tokens += 1 + (text.len() - 1) / 8;
        let after = self.after;
        self.after = Before::Anything;
        match words::word(self.line, at, end, after) {
            Word::Plain => {}
            Word::Negation => self.after = Before::Negation,
            Word::Marked(marks) => self.marks.add(marks),
        }
    }
}
