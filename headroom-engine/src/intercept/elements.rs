//! Cuts a byte stream into the elements of one JSON array, each with the bytes in front of it; and
//! tells such a stream from events, and from frames.

use bytes::{Bytes, BytesMut};

#[cfg(feature = "bedrock")]
use super::framed::Framed;
use super::{
    format::Framings,
    frame::{Event, Frame, Framer},
};
#[cfg(feature = "bedrock")]
use crate::eventstream::Prelude;

/// The incremental parser of a stream that is events, an array or frames; how it begins tells.
#[derive(Debug)]
pub(super) struct Frames {
    cap: usize,
    framings: Framings,
    parser: Parser,
    /// The stream before this one came in frames.
    was_framed: bool,
}

#[derive(Debug)]
enum Parser {
    Unknown(Vec<u8>),
    Events(Framer),
    Elements(Elements),
    #[cfg(feature = "bedrock")]
    Framed(Framed),
}

impl Frames {
    /// Of a dialect whose streams may come so.
    pub(super) fn new(cap: usize, framings: Framings) -> Self {
        let parser = match framings {
            Framings::Events => Parser::Events(Framer::new(cap)),
            #[cfg(feature = "bedrock")]
            Framings::Frames => Parser::Framed(Framed::new(cap)),
            _ => Parser::Unknown(Vec::new()),
        };
        Self { cap, framings, parser, was_framed: false }
    }

    /// The same for another stream.
    pub(super) fn again(&self) -> Self {
        Self { was_framed: self.is_framed(), ..Self::new(self.cap, self.framings) }
    }

    /// Whether it comes in frames.
    pub(super) fn is_framed(&self) -> bool {
        match self.parser {
            #[cfg(feature = "bedrock")]
            Parser::Framed(_) => true,
            Parser::Unknown(_) => self.was_framed,
            _ => false,
        }
    }

    pub(super) fn push(&mut self, chunk: &[u8]) {
        match &mut self.parser {
            Parser::Unknown(seen) => {
                let from = seen.len();
                seen.extend_from_slice(chunk);
                let Some(parser) = Parser::of(seen, from, self.framings, self.cap) else { return };
                let seen = std::mem::take(seen);
                self.parser = parser;
                self.push(&seen);
            }
            Parser::Events(framer) => framer.push(chunk),
            Parser::Elements(elements) => elements.buffer.extend_from_slice(chunk),
            #[cfg(feature = "bedrock")]
            Parser::Framed(framed) => framed.push(chunk),
        }
    }

    /// The next frame; `None` if more bytes are needed.
    pub(super) fn next(&mut self) -> Option<Frame> {
        match &mut self.parser {
            Parser::Unknown(_) => None,
            Parser::Events(framer) => framer.next(),
            Parser::Elements(elements) => elements.next(),
            #[cfg(feature = "bedrock")]
            Parser::Framed(framed) => framed.next(),
        }
    }

    /// What is left at the end of the stream.
    pub(super) fn finish(&mut self) -> Option<Frame> {
        match &mut self.parser {
            Parser::Unknown(seen) if seen.is_empty() => None,
            Parser::Unknown(seen) => {
                let left = Bytes::from(std::mem::take(seen));
                Some(Frame::Event(Event::element(left, None, false)))
            }
            Parser::Events(framer) => framer.finish(),
            Parser::Elements(elements) => elements.finish(),
            #[cfg(feature = "bedrock")]
            Parser::Framed(framed) => framed.finish(),
        }
    }
}

impl Parser {
    /// What reads a stream that begins with `seen`, of which what stands before `from` did not tell;
    /// `None` if more of it must be seen. Where the stream was cut has no part in it.
    fn of(seen: &[u8], from: usize, framings: Framings, cap: usize) -> Option<Self> {
        match framings {
            Framings::EventsOrArray => {
                // What was seen before is white space.
                let first = seen[from..].iter().find(|byte| !byte.is_ascii_whitespace());
                if first.is_none() && seen.len() <= cap {
                    return None;
                }
                if first == Some(&b'[') {
                    return Some(Self::Elements(Elements::new(cap)));
                }
            }
            #[cfg(feature = "bedrock")]
            Framings::EventsOrFrames => match Prelude::at_start(seen) {
                Prelude::Valid => return Some(Self::Framed(Framed::new(cap))),
                Prelude::Short => return None,
                Prelude::None => {}
            },
            _ => {}
        }
        Some(Self::Events(Framer::new(cap)))
    }
}

/// The incremental parser of an array.
#[derive(Debug)]
pub(super) struct Elements {
    buffer: BytesMut,
    cap: usize,
    /// The next byte to look at.
    cursor: usize,
    depth: usize,
    string: bool,
    /// Where the current element starts.
    start: Option<usize>,
    /// The element passes in pieces.
    passing: bool,
}

impl Elements {
    fn new(cap: usize) -> Self {
        Self { buffer: BytesMut::new(), cap, cursor: 0, depth: 0, string: false, start: None, passing: false }
    }

    fn next(&mut self) -> Option<Frame> {
        if let Some(end) = self.scan() {
            return Some(self.take(end, true));
        }
        (self.buffer.len() > self.cap || (self.passing && self.cursor > 0))
            .then(|| self.take(self.cursor, false))
    }

    fn finish(&mut self) -> Option<Frame> {
        let end = self.buffer.len();
        (end > 0).then(|| self.take(end, false))
    }

    /// Looks for the end of an element, or of the array; returns the offset behind it.
    fn scan(&mut self) -> Option<usize> {
        while self.cursor < self.buffer.len() {
            if self.string {
                let Some(found) = memchr::memchr2(b'"', b'\\', &self.buffer[self.cursor..]) else {
                    self.cursor = self.buffer.len();
                    return None;
                };
                let at = self.cursor + found;
                if self.buffer[at] == b'"' {
                    (self.string, self.cursor) = (false, at + 1);
                } else if at + 1 < self.buffer.len() {
                    self.cursor = at + 2;
                } else {
                    // What is escaped has not come yet.
                    self.cursor = at;
                    return None;
                }
                continue;
            }
            let at = self.cursor;
            self.cursor += 1;
            match self.buffer[at] {
                b'"' => self.string = true,
                b'{' | b'[' => {
                    if self.depth == 1 {
                        self.start = Some(at);
                    }
                    self.depth += 1;
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth <= 1 {
                        return Some(self.cursor);
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn take(&mut self, end: usize, whole: bool) -> Frame {
        let long = self.passing || end > self.cap || (!whole && self.buffer.len() > self.cap);
        let first = !self.passing;
        let bytes = self.buffer.split_to(end).freeze();
        self.cursor = self.cursor.saturating_sub(end);
        self.passing = long && !whole;
        let start = self.start.take();
        if long {
            return Frame::Piece { bytes, first };
        }
        let element = start.filter(|_| whole).map(|start| start..end);
        Frame::Event(Event::element(bytes, element, whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(chunks: &[&[u8]], cap: usize) -> (Vec<String>, Vec<u8>) {
        let mut frames = Frames::new(cap, Framings::EventsOrArray);
        let (mut seen, mut bytes) = (Vec::new(), Vec::new());
        let mut take = |frame: Frame| match frame {
            Frame::Event(event) => {
                bytes.extend_from_slice(&event.raw());
                seen.push(event.data().unwrap_or("-").to_owned());
            }
            Frame::Piece { bytes: piece, first } => {
                bytes.extend_from_slice(&piece);
                if first {
                    seen.push("long".to_owned());
                }
            }
        };
        for chunk in chunks {
            frames.push(chunk);
            while let Some(frame) = frames.next() {
                take(frame);
            }
        }
        while let Some(frame) = frames.finish() {
            take(frame);
        }
        (seen, bytes)
    }

    #[test]
    fn elements_at_every_cut() {
        let text = " [{\"a\":\"}]\\\"\\\\\"}\n,\r\n{\"b\":[{}, 1]},{}\n] ";
        for at in 0..text.len() {
            let (seen, bytes) = frames(&[&text.as_bytes()[..at], &text.as_bytes()[at..]], 1 << 20);
            assert_eq!(seen, ["{\"a\":\"}]\\\"\\\\\"}", "{\"b\":[{}, 1]}", "{}", "-", "-"], "cut at {at}");
            assert_eq!(bytes, text.as_bytes());
        }
        assert_eq!(frames(&[b"data: 1\n\n"], 99).0, ["1"]);
        assert_eq!(frames(&[b" \n"], 99).0, ["-"]);
        assert_eq!(frames(&[b"[{\"a\": \"x"], 99).0, ["-"]);
    }

    #[test]
    fn edge_68_an_element_above_the_cap_passes_and_the_next_is_read() {
        let text = format!("[{{}},{{\"a\":\"{}\"}},{{\"b\":1}}]", "x".repeat(100));
        for at in 0..text.len() {
            let (seen, bytes) = frames(&[&text.as_bytes()[..at], &text.as_bytes()[at..]], 32);
            assert_eq!(seen, ["{}", "long", "{\"b\":1}", "-"], "cut at {at}");
            assert_eq!(bytes, text.as_bytes());
        }
    }
}
