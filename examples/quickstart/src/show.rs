//! What is printed: colours and a progress line on a terminal, plain text elsewhere.

use std::io::{self, IsTerminal as _, Write as _};

use anstyle::{AnsiColor, Style};
use headroom_engine::intercept::RetrievalReport;
use headroom_tests::{
    client::Said,
    fixtures::Conversation,
    provider::{Asker, Provider},
};

use crate::tally::{Row, Tally};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GREEN: Style = AnsiColor::Green.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();

/// Standard output.
#[derive(Debug)]
pub(crate) struct Screen {
    /// Every answer is printed, not just the first conversation's.
    all: bool,
    /// Nothing is printed at all.
    dark: bool,
    /// Answers are printed now.
    loud: bool,
    terminal: bool,
    headings: usize,
    /// What kind of text the line holds so far.
    thinking: Option<bool>,
}

impl Screen {
    pub(crate) fn new(all: bool) -> Self {
        Self {
            all,
            dark: false,
            loud: false,
            terminal: io::stdout().is_terminal(),
            headings: 0,
            thinking: None,
        }
    }

    /// One that prints nothing.
    pub(crate) fn dark() -> Self {
        Self { all: false, dark: true, loud: false, terminal: false, headings: 0, thinking: None }
    }

    pub(crate) fn heading(&mut self, conversation: &Conversation) {
        if self.dark {
            return;
        }
        self.loud = self.all || self.headings == 0;
        self.headings += 1;
        if self.loud {
            let _ = writeln!(anstream::stdout(), "{BOLD}{}{BOLD:#}\n", conversation.name());
        } else if !self.terminal {
            let _ = writeln!(anstream::stdout(), "{}", conversation.name());
        } else {
            let _ = write!(anstream::stdout(), "\r\x1b[K{BOLD}{}{BOLD:#}", conversation.name());
        }
    }

    /// What the client says in this turn, or how far the conversation is.
    pub(crate) fn turn(&mut self, conversation: &Conversation, turn: usize) -> io::Result<()> {
        let mut out = anstream::stdout();
        let turns = conversation.turns();
        if self.loud {
            let (words, results) = (turns[turn].words(), turns[turn].result_bytes());
            if !words.is_empty() {
                let first = words.lines().next().unwrap_or_default();
                writeln!(out, "{CYAN}> {}{CYAN:#}\n", first.chars().take(100).collect::<String>())?;
            }
            if results > 0 {
                writeln!(out, "{CYAN}< {results} bytes{CYAN:#}\n")?;
            }
        } else if self.terminal {
            let (filled, of) = (24 * (turn + 1) / turns.len(), turns.len());
            let (done, rest) = ("━".repeat(filled), "━".repeat(24 - filled));
            write!(out, "\r\x1b[30G{GREEN}{done}{GREEN:#}{DIM}{rest}{DIM:#} {}/{of}\x1b[K", turn + 1)?;
            out.flush()?;
        }
        Ok(())
    }

    pub(crate) fn say(&mut self, said: &Said) -> io::Result<()> {
        if !self.loud {
            return Ok(());
        }
        let mut out = anstream::stdout();
        let (thinking, style, text) = match said {
            Said::Text(text) => (false, Style::new(), text.clone()),
            Said::Thinking(text) => (true, DIM, text.clone()),
            Said::Call(name) => (false, CYAN, format!("\n→ {name}")),
        };
        if self.thinking.is_some_and(|before| before != thinking) {
            writeln!(out)?;
        }
        self.thinking = Some(thinking);
        write!(out, "{style}{text}{style:#}")?;
        out.flush()
    }

    pub(crate) fn end_of_answer(&mut self) -> io::Result<()> {
        if self.thinking.take().is_some() {
            writeln!(anstream::stdout(), "\n")?;
        }
        Ok(())
    }

    pub(crate) fn retrieved(&self, retrieval: &RetrievalReport) -> io::Result<()> {
        if !self.loud {
            return Ok(());
        }
        let (calls, tokens) = (retrieval.calls, retrieval.tokens);
        writeln!(
            anstream::stdout(),
            "{GREEN}  in that answer the model asked {calls}x for what was left out, and read {tokens} tokens of it{GREEN:#}\n"
        )
    }

    pub(crate) fn table(&self, rows: &[Row]) -> io::Result<()> {
        let mut out = anstream::stdout();
        if self.terminal {
            write!(out, "\r\x1b[K")?;
        }
        writeln!(
            out,
            "\n{BOLD}{:<24}{:>5}{:>9}{:>9}{:>7}{:>10}{:>9}{:>7}{:>8}{:>8}{:>7}{:>10}{BOLD:#}",
            "conversation",
            "sent",
            "tokens",
            "after",
            "saved",
            "cost",
            "after",
            "saved",
            "exact",
            "elided",
            "asked",
            "added"
        )?;
        for row in rows {
            line(&mut out, row.name, row.before.as_ref(), &row.after, Style::new())?;
        }
        let before: Option<Tally> = rows
            .iter()
            .all(|row| row.before.is_some())
            .then(|| rows.iter().filter_map(|row| row.before.as_ref()).sum());
        let after: Tally = rows.iter().map(|row| &row.after).sum();
        line(&mut out, "all", before.as_ref(), &after, BOLD)?;
        writeln!(
            out,
            "\n{DIM}sent: requests of the client. tokens: of all prompts, as the provider counts them, follow-ups included.\n\
             cost: US dollars with the prompt cache, output included. exact, elided: how the tokens were saved.\n\
             asked: originals that the model asked for. added: median time from a request's coming to its going out.{DIM:#}"
        )
    }

    /// What the doubles saw.
    pub(crate) fn verdict(&self, direct: &Provider, layered: &Provider, asker: &Asker) -> io::Result<()> {
        let refused = [direct, layered]
            .iter()
            .flat_map(|double| double.received())
            .filter(|request| request.rejection().is_some())
            .count();
        let mut out = anstream::stdout();
        let (asked, brought) = (asker.asked(), asker.brought());
        writeln!(
            out,
            "\n{} requests reached the provider, {refused} refused. {brought} of {asked} retrievals brought what was hidden.",
            direct.received().len() + layered.received().len()
        )?;
        for complaint in asker.complaints() {
            writeln!(out, "  {complaint}")?;
        }
        Ok(())
    }
}

fn line(
    out: &mut impl io::Write,
    name: &str,
    before: Option<&Tally>,
    after: &Tally,
    style: Style,
) -> io::Result<()> {
    let saved = after.exact + after.elided;
    // Without a direct run, what the layer reports stands for it.
    let tokens = before.map_or(after.tokens + saved as u64, |before| before.tokens);
    let cost = before.map_or_else(|| "-".to_owned(), |before| format!("${:.4}", before.cost));
    let cost_saved =
        before.map_or_else(|| "-".to_owned(), |before| percent(before.cost - after.cost, before.cost));
    let added = after
        .added_median()
        .map_or_else(|| "-".to_owned(), |added| format!("{:.2} ms", added.as_secs_f64() * 1e3));
    writeln!(
        out,
        "{style}{name:<24}{:>5}{:>9}{:>9}{:>7}{cost:>10}{:>9}{cost_saved:>7}{:>8}{:>8}{:>7}{added:>10}{style:#}",
        after.requests,
        thousands(tokens),
        thousands(after.tokens),
        percent(tokens as f64 - after.tokens as f64, tokens as f64),
        format!("${:.4}", after.cost),
        percent(after.exact as f64, saved as f64),
        percent(after.elided as f64, saved as f64),
        after.retrievals,
    )
}

fn thousands(tokens: u64) -> String {
    format!("{:.1}k", tokens as f64 / 1e3)
}

fn percent(part: f64, whole: f64) -> String {
    if whole == 0.0 { "-".to_owned() } else { format!("{:.1}%", 100.0 * part / whole) }
}
