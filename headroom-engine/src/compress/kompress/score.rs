//! What a unit of a text is worth to its reader.

use std::ops::Range;

use super::{
    super::hash::{ByHash, mix},
    text::{Kind, Text, Unit},
    words::{Sense, words},
};
use crate::rank::{Bm25, Query};

/// A passage is at least so many bytes, unless a section ends.
const PASSAGE: usize = 1500;
/// Words are told apart by so many bits of their hash.
const BITS: u32 = 14;

/// The score of a unit, and what must not be lost with it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Score {
    pub(super) value: f32,
    /// It forbids or excepts something.
    pub(super) negates: bool,
    /// It names an error.
    pub(super) errs: bool,
    /// Most of it stands above.
    pub(super) again: bool,
}

/// What the words of a unit are.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    words: u32,
    negations: u32,
    duties: u32,
    numbers: u32,
    names: u32,
}

/// Scores every unit.
///
/// Five things count: relevance (BM25 of the unit and of its passage against the causal query, over
/// the text's own document frequencies: Robertson and Zaragoza, 2009), position (what opens a
/// section or a paragraph: Edmundson, 1969), centrality (the cosine of its TF-IDF vector with its
/// passage's: Radev et al., "Centroid-based summarization", 2004), specificity (numbers, names,
/// duties, negations), and redundancy (the share of its four-word shingles that stand above).
pub(super) fn scores(text: &Text<'_>, units: &[Unit], query: &Query) -> Vec<Score> {
    let source = text.source();
    let of = |unit: &Unit| &source[unit.start..unit.end];
    let passages = passages(units);
    let bag = Bag::new(units, of);
    let central = bag.centrality(&passages);

    let asked = Bm25::new(query, units.iter().map(of));
    let around: Vec<f32> =
        passages.iter().map(|passage| best_three(&asked.scores()[passage.clone()])).collect();
    let most = |scores: &[f32]| scores.iter().copied().fold(1e-6, f32::max);
    let (most_asked, most_around) = (most(asked.scores()), most(&around));

    let mut scores = Vec::with_capacity(units.len());
    let (mut section, mut within) = (u32::MAX, 0u32);
    for (number, passage) in passages.iter().enumerate() {
        let around = around[number] / most_around;
        for at in passage.clone() {
            let unit = &units[at];
            if unit.section != section {
                (section, within) = (unit.section, 0);
            }
            let counts = bag.counts[at];
            let lead = if within == 0 { 1.0 } else { 0.4 / (1.0 + within as f32) }
                + if unit.opens { 0.35 } else { 0.0 };
            within += u32::from(unit.kind != Kind::Heading);
            let length = (counts.words as f32).max(4.0);
            let specific = (counts.numbers as f32 + counts.names as f32 * 0.5).min(6.0) / length.sqrt()
                + (counts.duties as f32 + counts.negations as f32).min(2.0) * 0.5;
            let asked = asked.score(at) / most_asked;
            let value =
                2.5 * asked + 2.5 * around * around + 0.8 * lead + 0.8 * central[at] + 0.35 * specific;
            let thin = counts.words < 3 && unit.kind != Kind::Heading;
            scores.push(Score {
                value: (if thin { value * 0.5 } else { value }) - 3.0 * bag.again[at],
                negates: counts.negations > 0 && counts.duties > 0,
                errs: errs(of(unit)),
                again: bag.again[at] > 0.9 && counts.words > 4,
            });
        }
    }
    scores
}

/// Runs of units of about one size, none across sections.
fn passages(units: &[Unit]) -> Vec<Range<usize>> {
    let mut passages: Vec<Range<usize>> = Vec::new();
    for (at, unit) in units.iter().enumerate() {
        match passages.last_mut() {
            Some(last)
                if units[last.start].section == unit.section
                    && !(unit.opens && unit.start - units[last.start].start > PASSAGE) =>
            {
                last.end = at + 1;
            }
            _ => passages.push(at..at + 1),
        }
    }
    passages
}

/// The sum of the three best scores: what a passage is worth to the query.
fn best_three(scores: &[f32]) -> f32 {
    let mut best = [0f32; 3];
    for score in scores {
        let mut score = *score;
        for place in &mut best {
            if score > *place {
                std::mem::swap(&mut score, place);
            }
        }
    }
    best.iter().sum()
}

/// Whether `text` holds the name of an error, as `ValueError: ...` is.
fn errs(text: &str) -> bool {
    let bytes = text.as_bytes();
    ["Error: ", "Exception: ", "panicked at", "error: ", "Error:\n"]
        .iter()
        .any(|word| memchr::memmem::find(bytes, word.as_bytes()).is_some())
}

/// The words of all units.
struct Bag {
    /// Of each word, the bits that tell it apart.
    terms: Vec<u16>,
    /// Where each unit's words start.
    starts: Vec<usize>,
    idf: Vec<f32>,
    counts: Vec<Counts>,
    /// The share of each unit that stands above.
    again: Vec<f32>,
}

impl Bag {
    fn new<'a>(units: &'a [Unit], of: impl Fn(&'a Unit) -> &'a str) -> Self {
        let mut bag = Self {
            terms: Vec::new(),
            starts: Vec::with_capacity(units.len() + 1),
            idf: Vec::new(),
            counts: Vec::with_capacity(units.len()),
            again: Vec::with_capacity(units.len()),
        };
        let mut frequency = vec![0u32; 1 << BITS];
        let mut seen = vec![u32::MAX; 1 << BITS];
        let mut shingles: ByHash<()> = ByHash::default();
        let mut fresh = Vec::new();
        for (at, unit) in units.iter().enumerate() {
            bag.starts.push(bag.terms.len());
            let mut counts = Counts::default();
            let mut last = [0u64; 3];
            let (mut all, mut known) = (0u32, 0u32);
            fresh.clear();
            words(of(unit), |hash, sense| {
                counts.words += 1;
                match sense {
                    Sense::Stop | Sense::Plain => {}
                    Sense::Negation => counts.negations += 1,
                    Sense::Duty => counts.duties += 1,
                    Sense::Number => counts.numbers += 1,
                    Sense::Name => counts.names += 1,
                }
                let shingle = last.iter().fold(hash, |all, word| mix(all, *word));
                last = [hash, last[0], last[1]];
                // A quarter of them tells as much, where there are many.
                let sampled = unit.cost < 24 || (shingle >> 20).is_multiple_of(4);
                if sampled && (counts.words >= 4 || counts.words > 1 && unit.cost < 12) {
                    all += 1;
                    if shingles.contains_key(&shingle) {
                        known += 1;
                    } else {
                        fresh.push(shingle);
                    }
                }
                if sense != Sense::Stop {
                    let term = (hash >> (64 - BITS)) as u16;
                    if std::mem::replace(&mut seen[usize::from(term)], at as u32) != at as u32 {
                        frequency[usize::from(term)] += 1;
                    }
                    bag.terms.push(term);
                }
            });
            shingles.extend(fresh.drain(..).map(|shingle| (shingle, ())));
            bag.again.push(if all == 0 { 0.0 } else { known as f32 / all as f32 });
            bag.counts.push(counts);
        }
        bag.starts.push(bag.terms.len());
        let total = units.len() as f32;
        bag.idf = frequency.iter().map(|count| (1.0 + total / (1.0 + *count as f32)).ln()).collect();
        bag
    }

    fn of(&self, unit: usize) -> &[u16] {
        &self.terms[self.starts[unit]..self.starts[unit + 1]]
    }

    /// How close each unit is to the centroid of its passage, from 0 to 1.
    fn centrality(&self, passages: &[Range<usize>]) -> Vec<f32> {
        let mut centroid = vec![0f32; 1 << BITS];
        let mut central = Vec::with_capacity(self.counts.len());
        for passage in passages {
            let terms = &self.terms[self.starts[passage.start]..self.starts[passage.end]];
            for term in terms {
                centroid[usize::from(*term)] += self.idf[usize::from(*term)];
            }
            // Over all occurrences this sums the squares of the centroid.
            let norm = terms.iter().map(|term| self.idf[usize::from(*term)] * centroid[usize::from(*term)]);
            let norm = norm.sum::<f32>().sqrt().max(1e-6);
            for unit in passage.clone() {
                let weights = self.of(unit).iter().map(|term| self.idf[usize::from(*term)]);
                let own = weights.map(|weight| weight * weight).sum::<f32>().sqrt().max(1e-6);
                let dot: f32 = self
                    .of(unit)
                    .iter()
                    .map(|term| self.idf[usize::from(*term)] * centroid[usize::from(*term)])
                    .sum();
                central.push((dot / (own * norm)).min(1.0));
            }
            for term in terms {
                centroid[usize::from(*term)] = 0.0;
            }
        }
        central
    }
}
