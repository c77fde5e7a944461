//! Taking secrets out of text that people see.
//!
//! [`Secrets`] knows the spellings of every secret: plain, base64 in both alphabets wherever it begins in a longer text,
//! percent-encoded, escaped as in JSON, and the long lines of a secret with several. All of them are found also where line breaks
//! were put into them, as `base64` does every 76 characters, and escape sequences and control characters, which terminals do not show. What is found becomes [`MASK`].
//!
//! A [`Redactor`] does this to a stream in chunks of any size. It holds back only what may be the beginning of a secret, so at most a little
//! more than the longest spelling.
//!
//! Only text for people passes here. Diffs, outputs and what templates see are results and stay as they are.

mod known;
mod past;
mod spelling;
mod stream;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

pub use known::is_known_public;
pub use spelling::{MIN_LENGTH, is_short};
pub use stream::Redactor;

/// What stands in place of a secret.
pub const MASK: &str = "********";

/// The secrets of a job. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// `None` if there are none.
    known: Option<Arc<Known>>,
}

/// The secrets are too large to be taken out of anything.
#[derive(Debug, thiserror::Error)]
#[error("the secrets are too large to be redacted: {0}")]
pub struct TooLarge(String);

/// All spellings, without what is looked past.
#[derive(Debug)]
struct Known {
    automaton: AhoCorasick,
    /// In byte order, each once.
    spellings: Vec<Vec<u8>>,
    /// Bytes of the longest.
    longest: usize,
}

impl Secrets {
    /// Prepares the spellings of these values. White space around a value does not count; one shorter than
    /// [`MIN_LENGTH`] bytes is left out, as `1` or `true` would blank out everything.
    ///
    /// # Errors
    ///
    /// If the secrets have so many bytes, hundreds of millions, that they cannot be searched for at once.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Self, TooLarge> {
        let mut spellings: Vec<Vec<u8>> = values
            .into_iter()
            .flat_map(spelling::of)
            .map(|spelling| stream::flat(spelling.as_bytes()))
            .collect();
        spellings.sort_unstable();
        spellings.dedup();
        let Some(longest) = spellings.iter().map(Vec::len).max() else {
            return Ok(Self::default());
        };
        // A table for every state would need a hundred megabytes for the spellings of one private key.
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .match_kind(MatchKind::Standard)
            .build(&spellings)
            .map_err(|error| TooLarge(error.to_string()))?;
        let known = Known {
            automaton,
            spellings,
            longest,
        };
        Ok(Self {
            known: Some(Arc::new(known)),
        })
    }

    /// Whether there is nothing to take out.
    pub fn is_empty(&self) -> bool {
        self.known.is_none()
    }

    /// A stream of its own.
    pub fn stream(&self) -> Redactor {
        Redactor::new(self.clone())
    }

    /// A whole text.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut redacted = Vec::with_capacity(text.len());
        let mut stream = self.stream();
        stream.push(text.as_bytes(), &mut redacted);
        stream.finish(&mut redacted);
        if redacted == text.as_bytes() {
            return Cow::Borrowed(text);
        }
        // Secrets are text, so no character is cut.
        Cow::Owned(String::from_utf8_lossy(&redacted).into_owned())
    }
}
