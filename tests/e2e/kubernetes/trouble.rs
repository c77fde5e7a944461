//! What goes wrong in clusters, and how it is told: never as the fault of a script.

use capstan_tests::JobState;

use super::site::Site;
use crate::executor::{listening, native, of_image};

#[track_caller]
fn assert_is_of_the_cluster(message: &str) {
    assert!(
        !message.contains("command failed with exit code"),
        "{message}"
    );
}

#[test]
fn a_job_that_is_cancelled_is_deleted() {
    let site = Site::new();
    let id = site.enqueue(&native(&site.commit, &["echo begun; sleep 600"]));
    let running = site.started();
    site.wait_for_output(id, "stdout: begun");
    site.server.cancel(id);
    assert_eq!(site.server.wait_for(id), JobState::Canceled);
    site.assert_nothing_left();
    // It goes on with others.
    let next = site.enqueue(&native(&site.commit, &["true"]));
    site.completed(next);
    site.stop(running);
}

#[test]
fn a_pod_that_lives_too_long() {
    let site = Site::new();
    let id = site.enqueue(&native(&site.commit, &["sleep 600"]));
    let command = site.executor("run").env("KUBERNETES_JOB_DEADLINE", "15");
    let running = listening(command);
    let message = site.errored(id);
    assert_is_of_the_cluster(&message);
    assert!(message.contains("DeadlineExceeded"), "{message}");
    assert!(message.contains("KUBERNETES_JOB_DEADLINE"), "{message}");
    site.stop(running);
}

#[test]
fn a_job_that_runs_too_long() {
    let site = Site::new();
    let id = site.enqueue(&native(&site.commit, &["sleep 600"]));
    let command = site
        .executor("run")
        .env("EXECUTOR_MAXIMUM_RUNTIME_PER_JOB", "10s");
    let running = listening(command);
    let message = site.errored(id);
    assert!(
        message.contains("exceeded the maximum execution time of 10s"),
        "{message}"
    );
    site.stop(running);
}

#[test]
fn a_step_that_has_too_little_memory() {
    let site = Site::new();
    let hungry = "tail /dev/zero";
    let id = site.enqueue(&native(&site.commit, &[hungry]));
    let command = site
        .executor("run")
        .env("EXECUTOR_KUBERNETES_RESOURCE_LIMIT_MEMORY", "128Mi");
    let running = listening(command);
    let message = site.errored(id);
    assert!(message.contains("memory"), "{message}");
    site.stop(running);
}

#[test]
fn an_image_that_is_not_there() {
    let site = Site::new();
    let job = of_image(
        &native(&site.commit, &["true"]),
        "nowhere.invalid/none/such:1",
    );
    let id = site.server.enqueue(job);
    let running = site.started();
    let message = site.errored(id);
    assert_is_of_the_cluster(&message);
    assert!(message.contains("nowhere.invalid/none/such:1"), "{message}");
    assert!(message.contains("ImagePull"), "{message}");
    site.stop(running);
}

#[test]
fn a_pod_that_no_node_takes() {
    let site = Site::new();
    let id = site.enqueue(&native(&site.commit, &["true"]));
    let command = site
        .executor("run")
        .env(
            "EXECUTOR_KUBERNETES_NODE_SELECTOR",
            "capstan.dev/nowhere=yes",
        )
        .env("EXECUTOR_KUBERNETES_START_TIMEOUT", "5s");
    let running = listening(command);
    site.wait_for_output(id, "no node takes it");
    let message = site.errored(id);
    assert_is_of_the_cluster(&message);
    assert!(message.contains("has not started within 5s"), "{message}");
    assert!(
        message.contains("EXECUTOR_KUBERNETES_NODE_SELECTOR"),
        "{message}"
    );
    site.stop(running);
}

#[test]
fn a_pod_that_is_evicted() {
    let site = Site::new();
    let Some(cluster) = site.stand_in() else {
        return;
    };
    let id = site.enqueue(&native(&site.commit, &["echo begun; sleep 600"]));
    let running = site.started();
    site.wait_for_output(id, "stdout: begun");
    let pod = cluster.pods()[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    cluster.evict(&pod, "The node was low on resource: memory. ");
    let message = site.errored(id);
    assert_is_of_the_cluster(&message);
    assert!(
        message.contains("Evicted: The node was low on resource: memory."),
        "{message}"
    );
    site.stop(running);
}

#[test]
fn a_job_that_fills_its_volume() {
    let site = Site::new();
    let fill = "dd if=/dev/zero of=big bs=1M count=64; sleep 600";
    let id = site.enqueue(&native(&site.commit, &[fill]));
    let command = site
        .executor("run")
        .env("KUBERNETES_JOB_VOLUME_SIZE", "32Mi");
    let running = listening(command);
    let message = site.errored(id);
    assert_is_of_the_cluster(&message);
    assert!(
        message.contains("Usage of EmptyDir volume \"job\" exceeds the limit"),
        "{message}"
    );
    assert!(message.contains("KUBERNETES_JOB_VOLUME_SIZE"), "{message}");
    site.stop(running);
}

#[test]
fn a_pod_that_vanishes() {
    let site = Site::new();
    let id = site.enqueue(&native(&site.commit, &["echo begun; sleep 600"]));
    let running = site.started();
    site.wait_for_output(id, "stdout: begun");
    let pod = site.pods()[0]["metadata"]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    site.delete_pod(&pod);
    let message = site.errored(id);
    assert_is_of_the_cluster(&message);
    assert!(
        message.contains("was deleted while the job ran"),
        "{message}"
    );
    site.stop(running);
}

#[test]
fn what_no_pod_can_run_is_refused() {
    let site = Site::new();
    let job = of_image(
        &native(&site.commit, &["true"]),
        "alpine:${{ outputs.tag }}",
    );
    let id = site.server.enqueue(job);
    let running = site.started();
    let message = site.errored(id);
    assert!(message.contains("depends on what steps do"), "{message}");
    site.stop(running);
}

#[test]
fn what_validate_finds() {
    let site = Site::new();
    let rights = [("create", "secrets"), ("get", "pods/log")];
    for (verb, resource) in rights {
        site.change_right(verb, resource, false);
    }
    let output = site.executor("validate").run();
    output.assert_code(3);
    let said = output.stderr();
    assert!(
        said.contains("may not: get pods/log, create secrets"),
        "{said}"
    );
    assert!(
        said.contains("examples/deploy/kubernetes/role.yaml"),
        "{said}"
    );
    for (verb, resource) in rights {
        site.change_right(verb, resource, true);
    }
    let output = site
        .executor("validate")
        .env(
            "EXECUTOR_KUBERNETES_RUNNER_IMAGE",
            "nowhere.invalid/capstan:1",
        )
        .run();
    output.assert_code(3);
    let said = output.stderr();
    assert!(said.contains("nowhere.invalid/capstan:1"), "{said}");
    let output = site
        .executor("validate")
        .env("EXECUTOR_FRONTEND_URL", "http://127.0.0.1:1")
        .run();
    output.assert_code(3);
    let said = output.stderr();
    assert!(
        said.contains("pods do not reach the server at 127.0.0.1, port 1"),
        "{said}"
    );
    let output = site
        .executor("validate")
        .env("EXECUTOR_KUBERNETES_RUNNER_IMAGE", "")
        .run();
    output.assert_code(2);
    let said = output.stderr();
    assert!(
        said.contains("no value supplied for EXECUTOR_KUBERNETES_RUNNER_IMAGE"),
        "{said}"
    );
    site.assert_nothing_left();
}
