//! Handles: what redeems an original.

use std::{fmt, str::FromStr};

/// Decimal digits in the text of a handle.
///
/// `o200k` and most other vocabularies hold every group of three digits as one token, so thirty
/// digits are 99.7 bits in ten tokens; hexadecimal needs 14 for 96 bits, base 32 13 for 100 (see
/// the test `digits_are_the_cheapest_alphabet`).
pub const DIGITS: usize = 30;

const MODULUS: u128 = 10u128.pow(DIGITS as u32);

/// The key under which handles are hashed.
///
/// It is a deployment's constant, never a credential, so that every replica writes the same
/// marker. A private key keeps outsiders from computing the handle of a text they guess.
///
/// ```
/// use headroom_engine::ccr::{Handle, HandleKey};
/// let (public, private) = (HandleKey::default(), HandleKey::derive(b"a secret of the deployment"));
/// assert_ne!(Handle::new(&public, "text", "guessed"), Handle::new(&private, "text", "guessed"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HandleKey([u8; 32]);

impl HandleKey {
    /// Derives a key from any secret of the deployment.
    #[must_use]
    pub fn derive(secret: &[u8]) -> Self {
        Self(blake3::derive_key("headroom 2026-11 handle key", secret))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Default for HandleKey {
    fn default() -> Self {
        Self::derive(b"default")
    }
}

impl fmt::Debug for HandleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandleKey(..)")
    }
}

/// Names one original: a hash of its kind and bytes under the deployment's [`HandleKey`].
///
/// ```
/// use headroom_engine::ccr::{Handle, HandleKey};
/// let handle = Handle::new(&HandleKey::default(), "text", "the original");
/// assert_eq!(handle.to_string().parse::<Handle>(), Ok(handle));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(u128);

impl Handle {
    /// The handle of `original`, hashed together with its `kind`.
    #[must_use]
    pub fn new(key: &HandleKey, kind: &str, original: &str) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(key.bytes());
        hasher.update(&(kind.len() as u64).to_le_bytes());
        hasher.update(kind.as_bytes());
        hasher.update(original.as_bytes());
        let mut wide = [0; 16];
        wide.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        // The bias of the modulus over 128 bits is below 2^-28.
        Self(u128::from_le_bytes(wide) % MODULUS)
    }

    /// The handle as bytes, for stores.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The inverse of [`Handle::to_bytes`]; `None` for bytes no handle has.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        let value = u128::from_be_bytes(bytes);
        (value < MODULUS).then_some(Self(value))
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$}", self.0, width = DIGITS)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({self})")
    }
}

/// The text is not a handle: thirty decimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a handle is {DIGITS} decimal digits")]
pub struct ParseHandleError;

impl FromStr for Handle {
    type Err = ParseHandleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != DIGITS || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(ParseHandleError);
        }
        text.parse().map(Self).map_err(|_| ParseHandleError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::{O200k, TokenCounter};

    #[test]
    fn same_bytes_same_handle_and_kind_and_key_matter() {
        let key = HandleKey::default();
        let handle = Handle::new(&key, "text", "abc");
        assert_eq!(handle, Handle::new(&key, "text", "abc"));
        assert_ne!(handle, Handle::new(&key, "json", "abc"));
        assert_ne!(handle, Handle::new(&HandleKey::derive(b"x"), "text", "abc"));
        assert_ne!(Handle::new(&key, "a", "bc"), Handle::new(&key, "ab", "c"));
        assert_eq!(Handle::from_bytes(handle.to_bytes()), Some(handle));
        assert_eq!(Handle::from_bytes([0xff; 16]), None);
    }

    #[test]
    fn digits_are_the_cheapest_alphabet() {
        let mut totals = [0usize; 3];
        for seed in 0..200 {
            let hash = blake3::hash(format!("{seed}").as_bytes());
            let wide = u128::from_le_bytes(hash.as_bytes()[..16].try_into().unwrap());
            let base32: String = (0..20)
                .map(|at| b"abcdefghijkmnpqrstuvwxyz23456789"[(wide >> (5 * at)) as usize % 32] as char)
                .collect();
            for (total, text) in totals.iter_mut().zip([
                Handle(wide % MODULUS).to_string(),
                format!("{:024x}", wide >> 32),
                base32,
            ]) {
                *total += O200k.count(&format!("[~lines 57-98 #{text}]"));
            }
        }
        assert!(totals[0] < totals[1] && totals[0] < totals[2], "{totals:?}");
        assert_eq!(totals[0] / 200, 19);
    }

    #[test]
    fn rejects_what_is_not_a_handle() {
        for bad in ["", "123", &"1".repeat(31), &"+".repeat(30), &"é".repeat(15)] {
            assert_eq!(bad.parse::<Handle>(), Err(ParseHandleError), "{bad}");
        }
    }
}
