//! Plugins and their hooks.

use std::path::Path;
use std::sync::Arc;

use capstan_core::plugin::{Entry, Hook};
use capstan_core::value::Value;

use crate::command::Stream;
use crate::component::Component;
use crate::failure::Failure;
use crate::job::{Job, Step};
use crate::limits::Usage;

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
pub struct Plugin {
    entry: Arc<Entry>,
    component: Arc<Component>,
}

impl Plugin {
    /// Puts the two together. `environment` gives the values of the variables that are granted.
    pub fn new(
        entry: Entry,
        component: Arc<Component>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let _ = environment;
        Self {
            entry: Arc::new(entry),
            component,
        }
    }

    /// Its settings.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Its component.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// Whether it has this hook.
    pub fn has(&self, hook: Hook) -> bool {
        self.component.inspection().hooks.contains(&hook)
    }

    /// The plugin within one job, with an empty scratch.
    pub fn session(&self, job: Arc<Job>, log: Arc<dyn Log>) -> Session {
        todo!("{job:?} {:?}", Arc::as_ptr(&log).cast::<()>())
    }
}

/// A "no" of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The rule.
    pub rule: String,
    /// The reason.
    pub reason: String,
    /// Further facts.
    pub details: Vec<(String, String)>,
}

/// What a policy says of a job or a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// As it is.
    Keep,
    /// With these changes, in order.
    Change(Vec<Amendment>),
    /// Not at all.
    Refuse(Refusal),
}

/// One change to a step (`wit/step.wit`, `amendment`); its values are within their bounds.
#[derive(Debug, Clone, PartialEq)]
pub enum Amendment {
    /// Another image.
    Image(String),
    /// A variable's value.
    SetEnvironment(String, String),
    /// A variable less.
    RemoveEnvironment(String),
    /// A mount, replacing one with the same target.
    AddMount(crate::job::Mount),
    /// The mount with this target less.
    RemoveMount(String),
    /// A network mode.
    Network(String),
    /// Memory in MiB.
    Memory(u32),
    /// Thousandths of a processor.
    Cpus(u32),
    /// Processes and threads.
    Pids(u32),
    /// Seconds.
    Timeout(u32),
}

impl Amendment {
    /// Makes the change to `step`.
    pub fn apply(&self, step: &mut Step) {
        todo!("{step:?}")
    }
}

/// What a policy says of a diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// May leave.
    Keep,
    /// May not.
    Refuse(Refusal),
}

/// How much an annotation matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Worth knowing.
    Notice,
    /// Worth a look.
    Warning,
    /// Wrong.
    Failure,
}

/// What a plugin says about a file of a diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// Path, after the change.
    pub path: String,
    /// Line after the change.
    pub line: Option<u32>,
    /// How much it matters.
    pub severity: Severity,
    /// The message.
    pub message: String,
}

/// What a diff plugin made of a diff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Processed {
    /// This.
    Diff {
        /// The new diff; `None` if it is the one that was handed in.
        diff: Option<Vec<u8>>,
        /// What was said about it.
        annotations: Vec<Annotation>,
    },
    /// It must not be used.
    Refused(Refusal),
}

/// A plugin within one job: its hooks, its scratch. Each call has a fresh instance.
pub struct Session {
    plugin: Plugin,
}

impl Session {
    /// The plugin.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// `policy.check-job`.
    ///
    /// # Errors
    ///
    /// [`Failure`] if there is no answer; as for every hook.
    pub async fn check_job(&self) -> Result<Decision, Failure> {
        todo!()
    }

    /// `policy.check-step`.
    ///
    /// # Errors
    ///
    /// See [`Session::check_job`].
    pub async fn check_step(&self, step: &Arc<Step>) -> Result<Decision, Failure> {
        todo!("{step:?}")
    }

    /// `policy.check-diff`.
    ///
    /// # Errors
    ///
    /// See [`Session::check_job`].
    pub async fn check_diff(&self, diff: &Arc<[u8]>) -> Result<Verdict, Failure> {
        todo!("{diff:?}")
    }

    /// `workspace.prepare` on this directory of the host. Where it fails, the caller undoes what was done.
    ///
    /// # Errors
    ///
    /// See [`Session::check_job`]; also if the plugin left special files or more than its quota.
    pub async fn prepare(&self, workspace: &Path) -> Result<(), Failure> {
        todo!("{workspace:?}")
    }

    /// `diff.process`, its answer proved against the declared shape.
    ///
    /// # Errors
    ///
    /// See [`Session::check_job`]; [`crate::Ending::Contract`] if the plugin did more than it declared.
    pub async fn process_diff(&self, diff: &Arc<[u8]>) -> Result<Processed, Failure> {
        todo!("{diff:?}")
    }

    /// A filter for one stream of a step; `None` if the plugin lets it pass.
    ///
    /// # Errors
    ///
    /// See [`Session::check_job`].
    pub async fn filter(
        &self,
        step: &Arc<Step>,
        stream: Stream,
    ) -> Result<Option<Filter>, Failure> {
        todo!("{step:?} {stream:?}")
    }

    /// `output.derive-outputs`: names and values.
    ///
    /// # Errors
    ///
    /// See [`Session::check_job`]; also if a value is not JSON.
    pub async fn derive_outputs(
        &self,
        step: &Arc<Step>,
        stdout: &[u8],
        stderr: &[u8],
    ) -> Result<Vec<(String, Value)>, Failure> {
        todo!("{step:?} {stdout:?} {stderr:?}")
    }
}

/// A filter of one stream; an instance of its own, for as long as the stream lasts.
pub struct Filter {
    _instance: (),
}

impl Filter {
    /// Hands in what was printed, any length, and appends what is to follow in its place to `into`. Chunks
    /// are cut as the plugin wants them. After an error the filter is of no use.
    ///
    /// # Errors
    ///
    /// See [`Session::check_job`].
    pub async fn push(&mut self, bytes: &[u8], into: &mut Vec<u8>) -> Result<(), Failure> {
        todo!("{bytes:?} {into:?}")
    }

    /// The stream has ended: appends the rest.
    ///
    /// # Errors
    ///
    /// See [`Session::check_job`].
    pub async fn finish(self, into: &mut Vec<u8>) -> Result<(), Failure> {
        todo!("{into:?}")
    }
}
