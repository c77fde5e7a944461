//! The JSON lines that tell of a run's progress.
//!
//! They are what `batch exec` and `--format json` print and what Sourcegraph reads, so operations, statuses and
//! keys are those of facts/batch-spec.md 7.

mod json;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::result::StepResult;
use crate::value::Outputs;

/// Something that happened in a run. Steps are numbered from 1, but for [`Event::TaskStepResult`].
///
/// Each variant is one pair of operation and status; what it carries is the line's metadata.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    missing_docs,
    reason = "the names are the wire's, and the table of facts 7 tells them"
)]
pub enum Event {
    ParsingBatchSpecStarted,
    ParsingBatchSpecSuccess,
    ParsingBatchSpecFailure {
        error: String,
    },

    ResolvingNamespaceStarted,
    ResolvingNamespaceSuccess {
        namespace_id: String,
    },

    PreparingDockerImagesStarted,
    PreparingDockerImagesProgress {
        done: usize,
        total: usize,
    },
    PreparingDockerImagesSuccess,

    DeterminingWorkspaceTypeStarted,
    DeterminingWorkspaceTypeSuccess {
        kind: WorkspaceKind,
    },

    DeterminingWorkspacesStarted,
    DeterminingWorkspacesSuccess {
        unsupported: usize,
        ignored: usize,
        repositories: usize,
        workspaces: usize,
    },

    CheckingCacheStarted,
    CheckingCacheSuccess {
        cached_specs_found: usize,
        tasks_to_execute: usize,
    },

    /// There is neither a start nor a failure of it.
    ExecutingTasksSuccess,

    ExecutingTaskStarted {
        task: TaskId,
    },
    ExecutingTaskSuccess {
        task: TaskId,
    },
    ExecutingTaskFailure {
        task: TaskId,
        error: String,
    },

    /// Steps before `start_step` have a cached result.
    TaskSkippingSteps {
        task: TaskId,
        start_step: usize,
    },
    TaskStepSkipped {
        task: TaskId,
        step: usize,
    },

    TaskPreparingStepStarted {
        task: TaskId,
        step: usize,
    },
    TaskPreparingStepSuccess {
        task: TaskId,
        step: usize,
    },
    TaskPreparingStepFailure {
        task: TaskId,
        step: usize,
        error: String,
    },

    TaskStepStarted {
        task: TaskId,
        step: usize,
        env: BTreeMap<String, String>,
    },
    /// `out` is whole lines, each begun by `stdout: ` or `stderr: ` and ended by a line break.
    TaskStepProgress {
        task: TaskId,
        step: usize,
        out: String,
    },
    /// The diff is always sent as text, as upstream does it (facts/batch-spec.md 9, item 2).
    TaskStepSuccess {
        task: TaskId,
        step: usize,
        diff: Vec<u8>,
        outputs: Outputs,
    },
    /// [`Event::TaskStepSuccess`] as native jobs tell it (facts/executor-protocol.md 7.6): without a task, with the diff in base64,
    /// and, unlike all others, with steps numbered from 0.
    TaskStepResult {
        step: usize,
        diff: Vec<u8>,
        outputs: Outputs,
    },
    /// The exit code of a step that did not come to run is -1.
    TaskStepFailure {
        task: TaskId,
        step: usize,
        error: String,
        exit_code: i32,
    },

    /// Only for a task with a diff.
    TaskBuildChangesetSpecs {
        task: TaskId,
    },

    /// The result of one step, to be kept by the server under `key`.
    CacheAfterStepResult {
        key: String,
        value: Box<StepResult>,
    },

    /// A plugin did something that a watcher may act on. Ours: servers pass over operations that they do not know.
    TaskPlugin {
        task: TaskId,
        /// 0 for none.
        step: usize,
        plugin: String,
        act: PluginAct,
    },

    LogFileKept {
        path: String,
    },

    UploadingChangesetSpecsStarted {
        total: usize,
    },
    UploadingChangesetSpecsProgress {
        done: usize,
        total: usize,
    },
    UploadingChangesetSpecsSuccess {
        ids: Vec<String>,
    },

    CreatingBatchSpecStarted,
    CreatingBatchSpecSuccess {
        preview_url: String,
    },
    CreatingBatchSpecFailure {
        error: String,
    },

    ApplyingBatchSpecStarted,
    ApplyingBatchSpecSuccess {
        batch_change_url: String,
    },

    /// The last line of a run that failed.
    BatchSpecExecutionFailure {
        error: String,
    },

    DockerWatchDogFailure {
        error: String,
    },
}

/// What a plugin did.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum PluginAct {
    /// A policy changed the step; with `audit` it only would have.
    Changed {
        /// In words.
        changes: Vec<String>,
        /// Whether it only would have.
        audit: bool,
    },
    /// It refused, or failed where that counts as a refusal; with `audit` it only would have.
    Refused {
        /// The rule; none if the plugin failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        rule: Option<String>,
        /// For people.
        reason: String,
        /// Pairs of name and value.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        details: Vec<(String, String)>,
        /// Whether it only would have.
        audit: bool,
    },
    /// It has something to say of a file of the diff.
    Annotated {
        /// The file.
        path: String,
        /// The line after the change.
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<u32>,
        /// `notice`, `warning` or `failure`.
        severity: &'static str,
        /// The message.
        message: String,
    },
    /// It failed, and the run goes on without it.
    PassedOver {
        /// Why.
        reason: String,
    },
}

/// The name that the events of one task share: opaque, made by whoever runs the task. An empty one is left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct TaskId(pub String);

/// How workspaces reach containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum WorkspaceKind {
    /// A host directory is mounted.
    Bind,
    /// A volume is mounted.
    Volume,
}
