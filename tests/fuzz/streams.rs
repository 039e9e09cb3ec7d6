//! Answers: what is framed, withheld and spliced. Rounds are parted by a byte that no text holds.

use std::{collections::VecDeque, sync::LazyLock};

use bytes::Bytes;
use headroom_engine::{
    Dialect, Engine, Policy, RequestContext, eventstream,
    intercept::{Continuation, Step, StreamExchange},
};

use super::{frames, mutate::Mutator};
use crate::{provider::RETRIEVAL_TOOL, streams::request};

/// Between rounds.
const NEXT: u8 = 0xFE;

pub(super) fn engine() -> &'static Engine {
    static ENGINE: LazyLock<Engine> = LazyLock::new(Engine::new);
    &ENGINE
}

pub(super) fn eager() -> Policy {
    Policy::default().least_hidden(20)
}

fn continuation(dialect: Dialect) -> Continuation {
    static REQUESTS: LazyLock<[(Dialect, Bytes); 5]> =
        LazyLock::new(|| DIALECTS.map(|dialect| (dialect, request(dialect))));
    let (_, body) = REQUESTS.iter().find(|(other, _)| *other == dialect).expect("a known dialect");
    let scanned = engine().scan(body.clone(), &RequestContext::new(dialect)).expect("a request");
    scanned.rewrite(&eager(), &[]).continuation.expect("something is hidden")
}

const DIALECTS: [Dialect; 5] = [
    Dialect::AnthropicMessages,
    Dialect::OpenAiChat,
    Dialect::OpenAiResponses,
    Dialect::Gemini,
    Dialect::BedrockConverse,
];

/// An exchange over the answer to a request that hides something.
///
/// # Panics
/// For a dialect without such a request here.
#[must_use]
pub fn exchange(dialect: Dialect) -> StreamExchange {
    continuation(dialect).stream()
}

/// The handle of what the requests hide; the same in all of them.
#[must_use]
pub fn handle() -> &'static str {
    static HANDLE: LazyLock<String> = LazyLock::new(|| {
        let dialect = Dialect::AnthropicMessages;
        let scanned = engine().scan(request(dialect), &RequestContext::new(dialect)).expect("a request");
        scanned.rewrite(&eager(), &[]).originals.handles()[0].to_string()
    });
    &HANDLE
}

/// A seed of the corpus, with the handle of what the requests hide.
pub(super) fn with_handle(seed: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = seed;
    while let Some(at) = memchr::memmem::find(rest, b"%HANDLE%") {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(handle().as_bytes());
        rest = &rest[at + 8..];
    }
    out.extend_from_slice(rest);
    for byte in &mut out {
        // In the files, a page break parts the rounds.
        if *byte == 0x0C {
            *byte = NEXT;
        }
    }
    out
}

/// What a client and the upstream got.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    client: Vec<u8>,
    sent: Vec<Bytes>,
}

fn heard(dialect: Dialect, rounds: &[&[u8]], mut cut: impl FnMut(usize) -> usize) -> Heard {
    let mut exchange = continuation(dialect).stream();
    let mut out = VecDeque::new();
    let mut heard = Heard::default();
    let mut rounds = rounds.iter();
    let mut next = rounds.next();
    while let Some(round) = next.take() {
        let mut rest = Bytes::copy_from_slice(round);
        while !rest.is_empty() {
            let chunk = rest.split_to(cut(rest.len()).clamp(1, rest.len()));
            exchange.push(chunk, &mut out);
        }
        let mut step = exchange.end(&mut out);
        loop {
            step = match step {
                Step::Redeem(_) => exchange.redeemed(Vec::new(), &mut out),
                Step::Rank(ranking) => exchange.ranked(Some(ranking.run()), &mut out),
                Step::Remember(_) => exchange.remembered(true, &mut out),
                Step::Send(body) => {
                    assert!(is_json(&body), "a follow-up is a request");
                    heard.sent.push(body);
                    next = rounds.next();
                    if next.is_none() {
                        exchange.failed(&mut out);
                    }
                    break;
                }
                Step::Done => break,
            };
        }
    }
    heard.client = out.into_iter().flatten().collect();
    heard
}

/// The rounds of an input.
fn rounds(data: &[u8]) -> Vec<&[u8]> {
    data.split(|byte| *byte == NEXT).collect()
}

/// Strings need not be text: what the model wrote is said again as it is.
fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

/// Whether nothing in `data` can be taken for a call of ours, however it is spelled.
fn is_foreign(data: &[u8]) -> bool {
    memchr::memmem::find(data, RETRIEVAL_TOOL.as_bytes()).is_none()
        && memchr::memmem::find(data, b"\\u").is_none()
}

/// A stream in frames of Amazon's, one a line of `data`.
pub(super) fn framed(dialect: Dialect, data: &[u8]) {
    let rounds: Vec<Vec<u8>> = rounds(data).into_iter().map(frames::encoded).collect();
    let rounds: Vec<&[u8]> = rounds.iter().map(Vec::as_slice).collect();
    let whole = heard(dialect, &rounds, |length| length);
    if is_foreign(data) {
        // A last frame without its end is none.
        let rest = rounds[0].strip_prefix(&whole.client[..]).expect("what is not ours passes as it came");
        let mut decoder = eventstream::Decoder::default();
        decoder.push(rest);
        let text = dialect == Dialect::AnthropicMessages && decoder.next().is_some();
        assert!(whole.sent.is_empty() && (text || decoder.next().is_none()), "what is not ours passes");
    }
    cuts(dialect, &rounds, &whole);
}

/// A stream: cut anywhere, it is the same; without a call of ours, it is as it came.
pub(super) fn events(dialect: Dialect, data: &[u8]) {
    let rounds = rounds(data);
    let whole = heard(dialect, &rounds, |length| length);
    // A call of chat completions that is never named could be ours: it is withheld.
    let unnamed = dialect == Dialect::OpenAiChat && memchr::memmem::find(data, b"tool_calls").is_some();
    if is_foreign(data) && !unnamed {
        // A last event without its end is none; it could be the start of a call.
        let rest = rounds[0].strip_prefix(&whole.client[..]).expect("what is not ours passes as it came");
        let array = data.trim_ascii_start().starts_with(b"[");
        let cut = array || memchr::memmem::find(rest, b"\n\n").is_none_or(|at| at + 2 == rest.len());
        assert!(whole.sent.is_empty() && cut, "what is not ours passes");
    }
    cuts(dialect, &rounds, &whole);
}

/// Where a stream is cut decides nothing.
fn cuts(dialect: Dialect, rounds: &[&[u8]], whole: &Heard) {
    let length: usize = rounds.iter().map(|round| round.len()).sum();
    if length > 1 << 15 {
        // For the time that it takes.
        assert_eq!(&heard(dialect, rounds, |_| 64), whole);
        return;
    }
    let mut random = Mutator::new(length as u64);
    let anywhere = heard(dialect, rounds, |length| 1 + random.below(length.min(40)));
    assert_eq!(&anywhere, whole, "cut anywhere");
    if length < 3000 {
        assert_eq!(&heard(dialect, rounds, |_| 1), whole, "byte by byte");
    }
}

/// A whole answer: without a call of ours it is the very bytes.
pub(super) fn answer(dialect: Dialect, data: &[u8]) {
    let rounds = rounds(data);
    let mut exchange = continuation(dialect).json();
    let first = Bytes::copy_from_slice(rounds[0]);
    let mut rest = rounds[1..].iter();
    let mut step = exchange.response(first.clone());
    loop {
        step = match step {
            Step::Redeem(_) => exchange.redeemed(Vec::new()),
            Step::Rank(ranking) => exchange.ranked(Some(ranking.run())),
            Step::Remember(_) => exchange.remembered(true),
            Step::Send(body) => {
                assert!(is_json(&body), "a follow-up is a request");
                match rest.next() {
                    Some(answer) => exchange.response(Bytes::copy_from_slice(answer)),
                    None => return exchange.failed(),
                }
            }
            Step::Done => break,
        };
    }
    let body = exchange.into_body();
    if is_foreign(data) {
        assert_eq!((body.as_ptr(), body.len()), (first.as_ptr(), first.len()), "the same bytes");
    }
}
