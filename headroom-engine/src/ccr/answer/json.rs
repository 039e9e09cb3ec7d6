//! Queries that JSON answers better than words: odd values, and paths.

use std::{collections::HashMap, ops::Range};

use memchr::memmem;

use super::units::{Piece, children, floor, value_of};

/// Prefers items in which the value of a field that the query names is rare, or far out.
pub(super) fn odd_values(lower: &str, pieces: &[Piece], words: &[String], scores: &mut [f32]) {
    for word in words {
        let mut found: Vec<(usize, &str)> = Vec::new();
        let mut piece = 0;
        let key = format!("\"{word}\"");
        for at in memmem::find_iter(lower.as_bytes(), key.as_bytes()) {
            while piece < pieces.len() && pieces[piece].span.end <= at {
                piece += 1;
            }
            let rest = lower[at + key.len()..].trim_start();
            if let Some(rest) = rest.strip_prefix(':').filter(|_| piece < pieces.len()) {
                // A longer value is no category, and a bound keeps the whole linear.
                let rest = &rest[..floor(rest, 200)];
                let end = rest.find([',', '}', ']', '\n']).unwrap_or(rest.len());
                found.push((piece, rest[..end].trim()));
            }
        }
        if found.len() < 8 {
            continue;
        }
        let number = |value: &str| value.parse::<f64>().ok().filter(|number| number.is_finite());
        let mut numbers: Vec<f64> = found.iter().filter_map(|(_, value)| number(value)).collect();
        if numbers.len() * 2 > found.len() {
            numbers.sort_by(f64::total_cmp);
            let median = numbers[numbers.len() / 2];
            let most = (numbers[0] - median).abs().max((numbers[numbers.len() - 1] - median).abs());
            if most <= 0.0 || !most.is_finite() {
                continue;
            }
            for (piece, value) in &found {
                if let Some(number) = number(value) {
                    scores[*piece] += (20.0 * (number - median).abs() / most) as f32;
                }
            }
        } else {
            let mut counts: HashMap<&str, u32> = HashMap::new();
            for (_, value) in &found {
                *counts.entry(value).or_insert(0) += 1;
            }
            for (piece, value) in &found {
                let count = counts.get(value).copied().unwrap_or(1) as f32;
                scores[*piece] += 10.0 * (1.0 - count / found.len() as f32).powi(8) / count.sqrt();
            }
        }
    }
}

/// Prefers what a path like `$.items[3].name` leads to, its first and last children most.
pub(super) fn path_target(text: &str, pieces: &[Piece], path: &str, scores: &mut [f32]) {
    let mut span = 0..text.len();
    let steps = path.trim_start_matches('$').trim_end_matches(['?', ',', '.', ';', ':']);
    for step in steps.split(['.', '[', ']']).filter(|step| !step.is_empty()).take(32) {
        let Some(inner) = children(text, value_of(text, span.clone())) else { return };
        let found = match step.parse::<usize>() {
            Ok(at) => inner.get(at).cloned(),
            Err(_) => inner.into_iter().find(|child| {
                let child = &text[child.clone()];
                child
                    .strip_prefix('"')
                    .and_then(|rest| rest.strip_prefix(step))
                    .is_some_and(|rest| rest.starts_with('"'))
            }),
        };
        let Some(found) = found else { return };
        span = found;
    }
    let inner = children(text, value_of(text, span.clone())).unwrap_or_default();
    let edges = inner.iter().take(2).chain(inner.iter().rev().take(2));
    let mut prefer = |span: &Range<usize>, weight: f32| {
        let from = pieces.partition_point(|piece| piece.span.end <= span.start);
        for (score, piece) in scores.iter_mut().zip(pieces).skip(from) {
            if piece.span.start >= span.end {
                break;
            }
            *score += weight;
        }
    };
    prefer(&span, 3.0);
    for (at, edge) in edges.enumerate() {
        prefer(edge, if at % 2 == 0 { 40.0 } else { 20.0 });
    }
}

#[cfg(test)]
mod tests {
    use super::super::{search::scores, units::Units};

    fn best(text: &str, query: &str) -> String {
        let pieces = Units::items(text).unwrap();
        let pieces = pieces.pieces(0..pieces.len(), 100);
        let scores = scores(text, &pieces, query);
        let best = (0..pieces.len()).rev().max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap();
        text[pieces[best].span.clone()].to_owned()
    }

    #[test]
    fn a_number_far_out_and_a_rare_word() {
        let text = |field: &str, odd: &str, usual: &str| {
            let row = |value: &str| format!("{{\"id\": 1, \"{field}\": {value}}}");
            format!(
                "[{}, {}, {}]",
                vec![row(usual); 30].join(", "),
                row(odd),
                vec![row(usual); 30].join(", ")
            )
        };
        assert!(best(&text("rate", "27.5", "3"), "which entry has an odd rate?").contains("27.5"));
        assert!(best(&text("state", "\"down\"", "\"up\""), "odd one out by state").contains("down"));
    }

    #[test]
    fn a_path_leads_to_its_target() {
        let filler = "\"x\": \"".to_owned() + &"y ".repeat(500) + "\"";
        let text =
            format!("{{{filler}, \"a\": [{{{filler}}}, {{\"b\": [\"target\", {}1]}}]}}", "2, ".repeat(200));
        assert!(best(&text, "first of $.a[1].b?").contains("target"));
    }
}
