//! What the plugin is to do.

use std::collections::BTreeMap;

use capstan_plugin::{Error, Refusal, Result, log, refuse};
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Config {
    /// A text that every call logs as a warning.
    say: Option<String>,
    /// The function that crashes, such as `check-step`.
    crash: Option<String>,
    /// The function that answers an error.
    fail: Option<String>,
    /// The function that refuses, where it can. So does the one that the environment variable `REFUSE` names.
    refuse: Option<String>,
    /// The function that computes for ever.
    spin: Option<String>,
    /// What policies change.
    #[cfg(feature = "policy")]
    pub(crate) change: Option<crate::policy::Change>,
    /// Files that `prepare` writes, below the workspace.
    pub(crate) write: BTreeMap<String, String>,
    /// The filter fails at a line with this text.
    pub(crate) fail_at: Option<String>,
    /// A text, and what the filter puts in its place in each line.
    pub(crate) replace: Option<(String, String)>,
    /// Outputs that are derived.
    pub(crate) outputs: BTreeMap<String, String>,
    /// What is said of every file of a diff.
    pub(crate) annotate: Option<String>,
    /// What every line that was added to a diff is replaced by, which the declared shape does not allow.
    pub(crate) inject: Option<String>,
}

impl Config {
    /// The configuration, once the function `name` has done what all can do.
    pub(crate) fn of(name: &str) -> Result<(Self, Option<Refusal>)> {
        let config: Self = capstan_plugin::config()?;
        // A filter is asked for several times.
        if let Some(text) = &config.say
            && name != "filter"
        {
            log::warn!("{name}: {text}");
        }
        let is_asked = |function: &Option<String>| function.as_deref() == Some(name);
        assert!(!is_asked(&config.crash), "{name} was asked to crash");
        if is_asked(&config.fail) {
            return Err(Error::new("asked-to", format!("{name} was asked to fail")));
        }
        while is_asked(&config.spin) {
            std::hint::black_box(());
        }
        let refuses = is_asked(&config.refuse) || is_asked(&std::env::var("REFUSE").ok());
        let refusal = refuses.then(|| {
            refuse("asked-to", format!("{name} was asked to refuse")).with("function", name)
        });
        Ok((config, refusal))
    }
}
