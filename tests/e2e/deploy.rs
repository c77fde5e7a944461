//! What `examples/deploy` has: the image, and an executor that runs in a container of it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use capstan_tests::{Engine, JobState, SECRET, Sourcegraph, World, as_root, image};

use crate::executor::{REPOSITORY, native};

/// Runs a command in a container of the image that reaches this machine's network and its engine.
fn run(options: &[String], server: &Sourcegraph, command: &[&str]) -> Output {
    let mut docker = Command::new("docker");
    docker
        .args(["run", "--rm", "--network", "host"])
        .arg(format!(
            "--volume={}:/var/run/docker.sock",
            socket().display()
        ));
    for (name, value) in [
        ("EXECUTOR_FRONTEND_URL", server.url()),
        ("EXECUTOR_FRONTEND_PASSWORD", SECRET),
        ("EXECUTOR_QUEUE_NAME", "batches"),
        ("EXECUTOR_JOB_NUM_CPUS", "0"),
        ("EXECUTOR_JOB_MEMORY", "0"),
    ] {
        docker.arg(format!("--env={name}={value}"));
    }
    docker.args(options).arg(image()).args(command);
    docker.output().unwrap()
}

/// The socket of the engine.
fn socket() -> PathBuf {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    match (host.strip_prefix("unix://"), &*host) {
        (Some(path), _) => path.into(),
        (None, "") => "/var/run/docker.sock".into(),
        (None, other) => panic!("DOCKER_HOST is {other}: a container can only be handed a socket"),
    }
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Removes a directory that belongs to root.
struct RemovedAsRoot(PathBuf);

impl Drop for RemovedAsRoot {
    fn drop(&mut self) {
        let _ = as_root("rm").arg("-rf").arg(&self.0).status();
    }
}

#[test]
fn the_image_finds_the_engine_and_the_server() {
    Engine::require();
    let server = Sourcegraph::start();
    let output = run(&[], &server, &["executor", "validate"]);
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "All checks passed!\n"
    );
    server.assert_pleased();

    let without_engine = ["--env=DOCKER_HOST=unix:///nowhere/docker.sock".to_owned()];
    let output = run(&without_engine, &server, &["executor", "validate"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("no container engine answers"));
}

/// The engine sees the directory of workspaces under another path than the executor.
#[test]
fn an_executor_in_a_container_runs_jobs_beside_it() {
    Engine::require();
    let (world, server) = (World::new(), Sourcegraph::start());
    let scratch = world.root().join("scratch");
    fs::create_dir(&scratch).unwrap();
    let _removed = RemovedAsRoot(scratch.clone());
    let app = world.repository("app", &[("README.md", "hi\n")]);
    server.repository(REPOSITORY, app.path());
    let id = server.enqueue(native(
        &app.head(),
        &[
            "echo more >> README.md; ls /.capstan-objects/0",
            "cat README.md",
        ],
    ));
    let options = [
        format!("--volume={}:/scratch", scratch.display()),
        "--env=TMPDIR=/scratch".to_owned(),
        format!(
            "--env=EXECUTOR_DOCKER_HOST_MOUNT_PATH={}",
            scratch.display()
        ),
        "--env=EXECUTOR_NUM_TOTAL_JOBS=1".to_owned(),
        "--env=EXECUTOR_QUEUE_POLL_INTERVAL=100ms".to_owned(),
    ];
    let output = run(&options, &server, &[]);
    assert!(output.status.success(), "{}", text(&output));
    let log = server.log(id);
    assert_eq!(server.job(id), JobState::Completed, "{log:#?}");
    server.assert_pleased();
    let entry = |key: &str| log.iter().find(|entry| entry.key == key).unwrap();
    let second = &entry("step.docker.step.1.run").out;
    assert!(second.contains("stdout: hi\nstdout: more\n"), "{second}");
    let first = entry("step.docker.step.0.run");
    assert!(first.out.contains("stdout: pack\n"), "{}", first.out);
    // What the log shows is what the engine was told.
    let seen = format!("{}/capstan/runs/", scratch.display());
    let command = first.command.as_ref().unwrap();
    assert!(
        command.iter().any(|word| word.starts_with(&seen)),
        "{command:?}"
    );
}
