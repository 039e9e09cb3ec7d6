//! A text as lines of code: as it is, or behind the line numbers of a file view.

use std::{fmt::Write as _, ops::Range};

/// Lines that begin with a number, before a text is taken for a view.
const LEAST: usize = 4;
/// Lines around a view that say what it is of.
const AROUND: usize = 6;

/// How a view writes a line's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gutter<'a> {
    /// Filled up to `width` with it.
    zeros: bool,
    /// 0 if nothing is filled.
    width: usize,
    /// Between the number and the line.
    separator: &'a str,
}

/// What stands between a number and its line.
const SEPARATORS: [&str; 6] = ["\t", ":", "|", "\u{2192}", "\u{2502}", " "];

impl<'a> Gutter<'a> {
    /// Reads the number at the start of `line`, the gutter that it is in, and where that ends.
    pub(super) fn read(line: &'a str) -> Option<(Self, u32, usize)> {
        let bytes = line.as_bytes();
        let fill = match bytes.first()? {
            b' ' => bytes.iter().take_while(|byte| **byte == b' ').count(),
            b'0' => bytes.iter().take_while(|byte| **byte == b'0').count(),
            _ => 0,
        };
        let digits = bytes[fill..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let end = fill + digits;
        if digits == 0 || digits > 7 || fill > 12 || bytes[fill] == b'0' {
            return None;
        }
        let number = line[fill..end].parse().ok()?;
        let separator = SEPARATORS.into_iter().find(|separator| line[end..].starts_with(separator))?;
        let separator = &line[end..end + separator.len()];
        let gutter = Self { zeros: bytes[0] == b'0', width: if fill == 0 { 0 } else { end }, separator };
        Some((gutter, number, end + separator.len()))
    }

    /// Reads `text`, which is a gutter and nothing else.
    pub(super) fn read_whole(text: &'a str) -> Option<(Self, u32, usize)> {
        let (mut gutter, number, end) = Self::read(text)?;
        gutter.separator = &text[end - gutter.separator.len()..];
        Some((gutter, number, text.len()))
    }

    /// Writes the gutter of line `number`.
    pub(super) fn write(&self, number: u32, out: &mut String) {
        let _ = match (self.zeros, self.width) {
            (true, width) => write!(out, "{number:0width$}"),
            (false, width) => write!(out, "{number:width$}"),
        };
        out.push_str(self.separator);
    }
}

/// One line of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) start: usize,
    /// Where the code begins, behind the gutter.
    pub(super) code: usize,
    /// Behind the newline.
    pub(super) end: usize,
    /// In the file; 0 for text around the code.
    pub(super) number: u32,
}

/// A text as lines of code.
#[derive(Clone, Debug)]
pub(super) struct View<'a> {
    pub(super) source: &'a str,
    pub(super) lines: Vec<Line>,
    /// `None` for plain code.
    pub(super) gutter: Option<Gutter<'a>>,
}

impl<'a> View<'a> {
    /// Plain code.
    pub(super) fn plain(source: &'a str) -> Self {
        let mut lines = Vec::with_capacity(source.len() / 32);
        for (number, (start, end)) in bounds(source).enumerate() {
            let number = u32::try_from(number + 1).unwrap_or(u32::MAX);
            lines.push(Line { start, code: start, end, number });
        }
        Self { source, lines, gutter: None }
    }

    /// A view: most lines begin with numbers that count on.
    pub(super) fn numbered(source: &'a str) -> Option<Self> {
        let mut gutter: Option<Gutter<'a>> = None;
        let mut lines: Vec<Line> = Vec::new();
        let mut exact = String::new();
        let (mut last, mut counted, mut on, mut blank) = (0, 0usize, 0usize, 0usize);
        for (start, end) in bounds(source) {
            let text = &source[start..end];
            let mut line = Line { start, code: start, end, number: 0 };
            if text.trim_ascii().is_empty() {
                blank += 1;
            } else if let Some((_, number, length)) = Gutter::read(text) {
                let style = gutter.or_else(|| first(source, start));
                let fits = style.is_some_and(|style| {
                    exact.clear();
                    style.write(number, &mut exact);
                    text.starts_with(&exact)
                });
                // A line that is its gutter alone, without a newline, would be no line without it.
                if fits && exact.len() < text.len() {
                    gutter = style;
                    line.code = start + exact.len().max(length);
                    line.number = number;
                    counted += 1;
                    on += usize::from(number == last + 1);
                    last = number;
                }
            }
            lines.push(line);
            if lines.len() == 64 && counted < LEAST {
                return None;
            }
        }
        let most =
            counted >= LEAST && 2 * counted + AROUND > lines.len() - blank && 10 * (on + 1) >= 9 * counted;
        let view = Self { source, lines, gutter };
        most.then(|| view.spaced())
    }

    /// The space that follows every separator belongs to the gutter.
    fn spaced(mut self) -> Self {
        let Some(gutter) = self.gutter.as_mut() else { return self };
        let source = self.source;
        let mut code = self.lines.iter().filter(|line| line.number > 0);
        let with_space = |line: &Line| source[line.code..].starts_with(' ') && line.code + 1 < line.end;
        if gutter.separator != " " && code.all(with_space) {
            let Some(first) = self.lines.iter().find(|line| line.number > 0) else { return self };
            gutter.separator = &source[first.code - gutter.separator.len()..=first.code];
            for line in self.lines.iter_mut().filter(|line| line.number > 0) {
                line.code += 1;
            }
        }
        self
    }

    /// The code of line `at`, its newline included.
    pub(super) fn code(&self, at: usize) -> &'a str {
        let line = &self.lines[at];
        &self.source[line.code..line.end]
    }

    pub(super) fn is_code(&self, at: usize) -> bool {
        self.lines[at].number > 0
    }

    pub(super) fn range(&self, lines: &Range<usize>) -> Range<usize> {
        let at = |line: usize| self.lines.get(line).map_or(self.source.len(), |line| line.start);
        at(lines.start)..at(lines.end)
    }

    /// Text before the first numbered line.
    pub(super) fn header(&self) -> &'a str {
        let first = self.lines.iter().find(|line| line.number > 0).map_or(0, |line| line.start);
        &self.source[..first]
    }

    /// Text behind the last numbered line.
    pub(super) fn footer(&self) -> &'a str {
        let last = self.lines.iter().rfind(|line| line.number > 0).map_or(self.source.len(), |line| line.end);
        &self.source[last..]
    }
}

/// The gutter of the line at `start`, told from the next numbered lines: a single line may be
/// numbered by chance.
fn first(source: &str, start: usize) -> Option<Gutter<'_>> {
    let line = source[start..].split_inclusive('\n').next()?;
    let next = source[start + line.len()..].split_inclusive('\n').take(3);
    let (gutter, number, _) = Gutter::read(line)?;
    let follows = |text: &str| {
        Gutter::read(text)
            .is_some_and(|(other, next, _)| next == number + 1 && other.separator == gutter.separator)
    };
    next.into_iter().any(follows).then_some(gutter)
}

/// Where each line begins and ends, its newline included.
fn bounds(source: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut start = 0;
    source.split_inclusive('\n').map(move |line| {
        let range = (start, start + line.len());
        start = range.1;
        range
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gutters_are_told_apart_and_written_again() {
        for (line, number, code) in [
            ("     1\tfoo\n", 1, "foo\n"),
            ("  2911\t    def f():\r\n", 2911, "    def f():\r\n"),
            ("13:code\n", 13, "code\n"),
            ("   12|code\n", 12, "code\n"),
            ("00012| code\n", 12, " code\n"),
            ("  7\u{2192}\tx\n", 7, "\tx\n"),
        ] {
            let (gutter, found, end) = Gutter::read(line).unwrap();
            assert_eq!((found, &line[end..]), (number, code), "{line}");
            let mut out = String::new();
            gutter.write(found, &mut out);
            assert_eq!(out, line[..end], "{line}");
        }
        for line in ["", "x", "12", "0:", "12345678:x", "             1\tx", "-1:"] {
            assert_eq!(Gutter::read(line), None, "{line}");
        }
    }

    #[test]
    fn views_are_numbered_and_searches_are_not() {
        let text = "[File: /a/b.py (9 lines total)]\n(2 more lines above)\n3:def f():\n4:    pass\n5:\n6:x = 1\n(3 more lines below)\n(Open file: /a/b.py)\nbash-$";
        let view = View::numbered(text).unwrap();
        let numbers: Vec<u32> = view.lines.iter().map(|line| line.number).collect();
        assert_eq!(numbers, [0, 0, 3, 4, 5, 6, 0, 0, 0]);
        assert_eq!(view.code(3), "    pass\n");
        assert!(view.header().ends_with("above)\n") && view.footer().starts_with("(3 more"));
        assert!(View::numbered("3:a\n9:b\n12:c\n40:d\n77:e\n").is_none());
        assert!(View::numbered("   12 a\n    3 b\n    3 c\n    1 d\n    1 e\n").is_none());
        let spaced = View::numbered("1: a\n2:  b\n3: \n4: c\n5: d\n").unwrap();
        assert_eq!(spaced.code(1), " b\n");
    }
}
