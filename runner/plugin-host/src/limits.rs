//! The limits of one call, and what it used.

use std::time::Duration;

use capstan_core::plugin::{Hook, Limits};

/// The limits of one call (facts/wasm-plugin-hosts.md 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// Bytes of linear memory, over all memories of the instance.
    pub memory: u64,
    /// Time the plugin's own code may compute; `None`: bounded by `wall` only.
    pub cpu: Option<Duration>,
    /// Time from the beginning to the end; `None`: bounded by the caller only.
    pub wall: Option<Duration>,
    /// Bytes of one host call's arguments, and of the call's own result.
    pub transfer: usize,
    /// Handles, and entries of a table.
    pub handles: usize,
    /// Bytes of messages and standard error that are kept.
    pub messages: usize,
    /// Bytes that may be written to files.
    pub written: u64,
    /// Files and directories that may be made.
    pub files: u64,
}

impl CallLimits {
    /// The limits of a hook: its defaults, with the operator's in their place.
    pub fn of(hook: Hook, operator: &Limits) -> Self {
        todo!("{hook} {operator:?}")
    }
}

/// What a call used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Time the plugin's own code computed, in steps of 10 ms.
    pub cpu: Duration,
    /// Time from the beginning to the end.
    pub wall: Duration,
    /// The most linear memory, in bytes.
    pub memory: u64,
}
