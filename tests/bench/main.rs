//! The figures of `tests/bench/README.md`: the binary against its goals, and against plain `docker run`.
//!
//! Run by `make bench`, which builds the release binary and brings up the engine. What is compared is measured in
//! turns in one run, so that a busy machine is busy for both.

#![expect(
    clippy::print_stdout,
    reason = "printing figures is what this program is for"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use capstan_tests::{Engine, Repository, Running, World};

const IMAGE: &str = "alpine:3";
const ROUNDS: usize = 5;
const MIB: u64 = 1 << 20;

fn main() {
    Engine::require();
    println!("| figure | measured | goal |");
    println!("|---|---|---|");
    let container_start = trivial_steps();
    half_second_steps(container_start);
    cached_run();
    workspaces_in_parallel();
    memory_while_printing();
}

/// Ten trivial steps, by capstan and by ten `docker run`. Returns what one `docker run` takes.
fn trivial_steps() -> Duration {
    const SCRIPT: &str = "echo line >> README.md";
    let world = World::new();
    let repository = repository(&world, "widgets");
    world.write("spec.yaml", spec(&[SCRIPT; 10]));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(run(&world, &["--no-cache"], &[&repository]));
        theirs.push(timed(|| {
            for _ in 0..10 {
                docker_run(&world.work().join("widgets"), SCRIPT);
            }
        }));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    row(
        "ten `docker run --rm`, one after the other",
        &seconds(theirs),
        "",
    );
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    row(
        "ten trivial steps",
        &format!("{}, {ratio:.2} of the above", seconds(ours)),
        &goal("at most 0.6 of the above", ratio <= 0.6),
    );
    theirs / 10
}

fn half_second_steps(container_start: Duration) {
    let world = World::new();
    let repository = repository(&world, "widgets");
    world.write(
        "spec.yaml",
        spec(&["sleep 0.5; echo line >> README.md"; 10]),
    );
    let times = (0..3).map(|_| run(&world, &["--no-cache"], &[&repository]));
    let time = median(times.collect());
    let limit = Duration::from_millis(5500) + container_start;
    row(
        "ten steps of 0.5 s",
        &seconds(time),
        &goal(
            &format!("at most 5.5 s and one container start: {}", seconds(limit)),
            time <= limit,
        ),
    );
}

fn cached_run() {
    let world = World::new();
    let repository = repository(&world, "widgets");
    world.write("spec.yaml", spec(&["echo line >> README.md"; 10]));
    run(&world, &[], &[&repository]);
    let times = (0..ROUNDS).map(|_| run(&world, &[], &[&repository]));
    row(
        "the same spec again, from the cache",
        &seconds(median(times.collect())),
        "",
    );
}

fn workspaces_in_parallel() {
    let world = World::new();
    let repositories: Vec<Repository> = (0..20)
        .map(|i| repository(&world, &format!("repo-{i}")))
        .collect();
    let repositories: Vec<&Repository> = repositories.iter().collect();
    world.write("spec.yaml", spec(&["echo line >> README.md"; 2]));
    let times = (0..3).map(|_| run(&world, &["--no-cache", "-j", "2"], &repositories));
    row(
        "twenty workspaces of two steps, `-j 2`",
        &seconds(median(times.collect())),
        "",
    );
}

fn memory_while_printing() {
    let world = World::new();
    let repository = repository(&world, "widgets");
    let script = "yes 0123456789012345678901234567890123456789 | head -c 1073741824";
    world.write("spec.yaml", spec(&[script]));
    let start = Instant::now();
    let mut running = start_run(&world, &["--no-cache"], &[&repository]);
    let mut peak = 0;
    while running.is_running() {
        peak = peak.max(peak_memory(&running));
        thread::sleep(Duration::from_millis(10));
    }
    running.wait().assert_code(0);
    row(
        "peak memory while a step prints 1 GiB",
        &format!("{} MiB, in {}", peak / MIB, seconds(start.elapsed())),
        &goal("under 64 MiB", peak < 64 * MIB),
    );
}

/// The high-water mark of a process's resident memory in bytes; 0 once it has ended.
fn peak_memory(running: &Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", running.id())).unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|value| value.trim().strip_suffix(" kB")?.parse::<u64>().ok())
        .map_or(0, |kib| kib * 1024)
}

fn repository(world: &World, name: &str) -> Repository {
    world.repository(name, &[("README.md", "hi\n")])
}

fn spec(scripts: &[&str]) -> String {
    let steps: String = scripts
        .iter()
        .map(|script| format!("  - run: {script}\n    container: {IMAGE}\n"))
        .collect();
    format!(
        "version: 2\nname: bench\nsteps:\n{steps}changesetTemplate: {{title: t, branch: b, commit: {{message: m}}}}\n"
    )
}

fn run(world: &World, flags: &[&str], repositories: &[&Repository]) -> Duration {
    let time = timed(|| {
        start_run(world, flags, repositories).wait().assert_code(0);
    });
    // Doing nothing is quick, too.
    assert_eq!(world.changesets("out").len(), repositories.len());
    time
}

fn start_run(world: &World, flags: &[&str], repositories: &[&Repository]) -> Running {
    world
        .capstan(["batch", "run", "-f", "spec.yaml", "--output", "out"])
        .args(flags)
        .args(repositories.iter().map(|repository| repository.path()))
        .spawn()
}

fn docker_run(workspace: &Path, script: &str) {
    let status = Command::new("docker")
        .args(["run", "--rm", "-w", "/work", "-v"])
        .arg(format!("{}:/work", workspace.display()))
        .args([IMAGE, "sh", "-c", script])
        .stdin(Stdio::null())
        .status()
        .expect("the docker client runs");
    assert!(status.success(), "docker run: {status}");
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

fn goal(text: &str, met: bool) -> String {
    format!("{text}: {}", if met { "met" } else { "MISSED" })
}

fn row(figure: &str, measured: &str, goal: &str) {
    println!("| {figure} | {measured} | {goal} |");
}
