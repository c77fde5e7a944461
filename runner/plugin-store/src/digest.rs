//! Digests of components and manifests.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// A SHA-256 digest. Shown and read as `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    hex: String,
}

/// A text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a digest: {rule}", rule = Self::RULE)]
pub struct NotADigest(String);

impl NotADigest {
    /// What a digest looks like, for where the text that is none is shown already.
    pub const RULE: &str = "it has to be `sha256:` and 64 digits or letters from a to f";
}

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_hash(Sha256::new_with_prefix(bytes))
    }

    /// The digest of what has been fed to `hash`.
    pub(crate) fn from_hash(hash: Sha256) -> Self {
        let hex = hash.finalize().iter().fold(String::new(), |mut hex, byte| {
            for half in [byte >> 4, byte & 15] {
                hex.push(char::from_digit(half.into(), 16).unwrap_or_default());
            }
            hex
        });
        Self { hex }
    }

    /// Its hexadecimal digits.
    pub fn hex(&self) -> &str {
        &self.hex
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex)
    }
}

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let hexadecimal = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        text.strip_prefix("sha256:")
            .filter(|hex| hex.len() == 64 && hex.bytes().all(hexadecimal))
            .map(|hex| Self {
                hex: hex.to_owned(),
            })
            .ok_or_else(|| NotADigest(text.chars().take(100).collect()))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_digest_is_that_of_its_bytes_and_reads_as_it_is_shown() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse(), Ok(Digest::of(b"")));
    }

    #[rstest]
    fn refuses(
        #[values("", "sha256:", "sha256:e3b0", "sha512:e3b0", &EMPTY[7..], &EMPTY.to_uppercase(), &format!("{EMPTY}0"))]
        text: &str,
    ) {
        assert!(text.parse::<Digest>().is_err());
    }
}
