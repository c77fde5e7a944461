//! Runs of the binary, and how long they take.

use std::time::{Duration, Instant};

use capstan_tests::{Repository, Running, World};

/// How long `work` takes.
pub(crate) fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// A repository with one file.
pub(crate) fn repository(world: &World, name: &str) -> Repository {
    world.repository(name, &[("README.md", "hi\n")])
}

/// A batch spec of these steps: what each runs, and in what.
pub(crate) fn spec(container: &str, runs: &[&str]) -> String {
    let steps: String = runs
        .iter()
        .map(|run| format!("  - run: {run}\n    container: {container}\n"))
        .collect();
    format!(
        "version: 2\nname: bench\nsteps:\n{steps}changesetTemplate: {{title: t, branch: b, commit: {{message: m}}}}\n"
    )
}

/// How long a run of `spec.yaml` takes.
pub(crate) fn run(world: &World, flags: &[&str], repositories: &[&Repository]) -> Duration {
    let time = timed(|| {
        start_run(world, flags, repositories).wait().assert_code(0);
    });
    // Doing nothing is quick, too.
    assert_eq!(world.changesets("out").len(), repositories.len());
    time
}

/// Starts a run of `spec.yaml`.
pub(crate) fn start_run(world: &World, flags: &[&str], repositories: &[&Repository]) -> Running {
    world
        .capstan(["batch", "run", "-f", "spec.yaml", "--output", "out"])
        .args(flags)
        .args(repositories.iter().map(|repository| repository.path()))
        .spawn()
}
