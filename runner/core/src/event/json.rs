//! Events as lines of JSON.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::{Event, PluginAct, TaskId, WorkspaceKind};
use crate::diff::Encoding;
use crate::gojson::{self, Base64, Text};
use crate::result::{OutputsJson, StepResultJson};

impl Event {
    /// The event as one line of Go-JSON, without the line break.
    ///
    /// `at` is written to the millisecond; `encoding` is the version of step results.
    pub fn to_json_line(&self, at: jiff::Timestamp, encoding: Encoding) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            operation: &'static str,
            #[serde(serialize_with = "rfc_3339_milliseconds")]
            timestamp: jiff::Timestamp,
            status: Status,
            metadata: Metadata<'a>,
        }

        let (operation, status, metadata) = self.parts(encoding);
        let line = Line {
            operation,
            timestamp: at,
            status,
            metadata,
        };
        gojson::to_string(&line).expect("all keys of an event are text")
    }

    fn parts(&self, encoding: Encoding) -> (&'static str, Status, Metadata<'_>) {
        use Status::{Failure, Progress, Started, Success};

        let none = Metadata::default;
        let of_error = |error| Metadata { error, ..none() };
        let of_task = |task| Metadata {
            task_id: Some(task),
            ..none()
        };
        let of_step = |task, step| Metadata {
            step,
            ..of_task(task)
        };

        match self {
            Self::ParsingBatchSpecStarted => ("PARSING_BATCH_SPEC", Started, none()),
            Self::ParsingBatchSpecSuccess => ("PARSING_BATCH_SPEC", Success, none()),
            Self::ParsingBatchSpecFailure { error } => {
                ("PARSING_BATCH_SPEC", Failure, of_error(error))
            }
            Self::ResolvingNamespaceStarted => ("RESOLVING_NAMESPACE", Started, none()),
            Self::ResolvingNamespaceSuccess { namespace_id } => (
                "RESOLVING_NAMESPACE",
                Success,
                Metadata {
                    namespace_id,
                    ..none()
                },
            ),
            Self::PreparingDockerImagesStarted => ("PREPARING_DOCKER_IMAGES", Started, none()),
            &Self::PreparingDockerImagesProgress { done, total } => (
                "PREPARING_DOCKER_IMAGES",
                Progress,
                Metadata {
                    done,
                    total,
                    ..none()
                },
            ),
            Self::PreparingDockerImagesSuccess => ("PREPARING_DOCKER_IMAGES", Success, none()),
            Self::DeterminingWorkspaceTypeStarted => {
                ("DETERMINING_WORKSPACE_TYPE", Started, none())
            }
            &Self::DeterminingWorkspaceTypeSuccess { kind } => (
                "DETERMINING_WORKSPACE_TYPE",
                Success,
                Metadata {
                    kind: Some(kind),
                    ..none()
                },
            ),
            Self::DeterminingWorkspacesStarted => ("DETERMINING_WORKSPACES", Started, none()),
            &Self::DeterminingWorkspacesSuccess {
                unsupported,
                ignored,
                repositories,
                workspaces,
            } => {
                let metadata = Metadata {
                    unsupported,
                    ignored,
                    repo_count: repositories,
                    workspace_count: workspaces,
                    ..none()
                };
                ("DETERMINING_WORKSPACES", Success, metadata)
            }
            Self::CheckingCacheStarted => ("CHECKING_CACHE", Started, none()),
            &Self::CheckingCacheSuccess {
                cached_specs_found,
                tasks_to_execute,
            } => {
                let metadata = Metadata {
                    cached_specs_found,
                    tasks_to_execute,
                    ..none()
                };
                ("CHECKING_CACHE", Success, metadata)
            }
            Self::ExecutingTasksSuccess => ("EXECUTING_TASKS", Success, none()),
            Self::ExecutingTaskStarted { task } => ("EXECUTING_TASK", Started, of_task(task)),
            Self::ExecutingTaskSuccess { task } => ("EXECUTING_TASK", Success, of_task(task)),
            Self::ExecutingTaskFailure { task, error } => (
                "EXECUTING_TASK",
                Failure,
                Metadata {
                    error,
                    ..of_task(task)
                },
            ),
            &Self::TaskSkippingSteps {
                ref task,
                start_step,
            } => (
                "TASK_SKIPPING_STEPS",
                Progress,
                Metadata {
                    start_step,
                    ..of_task(task)
                },
            ),
            Self::TaskStepSkipped { task, step } => {
                ("TASK_STEP_SKIPPED", Progress, of_step(task, *step))
            }
            Self::TaskPreparingStepStarted { task, step } => {
                ("TASK_PREPARING_STEP", Started, of_step(task, *step))
            }
            Self::TaskPreparingStepSuccess { task, step } => {
                ("TASK_PREPARING_STEP", Success, of_step(task, *step))
            }
            Self::TaskPreparingStepFailure { task, step, error } => (
                "TASK_PREPARING_STEP",
                Failure,
                Metadata {
                    error,
                    ..of_step(task, *step)
                },
            ),
            Self::TaskStepStarted { task, step, env } => (
                "TASK_STEP",
                Started,
                Metadata {
                    env: Some(env),
                    ..of_step(task, *step)
                },
            ),
            Self::TaskStepProgress { task, step, out } => (
                "TASK_STEP",
                Progress,
                Metadata {
                    out,
                    ..of_step(task, *step)
                },
            ),
            Self::TaskStepResult {
                step,
                diff,
                outputs,
            } => {
                let metadata = Metadata {
                    version: 2,
                    step: *step,
                    diff: DiffText::Base64(Base64(diff)),
                    outputs: Some(OutputsJson(outputs)),
                    ..none()
                };
                ("TASK_STEP", Success, metadata)
            }
            Self::TaskStepSuccess {
                task,
                step,
                diff,
                outputs,
            } => {
                let metadata = Metadata {
                    diff: DiffText::Text(Text(diff)),
                    outputs: Some(OutputsJson(outputs)),
                    ..of_step(task, *step)
                };
                ("TASK_STEP", Success, metadata)
            }
            &Self::TaskStepFailure {
                ref task,
                step,
                ref error,
                exit_code,
            } => (
                "TASK_STEP",
                Failure,
                Metadata {
                    error,
                    exit_code,
                    ..of_step(task, step)
                },
            ),
            Self::TaskBuildChangesetSpecs { task } => {
                ("TASK_BUILD_CHANGESET_SPECS", Success, of_task(task))
            }
            Self::CacheAfterStepResult { key, value } => {
                let value = Some(value.as_json(encoding));
                (
                    "CACHE_AFTER_STEP_RESULT",
                    Success,
                    Metadata {
                        key,
                        value,
                        ..none()
                    },
                )
            }
            Self::TaskPlugin {
                task,
                step,
                plugin,
                act,
            } => {
                let status = match act {
                    PluginAct::Refused { audit: false, .. } => Failure,
                    _ => Progress,
                };
                let metadata = Metadata {
                    plugin,
                    act: Some(act),
                    ..of_step(task, *step)
                };
                ("TASK_PLUGIN", status, metadata)
            }
            Self::LogFileKept { path } => ("LOG_FILE_KEPT", Success, Metadata { path, ..none() }),
            &Self::UploadingChangesetSpecsStarted { total } => (
                "UPLOADING_CHANGESET_SPECS",
                Started,
                Metadata { total, ..none() },
            ),
            &Self::UploadingChangesetSpecsProgress { done, total } => (
                "UPLOADING_CHANGESET_SPECS",
                Progress,
                Metadata {
                    done,
                    total,
                    ..none()
                },
            ),
            Self::UploadingChangesetSpecsSuccess { ids } => (
                "UPLOADING_CHANGESET_SPECS",
                Success,
                Metadata { ids, ..none() },
            ),
            Self::CreatingBatchSpecStarted => ("CREATING_BATCH_SPEC", Started, none()),
            Self::CreatingBatchSpecSuccess { preview_url } => (
                "CREATING_BATCH_SPEC",
                Success,
                Metadata {
                    preview_url,
                    ..none()
                },
            ),
            Self::CreatingBatchSpecFailure { error } => {
                ("CREATING_BATCH_SPEC", Failure, of_error(error))
            }
            Self::ApplyingBatchSpecStarted => ("APPLYING_BATCH_SPEC", Started, none()),
            Self::ApplyingBatchSpecSuccess { batch_change_url } => (
                "APPLYING_BATCH_SPEC",
                Success,
                Metadata {
                    batch_change_url,
                    ..none()
                },
            ),
            Self::BatchSpecExecutionFailure { error } => {
                ("BATCH_SPEC_EXECUTION", Failure, of_error(error))
            }
            Self::DockerWatchDogFailure { error } => ("DOCKER_WATCH_DOG", Failure, of_error(error)),
        }
    }
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Started,
    Progress,
    Success,
    Failure,
}

/// Every key that some event's metadata has; an event writes those that are not zero.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    #[serde(skip_serializing_if = "is_zero")]
    version: usize,
    #[serde(rename = "taskID", skip_serializing_if = "is_without_task")]
    task_id: Option<&'a TaskId>,
    #[serde(skip_serializing_if = "is_zero")]
    step: usize,
    #[serde(skip_serializing_if = "is_zero")]
    start_step: usize,
    #[serde(skip_serializing_if = "is_empty_map")]
    env: Option<&'a BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    out: &'a str,
    #[serde(skip_serializing_if = "DiffText::is_empty")]
    diff: DiffText<'a>,
    #[serde(skip_serializing_if = "is_without_outputs")]
    outputs: Option<OutputsJson<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    error: &'a str,
    #[serde(skip_serializing_if = "is_success")]
    exit_code: i32,
    #[serde(skip_serializing_if = "is_zero")]
    done: usize,
    #[serde(skip_serializing_if = "is_zero")]
    total: usize,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ids: &'a [String],
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<WorkspaceKind>,
    #[serde(rename = "namespaceID", skip_serializing_if = "str::is_empty")]
    namespace_id: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    unsupported: usize,
    #[serde(skip_serializing_if = "is_zero")]
    ignored: usize,
    #[serde(skip_serializing_if = "is_zero")]
    repo_count: usize,
    #[serde(skip_serializing_if = "is_zero")]
    workspace_count: usize,
    #[serde(skip_serializing_if = "is_zero")]
    cached_specs_found: usize,
    #[serde(skip_serializing_if = "is_zero")]
    tasks_to_execute: usize,
    #[serde(skip_serializing_if = "str::is_empty")]
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<StepResultJson<'a>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    path: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    plugin: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<&'a PluginAct>,
    #[serde(rename = "previewURL", skip_serializing_if = "str::is_empty")]
    preview_url: &'a str,
    #[serde(rename = "batchChangeURL", skip_serializing_if = "str::is_empty")]
    batch_change_url: &'a str,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn is_success(exit_code: &i32) -> bool {
    *exit_code == 0
}

/// A diff in either version of events.
#[derive(Serialize)]
#[serde(untagged)]
enum DiffText<'a> {
    Text(Text<'a>),
    Base64(Base64<'a>),
}

impl DiffText<'_> {
    fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.0.is_empty(),
            Self::Base64(base64) => base64.0.is_empty(),
        }
    }
}

impl Default for DiffText<'_> {
    fn default() -> Self {
        Self::Text(Text::default())
    }
}

/// Events of native jobs name no task.
fn is_without_task(task: &Option<&TaskId>) -> bool {
    task.is_none_or(|task| task.0.is_empty())
}

fn is_empty_map(map: &Option<&BTreeMap<String, String>>) -> bool {
    map.is_none_or(BTreeMap::is_empty)
}

fn is_without_outputs(outputs: &Option<OutputsJson<'_>>) -> bool {
    outputs.is_none_or(|outputs| outputs.0.is_empty())
}

/// RFC 3339 in UTC, cut to the millisecond, without trailing zeros in the fraction.
fn rfc_3339_milliseconds<S: Serializer>(
    time: &jiff::Timestamp,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let cut = jiff::Timestamp::from_millisecond(time.as_millisecond());
    serializer.collect_str(&cut.unwrap_or(*time))
}
