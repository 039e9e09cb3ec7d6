//! `headroom compress`: files or stdin in, stdout out, the report beside it.

mod explain;
mod input;
mod keep;
mod output;
mod report;
mod work;

use std::{
    fmt::Display,
    fs,
    io::{self, IsTerminal as _, Read as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use bytes::Bytes;
use headroom_engine::Engine;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use self::{
    input::{Input, Named},
    keep::Keep,
    output::Output,
    work::{Outcome, Work},
};
pub(crate) use self::{
    input::{bedrock, request},
    keep::Line,
};
use crate::exit::{Exit, Failure, failed, tell};

/// What `headroom compress` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = crate::exit::TABLE)]
pub(crate) struct Args {
    /// What to compress; `-` or nothing is standard input.
    ///
    /// A request's body becomes what the layer would send; an array of messages and any other text
    /// (a log, JSON, a diff, source code: taken for one tool result) become what a model should read.
    files: Vec<PathBuf>,

    /// The model, where the input does not name it.
    #[arg(long)]
    model: Option<String>,

    /// What the input is; seen from the input by default.
    #[arg(long, value_enum)]
    dialect: Option<Named>,

    /// Only what a decoder undoes: nothing is left out.
    #[arg(long)]
    exact: bool,

    /// What a text is wanted for: what answers this stays readable.
    #[arg(long, value_name = "TEXT")]
    query: Option<String>,

    /// Show block by block what became of it and why.
    #[arg(long, conflicts_with = "json")]
    explain: bool,

    /// The report as JSON, a line an input.
    #[arg(long)]
    json: bool,

    /// Say nothing but errors.
    #[arg(long, short, conflicts_with_all = ["explain", "json"])]
    quiet: bool,

    /// Write here, a file an input, instead of to standard output.
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,

    /// Append what is left out to this file, a line of JSON an original: `headroom retrieve` reads it.
    #[arg(long, value_name = "FILE", conflicts_with = "exact")]
    originals: Option<PathBuf>,
}

/// Compresses every input; the worst that happened is the exit status.
pub(crate) fn run(args: Args) -> ExitCode {
    match all(args) {
        Ok(exit) => exit,
        // Whoever read has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => failed(error),
    }
    .into()
}

fn all(args: Args) -> io::Result<Exit> {
    let files = if args.files.is_empty() { vec![PathBuf::from("-")] } else { args.files };
    let output = match Output::new(args.into, &files) {
        Ok(output) => output,
        Err(why) => return Ok(Failure::wrong(why).end()),
    };
    let keep = args.originals.as_deref();
    let mut keep = keep.map(|file| Keep::open(file).map_err(|error| named(file, &error))).transpose()?;
    let work = Work { engine: Engine::new(), model: args.model, query: args.query, exact: args.exact };
    let bar = progress(files.len());
    let mut exit = Exit::Done;
    let mut hidden = 0;
    for file in &files {
        bar.set_message(file.display().to_string());
        let source = (file != Path::new("-")).then(|| file.to_string_lossy());
        let source = source.as_deref();
        // What is wrong with one input does not keep the others from their turn.
        let mut trouble = |worst: Exit, why: &dyn Display| {
            exit = if exit == Exit::Failed { exit } else { worst };
            bar.suspend(|| match args.json {
                true => tell_json(source, why),
                false => tell(format_args!("{}: {why}", file.display())),
            });
        };
        let text = match source.map_or_else(stdin, |_| fs::read(file)) {
            Ok(text) => Bytes::from(text),
            Err(error) => {
                trouble(Exit::Failed, &error);
                bar.inc(1);
                continue;
            }
        };
        let input = args.dialect.map_or_else(|| guess(&text), |named| named.of(&text));
        let body = match work.run(input, &text, source) {
            Ok(outcome) => {
                let name = source.unwrap_or("stdin");
                let report = report::Json::new(source, text.len(), &outcome);
                bar.suspend(|| {
                    say(args.explain, args.json, args.quiet, name, text.len(), &outcome, &report)
                })?;
                hidden += outcome.originals.handles().len();
                if let Some(keep) = &mut keep {
                    keep.all(&outcome.originals)?;
                }
                outcome.body
            }
            Err(error) => {
                trouble(
                    Exit::Unreadable,
                    &format_args!("not {}, so it stays as it came: {error}", input.name()),
                );
                text
            }
        };
        output.write(file, &body)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    if hidden > 0 && keep.is_none() && !args.quiet && !args.json {
        tell(format_args!(
            "originals left out: {hidden}; --originals FILE keeps them, --exact leaves nothing out"
        ));
    }
    Ok(exit)
}

/// Among the reports, a line for an input that has none.
fn tell_json(file: Option<&str>, why: &dyn Display) {
    let line = serde_json::json!({ "file": file, "error": why.to_string() });
    let _ = writeln!(io::stderr(), "{line}");
}

fn guess(text: &[u8]) -> Input {
    std::str::from_utf8(text).map_or(Input::Text, Input::guess)
}

fn stdin() -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    io::stdin().lock().read_to_end(&mut text)?;
    Ok(text)
}

fn named(file: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", file.display()))
}

fn say(
    explain: bool,
    json: bool,
    quiet: bool,
    name: &str,
    bytes_in: usize,
    outcome: &Outcome,
    report: &report::Json<'_>,
) -> io::Result<()> {
    let mut out = anstream::stderr().lock();
    match () {
        () if json => writeln!(out, "{}", report.line()),
        () if explain => explain::explain(&mut out, name, bytes_in, outcome),
        () if quiet => Ok(()),
        () => explain::summary(&mut out, name, bytes_in, outcome),
    }
}

/// A bar where there is something to wait for and somebody who does.
fn progress(files: usize) -> ProgressBar {
    let seen = files > 1 && io::stderr().is_terminal();
    let target = if seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{bar:24.green/dim} {pos}/{len} {wide_msg:.dim}");
    let bar = ProgressBar::with_draw_target(Some(files as u64), target);
    match style {
        Ok(style) => bar.with_style(style.progress_chars("━━━")),
        Err(_) => bar,
    }
}
