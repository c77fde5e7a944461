//! Native batch jobs.

use capstan_core::cache_key::cache_key;
use capstan_core::exec_input;
use serde_json::json;

use super::*;

#[tokio::test]
async fn two_steps_are_told_as_three_entries_each() {
    let bench = Bench::new().await;
    let first = json!({
        "run": "echo one; echo oops >&2; echo more >> README", "container": "alpine:3", "env": {"A": "b"},
        "outputs": {"said": {"value": "${{ step.stdout }}"}},
    });
    let second =
        step("echo '${{ outputs.said }}${{ join steps.modified_files \",\" }}' > new; pwd");
    let job = native(bench.job(), &json!([first, second]), &[], &[]);
    let ended = bench.run(&job).await;
    assert_eq!(ended.ending, Ending::Complete);
    insta::assert_snapshot!(ended.keys(), @r"
    setup.git.init
    setup.git.add-remote
    setup.git.disable-gc
    setup.git.fetch
    setup.git.checkout
    setup.git.set-remote
    setup.fs.extras
    step.docker.step.0.pre
    step.docker.step.0.run
    step.docker.step.0.post
    step.docker.step.1.pre
    step.docker.step.1.run
    step.docker.step.1.post
    teardown.fs
    ");
    // Labelled as the step wrote them, not exchanged as by the original.
    assert_eq!(
        ended.out("step.docker.step.0.run"),
        "stdout: one\nstderr: oops\n"
    );
    assert!(
        ended
            .out("setup.fs.extras")
            .starts_with("Wrote input.json in ")
    );
    let [(operation, status, metadata)] = &ended.events("step.docker.step.0.pre")[..] else {
        panic!("one event");
    };
    assert_eq!((&**operation, &**status), ("TASK_STEP", "STARTED"));
    assert_eq!(*metadata, json!({"step": 1, "env": {"A": "b"}}));
    let events = ended.events("step.docker.step.1.post");
    assert_eq!(events[0].0, "TASK_STEP");
    assert_eq!(events[0].1, "SUCCESS");
    assert_eq!(events[0].2["version"], 2);
    // From 0, and left out when it is 0.
    assert_eq!(events[0].2["step"], 1);
    assert_eq!(
        ended.events("step.docker.step.0.post")[0].2.get("step"),
        None
    );

    let last = oracle::complete(&ended.entries).unwrap();
    assert_eq!(last.step_index, 1);
    let diff = String::from_utf8(last.diff).unwrap();
    assert!(diff.starts_with("diff --git README README\n"), "{diff}");
    assert!(diff.ends_with("+one\n+README\n"), "{diff}");
    assert_eq!(last.changed_files.modified, ["README"]);
    assert_eq!(last.changed_files.added, ["new"]);

    let Content::Inline(input) = &job.files["input.json"].content else {
        panic!("it is inline");
    };
    let task = exec_input::parse(str::from_utf8(input).unwrap())
        .unwrap()
        .task;
    let environments = [map(&[("A", "b")]), map(&[])];
    let keys: Vec<String> = (0..2)
        .map(|step| cache_key(&task, step, &environments, &[], &BTreeMap::new()).unwrap())
        .collect();
    let mut told: Vec<String> = oracle::results(&ended.entries).into_keys().collect();
    told.sort_by_key(|key| key.ends_with("-step-1"));
    assert_eq!(told, keys);
}

#[tokio::test]
async fn one_container_a_step_and_no_helper() {
    let bench = Bench::new().await;
    let job = native(
        bench.job(),
        &json!([step("true"), step("true"), step("true")]),
        &[],
        &[],
    );
    assert_eq!(bench.run(&job).await.ending, Ending::Complete);
    let preparations = bench.seen.preparations.lock().unwrap().clone();
    assert_eq!(preparations.len(), 3);
    for preparation in &preparations {
        assert_eq!(preparation.image.name, "alpine:3");
        assert_eq!(preparation.place, "/data/repository");
    }
    assert!(!bench.images().iter().any(|image| image.contains("helper")));
}

#[tokio::test]
async fn a_failing_step_ends_the_job_and_what_was_done_before_is_kept() {
    let bench = Bench::new().await;
    let steps = json!([
        step("echo a > a"),
        step("echo no >&2; exit 3"),
        step("true")
    ]);
    let ended = bench.run(&native(bench.job(), &steps, &[], &[])).await;
    let message = "running command \"step.docker.step.1.run\": command failed with exit code 3";
    assert_eq!(ended.ending, Ending::Errored(message.to_owned()));
    let entry = ended.entry("step.docker.step.1.run");
    assert_eq!((entry.exit_code, &*entry.out), (Some(3), "stderr: no\n"));
    assert!(
        ended
            .keys()
            .ends_with("step.docker.step.1.run 3\nteardown.fs")
    );
    assert_eq!(oracle::results(&ended.entries).len(), 1);
}

#[tokio::test]
async fn a_step_whose_condition_is_false_is_told_as_skipped() {
    let bench = Bench::new().await;
    let skipped = json!({
        "run": "false", "container": "alpine:3", "env": {}, "if": "${{ eq previous_step.stdout \"never\" }}",
    });
    let steps = json!([step("echo a > a"), skipped, step("echo c > c")]);
    let ended = bench.run(&native(bench.job(), &steps, &[], &[])).await;
    assert_eq!(ended.ending, Ending::Complete);
    let events = ended.events("step.docker.step.1.pre");
    assert_eq!(events[0].0, "TASK_STEP_SKIPPED");
    assert_eq!(events[0].1, "PROGRESS");
    assert_eq!(events[0].2, json!({"step": 2}));
    assert!(!ended.keys().contains("step.1.run"));
    assert_eq!(
        oracle::complete(&ended.entries)
            .unwrap()
            .changed_files
            .added,
        ["a", "c"]
    );
}

#[tokio::test]
async fn what_the_server_skips_is_not_told_and_does_not_run() {
    let bench = Bench::new().await;
    // The spec alone would run it.
    let steps = json!([step("echo a > a"), step("exit 1"), step("echo c > c")]);
    let ended = bench.run(&native(bench.job(), &steps, &[], &[1])).await;
    assert_eq!(ended.ending, Ending::Complete);
    assert!(!ended.keys().contains("step.1."));
    assert_eq!(oracle::complete(&ended.entries).unwrap().step_index, 2);
}

#[tokio::test]
async fn a_job_without_anything_to_do_has_an_empty_result() {
    let bench = Bench::new().await;
    let never = json!({"run": "exit 1", "container": "alpine:3", "env": {}, "if": "${{ eq repository.name \"x\" }}"});
    // Decided here, and decided by the server.
    for without in [&[][..], &[0, 1]] {
        let steps = json!([never, never]);
        let ended = bench.run(&native(bench.job(), &steps, &[], without)).await;
        assert_eq!(ended.ending, Ending::Complete);
        let result = oracle::complete(&ended.entries).unwrap();
        assert_eq!((result.step_index, result.diff.len()), (1, 0));
        assert!(
            !ended.keys().contains("setup.git"),
            "nothing had to be cloned"
        );
    }
}

#[tokio::test]
async fn a_cached_result_is_gone_on_from() {
    let bench = Bench::new().await;
    let diff = "diff --git a a\nnew file mode 100644\nindex 0000000..7898192\n--- /dev/null\n+++ a\n@@ -0,0 +1 @@\n+a\n";
    let cached = json!({
        "version": 2, "stdout": "said", "stderr": "", "stepIndex": 0, "diff": null,
        "outputs": {"name": "value"}, "changedFiles": {"modified": null}, "skipped": false,
    });
    let second = step(
        "cat a; echo '${{ previous_step.stdout }} ${{ outputs.name }} ${{ join steps.added_files \",\" }}'",
    );
    let mut job = native(bench.job(), &json!([step("exit 1"), second]), &[], &[0]);
    job.files
        .insert("step0.json".to_owned(), inline(cached.to_string()));
    job.files.insert("state.diff".to_owned(), inline(diff));
    let apply = DockerStep {
        key: "apply-diff".to_owned(),
        image: "sourcegraph/batcheshelper:5.2.0".to_owned(),
        commands: vec![
            "set -e".to_owned(),
            "git apply -p0 ../state.diff".to_owned(),
            "git add --all".to_owned(),
        ],
        dir: "repository".to_owned(),
        env: Vec::new(),
    };
    job.docker_steps.insert(0, apply);
    let ended = bench.run(&job).await;
    assert_eq!(ended.ending, Ending::Complete);
    assert!(
        ended
            .keys()
            .contains("setup.fs.extras\nstep.docker.apply-diff\nstep.docker.step.1.pre\n")
    );
    assert_eq!(
        ended.out("step.docker.step.1.run"),
        "stdout: a\nstdout: said value a\n"
    );
    assert_eq!(
        oracle::complete(&ended.entries).unwrap().diff,
        diff.as_bytes()
    );
}

#[tokio::test]
async fn secrets_reach_the_step_and_nothing_else() {
    let bench = Bench::new().await;
    let with_secret = json!({"run": "echo token=$TOKEN; echo $TOKEN > file", "container": "alpine:3", "env": ["TOKEN", {"B": "c"}]});
    let mut job = native(
        bench.job(),
        &json!([with_secret]),
        &["TOKEN=s3cret-value"],
        &[],
    );
    job.redacted_values = map(&[("s3cret-value", "${{ secrets.TOKEN }}")]);
    let ended = bench.run(&job).await;
    assert_eq!(
        ended.out("step.docker.step.0.run"),
        "stdout: token=${{ secrets.TOKEN }}\n"
    );
    let env = &ended.events("step.docker.step.0.pre")[0].2["env"];
    assert_eq!(*env, json!({"B": "c", "TOKEN": "${{ secrets.TOKEN }}"}));
    let everything = format!("{:?}", ended.entries);
    assert!(
        !everything.contains("s3cret-value") && !everything.contains("t0ken-of"),
        "{everything}"
    );
    // The diff is the step's, byte for byte.
    let result = oracle::complete(&ended.entries).unwrap();
    assert!(
        String::from_utf8(result.diff)
            .unwrap()
            .contains("+s3cret-value\n")
    );
    assert_eq!(result.stdout, "token=${{ secrets.TOKEN }}\n");
}

#[tokio::test]
async fn files_are_mounted_for_every_step_and_their_times_count() {
    let bench = Bench::new().await;
    let mounting = json!({
        "run": "true", "container": "alpine:3", "env": {},
        "mount": [{"mountpoint": "/tmp/tool", "path": "./scripts/tool.sh"}],
    });
    let mut job = native(bench.job(), &json!([mounting, mounting]), &[], &[]);
    let mut file = inline("echo hi\n");
    file.modified_at = Some("2023-03-01T10:00:00Z".parse().unwrap());
    job.files
        .insert("workspace-files/scripts/tool.sh".to_owned(), file.clone());
    let first = bench.run(&job).await;
    assert_eq!(first.ending, Ending::Complete);
    let preparations = bench.seen.preparations.lock().unwrap().clone();
    let mounted = preparations
        .iter()
        .flat_map(|preparation| &preparation.mounts);
    let mounted: Vec<_> = mounted
        .filter(|mount| mount.target == "/tmp/tool")
        .collect();
    assert_eq!(mounted.len(), 2);
    assert!(
        mounted
            .iter()
            .all(|mount| mount.read_only
                && mount.source.ends_with("workspace-files/scripts/tool.sh"))
    );
    // The same file at the same time has the same keys.
    let keys = |ended: &Ended| {
        oracle::results(&ended.entries)
            .into_keys()
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&bench.run(&job).await), keys(&first));
    file.modified_at = Some("2024-03-01T10:00:00Z".parse().unwrap());
    job.files
        .insert("workspace-files/scripts/tool.sh".to_owned(), file);
    assert_ne!(keys(&bench.run(&job).await), keys(&first));
}

#[tokio::test]
async fn an_image_that_cannot_be_had_fails_where_docker_run_would() {
    let bench = Bench::new().await;
    let missing = json!({"run": "true", "container": "missing", "env": {}});
    let ended = bench
        .run(&native(bench.job(), &json!([missing]), &[], &[]))
        .await;
    let Ending::Errored(message) = &ended.ending else {
        panic!("{:?}", ended.ending);
    };
    assert!(
        message.starts_with(
            "running command \"step.docker.step.0.run\": failed to pull image for step 1: missing: "
        ),
        "{message}"
    );
    assert_eq!(ended.entry("step.docker.step.0.pre").exit_code, Some(0));
    assert_eq!(ended.entry("step.docker.step.0.run").exit_code, Some(125));
    assert!(
        ended
            .out("step.docker.step.0.run")
            .contains("stderr: failed to pull image")
    );
}

#[tokio::test]
async fn an_output_that_cannot_be_read_fails_after_the_step() {
    let bench = Bench::new().await;
    let wrong = json!({
        "run": "echo '{'", "container": "alpine:3", "env": {},
        "outputs": {"o": {"value": "${{ step.stdout }}", "format": "json"}},
    });
    let ended = bench
        .run(&native(bench.job(), &json!([wrong]), &[], &[]))
        .await;
    assert_eq!(ended.entry("step.docker.step.0.run").exit_code, Some(0));
    assert_eq!(ended.entry("step.docker.step.0.post").exit_code, Some(1));
    assert!(
        matches!(&ended.ending, Ending::Errored(text) if text.starts_with("running command \"step.docker.step.0.post\": "))
    );
    assert_eq!(
        oracle::complete(&ended.entries),
        Err("found no step results")
    );
}

#[tokio::test]
async fn cancelling_and_running_late_end_a_job_in_different_ways() {
    let mut bench = Bench::new().await;
    let job = native(bench.job(), &json!([step("sleep 600")]), &[], &[]);
    bench.context.settings.maximum_runtime = Some(std::time::Duration::from_secs(1));
    let late = bench.run(&job).await;
    assert_eq!(
        late.ending,
        Ending::Errored("job exceeded the maximum execution time of 1s".to_owned())
    );
    let entry = late.entry("step.docker.step.0.run");
    assert_eq!(
        (entry.exit_code, &*entry.out),
        (Some(-1), "stderr: the job was stopped\n")
    );
    bench.context.settings.maximum_runtime = None;
    bench.cancel.cancel();
    let cancelled = bench.run(&job).await;
    assert_eq!(
        cancelled.ending,
        Ending::Failed("the job was cancelled".to_owned())
    );
    assert_eq!(oracle::results(&cancelled.entries).len(), 0);
}

#[tokio::test]
async fn a_repository_that_cannot_be_had_fails_in_its_entry() {
    let bench = Bench::new().await;
    let mut job = native(bench.job(), &json!([step("true")]), &[], &[]);
    job.repository_name = "github.com/acme/gone".to_owned();
    let ended = bench.run(&job).await;
    assert_eq!(ended.entry("setup.git.fetch").exit_code, Some(128));
    assert!(
        matches!(&ended.ending, Ending::Errored(text) if text.starts_with("running command \"setup.git.fetch\": fetching ")),
        "{:?}",
        ended.ending
    );
    assert!(!ended.keys().contains("setup.git.checkout"));
}

#[tokio::test]
async fn the_commands_are_the_original_s() {
    let mut bench = Bench::new().await;
    bench.context.settings.host_mount_path = Some("/on/the/host".into());
    let mut job = native(
        bench.job(),
        &json!([step("true")]),
        &["TOKEN=s3cret-value"],
        &[],
    );
    job.redacted_values = map(&[("s3cret-value", "${{ secrets.TOKEN }}")]);
    let ended = bench.run(&job).await;
    let command = ended
        .entry("step.docker.step.0.pre")
        .command
        .clone()
        .unwrap()
        .join(" ");
    assert!(
        command.starts_with("docker run --rm -v /on/the/host/workspace-42-"),
        "{command}"
    );
    let rest = command
        .split_once(":/data ")
        .unwrap()
        .1
        .replace(&bench.commit, "COMMIT");
    assert_eq!(
        rest,
        "-w /data -e TOKEN=${{ secrets.TOKEN }} --entrypoint /bin/sh sourcegraph/batcheshelper:5.2.0 \
         /data/.sourcegraph-executor/42.0_github.com_acme_app@COMMIT.sh"
    );
    let run = ended
        .entry("step.docker.step.0.run")
        .command
        .clone()
        .unwrap()
        .join(" ");
    assert!(
        run.contains(
            " -w /data/repository --entrypoint /bin/sh alpine:3 /data/.sourcegraph-executor/42.1_"
        ),
        "{run}"
    );
    assert_eq!(ended.entry("setup.fs.extras").command, None);
    assert_eq!(ended.entry("teardown.fs").command, None);
}

#[tokio::test]
async fn a_workspace_is_kept_where_that_is_wanted() {
    let mut bench = Bench::new().await;
    bench.context.settings.keep_workspaces = true;
    let job = native(bench.job(), &json!([step("echo a > a")]), &[], &[]);
    let ended = bench.run(&job).await;
    assert!(
        ended
            .out("teardown.fs")
            .starts_with("Preserving workspace ")
    );
    let [kept] = &bench.left()[..] else {
        panic!("one is kept");
    };
    assert!(kept.join("data/input.json").is_file());
    assert!(!kept.join("logs").exists());
}

#[tokio::test]
async fn a_step_during_which_the_engine_is_lost_runs_again_in_the_same_entries() {
    let bench = Bench::new().await;
    let lost = json!({"run": "cat a; echo b > b", "container": "restarting", "env": {}});
    let steps = json!([step("echo a > a"), lost]);
    let ended = bench.run(&native(bench.job(), &steps, &[], &[])).await;
    assert_eq!(ended.ending, Ending::Complete, "{:?}", ended.entries);
    let keys = ended.keys();
    let steps = keys.split_once("setup.fs.extras\n").unwrap().1;
    insta::assert_snapshot!(steps, @r"
    step.docker.step.0.pre
    step.docker.step.0.run
    step.docker.step.0.post
    step.docker.step.1.pre
    step.docker.step.1.run
    step.docker.step.1.post
    teardown.fs
    ");
    assert_eq!(
        ended.out("step.docker.step.1.run"),
        "stderr: the container engine was lost\nstderr: running the step again\nstdout: a\n"
    );
    // The first step did not run again.
    let ran = bench.seen.preparations.lock().unwrap();
    assert_eq!(
        ran.iter()
            .filter(|made| made.image.name == "alpine:3")
            .count(),
        1
    );
    assert_eq!(
        oracle::complete(&ended.entries)
            .unwrap()
            .changed_files
            .added,
        ["a", "b"]
    );
}
