//! Search output as lines: which file each belongs to, and where its text starts.

use std::{collections::HashMap, ops::Range};

/// The longest path that is taken for one, in bytes.
const LONGEST_PATH: usize = 400;

/// What a line of search output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A line that matched: `path:12:text`, `path:text`, or `12:text` under a heading.
    Match,
    /// A line near one: `path-12-text`.
    Near,
    /// `--` between groups.
    Break,
    /// A path above its lines.
    Heading,
    /// Nothing but white space.
    Blank,
    /// Anything else: what the tool said, a file that it could not read.
    Other,
}

/// One line of search output; offsets count in the source.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// The line with its newline.
    pub(super) range: Range<usize>,
    pub(super) kind: Kind,
    /// The file of a [`Kind::Match`], [`Kind::Near`] or [`Kind::Heading`].
    pub(super) file: usize,
    /// Where the path ends: at the separator before the number or the text.
    pub(super) path_end: usize,
    /// Where the number ends, at the separator before the text; `path_end` if there is none.
    pub(super) number_end: usize,
}

impl Line {
    pub(super) fn is_hit(&self) -> bool {
        matches!(self.kind, Kind::Match | Kind::Near)
    }
}

/// Search output, parsed.
#[derive(Clone, Debug)]
pub(super) struct Hits<'a> {
    source: &'a str,
    lines: Vec<Line>,
    files: Vec<&'a str>,
    headed: bool,
}

impl<'a> Hits<'a> {
    /// Parses `source`. Every text has lines; whether they are hits is for
    /// [`recognise`](super::recognise) to say.
    pub(super) fn new(source: &'a str) -> Self {
        let headed = is_headed(source);
        let mut hits = Self { source, lines: Vec::new(), files: Vec::new(), headed };
        if headed {
            hits.parse_headed();
        } else {
            hits.parse_prefixed();
        }
        hits
    }

    pub(super) fn source(&self) -> &'a str {
        self.source
    }

    pub(super) fn lines(&self) -> &[Line] {
        &self.lines
    }

    pub(super) fn path(&self, file: usize) -> &'a str {
        self.files.get(file).copied().unwrap_or_default()
    }

    pub(super) fn files(&self) -> usize {
        self.files.len()
    }

    /// Whether the paths stand above their lines in the source.
    pub(super) fn is_headed(&self) -> bool {
        self.headed
    }

    /// What the line says, without path, number and newline.
    pub(super) fn text(&self, line: &Line) -> &'a str {
        let start = if line.is_hit() { line.number_end + 1 } else { line.range.start };
        self.source.get(start..line.range.end).unwrap_or_default().trim_end_matches(['\n', '\r'])
    }

    /// The number of a hit, if it has one.
    pub(super) fn number(&self, line: &Line) -> &'a str {
        let start = if self.headed { line.path_end } else { line.path_end + 1 };
        self.source.get(start..line.number_end).unwrap_or_default()
    }

    fn parse_headed(&mut self) {
        let mut ids = HashMap::new();
        let mut file = None;
        for range in lines(self.source) {
            let text = &self.source[range.clone()];
            let body = text.trim_end_matches(['\n', '\r']);
            let mut line = plain(range.clone(), body);
            if let Some((end, separator)) = numbered(body).filter(|(end, _)| *end > 0)
                && let Some(file) = file
            {
                line.kind = if separator == b':' { Kind::Match } else { Kind::Near };
                line.file = file;
                line.path_end = range.start;
                line.number_end = range.start + end;
            } else if line.kind == Kind::Other && is_heading(body) {
                line.kind = Kind::Heading;
                line.file = id(&mut self.files, &mut ids, body);
                file = Some(line.file);
            } else if line.kind == Kind::Other {
                file = None;
            }
            self.lines.push(line);
        }
    }

    fn parse_prefixed(&mut self) {
        let known = matched_paths(self.source);
        let mut ids = HashMap::new();
        let mut last = "";
        for range in lines(self.source) {
            let body = self.source[range.clone()].trim_end_matches(['\n', '\r']);
            let mut line = plain(range.clone(), body);
            if line.kind == Kind::Other
                && let Some(hit) = hit(body, last, &known)
            {
                last = &body[..hit.path];
                line.kind = if hit.is_match { Kind::Match } else { Kind::Near };
                line.file = id(&mut self.files, &mut ids, last);
                line.path_end = range.start + hit.path;
                line.number_end = range.start + hit.number;
            }
            self.lines.push(line);
        }
    }
}

fn id<'a>(files: &mut Vec<&'a str>, ids: &mut HashMap<&'a str, usize>, path: &'a str) -> usize {
    *ids.entry(path).or_insert_with(|| {
        files.push(path);
        files.len() - 1
    })
}

fn plain(range: Range<usize>, body: &str) -> Line {
    let kind = match body {
        "--" => Kind::Break,
        _ if body.trim().is_empty() => Kind::Blank,
        _ => Kind::Other,
    };
    Line { path_end: range.start, number_end: range.start, file: usize::MAX, range, kind }
}

/// The lines of `source`, each with its newline.
pub(super) fn lines(source: &str) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start == source.len() {
            return None;
        }
        let rest = &source.as_bytes()[start..];
        let end = memchr::memchr(b'\n', rest).map_or(source.len(), |at| start + at + 1);
        Some(std::mem::replace(&mut start, end)..end)
    })
}

/// Whether `text` starts like a line under a heading: `12:`, `12-`, `12=`, `12,15:`, or `:`.
/// Returns where its numbers end, and the separator there.
pub(super) fn numbered(text: &str) -> Option<(usize, u8)> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        at += digits;
        match bytes.get(at)? {
            b':' if at == 0 => return Some((0, b':')),
            _ if digits == 0 => return None,
            b',' => at += 1,
            separator @ (b':' | b'-' | b'=') => return Some((at, *separator)),
            _ => return None,
        }
    }
}

/// A hit's parts: lengths from the line's start.
#[derive(Clone, Copy, Debug)]
struct Hit {
    path: usize,
    number: usize,
    is_match: bool,
}

/// Reads `path:12:`, `path-12-`, `path=12=` or `path:` at the start of `line`.
///
/// A path may hold what looks like a separator with a number, so the file of the line before and
/// the files that matched decide first.
fn hit<'a>(line: &'a str, last: &str, known: &HashMap<&'a str, usize>) -> Option<Hit> {
    if !last.is_empty()
        && line.starts_with(last)
        && let Some(end) = number_at(line.as_bytes(), last.len())
    {
        return Some(Hit { path: last.len(), number: end, is_match: line.as_bytes()[end] == b':' });
    }
    let by_colon = split(line, memchr::memchr_iter(b':', reach(line)), is_path);
    let near = (!known.is_empty())
        .then(|| split(line, memchr::memchr2_iter(b'-', b'=', reach(line)), |path| known.contains_key(path)));
    let near = near.flatten();
    match (by_colon, near) {
        (Some(colon), Some(near)) => Some(if near.path < colon.path { near } else { colon }),
        (Some(hit), None) | (None, Some(hit)) => Some(hit),
        (None, None) => {
            let colon = first_colon(line)?;
            let path = &line[..colon];
            (path == last || known.contains_key(path)).then_some(Hit {
                path: colon,
                number: colon,
                is_match: true,
            })
        }
    }
}

/// The end of the number of `SdigitsS` at `at`, S a separator.
fn number_at(line: &[u8], at: usize) -> Option<usize> {
    let separator = *line.get(at).filter(|byte| matches!(byte, b':' | b'-' | b'='))?;
    let digits = line[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).take(10).count();
    let end = at + 1 + digits;
    (digits > 0 && line.get(end) == Some(&separator)).then_some(end)
}

/// The part of `line` in which a path ends.
fn reach(line: &str) -> &[u8] {
    &line.as_bytes()[..line.len().min(LONGEST_PATH)]
}

/// The leftmost `path` before a number between two separators; `separators` says where they are.
fn split(line: &str, separators: impl Iterator<Item = usize>, is_path: impl Fn(&str) -> bool) -> Option<Hit> {
    let bytes = line.as_bytes();
    let from = drive(bytes);
    separators.filter(|at| *at >= from).find_map(|at| {
        let number = number_at(bytes, at)?;
        is_path(line.get(..at)?).then_some(Hit { path: at, number, is_match: bytes[at] == b':' })
    })
}

/// Where path and number of a hit end, from its line alone.
pub(super) fn place(line: &str) -> Option<(usize, usize)> {
    let separators = memchr::memchr3_iter(b':', b'-', b'=', reach(line));
    split(line, separators, is_clear_path).map(|hit| (hit.path, hit.number))
}

/// The first colon that can end a path.
fn first_colon(line: &str) -> Option<usize> {
    let bytes = line.as_bytes();
    let from = drive(bytes);
    let at = from + memchr::memchr(b':', bytes.get(from..bytes.len().min(LONGEST_PATH))?)?;
    (bytes.get(at + 1) != Some(&b':') && is_path(line.get(..at)?)).then_some(at)
}

/// The length of a drive: `C:\`.
fn drive(line: &[u8]) -> usize {
    match line {
        [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic() => 3,
        _ => 0,
    }
}

/// Whether `path` may be one.
fn is_path(path: &str) -> bool {
    let bytes = path.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return false };
    !first.is_ascii_whitespace()
        && !last.is_ascii_whitespace()
        && !bytes.iter().any(u8::is_ascii_control)
        && (is_clear_path(path) || (bytes.contains(&b' ') && bytes.contains(&b'/')) || is_word(path))
}

/// A file without an extension: `Makefile`.
fn is_word(path: &str) -> bool {
    path.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_') && path.len() > 2
}

/// Whether `path` can hardly be anything else: no white space, letters, a slash or an extension.
pub(super) fn is_clear_path(path: &str) -> bool {
    if path.len() > LONGEST_PATH || path.contains("://") || path.contains("::") {
        return false;
    }
    let bytes = path.as_bytes();
    let plain = |byte: u8| {
        byte.is_ascii_alphanumeric() || byte >= 0x80 || b"/\\._-+@~()[]$%,&#!'={}:".contains(&byte)
    };
    let starts = bytes
        .first()
        .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80 || b"/._~@(\\-[$".contains(byte));
    let letters = bytes.windows(2).any(|pair| pair.iter().all(u8::is_ascii_alphabetic))
        || bytes.iter().any(|byte| *byte >= 0x80);
    let extension = || {
        path.rsplit_once('.').is_some_and(|(stem, extension)| {
            !stem.is_empty()
                && (1..=12).contains(&extension.len())
                && extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
                && extension.bytes().any(|byte| byte.is_ascii_alphabetic())
        })
    };
    starts && letters && bytes.iter().all(|byte| plain(*byte)) && (path.contains(['/', '\\']) || extension())
}

/// Whether `line` can be a path above its lines.
pub(super) fn is_heading(line: &str) -> bool {
    is_clear_path(line) && !line[drive(line.as_bytes())..].contains(':')
}

/// How often each path stands before `:12:`, or before `:` where no line has a number.
fn matched_paths(source: &str) -> HashMap<&str, usize> {
    let mut known = HashMap::new();
    let mut last = "";
    for range in lines(source) {
        let body = &source[range];
        let path =
            if !last.is_empty() && body.starts_with(last) && body.as_bytes().get(last.len()) == Some(&b':') {
                Some(last)
            } else {
                split(body, memchr::memchr_iter(b':', reach(body)), is_path).map(|hit| &body[..hit.path])
            };
        if let Some(path) = path {
            *known.entry(path).or_insert(0) += 1;
            last = path;
        }
    }
    if known.is_empty() {
        for range in lines(source) {
            let body = &source[range];
            if let Some(colon) = first_colon(body).filter(|colon| is_clear_path(&body[..*colon])) {
                *known.entry(&body[..colon]).or_insert(0) += 1;
            }
        }
    }
    known
}

/// Whether nearly all lines stand under paths: `rg --heading`.
fn is_headed(source: &str) -> bool {
    let (mut under, mut other, mut headings) = (0usize, 0usize, 0usize);
    let mut heading = false;
    for range in lines(source).take(2000) {
        let body = source[range].trim_end_matches(['\n', '\r']);
        if body.is_empty() {
            heading = false;
        } else if heading && (body == "--" || numbered(body).is_some_and(|(end, _)| end > 0)) {
            under += 1;
        } else if !heading && is_heading(body) {
            heading = true;
            headings += 1;
        } else {
            other += 1;
        }
    }
    headings > 0 && under >= headings && under >= 2 && other * 10 <= under
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(source: &str) -> Vec<(Kind, String, String)> {
        let hits = Hits::new(source);
        let parts = |line: &Line| {
            let path = if line.file == usize::MAX { "" } else { hits.path(line.file) };
            (line.kind, path.to_owned(), hits.text(line).to_owned())
        };
        hits.lines().iter().map(parts).collect()
    }

    fn hit(kind: Kind, path: &str, text: &str) -> (Kind, String, String) {
        (kind, path.to_owned(), text.to_owned())
    }

    #[test]
    fn separators_drives_and_odd_paths() {
        use Kind::{Break, Match, Near, Other};
        assert_eq!(
            paths(
                "src/a.c-66-  x ? 1:2:3\nsrc/a.c:68:  y\n--\nC:\\x\\a.rs:1:z\r\na-1-b.txt:5:w\ngrep: /root: Permission denied\n"
            ),
            [
                hit(Near, "src/a.c", "  x ? 1:2:3"),
                hit(Match, "src/a.c", "  y"),
                hit(Break, "", "--"),
                hit(Match, "C:\\x\\a.rs", "z"),
                hit(Match, "a-1-b.txt", "w"),
                hit(Other, "", "grep: /root: Permission denied"),
            ]
        );
    }

    #[test]
    fn paths_above_their_lines_and_lines_without_numbers() {
        use Kind::{Blank, Heading, Match};
        assert_eq!(
            paths("src/a.c\n3:x\n4:y\n\nb.rs\n1:z\n"),
            [
                hit(Heading, "src/a.c", "src/a.c"),
                hit(Match, "src/a.c", "x"),
                hit(Match, "src/a.c", "y"),
                hit(Blank, "", ""),
                hit(Heading, "b.rs", "b.rs"),
                hit(Match, "b.rs", "z"),
            ]
        );
        assert_eq!(
            paths("src/a.c:int x;\nsrc/a.c: y\n"),
            [hit(Match, "src/a.c", "int x;"), hit(Match, "src/a.c", " y")]
        );
    }

    #[test]
    fn times_are_no_paths() {
        for line in ["2024-01-01T10:00:00 INFO x", "Jan  1 10:00:00 host sshd: y", "10:00:00 z", "::1:80:"] {
            assert_eq!(paths(line)[0].0, Kind::Other, "{line}");
        }
    }
}
