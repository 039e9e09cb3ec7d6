//! `headroom compress`: files or stdin in, stdout out, the report beside it.

mod explain;
mod input;
mod keep;
mod report;
mod work;

use std::{
    fs,
    io::{self, IsTerminal as _, Read as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use bytes::Bytes;
use headroom_engine::Engine;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

pub(crate) use self::{input::bedrock, keep::Line};
use self::{
    input::{Input, Named},
    keep::Keep,
    work::{Outcome, Work},
};
use crate::exit::{Exit, failed, tell};

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
    let mut keep = args.originals.as_deref().map(Keep::open).transpose()?;
    let work = Work { engine: Engine::new(), model: args.model, query: args.query, exact: args.exact };
    let files = if args.files.is_empty() { vec![PathBuf::from("-")] } else { args.files };
    let bar = progress(files.len());
    let mut exit = Exit::Done;
    let mut hidden = 0;
    for file in &files {
        bar.set_message(file.display().to_string());
        let source = (file != Path::new("-")).then(|| file.to_string_lossy());
        let source = source.as_deref();
        let text = match source {
            Some(_) => fs::read(file),
            None => stdin(),
        };
        let text = text.map(Bytes::from).map_err(|error| named(file, &error))?;
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
                bar.suspend(|| tell(format_args!("{}: not {}: {error}", file.display(), input.name())));
                exit = Exit::Unreadable;
                text
            }
        };
        write(args.into.as_deref(), file, &body)?;
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

/// To standard output, or to a file of the same name in `into`.
fn write(into: Option<&Path>, file: &Path, body: &[u8]) -> io::Result<()> {
    let Some(into) = into else {
        let mut out = io::stdout().lock();
        out.write_all(body)?;
        return out.flush();
    };
    fs::create_dir_all(into)?;
    let name = file.file_name().filter(|name| *name != "-").unwrap_or("stdin".as_ref());
    let to = into.join(name);
    if to.canonicalize().ok().is_some_and(|to| file.canonicalize().is_ok_and(|file| file == to)) {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("{} would overwrite itself", file.display()),
        ));
    }
    fs::write(&to, body).map_err(|error| named(&to, &error))
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
