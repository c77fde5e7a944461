//! Executors that are killed, clusters that are away, watches that end.

use capstan_tests::Signal;
use serde_json::Value;

use super::site::Site;
use crate::executor::{container, listening, native};

#[test]
fn a_killed_executor_takes_its_job_up_again() {
    let site = Site::new();
    let runs = [
        "echo begun",
        "for i in 1 2 3 4 5 6; do echo at $i; sleep 1; done",
    ];
    let id = site.enqueue(&native(&site.commit, &runs));
    let mut first = site.started();
    site.wait_for_output(id, "stdout: at 2");
    first.signal(Signal::KILL);
    let _ = first.wait();
    let names = || -> Vec<Value> {
        let jobs = site.jobs();
        jobs.iter()
            .map(|job| job["metadata"]["name"].clone())
            .collect()
    };
    let jobs = names();
    let second = site.started();
    assert_eq!(names(), jobs, "the job ran on");
    site.completed(id);
    let log = site.server.log(id);
    let mut keys: Vec<&str> = log.iter().map(|entry| entry.key.as_str()).collect();
    let all = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), all, "no entry is there twice: {log:#?}");
    site.assert_counted(id, "step.kubernetes.step.1.run", 6);
    site.stop(second);
}

#[test]
fn what_a_killed_executor_could_not_remember_is_swept() {
    let site = Site::new();
    let id = site.enqueue(&native(&site.commit, &["echo begun; sleep 600"]));
    let mut first = site.started();
    site.wait_for_output(id, "stdout: begun");
    first.signal(Signal::KILL);
    let _ = first.wait();
    let state = site
        .world
        .home()
        .join(".local/state/capstan/executor/cluster/0/jobs");
    for file in std::fs::read_dir(&state).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    let second = site.started();
    site.assert_nothing_left();
    site.stop(second);
}

#[test]
fn a_second_executor_leaves_the_jobs_of_the_first_alone() {
    let site = Site::new();
    let id = site.enqueue(&container(&["echo begun", "sleep 8"]));
    let first = site.started();
    site.wait_for_output(id, "stdout: begun");
    let second = listening(site.executor("run"));
    let other = site.enqueue(&container(&["echo other"]));
    site.completed(other);
    site.completed(id);
    site.stop(second);
    site.stop(first);
}

#[test]
fn watches_that_expire_and_logs_that_are_cut() {
    let site = Site::new();
    let Some(cluster) = site.stand_in() else {
        return;
    };
    let id = site.enqueue(&native(
        &site.commit,
        &["for i in 1 2 3 4 5 6 7 8; do echo at $i; sleep 0.5; done"],
    ));
    let running = site.started();
    for at in [2, 4, 6] {
        site.wait_for_output(id, &format!("stdout: at {at}"));
        cluster.expire_watches();
        cluster.cut();
    }
    site.completed(id);
    site.assert_counted(id, "step.kubernetes.step.0.run", 8);
    site.stop(running);
}

#[test]
fn a_cluster_that_is_away_for_a_while() {
    let site = Site::new();
    let Some(cluster) = site.stand_in() else {
        return;
    };
    let id = site.enqueue(&native(&site.commit, &["echo begun; sleep 4; echo end"]));
    let running = site.started();
    site.wait_for_output(id, "stdout: begun");
    cluster.down(true);
    cluster.cut();
    std::thread::sleep(std::time::Duration::from_secs(2));
    cluster.down(false);
    site.completed(id);
    let said = site.entry(id, "step.kubernetes.step.0.run").out;
    assert!(said.contains("stdout: begun\nstdout: end\n"), "{said}");
    site.stop(running);
}
