//! Jobs that are run to the letter.

use super::*;

fn docker_step(key: &str, command: &str) -> DockerStep {
    DockerStep {
        key: key.to_owned(),
        image: "alpine:3".to_owned(),
        commands: command.lines().map(str::to_owned).collect(),
        ..DockerStep::default()
    }
}

#[tokio::test]
async fn steps_share_the_repository_and_what_they_write() {
    let bench = Bench::new().await;
    let mut job = bench.job();
    job.files.insert("extra/file".to_owned(), inline("given\n"));
    let mut first = docker_step(
        "pre-index.0",
        "false\ncat README ../extra/file > ../dump\necho $VM_CPUS",
    );
    first.dir = "sub".to_owned();
    first.commands[1] = "cat ../README ../extra/file > ../dump".to_owned();
    first.env = vec!["VM_CPUS=4".to_owned()];
    job.docker_steps = vec![
        first,
        docker_step(
            "indexer",
            "cat dump\ngit log --format=%s\ngit status --short",
        ),
    ];
    let ended = bench.run(&job).await;
    assert_eq!(ended.ending, Ending::Complete, "{:?}", ended.entries);
    insta::assert_snapshot!(ended.keys(), @r"
    setup.git.init
    setup.git.add-remote
    setup.git.disable-gc
    setup.git.fetch
    setup.git.checkout
    setup.git.set-remote
    setup.fs.extras
    step.docker.pre-index.0
    step.docker.indexer
    teardown.fs
    ");
    // A command that fails does not end the script, and all are traced.
    let said = ended.out("step.docker.pre-index.0");
    assert!(
        said.starts_with("stdout: 4\n") && said.contains("stderr: + false\n"),
        "{said}"
    );
    let said = ended.out("step.docker.indexer");
    assert!(
        said.starts_with("stdout: hi\nstdout: given\nstdout: first\nstdout: ?? .sourcegraph-executor/\nstdout: ?? dump\n"),
        "{said}"
    );
    let written = ended.out("setup.fs.extras");
    assert!(written.contains("Wrote extra/file in "), "{written}");
    assert!(written.contains(&format!(
        "Wrote .sourcegraph-executor/42.1_github.com_acme_app@{}.sh in ",
        bench.commit
    )));
    let preparations = bench.seen.preparations.lock().unwrap();
    assert!(
        preparations
            .iter()
            .all(|preparation| preparation.place == "/data")
    );
    assert_eq!(preparations[0].directory, "sub");
}

#[tokio::test]
async fn the_repository_may_be_in_a_directory_of_its_own() {
    let bench = Bench::new().await;
    let mut job = bench.job();
    job.repository_directory = "a/repository".to_owned();
    job.sparse_checkout = vec!["sub/*".to_owned()];
    job.files.insert("a/repository/new".to_owned(), inline("x"));
    let mut only = docker_step("", "ls; ls sub");
    only.dir = "a/repository".to_owned();
    job.docker_steps = vec![only];
    let ended = bench.run(&job).await;
    assert_eq!(ended.ending, Ending::Complete, "{:?}", ended.entries);
    assert!(ended.keys().contains("setup.git.fetch\nsetup.git.sparse-checkout-config\nsetup.git.sparse-checkout-set\nsetup.git.checkout\n"));
    assert!(
        ended
            .out("step.docker.0")
            .starts_with("stdout: new\nstdout: sub\nstdout: file\n"),
        "{:?}",
        ended.entries
    );
}

#[tokio::test]
async fn the_status_of_a_script_is_that_of_its_last_command() {
    let bench = Bench::new().await;
    let mut job = bench.job();
    job.repository_name.clear();
    job.docker_steps = vec![
        docker_step("a", "false\ntrue"),
        docker_step("b", "exit 7"),
        docker_step("c", "true"),
    ];
    let ended = bench.run(&job).await;
    let message = "running command \"step.docker.b\": command failed with exit code 7";
    assert_eq!(ended.ending, Ending::Errored(message.to_owned()));
    assert_eq!(
        ended.keys(),
        "setup.fs.extras\nstep.docker.a\nstep.docker.b 7\nteardown.fs"
    );
}

#[tokio::test]
async fn a_skip_file_is_obeyed_after_a_pre_step_only() {
    let bench = Bench::new().await;
    let run = async |first: &str, next: &str| {
        let mut job = bench.job();
        job.repository_name.clear();
        let skip = format!("echo '{{\"nextStep\": \"{next}\"}}' > skip.json");
        job.docker_steps = vec![
            docker_step(first, &skip),
            docker_step("step.0.run", "exit 1"),
            docker_step("step.1.pre", "test ! -e skip.json"),
        ];
        bench.run(&job).await
    };
    let skipped = run("step.0.pre", "step.1.pre").await;
    assert_eq!(skipped.ending, Ending::Complete);
    assert_eq!(
        skipped.keys(),
        "setup.fs.extras\nstep.docker.step.0.pre\nstep.docker.step.1.pre\nteardown.fs"
    );
    // Without such a step all of the rest is skipped.
    let none = run("step.0.pre", "step.9.pre").await;
    assert_eq!((none.ending, none.entries.len()), (Ending::Complete, 3));
    assert!(matches!(
        run("step.0.post", "step.1.pre").await.ending,
        Ending::Errored(_)
    ));
    let wrong = run("step.0.pre", "\"").await;
    assert!(
        matches!(wrong.ending, Ending::Errored(text) if text.starts_with("reading skip.json after \"step.docker.step.0.pre\": "))
    );
}

#[tokio::test]
async fn a_missing_image_is_told_in_the_step() {
    let bench = Bench::new().await;
    let mut job = bench.job();
    job.repository_name.clear();
    job.docker_steps = vec![DockerStep {
        image: "missing".to_owned(),
        ..docker_step("indexer", "true")
    }];
    let ended = bench.run(&job).await;
    assert_eq!(ended.entry("step.docker.indexer").exit_code, Some(125));
    assert!(
        matches!(&ended.ending, Ending::Errored(text) if text.starts_with("running command \"step.docker.indexer\": failed to pull image"))
    );
}

#[tokio::test]
async fn a_native_looking_job_of_another_helper_is_run_to_the_letter() {
    let bench = Bench::new().await;
    let mut job = native(bench.job(), &serde_json::json!([step("true")]), &[], &[]);
    job.docker_steps[0].commands = vec!["echo mine".to_owned()];
    job.docker_steps[1].commands = vec!["echo run".to_owned()];
    job.docker_steps[2].commands = vec!["echo post".to_owned()];
    let ended = bench.run(&job).await;
    assert_eq!(ended.ending, Ending::Complete);
    assert!(
        ended
            .out("step.docker.step.0.pre")
            .starts_with("stdout: mine\n")
    );
    assert_eq!(bench.images()[0], "sourcegraph/batcheshelper:5.2.0");
}

#[tokio::test]
async fn a_call_of_src_that_is_not_known_is_refused() {
    let bench = Bench::new().await;
    let mut job = bench.job();
    job.repository_name.clear();
    job.cli_steps = vec![capstan_protocol::CliStep {
        command: ["repos", "list"].map(str::to_owned).into(),
        ..capstan_protocol::CliStep::default()
    }];
    let ended = bench.run(&job).await;
    assert_eq!(ended.entry("step.src.0").exit_code, Some(1));
    assert!(
        matches!(&ended.ending, Ending::Errored(text) if text.starts_with("failed to perform src-cli step: "))
    );
}

#[tokio::test]
async fn a_job_whose_engine_is_lost_begins_anew() {
    let bench = Bench::new().await;
    let mut job = bench.job();
    job.files.insert("given".to_owned(), inline("given\n"));
    let mut lost = docker_step("indexer", "cat given made");
    lost.image = "restarting".to_owned();
    job.docker_steps = vec![docker_step("pre-index.0", "echo made >> made"), lost];
    let ended = bench.run(&job).await;
    assert_eq!(ended.ending, Ending::Complete, "{:?}", ended.entries);
    let keys = ended.keys();
    let steps = keys.lines().filter(|key| !key.starts_with("setup.git"));
    insta::assert_snapshot!(steps.collect::<Vec<_>>().join("\n"), @r"
    setup.fs.extras
    step.docker.pre-index.0
    step.docker.indexer -1
    setup.fs.extras
    step.docker.pre-index.0
    step.docker.indexer
    teardown.fs
    ");
    assert_eq!(
        ended.out("step.docker.indexer"),
        "stderr: the container engine was lost\nstderr: the job begins anew\n"
    );
    // Nothing of the first time is there.
    let last = ended.entries.iter().rev().nth(1).unwrap();
    assert!(
        last.out
            .starts_with("stdout: given\nstdout: made\nstderr: "),
        "{}",
        last.out
    );
}
