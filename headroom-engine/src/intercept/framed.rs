//! Frames of Amazon's event stream as events: what stands in a `chunk` is the model's own event.

use std::ops::{Deref, Range};

use bytes::Bytes;

use super::frame::{Event, Frame};
use crate::eventstream::{self, Decoder, Message};

/// A frame, and where in its payload the model's event stands as base64.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    message: Message,
    inner: Option<Range<usize>>,
}

impl Envelope {
    /// The frame around other data.
    pub(super) fn with_data(&self, data: &str) -> Bytes {
        let Some(inner) = &self.inner else { return self.message.with_payload(data.as_bytes()) };
        let payload = self.message.payload();
        let coded = eventstream::base64_encode(data.as_bytes());
        self.message
            .with_payload(&[&payload[..inner.start], coded.as_bytes(), &payload[inner.end..]].concat())
    }
}

impl Deref for Envelope {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.message
    }
}

/// The incremental parser. What cannot be verified passes as it came, unread.
#[derive(Debug)]
pub(super) struct Framed {
    decoder: Decoder,
    /// Where frames begin is no longer known.
    lost: bool,
    /// The first piece behind that has been given.
    given: bool,
}

/// Where frames are no longer known, whether what follows may pass is judged by so many bytes of it,
/// or by all there is.
const JUDGED: usize = 64 << 10;

impl Framed {
    /// Of frames no longer than `cap`.
    pub(super) fn new(cap: usize) -> Self {
        Self { decoder: Decoder::with_limit(cap.min(eventstream::MAX_FRAME)), lost: false, given: false }
    }

    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.decoder.push(chunk);
    }

    /// The next frame; `None` if more bytes are needed.
    pub(super) fn next(&mut self) -> Option<Frame> {
        if !self.lost {
            match self.decoder.next()? {
                Ok(message) => return Some(Frame::Event(event(message))),
                Err(_) => {
                    if let Some(bytes) = self.decoder.skip_frame() {
                        return Some(Frame::Piece { bytes, first: true });
                    }
                    self.lost = true;
                }
            }
        }
        if !self.given {
            let bytes = self.decoder.take(JUDGED)?;
            self.given = true;
            return Some(Frame::Piece { bytes, first: true });
        }
        let bytes = self.decoder.take_rest();
        (!bytes.is_empty()).then_some(Frame::Piece { bytes, first: false })
    }

    /// What is left at the end of the stream.
    pub(super) fn finish(&mut self) -> Option<Frame> {
        let left = self.decoder.take_rest();
        if left.is_empty() {
            return None;
        }
        Some(match self.lost {
            true => Frame::Piece { bytes: left, first: !std::mem::replace(&mut self.given, true) },
            false => Frame::Event(Event::part(left)),
        })
    }
}

fn event(message: Message) -> Event {
    let payload = message.payload_range();
    let is_chunk = message.event_type() == Some("chunk");
    let inner = std::str::from_utf8(message.payload()).ok().filter(|_| is_chunk);
    let inner = inner.and_then(eventstream::chunk_bytes);
    let bytes = inner.clone().and_then(|inner| eventstream::base64_decode(&message.payload()[inner]));
    let data = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    let inner = inner.filter(|_| data.is_some());
    Event::framed(Envelope { message, inner }, payload, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(chunks: &[&[u8]], cap: usize) -> (Vec<String>, Vec<u8>) {
        let mut framed = Framed::new(cap);
        let (mut seen, mut bytes) = (Vec::new(), Vec::new());
        let mut take = |frame: Frame| match frame {
            Frame::Event(event) => {
                bytes.extend_from_slice(&event.raw());
                seen.push(event.data().unwrap_or("-").to_owned());
            }
            Frame::Piece { bytes: piece, first } => {
                bytes.extend_from_slice(&piece);
                if first {
                    seen.push("unread".to_owned());
                }
            }
        };
        for chunk in chunks {
            framed.push(chunk);
            while let Some(frame) = framed.next() {
                take(frame);
            }
        }
        while let Some(frame) = framed.finish() {
            take(frame);
        }
        (seen, bytes)
    }

    #[test]
    fn edge_60_chunks_across_reads_and_bad_checksums() {
        let (one, two) = (eventstream::chunk("{\"a\":1}"), eventstream::event("messageStart", "{}"));
        let whole = [&one[..], &two, &one].concat();
        let mut sum = whole.clone();
        sum[one.len() + two.len() - 6] ^= 1;
        let mut length = whole.clone();
        length[one.len() + 1] ^= 1;
        for at in 0..=whole.len() {
            for (bytes, expected) in [
                (&whole, ["{\"a\":1}", "{}", "{\"a\":1}"].as_slice()),
                (&sum, &["{\"a\":1}", "unread", "{\"a\":1}"]),
                (&length, &["{\"a\":1}", "unread"]),
            ] {
                let (seen, out) = frames(&[&bytes[..at], &bytes[at..]], 1 << 20);
                assert_eq!(
                    (seen.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), &out),
                    (expected, bytes)
                );
            }
        }
        assert_eq!(frames(&[&whole], one.len() - 1).0, ["unread"], "too long");
        assert_eq!(frames(&[&whole[..one.len() + 5]], 1 << 20).0, ["{\"a\":1}", "-"]);
    }

    #[test]
    fn edits_reach_into_chunks() {
        for (frame, expected) in [
            (eventstream::chunk("{\"a\":1}"), eventstream::chunk("{\"a\":77}")),
            (eventstream::event("x", "{\"a\":1}"), eventstream::event("x", "{\"a\":77}")),
        ] {
            let mut framed = Framed::new(1 << 20);
            framed.push(&frame);
            let Some(Frame::Event(event)) = framed.next() else { panic!("an event") };
            assert_eq!(event.edited(Vec::new()), frame);
            assert_eq!(event.edited(vec![(5..6, "77".to_owned())]), expected);
        }
    }
}
