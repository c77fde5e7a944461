//! Everything that happens during a run, as one stream that every display is made from.

use std::collections::BTreeMap;
use std::path::Path;

use capstan_core::result::StepResult;

use super::failure::Failure;
use super::plugin_report::PluginReport;
use crate::sandbox::Stream;

/// Is told what happens. Called from many tasks at once, in order within one task; must return quickly.
pub trait Report: Send + Sync + 'static {
    /// Something happened in the job with this index.
    fn report(&self, job: usize, what: Reported<'_>);
}

/// Something that happened. Steps are counted from 0.
#[derive(Debug)]
#[non_exhaustive]
pub enum Reported<'a> {
    /// The job left the queue.
    Started,
    /// Its workspace is being made.
    Workspace,
    /// Steps before this one need not run: their result is known.
    Resumed {
        /// First step that will run.
        start: usize,
    },
    /// A cache entry could not be used and was removed.
    CacheEntryDropped {
        /// The entry.
        path: &'a Path,
        /// Why.
        reason: &'a str,
    },
    /// Results can no longer be kept. Told once for a whole run, which goes on.
    CacheGivenUp {
        /// Why.
        reason: &'a str,
    },
    /// The step's `if` says that it does not run.
    StepSkipped {
        /// The step.
        step: usize,
    },
    /// The step's container and script are being made.
    Preparing {
        /// The step.
        step: usize,
    },
    /// They are ready.
    Prepared {
        /// The step.
        step: usize,
    },
    /// They could not be made.
    PreparingFailed {
        /// The step.
        step: usize,
        /// Why.
        error: &'a str,
    },
    /// The step's script runs.
    StepStarted {
        /// The step.
        step: usize,
        /// The rendered script.
        script: &'a str,
        /// The environment; values of forwarded variables are masked.
        env: &'a BTreeMap<String, String>,
    },
    /// The script wrote something.
    Output {
        /// The step.
        step: usize,
        /// Where to.
        stream: Stream,
        /// What; any encoding, cut anywhere.
        bytes: &'a [u8],
    },
    /// The script has come to its end; what it did is looked at next.
    Ran {
        /// The step.
        step: usize,
        /// Its exit code.
        code: i32,
    },
    /// The step is over and its result is known.
    StepDone {
        /// The result.
        result: &'a StepResult,
    },
    /// The step failed.
    StepFailed {
        /// The step.
        step: usize,
        /// How.
        failure: &'a Failure,
    },
    /// A step's result may be kept under this key, by whoever keeps results.
    Cacheable {
        /// Key of facts/batch-spec.md 3.8.
        key: &'a str,
        /// The result.
        result: &'a StepResult,
    },
    /// A plugin did or said something.
    Plugin {
        /// Its name.
        plugin: &'a str,
        /// The step it is about, if it is about one.
        step: Option<usize>,
        /// What.
        what: PluginReport<'a>,
    },
    /// The job is over.
    Done {
        /// Whether its result was known without running anything.
        cached: bool,
        /// The last executed step's result.
        result: Option<&'a StepResult>,
    },
    /// The job failed.
    Failed {
        /// How.
        failure: &'a Failure,
    },
    /// The job was cancelled.
    Cancelled,
}

/// Tells nobody.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Report for Silent {
    fn report(&self, _job: usize, _what: Reported<'_>) {}
}
