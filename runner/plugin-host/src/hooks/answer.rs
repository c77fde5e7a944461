//! What any hook may answer.

use crate::bindings::host::types;
use crate::failure::Ending;
use crate::interfaces::ANSWER;

/// A "no" of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The rule.
    pub rule: String,
    /// The reason.
    pub reason: String,
    /// Further facts.
    pub details: Vec<(String, String)>,
}

impl Refusal {
    /// As a plugin gave it, if it is not too long.
    pub(crate) fn new(refusal: types::Refusal) -> Result<Self, Ending> {
        let details = refusal.details.iter();
        let details: usize = details.map(|(name, value)| name.len() + value.len()).sum();
        bounded(refusal.rule.len() + refusal.reason.len() + details)?;
        Ok(Self {
            rule: refusal.rule,
            reason: refusal.reason,
            details: refusal.details,
        })
    }
}

/// What an error that a plugin answered with means.
pub(crate) fn failed(error: types::Error) -> Ending {
    match bounded(error.code.len() + error.message.len()) {
        Ok(()) => Ending::Error {
            code: error.code,
            message: error.message,
            retryable: error.retryable,
        },
        Err(ending) => ending,
    }
}

/// Checks the length of an answer.
fn bounded(bytes: usize) -> Result<(), Ending> {
    if bytes <= ANSWER {
        return Ok(());
    }
    Err(Ending::TooMuch {
        what: "answered with more bytes than it may",
        limit: ANSWER as u64,
    })
}
