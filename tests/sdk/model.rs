//! What a model says to a client's requests, with the looks that it takes into what was hidden, or
//! as if nothing had been.

use headroom_tests::{
    Dialect,
    provider::{Block, Fault, Received, Reply, Turn},
};

use crate::talk::{fetch, run, words};

/// A part of what the model says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Says(&'static str),
    Thinks(&'static str),
    /// Calls the client's tool.
    Runs(&'static str),
    /// Asks for what was hidden: a call of ours.
    Looks,
}

/// How a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Well,
    /// For this reason, in the dialect's own word.
    Stops(&'static str),
    /// An error event of this kind behind what was said.
    Breaks(&'static str),
    /// The stream ends before its end.
    Ceases,
    /// An error of this status in place of an answer.
    Fails(u16, &'static str),
}

/// What the model says to one request of the provider.
#[derive(Clone, Debug)]
pub(crate) struct Round(pub(crate) Vec<Piece>, pub(crate) End);

/// What becomes of one request of the client: all rounds but the last look into what was hidden.
pub(crate) type Answer = Vec<Round>;

/// Answers request number `n` with what is behind the layer.
pub(crate) fn behind(dialect: Dialect, model: &[Answer], n: usize, request: &Received) -> Reply {
    let Some(Round(pieces, end)) = model.iter().flatten().nth(n) else { return unexpected() };
    let block = |(at, piece): (usize, &Piece)| match piece {
        Piece::Looks => fetch(request, n * 10 + at),
        piece => plain(*piece),
    };
    reply(dialect, pieces.iter().enumerate().map(block).collect(), *end)
}

/// Answers request number `n` as if nothing had been hidden.
pub(crate) fn straight(dialect: Dialect, model: &[Answer], n: usize, request: &Received) -> Reply {
    let Some(rounds) = model.get(n) else { return unexpected() };
    let mut blocks: Vec<Block> = Vec::new();
    for Round(pieces, _) in rounds {
        // One message of Chat Completions has one text: a paragraph a round.
        let begun = blocks.iter().any(|block| matches!(block, Block::Text(_)));
        for (at, piece) in pieces.iter().filter(|piece| **piece != Piece::Looks).enumerate() {
            let mut block = plain(*piece);
            if let (Dialect::OpenAi, true, 0, Block::Text(text)) = (dialect, begun, at, &mut block) {
                text.insert_str(0, "\n\n");
            }
            blocks.push(block);
        }
    }
    let end = match rounds.last().unwrap().1 {
        // An answer that has begun cannot take its status back.
        End::Fails(_, kind) if rounds.len() > 1 && request.stream() => End::Breaks(kind),
        end => end,
    };
    reply(dialect, blocks, end)
}

fn plain(piece: Piece) -> Block {
    match piece {
        Piece::Says(text) => words(text),
        Piece::Thinks(text) => Block::Thinking(text.to_owned()),
        Piece::Runs(id) => run(id),
        Piece::Looks => unreachable!("what was hidden is looked into with its handle"),
    }
}

fn reply(dialect: Dialect, blocks: Vec<Block>, end: End) -> Reply {
    let said = before_the_end(dialect, &blocks);
    let turn = Turn::new(blocks).delta(7).pings(false);
    match end {
        End::Well => turn.into(),
        End::Stops(reason) => turn.stop(reason).into(),
        End::Breaks(kind) => {
            let fault = Fault::Error { kind, message: "Overloaded.".to_owned() };
            turn.delta(1000).fault(said, fault).into()
        }
        End::Ceases => turn.delta(1000).fault(said, Fault::Reset).into(),
        End::Fails(status, kind) => Reply::Error {
            status,
            kind,
            message: "Overloaded.".to_owned(),
            // The SDKs wait as long as they are told; a whole second is for people.
            headers: vec![("retry-after", "7".to_owned()), ("retry-after-ms", "1".to_owned())],
        },
    }
}

/// How many events say these texts, in one delta each, without the events that end the answer.
fn before_the_end(dialect: Dialect, blocks: &[Block]) -> usize {
    match dialect {
        Dialect::Anthropic => 1 + 3 * blocks.len(),
        Dialect::OpenAi => 1 + usize::from(!blocks.is_empty()),
        Dialect::Responses => 2 + 6 * blocks.len(),
        Dialect::Gemini => blocks.len(),
        Dialect::Converse => unreachable!("no SDK here speaks it"),
    }
}

fn unexpected() -> Reply {
    Reply::error(500, "api_error", "nobody expects this request")
}
