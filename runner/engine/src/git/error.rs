//! How a run of git can fail.

use std::path::PathBuf;

use super::{MINIMUM, Version};
use crate::fault::Fault;

/// A run of git that did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no git.
    #[error("there is no git in the PATH")]
    Missing,
    /// It is there, but not one that works here.
    #[error("{program} is git {found}, too old: at least {MINIMUM} is needed")]
    TooOld {
        /// Which one.
        program: PathBuf,
        /// Its version.
        found: Version,
    },
    /// Something called git that does not say its version.
    #[error("{program} does not look like git: it says {text:?}")]
    Unknown {
        /// Which one.
        program: PathBuf,
        /// What it printed.
        text: String,
    },
    /// It could not be started or talked to.
    #[error("running git {command}: {source}")]
    Io {
        /// Subcommand.
        command: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// It failed.
    #[error("'git {command}' failed: {stderr}: {}", ending(*.code))]
    Failed {
        /// Subcommand.
        command: &'static str,
        /// Exit status, `None` when a signal ended it.
        code: Option<i32>,
        /// The last part of what it wrote to standard error, trimmed.
        stderr: String,
    },
    /// It printed more than allowed.
    #[error("'git {command}' printed more than {limit} bytes")]
    TooMuch {
        /// Subcommand.
        command: &'static str,
        /// The limit.
        limit: usize,
    },
}

fn ending(code: Option<i32>) -> String {
    code.map_or_else(
        || "killed by a signal".to_owned(),
        |code| format!("exit status {code}"),
    )
}

impl GitError {
    /// Whether the file system is full.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Failed { stderr, .. } => {
                stderr.contains("No space left on device") || stderr.contains("Disk quota exceeded")
            }
            Self::Io { source, .. } => matches!(
                source.kind(),
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
            ),
            _ => false,
        }
    }

    /// The fault it is, told as `<context>: <error>`.
    pub fn into_fault(self, context: &str) -> Fault {
        let message = if context.is_empty() {
            self.to_string()
        } else {
            format!("{context}: {self}")
        };
        match &self {
            Self::Missing | Self::TooOld { .. } | Self::Unknown { .. } => {
                Fault::environment(message).hint(format!("install git {MINIMUM} or newer"))
            }
            _ if self.is_disk_full() => {
                Fault::environment(message).hint("free some disk space and run again")
            }
            Self::Io { .. } => Fault::environment(message),
            Self::Failed { .. } | Self::TooMuch { .. } => Fault::workspace(message),
        }
    }
}

impl From<GitError> for Fault {
    fn from(error: GitError) -> Self {
        error.into_fault("")
    }
}
