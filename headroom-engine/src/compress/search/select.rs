//! What stays visible of search output.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use super::{
    super::{gaps::gaps, weigh::weigh},
    line::{Hits, Kind, Line},
    spell::Choice,
};
use crate::{
    rank::{Bm25, Query},
    reduce::Context,
};

/// About the tokens of a marker without a handle, and what a run must cost to be worth one.
const GAP: usize = 16;
/// What was found is what the next call asks for: fewer tokens stay, whatever asking for them costs.
const LITTLE: usize = 250;
/// Percent of the tokens that lines and names together should cost.
const SHARE: usize = 26;
/// Percent that lines may cost at least, whatever the names cost.
const LEAST: usize = 9;
/// A kept line longer than this is cut to windows.
const LONG: usize = 500;
/// Bytes of a window on each side.
const WINDOW: usize = 120;
/// Lines around each of the best hits that stay with it.
const AROUND: usize = 3;
/// How many hits keep the lines around them.
const BEST: usize = 4;

/// Chooses what to leave out; nothing where that is not worth it.
pub(super) fn choose(hits: &Hits<'_>, context: &Context<'_>) -> Choice {
    let costs: Vec<usize> =
        hits.lines().iter().map(|line| weigh(&hits.source()[line.range.clone()])).collect();
    let total: usize = costs.iter().sum();
    if total < worth(context) * 3 / 2 {
        return Choice::default();
    }
    let mut selection =
        Selection { hits, keep: vec![false; costs.len()], seen: HashSet::new(), costs, total };
    selection.others(context.is_error);
    selection.unnameable();
    selection.hits(context.query);
    selection.headings();
    selection.choice(context)
}

/// The fewest tokens worth hiding.
fn worth(context: &Context<'_>) -> usize {
    context.stakes.worth().max(LITTLE)
}

struct Selection<'h, 'a> {
    hits: &'h Hits<'a>,
    costs: Vec<usize>,
    total: usize,
    keep: Vec<bool>,
    /// Files with a kept line.
    seen: HashSet<usize>,
}

impl Selection<'_, '_> {
    /// What is no hit: what the tool itself said.
    fn others(&mut self, all: bool) {
        let mut left = if all { usize::MAX } else { self.total / 8 };
        for (at, line) in self.hits.lines().iter().enumerate() {
            if line.kind == Kind::Other && self.costs[at] <= left {
                left -= self.costs[at];
                self.keep[at] = true;
            }
        }
    }

    /// The first line of each file whose path a marker cannot hold.
    fn unnameable(&mut self) {
        for (at, line) in self.hits.lines().iter().enumerate() {
            if line.is_hit() && !is_nameable(self.hits.path(line.file)) && self.seen.insert(line.file) {
                self.keep[at] = true;
            }
        }
    }

    /// The best hits, until they and the names of the other files cost their share.
    fn hits(&mut self, query: &Query) {
        let ranked = self.ranked(query);
        let mut named = vec![true; self.hits.files()];
        let mut spent: usize = (0..self.hits.files()).map(|file| name_cost(self.hits.path(file))).sum();
        let most = (self.total * SHARE / 100).max(spent + self.total * LEAST / 100).max(200);
        let mut texts = HashSet::new();
        for (rank, at) in ranked.into_iter().enumerate() {
            let line = &self.hits.lines()[at];
            if self.keep[at] || !texts.insert(self.hits.text(line).trim()) {
                continue;
            }
            let named_before = std::mem::replace(&mut named[line.file], false);
            let path = name_cost(self.hits.path(line.file));
            let cost =
                self.costs[at].min(LONG / 2) + GAP / 2 - if named_before { path.min(GAP / 2) } else { 0 };
            if spent + cost > most {
                if spent + GAP > most {
                    break;
                }
                continue;
            }
            spent += cost;
            self.keep[at] = true;
            self.seen.insert(line.file);
            if rank < BEST {
                spent += self.around(at, most.saturating_sub(spent) / 2);
            }
        }
    }

    /// Keeps the lines around `at`; returns what they cost.
    fn around(&mut self, at: usize, mut left: usize) -> usize {
        let before = left;
        let is_near = |line: &Line| line.kind == Kind::Near && line.file == self.hits.lines()[at].file;
        let down = (at + 1..self.costs.len()).take(AROUND).take_while(|at| is_near(&self.hits.lines()[*at]));
        let up = (0..at).rev().take(AROUND).take_while(|at| is_near(&self.hits.lines()[*at]));
        for near in down.chain(up) {
            if self.costs[near] > left {
                break;
            }
            left -= self.costs[near];
            self.keep[near] = true;
        }
        before - left
    }

    /// The hits, best first.
    fn ranked(&self, query: &Query) -> Vec<usize> {
        let lines = self.hits.lines();
        let bm25 =
            Bm25::new(query, lines.iter().map(|line| if line.is_hit() { self.hits.text(line) } else { "" }));
        let asked: Vec<bool> =
            (0..self.hits.files()).map(|file| is_named(self.hits.path(file), query)).collect();
        let mut first = vec![true; self.hits.files()];
        let mut ranked: Vec<(f32, usize)> = Vec::new();
        for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.is_hit()) {
            let matched = line.kind == Kind::Match;
            let mut score = bm25.score(at);
            if !matched {
                score *= 0.6;
            }
            if is_definition(self.hits.text(line)) {
                score += if matched { 1.0 } else { 0.3 };
            }
            if matched && asked[line.file] {
                score += 1.5;
            }
            if matched && std::mem::replace(&mut first[line.file], false) {
                score += 0.4;
            }
            ranked.push((score, at));
        }
        ranked.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(&right.1)));
        ranked.into_iter().map(|(_, at)| at).collect()
    }

    /// The headings of files with kept lines, where the source has headings.
    fn headings(&mut self) {
        for (at, line) in self.hits.lines().iter().enumerate() {
            if line.kind == Kind::Heading && self.seen.contains(&line.file) {
                self.keep[at] = true;
            }
        }
    }

    fn choice(mut self, context: &Context<'_>) -> Choice {
        let (gaps, hidden) = gaps(&mut self.keep, &self.costs, GAP);
        let kept = self.hits.lines().iter().zip(&self.keep).filter(|(line, keep)| **keep && line.is_hit());
        self.seen.extend(kept.map(|(line, _)| line.file));
        let gaps = gaps.into_iter().map(|gap| (gap.clone(), self.note(gap))).collect();
        let cuts = self.cuts(context.query);
        let cut: usize = cuts.iter().map(|cut| weigh(&self.hits.source()[cut.clone()])).sum();
        if hidden + cut < worth(context).max(self.total / 8) {
            return Choice::default();
        }
        Choice { gaps, cuts }
    }

    /// The files of `gap` that no kept line names, with their hits.
    fn note(&self, gap: Range<usize>) -> String {
        let mut counts: Vec<(usize, usize)> = Vec::new();
        let mut places: HashMap<usize, usize> = HashMap::new();
        for line in &self.hits.lines()[gap] {
            if line.is_hit() && !self.seen.contains(&line.file) {
                let place = *places.entry(line.file).or_insert_with(|| {
                    counts.push((line.file, 0));
                    counts.len() - 1
                });
                counts[place].1 += usize::from(line.kind == Kind::Match);
            }
        }
        let mut note = String::new();
        for (file, count) in counts {
            if !note.is_empty() {
                note.push(' ');
            }
            note.push_str(self.hits.path(file));
            if count > 1 {
                note.push_str(&format!(" x{count}"));
            }
        }
        note
    }

    /// What is cut from long kept lines.
    fn cuts(&self, query: &Query) -> Vec<Range<usize>> {
        let mut cuts = Vec::new();
        let kept =
            self.hits.lines().iter().zip(&self.keep).filter(|(line, keep)| **keep && line.range.len() > LONG);
        for (line, _) in kept {
            let text = self.hits.text(line);
            let start = if line.is_hit() { line.number_end + 1 } else { line.range.start };
            let place = mention(text, query).unwrap_or(0);
            let floor = |at: usize| text.floor_char_boundary(at);
            let first = (0, floor(WINDOW / 2));
            let window = (floor(place.saturating_sub(WINDOW)), floor(place + WINDOW));
            let mut from = first.1.max(if window.0 <= first.1 + WINDOW { window.1 } else { first.1 });
            for next in [window.0, text.len()] {
                if next > from + WINDOW {
                    cuts.push(start + from..start + next);
                }
                from = from.max(if next == window.0 { window.1 } else { next });
            }
        }
        cuts
    }
}

/// Whether the query names the file: its path or its last part.
fn is_named(path: &str, query: &Query) -> bool {
    let path = path.trim_start_matches("./").to_lowercase();
    let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
    name.len() > 2 && (query.contains(name) || query.contains(&path))
}

/// Whether a marker's note can hold `path`.
fn is_nameable(path: &str) -> bool {
    !path.contains(|c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '[' | ']' | '#' | '"' | '\\' | '~')
    })
}

/// Where `text` first mentions a term of `query`.
fn mention(text: &str, query: &Query) -> Option<usize> {
    let mut at = 0;
    let mut found = None;
    for word in text.split(|c: char| !(c.is_alphanumeric() || c == '_')) {
        if word.len() > 2 && word.len() < 64 && query.contains(&word.to_lowercase()) {
            found = Some(at);
            break;
        }
        at += word.len();
        at += text[at..].chars().next().map_or(0, char::len_utf8);
    }
    found
}

fn name_cost(path: &str) -> usize {
    weigh(path)
}

/// Whether a line defines something, in one of the usual languages.
fn is_definition(text: &str) -> bool {
    const WORDS: [&str; 26] = [
        "def",
        "class",
        "fn",
        "func",
        "function",
        "struct",
        "enum",
        "trait",
        "impl",
        "interface",
        "type",
        "module",
        "mod",
        "namespace",
        "macro_rules!",
        "#define",
        "const",
        "static",
        "pub",
        "export",
        "public",
        "private",
        "protected",
        "async",
        "abstract",
        "default",
    ];
    let first = text.trim_start().split([' ', '(']).next().unwrap_or_default();
    WORDS.contains(&first)
}
