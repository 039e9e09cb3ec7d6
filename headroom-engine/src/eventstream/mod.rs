//! `application/vnd.amazon.eventstream`: the frames in which Amazon Bedrock streams its answers.
//!
//! A frame is a prelude (its length, the length of its headers, and their CRC-32), headers, a payload
//! and a CRC-32 of all before it, numbers big-endian. [`Decoder`] cuts a byte stream into
//! [`Message`]s, however it comes in chunks, and verifies both checksums; [`encode`] writes one.
//!
//! <https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html#streaming-event-stream>
//!
//! ```
//! use headroom_engine::eventstream::{Decoder, chunk, chunk_json, encode, HeaderValue};
//! // An Anthropic event, as InvokeModelWithResponseStream sends it.
//! let frame = chunk(r#"{"type":"ping"}"#);
//! let mut decoder = Decoder::default();
//! decoder.push(&frame[..9]);
//! assert!(decoder.next().is_none());
//! decoder.push(&frame[9..]);
//! let message = decoder.next().unwrap()?;
//! assert_eq!(message.event_type(), Some("chunk"));
//! assert_eq!(chunk_json(&message).as_deref(), Some(r#"{"type":"ping"}"#));
//! // What is encoded again from its parts is the same.
//! assert_eq!(message.with_payload(message.payload()), frame);
//! let other = encode(&[(":event-type", HeaderValue::String("ping"))], b"{}");
//! assert!(other.len() > 16);
//! # Ok::<(), headroom_engine::eventstream::DecodeError>(())
//! ```

mod base64;
mod crc;
mod decode;
mod message;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use base64::{decode as base64_decode, encode as base64_encode};
pub(crate) use decode::Prelude;
pub use decode::{DecodeError, Decoder, MAX_FRAME};
pub use message::{HeaderValue, Headers, Message, encode};

use crate::wire::{scan::Scanner, text::quote};

/// The content type of such a stream.
pub const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

/// A frame with an event of this type and a JSON payload.
#[must_use]
pub fn event(event_type: &str, json: &str) -> Bytes {
    let headers = [
        (":event-type", HeaderValue::String(event_type)),
        (":content-type", HeaderValue::String("application/json")),
        (":message-type", HeaderValue::String("event")),
    ];
    encode(&headers, json.as_bytes())
}

/// A frame with an exception of this type, for people in `message`.
#[must_use]
pub fn exception(exception_type: &str, message: &str) -> Bytes {
    let headers = [
        (":exception-type", HeaderValue::String(exception_type)),
        (":content-type", HeaderValue::String("application/json")),
        (":message-type", HeaderValue::String("exception")),
    ];
    let mut json = String::from("{\"message\":");
    quote(message, &mut json);
    json.push('}');
    encode(&headers, json.as_bytes())
}

/// A frame of InvokeModelWithResponseStream around one event of the model, as JSON.
#[must_use]
pub fn chunk(json: &str) -> Bytes {
    event("chunk", &format!("{{\"bytes\":\"{}\"}}", base64_encode(json.as_bytes())))
}

/// The model's event in such a frame; `None` if it is another, or holds none that is UTF-8.
#[must_use]
pub fn chunk_json(message: &Message) -> Option<String> {
    if message.event_type() != Some("chunk") {
        return None;
    }
    let payload = std::str::from_utf8(message.payload()).ok()?;
    let found = chunk_bytes(payload)?;
    String::from_utf8(base64_decode(&payload.as_bytes()[found])?).ok()
}

/// Where the base64 text stands in the payload of a chunk; `None` if it is not there once.
pub(crate) fn chunk_bytes(payload: &str) -> Option<std::ops::Range<usize>> {
    let mut scanner = Scanner::new(payload);
    let (mut found, mut several) = (None, false);
    scanner
        .object(|scanner, key| {
            if key == "bytes" {
                several |= found.replace(scanner.string_or_skip()?).is_some();
                return Ok(());
            }
            scanner.skip().map(drop)
        })
        .ok()?;
    scanner.end().ok()?;
    let range = found.flatten().filter(|_| !several)?.range;
    Some(range.start + 1..range.end - 1)
}
