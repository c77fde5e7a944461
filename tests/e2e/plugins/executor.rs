//! Plugins that the operator of an executor has configured.

use capstan_tests::JobState;
use serde_json::json;

use super::stage::{official, policy};
use crate::executor::{Station, container, legacy, listening, native, of_image};

#[test]
fn a_policy_refuses_a_job_before_anything_is_got_for_it() {
    let at = Station::new();
    let config = r#"{ allow = ["docker.io/library/*"] }"#;
    at.world
        .write("capstan.toml", official("image-policy", config));
    let running = listening(at.executor());
    // Getting it would fail, and be another failure.
    let image = "127.0.0.1:1/private/tool:1";
    for job in [
        native(&at.commit, &["true"]),
        legacy(&at.commit, &["true"]),
        container(&["true"]),
    ] {
        let mut job = of_image(&job, image);
        job["repositoryName"] = crate::executor::REPOSITORY.into();
        job["commit"] = at.commit.clone().into();
        let id = at.server.enqueue(job);
        let state = at.server.wait_for(id);
        let JobState::Failed(message) = &state else {
            panic!("{state:?}");
        };
        let expected = format!(
            "refused by the plugin image-policy (image-not-allowed): {image} is not allowed: allowed are docker.io/library/*"
        );
        assert!(message.contains(&expected), "{message}");
        let log = at.server.log(id);
        let keys = log.iter().map(|entry| entry.key.as_str());
        assert!(
            !keys.clone().any(|key| key.starts_with("setup.git")),
            "{:?}",
            keys.collect::<Vec<_>>()
        );
    }
    assert_eq!(at.server.count("/.executors/git/"), 0);
    // What it allows is done.
    let id = at.native(&["true"]);
    at.completed(id);
    at.stop(running);
    at.server.assert_pleased();
}

#[test]
fn a_policy_changes_what_runs() {
    let at = Station::new();
    let config = r#"{ change = { by = "check-step", image = "capstan-test/nonroot", set = { ADDED = "by the gate" }, network = "none" } }"#;
    at.world.write("capstan.toml", policy("gate", config));
    let running = listening(at.executor());
    let look = "id -u; echo $ADDED; ls /sys/class/net | grep -c eth";
    let expected = "stdout: 1000\nstdout: by the gate\nstdout: 0\n";
    let look = format!("{look} || true");
    for (key, job) in [
        ("step.docker.step.0.run", native(&at.commit, &[&look])),
        ("step.docker.indexer", container(&[&look])),
    ] {
        let id = at.server.enqueue(job);
        at.completed(id);
        let out = at.entry(id, key).out;
        let stdout: String = out
            .lines()
            .filter(|line| line.starts_with("stdout: "))
            .fold(String::new(), |text, line| text + line + "\n");
        assert_eq!(stdout, expected, "{key}: {out}");
        assert!(
            out.contains("plugin gate: changed: image capstan-test/nonroot")
                || key.contains(".run"),
            "{out}"
        );
    }
    // What was changed does not change what the result is kept under, as far as the server sees.
    let started = at.entry(1, "step.docker.step.0.pre").out;
    let event: serde_json::Value = started
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("stdout: ")?).ok())
        .next_back()
        .expect("the step was begun");
    assert_eq!(event["metadata"]["env"], json!({"ADDED": "by the gate"}));
    at.stop(running);
    at.server.assert_pleased();
}
