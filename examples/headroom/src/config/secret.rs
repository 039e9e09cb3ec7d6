//! Values that are used and never shown.

use std::{convert::Infallible, fmt, str::FromStr};

use serde::Deserialize;

/// A token, a key or an address with a password in it. It prints as dots, wherever it gets.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl Secret {
    /// The value, for its use.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether `given` is this value, in a time that does not depend on where they differ.
    pub(crate) fn is(&self, given: &[u8]) -> bool {
        // Comparing blake3's hashes takes constant time.
        blake3::hash(self.0.as_bytes()) == blake3::hash(given)
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_compared_and_never_shown() {
        let secret: Secret = "hush".parse().unwrap();
        assert!(secret.is(b"hush") && !secret.is(b"hush!") && !secret.is(b""));
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }
}
