//! Lists of paths: `find`, `ls -d`, `rg -l`, `rg -c`, `git ls-files`.
//!
//! A directory stands once above the names in it, each behind one space:
//!
//! ```text
//! src/runtime/                          
//!  handle.rs                            src/runtime/handle.rs
//!  builder.rs:3                         src/runtime/builder.rs:3
//! [~] a name that starts with a space   " a name that starts with a space"
//! ```

use std::{collections::HashSet, ops::Range, sync::Arc};

use super::{
    super::{weigh::weigh, writer::Writer},
    line::lines,
    recognise::counted,
    reduction,
};
use crate::{
    ccr::{Marker, marker},
    rank::{Bm25, Query},
    reduce::{Codec, Context, DecodeError, Equality, Op, Piece, Reduction},
};

const PLAIN: &str = "[~]";

/// The fewest tokens of a hundred that a tree must save: whole paths can be read and searched.
const WORTH: usize = 20;
/// Lists that cost less than these tokens, about, are not elided: any path may be the next call's.
const SHORT: usize = 3000;
/// What a run must cost to be worth a marker, and about the tokens of a marker's numbers.
const GAP: usize = 24;
/// Percent of the tokens that go to paths the query asks for, and to the first of each folder.
const ASKED: usize = 15;
const FIRST: usize = 8;
/// The most folders that a marker names.
const NAMED: usize = 8;

/// A list of paths.
#[derive(Clone, Debug)]
pub(super) struct Listing<'a> {
    source: &'a str,
    lines: Vec<Range<usize>>,
}

impl<'a> Listing<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        Self { source, lines: lines(source).collect() }
    }

    /// The list as a tree, where that is worth it.
    pub(super) fn exact(&self, context: &Context<'_>) -> Option<Reduction> {
        let ops = self.tree(&[]);
        let texts = ops.iter().map(|op| if let Op::Rewrite { text, .. } = op { text.as_str() } else { "" });
        let after = context.counter.count(&texts.collect::<String>());
        let before = context.counter.count(self.source);
        (after * 100 <= before * (100 - WORTH)).then(|| reduction(self.source, Arc::new(ListingCodec), ops))
    }

    /// A long list without most of what the query does not ask for.
    pub(super) fn elide(&self, context: &Context<'_>) -> Option<Reduction> {
        let costs: Vec<usize> = self.lines.iter().map(|line| weigh(&self.source[line.clone()])).collect();
        let total: usize = costs.iter().sum();
        if total < SHORT {
            return None;
        }
        let keep = self.keep(context.query, &costs, total);
        let mut gaps = Vec::new();
        let mut at = 0;
        while let Some(start) = (at..keep.len()).find(|at| !keep[*at]) {
            at = (start..keep.len()).find(|at| keep[*at]).unwrap_or(keep.len());
            if costs[start..at].iter().sum::<usize>() > GAP {
                gaps.push((start..at, self.note(start..at)));
            }
        }
        (!gaps.is_empty()).then(|| reduction(self.source, Arc::new(ListingCodec), self.tree(&gaps)))
    }

    fn keep(&self, query: &Query, costs: &[usize], total: usize) -> Vec<bool> {
        let bm25 = Bm25::new(query, self.lines.iter().map(|line| &self.source[line.clone()]));
        let mut ranked: Vec<usize> = (0..costs.len()).filter(|at| bm25.score(*at) > 0.0).collect();
        ranked.sort_by(|left, right| bm25.score(*right).total_cmp(&bm25.score(*left)).then(left.cmp(right)));
        let mut seen = HashSet::new();
        let firsts = (0..costs.len()).filter(|at| seen.insert(folder(&self.source[self.lines[*at].clone()])));
        let mut keep = vec![false; costs.len()];
        for (lines, share) in [(ranked, ASKED), (firsts.collect(), FIRST)] {
            let mut left = total * share / 100;
            for at in lines {
                let Some(rest) = left.checked_sub(costs[at] + GAP / 2) else { break };
                left = rest;
                keep[at] = true;
            }
        }
        keep
    }

    /// The folders of `gap`, the first few by name.
    fn note(&self, gap: Range<usize>) -> String {
        let mut seen = HashSet::new();
        let folders = self.lines[gap].iter().map(|line| folder(&self.source[line.clone()]));
        let folders: Vec<&str> =
            folders.filter(|folder| !folder.is_empty() && seen.insert(*folder)).collect();
        let mut note = folders.iter().take(NAMED).copied().collect::<Vec<_>>().join(" ");
        if folders.len() > NAMED {
            note.push_str(&format!(" and {} folders", folders.len() - NAMED));
        }
        note
    }

    fn tree(&self, gaps: &[(Range<usize>, String)]) -> Vec<Op> {
        let mut out = Writer::new(self.source, &[]);
        let mut above = "";
        let mut at = 0;
        let mut gaps = gaps.iter().peekable();
        while at < self.lines.len() {
            if let Some((gap, note)) = gaps.next_if(|(gap, _)| gap.start == at) {
                let range = self.lines[gap.start].start..self.lines[gap.end - 1].end;
                out.lines(range, gap.clone(), note.clone());
                at = gap.end;
                continue;
            }
            let range = self.lines[at].clone();
            let line = &self.source[range.clone()];
            let folder = folder(line);
            let next =
                self.lines.get(at + 1).filter(|_| gaps.peek().is_none_or(|(gap, _)| gap.start > at + 1));
            let more = || next.is_some_and(|next| self::folder(&self.source[next.clone()]) == folder);
            let grouped = !folder.is_empty() && !folder.starts_with(' ') && (folder == above || more());
            out.rewrite(range, |out| {
                if !grouped {
                    ListingCodec.escape(line, out);
                    return;
                }
                if folder != above {
                    marker::escape(folder, out);
                    out.push('\n');
                }
                out.push(' ');
                marker::escape(&line[folder.len()..], out);
            });
            above = if grouped { folder } else { "" };
            at += 1;
        }
        out.finish()
    }
}

/// The path of the line up to and with its last slash, where a name follows.
fn folder(line: &str) -> &str {
    let path = counted(line).0;
    match path.trim_end_matches('/').rfind('/') {
        Some(at) => &path[..=at],
        None => "",
    }
}

/// Reads and escapes the grammar above.
#[derive(Clone, Copy, Debug, Default)]
struct ListingCodec;

impl Codec for ListingCodec {
    fn equality(&self) -> Equality {
        Equality::Bytes
    }

    fn escape(&self, kept: &str, out: &mut String) {
        for range in lines(kept) {
            let line = &kept[range];
            if line.starts_with(' ') {
                out.push_str(PLAIN);
            }
            marker::escape(line, out);
        }
    }

    fn decode<'a>(&self, text: &'a str, sink: &mut dyn FnMut(Piece<'a>)) -> Result<(), DecodeError> {
        const BROKEN: DecodeError = DecodeError("a broken list");
        let mut folder = None;
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(line) = rest.strip_prefix(PLAIN) {
                rest = line;
                folder = None;
            } else if rest.starts_with(marker::INTRODUCER) && rest.as_bytes().get(2) != Some(&b'~') {
                let (marker, length) = Marker::parse_prefix(rest).ok_or(BROKEN)?;
                rest = rest[length..].strip_prefix('\n').ok_or(BROKEN)?;
                sink(Piece::Hidden(marker));
                continue;
            } else if let Some(name) = rest.strip_prefix(' ') {
                let folder: &std::borrow::Cow<'a, str> = folder.as_ref().ok_or(BROKEN)?;
                sink(Piece::Text(folder.clone()));
                rest = name;
            } else if let Some((line, below)) = rest.split_once('\n')
                && below.starts_with(' ')
            {
                folder = Some(marker::unescape(line).ok_or(BROKEN)?);
                rest = below;
                continue;
            } else {
                folder = None;
            }
            let end = memchr::memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |at| at + 1);
            sink(Piece::Text(marker::unescape(&rest[..end]).ok_or(BROKEN)?));
            rest = &rest[end..];
        }
        Ok(())
    }
}
