//! The plugin's configuration; see README.md.

use capstan_plugin::{Error, Glob, Globs, Result};
use serde::Deserialize;

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    allow: Vec<String>,
    #[serde(default)]
    deny: Vec<String>,
    #[serde(default)]
    require_digest: bool,
    #[serde(default = "yes")]
    deny_latest: bool,
    #[serde(default)]
    exceptions: Vec<String>,
    #[serde(default)]
    wasm: Vec<String>,
}

fn yes() -> bool {
    true
}

/// What may run.
#[derive(Debug)]
pub(crate) struct Config {
    /// Images that may run.
    pub(crate) allow: Globs,
    /// Images that may not, though they are allowed.
    pub(crate) deny: Globs,
    /// Whether an image has to be named by its digest.
    pub(crate) require_digest: bool,
    /// Whether an image has to be named by a tag other than `latest`, or a digest.
    pub(crate) deny_latest: bool,
    /// Images that need no tag and no digest.
    pub(crate) exceptions: Globs,
    /// Components that may run.
    pub(crate) wasm: Globs,
}

impl Config {
    /// As the operator wrote it.
    ///
    /// # Errors
    ///
    /// If a key is missing or unknown, or a pattern is malformed or can match nothing.
    pub(crate) fn load() -> Result<Self> {
        let written: Written = capstan_plugin::config()?;
        let images = [&written.allow, &written.deny, &written.exceptions];
        for pattern in images.into_iter().flatten() {
            check(pattern)?;
        }
        Ok(Self {
            allow: Globs::new(&written.allow)?,
            deny: Globs::new(&written.deny)?,
            require_digest: written.require_digest,
            deny_latest: written.deny_latest,
            exceptions: Globs::new(&written.exceptions)?,
            wasm: Globs::new(&written.wasm)?,
        })
    }
}

/// A pattern is compared with whole references, which begin with a registry: `alpine` would silently match nothing.
fn check(pattern: &str) -> Result<()> {
    Glob::new(pattern)?;
    let first = pattern.split('/').next().unwrap_or(pattern);
    let alone = first.len() == pattern.len();
    let names_registry = first.contains(['.', '*', '?', '[', '{', '\\']) || first == "localhost";
    if (names_registry || (first.contains(':') && !alone)) && (!alone || pattern.contains("**")) {
        return Ok(());
    }
    let library = if alone { "library/" } else { "" };
    Err(Error::new(
        "config",
        format!(
            "the pattern {pattern:?} matches no image, for patterns are compared with whole references: write \"docker.io/{library}{pattern}\" or put another registry in front"
        ),
    ))
}
