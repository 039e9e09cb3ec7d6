//! One frame, and how it is written.

use std::{fmt, ops::Range};

use bytes::Bytes;

use super::crc::crc32;

/// Bytes before the headers: two lengths and their checksum.
pub(super) const PRELUDE: usize = 12;
/// Bytes behind the payload.
pub(super) const TRAILER: usize = 4;

/// A decoded frame: its checksums are right, and its headers are whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    raw: Bytes,
    payload: usize,
}

/// The value of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderValue<'a> {
    /// Types 0 and 1.
    Bool(bool),
    /// Type 2.
    Byte(i8),
    /// Type 3.
    Int16(i16),
    /// Type 4.
    Int32(i32),
    /// Type 5.
    Int64(i64),
    /// Type 6.
    Bytes(&'a [u8]),
    /// Type 7.
    String(&'a str),
    /// Type 8, milliseconds since 1970.
    Timestamp(i64),
    /// Type 9.
    Uuid([u8; 16]),
}

impl Message {
    /// A frame whose lengths and checksums were verified; `None` if its headers are not whole.
    pub(super) fn new(raw: Bytes, headers: usize) -> Option<Self> {
        let message = Self { raw, payload: PRELUDE + headers };
        let mut reader = message.headers();
        reader.by_ref().for_each(drop);
        reader.rest.is_empty().then_some(message)
    }

    /// The frame as it came.
    #[must_use]
    pub fn raw(&self) -> Bytes {
        self.raw.clone()
    }

    /// Its headers, in order.
    #[must_use]
    pub fn headers(&self) -> Headers<'_> {
        Headers { rest: &self.raw[PRELUDE..self.payload] }
    }

    /// The string header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().find_map(|(own, value)| match value {
            HeaderValue::String(text) if own == name => Some(text),
            _ => None,
        })
    }

    /// `:event-type`, of a message that is an event.
    #[must_use]
    pub fn event_type(&self) -> Option<&str> {
        self.header(":event-type").filter(|_| !self.is_failure())
    }

    /// Whether it is an exception or an error, behind which nothing comes.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self.header(":message-type"), Some("exception" | "error"))
    }

    /// What it carries.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.raw[self.payload_range()]
    }

    /// Where the payload stands in the frame.
    pub(crate) fn payload_range(&self) -> Range<usize> {
        self.payload..self.raw.len() - TRAILER
    }

    /// The same headers, byte for byte, around another payload.
    #[must_use]
    pub fn with_payload(&self, payload: &[u8]) -> Bytes {
        frame(&self.raw[PRELUDE..self.payload], payload)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.headers()).finish()
    }
}

/// The headers of a message: name and value.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    rest: &'a [u8],
}

impl<'a> Headers<'a> {
    fn read(rest: &mut &'a [u8]) -> Option<(&'a str, HeaderValue<'a>)> {
        let mut take = |length: usize| {
            let (taken, left) = rest.split_at_checked(length)?;
            *rest = left;
            Some(taken)
        };
        let length = take(1)?[0];
        let name = std::str::from_utf8(take(usize::from(length))?).ok().filter(|name| !name.is_empty())?;
        let sized = |take: &mut dyn FnMut(usize) -> Option<&'a [u8]>| {
            let length = u16::from_be_bytes(take(2)?.try_into().ok()?);
            take(usize::from(length))
        };
        let value = match take(1)?[0] {
            0 => HeaderValue::Bool(true),
            1 => HeaderValue::Bool(false),
            2 => HeaderValue::Byte(i8::from_be_bytes(take(1)?.try_into().ok()?)),
            3 => HeaderValue::Int16(i16::from_be_bytes(take(2)?.try_into().ok()?)),
            4 => HeaderValue::Int32(i32::from_be_bytes(take(4)?.try_into().ok()?)),
            5 => HeaderValue::Int64(i64::from_be_bytes(take(8)?.try_into().ok()?)),
            6 => HeaderValue::Bytes(sized(&mut take)?),
            7 => HeaderValue::String(std::str::from_utf8(sized(&mut take)?).ok()?),
            8 => HeaderValue::Timestamp(i64::from_be_bytes(take(8)?.try_into().ok()?)),
            9 => HeaderValue::Uuid(take(16)?.try_into().ok()?),
            _ => return None,
        };
        Some((name, value))
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, HeaderValue<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = self.rest;
        let read = Self::read(&mut rest)?;
        self.rest = rest;
        Some(read)
    }
}

/// Writes a frame. A name longer than 255 bytes, or a value longer than 65,535, is cut there.
#[must_use]
pub fn encode(headers: &[(&str, HeaderValue<'_>)], payload: &[u8]) -> Bytes {
    let mut out = Vec::new();
    for (name, value) in headers {
        let name = &name[..name.floor_char_boundary(255)];
        out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(name.as_bytes());
        let mut sized = |kind: u8, bytes: &[u8]| {
            let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
            out.push(kind);
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(&bytes[..usize::from(length)]);
        };
        match value {
            HeaderValue::Bool(value) => out.push(u8::from(!value)),
            HeaderValue::Byte(value) => out.extend_from_slice(&[2, value.to_be_bytes()[0]]),
            HeaderValue::Int16(value) => fixed(&mut out, 3, &value.to_be_bytes()),
            HeaderValue::Int32(value) => fixed(&mut out, 4, &value.to_be_bytes()),
            HeaderValue::Int64(value) => fixed(&mut out, 5, &value.to_be_bytes()),
            HeaderValue::Bytes(value) => sized(6, value),
            HeaderValue::String(value) => {
                sized(7, &value.as_bytes()[..value.floor_char_boundary(usize::from(u16::MAX))]);
            }
            HeaderValue::Timestamp(value) => fixed(&mut out, 8, &value.to_be_bytes()),
            HeaderValue::Uuid(value) => fixed(&mut out, 9, value),
        }
    }
    frame(&out, payload)
}

fn fixed(out: &mut Vec<u8>, kind: u8, bytes: &[u8]) {
    out.push(kind);
    out.extend_from_slice(bytes);
}

/// Puts the prelude before, and the checksum behind.
fn frame(headers: &[u8], payload: &[u8]) -> Bytes {
    let total = PRELUDE + headers.len() + payload.len() + TRAILER;
    let mut out = Vec::with_capacity(total);
    for length in [total, headers.len()] {
        out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    }
    out.extend_from_slice(&crc32(&out).to_be_bytes());
    out.extend_from_slice(headers);
    out.extend_from_slice(payload);
    out.extend_from_slice(&crc32(&out).to_be_bytes());
    out.into()
}
