//! Whether a text is search output, from a bounded look at it.

use super::{
    line::{Hits, Kind, is_clear_path},
    paint,
};

/// How much of the head is read.
const HEAD: usize = 64 << 10;
/// Fewer lines than these in the head say too little.
const FEW: usize = 20;
/// The fewest hits, and the fewest paths of a list.
const FEWEST: usize = 3;

/// Whether at least three of five lines are hits in files with clear paths, and few of them
/// diagnostics, whose place is a log.
pub(super) fn is_hits(source: &str) -> bool {
    let head = head(source);
    if starts_otherwise(head) {
        return false;
    }
    let bare = paint::is_painted(head).then(|| paint::bare(head));
    let hits = Hits::new(bare.as_deref().unwrap_or(head));
    let (mut clear, mut other, mut diagnostics, mut marked) = (0usize, 0usize, 0usize, 0usize);
    for line in hits.lines() {
        match line.kind {
            Kind::Match | Kind::Near if is_clear_path(hits.path(line.file)) => {
                clear += 1;
                marked += usize::from(line.number_end > line.path_end);
                let text = hits.text(line);
                diagnostics +=
                    usize::from(is_diagnostic(text) || (line.number_end == line.path_end && warns(text)));
            }
            Kind::Blank | Kind::Break | Kind::Heading => {}
            _ => other += 1,
        }
    }
    if hits.files() == 1 && is_view(&hits) {
        return false;
    }
    // Lines without numbers look like hits too easily, unless they share their paths.
    let sure = marked * 2 > clear || hits.files() * 2 <= clear;
    clear >= FEWEST && other * 3 <= clear * 2 && diagnostics * 5 <= clear && sure
}

/// Whether the lines are those of one file, all of them: a view of it.
fn is_view(hits: &Hits<'_>) -> bool {
    let numbers: Vec<u64> = hits.lines().iter().filter_map(|line| hits.number(line).parse().ok()).collect();
    let runs = numbers.windows(2).filter(|pair| pair[0].checked_add(1) == Some(pair[1])).count();
    runs * 10 >= numbers.len() * 9
}

/// Whether nearly every line is a path: `find`, `rg -l`, `git ls-files`, `rg -c`.
pub(super) fn is_listing(source: &str) -> bool {
    let head = head(source);
    if starts_otherwise(head) {
        return false;
    }
    let (mut paths, mut deep, mut other) = (0usize, 0usize, 0usize);
    for line in head.lines() {
        if line.is_empty() {
            continue;
        }
        let path = counted(line).0;
        if !path.contains(':') && is_clear_path(path)
            || (path.starts_with("./") && !path.contains(char::is_whitespace))
        {
            paths += 1;
            deep += usize::from(path.contains('/'));
        } else {
            other += 1;
            if other * 10 > paths + 20 {
                return false;
            }
        }
    }
    paths >= 5 && deep * 5 >= paths * 3 && other * 20 <= paths
}

/// A path with the count behind it that `rg -c` prints.
pub(super) fn counted(line: &str) -> (&str, &str) {
    let line = line.trim_end_matches(['\n', '\r']);
    match line.rsplit_once(':') {
        Some((path, count)) if !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit()) => {
            (path, &line[path.len()..])
        }
        _ => (line, ""),
    }
}

fn head(source: &str) -> &str {
    if source.len() <= HEAD {
        return source;
    }
    let lines = memchr::memchr_iter(b'\n', &source.as_bytes()[..HEAD]).take(FEW).count();
    let end = memchr::memrchr(b'\n', &source.as_bytes()[..HEAD]).map_or(HEAD, |at| at + 1);
    // Minified lines are long.
    if lines < FEW { source } else { source.get(..end).unwrap_or(source) }
}

/// JSON, markup or a patch by its first bytes.
fn starts_otherwise(source: &str) -> bool {
    let body = source.trim_start();
    ["{", "<", "[{", "[\"", "diff ", "--- ", "@@ "].iter().any(|start| body.starts_with(start))
}

/// Whether a line without a number is of a log: `a.py:docstring of f:22: WARNING: no such role`.
fn warns(text: &str) -> bool {
    ["error:", "warning:", "Error:", "Warning:", "ERROR", "WARNING"]
        .iter()
        .any(|word| memchr::memmem::find(text.as_bytes(), word.as_bytes()).is_some())
}

/// `error: ...`, `12: warning[x]: ...`: what a compiler says of a place.
fn is_diagnostic(text: &str) -> bool {
    let text = text.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, ':' | ' ' | '-'));
    ["error", "warning", "fatal error", "note"].iter().any(|word| {
        text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
            && text[word.len()..].starts_with([':', '[', '(', ' '])
            && text[word.len()..].contains(':')
    })
}
