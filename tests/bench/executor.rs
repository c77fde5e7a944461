//! The executor: a native job against the containers that its payload asks for, and what it costs while there is nothing to do.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use capstan_tests::{Capstan, JobState, SECRET, Signal, Sourcegraph, World, native_job};

use crate::ROUNDS;
use crate::measure::{goal, median, ratio, row, shown};
use crate::run::{repository, timed};

const REPOSITORY: &str = "github.com/acme/widgets";
const SCRIPT: &str = "echo line >> README.md";
const STEPS: usize = 10;

/// How long an idle executor is watched.
const WATCHED: Duration = Duration::from_secs(30);

/// Ticks of a processor's clock in a second, in which `/proc` counts; the same on every Linux.
const TICKS: f64 = 100.0;

pub(crate) fn measure() {
    native();
    idle();
}

fn executor<'w>(world: &'w World, server: &Sourcegraph) -> Capstan<'w> {
    world
        .capstan(["executor", "run"])
        .env("EXECUTOR_FRONTEND_URL", server.url())
        .env("EXECUTOR_FRONTEND_PASSWORD", SECRET)
        .env("EXECUTOR_QUEUE_NAME", "batches")
        .env("EXECUTOR_JOB_NUM_CPUS", "0")
        .env("EXECUTOR_JOB_MEMORY", "0")
}

/// A native job by the executor, and the same job by `docker run`, as its payload reads.
fn native() {
    let (world, server) = (World::new(), Sourcegraph::start());
    let widgets = repository(&world, "widgets");
    server.repository(REPOSITORY, widgets.path());
    let mut running = executor(&world, &server)
        // How long it takes until a job is taken is not what is compared.
        .env("EXECUTOR_QUEUE_POLL_INTERVAL", "10ms")
        .spawn();
    running.wait_for("listening for jobs");
    let commit = widgets.head();
    let job = || {
        let id = server.enqueue(native_job(REPOSITORY, &commit, &[SCRIPT; STEPS]));
        assert_eq!(server.wait_for(id), JobState::Completed);
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(timed(job));
        theirs.push(timed(|| by_docker(&world.work())));
    }
    running.signal(Signal::TERM);
    running.wait().assert_code(0);
    let (ours, theirs) = (median(ours), median(theirs));
    row(
        "the thirty `docker run`s that a native job of ten trivial steps asks for",
        &shown(theirs),
        "",
    );
    let ratio = ratio(ours, theirs);
    row(
        "that job by the executor, from the queue to the mark",
        &format!("{}, {ratio:.2} of the above", shown(ours)),
        &goal("at most 0.2 of the above", ratio <= 0.2),
    );
}

/// For each step what prepares it, itself and what looks at its result. The helper does nothing here, and is not pulled.
fn by_docker(work: &Path) {
    let helper = "true";
    for _ in 0..STEPS {
        for (directory, script) in [(".", helper), ("widgets", SCRIPT), (".", helper)] {
            fs::write(work.join("step.sh"), script).expect("the world is writable");
            let status = Command::new("docker")
                .args(["run", "--rm", "-v"])
                .arg(format!("{}:/data", work.display()))
                .args(["-w", &format!("/data/{directory}")])
                .args(["--entrypoint", "/bin/sh", "alpine:3", "/data/step.sh"])
                .stdin(Stdio::null())
                .status()
                .expect("the docker client runs");
            assert!(status.success(), "docker run: {status}");
        }
    }
}

fn idle() {
    let (world, server) = (World::new(), Sourcegraph::start());
    let mut running = executor(&world, &server).spawn();
    running.wait_for("listening for jobs");
    thread::sleep(Duration::from_secs(2));
    let before = cpu_ticks(running.id());
    thread::sleep(WATCHED);
    let share = (cpu_ticks(running.id()) - before) / TICKS / WATCHED.as_secs_f64();
    let memory = resident_kib(running.id()) / 1024.0;
    running.signal(Signal::TERM);
    running.wait().assert_code(0);
    row(
        "resident memory of an idle executor",
        &format!("{memory:.1} MiB"),
        &goal("under 40 MiB", memory < 40.0),
    );
    row(
        "processor time of an idle executor, in 30 s",
        &format!("{:.2} % of a core", share * 100.0),
        &goal("under 1 % of a core", share < 0.01),
    );
}

/// Processor time of a process so far.
fn cpu_ticks(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    // The name, in parentheses, may have spaces in it.
    let (_, fields) = stat.rsplit_once(')').expect("there is a name");
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| -> f64 { fields[at].parse().expect("a number") };
    // utime and stime; the state, behind the name, is the third field of the file.
    ticks(11) + ticks(12)
}

fn resident_kib(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.expect("a process has memory")
        .parse()
        .expect("a number")
}
