//! The plugin's configuration; see README.md.

use capstan_plugin::Globs;
use serde::Deserialize;

/// What is refused.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    /// Most files that a diff touches.
    pub(crate) max_files: Option<u32>,
    /// Most lines that it adds.
    pub(crate) max_added: Option<u32>,
    /// Most lines that it removes.
    pub(crate) max_removed: Option<u32>,
    /// Most bytes of the diff of one file.
    pub(crate) max_file_bytes: Option<u32>,
    /// Paths that it must not touch.
    pub(crate) protected: Globs,
    /// Paths that it may, though they are protected.
    pub(crate) unprotected: Globs,
    /// Whether it is searched for secrets whose form is known.
    pub(crate) secrets: bool,
    /// Whether it is searched for values that look random and are given to something named like a secret.
    pub(crate) high_entropy: bool,
    /// Paths that are not searched.
    pub(crate) secrets_allowed_in: Globs,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_files: None,
            max_added: None,
            max_removed: None,
            max_file_bytes: None,
            protected: Globs::default(),
            unprotected: Globs::default(),
            secrets: true,
            high_entropy: false,
            secrets_allowed_in: Globs::default(),
        }
    }
}

impl Config {
    /// Whether lines have to be looked at.
    pub(crate) fn looks_for_secrets(&self) -> bool {
        self.secrets || self.high_entropy
    }
}
