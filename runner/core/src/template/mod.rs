//! Templates: the `${{ }}` language of batch specs.

use crate::changed_files::ChangedFiles;
use crate::task::BatchChange;
use crate::value::Outputs;

/// The repository as templates see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepositoryVars {
    /// `repository.name`.
    pub name: String,
    /// `repository.branch`.
    pub branch: String,
    /// `repository.search_result_paths`, sorted.
    pub search_result_paths: Vec<String>,
}

/// A step as templates see it: `step` and `previous_step`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepVars {
    /// The four file lists.
    pub files: ChangedFiles,
    /// Standard output, untrimmed.
    pub stdout: String,
    /// Standard error, untrimmed.
    pub stderr: String,
}

/// What step templates can refer to (column S of facts/batch-spec.md 2.5).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepContext {
    /// The repository; its branch exactly as given.
    pub repository: RepositoryVars,
    /// The batch change.
    pub batch_change: BatchChange,
    /// Outputs set so far.
    pub outputs: Outputs,
    /// The file lists of `steps`: the state after the previous executed step.
    pub steps: ChangedFiles,
    /// `steps.path`.
    pub path: String,
    /// The last executed step.
    pub previous_step: StepVars,
    /// This step; filled only while its outputs are rendered.
    pub step: StepVars,
}

/// What changeset templates can refer to (column C of facts/batch-spec.md 2.5).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChangesetContext {
    /// The repository; its branch without `refs/heads/`.
    pub repository: RepositoryVars,
    /// The batch change.
    pub batch_change: BatchChange,
    /// All outputs.
    pub outputs: Outputs,
    /// The file lists of `steps`: the final state.
    pub steps: ChangedFiles,
    /// `steps.path`.
    pub path: String,
}
