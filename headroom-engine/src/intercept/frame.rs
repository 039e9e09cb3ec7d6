//! Cuts a byte stream into server-sent events and keeps each event's own bytes beside its fields.
//!
//! Where an event ends depends on the bytes alone, never on how they were cut into chunks. To know
//! that, one byte behind a carriage return is awaited, unless the event's lines end in lone ones.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::raw::{Edit, splice};

/// The most bytes of one event that are held; what is longer passes unread.
pub(super) const EVENT_CAP: usize = 32 << 20;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// One event, or a piece of one that is too long to hold.
#[derive(Debug)]
pub(super) enum Frame {
    Event(Event),
    /// `first` is the start of the event, and then holds at least as many bytes as the cap.
    Piece {
        bytes: Bytes,
        first: bool,
    },
}

/// A server-sent event.
#[derive(Clone, Debug, Default)]
pub(super) struct Event {
    raw: Bytes,
    /// Where the lines of data stand in `raw`.
    lines: Vec<Range<usize>>,
    /// The data of several lines.
    joined: Option<String>,
    /// The blank line has been seen.
    whole: bool,
    /// An element of an array, or what stands around them.
    element: bool,
    /// A frame that tells its own length.
    #[cfg(feature = "bedrock")]
    message: Option<super::framed::Envelope>,
}

/// The incremental parser.
#[derive(Debug)]
pub(super) struct Framer {
    buffer: BytesMut,
    cap: usize,
    /// The next byte to look at.
    cursor: usize,
    /// Bytes of the current line before the cursor.
    line: usize,
    /// The line before this one ended in a lone carriage return; `None` at an event's start.
    lone_cr: Option<bool>,
    /// The event passes in pieces.
    passing: bool,
    started: bool,
}

impl Framer {
    pub(super) fn new(cap: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            cap,
            cursor: 0,
            line: 0,
            lone_cr: None,
            passing: false,
            started: false,
        }
    }

    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next event; `None` if more bytes are needed.
    pub(super) fn next(&mut self) -> Option<Frame> {
        if let Some(end) = self.scan() {
            return Some(self.take(end, true));
        }
        (self.buffer.len() > self.cap || (self.passing && self.cursor > 0))
            .then(|| self.take(self.cursor, false))
    }

    /// What is left at the end of the stream.
    pub(super) fn finish(&mut self) -> Option<Frame> {
        let end = self.buffer.len();
        (end > 0).then(|| self.take(end, false))
    }

    /// Looks for the blank line; returns the offset behind it.
    fn scan(&mut self) -> Option<usize> {
        loop {
            let Some(found) = memchr::memchr2(b'\n', b'\r', &self.buffer[self.cursor..]) else {
                self.line += self.buffer.len() - self.cursor;
                self.cursor = self.buffer.len();
                return None;
            };
            let at = self.cursor + found;
            let blank = self.line + found == 0;
            let mut lone = self.buffer[at] == b'\r';
            let mut end = at + 1;
            if lone && !(blank && self.lone_cr == Some(true)) {
                match self.buffer.get(at + 1) {
                    Some(b'\n') => (lone, end) = (false, at + 2),
                    Some(_) => {}
                    None => {
                        self.line += found;
                        self.cursor = at;
                        return None;
                    }
                }
            }
            self.cursor = end;
            self.line = 0;
            if blank {
                return Some(end);
            }
            self.lone_cr = Some(lone);
        }
    }

    fn take(&mut self, end: usize, whole: bool) -> Frame {
        let long = self.passing || end > self.cap || (!whole && self.buffer.len() > self.cap);
        let first = !self.passing;
        let bytes = self.buffer.split_to(end).freeze();
        self.cursor = self.cursor.saturating_sub(end);
        if whole {
            (self.lone_cr, self.line) = (None, 0);
        }
        self.passing = long && !whole;
        let start = !std::mem::replace(&mut self.started, true);
        if long { Frame::Piece { bytes, first } } else { Frame::Event(Event::parse(bytes, start, whole)) }
    }
}

impl Event {
    fn parse(raw: Bytes, start_of_stream: bool, whole: bool) -> Self {
        let mut event = Self { whole, ..Self::default() };
        let mut at = if start_of_stream && raw.starts_with(BOM) { BOM.len() } else { 0 };
        while at < raw.len() {
            let end = memchr::memchr2(b'\n', b'\r', &raw[at..]).map_or(raw.len(), |found| at + found);
            let line = &raw[at..end];
            let colon = memchr::memchr(b':', line).unwrap_or(line.len());
            let space = usize::from(line.get(colon + 1) == Some(&b' '));
            let value = (at + colon + 1 + space).min(end)..end;
            if &line[..colon] == b"data" {
                event.lines.push(value);
            }
            at = end + 1;
        }
        if event.lines.len() > 1 {
            let parts: Option<Vec<&str>> =
                event.lines.iter().map(|line| std::str::from_utf8(&raw[line.clone()]).ok()).collect();
            event.joined = parts.map(|parts| parts.join("\n"));
        }
        event.raw = raw;
        event
    }

    /// An element of an array with what stands in front of it, or what stands behind the last.
    pub(super) fn element(raw: Bytes, element: Option<Range<usize>>, whole: bool) -> Self {
        Self { raw, lines: element.into_iter().collect(), whole, element: true, ..Self::default() }
    }

    /// A frame, and the data in it if that is not what stands in its bytes.
    #[cfg(feature = "bedrock")]
    pub(super) fn framed(
        message: super::framed::Envelope,
        data: Range<usize>,
        joined: Option<String>,
    ) -> Self {
        let raw = message.raw();
        Self { raw, lines: vec![data], joined, whole: true, message: Some(message), ..Self::default() }
    }

    /// A part of a frame at the end of a stream.
    #[cfg(feature = "bedrock")]
    pub(super) fn part(raw: Bytes) -> Self {
        Self { raw, ..Self::default() }
    }

    /// What it is, where frames say so.
    #[cfg(feature = "bedrock")]
    pub(super) fn name(&self) -> Option<&str> {
        self.message.as_ref()?.event_type()
    }

    /// Whether it is a frame.
    pub(super) fn is_framed(&self) -> bool {
        let framed = false;
        #[cfg(feature = "bedrock")]
        let framed = framed || self.message.is_some();
        framed
    }

    /// Whether it is a frame that says what went wrong.
    pub(super) fn is_failure(&self) -> bool {
        let failure = false;
        #[cfg(feature = "bedrock")]
        let failure = failure || self.message.as_ref().is_some_and(|message| message.is_failure());
        failure
    }

    pub(super) fn is_element(&self) -> bool {
        self.element
    }

    /// The event's bytes as they came.
    pub(super) fn raw(&self) -> Bytes {
        self.raw.clone()
    }

    /// Whether the stream did not end within the event.
    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// The data; `None` if there is none or it is not UTF-8.
    pub(super) fn data(&self) -> Option<&str> {
        match self.lines.as_slice() {
            _ if self.joined.is_some() => self.joined.as_deref(),
            [line] => std::str::from_utf8(&self.raw[line.clone()]).ok(),
            _ => None,
        }
    }

    /// The event with edits made to its data, all other bytes as they came, so that another may
    /// follow.
    pub(super) fn edited(&self, mut edits: Vec<Edit>) -> Bytes {
        if edits.is_empty() && self.whole {
            return self.raw();
        }
        #[cfg(feature = "bedrock")]
        if let Some(message) = &self.message {
            return self.data().map_or_else(|| self.raw(), |data| message.with_data(&splice(data, edits)));
        }
        let Ok(raw) = std::str::from_utf8(&self.raw) else {
            return self.raw();
        };
        let end = self.data().map_or(0, str::len);
        if !self.whole {
            edits.push((end..end, "\n\n".to_owned()));
        }
        let moved = edits
            .into_iter()
            .map(|(range, new)| {
                let end = self.offset(range.end).max(self.offset(range.start));
                (self.offset(range.start)..end, new)
            })
            .collect();
        splice(raw, moved).into()
    }

    /// Where an offset in the data stands in the bytes.
    fn offset(&self, data: usize) -> usize {
        let mut before = 0;
        for line in &self.lines {
            if data <= before + line.len() {
                return line.start + (data - before);
            }
            before += line.len() + 1;
        }
        self.raw.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(chunks: &[&[u8]], cap: usize) -> (Vec<String>, Vec<u8>) {
        let mut framer = Framer::new(cap);
        let (mut events, mut bytes) = (Vec::new(), Vec::new());
        let mut take = |frame: Frame| match frame {
            Frame::Event(event) => {
                bytes.extend_from_slice(&event.raw());
                events.push(event.data().unwrap_or("no data").to_owned());
            }
            Frame::Piece { bytes: piece, first } => {
                bytes.extend_from_slice(&piece);
                if first {
                    events.push("long".to_owned());
                }
            }
        };
        for chunk in chunks {
            framer.push(chunk);
            while let Some(frame) = framer.next() {
                take(frame);
            }
        }
        while let Some(frame) = framer.finish() {
            take(frame);
        }
        (events, bytes)
    }

    fn data(chunks: &[&[u8]]) -> Vec<String> {
        frames(chunks, EVENT_CAP).0
    }

    #[test]
    fn edge_52_line_ends_comments_bom_and_odd_data_lines() {
        for end in ["\n", "\r\n", "\r"] {
            let text =
                ["\u{feff}event: a", ": note", "data:x\u{2028}y", "data: z", "id: 7", "", "data", "", ""]
                    .join(end);
            let (events, bytes) = frames(&[text.as_bytes()], EVENT_CAP);
            assert_eq!(events, ["x\u{2028}y\nz", ""], "{end:?}");
            assert_eq!(bytes, text.as_bytes());
        }
    }

    #[test]
    fn a_stream_of_lone_carriage_returns_is_not_kept_waiting() {
        let mut framer = Framer::new(EVENT_CAP);
        framer.push(b"data: 1\r\r");
        assert!(matches!(framer.next(), Some(Frame::Event(_))));
    }

    #[test]
    fn edge_68_an_event_above_the_cap_passes_and_the_next_is_read() {
        let text = format!("data: 1\n\ndata: {}\n\ndata: 2\n\n", "x".repeat(100));
        for cut in 0..text.len() {
            let (events, bytes) = frames(&[&text.as_bytes()[..cut], &text.as_bytes()[cut..]], 32);
            assert_eq!(events, ["1", "long", "2"], "cut at {cut}");
            assert_eq!(bytes, text.as_bytes());
        }
    }

    #[test]
    fn edits_reach_through_several_lines() {
        let mut framer = Framer::new(EVENT_CAP);
        framer.push(b"event: e\r\ndata: {\"a\":\r\ndata: 1,\r\ndata:\"b\":2}\r\n\r\n");
        let Some(Frame::Event(event)) = framer.next() else { panic!("an event") };
        let data = event.data().unwrap();
        let at = data.find('1').unwrap();
        let edited = event.edited(vec![(at..at + 1, "77".into())]);
        assert_eq!(edited, "event: e\r\ndata: {\"a\":\r\ndata: 77,\r\ndata:\"b\":2}\r\n\r\n");
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(
            text in proptest::collection::vec(prop_oneof![Just("\r"), Just("\n"), Just("data:"), Just("x"), Just("é"), Just(": c")], 0..40),
            cuts in proptest::collection::vec(0usize..80, 0..6),
            cap in 4usize..40,
        ) {
            let text = text.concat();
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            let whole = frames(&[bytes], cap);
            prop_assert_eq!(&whole.1, &bytes);
            prop_assert_eq!(&frames(&chunks, cap), &whole);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(frames(&single, cap), whole);
        }

        #[test]
        fn line_ends_do_not_matter(lines in proptest::collection::vec("[a-z:]{1,4}", 1..5)) {
            let text: Vec<String> = lines.iter().map(|line| format!("data: {line}")).collect();
            let of = |end: &str| data(&[format!("{}{end}{end}", text.join(end)).as_bytes()]);
            prop_assert_eq!(of("\n"), of("\r\n"));
            prop_assert_eq!(of("\n"), of("\r"));
        }
    }
}
