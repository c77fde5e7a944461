//! Plugins: components with their operators' settings.

use std::sync::{Arc, OnceLock};

use capstan_core::plugin::{Entry, Hook};

use crate::component::Component;
use crate::hooks::Hooks;
use crate::interfaces::Config;
use crate::job::Job;
use crate::limits::Usage;
use crate::session::Session;
use crate::state::Caller;
use crate::surroundings::Surroundings;

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Steps of the plugin's own work.
    Trace,
    /// What its author looks at.
    Debug,
    /// What its operator may want to know.
    Info,
    /// What somebody should look at.
    Warn,
    /// What went wrong.
    Error,
}

/// Who gets the messages of plugins. Called from within calls: it must be quick.
pub trait Log: Send + Sync + 'static {
    /// A message, or a line of standard output or error (as [`Level::Info`] and [`Level::Warn`]). It may hold secrets.
    fn message(&self, plugin: &str, hook: Hook, level: Level, message: &str);

    /// A call has ended, well or not.
    fn called(&self, plugin: &str, call: &'static str, usage: Usage) {
        let _ = (plugin, call, usage);
    }
}

/// A component with its operator's settings. Cheap to clone.
#[derive(Clone)]
pub struct Plugin(Arc<Inner>);

struct Inner {
    entry: Entry,
    name: Arc<str>,
    config: Arc<Config>,
    component: Arc<Component>,
    hooks: Hooks,
    surroundings: Surroundings,
}

impl Plugin {
    /// Puts the two together. `environment` gives the values of the variables that are granted.
    pub fn new(
        entry: Entry,
        component: Arc<Component>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let granted = entry.grants.env.iter();
        let surroundings = Surroundings {
            environment: granted
                .filter_map(|name| Some((name.clone(), environment(name)?)))
                .collect(),
            network: entry.grants.network,
            ..Surroundings::default()
        };
        Self(Arc::new(Inner {
            name: entry.name.as_str().into(),
            config: Arc::new(Config::new(&entry.config)),
            hooks: Hooks::of(&component),
            entry,
            component,
            surroundings,
        }))
    }

    /// Its settings.
    pub fn entry(&self) -> &Entry {
        &self.0.entry
    }

    /// Its component.
    pub fn component(&self) -> &Arc<Component> {
        &self.0.component
    }

    /// Whether it has this hook.
    pub fn has(&self, hook: Hook) -> bool {
        self.0.component.inspection().hooks.contains(&hook)
    }

    /// The plugin within one job, with an empty scratch.
    pub fn session(&self, job: Arc<Job>, log: Arc<dyn Log>) -> Session {
        let caller = Caller {
            plugin: Arc::clone(&self.0.name),
            hook: None,
            config: Arc::clone(&self.0.config),
            job,
            scratch: Arc::default(),
            log: Some(log),
        };
        Session {
            plugin: self.clone(),
            caller,
            shape: OnceLock::new(),
        }
    }

    /// Its hooks.
    pub(crate) fn hooks(&self) -> &Hooks {
        &self.0.hooks
    }

    /// What it sees of the world in every hook: no files.
    pub(crate) fn surroundings(&self) -> &Surroundings {
        &self.0.surroundings
    }
}
