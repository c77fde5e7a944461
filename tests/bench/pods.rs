//! Jobs as pods: what gates cost, and what an executor of many pods costs.

use std::time::Instant;

use capstan_tests::{
    Cluster, JobState, Pod, SECRET, Signal, Sourcegraph, World, image, native_job,
};
use serde_json::json;

use crate::measure::{goal, median, ratio, row, shown};
use crate::run::{repository, timed};

const REPOSITORY: &str = "github.com/acme/widgets";
const STEPS: usize = 10;
const ROUNDS: usize = 3;

/// Jobs that run at once.
const JOBS: usize = 100;

/// Most memory of their executor.
const MOST: u64 = 100 << 20;

pub(crate) fn measure() {
    ten_steps();
    many_jobs();
}

/// Ten steps of half a second in the shape of a pod: containers that are there, each at its gate. Against their own time and the start of one container.
fn ten_steps() {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (world, server) = (World::new(), Sourcegraph::start());
        let widgets = repository(&world, "widgets");
        server.repository(REPOSITORY, widgets.path());
        let steps = ["echo line >> README.md; sleep 0.5"; STEPS];
        server.enqueue(native_job(REPOSITORY, &widgets.head(), &steps));
        let pod = Pod::of(&world, &server);
        pod.start();
        ours.push(timed(|| {
            pod.capstan("run").run().assert_code(0);
        }));
        theirs.push(timed(|| {
            let script = "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.5; done";
            let mut docker = std::process::Command::new("docker");
            docker.args(["run", "--rm", "alpine:3", "sh", "-c", script]);
            assert!(docker.status().expect("the docker client runs").success());
        }));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let share = ratio(ours, theirs);
    row(
        "ten steps of 0.5 s in a pod",
        &format!(
            "{}, of {} of one `docker run --rm` that sleeps as long: {share:.2}",
            shown(ours),
            shown(theirs)
        ),
        &goal("at most 1.1", share <= 1.1),
    );
}

/// An executor that follows a hundred pods.
fn many_jobs() {
    let (world, server, cluster) = (World::new(), Sourcegraph::start(), Cluster::start());
    let job = json!({
        "version": 2,
        "queue": "codeintel",
        "dockerSteps": [{"key": "indexer", "image": "alpine:3", "commands": ["echo begun", "sleep 3600"], "dir": "", "env": null}],
    });
    let ids: Vec<i64> = (0..JOBS).map(|_| server.enqueue(job.clone())).collect();
    let begun = Instant::now();
    let mut running = world
        .capstan(["executor", "run"])
        .env("EXECUTOR_FRONTEND_URL", server.url())
        .env("EXECUTOR_FRONTEND_PASSWORD", SECRET)
        .env("EXECUTOR_QUEUE_NAME", "codeintel")
        .env("EXECUTOR_MAXIMUM_NUM_JOBS", JOBS.to_string())
        .env("EXECUTOR_BACKEND", "kubernetes")
        .env("EXECUTOR_KUBERNETES_CONFIG_PATH", cluster.kubeconfig())
        .env("EXECUTOR_KUBERNETES_RUNNER_IMAGE", image())
        .spawn();
    for id in &ids {
        server.wait_until(&format!("job {id} runs"), |server| {
            let log = server.log(*id);
            log.iter().any(|entry| entry.out.contains("stdout: begun"))
        });
    }
    let took = begun.elapsed();
    let all_run = ids
        .iter()
        .all(|id| matches!(server.job(*id), JobState::Processing(_)));
    assert!(all_run, "all of them run at once");
    let memory = running.peak_memory().expect("it runs");
    row(
        "memory of an executor with 100 running pods",
        &format!("{} MiB, all run after {}", memory >> 20, shown(took)),
        &goal("under 100 MiB", memory < MOST),
    );
    running.signal(Signal::KILL);
    let _ = running.wait();
}
