//! Content as it is kept: compressed where that makes it smaller.

use std::{borrow::Cow, io};

/// Below this nothing is won.
const WORTH: usize = 128;

/// zstd's own default: some 500 MB/s on one core, text to a fifth of its size.
const LEVEL: i32 = 3;

/// The longest content that is unpacked, in bytes: what is longer was not packed by us.
const LONGEST: usize = 1 << 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Codec {
    Plain = 0,
    Zstd = 1,
}

impl Codec {
    pub(super) fn of(number: i16) -> Option<Self> {
        [Self::Plain, Self::Zstd].into_iter().find(|codec| *codec as i16 == number)
    }
}

/// `content` as it is kept.
pub(super) fn pack(content: &[u8]) -> (Codec, Cow<'_, [u8]>) {
    if content.len() >= WORTH
        && let Ok(packed) = compress(content)
        && packed.len() < content.len()
    {
        return (Codec::Zstd, packed.into());
    }
    (Codec::Plain, content.into())
}

/// With a checksum: content that was damaged is an error, not another content.
fn compress(content: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.include_checksum(true)?;
    compressor.compress(content)
}

/// The inverse of [`pack`]; `bytes` is the length of the content.
pub(super) fn unpack(codec: Codec, packed: Vec<u8>, bytes: usize) -> io::Result<Vec<u8>> {
    let content = match codec {
        _ if bytes > LONGEST => return Err(io::Error::other("too long to be ours")),
        Codec::Plain => packed,
        Codec::Zstd => zstd::bulk::decompress(&packed, bytes)?,
    };
    if content.len() == bytes { Ok(content) } else { Err(io::Error::other("cut or damaged")) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn comes_back(content in proptest::collection::vec(any::<u8>(), 0..600), times in 1usize..20) {
            let content = content.repeat(times);
            let (codec, packed) = pack(&content);
            prop_assert!(packed.len() <= content.len());
            prop_assert_eq!(unpack(codec, packed.into_owned(), content.len()).unwrap(), content);
        }
    }

    #[test]
    fn damage_is_an_error() {
        let content = b"2026-11-02 INFO worker: nothing to do\n".repeat(40);
        let (codec, packed) = pack(&content);
        assert_eq!(codec, Codec::Zstd);
        assert!(packed.len() * 5 < content.len());
        assert!(unpack(codec, packed.to_vec(), content.len() - 1).is_err());
        assert!(unpack(codec, packed.to_vec(), usize::MAX).is_err());
        for at in 0..packed.len() {
            let mut damaged = packed.to_vec();
            damaged[at] ^= 1;
            let read = unpack(codec, damaged, content.len());
            assert!(read.is_err() || read.unwrap() == content, "byte {at}");
        }
    }
}
