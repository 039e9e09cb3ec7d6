//! CRC-32 as in IEEE 802.3 (reflected polynomial 0xEDB88320), eight bytes a step.
//!
//! "Slicing-by-8": M. E. Kounavis, F. L. Berry, "Novel Table Lookup-Based Algorithms for
//! High-Performance CRC Generation", IEEE Transactions on Computers 57 (2008).

const TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut step = 1;
    while step < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[step - 1][byte];
            tables[step][byte] = before >> 8 ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        step += 1;
    }
    tables
}

/// The checksum of `bytes`.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let low = crc.to_le_bytes();
        let mut next = 0;
        for at in 0..8 {
            let byte = if at < 4 { chunk[at] ^ low[at] } else { chunk[at] };
            next ^= TABLES[7 - at][usize::from(byte)];
        }
        crc = next;
    }
    for byte in chunks.remainder() {
        crc = crc >> 8 ^ TABLES[0][usize::from(crc as u8 ^ byte)];
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bit by bit.
    fn naive(bytes: &[u8]) -> u32 {
        let mut crc = u32::MAX;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            }
        }
        !crc
    }

    #[test]
    fn the_check_value_of_the_catalogue() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_naive_one(bytes in proptest::collection::vec(any::<u8>(), 0..70)) {
            prop_assert_eq!(crc32(&bytes), naive(&bytes));
        }
    }
}
