//! The way between an executor and its server: it is cut, it leads through a proxy, it is encrypted; and what else goes over it.

use std::thread;
use std::time::Duration;

use capstan_tests::{JobState, Page, Wire};
use serde_json::{Value, json};

use crate::executor::{REPOSITORY, Station, container, executor, listening, native};

/// Where the server is for those who have to ask a proxy.
const FAR: &str = "sourcegraph.example.com";

/// For how long the network is cut: a server gives a job away after 25 s.
const CUT: Duration = Duration::from_secs(20);

#[test]
fn a_job_outlives_a_network_that_is_cut() {
    let stations = [Station::new(), Station::new()];
    let wires = stations.each_ref().map(|at| Wire::to(at.server.url()));
    let begin = |(at, wire): (&Station, &Wire)| {
        let id = at.native(&["echo begun; sleep 8; echo done | tee done"]);
        let running = listening(at.executor().env("EXECUTOR_FRONTEND_URL", wire.url()));
        (id, running)
    };
    let runs: Vec<_> = stations.iter().zip(&wires).map(begin).collect();
    for (at, (id, _)) in stations.iter().zip(&runs) {
        at.wait_for_output(*id, "stdout: begun\n");
    }
    // One waits, the other breaks. Both jobs end meanwhile.
    wires[0].hold();
    wires[1].cut();
    thread::sleep(CUT);
    for (at, wire) in stations.iter().zip(&wires) {
        assert!(matches!(at.server.job(1), JobState::Processing(_)));
        wire.mend();
    }
    for (at, (id, running)) in stations.iter().zip(runs) {
        at.completed(id);
        let run = at.entry(id, "step.docker.step.0.run");
        assert_eq!(
            (run.exit_code, &*run.out),
            (Some(0), "stdout: begun\nstdout: done\n")
        );
        assert!(
            at.entry(id, "step.docker.step.0.post")
                .out
                .contains("CACHE_AFTER_STEP_RESULT")
        );
        at.stop(running);
        at.server.assert_pleased();
    }
}

/// A native job with a file of the file store: all kinds of requests are made for it.
fn with_file(at: &Station) -> i64 {
    at.server.file("spec/tool", b"#!/bin/sh\n");
    let mut job = native(&at.commit, &["echo x > x"]);
    let stored = json!({"bucket": "batch-changes", "key": "spec/tool"});
    job["files"]["workspace-files/tool"] = stored;
    at.server.enqueue(job)
}

#[test]
fn everything_goes_through_the_proxy() {
    let at = Station::new();
    let proxy = Wire::proxy(at.server.url());
    let id = with_file(&at);
    let running = listening(
        at.executor()
            .env("EXECUTOR_FRONTEND_URL", format!("http://{FAR}/"))
            .env("HTTP_PROXY", proxy.url()),
    );
    at.completed(id);
    at.stop(running);
    at.server.assert_pleased();
    let asked = proxy.asked();
    for part in [
        format!("POST http://{FAR}/.executors/queue/"),
        format!("GET http://{FAR}/.executors/git/{REPOSITORY}/info/refs"),
    ] {
        assert!(
            asked.iter().any(|line| line.starts_with(&part)),
            "{part}: {asked:?}"
        );
    }
    assert!(at.server.count("/.executors/files/") > 0);
}

#[test]
fn what_is_on_this_machine_is_asked_without_a_proxy() {
    let at = Station::new();
    let proxy = Wire::proxy(at.server.url());
    let id = with_file(&at);
    let running = listening(
        at.executor()
            .env("HTTP_PROXY", proxy.url())
            .env("http_proxy", proxy.url()),
    );
    at.completed(id);
    at.stop(running);
    assert_eq!(proxy.asked(), [""; 0]);
}

#[test]
fn an_authority_of_ones_own_is_named_once_for_all() {
    let at = Station::new();
    let tls = Wire::tls(at.server.url(), &at.world, FAR);
    let proxy = Wire::proxy(&tls.url());
    let far = |command| {
        executor(&at.world, &at.server, command)
            .env("EXECUTOR_FRONTEND_URL", format!("https://{FAR}"))
            .env("HTTPS_PROXY", proxy.url())
    };
    let refused = far("validate").run();
    refused.assert_code(3);
    let stderr = refused.stderr();
    let advice = "name a file with its certificate in SSL_CERT_FILE";
    assert!(stderr.contains(advice), "{stderr}");
    assert_eq!(at.server.requests(), [""; 0]);

    let known = |command| far(command).env("SSL_CERT_FILE", tls.authority());
    known("validate").run().assert_code(0);
    let id = with_file(&at);
    let running = listening(known("run"));
    at.completed(id);
    at.stop(running);
    at.server.assert_pleased();
    let tunnel = format!("CONNECT {FAR}:443 ");
    let asked = proxy.asked();
    assert!(
        asked.iter().all(|line| line.starts_with(&tunnel)),
        "{asked:?}"
    );
}

#[test]
fn git_shows_the_token_of_the_job_in_every_request() {
    let at = Station::new();
    let id = at.native(&["true"]);
    let running = listening(at.executor());
    at.completed(id);
    at.stop(running);
    at.server.assert_pleased();
    let requests = at.server.headers("/.executors/git/");
    assert!(requests.len() >= 2, "{requests:?}");
    let marks = at.server.headers("/markComplete");
    let of_mark = |name: &str| {
        let found = marks[0].iter().find(|header| header.starts_with(name));
        found.expect("it is a call about a job").clone()
    };
    for headers in &requests {
        for expected in [
            of_mark("authorization: Bearer "),
            of_mark("x-sourcegraph-executor-name: "),
            format!("x-sourcegraph-job-id: {id}"),
            "x-sourcegraph-actor-uid: internal".to_owned(),
        ] {
            assert!(headers.contains(&expected), "{expected}: {headers:?}");
        }
    }
}

#[test]
fn figures_of_exporters_go_along_with_heartbeats() {
    let at = Station::new();
    let node = Page::serve(
        "# HELP node_load1 1m load average.\n# TYPE node_load1 gauge\nnode_load1 0.5\n# TYPE go_threads gauge\ngo_threads 7\n",
    );
    let registry = Page::serve("# TYPE node_load1 gauge\nnode_load1 0.25\n");
    let id = at.server.enqueue(container(&["true"]));
    let running = listening(
        at.executor()
            .env("NODE_EXPORTER_URL", node.url())
            .env("DOCKER_REGISTRY_NODE_EXPORTER_URL", registry.url()),
    );
    at.completed(id);
    let figures = || {
        let bodies = at.server.bodies();
        let mut texts = bodies.lines().filter_map(|line| {
            let body: Value = serde_json::from_str(line).ok()?;
            Some(body["prometheusMetrics"].as_str()?.to_owned())
        });
        texts.next_back().unwrap_or_default()
    };
    let done = "src_executor_processor_total{queue=\"batches_codeintel\",op=\"Handle\"} 1\n";
    at.server
        .wait_until("a heartbeat tells of the job", |_| figures().contains(done));
    let figures = figures();
    for expected in [
        "# HELP node_load1 1m load average.\n",
        "node_load1 0.5\n",
        "node_load1{sg_instance=\"docker-registry\"} 0.25\n",
    ] {
        assert!(figures.contains(expected), "{expected}: {figures}");
    }
    assert_eq!(
        figures.matches("# TYPE node_load1 gauge\n").count(),
        1,
        "{figures}"
    );
    assert!(!figures.contains("go_threads"), "{figures}");
    at.stop(running);
    at.server.assert_pleased();
}
