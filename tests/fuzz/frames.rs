//! Frames of Amazon's event stream, written as lines so that a mutation leaves most checksums right.

use headroom_engine::eventstream::{self, DecodeError, Decoder, MAX_FRAME, Message};

use super::mutate::Mutator;

/// The bytes of a round. A line is a frame: `chunk JSON` around a model's event, `!TYPE MESSAGE` an
/// exception, `~BYTES` those very bytes, `#TYPE JSON` a frame with a bit flipped, and `TYPE JSON` any
/// other event.
pub(super) fn encoded(round: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in round.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        if let Some(bytes) = line.strip_prefix(b"~") {
            out.extend_from_slice(bytes);
            continue;
        }
        let text = String::from_utf8_lossy(line);
        let (kind, rest) = text.split_once(' ').unwrap_or((&*text, ""));
        if let Some(kind) = kind.strip_prefix('#') {
            let mut frame = eventstream::event(kind, rest).to_vec();
            // Anywhere: in a length, a checksum, a header or the payload.
            let at = blake3::hash(line).as_bytes()[0] as usize % frame.len();
            frame[at] ^= 1 << (line.len() % 8);
            out.extend(frame);
            continue;
        }
        let frame = match kind.strip_prefix('!') {
            Some(kind) => eventstream::exception(kind, rest),
            None if kind == "chunk" => eventstream::chunk(rest),
            None => eventstream::event(kind, rest),
        };
        out.extend_from_slice(&frame);
    }
    out
}

/// What a decoder makes of bytes.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    messages: Vec<Message>,
    failed: Option<DecodeError>,
    rest: Vec<u8>,
}

fn read(bytes: &[u8], mut cut: impl FnMut(usize) -> usize) -> Read {
    let mut decoder = Decoder::with_limit(MAX_FRAME);
    let (mut messages, mut failed, mut rest) = (Vec::new(), None, bytes);
    while !rest.is_empty() {
        let (now, behind) = rest.split_at(cut(rest.len()).clamp(1, rest.len()));
        decoder.push(now);
        rest = behind;
        while failed.is_none() {
            match decoder.next() {
                None => break,
                Some(Ok(message)) => messages.push(message),
                Some(Err(error)) => failed = Some(error),
            }
        }
    }
    Read { messages, failed, rest: decoder.take_rest().to_vec() }
}

/// The framer: cut anywhere the same, nothing lost, and what it reads is what a writer writes.
pub(super) fn framer(data: &[u8]) {
    for bytes in [encoded(data), data.to_vec()] {
        let whole = read(&bytes, |length| length);
        let mut random = Mutator::new(bytes.len() as u64);
        assert_eq!(read(&bytes, |length| 1 + random.below(length.min(40))), whole, "cut anywhere");
        if bytes.len() < 3000 {
            assert_eq!(read(&bytes, |_| 1), whole, "byte by byte");
        }
        let mut again = Vec::new();
        for message in &whole.messages {
            assert_eq!(message.with_payload(message.payload()), message.raw());
            let headers: Vec<_> = message.headers().collect();
            let written = eventstream::encode(&headers, message.payload());
            // A boolean may be spelled in no other way, nor a length.
            assert_eq!(written, message.raw());
            again.extend_from_slice(&message.raw());
        }
        again.extend_from_slice(&whole.rest);
        assert_eq!(again, bytes, "nothing is lost");
    }
}
