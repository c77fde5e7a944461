//! Steps in WebAssembly, and the same in containers.

use std::fs;
use std::time::Duration;

use capstan_tests::{Repository, World, component};

use crate::ROUNDS;
use crate::containers::docker_run;
use crate::measure::{goal, median, ratio, row, shown};
use crate::run::{repository, run, spec, timed};

const BUSYBOX: &str = "busybox:stable";
const SCRIPT: &str = "echo line >> README.md";
const STEPS: usize = 50;

pub(crate) fn measure() {
    let world = World::new();
    let widgets = repository(&world, "widgets");
    let tool = component("tests/e2e/components/tool.rs", &[]);
    fs::copy(tool, world.work().join("tool.wasm")).expect("the world is writable");
    // It is compiled once, like an image is pulled once.
    several(&world, &widgets, 1);

    let (mut container, mut component) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let directory = world.work().join("widgets");
        container.push(timed(|| docker_run(&directory, BUSYBOX, SCRIPT)));
        // What a step adds to a run: its own time, and that of the diff after it.
        let (one, all) = (
            several(&world, &widgets, 1),
            several(&world, &widgets, 1 + STEPS),
        );
        component.push(all.saturating_sub(one) / STEPS as u32);
    }
    let (container, component) = (median(container), median(component));
    row(
        "a step in a busybox container, by `docker run --rm`",
        &shown(container),
        "",
    );
    let times = ratio(container, component);
    row(
        "the same step in WebAssembly, its diff included",
        &format!("{}, {times:.0} times as fast", shown(component)),
        &goal("at least 50 times as fast", times >= 50.0),
    );
}

/// A run of that many steps.
fn several(world: &World, repository: &Repository, steps: usize) -> Duration {
    let runs = vec!["append README.md line"; steps];
    world.write("spec.yaml", spec("wasm://./tool.wasm", &runs));
    run(world, &["--no-cache"], &[repository])
}
