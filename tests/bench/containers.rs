//! Steps in containers, and the same with plain `docker run`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use capstan_tests::{Repository, World};

use crate::ROUNDS;
use crate::measure::{goal, median, row, shown};
use crate::rival::compared;
use crate::run::{repository, run, spec, start_run, timed};
use crate::watch::Watched;

const IMAGE: &str = "alpine:3";
const MIB: u64 = 1 << 20;
const GIB_OF_TEXT: &str = "yes 0123456789012345678901234567890123456789 | head -c 1073741824";

/// Workspaces of a large batch change.
const MANY: usize = 600;

pub(crate) fn measure() {
    trivial_steps();
    half_second_steps();
    cached_run();
    workspaces_in_parallel();
    much_output();
    many_workspaces();
}

/// Ten trivial steps, by capstan and by ten `docker run`.
fn trivial_steps() {
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
    let rival = "ten `docker run --rm`, one after the other";
    compared("ten trivial steps", ours, rival, theirs, 0.35);
}

/// Ten steps that take their time, by capstan, and all ten scripts in one container.
fn half_second_steps() {
    const SCRIPT: &str = "sleep 0.5; echo line >> README.md";
    let world = World::new();
    let repository = repository(&world, "widgets");
    world.write("spec.yaml", spec(IMAGE, &[SCRIPT; 10]));
    let all = [SCRIPT; 10].join("; ");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(run(&world, &["--no-cache"], &[&repository]));
        theirs.push(timed(|| {
            docker_run(&world.work().join("widgets"), IMAGE, &all);
        }));
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let rival = "all ten scripts of 0.5 s in one `docker run --rm`";
    compared("ten steps of 0.5 s", ours, rival, theirs, 1.04);
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

/// A step that prints 1 GiB. The rival keeps no log of it, which would take it four times as long.
fn much_output() {
    let world = World::new();
    let repository = repository(&world, "widgets");
    world.write("spec.yaml", spec(IMAGE, &[GIB_OF_TEXT]));
    let (mut ours, mut theirs, mut peak) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        ours.push(timed(|| {
            let running = start_run(&world, &["--no-cache"], &[&repository]);
            peak = peak.max(Watched::to_the_end(running, &[]).last.memory);
        }));
        theirs.push(timed(|| docker_run_into_cat(GIB_OF_TEXT)));
    }
    compared(
        "a step that prints 1 GiB",
        median(ours),
        "`docker run --rm --log-driver none` of it into `cat`",
        median(theirs),
        1.2,
    );
    row(
        "peak memory meanwhile",
        &format!("{} MiB", peak / MIB),
        &goal("under 64 MiB", peak < 64 * MIB),
    );
}

/// Hundreds of workspaces, two at a time: how long they take, and whether what the process holds grows with their number.
fn many_workspaces() {
    const SCRIPT: &str = "echo line >> README.md";
    let world = World::new();
    let places: Vec<String> = (0..MANY)
        .map(|i| format!("packages/{i}/package.json"))
        .collect();
    let files: Vec<(&str, &str)> = places.iter().map(|place| (&**place, "{}\n")).collect();
    let monorepo = world.repository("monorepo", &files);
    world.write("spec.yaml", workspaces_spec(SCRIPT));
    let (mut ours, mut theirs, mut peaks) = (Vec::new(), Vec::new(), None);
    for _ in 0..ROUNDS {
        ours.push(timed(|| {
            let running = start_run(&world, &["--no-cache", "-j", "2"], &[&monorepo]);
            let places = [world.home(), world.root().join("tmp")];
            peaks = Some(Watched::to_the_end(running, &places));
        }));
        assert_eq!(world.changesets("out").len(), MANY);
        theirs.push(timed(|| {
            let workspace = world.work().join("monorepo");
            thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(|| {
                        for _ in 0..MANY / 2 {
                            docker_run(&workspace, IMAGE, SCRIPT);
                        }
                    });
                }
            });
        }));
    }
    compared(
        "600 workspaces of one step, `-j 2`",
        median(ours),
        "600 `docker run --rm`, two at a time",
        median(theirs),
        0.7,
    );
    let Some(Watched { first, last }) = peaks else {
        return;
    };
    let grown = |first: u64, last: u64| last * 100 > first * 125;
    for (figure, unit, first, last) in [
        ("peak memory", "MiB", first.memory / MIB, last.memory / MIB),
        ("open handles", "handles", first.handles, last.handles),
        ("disk", "KiB", first.disk >> 10, last.disk >> 10),
    ] {
        row(
            &format!("meanwhile, {figure}: in the first third, and in the last"),
            &format!("{first} {unit}, {last} {unit}"),
            &goal("no more than a quarter more", !grown(first, last)),
        );
    }
}

/// A batch spec of one step in every directory that has a `package.json`.
fn workspaces_spec(run: &str) -> String {
    format!(
        "version: 2
name: bench
workspaces: [{{rootAtLocationOf: package.json, in: '*', onlyFetchWorkspace: true}}]
steps:
  - run: {run}
    container: {IMAGE}
changesetTemplate:
  title: t
  branch: b-${{{{ replace steps.path \"/\" \"-\" }}}}
  commit: {{message: m}}
"
    )
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

/// One `docker run --rm` whose output is read by `cat`.
fn docker_run_into_cat(script: &str) {
    let mut docker = Command::new("docker")
        .args([
            "run",
            "--rm",
            "--log-driver",
            "none",
            IMAGE,
            "sh",
            "-c",
            script,
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the docker client runs");
    let output = docker.stdout.take().expect("it is a pipe");
    let status = Command::new("cat")
        .stdin(output)
        .stdout(Stdio::null())
        .status()
        .expect("cat runs");
    assert!(status.success(), "cat: {status}");
    let status = docker.wait().expect("it is our child");
    assert!(status.success(), "docker run: {status}");
}
