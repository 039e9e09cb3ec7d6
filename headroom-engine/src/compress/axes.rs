//! Which rows of a list or table to leave out: those that say nothing new, in runs that are worth
//! a marker.
//!
//! Kept are, along five axes: the ends, errors, what stands out (numbers, categories seen once),
//! what answers the query, and where a level changes.

use std::{collections::HashMap, ops::Range};

use crate::rank::{Query, change_points, outliers};

/// Lists shorter than this are kept.
pub(super) const MIN_ITEMS: usize = 12;
/// Lists shorter than this need fewer usual items to show what is usual.
const SHORT: usize = 400;
/// The fewest tokens worth a marker: about three times what it costs.
const MIN_RUN: usize = 40;

/// Rows to choose from.
pub(super) trait Rows {
    fn len(&self) -> usize;

    /// About how many tokens a row takes.
    fn weight(&self, at: usize) -> usize;

    /// Whether a row does not fit the columns.
    fn is_odd(&self, at: usize) -> bool;

    /// Whether a row holds an error, or is a marker already.
    fn must_stay(&self, at: usize) -> bool;

    fn columns(&self) -> usize;

    /// `None` if the row lacks the column.
    fn cell(&self, column: usize, at: usize) -> Option<Cell<'_>>;

    /// Writes what the query may ask for.
    fn text(&self, at: usize, out: &mut String);
}

/// A cell, as far as the axes look into it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell<'a> {
    Number(&'a str),
    Text(&'a str),
    Nested,
}

/// The runs of rows to leave out; none where all of them hide fewer than `worth` tokens.
pub(super) fn choose(rows: &impl Rows, query: &Query, worth: usize) -> Vec<Range<usize>> {
    let count = rows.len();
    if count < MIN_ITEMS {
        return Vec::new();
    }
    let weights: Vec<usize> = (0..count).map(|at| rows.weight(at)).collect();
    let total: usize = weights.iter().sum();
    if total < worth {
        return Vec::new();
    }
    let mut keep = vec![false; count];
    // The ends, and an odd row among regular ones.
    let budget = budget(count, total / count);
    let head = (budget / 6).max(2);
    keep[..head].fill(true);
    keep[count - (budget / 12).max(2)..].fill(true);
    let odd = (0..count).filter(|at| rows.is_odd(*at)).count();
    for (at, keep) in keep.iter_mut().enumerate() {
        *keep |= (rows.is_odd(at) && odd * 10 <= count) || rows.must_stay(at);
    }
    let mut interesting = Vec::new();
    for column in 0..rows.columns() {
        stand_out(rows, column, &mut keep, &mut interesting);
    }
    relevant(rows, query, &mut keep, &mut interesting, budget);
    let mut left = budget.saturating_sub(keep.iter().filter(|keep| **keep).count());
    for at in interesting {
        if left > 0 && !keep[at] {
            keep[at] = true;
            left -= 1;
        }
    }
    // A short list is soon understood.
    spread(&mut keep, if count < SHORT { left.div_ceil(3) } else { left });
    runs(&keep, &weights, worth)
}

/// Outliers, change points and rare categories of a column.
fn stand_out(rows: &impl Rows, column: usize, keep: &mut [bool], interesting: &mut Vec<usize>) {
    let present: Vec<(usize, Cell<'_>)> =
        (0..keep.len()).filter_map(|at| Some((at, rows.cell(column, at)?))).collect();
    if present.len() * 20 <= keep.len() {
        // A key that few rows have.
        present.into_iter().for_each(|(at, _)| keep[at] = true);
        return;
    }
    let numbers: Vec<(usize, f64)> = present
        .iter()
        .filter_map(|(at, cell)| match cell {
            Cell::Number(text) => Some((*at, text.parse().ok().filter(|n: &f64| n.is_finite())?)),
            _ => None,
        })
        .collect();
    if numbers.len() * 2 > present.len() {
        let values: Vec<f64> = numbers.iter().map(|(_, value)| *value).collect();
        let out = outliers(&values);
        numbers.iter().zip(&out).filter(|(_, out)| **out).for_each(|((at, _), _)| keep[*at] = true);
        if !values.is_sorted_by(|a, b| a < b) {
            for change in change_points(&values, 4) {
                interesting.extend([numbers[change - 1].0, numbers[change].0]);
            }
        }
    }
    rare(&present, keep);
}

/// Keeps the rows whose value occurs once in a column of few values.
fn rare(present: &[(usize, Cell<'_>)], keep: &mut [bool]) {
    let limit = (1.5 * (present.len() as f64).sqrt()) as usize;
    let mut seen: HashMap<&str, (usize, usize)> = HashMap::new();
    for (at, cell) in present {
        let (Cell::Number(text) | Cell::Text(text)) = cell else { return };
        seen.entry(text).or_insert((0, *at)).0 += 1;
        if seen.len() > limit {
            return;
        }
    }
    for (count, at) in seen.into_values() {
        if count == 1 {
            keep[at] = true;
        }
    }
}

/// Keeps the rows that alone hold a term of the query; the next best are interesting.
fn relevant(rows: &impl Rows, query: &Query, keep: &mut [bool], interesting: &mut Vec<usize>, budget: usize) {
    if query.is_empty() {
        return;
    }
    let mut text = String::new();
    let mut ends = Vec::with_capacity(keep.len());
    for at in 0..keep.len() {
        rows.text(at, &mut text);
        ends.push(text.len());
    }
    let mut start = 0;
    let documents: Vec<&str> =
        ends.iter().map(|end| &text[std::mem::replace(&mut start, *end)..*end]).collect();
    let relevance = query.rank(&documents);
    let mut scored: Vec<usize> = (0..keep.len()).filter(|at| relevance.score(*at) > 0.0).collect();
    for &at in &scored {
        keep[at] |= relevance.rarest(at).is_some_and(|count| count <= 2);
    }
    scored.sort_by(|a, b| relevance.score(*b).total_cmp(&relevance.score(*a)).then(a.cmp(b)));
    scored.truncate(budget / 3);
    interesting.splice(0..0, scored);
}

/// How many of `count` items of about `weight` tokens to keep, at most, if nothing speaks for more:
/// 50 of 1,000, 12 of 100, fewer where they are large.
fn budget(count: usize, weight: usize) -> usize {
    // 2/3 n^5/8, by square roots alone, which are the same everywhere.
    let root = (count as f64).sqrt();
    ((root * root.sqrt().sqrt() / 1.5).round() as usize).min(1500 / weight.max(1)).max(6)
}

/// Keeps `left` items more, in a few blocks all over the list: what is usual in it.
fn spread(keep: &mut [bool], left: usize) {
    let blocks = left.div_ceil(8);
    for block in 0..blocks {
        let start = (block + 1) * keep.len() / (blocks + 1);
        let end = (start + left / blocks).min(keep.len());
        keep[start..end].fill(true);
    }
}

/// The runs to leave out: each worth its marker, together worth a retrieval.
fn runs(keep: &[bool], weights: &[usize], worth: usize) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let (mut at, mut hidden) = (0, 0);
    while at < keep.len() {
        let start = at;
        while at < keep.len() && !keep[at] {
            at += 1;
        }
        let weight: usize = weights[start..at].iter().sum();
        if weight >= MIN_RUN {
            hidden += weight;
            runs.push(start..at);
        }
        at = at.max(start + 1);
    }
    if hidden < worth {
        runs.clear();
    }
    runs
}
