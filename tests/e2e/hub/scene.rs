//! Executors of their own, and work for them that takes a while.

use std::thread;
use std::time::{Duration, Instant};

use capstan_tests::{Capstan, Running, Signal, World};
use serde_json::Value;

use super::{Hub, SECRET, SPEC, world};

/// After this long a test gives up.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

pub(super) fn executor<'w>(world: &'w World, address: &str) -> Capstan<'w> {
    world
        .capstan(["executor", "run"])
        .env("TMPDIR", "")
        .env("EXECUTOR_FRONTEND_URL", format!("http://{address}"))
        .env("EXECUTOR_FRONTEND_PASSWORD", SECRET)
        .env("EXECUTOR_QUEUE_NAME", "batches")
        .env("EXECUTOR_QUEUE_POLL_INTERVAL", "100ms")
        .env("EXECUTOR_JOB_NUM_CPUS", "0")
        .env("EXECUTOR_JOB_MEMORY", "0")
}

/// An executor that the hub knows.
pub(super) fn started(world: &World, address: &str) -> Running {
    let mut running = executor(world, address).spawn();
    running.wait_for("listening for jobs");
    running
}

pub(super) fn stop(mut running: Running) {
    running.signal(Signal::TERM);
    running.wait().assert_code(0);
}

/// The spec with a step that says something, sleeps and changes a file, in each directory of `many` that has a `go.mod`.
pub(super) fn sleeping(seconds: u32) -> String {
    let step =
        format!("run: echo asleep; sleep {seconds}; echo \"${{{{ steps.path }}}}\" >> README.md");
    SPEC.replace("run: echo hello >> README.md", &step)
        .replace("branch: hello", "branch: hello-${{ steps.path }}")
        .replace(
            "steps:\n",
            "workspaces: [{rootAtLocationOf: go.mod, in: many}]\nsteps:\n",
        )
}

/// A world with the repository `many`, which has so many workspaces, and a spec that works on them.
pub(super) fn busy(workspaces: usize, seconds: u32) -> World {
    let world = world();
    let paths: Vec<String> = (0..workspaces).map(|n| format!("d{n}/go.mod")).collect();
    let files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), "x\n")).collect();
    world.repository("many", &files);
    world.write("sleep.yaml", sleeping(seconds));
    world
}

impl Hub {
    pub(super) fn submit_sleeping(&self, world: &World) {
        let submit = ["submit", "-f", "sleep.yaml", "many"];
        self.command(world, &submit).run().assert_code(0);
    }

    #[track_caller]
    pub(super) fn wait_until(
        &self,
        world: &World,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = self.json(world, &["show", "1"]);
            if holds(&shown) {
                return shown;
            }
            assert!(
                Instant::now() < deadline,
                "waited in vain until {what}: {shown:#}"
            );
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until a job of the first execution has said that it sleeps.
    pub(super) fn wait_for_sleep(&self, world: &World) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let logs = self.command(world, &["logs", "1"]).run();
            // What the step says is on its standard error in the log, as the original swaps them.
            if logs.stdout().contains(": asleep\n") {
                return;
            }
            assert!(Instant::now() < deadline, "no job sleeps: {logs}");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until all jobs are done; returns how often each was taken back.
    #[track_caller]
    pub(super) fn wait_for_end(&self, world: &World, state: &str) -> Vec<i64> {
        let ended = |shown: &Value| shown["finishedAt"].is_string();
        let shown = self.wait_until(world, "all jobs have ended", ended);
        assert_eq!(shown["state"], state, "{shown:#}");
        let jobs = shown["jobs"].as_array().unwrap();
        jobs.iter()
            .map(|job| job["resets"].as_i64().unwrap())
            .collect()
    }

    /// Asserts that the results of the first execution are those of each workspace, once.
    #[track_caller]
    pub(super) fn assert_each_once(&self, world: &World, workspaces: usize) {
        let output = ["show", "1", "--output", "out"];
        self.command(world, &output).run().assert_code(0);
        let mut branches: Vec<String> = world
            .changesets("out")
            .iter()
            .map(|changeset| changeset["headRef"].as_str().unwrap().to_owned())
            .collect();
        branches.sort();
        let expected: Vec<String> = (0..workspaces)
            .map(|n| format!("refs/heads/hello-d{n}"))
            .collect();
        assert_eq!(branches, expected);
        for n in 0..workspaces {
            let patch = world.read(format!("out/many/hello-d{n}.patch"));
            let added: Vec<&str> = patch
                .lines()
                .filter(|line| line.starts_with('+') && !line.starts_with("+++"))
                .collect();
            assert_eq!(added, [format!("+d{n}")], "{patch}");
        }
    }
}
