//! `train`: makes the weights of the router's classifier.
//!
//! An averaged multiclass perceptron with a margin over the features of
//! [`headroom_engine::route::classify`]: only additions and multiplications in a fixed order, so the
//! same corpus gives the same bytes on every machine.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use headroom_engine::route::classify::{BUCKETS, KINDS, SIZE, best, features, scores_with};

use crate::samples::{self, Sample};

/// `train --corpus DIR --out FILE`
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A folder with typed folders and recorded bodies
    #[arg(long)]
    corpus: PathBuf,
    /// Where the weights go
    #[arg(long)]
    out: PathBuf,
}

const PASSES: usize = 30;
/// How far the mean weight of the right kind should be ahead.
const MARGIN: f64 = 1.0;
/// How much one update moves it.
const RATE: f64 = 0.1;
/// Windows of a long text, so that parts of it are known too.
const WINDOW: usize = 3 << 10;
const WINDOWS: usize = 4;

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<()> {
    let samples = samples::load(&arguments.corpus)?;
    let training: Vec<&Sample> = samples.iter().filter(|sample| !sample.held_out).collect();
    let weights = train(&training);
    fs::write(&arguments.out, &weights[..])?;
    let right = |sample: &&&Sample| best(&scores_with(&weights, &sample.text)).0 == KINDS[sample.kind];
    let share = training.iter().filter(right).count() as f64 / training.len().max(1) as f64;
    writeln!(out, "{} samples, {:.2} % of them right, {SIZE} bytes", training.len(), share * 100.0)
}

/// A text's features and its kind.
struct Point {
    features: Vec<u16>,
    kind: usize,
}

fn train(samples: &[&Sample]) -> Box<[u8; SIZE]> {
    let mut points = Vec::new();
    for sample in samples {
        let texts = std::iter::once(sample.text.as_str()).chain(windows(&sample.text));
        points.extend(texts.map(|text| Point { features: features(text), kind: sample.kind }));
    }
    // A kind with few samples moves the weights as far as one with many.
    let mut counts = [0usize; KINDS.len()];
    points.iter().for_each(|point| counts[point.kind] += 1);
    let rate = |kind: usize| {
        let fair = points.len() as f64 / KINDS.len() as f64;
        RATE * (fair / counts[kind].max(1) as f64).clamp(0.3, 3.0)
    };
    let mut model = Model::new();
    for pass in 0..PASSES {
        let mut order: Vec<usize> = (0..points.len()).collect();
        order.sort_by_key(|at| mixed((pass * points.len() + at) as u64));
        for at in order {
            model.learn(&points[at], rate(points[at].kind));
        }
    }
    model.quantised()
}

fn windows(text: &str) -> impl Iterator<Item = &str> {
    let count = if text.len() > 2 * WINDOW { WINDOWS } else { 0 };
    (0..count).map(move |at| {
        let start = text.floor_char_boundary((text.len() - WINDOW) * at / (WINDOWS - 1));
        &text[start..text.floor_char_boundary(start + WINDOW)]
    })
}

/// SplitMix64, a fixed shuffle.
fn mixed(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Weights, biases last, and what averaging takes off them.
struct Model {
    now: Vec<[f64; KINDS.len()]>,
    late: Vec<[f64; KINDS.len()]>,
    step: f64,
}

impl Model {
    fn new() -> Self {
        let zero = vec![[0.0; KINDS.len()]; BUCKETS + 1];
        Self { now: zero.clone(), late: zero, step: 1.0 }
    }

    fn learn(&mut self, point: &Point, rate: f64) {
        let mut scores = [0.0; KINDS.len()];
        for bucket in &point.features {
            for (score, weight) in scores.iter_mut().zip(&self.now[usize::from(*bucket)]) {
                *score += weight;
            }
        }
        let count = point.features.len().max(1) as f64;
        for (score, bias) in scores.iter_mut().zip(&self.now[BUCKETS]) {
            *score = *score / count + bias;
        }
        let rival = (0..KINDS.len())
            .filter(|kind| *kind != point.kind)
            .reduce(|a, b| if scores[b] > scores[a] { b } else { a })
            .unwrap_or_default();
        if scores[point.kind] < scores[rival] + MARGIN {
            for bucket in &point.features {
                self.move_by(usize::from(*bucket), point.kind, rival, rate);
            }
            self.move_by(BUCKETS, point.kind, rival, rate * 0.1);
        }
        self.step += 1.0;
    }

    fn move_by(&mut self, row: usize, to: usize, from: usize, by: f64) {
        self.now[row][to] += by;
        self.now[row][from] -= by;
        self.late[row][to] += by * self.step;
        self.late[row][from] -= by * self.step;
    }

    /// The averages, scaled so that all but the largest thousandth fit into a byte.
    fn quantised(&self) -> Box<[u8; SIZE]> {
        let average = |row: usize, kind: usize| self.now[row][kind] - self.late[row][kind] / self.step;
        let mut sizes: Vec<f64> =
            (0..BUCKETS).flat_map(|row| (0..KINDS.len()).map(move |kind| average(row, kind).abs())).collect();
        sizes.sort_by(f64::total_cmp);
        let largest = sizes[sizes.len() - 1 - sizes.len() / 1000].max(1e-9);
        let scale = 127.0 / largest;
        let mut bytes = Box::new([0; SIZE]);
        let (biases, weights) = bytes.split_at_mut(4 * KINDS.len());
        for (kind, bias) in biases.chunks_exact_mut(4).enumerate() {
            bias.copy_from_slice(&((average(BUCKETS, kind) * scale * 256.0).round() as i32).to_le_bytes());
        }
        for (row, bytes) in weights.chunks_exact_mut(KINDS.len()).enumerate() {
            for (kind, byte) in bytes.iter_mut().enumerate() {
                *byte = ((average(row, kind) * scale).round().clamp(-127.0, 127.0) as i8).cast_unsigned();
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(text: String, kind: &str) -> Sample {
        let kind = KINDS.iter().position(|of| *of == kind).unwrap();
        let order = *blake3::hash(text.as_bytes()).as_bytes();
        Sample { text, kind, held_out: false, order }
    }

    #[test]
    fn the_same_samples_give_the_same_bytes() {
        let mut samples = Vec::new();
        for n in 0..20 {
            samples.push(sample(format!("the {n} people walked home in the evening.\n").repeat(9), "prose"));
            samples.push(sample(format!("fn f{n}(x: u32) {{\n    x + {n};\n}}\n").repeat(9), "code"));
        }
        let samples: Vec<&Sample> = samples.iter().collect();
        let weights = train(&samples);
        assert_eq!(weights, train(&samples));
        for sample in samples {
            assert_eq!(best(&scores_with(&weights, &sample.text)).0, KINDS[sample.kind]);
        }
    }
}
