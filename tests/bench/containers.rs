//! Steps in containers, and the same with plain `docker run`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use capstan_tests::{Repository, Running, World};

use crate::ROUNDS;
use crate::measure::{goal, median, ratio, row, shown};
use crate::run::{repository, run, spec, start_run, timed};

const IMAGE: &str = "alpine:3";
const MIB: u64 = 1 << 20;

pub(crate) fn measure() {
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
    world.write("spec.yaml", spec(IMAGE, &[SCRIPT; 10]));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(run(&world, &["--no-cache"], &[&repository]));
        theirs.push(timed(|| {
            for _ in 0..10 {
                docker_run(&world.work().join("widgets"), IMAGE, SCRIPT);
            }
        }));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    row(
        "ten `docker run --rm`, one after the other",
        &shown(theirs),
        "",
    );
    let ratio = ratio(ours, theirs);
    row(
        "ten trivial steps",
        &format!("{}, {ratio:.2} of the above", shown(ours)),
        &goal("at most 0.6 of the above", ratio <= 0.6),
    );
    theirs / 10
}

fn half_second_steps(container_start: Duration) {
    let world = World::new();
    let repository = repository(&world, "widgets");
    world.write(
        "spec.yaml",
        spec(IMAGE, &["sleep 0.5; echo line >> README.md"; 10]),
    );
    let times = (0..3).map(|_| run(&world, &["--no-cache"], &[&repository]));
    let time = median(times.collect());
    let limit = Duration::from_millis(5500) + container_start;
    row(
        "ten steps of 0.5 s",
        &shown(time),
        &goal(
            &format!("at most 5.5 s and one container start: {}", shown(limit)),
            time <= limit,
        ),
    );
}

fn cached_run() {
    let world = World::new();
    let repository = repository(&world, "widgets");
    world.write("spec.yaml", spec(IMAGE, &["echo line >> README.md"; 10]));
    run(&world, &[], &[&repository]);
    let times = (0..ROUNDS).map(|_| run(&world, &[], &[&repository]));
    row(
        "the same spec again, from the cache",
        &shown(median(times.collect())),
        "",
    );
}

fn workspaces_in_parallel() {
    let world = World::new();
    let repositories: Vec<Repository> = (0..20)
        .map(|i| repository(&world, &format!("repo-{i}")))
        .collect();
    let repositories: Vec<&Repository> = repositories.iter().collect();
    world.write("spec.yaml", spec(IMAGE, &["echo line >> README.md"; 2]));
    let times = (0..3).map(|_| run(&world, &["--no-cache", "-j", "2"], &repositories));
    row(
        "twenty workspaces of two steps, `-j 2`",
        &shown(median(times.collect())),
        "",
    );
}

fn memory_while_printing() {
    let world = World::new();
    let repository = repository(&world, "widgets");
    let script = "yes 0123456789012345678901234567890123456789 | head -c 1073741824";
    world.write("spec.yaml", spec(IMAGE, &[script]));
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
        &format!("{} MiB, in {}", peak / MIB, shown(start.elapsed())),
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

/// One `docker run --rm` of a script on a directory.
pub(crate) fn docker_run(workspace: &Path, image: &str, script: &str) {
    let status = Command::new("docker")
        .args(["run", "--rm", "-w", "/work", "-v"])
        .arg(format!("{}:/work", workspace.display()))
        .args([image, "sh", "-c", script])
        .stdin(Stdio::null())
        .status()
        .expect("the docker client runs");
    assert!(status.success(), "docker run: {status}");
}
