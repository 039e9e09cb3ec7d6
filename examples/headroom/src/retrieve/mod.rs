//! `headroom retrieve`: the original behind a handle.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use headroom_tower::Original;
use serde_json::json;

use crate::{
    compress::Line,
    exit::{self, Exit, Failure, failed, tell},
    redeem::{Places, Redeemer, Refusal},
};

/// What `headroom retrieve` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = crate::exit::TABLE)]
pub(crate) struct Args {
    /// The digits behind `#` in a marker; the first eight suffice of what stands in a file.
    handle: String,

    /// What `headroom compress --originals FILE` wrote.
    #[arg(long, value_name = "FILE")]
    originals: Option<PathBuf>,

    /// Print only what answers this.
    #[arg(long)]
    query: Option<String>,

    /// Print only these lines or items, as in `57-98`.
    #[arg(long)]
    range: Option<String>,

    /// Print the original and nothing else, byte for byte.
    #[arg(long, conflicts_with_all = ["query", "range"])]
    raw: bool,

    /// The answer as JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    places: Places,
}

/// Prints what a model would read.
pub(crate) fn run(args: &Args) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(error).into(),
    };
    runtime.block_on(print(args)).into()
}

async fn print(args: &Args) -> Exit {
    if args.originals.is_none() && args.places.are_none() {
        let where_to = "say where to look: --originals FILE, --proxy URL or --store URL";
        return Failure::wrong(where_to).end();
    }
    let redeemer = match Redeemer::open(&args.places).await {
        Ok(redeemer) => redeemer,
        Err(failure) => return failure.end(),
    };
    if let Some(file) = &args.originals
        && let Err(error) = load(&redeemer, file).await
    {
        return failed(format_args!("{}: {error}", file.display()));
    }
    let found = if args.raw {
        redeemer.whole(&args.handle).await.map(Vec::from)
    } else {
        let arguments = json!({ "handle": args.handle, "query": args.query, "range": args.range });
        let answer = redeemer.redeem(&arguments.to_string(), None).await;
        answer.map(|(text, _)| format!("{text}\n").into_bytes())
    };
    match found {
        Ok(text) => {
            let text = match args.json {
                true => format!("{}\n", json!({ "text": String::from_utf8_lossy(&text) })).into_bytes(),
                false => text,
            };
            exit::print(&text)
        }
        Err(refusal) => {
            tell(refusal.told());
            match refusal {
                Refusal::Failed(_) => Exit::Failed,
                Refusal::Arguments(_) => Exit::Wrong,
                Refusal::Unknown(_) => Exit::Unknown,
            }
        }
    }
}

async fn load(redeemer: &Redeemer, file: &Path) -> Result<(), String> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let original = |(at, text): (usize, &str)| {
        let wrong = || format!("line {} is none of `headroom compress --originals`", at + 1);
        let line: Line = serde_json::from_str(text).map_err(|_| wrong())?;
        let handle = line.handle.parse().map_err(|_| wrong())?;
        Ok(Original::new(handle, "text", line.text.into()))
    };
    let originals = text.lines().enumerate().map(original).collect::<Result<Vec<_>, String>>()?;
    redeemer.hold(originals).await.map_err(|error| error.to_string())
}
