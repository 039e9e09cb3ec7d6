//! A patch as lines, read by the counts in its hunk headers: what looks like a header inside a
//! hunk is content.

use std::ops::Range;

/// What a line of a patch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Before and between patches: commit, author, message, stat; anything else.
    Text,
    /// The first line of a file's header.
    File,
    /// The rest of it: index, modes, renames, names, binary.
    Meta,
    /// `@@ -1,5 +1,7 @@ fn main()`
    Hunk,
    Context,
    Added,
    Removed,
    /// `\ No newline at end of file`
    NoNewline,
    /// A line of a `GIT binary patch`.
    Binary,
}

/// One line of a patch; offsets count in the source.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// The line with its newline.
    pub(super) range: Range<usize>,
    pub(super) kind: Kind,
}

/// A file's part of a patch, in lines.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) lines: Range<usize>,
    pub(super) hunks: Vec<Range<usize>>,
}

/// A patch, parsed.
#[derive(Clone, Debug)]
pub(super) struct Patch<'a> {
    source: &'a str,
    lines: Vec<Line>,
    files: Vec<File>,
    /// Hunks whose lines are all there.
    whole: usize,
}

impl<'a> Patch<'a> {
    /// Parses `source`. Every text has lines; whether they are a patch is for
    /// [`Patch::is_patch`] to say.
    pub(super) fn new(source: &'a str) -> Self {
        let mut patch = Self { source, lines: Vec::new(), files: Vec::new(), whole: 0 };
        let mut state = State::Text;
        let mut all = ranges(source).peekable();
        while let Some(range) = all.next() {
            let next = all.peek().map_or("", |next| &source[next.clone()]);
            let (kind, after) = state.read(trimmed(&source[range.clone()]), next);
            let at = patch.lines.len();
            match (kind, patch.files.last_mut()) {
                (Kind::File, _) => patch.files.push(File { lines: at..at + 1, hunks: Vec::new() }),
                (Kind::Text, _) | (_, None) => {}
                (Kind::Hunk, Some(file)) => {
                    file.hunks.push(at..at + 1);
                    file.lines.end = at + 1;
                }
                (Kind::Context | Kind::Added | Kind::Removed | Kind::NoNewline, Some(file)) => {
                    file.lines.end = at + 1;
                    if let Some(hunk) = file.hunks.last_mut() {
                        hunk.end = at + 1;
                    }
                }
                (Kind::Meta | Kind::Binary, Some(file)) => file.lines.end = at + 1,
            }
            patch.whole +=
                usize::from(matches!(&after, State::Hunk(hunk) if hunk.is_done()) && kind != Kind::NoNewline);
            patch.lines.push(Line { range, kind });
            state = after;
        }
        patch
    }

    pub(super) fn source(&self) -> &'a str {
        self.source
    }

    pub(super) fn lines(&self) -> &[Line] {
        &self.lines
    }

    pub(super) fn files(&self) -> &[File] {
        &self.files
    }

    /// A line without its newline.
    pub(super) fn text(&self, at: usize) -> &'a str {
        self.lines.get(at).map_or("", |line| trimmed(&self.source[line.range.clone()]))
    }

    /// Whether the text is a patch: a whole hunk, or files without any, and little else behind
    /// the first file.
    pub(super) fn is_patch(&self) -> bool {
        let Some(first) = self.files.first() else { return false };
        let git = self.text(first.lines.start).starts_with("diff ");
        let behind = &self.lines[first.lines.start..];
        let text = (first.lines.start..self.lines.len())
            .filter(|at| self.lines[*at].kind == Kind::Text && !is_message(self.text(*at)))
            .count();
        let before = first.lines.start;
        (self.whole > 0 || (git && first.lines.len() > 1))
            && text * 3 <= behind.len()
            && (before < 10 || before <= 2 * behind.len())
    }

    /// The paths of a file, old and new, as its header gives them.
    pub(super) fn paths(&self, file: &File) -> impl Iterator<Item = &'a str> {
        let end = file.hunks.first().map_or(file.lines.end, |hunk| hunk.start);
        (file.lines.start..end).filter_map(|at| {
            let text = self.text(at);
            ["--- ", "+++ ", "rename from ", "rename to ", "copy to ", "diff --git ", "diff --cc ", "Index: "]
                .iter()
                .find_map(|start| text.strip_prefix(start))
        })
    }

    /// The added and removed lines among `lines`.
    pub(super) fn changes(&self, lines: Range<usize>) -> (usize, usize) {
        let count = |kind: Kind| self.lines[lines.clone()].iter().filter(|line| line.kind == kind).count();
        (count(Kind::Added), count(Kind::Removed))
    }
}

/// How much of the head is read to tell what a text is.
const HEAD: usize = 64 << 10;

/// Whether `source` has a line that every patch has, near its start.
pub(super) fn may_be(source: &str) -> bool {
    let head = head(source);
    ["diff ", "--- ", "Index: "].iter().any(|start| {
        head.starts_with(start)
            || memchr::memmem::find_iter(head.as_bytes(), start)
                .any(|at| at > 0 && head.as_bytes()[at - 1] == b'\n')
    })
}

/// Whole lines from the start of `source`.
pub(super) fn head(source: &str) -> &str {
    if source.len() <= HEAD {
        return source;
    }
    let end = memchr::memrchr(b'\n', &source.as_bytes()[..HEAD]).map_or(source.len(), |at| at + 1);
    &source[..end]
}

fn trimmed(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

fn ranges(source: &str) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = source.as_bytes().get(start..).filter(|rest| !rest.is_empty())?;
        let end = memchr::memchr(b'\n', rest).map_or(source.len(), |at| start + at + 1);
        Some(std::mem::replace(&mut start, end)..end)
    })
}

/// Where in a patch a line stands.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Outside of any file.
    Text,
    /// Between a file's first line and its first hunk.
    Header,
    /// In a hunk, or right behind one.
    Hunk(Counts),
    /// In a `GIT binary patch`.
    Binary,
}

impl State {
    /// What `line` is, with `next` behind it, and the state then.
    fn read(self, line: &str, next: &str) -> (Kind, Self) {
        if let Self::Hunk(counts) = self {
            if line.starts_with('\\') {
                return (Kind::NoNewline, self);
            }
            if let Some((kind, counts)) = counts.take(line) {
                return (kind, Self::Hunk(counts));
            }
        }
        if matches!(self, Self::Binary)
            && !line.starts_with("diff ")
            && (line.is_empty()
                || !line.contains(' ')
                || line.starts_with("literal ")
                || line.starts_with("delta "))
        {
            return (Kind::Binary, Self::Binary);
        }
        let in_file = !matches!(self, Self::Text);
        if in_file && let Some(counts) = Counts::read(line) {
            return (Kind::Hunk, Self::Hunk(counts));
        }
        let names = line.starts_with("--- ") && next.starts_with("+++ ");
        if names && matches!(self, Self::Header) {
            return (Kind::Meta, Self::Header);
        }
        let starts = ["diff --git ", "diff --cc ", "diff --combined ", "diff -", "Index: "];
        if names || starts.iter().any(|start| line.starts_with(start)) {
            return (Kind::File, Self::Header);
        }
        if matches!(self, Self::Header) {
            if line.starts_with("GIT binary patch") {
                return (Kind::Meta, Self::Binary);
            }
            if is_meta(line) {
                return (Kind::Meta, Self::Header);
            }
        }
        (Kind::Text, Self::Text)
    }
}

/// Whether a line outside of files is of a commit: its fields, its message as git indents it, its
/// stat.
fn is_message(line: &str) -> bool {
    ["    ", "commit ", "Author:", "Date:", "Merge:", "From ", "From: ", "Subject: ", "---", "Only in "]
        .iter()
        .any(|start| line.starts_with(start))
        || line.trim().is_empty()
        || (line.starts_with(' ') && line.contains(" | "))
}

fn is_meta(line: &str) -> bool {
    const STARTS: [&str; 17] = [
        "index ",
        "old mode ",
        "new mode ",
        "new file mode ",
        "deleted file mode ",
        "similarity index ",
        "dissimilarity index ",
        "rename from ",
        "rename to ",
        "copy from ",
        "copy to ",
        "--- ",
        "+++ ",
        "Binary files ",
        "mode ",
        "Submodule ",
        "====",
    ];
    STARTS.iter().any(|start| line.starts_with(start))
}

/// What is left of a hunk: lines of each old side, and of the new one.
#[derive(Clone, Copy, Debug)]
struct Counts {
    old: [usize; MOST_SIDES],
    sides: usize,
    new: usize,
}

/// The most old sides of a merge that are read.
const MOST_SIDES: usize = 7;

impl Counts {
    /// Reads `@@ -1,5 +1,7 @@`, or `@@@ -1,5 -1,5 +1,7 @@@` of a merge.
    fn read(line: &str) -> Option<Self> {
        let signs = line.bytes().take_while(|byte| *byte == b'@').count();
        if !(2..=8).contains(&signs) {
            return None;
        }
        let mut words = line[signs..].strip_prefix(' ')?.split(' ');
        let mut old = [0; MOST_SIDES];
        for old in &mut old[..signs - 1] {
            *old = count(words.next()?.strip_prefix('-')?)?;
        }
        let new = count(words.next()?.strip_prefix('+')?)?;
        let end = words.next()?;
        (end.len() == signs && end.bytes().all(|byte| byte == b'@')).then_some(Self {
            old,
            sides: signs - 1,
            new,
        })
    }

    fn is_done(&self) -> bool {
        self.new == 0 && self.old.iter().all(|left| *left == 0)
    }

    /// Counts `line`, if the hunk goes on with it.
    fn take(&self, line: &str) -> Option<(Kind, Self)> {
        if self.is_done() {
            return None;
        }
        let mut left = *self;
        let width = self.sides;
        // Some tools and many people strip the space of an empty line.
        let columns =
            if line.is_empty() { &b" "[..] } else { line.as_bytes().get(..width.min(line.len()))? };
        let removed = columns.contains(&b'-');
        let added = columns.contains(&b'+');
        for (at, left) in left.old[..width].iter_mut().enumerate() {
            match (columns.get(at).unwrap_or(&b' '), removed) {
                (b'-', _) | (b' ', false) => *left = left.checked_sub(1)?,
                (b'+' | b' ', _) => {}
                _ => return None,
            }
        }
        if !removed {
            left.new = left.new.checked_sub(1)?;
        }
        let kind = match (removed, added) {
            (true, false) => Kind::Removed,
            (false, true) => Kind::Added,
            (false, false) => Kind::Context,
            (true, true) => return None,
        };
        Some((kind, left))
    }
}

/// The length in `12,7` or `12`.
fn count(range: &str) -> Option<usize> {
    let (start, length) = range.split_once(',').unwrap_or((range, "1"));
    start.parse::<usize>().ok()?;
    length.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(source: &str) -> String {
        let letter = |line: &Line| match line.kind {
            Kind::Text => 't',
            Kind::File => 'F',
            Kind::Meta => 'm',
            Kind::Hunk => '@',
            Kind::Context => ' ',
            Kind::Added => '+',
            Kind::Removed => '-',
            Kind::NoNewline => '\\',
            Kind::Binary => 'b',
        };
        Patch::new(source).lines().iter().map(letter).collect()
    }

    #[test]
    fn content_that_looks_like_a_header_is_content() {
        assert_eq!(
            kinds(
                "diff --git a/q b/q\nindex 1..2 100644\n--- a/q\n+++ b/q\n@@ -1,3 +1,3 @@\n--- a/drop\n+++ b/add\n x\n-@@ -1 +1 @@\n+diff --git\n--- c\n+++ d\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n"
            ),
            "Fmmm@-+ -+Fm@-\\+"
        );
    }

    #[test]
    fn merges_messages_binaries_and_stripped_spaces() {
        assert_eq!(
            kinds(
                "commit 1\n    @@ -1 +1 @@ in a message\n\ndiff --cc a\nindex 1,2..3\n--- a/a\n+++ b/a\n@@@ -1,2 -1,2 +1,3 @@@\n  x\n++y\n- z\n -w\n++v\n"
            ),
            "tttFmmm@ +--+"
        );
        assert_eq!(
            kinds(
                "diff --git a/i b/i\nGIT binary patch\nliteral 3\nKcmZQzWMBl(\n\nliteral 0\nHcmV?d00001\n\ndiff --git a/j b/j\nold mode 100644\nnew mode 100755\n--- a/k\n+++ b/k\n@@ -1,2 +1,2 @@\n\n-a\n+b\n-- \n2.40\n"
            ),
            "FmbbbbbbFmmmm@ -+tt"
        );
    }
}
