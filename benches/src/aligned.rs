//! `aligned`: how much of each prompt the provider finds in its cache where the system prompt holds a
//! time or an id.
//!
//! Recorded prompts hold one moment for a whole session; a live application writes the present one.
//! Here each moment with a time of day in a recorded system prompt becomes that of the request, a
//! minute later than the one before. With `--every`, prompts without one get a time and a request's id
//! at their front. The cached share of a request is that of the tokens of the request before it,
//! tools, system and messages, that it repeats without a gap from the start.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use headroom_engine::{
    Engine, Policy, RequestContext,
    tokens::{O200k, TokenCounter},
};
use headroom_tests::convert::convert;
use serde_json::json;

use crate::{
    corpus,
    sessions::Ledger,
    table::{Progress, Table, percent, rounded, share},
    wire::{self, Body, Dialect, Part, Piece},
};

/// `aligned --wire DIR --dialect anthropic|openai|responses|gemini|converse [--every]`
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A folder of request bodies
    #[arg(long)]
    wire: PathBuf,
    /// Their wire format; those that nobody recorded are converted from either of the first two
    #[arg(long)]
    dialect: Dialect,
    /// Also put a time and an id before prompts that hold none
    #[arg(long)]
    every: bool,
    /// The model of all requests, instead of the recorded ones; of converted ones gpt-5, gemini-3-pro,
    /// and Claude Sonnet 4.5 on Bedrock
    #[arg(long)]
    model: Option<String>,
    /// One JSON object as the last line
    #[arg(long)]
    json: bool,
}

/// One side of a session.
#[derive(Debug, Default)]
struct Side {
    before: Vec<(String, u64)>,
    repeated: u64,
    /// Of them, the tools, which stand before everything on Anthropic's side.
    tools: u64,
    possible: u64,
    tokens: u64,
}

impl Side {
    fn request(&mut self, body: &Body) {
        let now: Vec<(String, u64)> = body.pieces().map(piece).collect();
        let same = self.before.iter().zip(&now).take_while(|(a, b)| a.0 == b.0);
        self.repeated += same.map(|(piece, _)| piece.1).sum::<u64>();
        if !self.before.is_empty() {
            self.possible += self.before.iter().map(|piece| piece.1).sum::<u64>();
            self.tools += body.tools.iter().map(|tool| piece(tool).1).sum::<u64>();
        }
        self.tokens += now.iter().map(|piece| piece.1).sum::<u64>();
        self.before = now;
    }

    fn add(&mut self, other: &Self) {
        self.repeated += other.repeated;
        self.tools += other.tools;
        self.possible += other.possible;
        self.tokens += other.tokens;
    }

    fn share(&self) -> f64 {
        share(self.repeated as f64, self.possible as f64)
    }
}

fn piece(piece: &Piece) -> (String, u64) {
    (format!("{:?} {}", piece.part, piece.text), O200k.count(&piece.text) as u64)
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<()> {
    let files = corpus::files(&arguments.wire)?;
    let engine = Engine::new();
    let (mut direct, mut aligned) = (Side::default(), Side::default());
    let (mut sessions, mut requests, mut held, mut moved, mut breaks) = (0, 0, 0, 0, 0);
    let progress = Progress::new();
    for (done, (_, source)) in files.iter().enumerate() {
        progress.show("aligned", done, files.len());
        let dialect = arguments.dialect;
        let Some(source) = converted(source, dialect) else { continue };
        let Some(body) = Body::read(&source, dialect) else { continue };
        let model = arguments.model.as_deref().or(default_model(dialect));
        let source = match (model, body.model.as_str()) {
            (Some(model), own) if !own.is_empty() => {
                source.replacen(&json!(own).to_string(), &json!(model).to_string(), 1)
            }
            _ => source,
        };
        let Some(body) = Body::read(&source, dialect) else { continue };
        sessions += 1;
        let holds = body.system.iter().chain(leading(&body)).any(|piece| !moments(&piece.text).is_empty());
        held += usize::from(holds);
        if !holds && !arguments.every {
            continue;
        }
        let mut ledger = Ledger::default();
        let mut sides = (Side::default(), Side::default());
        for (turn, upto) in wire::cuts(&body).into_iter().enumerate() {
            let request = present(&wire::cut(&source, &body, upto), dialect, turn);
            let Some(read) = Body::read(&request, dialect) else { continue };
            let mut context = RequestContext::new(dialect.of_engine());
            if let Some(model) = model.filter(|_| body.model.is_empty()) {
                context = context.model(model);
            }
            let Some(rewrite) = ledger.send_as(&engine, &request, &context, &Policy::exact()) else {
                continue;
            };
            let sent = String::from_utf8_lossy(&rewrite.body);
            let Some(read_sent) = Body::read(&sent, dialect) else { continue };
            requests += 1;
            moved += usize::from(rewrite.report.alignment.moved > 0);
            breaks += rewrite.report.declared_breaks as usize;
            sides.0.request(&read);
            sides.1.request(&read_sent);
        }
        direct.add(&sides.0);
        aligned.add(&sides.1);
    }
    drop(progress);
    let mut table = Table::new(&["", "tokens", "cached share", "beside tools"]);
    let beside = |side: &Side| {
        share(
            side.repeated.saturating_sub(side.tools) as f64,
            side.possible.saturating_sub(side.tools) as f64,
        )
    };
    for (name, side) in [("direct", &direct), ("aligned", &aligned)] {
        table.row([name.to_owned(), side.tokens.to_string(), percent(side.share()), percent(beside(side))]);
    }
    table.print(out)?;
    writeln!(
        out,
        "{sessions} sessions, {held} whose prompt holds a time; {requests} requests, {moved} aligned, {breaks} put back"
    )?;
    if arguments.json {
        let row = json!({
            "sessions": sessions,
            "held": held,
            "requests": requests,
            "aligned_requests": moved,
            "put_back": breaks,
            "direct_cached_share": rounded(direct.share(), 5),
            "aligned_cached_share": rounded(aligned.share(), 5),
            "direct_beside_tools": rounded(beside(&direct), 5),
            "aligned_beside_tools": rounded(beside(&aligned), 5),
            "tokens_added": rounded(share(aligned.tokens as f64 - direct.tokens as f64, direct.tokens as f64), 5),
        });
        writeln!(out, "{row}")?;
    }
    Ok(())
}

/// The body in a format that nobody recorded it in, or as it is.
fn converted(source: &str, dialect: Dialect) -> Option<String> {
    if !dialect.is_converted() {
        return Some(source.to_owned());
    }
    serde_json::from_str::<serde_json::Value>(source).ok()?;
    Some(convert(dialect.of_engine(), source))
}

/// The model of converted bodies: recorded ones belong to other providers.
fn default_model(dialect: Dialect) -> Option<&'static str> {
    match dialect {
        Dialect::Anthropic | Dialect::OpenAi => None,
        Dialect::Responses => Some("gpt-5"),
        Dialect::Gemini => Some("gemini-3-pro"),
        Dialect::Converse => Some("us.anthropic.claude-sonnet-4-5-v1:0"),
    }
}

fn leading(body: &Body) -> impl Iterator<Item = &Piece> {
    let messages = body.messages.iter().flat_map(|message| &message.pieces);
    messages.take_while(|piece| piece.part == Part::System)
}

/// Where `2024-05-15 15:00:00`, or the same with a `T`, stands: a reader of our own.
fn moments(text: &str) -> Vec<usize> {
    let shape = |bytes: &[u8]| {
        bytes.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            10 => matches!(byte, b' ' | b'T'),
            13 | 16 => *byte == b':',
            _ => byte.is_ascii_digit(),
        })
    };
    text.as_bytes().windows(19).enumerate().filter(|(_, window)| shape(window)).map(|(at, _)| at).collect()
}

/// The request as the application would write it at this turn.
fn present(request: &str, dialect: Dialect, turn: usize) -> String {
    let Some(body) = Body::read(request, dialect) else { return request.to_owned() };
    let now = format!("2026-11-22 {:02}:{:02}:07", 9 + turn / 60, turn % 60);
    let pieces: Vec<&Piece> = body.system.iter().chain(leading(&body)).collect();
    let mut out = request.to_owned();
    let mut any = false;
    for piece in pieces.iter().rev() {
        for at in moments(&request[piece.span.clone()]).into_iter().rev() {
            let start = piece.span.start + at;
            out.replace_range(start..start + 19, &now);
            any = true;
        }
    }
    if !any {
        let line = format!("Current time: {now}\\nRequest ID: req-{:08x}\\n\\n", turn * 2_654_435 + 17);
        match pieces.first().filter(|piece| request[piece.span.clone()].starts_with('"')) {
            Some(first) => out.insert_str(first.span.start + 1, &line),
            None => match dialect {
                Dialect::Anthropic => out.insert_str(1, &format!("\"system\":\"{line}\",")),
                Dialect::Responses => out.insert_str(1, &format!("\"instructions\":\"{line}\",")),
                Dialect::Gemini => {
                    let prompt = format!("\"systemInstruction\":{{\"parts\":[{{\"text\":\"{line}\"}}]}},");
                    out.insert_str(1, &prompt);
                }
                Dialect::Converse => out.insert_str(1, &format!("\"system\":[{{\"text\":\"{line}\"}}],")),
                Dialect::OpenAi => {
                    let prompt = format!("{{\"role\":\"developer\",\"content\":\"{line}\"}},");
                    if let Some(first) = body.messages.first() {
                        out.insert_str(first.span.start, &prompt);
                    }
                }
            },
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_written_anew_at_each_turn() {
        let body = r#"{"system":"It is 2024-05-15 15:00:00 EST.","messages":[{"role":"user","content":"2024-05-15 15:00:00"}]}"#;
        let out = present(body, Dialect::Anthropic, 61);
        assert!(out.contains("It is 2026-11-22 10:01:07 EST.") && out.contains("\"2024-05-15 15:00:00\""));
        let out = present(r#"{"messages":[{"role":"developer","content":"Hi"}]}"#, Dialect::OpenAi, 0);
        assert!(out.contains(r#""content":"Current time: 2026-11-22 09:00:07\nRequest ID: req-"#), "{out}");
        for dialect in [Dialect::Responses, Dialect::Gemini, Dialect::Converse] {
            let body = converted(r#"{"messages":[{"role":"user","content":"Hi"}]}"#, dialect).unwrap();
            let out = present(&body, dialect, 0);
            let read = Body::read(&out, dialect).unwrap();
            assert!(read.system[0].text.starts_with("Current time: 2026-11-22 09:00:07\n"), "{out}");
            assert_eq!(present(&out, dialect, 1), out.replace("09:00:07", "09:01:07"), "found again");
        }
    }
}
