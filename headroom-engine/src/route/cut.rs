//! Stretches of a text that may be of a kind of their own, by structure that proves itself.

use std::ops::Range;

use super::{json::Documents, patch, said::PROGRAMS};
use crate::reduce::Hints;

/// Shorter views and documents are not looked for.
const LEAST: usize = 256;
/// Lines numbered one by one make a view.
const VIEW: usize = 8;
/// Fewer lines between bars are no table.
const TABLE: usize = 5;
/// Longer fences are decoration.
const MAX_FENCE: usize = 32;

/// A stretch and what is said of it.
#[derive(Clone, Debug)]
pub(super) struct Stretch<'a> {
    pub(super) range: Range<usize>,
    pub(super) hints: Hints<'a>,
    /// Its own grammar says where it begins and ends; else the lines around it do.
    pub(super) sure: bool,
}

/// The stretches of `source`, in order, apart from each other. What several commands printed is
/// apart only where lines announce them.
pub(super) fn stretches<'a>(source: &'a str, hints: Hints<'a>) -> Vec<Stretch<'a>> {
    let mut cutter = Cutter {
        source,
        hints,
        documents: Documents::new(source),
        no_patch: 0,
        no_fence: [[false; MAX_FENCE + 1]; 2],
        view: View::default(),
        section: Section { from: 0, hints, announced: false },
        found: Vec::new(),
    };
    let mut at = 0;
    while at < source.len() {
        at = cutter.step(at);
    }
    cutter.close_view(source.len());
    cutter.close_section(source.len());
    cutter.found
}

struct Cutter<'a> {
    source: &'a str,
    hints: Hints<'a>,
    documents: Documents,
    /// No patch starts before this place.
    no_patch: usize,
    /// No fence of this sign and length closes behind the place that is read.
    no_fence: [[bool; MAX_FENCE + 1]; 2],
    view: View,
    section: Section<'a>,
    found: Vec<Stretch<'a>>,
}

/// Lines numbered one by one.
#[derive(Debug, Default)]
struct View {
    from: usize,
    lines: usize,
    next: u64,
}

/// What one command printed, as far as it is text.
#[derive(Debug)]
struct Section<'a> {
    from: usize,
    hints: Hints<'a>,
    /// A line announces it; what stands before all such lines is the rest of the text.
    announced: bool,
}

impl<'a> Cutter<'a> {
    /// Reads what starts at the line at `at`; where to go on.
    fn step(&mut self, at: usize) -> usize {
        let rest = &self.source[at..];
        let end = memchr::memchr(b'\n', rest.as_bytes()).map_or(self.source.len(), |line| at + line + 1);
        let line = self.source[at..end].trim_end_matches(['\n', '\r']);
        if let Some(number) = gutter(line) {
            if self.view.lines > 0 && number == self.view.next {
                self.view.lines += 1;
                self.view.next = number.saturating_add(1);
            } else {
                self.close_view(at);
                self.view = View { from: at, lines: 1, next: number.saturating_add(1) };
            }
            return end;
        }
        self.close_view(at);
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        match line.as_bytes().get(indent) {
            Some(b'{' | b'[') => self.document(at + indent).unwrap_or(end),
            Some(b'`' | b'~') if indent < 4 => self.fence(&line[indent..], end).unwrap_or(end),
            Some(b'|') => self.table(at),
            Some(b'd' | b'-' | b'I') if indent == 0 => match self.patch(at) {
                Some(end) => end,
                None => self.announce(line, at, end),
            },
            Some(b'=' | b'+' | b'$') if indent == 0 => self.announce(line, at, end),
            Some(_) if indent == 0 && line.len() < 400 && line.contains('@') => self.announce(line, at, end),
            _ => end,
        }
    }

    /// A JSON document, and those that follow on lines of their own.
    fn document(&mut self, from: usize) -> Option<usize> {
        let bytes = self.source.as_bytes();
        let blank = |at: usize| {
            let line = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |line| at + line);
            bytes[at..line].iter().all(u8::is_ascii_whitespace).then_some(line)
        };
        let mut end = None;
        let mut at = from;
        while let Some(length) = self.documents.end(&bytes[at..]) {
            let Some(line) = blank(at + length) else {
                self.documents.wasted(length);
                break;
            };
            end = Some((at + length, line));
            let next =
                bytes[line..].iter().position(|byte| !byte.is_ascii_whitespace()).map(|skip| line + skip);
            match next {
                Some(next) if matches!(bytes[next], b'{' | b'[') => at = next,
                _ => break,
            }
        }
        let (end, line) = end?;
        if end - from >= LEAST {
            self.push(from..end, self.section.hints, true);
        }
        Some((line + 1).min(bytes.len()))
    }

    /// The inside of a fenced block, fenced as CommonMark has it.
    fn fence(&mut self, line: &'a str, body: usize) -> Option<usize> {
        let (sign, length) = fence(line)?;
        let info = line[length..].trim();
        let tilde = usize::from(sign == b'~');
        if length > MAX_FENCE || (tilde == 0 && info.contains('`')) || self.no_fence[tilde][length] {
            return None;
        }
        let mut at = body;
        for line in self.source[body..].split_inclusive('\n') {
            let text = line.trim_end();
            let inner = text.trim_start_matches(' ');
            let closes = text.len() - inner.len() < 4
                && fence(inner).is_some_and(|(other, longer)| {
                    other == sign && longer >= length && longer == inner.len()
                });
            if closes {
                let language = info.split([' ', ',', '{', '\t']).next().unwrap_or_default();
                let hints =
                    if language.is_empty() { Hints::default() } else { Hints::default().language(language) };
                if at - body >= LEAST {
                    self.push(body..at, hints, true);
                }
                return Some(at + line.len());
            }
            at += line.len();
        }
        self.no_fence[tilde][length..].fill(true);
        None
    }

    /// Lines between bars, as Markdown and clients of databases draw them.
    fn table(&mut self, from: usize) -> usize {
        let mut end = from;
        let mut lines = 0;
        for line in self.source[from..].split_inclusive('\n') {
            if !line.trim_start_matches([' ', '\t']).starts_with('|') {
                break;
            }
            end += line.len();
            lines += 1;
        }
        if lines >= TABLE && end - from >= LEAST {
            self.push(from..end, self.section.hints, true);
        }
        end
    }

    fn patch(&mut self, at: usize) -> Option<usize> {
        if at < self.no_patch {
            return None;
        }
        match patch::end(&self.source[at..]) {
            Ok(length) => {
                if length >= LEAST {
                    self.push(at..at + length, self.section.hints, true);
                }
                Some(at + length)
            }
            Err(read) => {
                self.no_patch = at + read;
                None
            }
        }
    }

    /// A line that announces what a command prints starts a section; it stays with it.
    fn announce(&mut self, line: &'a str, at: usize, end: usize) -> usize {
        if let Some(said) = announced(line) {
            self.close_section(at);
            let hints = match said {
                Announced::Title => self.hints,
                Announced::Command(command) => Hints::default().command(command),
                Announced::File(path) => Hints::default().path(path),
            };
            self.section = Section { from: at, hints, announced: true };
        }
        end
    }

    fn push(&mut self, range: Range<usize>, hints: Hints<'a>, sure: bool) {
        self.text(range.start);
        self.section.from = range.end;
        self.found.push(Stretch { range, hints, sure });
    }

    /// The section's text up to `end`, as far as it is not told yet.
    fn text(&mut self, end: usize) {
        let range = self.section.from..end;
        if self.section.announced && range.len() >= LEAST {
            self.found.push(Stretch { range, hints: self.section.hints, sure: false });
        }
    }

    fn close_section(&mut self, at: usize) {
        self.text(at);
        self.section.from = at;
    }

    fn close_view(&mut self, at: usize) {
        let View { from, lines, .. } = std::mem::take(&mut self.view);
        if lines >= VIEW && at - from >= LEAST {
            self.push(from..at, self.section.hints, true);
        }
    }
}

/// The number before a line of a file view.
fn gutter(line: &str) -> Option<u64> {
    let bytes = line.as_bytes();
    let start = bytes.iter().take(9).position(|byte| !matches!(byte, b' ' | b'\t'))?;
    let digits = bytes[start..].iter().take(8).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || digits == 8 {
        return None;
    }
    let at = start + digits;
    let behind = matches!(bytes.get(at)?, b':' | b'|' | b'\t') || line[at..].starts_with('→');
    behind.then(|| line[start..at].parse().ok())?
}

/// The sign and length of the fence that starts `line`.
fn fence(line: &str) -> Option<(u8, usize)> {
    let sign = *line.as_bytes().first()?;
    let length = line.bytes().take_while(|byte| *byte == sign).count();
    (matches!(sign, b'`' | b'~') && length >= 3).then_some((sign, length))
}

enum Announced<'a> {
    Title,
    Command(&'a str),
    File(&'a str),
}

/// What a line announces: `=== title ===`, `==> file <==`, `+ command`, `$ command`.
fn announced(line: &str) -> Option<Announced<'_>> {
    if let Some(path) = line.strip_prefix("==> ").and_then(|rest| rest.strip_suffix(" <==")) {
        return Some(Announced::File(path));
    }
    // Longer rules are a test runner's.
    let title = |sign: char| {
        let title = line.trim_matches(sign);
        let start = line.len() - line.trim_start_matches(sign).len();
        let end = line.len() - line.trim_end_matches(sign).len();
        let sides = 3..=8;
        title.len() > 2
            && title.starts_with(' ')
            && title.ends_with(' ')
            && sides.contains(&start)
            && sides.contains(&end)
    };
    if title('=') || title('-') {
        return Some(Announced::Title);
    }
    let command = match line.split_once(' ')? {
        ("+" | "++" | "$", command) => command,
        (prompt, command) if prompt.contains('@') && prompt.ends_with(['$', '#']) => command,
        _ => return None,
    };
    let program = command.split_ascii_whitespace().next()?.rsplit('/').next()?;
    let known = PROGRAMS.iter().any(|(programs, _)| programs.contains(&program))
        || program == "echo"
        || program == "cd";
    known.then_some(Announced::Command(command))
}
