//! How a call can end other than with an answer.

use std::time::Duration;

use capstan_core::plugin::Hook;

use crate::limits::Usage;

/// A call that got no answer. `Display` tells a person which plugin, which hook, why, and what to do next.
#[derive(Debug, thiserror::Error)]
#[error("the plugin {plugin} failed in its {call} hook: {ending}")]
pub struct Failure {
    /// Name of the plugin.
    pub plugin: String,
    /// Digest of its component, `sha256:...`.
    pub digest: String,
    /// The hook, where it was one.
    pub hook: Option<Hook>,
    /// The function: `policy.check-step`; for a step in WebAssembly `run`.
    pub call: &'static str,
    /// What happened.
    pub ending: Ending,
    /// What it used until then.
    pub usage: Usage,
    /// The last lines of its log and standard error, at most 4 KiB.
    pub last_lines: String,
}

/// Why there was no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ending {
    /// The plugin said so: an `error` of `wit/types.wit`.
    #[error("{message} ({code})")]
    Error {
        /// The plugin's code.
        code: String,
        /// The plugin's message.
        message: String,
        /// Whether the plugin thinks that the same call may succeed again.
        retryable: bool,
    },
    /// It ended in a trap: a panic, an exception, a failed bound.
    #[error("it crashed: {reason}")]
    Trap {
        /// What happened, with the functions it happened in.
        reason: String,
    },
    /// It asked for more memory than it may have.
    #[error("it needs more than its {limit} bytes of memory")]
    OutOfMemory {
        /// The limit in bytes.
        limit: u64,
        /// What it would have had.
        wanted: u64,
    },
    /// It computed for too long.
    #[error("it computed for more than its {limit:?}")]
    OutOfCpu {
        /// The limit.
        limit: Duration,
    },
    /// It took too long.
    #[error("it took more than its {limit:?}")]
    OutOfTime {
        /// The limit.
        limit: Duration,
    },
    /// It answered or sent more than it may.
    #[error("it {what}, more than its {limit}")]
    TooMuch {
        /// What there was too much of, as the end of "it ...".
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// It called `exit` instead of answering.
    #[error("it exited with code {code} instead of answering")]
    Exit {
        /// The code.
        code: i32,
    },
    /// Its answer broke a rule of the contract.
    #[error("its answer is not allowed: {reason}")]
    Contract {
        /// Which rule, and how.
        reason: String,
    },
    /// It cannot be started by this host.
    #[error("it does not fit this host: {reason}")]
    Link {
        /// What it needs and what the host offers.
        reason: String,
    },
    /// The host itself failed: a directory that cannot be opened, a worker that cannot be started.
    #[error("{reason}")]
    Host {
        /// What happened.
        reason: String,
    },
}
