//! A server that answers with 500 or 401: what may pass is waited for, what does not is told.

use capstan_tests::JobState;
use serde_json::json;

use crate::executor::{Station, container, executor, listening, native};

const SECRET_ADVICE: &str =
    "is EXECUTOR_FRONTEND_PASSWORD the value of executors.accessToken in the site configuration?";

/// A native job that needs all routes.
fn with_file(at: &Station, commit: &str, runs: &[&str]) -> i64 {
    at.server.file("spec/tool", b"#!/bin/sh\n");
    let mut job = native(commit, runs);
    job["files"]["workspace-files/tool"] = json!({"bucket": "batch-changes", "key": "spec/tool"});
    at.server.enqueue(job)
}

#[test]
fn every_route_may_fail_for_a_while() {
    let at = Station::new();
    for route in [
        "/heartbeat",
        "/dequeue",
        "/files/",
        "/addExecutionLogEntry",
        "/updateExecutionLogEntry",
        "/markComplete",
    ] {
        at.server.fail(route, 500, 3);
    }
    at.server.fail("/info/refs", 500, 1);
    at.server.fail("/git-upload-pack", 500, 1);
    let id = with_file(&at, &at.commit, &["echo x > x"]);
    let running = listening(at.executor());
    at.completed(id);
    let fetch = at.entry(id, "setup.git.fetch");
    assert!(fetch.out.contains("trying again"), "{}", fetch.out);
    at.stop(running);
    at.server.assert_pleased();
}

#[test]
fn what_the_server_refuses_is_told_in_the_job() {
    let at = Station::new();
    let mut running = listening(at.executor());
    for (route, expected) in [
        (
            "/files/",
            &["writing workspace-files/tool: ", "status code 401"][..],
        ),
        (
            "/info/refs",
            &[
                "running command \"setup.git.fetch\": ",
                "the server does not accept what it handed out for this job",
            ],
        ),
        (
            "/addExecutionLogEntry",
            &[
                "the log could not be sent: adding log entry setup.",
                "status code 401",
            ],
        ),
        (
            "/updateExecutionLogEntry",
            &[
                "the log could not be sent: updating log entry ",
                "status code 401",
            ],
        ),
    ] {
        at.server.fail(route, 401, usize::MAX);
        // Long enough for its log to be updated. What was fetched once is not fetched again.
        at.app.write("README.md", route);
        let commit = at.app.commit(route);
        let id = with_file(&at, &commit, &["echo x; sleep 2"]);
        let message = at.errored(id);
        for part in expected {
            assert!(message.contains(part), "{route}: {message}");
        }
        at.server.recover();
    }
    // It cannot be told how the job ended: the executor goes on with others.
    at.server.fail("/markComplete", 401, 1);
    let lost = at.native(&["true"]);
    running.wait_for("the server does not want to know how the job ended");
    assert!(matches!(at.server.job(lost), JobState::Processing(_)));
    let next = at.native(&["true"]);
    at.completed(next);
    at.stop(running);
    at.server.assert_pleased();
}

#[test]
fn a_secret_that_is_not_accepted_any_more_stops_no_job() {
    let at = Station::new();
    let id = at.server.enqueue(container(&["echo begun; sleep 7"]));
    let mut running = listening(at.executor());
    at.wait_for_output(id, "stdout: begun\n");
    at.server.fail("/heartbeat", 401, 2);
    running.wait_for("a heartbeat failed");
    assert!(running.stderr_so_far().contains(SECRET_ADVICE));
    at.completed(id);
    at.server.recover();
    at.server.fail("/dequeue", 401, 1);
    running.wait_for("no job could be asked for");
    let stderr = running.stderr_so_far();
    assert_eq!(stderr.matches(SECRET_ADVICE).count(), 2, "{stderr}");
    let next = at.server.enqueue(container(&["true"]));
    at.completed(next);
    at.stop(running);
    at.server.assert_pleased();
}

#[test]
fn a_server_without_a_secret_is_told_at_the_start() {
    let at = Station::new();
    const ADVICE: &str = "is executors.accessToken set in the site configuration?";
    at.server.fail("/test/auth", 500, usize::MAX);
    for command in [&["validate"][..], &["run", "--verify"]] {
        let output = executor(&at.world, &at.server, command[0])
            .args(&command[1..])
            .run();
        output.assert_code(3);
        let stderr = output.stderr();
        assert!(
            stderr.contains("failed to reach the frontend: ") && stderr.contains(ADVICE),
            "{stderr}"
        );
    }
    at.server.recover();
    at.server.fail("/heartbeat", 500, 2);
    let mut running = at.executor().spawn();
    running.wait_for(ADVICE);
    running.wait_for("listening for jobs");
    at.stop(running);
}
