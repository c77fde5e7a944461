//! The limits of one call, and what it used.

use std::time::Duration;

use capstan_core::plugin::{Hook, Limits};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The limits of one call (facts/wasm-plugin-hosts.md 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// Bytes of linear memory, over all memories of the instance.
    pub memory: u64,
    /// Time the plugin's own code may compute; `None`: bounded by `wall` only.
    pub cpu: Option<Duration>,
    /// Time from the beginning to the end; `None`: bounded by the caller only. Of an output filter: time for one chunk.
    pub wall: Option<Duration>,
    /// Bytes of one host call's arguments, and of the call's own result.
    pub transfer: usize,
    /// Handles that are alive at once.
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
        let defaults = match hook {
            Hook::Policy => Self {
                memory: 64 * MIB as u64,
                cpu: Some(Duration::from_millis(250)),
                wall: Some(Duration::from_secs(2)),
                transfer: 4 * MIB,
                handles: 1_000,
                messages: 64 * KIB,
                written: 0,
                files: 0,
            },
            Hook::Diff => Self {
                memory: 256 * MIB as u64,
                cpu: Some(Duration::from_secs(5)),
                wall: Some(Duration::from_secs(30)),
                transfer: 64 * MIB,
                handles: 100_000,
                messages: 64 * KIB,
                written: 0,
                files: 0,
            },
            Hook::Output => Self {
                memory: 128 * MIB as u64,
                cpu: Some(Duration::from_secs(1)),
                wall: Some(Duration::from_secs(5)),
                transfer: MIB,
                handles: 1_000,
                messages: 64 * KIB,
                written: 0,
                files: 0,
            },
            Hook::Workspace => Self {
                memory: 512 * MIB as u64,
                cpu: Some(Duration::from_secs(30)),
                wall: Some(Duration::from_secs(120)),
                transfer: 4 * MIB,
                handles: 10_000,
                messages: MIB,
                written: 1024 * MIB as u64,
                files: 50_000,
            },
        };
        Self {
            memory: operator.memory.unwrap_or(defaults.memory),
            cpu: operator.cpu.or(defaults.cpu),
            wall: operator.wall.or(defaults.wall),
            ..defaults
        }
    }

    /// The limits of a command that is a step: 1 GiB of memory; its time and its files are the business of the step loop.
    pub fn step() -> Self {
        Self {
            memory: 1024 * MIB as u64,
            cpu: None,
            wall: None,
            transfer: 4 * MIB,
            handles: 10_000,
            messages: MIB,
            written: u64::MAX,
            files: u64::MAX,
        }
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
