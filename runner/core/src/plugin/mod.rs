//! Words about plugins that need no WebAssembly: what a component offers and asks for, and what its operator allows.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// A point of a run at which plugins are called; each is an exported interface of `wit/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// Decides what may run and what may leave.
    Policy,
    /// Prepares workspaces.
    Workspace,
    /// Filters output and derives outputs.
    Output,
    /// Post-processes diffs.
    Diff,
}

impl Hook {
    /// All hooks, in the order in which a run calls them.
    pub const ALL: [Self; 4] = [Self::Policy, Self::Workspace, Self::Output, Self::Diff];

    /// The interface's name: `policy`, `workspace`, `output`, `diff`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Workspace => "workspace",
            Self::Output => "output",
            Self::Diff => "diff",
        }
    }

    /// The hook with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hook| hook.name() == name)
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a component is, read off its bytes without running it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// `sha256:` and the digest of its bytes in hexadecimal.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
    /// The hooks it exports.
    pub hooks: BTreeSet<Hook>,
    /// Whether it is a `wasi:cli/command`, which can be a step.
    pub command: bool,
    /// The version of `capstan:plugin` it was built against; `None` where it names no such interface.
    pub api: Option<String>,
    /// The interfaces it imports, as it names them: `wasi:filesystem/types@0.2.6`. Sorted.
    pub imports: Vec<String>,
    /// The interfaces and functions it exports, as it names them. Sorted.
    pub exports: Vec<String>,
}

/// How much of the workspace a plugin sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Nothing.
    #[default]
    None,
    /// Its files, to read.
    Read,
    /// Its files, to read and to write.
    Write,
}

/// Rights beyond computing, given by the operator. The default gives none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// The workspace. A `workspace` hook without [`Access::Write`] cannot do its work; other hooks see no files, whatever this says.
    pub workspace: Access,
    /// Names of environment variables of the runner that the plugin may read.
    pub env: Vec<String>,
    /// Whether it may open connections.
    pub network: bool,
}

/// Limits that the operator sets in place of the defaults of each hook (facts/wasm-plugin-hosts.md 3.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory, over all memories of the instance.
    pub memory: Option<u64>,
    /// Time that the plugin's own code may compute in one call.
    pub cpu: Option<Duration>,
    /// Time from the beginning of a call to its end.
    pub wall: Option<Duration>,
}

/// What happens when a plugin fails; a refusal is not a failure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The job ends as if it had been refused.
    #[default]
    Refuse,
    /// The run goes on as if the plugin were not there. Not for policies, which always fail closed.
    Skip,
}

/// A plugin as it is configured: one `[[plugin]]` of `capstan.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its name, unique in the configuration: lower-case letters, digits and hyphens.
    pub name: String,
    /// A path, `https://...` or `oci://...`.
    pub source: String,
    /// `sha256:...` of the component's bytes, where the operator pins it here.
    pub digest: Option<String>,
    /// What the plugin gets as its configuration: the text of a JSON object.
    pub config: String,
    /// Rights.
    pub grants: Grants,
    /// Limits.
    pub limits: Limits,
    /// What happens when it fails.
    pub on_failure: OnFailure,
    /// Whether its refusals are only logged.
    pub audit: bool,
}
