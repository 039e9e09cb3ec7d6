//! Block by block, what became of it and why.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use headroom_engine::{BlockReport, Reason};

use super::work::Outcome;
use crate::why;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GREEN: Style = AnsiColor::Green.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default();

/// The digits of a handle that are shown.
const SHOWN: usize = 8;
/// The elisions of a block that are shown.
const LISTED: usize = 6;

/// One line for an input.
pub(crate) fn summary(
    out: &mut impl Write,
    name: &str,
    bytes_in: usize,
    outcome: &Outcome,
) -> io::Result<()> {
    let report = &outcome.report;
    let (before, after) = (report.tokens_in(), report.tokens_out());
    let replaced = report.blocks.iter().filter(|block| block.reason.replaced()).count();
    writeln!(
        out,
        "{BOLD}{name}{BOLD:#} {DIM}{}{DIM:#}: {GREEN}{} tokens saved{GREEN:#} in {replaced} of {} blocks ({}), {bytes_in} → {} bytes",
        outcome.input.name(),
        thousands(before - after),
        report.blocks.len(),
        percent(before, after),
        outcome.body.len(),
    )
}

/// All of it.
pub(crate) fn explain(
    out: &mut impl Write,
    name: &str,
    bytes_in: usize,
    outcome: &Outcome,
) -> io::Result<()> {
    summary(out, name, bytes_in, outcome)?;
    let report = &outcome.report;
    let mut note = |text: &str| writeln!(out, "  {DIM}{text}{DIM:#}");
    if report.failed_open {
        note("a step failed, so the body went out as it came")?;
    }
    if let Some(reason) = report.limited {
        note(&format!("limited: {}", why::block(reason)))?;
    }
    if report.tool_listed {
        note(&format!("the retrieval tool is listed: {} tokens", report.tool_tokens))?;
    }
    if report.alignment.moved > 0 {
        note(&format!("{} dynamic values moved from the system prompt to the end", report.alignment.moved))?;
    }
    if let Some(context) = report.context {
        note(&format!("{} messages of {} tokens left: it would not fit", context.messages, context.tokens))?;
    }
    if !report.blocks.is_empty() {
        let (message, tool, kind, outcome) = ("message", "tool", "kind", "outcome");
        writeln!(out, "  {DIM}{message:>7}  {tool:<20} {kind:<8} {outcome:<8} {:>20}{DIM:#}", "tokens")?;
    }
    report.blocks.iter().try_for_each(|one| block(out, one))
}

fn block(out: &mut impl Write, block: &BlockReport) -> io::Result<()> {
    let (style, outcome) = look(block.reason);
    let tool: String = block.tool.chars().filter(|c| !c.is_control()).take(20).collect();
    let kind = block.kind.unwrap_or("-");
    let tokens = match (block.reason.replaced(), block.tokens_in) {
        (true, before) => format!("{} → {}", thousands(before), thousands(block.tokens_out)),
        (false, 0) => "-".to_owned(),
        (false, before) => thousands(before),
    };
    let message = block.message;
    write!(out, "  {message:>7}  {tool:<20} {kind:<8} {style}{outcome:<8}{style:#} {tokens:>20}")?;
    if block.reason.replaced() {
        write!(out, "  {style}{}{style:#}", percent(block.tokens_in, block.tokens_out))?;
    }
    writeln!(out, "  {DIM}{}{DIM:#}", why::block(block.reason))?;
    if block.reason == Reason::Elided && block.tokens_exact > 0 {
        writeln!(out, "{:19}{DIM}exactly it would be {} tokens{DIM:#}", "", thousands(block.tokens_exact))?;
    }
    for hidden in block.hidden.iter().take(LISTED) {
        let handle: String = hidden.handle.to_string().chars().take(SHOWN).collect();
        let (from, to) = (hidden.range.start, hidden.range.end);
        writeln!(out, "{:19}{YELLOW}hides bytes {from} to {to}{YELLOW:#} {DIM}#{handle}…{DIM:#}", "")?;
    }
    match block.hidden.len().saturating_sub(LISTED) {
        0 => Ok(()),
        more => writeln!(out, "{:19}{DIM}and {more} more places{DIM:#}", ""),
    }
}

fn look(reason: Reason) -> (Style, &'static str) {
    match reason {
        Reason::Elided => (GREEN, "elided"),
        Reason::Exact => (CYAN, "exact"),
        Reason::Undecodable | Reason::Panicked => (RED, "kept"),
        _ => (DIM, "kept"),
    }
}

fn percent(before: usize, after: usize) -> String {
    if before == 0 {
        return "0 %".to_owned();
    }
    format!("{:+.1} %", (after as f64 - before as f64) / before as f64 * 100.0)
}

fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(number), text);
        }
        assert_eq!((percent(0, 0).as_str(), percent(200, 50).as_str()), ("0 %", "-75.0 %"));
    }
}
