//! Rows of both tables: what is bound, and what comes back.

use bytes::Bytes;

use super::error::Failure;
use crate::store::pack::{self, Codec};

/// Statements are cut here: a batch is prepared, sent and undone as one.
const ROWS: usize = 1_000;
const BYTES: usize = 8 << 20;

/// Below this, compressing takes less than handing it to another thread is worth.
const INLINE: usize = 128 << 10;

/// Rows to be written, as columns.
#[derive(Debug, Default)]
pub(super) struct Columns {
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) kinds: Vec<&'static str>,
    pub(super) codecs: Vec<i16>,
    pub(super) bytes: Vec<i32>,
    pub(super) bodies: Vec<Vec<u8>>,
}

/// One row to be written: its key, its kind, its content.
pub(super) type Entry = (Vec<u8>, &'static str, Bytes);

impl Columns {
    /// The rows of `entries`, in batches. The last of a key wins, and keys are sorted: batches that
    /// meet wait for each other's rows in one order, so they cannot wait in a circle.
    pub(super) async fn batches(mut entries: Vec<Entry>) -> Result<Vec<Self>, Failure> {
        entries.sort_by(|one, other| one.0.cmp(&other.0));
        entries.reverse();
        entries.dedup_by(|later, first| later.0 == first.0);
        entries.reverse();
        if entries.iter().map(|(_, _, content)| content.len()).sum::<usize>() <= INLINE {
            return Ok(Self::pack(entries));
        }
        tokio::task::spawn_blocking(move || Self::pack(entries)).await.map_err(|_| Failure::Other)
    }

    fn pack(entries: Vec<Entry>) -> Vec<Self> {
        let mut batches = Vec::new();
        let (mut batch, mut size) = (Self::default(), 0);
        for (key, kind, content) in entries {
            let (codec, packed) = pack::pack(&content);
            if batch.keys.len() == ROWS || (size + packed.len() > BYTES && size > 0) {
                batches.push(std::mem::take(&mut batch));
                size = 0;
            }
            size += packed.len();
            batch.keys.push(key);
            batch.kinds.push(kind);
            batch.codecs.push(codec as i16);
            batch.bytes.push(i32::try_from(content.len()).unwrap_or(i32::MAX));
            batch.bodies.push(packed.into_owned());
        }
        batches.push(batch);
        batches
    }
}

/// What a row says its content is.
pub(super) async fn content(codec: i16, body: Vec<u8>, bytes: i32) -> Result<Bytes, Failure> {
    let codec = Codec::of(codec).ok_or(Failure::Damaged)?;
    let bytes = usize::try_from(bytes).map_err(|_| Failure::Damaged)?;
    let content = if bytes <= INLINE || codec == Codec::Plain {
        pack::unpack(codec, body, bytes)
    } else {
        tokio::task::spawn_blocking(move || pack::unpack(codec, body, bytes))
            .await
            .map_err(|_| Failure::Other)?
    };
    content.map(Bytes::from).map_err(|_| Failure::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: u8, content: &'static str) -> Entry {
        (vec![key], "text", Bytes::from_static(content.as_bytes()))
    }

    #[tokio::test]
    async fn sorted_and_the_last_of_a_key() {
        let entries = vec![entry(2, "a"), entry(1, "b"), entry(2, "c"), entry(1, "d")];
        let batches = Columns::batches(entries).await.unwrap();
        assert_eq!(batches.len(), 1);
        assert_eq!(batches[0].keys, [[1], [2]]);
        assert_eq!(batches[0].bodies, [b"d", b"c"]);
    }

    #[tokio::test]
    async fn many_or_large_rows_are_several_batches() {
        let entry = |n: usize, content: Bytes| (n.to_be_bytes().to_vec(), "text", content);
        let many = (0..2_500).map(|n| entry(n, Bytes::from_static(b"x"))).collect();
        let sizes: Vec<usize> =
            Columns::batches(many).await.unwrap().iter().map(|batch| batch.keys.len()).collect();
        assert_eq!(sizes, [1_000, 1_000, 500]);
        // Noise does not compress.
        let noise = |seed: usize| {
            let mut out = vec![0; 5 << 20];
            blake3::Hasher::new().update(&seed.to_be_bytes()).finalize_xof().fill(&mut out);
            Bytes::from(out)
        };
        let large = (0..3).map(|n| entry(n, noise(n))).collect();
        let batches = Columns::batches(large).await.unwrap();
        assert_eq!(batches.len(), 3);
        let back = content(batches[1].codecs[0], batches[1].bodies[0].clone(), batches[1].bytes[0]);
        assert_eq!(back.await.unwrap(), noise(1));
    }
}
