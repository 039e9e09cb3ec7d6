//! What an exchange holds of a stream: nothing of what has passed but the model's own turn, once, which a
//! follow-up must repeat; and behind that follow-up's start, its body and what the ledger is to know.

use std::{alloc::System, collections::VecDeque};

use bytes::Bytes;
use headroom_engine::intercept::Step;
use headroom_tests::{
    fuzz::{exchange, handle},
    streams::{STREAMED, Streamed},
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What one stream may hold beside the turn.
const MOST: usize = 32 << 10;
const FRAMES: usize = 20_000;
const TEXT: &str = "a few words of an answer, ";

/// How often the turn's text is held while it streams, and while its follow-up runs: in that body, and
/// decoded for the key under which the ledger will know it. An OpenAI Responses stream repeats its text
/// in every event that ends something.
fn times(stream: Streamed) -> (usize, usize) {
    match stream {
        Streamed::Responses => (1, 3),
        _ => (1, 2),
    }
}

/// Says by how much a stream holds too much.
pub(crate) fn problems() -> Vec<String> {
    let mut problems = Vec::new();
    let mut check = |stream: Streamed, what: &str, held: usize, times: usize| {
        let turn = TEXT.len() * FRAMES;
        println!("fuzz memory          {:12} {what:9} {:5} KiB held", stream.name(), held >> 10);
        if held > MOST + times * turn {
            problems.push(format!("{} bytes, {what}: {held} held", stream.name()));
        }
    };
    for stream in STREAMED {
        let (streaming, following) = times(stream);
        let held = held(stream);
        if !stream.is_framed() && stream != Streamed::GeminiArray {
            check(stream, "noise", held.noise, 0);
        }
        check(stream, "text", held.text, streaming);
        check(stream, "follow-up", held.follow_up, following);
    }
    problems
}

/// The most bytes held between two chunks.
struct Held {
    noise: usize,
    text: usize,
    follow_up: usize,
}

fn held(stream: Streamed) -> Held {
    let noise = Bytes::from(format!(": {}\n\n", "x".repeat(250)));
    let mut most = 0;
    let mut exchange = exchange(stream.dialect());
    let region = Region::new(ALLOCATOR);
    let mut out = VecDeque::new();
    if !stream.is_framed() && stream != Streamed::GeminiArray {
        for _ in 0..FRAMES {
            exchange.push(Bytes::copy_from_slice(&noise), &mut out);
            most = most.max(change(&mut out, &region));
        }
    }
    let noise = std::mem::take(&mut most);
    for event in stream.head() {
        exchange.push(event, &mut out);
    }
    for at in 0..FRAMES {
        exchange.push(stream.delta(at, TEXT), &mut out);
        most = most.max(change(&mut out, &region));
    }
    let text = std::mem::take(&mut most);
    for event in stream.tail(FRAMES, &TEXT.repeat(FRAMES), Some(handle())) {
        exchange.push(event, &mut out);
        out.clear();
    }
    let step = exchange.end(&mut out);
    assert!(matches!(step, Step::Send(_)), "the call is answered: {step:?}");
    let follow_up = change(&mut out, &region);
    drop(step);
    Held { noise, text, follow_up }
}

/// What is held once the client has read what there is for it.
fn change(out: &mut VecDeque<Bytes>, region: &Region<'_, System>) -> usize {
    out.clear();
    out.shrink_to_fit();
    let change = region.change();
    change.bytes_allocated.saturating_sub(change.bytes_deallocated)
}
