//! Server-sent events out of bytes that may be cut anywhere.

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The `event:` field; empty if there is none.
    pub name: String,
    /// The `data:` lines, joined by newlines.
    pub data: String,
}

/// Collects bytes into events, as the HTML standard reads them: lines end at LF, CRLF or CR,
/// comments and unknown fields are skipped, an event without data is none.
#[derive(Debug, Default)]
pub struct Framer {
    line: Vec<u8>,
    after_cr: bool,
    started: bool,
    event: Event,
    has_data: bool,
}

impl Framer {
    /// The events that `bytes` complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        for &byte in bytes {
            let after_cr = std::mem::take(&mut self.after_cr);
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => {
                    self.after_cr = byte == b'\r';
                    let line = std::mem::take(&mut self.line);
                    events.extend(self.end_of_line(&line));
                }
                _ => self.line.push(byte),
            }
        }
        events
    }

    /// Whether an event was begun and not completed.
    #[must_use]
    pub fn is_mid_event(&self) -> bool {
        !self.line.is_empty() || self.has_data
    }

    fn end_of_line(&mut self, line: &[u8]) -> Option<Event> {
        let mut line = String::from_utf8_lossy(line);
        if !std::mem::replace(&mut self.started, true) && line.starts_with('\u{feff}') {
            line = line['\u{feff}'.len_utf8()..].to_owned().into();
        }
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            _ => {}
        }
        None
    }
}
