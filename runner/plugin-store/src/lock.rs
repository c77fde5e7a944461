//! `capstan.lock`: which bytes a source stands for, and what they may ask for.

use std::collections::{BTreeMap, BTreeSet};

/// The content of a lock file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    /// By source, as the configuration writes it.
    pub entries: BTreeMap<String, Locked>,
}

/// What is known and accepted of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// `sha256:...` of the component's bytes.
    pub digest: String,
    /// Digest of the manifest, for a registry.
    pub manifest: Option<String>,
    /// Version of `capstan:plugin` it was built against.
    pub api: Option<String>,
    /// Names of the hooks it has; `command` if it can be a step.
    pub hooks: BTreeSet<String>,
    /// The interfaces it imports, without the patch version: `wasi:filesystem/types@0.2`.
    pub imports: BTreeSet<String>,
}
