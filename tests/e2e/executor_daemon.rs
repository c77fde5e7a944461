//! A Docker daemon that goes away in the middle of a step, and comes back.

use std::fs;

use capstan_tests::{Capstan, World};
use serde_json::Value;

use crate::daemon::Daemon;
use crate::executor::{Station, container, legacy, listening, native};

/// A step that works only where nobody has worked before: the first time until it is stopped, the second time until it is done. What it has
/// done outside of its workspace stays.
fn step(name: &str) -> String {
    format!(
        "set -e; echo x >> /marks/{name}; [ ! -e half ]; echo half > half; echo begun {name}; mkdir /marks/{name}.once 2>/dev/null || exit 0; sleep 1000"
    )
}

/// The step before that.
fn before(name: &str) -> String {
    format!("echo x >> /marks/{name}.before; echo before > before")
}

/// How often a step has begun.
fn begun(world: &World, name: &str) -> usize {
    let path = world.root().join("marks").join(name);
    fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

fn executor<'w>(at: &'w Station, daemon: &Daemon) -> Capstan<'w> {
    let marks = at.world.root().join("marks");
    fs::create_dir(&marks).expect("the world is writable");
    let mount = format!("type=bind,source={},target=/marks", marks.display());
    at.executor()
        .env("DOCKER_HOST", &daemon.host)
        .env("EXECUTOR_DOCKER_ADDITIONAL_MOUNTS", mount)
        .env("EXECUTOR_MAXIMUM_NUM_JOBS", "3")
}

/// The three kinds of jobs.
fn jobs(at: &Station) -> [(&'static str, Value); 3] {
    let steps = |name: &str| [before(name), step(name)];
    let of_batch = |name: &str, make: fn(&str, &[&str]) -> Value| {
        let [one, two] = steps(name);
        make(&at.commit, &[&one, &two])
    };
    let mut plain = container(&[]);
    let image = plain["dockerSteps"][0]["image"].clone();
    let [one, two] = steps("plain");
    let plain_step = |key: &str, line: String| serde_json::json!({"key": key, "image": image, "commands": [line], "dir": "", "env": null});
    plain["dockerSteps"] = [plain_step("pre-index.0", one), plain_step("indexer", two)]
        .to_vec()
        .into();
    [
        ("native", of_batch("native", native)),
        ("legacy", of_batch("legacy", legacy)),
        ("plain", plain),
    ]
}

#[test]
fn steps_run_again_after_the_daemon_was_killed() {
    goes_on(Daemon::kill);
}

#[test]
fn steps_run_again_after_the_daemon_was_restarted() {
    goes_on(Daemon::stop);
}

fn goes_on(away: fn(&mut Daemon)) {
    let at = Station::new();
    let mut daemon = Daemon::start(&at.world);
    daemon.load("alpine:3");
    let ids = jobs(&at).map(|(name, job)| (name, at.server.enqueue(job)));
    let running = listening(executor(&at, &daemon));
    for (name, id) in ids {
        at.wait_for_output(id, &format!("begun {name}"));
    }
    away(&mut daemon);
    daemon.start_again();
    for (name, id) in ids {
        at.completed(id);
        assert_eq!(begun(&at.world, name), 2, "{name}");
        // Only batch jobs know what a step has done.
        let expected = if name == "plain" { 2 } else { 1 };
        assert_eq!(
            begun(&at.world, &format!("{name}.before")),
            expected,
            "{name}"
        );
    }
    let [(_, native), (_, legacy), (_, plain)] = ids;
    let entry = at.entry(native, "step.docker.step.1.run");
    let said = entry.out.matches("stdout: begun native\n").count();
    assert_eq!((entry.exit_code, said), (Some(0), 2), "{}", entry.out);
    assert!(
        entry.out.contains("running the step again"),
        "{}",
        entry.out
    );
    let entry = at.entry(legacy, "step.src.batch-exec");
    assert_eq!(entry.exit_code, Some(0), "{}", entry.out);
    assert!(!entry.out.contains("FAILURE"), "{}", entry.out);
    let log = at.server.log(plain);
    let codes = log
        .iter()
        .filter(|entry| entry.key == "step.docker.indexer");
    let codes: Vec<_> = codes.map(|entry| entry.exit_code).collect();
    assert_eq!(codes, [Some(-1), Some(0)]);
    let engine = daemon.engine.clone();
    running_ends(&at, &engine, running);
    at.server.assert_pleased();
}

/// Ends the executor, and looks for what it has left in an engine of the test's own.
fn running_ends(at: &Station, engine: &capstan_tests::Engine, mut running: capstan_tests::Running) {
    running.signal(capstan_tests::Signal::TERM);
    running.wait().assert_code(0);
    engine.assert_nothing_left(&at.world);
}
