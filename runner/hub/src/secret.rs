//! Tokens: how they are made, and how what is presented is compared with what is expected.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// Bytes of chance in a token.
const LENGTH: usize = 20;

/// A token in clear. It does not show in its `Debug` form.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A new one: 40 hexadecimal characters.
    ///
    /// # Errors
    /// If the system has no randomness to give.
    pub fn random() -> std::io::Result<Self> {
        Ok(Self(random_hex::<LENGTH>()?))
    }

    /// One that somebody chose.
    pub fn given(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// In clear, for whoever is to present it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub(crate) fn digest(&self) -> TokenDigest {
        TokenDigest::of(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// `N` random bytes in hexadecimal.
pub(crate) fn random_hex<const N: usize>() -> std::io::Result<String> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// SHA-256 of a token. Comparing digests takes the same time whatever the difference tells about the token: nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenDigest([u8; 32]);

impl TokenDigest {
    pub(crate) fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_forty_hexadecimal_characters_and_differ() {
        let (one, other) = (Token::random().unwrap(), Token::random().unwrap());
        assert_eq!(one.reveal().len(), 40);
        assert!(one.reveal().bytes().all(|b| b.is_ascii_hexdigit()));
        assert_ne!(one, other);
        assert_eq!(one.digest(), TokenDigest::of(one.reveal()));
        assert_ne!(one.digest(), other.digest());
    }

    #[test]
    fn nothing_of_a_token_is_shown() {
        let token = Token::given("s3cret");
        assert_eq!(
            format!("{token:?} {:?}", token.digest()),
            "Token(…) TokenDigest(…)"
        );
    }
}
