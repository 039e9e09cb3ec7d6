//! What stays visible of a patch.

use std::ops::Range;

use super::{
    super::{gaps::gaps, weigh::weigh},
    patch::{File, Kind, Patch},
    spell::Choice,
};
use crate::{
    rank::{Bm25, Query},
    reduce::Context,
};

/// About the tokens of a marker without a handle, and what a run must cost to be worth one.
const GAP: usize = 14;
/// Percent of the tokens that what is kept should cost.
const SHARE: usize = 25;
/// A kept line longer than this many bytes is cut.
const LONG: usize = 700;
/// What stays of it at both ends.
const ENDS: (usize, usize) = (300, 100);
/// What the changed lines of the files that the query names may cost; a quarter of what is beyond
/// that stays too.
const NAMED: usize = 5000;
/// The changed lines that a file shows at least, in tokens.
const GLIMPSE: usize = 60;

/// Chooses what to leave out; nothing where that is not worth it.
pub(super) fn choose(patch: &Patch<'_>, context: &Context<'_>) -> Choice {
    let costs: Vec<usize> =
        patch.lines().iter().map(|line| weigh(&patch.source()[line.range.clone()])).collect();
    let total: usize = costs.iter().sum();
    if total < context.stakes.worth() * 3 / 2 {
        return Choice::default();
    }
    let keep = patch.lines().iter().map(|line| is_frame(line.kind)).collect();
    let mut selection = Selection { patch, costs, keep, total };
    selection.changes(context.query);
    selection.choice(context.stakes.worth())
}

/// Whether a line says what the patch is about, rather than what it changes.
fn is_frame(kind: Kind) -> bool {
    matches!(kind, Kind::Text | Kind::File | Kind::Meta | Kind::Hunk)
}

fn is_change(kind: Kind) -> bool {
    matches!(kind, Kind::Added | Kind::Removed | Kind::NoNewline)
}

/// A hunk that may be kept.
struct Hunk {
    file: usize,
    lines: Range<usize>,
    cost: usize,
    score: f32,
}

struct Selection<'p, 'a> {
    patch: &'p Patch<'a>,
    costs: Vec<usize>,
    total: usize,
    keep: Vec<bool>,
}

impl Selection<'_, '_> {
    /// Changed lines: all if they fit; else those of files that the query names, one hunk or its
    /// start of each other file, then the best hunks.
    fn changes(&mut self, query: &Query) {
        let files = self.patch.files();
        let named: Vec<bool> = files.iter().map(|file| self.is_named(file, query)).collect();
        let generated: Vec<bool> = files.iter().map(|file| self.is_generated(file)).collect();
        let frame: usize = (0..self.keep.len()).filter(|at| self.keep[*at]).map(|at| self.costs[at]).sum();
        let most = (self.total * SHARE / 100).max(frame + self.total / 12);
        let mut spent = frame;
        let mut hunks = self.hunks(query);
        hunks.sort_by(|left, right| {
            right.score.total_cmp(&left.score).then(left.lines.start.cmp(&right.lines.start))
        });
        spent += self.keep_named(hunks.extract_if(.., |hunk| named[hunk.file]).collect());
        for (file, generated) in generated.iter().enumerate() {
            if *generated && !named[file] {
                self.drop_hunks(&files[file]);
            }
        }
        hunks.retain(|hunk| !generated[hunk.file]);
        if spent + hunks.iter().map(|hunk| hunk.cost).sum::<usize>() <= most {
            for hunk in hunks {
                self.keep_ends(hunk.lines, hunk.cost);
            }
            return;
        }
        let mut shown = vec![false; files.len()];
        let glimpse = (most.saturating_sub(spent) / files.len().max(1)).min(GLIMPSE);
        for hunk in hunks.iter().filter(|hunk| !std::mem::replace(&mut shown[hunk.file], true)) {
            spent += hunk.cost.min(glimpse);
            self.keep_ends(hunk.lines.clone(), hunk.cost.min(glimpse));
        }
        for hunk in hunks {
            if spent + hunk.cost <= most {
                spent += hunk.cost;
                self.keep_ends(hunk.lines, hunk.cost);
            }
        }
    }

    /// Keeps the hunks, best first, of files that the query names; returns what they cost.
    fn keep_named(&mut self, hunks: Vec<Hunk>) -> usize {
        let cost: usize = hunks.iter().map(|hunk| hunk.cost).sum();
        let most = if cost > NAMED { NAMED + (cost - NAMED) / 4 } else { cost };
        let mut left = most;
        for hunk in hunks {
            let cost = hunk.cost.min(left);
            left -= cost;
            self.keep_ends(hunk.lines, cost);
        }
        most
    }

    fn hunks(&self, query: &Query) -> Vec<Hunk> {
        let source = self.patch.source();
        let lines = self.patch.lines();
        let all: Vec<(usize, &Range<usize>)> = self
            .patch
            .files()
            .iter()
            .enumerate()
            .flat_map(|(at, file)| file.hunks.iter().map(move |hunk| (at, hunk)))
            .collect();
        let text =
            |hunk: &Range<usize>| &source[lines[hunk.start].range.start..lines[hunk.end - 1].range.end];
        let bm25 = Bm25::new(query, all.iter().map(|(_, hunk)| text(hunk)));
        let of = |(number, (file, hunk)): (usize, (usize, &Range<usize>))| {
            let changed = hunk.clone().filter(|at| is_change(lines[*at].kind));
            let (mut cost, mut weight) = (0, 0.0f32);
            for at in changed {
                cost += self.costs[at];
                weight = weight.max(meaning(self.patch.text(at)));
            }
            Hunk { file, lines: hunk.clone(), cost, score: bm25.score(number) + weight }
        };
        all.into_iter().enumerate().map(of).collect()
    }

    /// Keeps the changed lines of `hunk` at its ends, as far as they cost no more than `most`: two
    /// thirds at the start.
    fn keep_ends(&mut self, hunk: Range<usize>, most: usize) {
        let changed: Vec<usize> = hunk.filter(|at| is_change(self.patch.lines()[*at].kind)).collect();
        let all: usize = changed.iter().map(|at| self.costs[*at]).sum();
        let (head, tail) = if all <= most { (most, 0) } else { (most - most / 3, most / 3) };
        self.keep_while(changed.iter().copied(), head);
        self.keep_while(changed.into_iter().rev(), tail);
    }

    fn keep_while(&mut self, lines: impl Iterator<Item = usize>, mut most: usize) {
        for at in lines {
            let Some(left) = most.checked_sub(self.costs[at]) else { break };
            most = left;
            self.keep[at] = true;
        }
    }

    /// Leaves out even the hunk headers of a file that nobody reads.
    fn drop_hunks(&mut self, file: &File) {
        for hunk in &file.hunks {
            self.keep[hunk.start] = false;
        }
    }

    /// Whether the query names the file: its path or its last part.
    fn is_named(&self, file: &File, query: &Query) -> bool {
        self.patch.paths(file).any(|path| {
            path.split([' ', '\t']).any(|path| {
                let path = path.trim_matches('"').to_lowercase();
                let name = path.rsplit('/').next().unwrap_or_default();
                name.len() > 2
                    && (query.contains(name) || query.contains(path.trim_start_matches(['a', 'b', '/'])))
            })
        })
    }

    /// Whether a tool wrote the file: by its name, or by lines too long for people.
    fn is_generated(&self, file: &File) -> bool {
        const NAMES: [&str; 24] = [
            "package-lock.json",
            "npm-shrinkwrap.json",
            "yarn.lock",
            "pnpm-lock.yaml",
            "bun.lock",
            "bun.lockb",
            "cargo.lock",
            "go.sum",
            "poetry.lock",
            "uv.lock",
            "pdm.lock",
            "pipfile.lock",
            "gemfile.lock",
            "composer.lock",
            "flake.lock",
            "packages.lock.json",
            "podfile.lock",
            "mix.lock",
            "pubspec.lock",
            "gradle.lockfile",
            "package.resolved",
            "conda-lock.yml",
            "deno.lock",
            "requirements.lock",
        ];
        const ENDS: [&str; 7] =
            [".min.js", ".min.css", ".map", ".snap", ".pb.go", "_pb2.py", ".generated.ts"];
        let by_name = self.patch.paths(file).any(|path| {
            let path = path.trim_end_matches(['\t', '"']).to_lowercase();
            let name = path.rsplit('/').next().unwrap_or_default();
            NAMES.contains(&name)
                || ENDS.iter().any(|end| name.ends_with(end))
                || path.contains("/__snapshots__/")
        });
        let changed = file.lines.clone().filter(|at| is_change(self.patch.lines()[*at].kind));
        let (count, bytes) = changed
            .fold((0, 0), |(count, bytes), at| (count + 1, bytes + self.patch.lines()[at].range.len()));
        by_name || (count > 0 && bytes / count > 500)
    }

    fn choice(mut self, worth: usize) -> Choice {
        let (gaps, hidden) = gaps(&mut self.keep, &self.costs, GAP);
        let gaps = gaps.into_iter().map(|gap| (gap.clone(), self.note(gap))).collect();
        let cuts = self.cuts();
        let cut: usize = cuts.iter().map(|cut| weigh(&self.patch.source()[cut.clone()])).sum();
        if hidden + cut < worth.max(self.total / 8) {
            return Choice::default();
        }
        Choice { gaps, cuts }
    }

    /// How many changed lines `gap` hides.
    fn note(&self, gap: Range<usize>) -> String {
        match self.patch.changes(gap) {
            (0, 0) => String::new(),
            (added, 0) => format!("+{added}"),
            (0, removed) => format!("-{removed}"),
            (added, removed) => format!("+{added} -{removed}"),
        }
    }

    fn cuts(&self) -> Vec<Range<usize>> {
        let lines = self.patch.lines().iter().zip(&self.keep);
        let long = lines.filter(|(line, keep)| **keep && line.range.len() > LONG);
        long.map(|(line, _)| {
            let floor = |at: usize| self.patch.source().floor_char_boundary(at);
            floor(line.range.start + ENDS.0)..floor(line.range.end - ENDS.1)
        })
        .collect()
    }
}

/// How much a changed line says: definitions and errors more than text, blank lines nothing.
fn meaning(text: &str) -> f32 {
    const WORDS: [&str; 14] = [
        "error", "panic", "unsafe", "security", "password", "secret", "token", "auth", "raise ", "throw ",
        "assert", "deprecat", "todo", "fixme",
    ];
    const STARTS: [&str; 12] = [
        "def ",
        "class ",
        "fn ",
        "pub ",
        "func ",
        "function ",
        "export ",
        "struct ",
        "public ",
        "impl ",
        "async ",
        "interface ",
    ];
    let body = text.get(1..).unwrap_or_default().trim();
    if body.len() < 3 {
        return 0.0;
    }
    let mut weight = 0.2;
    if STARTS.iter().any(|start| body.starts_with(start)) {
        weight += 1.0;
    }
    if WORDS.iter().any(|word| memchr::memmem::find(body.as_bytes(), word.as_bytes()).is_some()) {
        weight += 0.5;
    }
    weight
}
