//! The plugin's configuration; see README.md.

use capstan_plugin::Globs;
use serde::Deserialize;

/// What is done, in this order.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    /// Archives of the repository to unpack.
    pub(crate) unpack: Vec<Unpack>,
    /// Files to write.
    pub(crate) write: Vec<Write>,
    /// Files to remove.
    pub(crate) remove: Globs,
    /// Files to keep, though they are to be removed.
    pub(crate) keep: Globs,
}

/// An archive to unpack.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Unpack {
    /// Its path: `*.tar`, `*.tar.gz`, `*.tgz` or `*.zip`.
    pub(crate) archive: String,
    /// The directory to unpack to; the archive's own if there is none.
    pub(crate) into: Option<String>,
    /// How many directories are taken off the front of the paths in it.
    #[serde(default)]
    pub(crate) strip: usize,
    /// Whether the archive is removed afterwards.
    #[serde(default)]
    pub(crate) remove: bool,
    /// Whether a repository without the archive is fine.
    #[serde(default)]
    pub(crate) optional: bool,
}

/// A file to write.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Write {
    /// Its path.
    pub(crate) path: String,
    /// What is in it.
    pub(crate) content: String,
    /// Whether `{{...}}` in path and content is replaced.
    #[serde(default = "yes")]
    pub(crate) template: bool,
    /// Whether it can be executed.
    #[serde(default)]
    pub(crate) executable: bool,
    /// Whether it replaces a file that is there; if not, that one stays.
    #[serde(default = "yes")]
    pub(crate) overwrite: bool,
}

fn yes() -> bool {
    true
}
