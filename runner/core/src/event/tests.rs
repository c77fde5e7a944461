//! One line for each operation.

use rstest::rstest;

use super::*;
use crate::diff::Encoding;
use crate::value::Value;

fn line(event: &Event) -> String {
    let at = "2026-11-23T22:08:51.750999Z".parse().unwrap();
    event.to_json_line(at, Encoding::Text)
}

fn task() -> TaskId {
    TaskId("7bCd".to_owned())
}

#[test]
fn native_jobs_tell_results_without_a_task_and_count_from_0() {
    let event = |step| Event::TaskStepResult {
        step,
        diff: b"diff".to_vec(),
        outputs: [("a".to_owned(), Value::String("<".to_owned()))].into(),
    };
    let metadata = |event: &Event| {
        let line = line(event);
        let (_, metadata) = line.split_once(r#""metadata":"#).unwrap();
        metadata.trim_end_matches('}').to_owned()
    };
    assert_eq!(
        metadata(&event(0)),
        r#"{"version":2,"diff":"ZGlmZg==","outputs":{"a":"\u003c""#
    );
    assert_eq!(
        metadata(&event(1)),
        r#"{"version":2,"step":1,"diff":"ZGlmZg==","outputs":{"a":"\u003c""#
    );
    let started = Event::TaskStepStarted {
        task: TaskId(String::new()),
        step: 1,
        env: BTreeMap::new(),
    };
    assert_eq!(metadata(&started), r#"{"step":1"#);
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
