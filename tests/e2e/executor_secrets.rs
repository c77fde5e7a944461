//! Tokens and secrets while a job runs, and after it: where they are not.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use capstan_tests::{JobState, SECRET};
use serde_json::json;

use crate::executor::{Station, listening, native};

/// The beginning of the tokens that the server makes.
const TOKEN: &str = "000000000000000000fee";

/// The value of a secret that the job uses.
const VALUE: &str = "s3cret-of-this-job";

/// A password for a registry.
const PASSWORD: &str = "p4ssword-of-the-registry";

/// What must not be found, and what else it may look like.
fn secrets() -> Vec<String> {
    let basic = STANDARD.encode(format!("robot:{PASSWORD}"));
    let mut all = vec![basic];
    all.extend([TOKEN, SECRET, VALUE, PASSWORD].map(str::to_owned));
    all
}

/// Processes below another, and below those.
fn descendants(id: u32) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![id];
    while let Some(id) = pending.pop() {
        let threads = fs::read_dir(format!("/proc/{id}/task"))
            .into_iter()
            .flatten();
        for thread in threads.flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            for child in children.split_whitespace().filter_map(|id| id.parse().ok()) {
                pending.push(child);
                found.push(PathBuf::from(format!("/proc/{child}")));
            }
        }
    }
    found
}

/// Looks at the command lines of all processes of this machine and at the environment of those that the executor has started; the names of
/// the latter.
#[track_caller]
fn look_at_processes(executor: u32) -> BTreeSet<String> {
    let text = |path: PathBuf| {
        let bytes = fs::read(path).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    };
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in all {
        let line = text(process.path().join("cmdline"));
        for secret in secrets() {
            assert!(!line.contains(&secret), "{secret} in {line}");
        }
    }
    let mut names = BTreeSet::new();
    for child in descendants(executor) {
        let (name, environment) = (text(child.join("comm")), text(child.join("environ")));
        for secret in secrets() {
            assert!(
                !environment.contains(&secret),
                "{secret} in the environment of {name}: {environment}"
            );
        }
        names.insert(name.trim().to_owned());
    }
    names
}

/// Asserts that nothing below a directory holds a secret.
#[track_caller]
fn look_at_files(directory: &Path) {
    let mut pending = vec![directory.to_path_buf()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let kind = entry.file_type().expect("it was listed");
            if kind.is_dir() {
                pending.push(entry.path());
            } else if kind.is_file() {
                let text = fs::read(entry.path()).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                for secret in secrets() {
                    assert!(
                        !text.contains(&secret),
                        "{secret} in {}",
                        entry.path().display()
                    );
                }
            }
        }
    }
}

#[test]
fn no_secret_is_in_a_log_a_process_list_a_file_or_an_error() {
    let at = Station::new();
    let script = "echo $TOKEN; echo \"$TOKEN\" >&2; echo begun; sleep 2; echo \"failed with $TOKEN\" >&2; exit 3";
    let mut job = native(&at.commit, &[script]);
    for index in [0, 2] {
        job["dockerSteps"][index]["env"] = json!([format!("TOKEN={VALUE}")]);
    }
    let input = job["files"]["input.json"]["content"]
        .as_str()
        .expect("it is text");
    let input = STANDARD.decode(input).expect("it is base64");
    let mut input: serde_json::Value = serde_json::from_slice(&input).expect("it is JSON");
    input["steps"][0]["env"] = json!(["TOKEN"]);
    job["files"]["input.json"]["content"] = STANDARD.encode(input.to_string()).into();
    job["files"]["workspace-files/tool"] = json!({"bucket": "batch-changes", "key": "spec/tool"});
    job["redactedValues"] = json!({VALUE: "${{ secrets.TOKEN }}"});
    let auth = STANDARD.encode(format!("robot:{PASSWORD}"));
    job["dockerAuthConfig"] = json!({"auths": {"registry.example.com": {"auth": auth}}});
    at.server.file("spec/tool", b"#!/bin/sh\n");
    at.server.hold("/git-upload-pack");
    let id = at.server.enqueue(job);
    let executor = at.executor().env("SRC_LOG_LEVEL", "dbug").env(
        "EXECUTOR_DOCKER_AUTH_CONFIG",
        json!({"auths": {"other.example.com": {"auth": auth}}}).to_string(),
    );
    let running = listening(executor);

    at.server.wait_until("the repository is fetched", |server| {
        server.count("/git-upload-pack") > 0
    });
    let names = look_at_processes(running.id());
    assert!(
        names.iter().any(|name| name.starts_with("git")),
        "{names:?}"
    );
    at.server.release();
    at.wait_for_output(id, "stdout: begun\n");
    look_at_processes(running.id());

    let JobState::Errored(message) = at.server.wait_for(id) else {
        panic!("{:?}", at.server.job(id));
    };
    let run = at.entry(id, "step.docker.step.0.run").out;
    assert!(
        run.contains("stderr: failed with ${{ secrets.TOKEN }}\n"),
        "{run}"
    );
    let log = at.stop(running);
    assert!(log.contains("DEBUG") || log.contains("debug"), "{log}");
    let bodies = at.server.bodies();
    for (what, text) in [
        ("the error", &message),
        ("the executor's log", &log),
        ("what was sent", &bodies),
    ] {
        for secret in secrets() {
            assert!(!text.contains(&secret), "{secret} in {what}:\n{text}");
        }
    }
    look_at_files(&at.world.home());
    at.server.assert_pleased();
}
