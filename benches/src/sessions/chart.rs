//! Pictures of sessions, as SVG readable on light and dark pages: what they cost, turn by turn, and
//! what a lower cost hides.

use std::{fmt::Write, path::PathBuf};

use super::totals::Totals;

/// The share of the tokens of such sessions' last requests that the package headroom-ai saves, as
/// `peer` measures it (`PEER.md`), taken for its share of the cost.
const PEER: f64 = 0.022;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 360.0;
/// The corners of the plot.
const LEFT: f64 = 64.0;
const RIGHT: f64 = WIDTH - 24.0;
const TOP: f64 = 76.0;
const BOTTOM: f64 = HEIGHT - 44.0;

/// A line of a plot.
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) color: &'a str,
    pub(super) points: Vec<(f64, f64)>,
    /// Its points are marked.
    pub(super) dotted: bool,
}

/// The cost of all sessions up to each turn: direct, with the peer, and ours.
pub(super) fn turns(sessions: &[(PathBuf, Totals)]) -> String {
    let most = sessions.iter().map(|(_, totals)| totals.by_turn.len()).max().unwrap_or(0);
    let (mut direct, mut ours) = (vec![(0.0, 0.0)], vec![(0.0, 0.0)]);
    let mut sums = (0.0, 0.0);
    for turn in 0..most {
        let here = sessions.iter().filter_map(|(_, totals)| totals.by_turn.get(turn));
        sums = here.fold(sums, |sums, (before, after)| (sums.0 + before / 1e6, sums.1 + after / 1e6));
        direct.push(((turn + 1) as f64, sums.0));
        ours.push(((turn + 1) as f64, sums.1));
    }
    let peer = direct.iter().map(|(turn, cost)| (*turn, cost * (1.0 - PEER))).collect();
    let change = |after: f64| format!("{:+.1} %", (after / sums.0.max(1e-9) - 1.0) * 100.0);
    let names =
        [format!("Headroom for Tower, {}", change(sums.1)), format!("headroom-ai, {:+.1} %", -PEER * 100.0)];
    plot(
        &format!("What {} recorded sessions cost up to each turn", sessions.len()),
        ["turn", "million tokens at the base price, retrievals included"],
        [most as f64, sums.0.max(sums.1)],
        [0.0, 0.0],
        &[
            Line { name: "direct", color: "#8c959f", points: direct, dotted: false },
            Line { name: &names[1], color: "#d1862f", points: peer, dotted: false },
            Line { name: &names[0], color: "#2458a6", points: ours, dotted: false },
        ],
    )
}

/// Lines over two axes from `least` to `most`, with what the axes count.
pub(super) fn plot(
    title: &str,
    axes: [&str; 2],
    most: [f64; 2],
    least: [f64; 2],
    lines: &[Line<'_>],
) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"8\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"26\" font-size=\"14\" font-weight=\"600\" fill=\"#1b1f24\">{title}</text>\n"
    );
    let across = |value: f64| LEFT + (RIGHT - LEFT) * (value - least[0]) / (most[0] - least[0]).max(1e-9);
    let up = |value: f64| BOTTOM - (BOTTOM - TOP) * (value - least[1]) / (most[1] - least[1]).max(1e-9);
    let steps = |least: f64, most: f64| {
        let step = step((most - least) / 5.0);
        let first = (least / step).ceil() as i64;
        (0..32).map(move |at| (first + at) as f64 * step).take_while(move |value| *value <= most + 1e-9)
    };
    for value in steps(least[1], most[1]) {
        let y = up(value);
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{RIGHT}\" y2=\"{y:.1}\" stroke=\"#d8dee4\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#57606a\">{}</text>",
            LEFT - 8.0,
            y + 4.0,
            number(value)
        );
    }
    for value in steps(least[0], most[0]) {
        let (x, y) = (across(value), BOTTOM + 16.0);
        let _ = writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\" fill=\"#57606a\">{}</text>",
            number(value)
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{RIGHT}\" y=\"{}\" text-anchor=\"end\" fill=\"#57606a\">{}</text>\
         <text x=\"16\" y=\"{}\" fill=\"#57606a\">{}</text>",
        BOTTOM + 34.0,
        axes[0],
        TOP - 14.0,
        axes[1],
    );
    let mut label = 16.0;
    for Line { name, color, points, dotted } in lines {
        let path: Vec<String> =
            points.iter().map(|(x, y)| format!("{:.1},{:.1}", across(*x), up(*y))).collect();
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>",
            path.join(" ")
        );
        for (x, y) in points.iter().filter(|_| *dotted) {
            let (x, y) = (across(*x), up(*y));
            let _ = writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{color}\"/>");
        }
        let _ = writeln!(
            out,
            "<rect x=\"{label}\" y=\"38\" width=\"10\" height=\"10\" fill=\"{color}\"/>\
             <text x=\"{}\" y=\"47\" fill=\"#1b1f24\">{name}</text>",
            label + 15.0
        );
        label += 34.0 + 6.6 * name.chars().count() as f64;
    }
    out.push_str("</svg>\n");
    out
}

/// A round number of at least `size`.
fn step(size: f64) -> f64 {
    let power = 10f64.powf(size.max(1e-9).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|by| by * power).find(|step| *step >= size).unwrap_or(power)
}

fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_add_up_over_turns_and_sessions() {
        let session =
            |turns: &[(f64, f64)]| (PathBuf::new(), Totals { by_turn: turns.to_vec(), ..Totals::default() });
        let picture = turns(&[session(&[(1e6, 1e6), (1e6, 5e5)]), session(&[(2e6, 2e6)])]);
        let line = |costs: [f64; 2]| {
            let point = |turn: f64, cost: f64| {
                format!(
                    "{:.1},{:.1}",
                    LEFT + (RIGHT - LEFT) * turn / 2.0,
                    BOTTOM - (BOTTOM - TOP) * cost / 4.0
                )
            };
            [point(0.0, 0.0), point(1.0, costs[0]), point(2.0, costs[1])].join(" ")
        };
        assert!(picture.contains(&line([3.0, 4.0])) && picture.contains(&line([3.0, 3.5])), "{picture}");
        assert!(picture.contains("Tower, -12.5 %"));
    }

    #[test]
    fn steps_are_round() {
        assert_eq!([0.9, 1.0, 3.0, 43.0, 0.004].map(step), [1.0, 1.0, 5.0, 50.0, 0.005]);
        assert_eq!([1.0, 0.25, 50.0, 0.0].map(number), ["1", "0.25", "50", "0"]);
    }
}
