//! The picture of `quality`: what is left of each kind of content, as SVG.

use std::fmt::Write;

/// One kind of content: its name, and the shares of its tokens that exact rewriting and the whole
/// pipeline leave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bar<'a> {
    pub(crate) name: &'a str,
    pub(crate) exact: f64,
    pub(crate) retrievable: f64,
}

const WIDTH: f64 = 720.0;
const LEFT: f64 = 90.0;
const SCALE: f64 = WIDTH - LEFT - 70.0;
const ROW: f64 = 44.0;
const TOP: f64 = 56.0;

/// Bars from 0 to 100 %, readable on light and dark pages.
pub(crate) fn svg(bars: &[Bar<'_>]) -> String {
    let height = TOP + ROW * bars.len() as f64 + 12.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Tokens left of tool results, by kind\" font-family=\"system-ui, sans-serif\" font-size=\"14\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" rx=\"8\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"26\" font-weight=\"600\" fill=\"#1b1f24\">Tokens left of tool results (o200k, nothing lost)</text>\n\
         <rect x=\"16\" y=\"36\" width=\"10\" height=\"10\" fill=\"#9db4d6\"/><text x=\"31\" y=\"45\" font-size=\"12\" fill=\"#57606a\">exact rewriting only</text>\n\
         <rect x=\"166\" y=\"36\" width=\"10\" height=\"10\" fill=\"#2458a6\"/><text x=\"181\" y=\"45\" font-size=\"12\" fill=\"#57606a\">with elision, every hidden byte retrievable</text>\n"
    );
    for (at, bar) in bars.iter().enumerate() {
        let y = TOP + ROW * at as f64;
        let mut row = |offset: f64, share: f64, fill: &str| {
            let (top, width) = (y + offset, SCALE * share.clamp(0.0, 1.0));
            let label = format!("{:.0} %", share * 100.0);
            let _ = writeln!(
                out,
                "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{width:.1}\" height=\"15\" rx=\"2\" fill=\"{fill}\"/>\
                 <text x=\"{:.1}\" y=\"{}\" font-size=\"12\" fill=\"#1b1f24\">{label}</text>",
                LEFT + width + 6.0,
                top + 12.0,
            );
        };
        row(4.0, bar.exact, "#9db4d6");
        row(21.0, bar.retrievable, "#2458a6");
        let _ = writeln!(out, "<text x=\"16\" y=\"{}\" fill=\"#1b1f24\">{}</text>", y + 25.0, bar.name);
    }
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        let picture = svg(&[Bar { name: "logs", exact: 0.5, retrievable: 0.25 }]);
        assert!(picture.contains("width=\"280.0\" height=\"15\"") && picture.contains("width=\"140.0\""));
        assert!(picture.contains("50 %") && picture.contains("25 %") && picture.ends_with("</svg>\n"));
    }
}
