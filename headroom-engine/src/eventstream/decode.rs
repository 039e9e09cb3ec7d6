//! Cuts a byte stream into frames.

use bytes::{Bytes, BytesMut};

use super::{
    crc::crc32,
    message::{Message, PRELUDE, TRAILER},
};

/// The longest frame that is read: a payload of 24 MiB, which is what AWS sends at most, and headers.
pub const MAX_FRAME: usize = (24 << 20) + (128 << 10) + PRELUDE + TRAILER;

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The checksum of the lengths is wrong: where the next frame begins is not known.
    #[error("the prelude's checksum does not match")]
    Prelude,
    /// The lengths make no frame, or one that is too long.
    #[error("a frame of {0} bytes cannot be read")]
    Length(usize),
    /// The checksum of the frame is wrong.
    #[error("the message's checksum does not match")]
    Message,
    /// The headers are not what the format allows.
    #[error("the headers cannot be read")]
    Headers,
}

/// The incremental parser. It holds one frame at most, and not more than [`MAX_FRAME`] bytes of it.
///
/// Behind the first error it reads nothing more: what it holds can be [taken](Self::take_rest), as
/// it came.
#[derive(Clone, Debug)]
pub struct Decoder {
    buffer: BytesMut,
    most: usize,
    failed: Option<DecodeError>,
    /// The prelude in front was verified.
    known: bool,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::with_limit(MAX_FRAME)
    }
}

impl Decoder {
    /// A decoder of frames of up to `bytes` bytes.
    #[must_use]
    pub fn with_limit(bytes: usize) -> Self {
        Self { buffer: BytesMut::new(), most: bytes, failed: None, known: false }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next frame; `None` if more bytes are needed.
    ///
    /// # Errors
    /// If what stands there is none; it stays the answer from then on.
    #[expect(clippy::should_implement_trait, reason = "more may come behind a `None`")]
    pub fn next(&mut self) -> Option<Result<Message, DecodeError>> {
        if self.failed.is_none() {
            match self.read() {
                Ok(message) => return message.map(Ok),
                Err(error) => self.failed = Some(error),
            }
        }
        self.failed.map(Err)
    }

    /// Whether nothing more is read.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// The bytes that are in no frame yet, as they came.
    pub fn take_rest(&mut self) -> Bytes {
        self.known = false;
        self.buffer.split().freeze()
    }

    /// The next `length` bytes as they came, once they are there.
    pub(crate) fn take(&mut self, length: usize) -> Option<Bytes> {
        (self.buffer.len() >= length).then(|| self.buffer.split_to(length).freeze())
    }

    /// The bytes of a verified prelude's frame whose content is not what it should be: what is behind
    /// them can be read.
    pub(crate) fn skip_frame(&mut self) -> Option<Bytes> {
        let (total, _) = self.lengths()?;
        let skippable = matches!(self.failed, Some(DecodeError::Message | DecodeError::Headers));
        if !skippable || self.buffer.len() < total {
            return None;
        }
        (self.failed, self.known) = (None, false);
        Some(self.buffer.split_to(total).freeze())
    }

    fn lengths(&self) -> Option<(usize, usize)> {
        let [total, headers] = [0, 4].map(|at| {
            self.buffer.get(at..at + 4).map_or([0; 4], |word| [word[0], word[1], word[2], word[3]])
        });
        (self.buffer.len() >= PRELUDE)
            .then(|| (u32::from_be_bytes(total) as usize, u32::from_be_bytes(headers) as usize))
    }

    fn read(&mut self) -> Result<Option<Message>, DecodeError> {
        let Some((total, headers)) = self.lengths() else { return Ok(None) };
        if !self.known {
            if crc32(&self.buffer[..PRELUDE - 4]) != word(&self.buffer[PRELUDE - 4..PRELUDE]) {
                return Err(DecodeError::Prelude);
            }
            if total > self.most || headers.saturating_add(PRELUDE + TRAILER) > total {
                return Err(DecodeError::Length(total));
            }
            self.known = true;
        }
        if self.buffer.len() < total {
            return Ok(None);
        }
        let sum = word(&self.buffer[total - TRAILER..total]);
        if crc32(&self.buffer[..total - TRAILER]) != sum {
            return Err(DecodeError::Message);
        }
        let raw = Bytes::copy_from_slice(&self.buffer[..total]);
        let message = Message::new(raw, headers).ok_or(DecodeError::Headers)?;
        let _ = self.buffer.split_to(total);
        self.known = false;
        Ok(Some(message))
    }
}

/// What a stream begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prelude {
    /// That of a frame.
    Valid,
    /// It may be one.
    Short,
    /// No frame.
    None,
}

impl Prelude {
    /// Judges the start of a stream, however much of it has come: a short one that cannot become a
    /// frame is none at once.
    pub(crate) fn at_start(bytes: &[u8]) -> Self {
        // A frame is shorter than 16 MiB, or a little longer; no text begins so.
        match (bytes.first(), bytes.get(..PRELUDE)) {
            (None, _) | (Some(0 | 1), None) => Self::Short,
            (Some(0 | 1), Some(prelude))
                if crc32(&prelude[..PRELUDE - 4]) == word(&prelude[PRELUDE - 4..]) =>
            {
                Self::Valid
            }
            _ => Self::None,
        }
    }
}

fn word(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
}
