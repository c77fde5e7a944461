//! Taking secrets out of what leaves the executor.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, MatchKind};

/// What stands in place of the executor's own secret.
const EXECUTOR_SECRET: &str = "SECRET_REMOVED";

/// Shortest line of a secret of several lines that is looked for by itself.
const LONG_LINE: usize = 12;

/// Secrets of a job, and what to show in place of each. Cheap to clone.
#[derive(Clone, Default)]
pub struct Redaction {
    known: Option<Arc<Known>>,
}

struct Known {
    automaton: AhoCorasick,
    replacements: Vec<String>,
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self
            .known
            .as_ref()
            .map_or(0, |known| known.replacements.len());
        write!(f, "Redaction of {count}")
    }
}

/// The secrets are too large to be taken out of anything.
#[derive(Debug, thiserror::Error)]
#[error("the job's secrets are too large to be redacted")]
pub struct TooLarge;

impl Redaction {
    /// Prepares the `values` of a job and the executor's own secrets. Empty ones do not count. A secret with several lines is also looked for
    /// line by line, as logs are made of lines.
    ///
    /// # Errors
    ///
    /// If they are hundreds of megabytes.
    pub fn new<'a>(
        values: &BTreeMap<String, String>,
        executor: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, TooLarge> {
        let mut all: BTreeMap<&str, &str> = BTreeMap::new();
        let values = values.iter().map(|(key, value)| (&**key, &**value));
        let own = executor.into_iter().map(|secret| (secret, EXECUTOR_SECRET));
        // What the server says about a secret counts more.
        for (secret, replacement) in values.chain(own) {
            if !secret.is_empty() {
                all.entry(secret).or_insert(replacement);
            }
            let lines: Vec<&str> = secret.lines().map(str::trim).collect();
            if lines.len() > 1 {
                for line in lines.into_iter().filter(|line| line.len() >= LONG_LINE) {
                    all.entry(line).or_insert(replacement);
                }
            }
        }
        if all.is_empty() {
            return Ok(Self::default());
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(all.keys())
            .map_err(|_| TooLarge)?;
        let replacements = all.into_values().map(str::to_owned).collect();
        Ok(Self {
            known: Some(Arc::new(Known {
                automaton,
                replacements,
            })),
        })
    }

    /// The text without the secrets. One pass: what was put in is not looked at again; of two that begin at the same place the longer one counts.
    pub fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.known {
            Some(known) if known.automaton.is_match(text) => {
                Cow::Owned(known.automaton.replace_all(text, &known.replacements))
            }
            _ => Cow::Borrowed(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redaction(pairs: &[(&str, &str)]) -> Redaction {
        let values = pairs
            .iter()
            .map(|(secret, replacement)| ((*secret).to_owned(), (*replacement).to_owned()))
            .collect();
        Redaction::new(&values, ["hunter2"]).unwrap()
    }

    #[test]
    fn one_pass_and_the_longest_counts() {
        let redaction = redaction(&[("abc", "X"), ("abcdef", "Y"), ("X", "Z"), ("", "E")]);
        for (text, expected) in [
            ("abc abcdef abcde", "X Y Xde"),
            ("X", "Z"),
            ("aabcabc", "aXX"),
            ("", ""),
            ("nothing", "nothing"),
            ("curl -u :hunter2", "curl -u :SECRET_REMOVED"),
        ] {
            assert_eq!(redaction.apply(text), expected, "{text}");
        }
    }

    #[test]
    fn the_server_s_word_for_the_executor_s_secret_counts() {
        let redaction = redaction(&[
            ("token-executor hunter2", "token-executor REDACTED"),
            ("hunter2", "PASSWORD_REMOVED"),
        ]);
        assert_eq!(
            redaction.apply("token-executor hunter2"),
            "token-executor REDACTED"
        );
        assert_eq!(redaction.apply("hunter2"), "PASSWORD_REMOVED");
    }

    #[test]
    fn the_lines_of_a_secret_count_by_themselves() {
        let redaction = redaction(&[(
            "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\n}\n",
            "${{ secrets.KEY }}",
        )]);
        assert_eq!(
            redaction.apply("a MIIEpAIBAAKCAQEA } b"),
            "a ${{ secrets.KEY }} } b"
        );
    }

    #[test]
    fn without_secrets_nothing_changes() {
        let redaction = Redaction::new(&BTreeMap::new(), [""]).unwrap();
        assert_eq!(redaction.apply("as it is"), "as it is");
    }
}
