//! The JSON lines that tell of a run's progress.
//!
//! They are what `batch exec` and `--format json` print and what Sourcegraph reads, so operations, statuses and
//! keys are those of facts/batch-spec.md 7.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::diff::Encoding;
use crate::gojson::{self, Text};
use crate::result::{OutputsJson, StepResult, StepResultJson};
use crate::value::Outputs;

/// Something that happened in a run. Steps are numbered from 1.
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

/// The name that the events of one task share: opaque, made by whoever runs the task.
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
            Self::TaskStepSuccess {
                task,
                step,
                diff,
                outputs,
            } => {
                let metadata = Metadata {
                    diff: Text(diff),
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
    #[serde(rename = "taskID", skip_serializing_if = "Option::is_none")]
    task_id: Option<&'a TaskId>,
    #[serde(skip_serializing_if = "is_zero")]
    step: usize,
    #[serde(skip_serializing_if = "is_zero")]
    start_step: usize,
    #[serde(skip_serializing_if = "is_empty_map")]
    env: Option<&'a BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "str::is_empty")]
    out: &'a str,
    #[serde(skip_serializing_if = "is_empty_text")]
    diff: Text<'a>,
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

fn is_empty_text(text: &Text<'_>) -> bool {
    text.0.is_empty()
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::value::Value;

    fn line(event: &Event) -> String {
        let at = "2026-11-23T22:08:51.750999Z".parse().unwrap();
        event.to_json_line(at, Encoding::Text)
    }

    fn task() -> TaskId {
        TaskId("7bCd".to_owned())
    }

    fn error() -> String {
        "a <b> & c".to_owned()
    }

    #[rstest]
    #[case(Event::ParsingBatchSpecStarted, "PARSING_BATCH_SPEC", "STARTED", "{}")]
    #[case(Event::ParsingBatchSpecSuccess, "PARSING_BATCH_SPEC", "SUCCESS", "{}")]
    #[case(Event::ParsingBatchSpecFailure { error: error() }, "PARSING_BATCH_SPEC", "FAILURE",
        r#"{"error":"a \u003cb\u003e \u0026 c"}"#)]
    #[case(
        Event::ResolvingNamespaceStarted,
        "RESOLVING_NAMESPACE",
        "STARTED",
        "{}"
    )]
    #[case(Event::ResolvingNamespaceSuccess { namespace_id: "VXNlcjox".to_owned() }, "RESOLVING_NAMESPACE", "SUCCESS",
        r#"{"namespaceID":"VXNlcjox"}"#)]
    #[case(
        Event::PreparingDockerImagesStarted,
        "PREPARING_DOCKER_IMAGES",
        "STARTED",
        "{}"
    )]
    #[case(Event::PreparingDockerImagesProgress { done: 0, total: 3 }, "PREPARING_DOCKER_IMAGES", "PROGRESS",
        r#"{"total":3}"#)]
    #[case(Event::PreparingDockerImagesProgress { done: 1, total: 3 }, "PREPARING_DOCKER_IMAGES", "PROGRESS",
        r#"{"done":1,"total":3}"#)]
    #[case(
        Event::PreparingDockerImagesSuccess,
        "PREPARING_DOCKER_IMAGES",
        "SUCCESS",
        "{}"
    )]
    #[case(
        Event::DeterminingWorkspaceTypeStarted,
        "DETERMINING_WORKSPACE_TYPE",
        "STARTED",
        "{}"
    )]
    #[case(Event::DeterminingWorkspaceTypeSuccess { kind: WorkspaceKind::Bind }, "DETERMINING_WORKSPACE_TYPE", "SUCCESS",
        r#"{"type":"BIND"}"#)]
    #[case(
        Event::DeterminingWorkspacesStarted,
        "DETERMINING_WORKSPACES",
        "STARTED",
        "{}"
    )]
    #[case(Event::DeterminingWorkspacesSuccess { unsupported: 1, ignored: 2, repositories: 3, workspaces: 4 },
        "DETERMINING_WORKSPACES", "SUCCESS",
        r#"{"unsupported":1,"ignored":2,"repoCount":3,"workspaceCount":4}"#)]
    #[case(Event::CheckingCacheStarted, "CHECKING_CACHE", "STARTED", "{}")]
    #[case(Event::CheckingCacheSuccess { cached_specs_found: 1, tasks_to_execute: 2 }, "CHECKING_CACHE", "SUCCESS",
        r#"{"cachedSpecsFound":1,"tasksToExecute":2}"#)]
    #[case(Event::CheckingCacheSuccess { cached_specs_found: 0, tasks_to_execute: 0 }, "CHECKING_CACHE", "SUCCESS", "{}")]
    #[case(Event::ExecutingTasksSuccess, "EXECUTING_TASKS", "SUCCESS", "{}")]
    #[case(Event::ExecutingTaskStarted { task: task() }, "EXECUTING_TASK", "STARTED", r#"{"taskID":"7bCd"}"#)]
    #[case(Event::ExecutingTaskSuccess { task: task() }, "EXECUTING_TASK", "SUCCESS", r#"{"taskID":"7bCd"}"#)]
    #[case(Event::ExecutingTaskFailure { task: task(), error: "e".to_owned() }, "EXECUTING_TASK", "FAILURE",
        r#"{"taskID":"7bCd","error":"e"}"#)]
    #[case(Event::TaskSkippingSteps { task: task(), start_step: 2 }, "TASK_SKIPPING_STEPS", "PROGRESS",
        r#"{"taskID":"7bCd","startStep":2}"#)]
    #[case(Event::TaskStepSkipped { task: task(), step: 1 }, "TASK_STEP_SKIPPED", "PROGRESS",
        r#"{"taskID":"7bCd","step":1}"#)]
    #[case(Event::TaskPreparingStepStarted { task: task(), step: 1 }, "TASK_PREPARING_STEP", "STARTED",
        r#"{"taskID":"7bCd","step":1}"#)]
    #[case(Event::TaskPreparingStepSuccess { task: task(), step: 1 }, "TASK_PREPARING_STEP", "SUCCESS",
        r#"{"taskID":"7bCd","step":1}"#)]
    #[case(Event::TaskPreparingStepFailure { task: task(), step: 1, error: "e".to_owned() }, "TASK_PREPARING_STEP", "FAILURE",
        r#"{"taskID":"7bCd","step":1,"error":"e"}"#)]
    #[case(Event::TaskStepStarted { task: task(), step: 1, env: BTreeMap::new() }, "TASK_STEP", "STARTED",
        r#"{"taskID":"7bCd","step":1}"#)]
    #[case(Event::TaskStepStarted { task: task(), step: 1, env: [("A".to_owned(), "b".to_owned())].into() },
        "TASK_STEP", "STARTED",
        r#"{"taskID":"7bCd","step":1,"env":{"A":"b"}}"#)]
    #[case(Event::TaskStepProgress { task: task(), step: 1, out: "stdout: hi\n".to_owned() }, "TASK_STEP", "PROGRESS",
        r#"{"taskID":"7bCd","step":1,"out":"stdout: hi\n"}"#)]
    #[case(Event::TaskStepSuccess { task: task(), step: 1, diff: Vec::new(), outputs: Outputs::new() }, "TASK_STEP", "SUCCESS",
        r#"{"taskID":"7bCd","step":1}"#)]
    #[case(Event::TaskStepSuccess {
            task: task(), step: 1, diff: b"diff\n".to_vec(), outputs: [("n".to_owned(), Value::Nil)].into(),
        },
        "TASK_STEP", "SUCCESS", r#"{"taskID":"7bCd","step":1,"diff":"diff\n","outputs":{"n":null}}"#)]
    #[case(Event::TaskStepFailure { task: task(), step: 1, error: "e".to_owned(), exit_code: -1 }, "TASK_STEP", "FAILURE",
        r#"{"taskID":"7bCd","step":1,"error":"e","exitCode":-1}"#)]
    #[case(Event::TaskStepFailure { task: task(), step: 1, error: "e".to_owned(), exit_code: 0 }, "TASK_STEP", "FAILURE",
        r#"{"taskID":"7bCd","step":1,"error":"e"}"#)]
    #[case(Event::TaskBuildChangesetSpecs { task: task() }, "TASK_BUILD_CHANGESET_SPECS", "SUCCESS", r#"{"taskID":"7bCd"}"#)]
    #[case(Event::CacheAfterStepResult { key: "k-step-0".to_owned(), value: Box::default() },
        "CACHE_AFTER_STEP_RESULT", "SUCCESS",
        r#"{"key":"k-step-0","value":{"changedFiles":{"modified":null,"added":null,"deleted":null,"renamed":null},"stdout":"","stderr":"","stepIndex":0,"diff":"","outputs":{}}}"#)]
    #[case(Event::LogFileKept { path: "/tmp/x.log".to_owned() }, "LOG_FILE_KEPT", "SUCCESS", r#"{"path":"/tmp/x.log"}"#)]
    #[case(Event::UploadingChangesetSpecsStarted { total: 2 }, "UPLOADING_CHANGESET_SPECS", "STARTED", r#"{"total":2}"#)]
    #[case(Event::UploadingChangesetSpecsProgress { done: 1, total: 2 }, "UPLOADING_CHANGESET_SPECS", "PROGRESS",
        r#"{"done":1,"total":2}"#)]
    #[case(Event::UploadingChangesetSpecsSuccess { ids: vec!["a".to_owned()] }, "UPLOADING_CHANGESET_SPECS", "SUCCESS",
        r#"{"ids":["a"]}"#)]
    #[case(
        Event::CreatingBatchSpecStarted,
        "CREATING_BATCH_SPEC",
        "STARTED",
        "{}"
    )]
    #[case(Event::CreatingBatchSpecSuccess { preview_url: "https://x/y".to_owned() }, "CREATING_BATCH_SPEC", "SUCCESS",
        r#"{"previewURL":"https://x/y"}"#)]
    #[case(Event::CreatingBatchSpecFailure { error: "e".to_owned() }, "CREATING_BATCH_SPEC", "FAILURE", r#"{"error":"e"}"#)]
    #[case(
        Event::ApplyingBatchSpecStarted,
        "APPLYING_BATCH_SPEC",
        "STARTED",
        "{}"
    )]
    #[case(Event::ApplyingBatchSpecSuccess { batch_change_url: "https://x/y".to_owned() }, "APPLYING_BATCH_SPEC", "SUCCESS",
        r#"{"batchChangeURL":"https://x/y"}"#)]
    #[case(Event::BatchSpecExecutionFailure { error: "e".to_owned() }, "BATCH_SPEC_EXECUTION", "FAILURE", r#"{"error":"e"}"#)]
    #[case(Event::DockerWatchDogFailure { error: "e".to_owned() }, "DOCKER_WATCH_DOG", "FAILURE", r#"{"error":"e"}"#)]
    fn lines(
        #[case] event: Event,
        #[case] operation: &str,
        #[case] status: &str,
        #[case] metadata: &str,
    ) {
        assert_eq!(
            line(&event),
            format!(
                r#"{{"operation":"{operation}","timestamp":"2026-11-23T22:08:51.75Z","status":"{status}","metadata":{metadata}}}"#
            )
        );
    }

    #[test]
    fn a_step_result_is_in_the_version_asked_for() {
        let event = Event::CacheAfterStepResult {
            key: "k".to_owned(),
            value: Box::new(StepResult {
                diff: b"diff --git a a\n".to_vec(),
                ..StepResult::default()
            }),
        };
        let line = event.to_json_line(jiff::Timestamp::UNIX_EPOCH, Encoding::Base64);
        assert!(
            line.contains(r#""timestamp":"1970-01-01T00:00:00Z""#),
            "{line}"
        );
        assert!(line.contains(r#""value":{"version":2,"#), "{line}");
        assert!(line.contains(r#""diff":"ZGlmZiAtLWdpdCBhIGEK""#), "{line}");
    }
}
