//! Cuts a byte stream into the elements of one JSON array, each with the bytes in front of it.

use bytes::{Bytes, BytesMut};

use super::frame::{Event, Frame, Framer};

/// The incremental parser of a stream that is either events or an array; the first byte tells.
#[derive(Debug)]
pub(super) enum Frames {
    Unknown(usize, Vec<u8>),
    Events(Framer),
    Elements(Elements),
}

impl Frames {
    /// Of a dialect whose streams may be `arrays`.
    pub(super) fn new(cap: usize, arrays: bool) -> Self {
        if arrays { Self::Unknown(cap, Vec::new()) } else { Self::Events(Framer::new(cap)) }
    }

    /// The same for another stream.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Unknown(cap, _) => Self::new(*cap, true),
            Self::Elements(elements) => Self::new(elements.cap, true),
            Self::Events(framer) => Self::Events(Framer::new(framer.cap())),
        }
    }

    pub(super) fn push(&mut self, chunk: &[u8]) {
        match self {
            Self::Unknown(cap, seen) => {
                // What was seen so far is white space.
                seen.extend_from_slice(chunk);
                let first = chunk.iter().find(|byte| !byte.is_ascii_whitespace());
                if first.is_none() && seen.len() <= *cap {
                    return;
                }
                let (cap, array, seen) = (*cap, first == Some(&b'['), std::mem::take(seen));
                *self = match array {
                    true => Self::Elements(Elements::new(cap)),
                    false => Self::Events(Framer::new(cap)),
                };
                self.push(&seen);
            }
            Self::Events(framer) => framer.push(chunk),
            Self::Elements(elements) => elements.buffer.extend_from_slice(chunk),
        }
    }

    /// The next frame; `None` if more bytes are needed.
    pub(super) fn next(&mut self) -> Option<Frame> {
        match self {
            Self::Unknown(..) => None,
            Self::Events(framer) => framer.next(),
            Self::Elements(elements) => elements.next(),
        }
    }

    /// What is left at the end of the stream.
    pub(super) fn finish(&mut self) -> Option<Frame> {
        match self {
            Self::Unknown(_, seen) if seen.is_empty() => None,
            Self::Unknown(_, seen) => {
                let left = Bytes::from(std::mem::take(seen));
                Some(Frame::Event(Event::element(left, None, false)))
            }
            Self::Events(framer) => framer.finish(),
            Self::Elements(elements) => elements.finish(),
        }
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
        let mut frames = Frames::new(cap, true);
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
