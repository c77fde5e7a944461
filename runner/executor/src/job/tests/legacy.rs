//! Jobs that call `src batch exec`.

use capstan_protocol::CliStep;
use serde_json::json;

use super::*;

fn legacy(bench: &Bench, steps: &Value, change: impl FnOnce(&mut Value)) -> Job {
    let mut job = bench.job();
    job.repository_directory = "repository".to_owned();
    let mut input = input(&job, steps);
    change(&mut input);
    job.files
        .insert("input.json".to_owned(), inline(input.to_string()));
    let command = "batch exec -f input.json -repo repository -tmp .src-tmp -binaryDiffs";
    job.cli_steps = vec![CliStep {
        key: "batch-exec".to_owned(),
        command: command.split(' ').map(str::to_owned).collect(),
        dir: ".".to_owned(),
        env: vec!["TOKEN=s3cret-value".to_owned()],
    }];
    job.redacted_values = map(&[("s3cret-value", "${{ secrets.TOKEN }}")]);
    job
}

fn operations(ended: &Ended) -> String {
    let events = ended.events("step.src.batch-exec");
    let lines = events.iter().map(|(operation, status, metadata)| {
        let step = metadata
            .get("step")
            .map(|step| format!(" {step}"))
            .unwrap_or_default();
        format!("{operation} {status}{step}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn the_events_of_src_are_told_in_one_entry() {
    let bench = Bench::new().await;
    let step = json!({"run": "echo $TOKEN; echo a > a", "container": "alpine:3", "env": ["TOKEN"]});
    let ended = bench.run(&legacy(&bench, &json!([step]), |_| {})).await;
    assert_eq!(ended.ending, Ending::Complete, "{:?}", ended.entries);
    assert!(
        ended
            .keys()
            .ends_with("setup.git.set-remote\nsetup.fs.extras\nstep.src.batch-exec\nteardown.fs"),
        "{}",
        ended.keys()
    );
    insta::assert_snapshot!(operations(&ended), @r"
    PREPARING_DOCKER_IMAGES STARTED
    PREPARING_DOCKER_IMAGES PROGRESS
    PREPARING_DOCKER_IMAGES PROGRESS
    PREPARING_DOCKER_IMAGES SUCCESS
    DETERMINING_WORKSPACE_TYPE STARTED
    DETERMINING_WORKSPACE_TYPE SUCCESS
    EXECUTING_TASK STARTED
    TASK_PREPARING_STEP STARTED 1
    TASK_PREPARING_STEP SUCCESS 1
    TASK_STEP STARTED 1
    TASK_STEP PROGRESS 1
    TASK_STEP SUCCESS 1
    CACHE_AFTER_STEP_RESULT SUCCESS
    EXECUTING_TASK SUCCESS
    ");
    let result = oracle::complete(&ended.entries).unwrap();
    assert_eq!(result.changed_files.added, ["a"]);
    assert!(
        ended
            .out("step.src.batch-exec")
            .contains("stdout: ${{ secrets.TOKEN }}")
    );
    assert!(!format!("{:?}", ended.entries).contains("s3cret-value"));
    let command = ended.entry("step.src.batch-exec").command.clone().unwrap();
    assert_eq!(command[..4], ["src", "batch", "exec", "-f"]);
    let preparations = bench.seen.preparations.lock().unwrap();
    assert_eq!(preparations[0].place, "/work");
    assert_eq!(preparations[0].user, capstan_engine::sandbox::User::Root);
}

#[tokio::test]
async fn a_failing_step_fails_the_call() {
    let bench = Bench::new().await;
    let ended = bench
        .run(&legacy(
            &bench,
            &json!([step("echo no >&2; exit 3")]),
            |_| {},
        ))
        .await;
    let message = "failed to perform src-cli step: running command \"step.src.batch-exec\": command failed with exit code 1";
    assert_eq!(ended.ending, Ending::Errored(message.to_owned()));
    assert!(operations(&ended).ends_with("TASK_STEP FAILURE 1\nEXECUTING_TASK FAILURE"));
    assert_eq!(ended.entry("step.src.batch-exec").exit_code, Some(1));
}

#[tokio::test]
async fn a_cached_result_is_told_again_where_nothing_is_left_to_do() {
    let bench = Bench::new().await;
    let cached = json!({
        "version": 2, "stdout": "", "stderr": "", "stepIndex": 0, "diff": "ZGlmZg==", "outputs": {},
        "changedFiles": {"modified": null}, "skipped": false,
    });
    let job = legacy(&bench, &json!([step("exit 1")]), |input| {
        input["cachedStepResultFound"] = true.into();
        input["cachedStepResult"] = cached;
    });
    let ended = bench.run(&job).await;
    assert_eq!(ended.ending, Ending::Complete);
    assert_eq!(oracle::complete(&ended.entries).unwrap().diff, b"diff");
    assert!(!ended.keys().contains("setup.git"));
}

#[tokio::test]
async fn a_pod_has_no_container_for_what_is_known() {
    let bench = Bench::new().await;
    let container = |image: &str| json!({"run": "true", "container": image});
    let steps = json!([container("acme/known:1"), container("acme/next:1")]);
    let images = |step_index: Value| {
        let job = legacy(&bench, &steps, |input| {
            input["cachedStepResultFound"] = true.into();
            input["cachedStepResult"] = json!({"stepIndex": step_index, "diff": null});
        });
        let settings = Settings {
            volume: Some("/job".into()),
            ..Settings::default()
        };
        let gates = crate::job::gates(&job, &settings).unwrap();
        let images = gates.slots().iter().map(|slot| slot.image.clone());
        images.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(images(0.into()), "acme/next:1");
    assert_eq!(images(1.into()), "");
    assert_eq!(images(u32::MAX.into()), "");
}

#[tokio::test]
async fn what_is_wrong_with_the_call_is_told_as_src_does() {
    let bench = Bench::new().await;
    for (flags, said) in [
        (
            "batch exec -f input.json -repo repository",
            "tempDir parameter missing",
        ),
        (
            "batch exec -f gone.json -repo repository -tmp t",
            "failed to read workspace execution input file: ",
        ),
        (
            "batch exec -f ../input.json -repo repository -tmp t",
            "it leads out of its directory by ..",
        ),
        (
            "batch exec -f input.json -repo elsewhere -tmp t",
            "the repository is in \"repository\", not in \"elsewhere\"",
        ),
        (
            "batch exec -f input.json -repo repository -tmp t -workspaceFiles /etc",
            "it is absolute",
        ),
        ("batch exec -x", "flag provided but not defined: -x"),
    ] {
        let mut job = legacy(&bench, &json!([step("true")]), |_| {});
        job.cli_steps[0].command = flags.split(' ').map(str::to_owned).collect();
        let ended = bench.run(&job).await;
        assert!(matches!(ended.ending, Ending::Errored(_)), "{flags}");
        assert!(
            ended
                .out("step.src.batch-exec")
                .contains(&format!("stderr: {said}"))
                || ended.out("step.src.batch-exec").contains(said),
            "{flags}: {:?}",
            ended.entries
        );
    }
}

#[tokio::test]
async fn a_step_during_which_the_engine_is_lost_runs_again_and_only_that_is_told() {
    let bench = Bench::new().await;
    let lost = json!({"run": "cat a; echo b > b", "container": "restarting", "env": {}});
    let steps = json!([step("echo a > a"), lost]);
    let ended = bench.run(&legacy(&bench, &steps, |_| {})).await;
    assert_eq!(ended.ending, Ending::Complete, "{:?}", ended.entries);
    let told = operations(&ended);
    let told = told.split_once("EXECUTING_TASK STARTED\n").unwrap().1;
    insta::assert_snapshot!(told, @r"
    TASK_PREPARING_STEP STARTED 1
    TASK_PREPARING_STEP SUCCESS 1
    TASK_STEP STARTED 1
    TASK_STEP SUCCESS 1
    TASK_PREPARING_STEP STARTED 2
    TASK_PREPARING_STEP SUCCESS 2
    TASK_STEP STARTED 2
    TASK_PREPARING_STEP STARTED 2
    TASK_PREPARING_STEP SUCCESS 2
    TASK_STEP STARTED 2
    TASK_STEP PROGRESS 2
    TASK_STEP SUCCESS 2
    CACHE_AFTER_STEP_RESULT SUCCESS
    CACHE_AFTER_STEP_RESULT SUCCESS
    EXECUTING_TASK SUCCESS
    ");
    assert!(
        ended
            .out("step.src.batch-exec")
            .contains("stderr: the container engine was lost\nstderr: running the step again\n")
    );
    let added = oracle::complete(&ended.entries)
        .unwrap()
        .changed_files
        .added;
    assert_eq!(added, ["a", "b"]);
}
