//! `bodies`: the last request of each recorded body, what the model reads before and after.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use headroom_engine::{
    Engine, Policy, RequestContext,
    tokens::{O200k, TokenCounter},
};
use serde_json::{Value, json};

use crate::{
    corpus,
    table::{Progress, Table, percent, rounded, share},
    treat::ANSWER_TOKENS,
    wire::{self, Body, Dialect},
};

/// `bodies --wire DIR --dialect anthropic|openai [--exact]`
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A folder of request bodies
    #[arg(long)]
    wire: PathBuf,
    /// Their wire format
    #[arg(long)]
    dialect: Dialect,
    /// Exact rewrites only; no tool is listed
    #[arg(long)]
    exact: bool,
    /// One JSON object as the last line
    #[arg(long)]
    json: bool,
    /// Every rewritten body
    #[arg(long)]
    verbose: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    name: String,
    tokens_in: usize,
    tokens_out: usize,
}

impl Outcome {
    fn saved(&self) -> f64 {
        share(self.tokens_in as f64 - self.tokens_out as f64, self.tokens_in as f64)
    }
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<()> {
    let files = corpus::files(&arguments.wire)?;
    let policy = if arguments.exact { Policy::exact() } else { Policy::default() };
    let policy = policy.answer_tokens(ANSWER_TOKENS);
    let mut outcomes = Vec::new();
    let progress = Progress::new();
    for (done, (path, source)) in files.iter().enumerate() {
        progress.show("bodies", done, files.len());
        let Some(request) = last(source, arguments.dialect) else { continue };
        let rewritten = rewritten(&request, arguments.dialect, &policy);
        if arguments.verbose {
            writeln!(out, "{rewritten}")?;
        }
        let name = path.strip_prefix(&arguments.wire).unwrap_or(path);
        let [tokens_in, tokens_out] = [&request, &rewritten].map(|body| tokens(body, arguments.dialect));
        outcomes.push(Outcome { name: name.to_string_lossy().into_owned(), tokens_in, tokens_out });
    }
    drop(progress);
    print(&outcomes, out)?;
    if arguments.json {
        writeln!(out, "{}", report(&outcomes))?;
    }
    Ok(())
}

/// The last request that was made of a body; `None` if it is none of this dialect.
fn last(source: &str, dialect: Dialect) -> Option<String> {
    let body = Body::read(source, dialect)?;
    let upto = wire::cuts(&body).last().copied().unwrap_or(body.messages.len());
    Some(wire::cut(source, &body, upto))
}

/// What goes out; what cannot be scanned goes out as it came.
fn rewritten(request: &str, dialect: Dialect, policy: &Policy) -> String {
    let context = RequestContext::new(dialect.of_engine());
    match Engine::new().scan(request.to_owned().into(), &context) {
        Ok(scanned) => String::from_utf8_lossy(&scanned.rewrite(policy, &[]).body).into_owned(),
        Err(_) => request.to_owned(),
    }
}

/// Everything the model reads, tools and system included.
fn tokens(source: &str, dialect: Dialect) -> usize {
    let body = Body::read(source, dialect).unwrap_or_default();
    body.pieces().map(|piece| O200k.count(&piece.text)).sum()
}

fn print(outcomes: &[Outcome], out: &mut impl Write) -> io::Result<()> {
    let mut table = Table::new(&["body", "tokens", "out", "saved"]);
    let total = Outcome {
        name: "all".into(),
        tokens_in: outcomes.iter().map(|outcome| outcome.tokens_in).sum(),
        tokens_out: outcomes.iter().map(|outcome| outcome.tokens_out).sum(),
    };
    for outcome in outcomes.iter().chain([&total]) {
        let Outcome { name, tokens_in, tokens_out } = outcome;
        table.row([name.clone(), tokens_in.to_string(), tokens_out.to_string(), percent(outcome.saved())]);
    }
    table.print(out)
}

fn report(outcomes: &[Outcome]) -> Value {
    let body = |outcome: &Outcome| {
        json!({
            "name": outcome.name,
            "tokens_in": outcome.tokens_in,
            "tokens_out": outcome.tokens_out,
            "saved": rounded(outcome.saved(), 5),
        })
    };
    json!({"bodies": outcomes.iter().map(body).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_request_ends_before_the_last_answer() {
        let source = r#"{"messages":[{"role":"user","content":"one two"},{"role":"assistant","content":"three four five"}]}"#;
        let request = last(source, Dialect::OpenAi).unwrap();
        assert_eq!(tokens(&request, Dialect::OpenAi), 2, "the answer is no part of it");
        assert_eq!(rewritten(&request, Dialect::OpenAi, &Policy::default()), request);
        assert_eq!(last("[]", Dialect::OpenAi), None);
    }

    #[test]
    fn a_share_is_of_what_came_in() {
        let outcome = Outcome { name: "a".into(), tokens_in: 8, tokens_out: 6 };
        assert_eq!(report(&[outcome])["bodies"][0]["saved"], 0.25);
    }
}
