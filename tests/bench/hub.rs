//! The hub: how many jobs go through it, and how long asking for one takes when many wait.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use capstan_tests::{Capstan, Repository, Running, Signal, World, component};
use serde_json::Value;

use crate::measure::{goal, row, shown};
use crate::run::repository;

const SECRET: &str = "the-executors-shared-secret";
const TOKEN: &str = "the-token-of-the-people";

/// How long jobs may take.
const PATIENCE: Duration = Duration::from_secs(300);

pub(crate) fn measure() {
    jobs_a_second();
    dequeues();
}

/// A hub that listens, and its address.
struct Hub<'w> {
    world: &'w World,
    running: Running,
    address: String,
}

impl<'w> Hub<'w> {
    fn start(world: &'w World) -> Self {
        let mut running = world
            .capstan(["hub", "serve", "--listen", "127.0.0.1:0"])
            .args(["--repository", "widgets=widgets"])
            .env("EXECUTOR_FRONTEND_PASSWORD", SECRET)
            .env("CAPSTAN_HUB_TOKEN", TOKEN)
            .spawn();
        running.wait_for("  pages:");
        let said = running.stderr_so_far();
        let (_, rest) = said
            .split_once("listening on http://")
            .expect("it says where");
        let address = rest.lines().next().expect("a line").to_owned();
        Self {
            world,
            running,
            address,
        }
    }

    fn command(&self, arguments: &[&str]) -> Capstan<'w> {
        self.world
            .capstan(["hub"])
            .args(arguments)
            .args(["--hub", &format!("http://{}", self.address)])
            .env("CAPSTAN_HUB_TOKEN", TOKEN)
    }

    fn submit(&self, spec: &str) {
        self.world.write("spec.yaml", spec);
        self.command(&["submit", "-f", "spec.yaml"])
            .run()
            .assert_code(0);
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.command(arguments).arg("--json").run();
        serde_json::from_slice(output.raw_stdout()).expect("it prints JSON")
    }

    /// Waits until the newest execution has ended.
    fn wait(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let newest = self.json(&["list"])[0].clone();
            match newest["state"].as_str() {
                Some("completed") => return,
                Some("resolving" | "running") => {}
                _ => panic!("{newest}"),
            }
            assert!(Instant::now() < deadline, "{newest}");
            thread::sleep(Duration::from_millis(500));
        }
    }

    fn stop(mut self) {
        self.running.signal(Signal::TERM);
        self.running.wait().assert_code(0);
    }
}

/// Points so many branches at the commit of a repository.
fn branches(repository: &Repository, count: usize) {
    let head = repository.head();
    let refs = (0..count).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "{head} refs/heads/b{n}");
        text
    });
    fs::write(repository.path().join(".git/packed-refs"), refs).expect("the world is writable");
}

/// A spec that runs one step in a component, on these branches of `widgets`.
fn spec(branches: std::ops::Range<usize>, rest: &str) -> String {
    let branches: String = branches.map(|n| format!("      - b{n}\n")).collect();
    format!(
        "version: 2\nname: bench\non:\n  - repository: widgets\n    branches:\n{branches}{rest}steps:\n  - run: ''\n    container: wasm://./noop.wasm\nchangesetTemplate: {{title: t, branch: b, body: '', commit: {{message: m}}}}\n"
    )
}

/// A job for each branch, through one executor.
fn jobs_a_second() {
    const JOBS: usize = 1000;
    let world = World::new();
    let widgets = repository(&world, "widgets");
    branches(&widgets, JOBS + 1);
    let noop = component("tests/bench/noop.rs", &[]);
    fs::copy(noop, world.work().join("noop.wasm")).expect("the world is writable");
    let hub = Hub::start(&world);
    // ext4 takes longer and longer to find room for files that live for milliseconds: it does not use an inode again for minutes.
    let memory = tempfile::tempdir_in("/dev/shm").expect("Linux has it");
    let mut executor = world
        .capstan(["executor", "run"])
        .env("EXECUTOR_FRONTEND_URL", format!("http://{}", hub.address))
        .env("EXECUTOR_FRONTEND_PASSWORD", SECRET)
        .env("EXECUTOR_QUEUE_NAME", "batches")
        .env("EXECUTOR_MAXIMUM_NUM_JOBS", "4")
        .env("TMPDIR", memory.path())
        .spawn();
    executor.wait_for("listening for jobs");
    // It is fetched and compiled once, like an image is pulled once.
    hub.submit(&spec(JOBS..JOBS + 1, ""));
    hub.wait();
    hub.submit(&spec(0..JOBS, ""));
    hub.wait();
    let detail = hub.json(&["show", "2"]);
    executor.signal(Signal::TERM);
    executor.wait().assert_code(0);
    hub.stop();

    let jobs = detail["jobs"].as_array().expect("there are jobs");
    assert_eq!(jobs.len(), JOBS);
    let times = |field: &str| -> Vec<f64> {
        let times = jobs
            .iter()
            .map(|job| seconds(job[field].as_str().expect("a time")));
        times.collect()
    };
    let first = times("startedAt").into_iter().fold(f64::MAX, f64::min);
    let last = times("finishedAt").into_iter().fold(f64::MIN, f64::max);
    let rate = JOBS as f64 / (last - first);
    row(
        "1000 jobs of one step in WebAssembly that does nothing, through the hub and one executor with four slots that works in memory",
        &format!("{rate:.0} jobs/s"),
        &goal("at least 100 jobs/s", rate >= 100.0),
    );
}

/// The second of a day that a time like `2026-03-01T10:00:00.25Z` names.
fn seconds(time: &str) -> f64 {
    let (_, clock) = time.split_once('T').expect("a time follows the day");
    let parts = clock.trim_end_matches('Z').split(':');
    parts.fold(0.0, |sum, part| {
        sum * 60.0 + part.parse::<f64>().expect("a number")
    })
}

/// Asks for jobs while thousands wait.
fn dequeues() {
    const BRANCHES: usize = 100;
    const DIRECTORIES: usize = 100;
    const ASKED: usize = 1000;
    let world = World::new();
    let widgets = repository(&world, "widgets");
    for n in 0..DIRECTORIES {
        widgets.write(format!("d{n}/go.mod"), "");
    }
    widgets.commit("Modules");
    branches(&widgets, BRANCHES);
    world.write("noop.wasm", "never run");
    let hub = Hub::start(&world);
    let workspaces = "workspaces:\n  - rootAtLocationOf: go.mod\n    in: widgets\n";
    hub.submit(&spec(0..BRANCHES, workspaces));
    let queued = hub.json(&["list"])[0]["jobs"]["queued"].clone();
    assert_eq!(queued.as_u64(), Some((BRANCHES * DIRECTORIES) as u64));
    let mut times: Vec<Duration> = (0..ASKED)
        .map(|_| {
            let begun = Instant::now();
            dequeue(&hub.address);
            begun.elapsed()
        })
        .collect();
    hub.stop();
    times.sort();
    let (middle, worst) = (times[ASKED / 2], times[ASKED * 99 / 100]);
    row(
        "asking for a job while 10 000 wait: median and 99th percentile of 1000 requests",
        &format!("{} and {}", shown(middle), shown(worst)),
        &goal("99 % under 20 ms", worst < Duration::from_millis(20)),
    );
}

/// Takes a job, over a connection of its own.
fn dequeue(address: &str) {
    let body = "{\"executorName\":\"bench\",\"version\":\"dev\"}";
    let request = format!(
        "POST /.executors/queue/batches/dequeue HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: token-executor {SECRET}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).expect("the hub listens");
    stream
        .write_all(request.as_bytes())
        .expect("the hub listens");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("the hub answers");
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "there is a job");
}
