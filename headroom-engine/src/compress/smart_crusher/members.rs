//! What may be left out of a single object: runs of links, and long opaque strings.

use std::ops::Range;

use super::{
    semantics::{Meaning, begins_with_error, meaning},
    tape::{Id, Kind, Tape},
    twins::Twins,
};
use crate::rank::{Query, terms};

/// The fewest tokens worth a marker with a handle inside an object.
const MIN_RUN: u32 = 80;
/// What a marker with a handle and its frame cost.
const MARKER: u32 = 26;
/// The fewest bytes of an opaque string worth one.
const MIN_OPAQUE: usize = 400;

/// The fewest bytes of a text worth one, where like rows have such texts too.
const MIN_TEXT: usize = 3000;

/// How much each value could do without.
#[derive(Debug)]
pub(super) struct Members {
    /// Tokens below a node that may be left out, roughly.
    spare: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Nobody reads it unasked.
    Spare,
    /// It may go with its neighbours.
    Empty,
    Kept,
}

impl Members {
    /// Nothing may be left out.
    pub(super) fn none(tape: &Tape<'_>) -> Self {
        Self { spare: vec![0; tape.len()] }
    }

    pub(super) fn of(tape: &Tape<'_>, twins: &Twins, query: &Query) -> Self {
        let mut spare = vec![0; tape.len()];
        for id in (0..tape.len() as Id).rev() {
            if !tape.is_scalar(id) {
                for text in long_texts(tape, query, id) {
                    let weight = (tape.end(text.1) - tape.start(text.1)) as u32 / 5;
                    spare[text.0 as usize] += weight;
                    spare[text.1 as usize] = weight;
                }
            }
            spare[id as usize] = match tape.kind(id) {
                Kind::Object => {
                    let below: u32 = tape.children(id).map(|child| spare[child as usize]).sum();
                    below + runs(tape, query, id).iter().map(|(_, weight)| weight - MARKER).sum::<u32>()
                }
                Kind::Array => tape.children(id).map(|child| spare[child as usize]).sum(),
                Kind::String if is_opaque(tape, id) => (tape.end(id) - tape.start(id)) as u32 / 2,
                _ => 0,
            };
            // With a name it is written once, and whole; without, each time, but for what is spared.
            if let Some(count) = twins.count(tape, id).filter(|_| !tape.is_scalar(id)) {
                let tokens = (tape.end(id) - tape.start(id)) as u32 / 5;
                if count * spare[id as usize] + 6 * (count - 1) <= (count - 1) * tokens {
                    spare[id as usize] = 0;
                }
            }
        }
        Self { spare }
    }

    /// Tokens in the subtree of `id` that may be left out, roughly.
    pub(super) fn spare(&self, id: Id) -> usize {
        self.spare[id as usize] as usize
    }
}

/// The members of an object to leave out, by their numbers from 0, with their weights.
pub(super) fn runs(tape: &Tape<'_>, query: &Query, id: Id) -> Vec<(Range<usize>, u32)> {
    let mut runs = Vec::new();
    let (mut run, mut weight, mut pending) = (0..0, 0, 0);
    let mut close = |run: &mut Range<usize>, weight: &mut u32| {
        if *weight >= MIN_RUN {
            runs.push((run.clone(), *weight));
        }
        (*run, *weight) = (0..0, 0);
    };
    for (at, (key, value)) in tape.members(id).enumerate() {
        let tokens = 2 + (tape.end(key) - tape.start(key) + tape.end(value) - tape.start(value)) as u32 / 4;
        match class(tape, query, key, value, weight > 0) {
            Class::Spare => {
                if weight == 0 {
                    (run, pending) = (at..at, 0);
                }
                weight += tokens + pending;
                (run.end, pending) = (at + 1, 0);
            }
            Class::Empty => pending += tokens,
            Class::Kept => close(&mut run, &mut weight),
        }
    }
    close(&mut run, &mut weight);
    runs
}

fn class(tape: &Tape<'_>, query: &Query, key: Id, value: Id, in_run: bool) -> Class {
    let name = tape.inner(key);
    let text = match tape.kind(value) {
        Kind::String => tape.inner(value),
        Kind::Null => "",
        Kind::Array | Kind::Object if tape.is_empty(value) => "",
        _ => return Class::Kept,
    };
    let class = if text.is_empty() {
        Class::Empty
    } else if is_link(name, text) {
        Class::Spare
    } else {
        return Class::Kept;
    };
    if (in_run || class == Class::Spare) && query.contains(&name.to_lowercase()) {
        Class::Kept
    } else {
        class
    }
}

/// Links that an API adds for programs; what names the thing itself is kept.
fn is_link(key: &str, text: &str) -> bool {
    let named = key.len() > 4 && (key.ends_with("_url") || key.ends_with("Url") || key.ends_with("_uri"));
    let scheme = ["https://", "http://", "git://", "git@"].iter().any(|scheme| text.starts_with(scheme));
    named && scheme && !key.starts_with("html")
}

/// Long texts under the same key of at least three like rows, each with its row: file contents
/// beside what was found in them. A text that answers the query or begins like an error stays.
fn long_texts(tape: &Tape<'_>, query: &Query, id: Id) -> Vec<(Id, Id)> {
    let rows = tape.children(id).filter(|row| tape.kind(*row) == Kind::Object);
    let rows = rows.filter(|row| tape.end(*row) - tape.start(*row) >= MIN_TEXT);
    let texts: Vec<(Id, Id, Id)> = rows
        .flat_map(|row| tape.members(row).map(move |(key, value)| (row, key, value)))
        .filter(|(_, _, value)| {
            tape.kind(*value) == Kind::String && tape.end(*value) - tape.start(*value) >= MIN_TEXT
        })
        .collect();
    let like =
        |key: Id| texts.iter().filter(|text| tape.slice(text.1) == tape.slice(key)).take(3).count() == 3;
    let mut spare = texts.clone();
    spare.retain(|(_, key, value)| {
        like(*key)
            && meaning(tape.inner(*key)) != Meaning::Fault
            && !query.contains(&tape.inner(*key).to_lowercase())
            && !begins_with_error(tape.inner(*value))
            && !answers(query, tape.inner(*value))
    });
    spare.into_iter().map(|(row, _, value)| (row, value)).collect()
}

/// Whether a text holds a telling term of the query: a long one or one that is no plain word.
fn answers(query: &Query, text: &str) -> bool {
    let telling = |term: &str| term.len() > 5 || term.bytes().any(|byte| !byte.is_ascii_alphabetic());
    let mut found = false;
    terms(text, &mut |term| found |= !found && query.contains(term) && telling(term));
    found
}

/// Whether a string is base64, a signature or the like: nothing to read.
pub(super) fn is_opaque(tape: &Tape<'_>, id: Id) -> bool {
    let bytes = tape.slice(id).as_bytes();
    if tape.kind(id) != Kind::String || bytes.len() < MIN_OPAQUE || tape.is_key(id) {
        return false;
    }
    // Most long strings are prose, which the beginning shows.
    is_opaque_text(&bytes[1..200]) && is_opaque_text(&bytes[1..bytes.len() - 1])
}

fn is_opaque_text(text: &[u8]) -> bool {
    let (mut odd, mut upper) = (0, 0);
    for byte in text {
        match byte {
            b'A'..=b'Z' => upper += 1,
            b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' | b'=' | b'_' | b'-' | b'\\' => {}
            _ => odd += 1,
        }
    }
    // Base64 is two fifths capitals; hexadecimal may have none, but then no letter beyond f.
    let base64 = upper * 6 > text.len();
    odd * 50 <= text.len() && (base64 || text.iter().all(u8::is_ascii_hexdigit))
}
