//! Ctrl-C, SIGTERM, kill -9, and readers that go away.

use std::fs;
use std::process::{Command, Stdio};

use capstan_tests::{Engine, Running, Signal, World};

use crate::parallel::leftovers;
use crate::specs;

/// A run in which `done` is finished and `slow` sleeps in its second step.
fn sleeping(world: &World) -> Running {
    for name in ["done", "slow"] {
        world.repository(name, &[("README.md", "hi\n")]);
    }
    let script = "if [ ${{ repository.name }} = slow ]; then echo asleep; sleep 1000; fi; echo more >> README.md";
    let spec = world.write("spec.yaml", specs::of(&["echo first >> README.md", script]));
    let mut running = world
        .capstan(["batch", "run", "-v", "-j", "2", "--output", "out", "-f"])
        .arg(spec)
        .args(["done", "slow"])
        .spawn();
    running.wait_for("| asleep");
    running.wait_for("[done] done");
    running
}

fn run_directories(world: &World) -> usize {
    let runs = world.home().join(".local/state/capstan/runs");
    fs::read_dir(runs).map_or(0, Iterator::count)
}

#[test]
fn a_signal_ends_the_run_in_order() {
    let engine = Engine::require();
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let world = World::new();
        let mut running = sleeping(&world);
        running.signal(signal);
        let output = running.wait();
        output.assert_code(130);
        engine.assert_no_containers(&world);
        assert_eq!((run_directories(&world), leftovers(&world).len()), (0, 0));
        // What was finished is written and kept.
        let changesets = world.changesets("out");
        assert_eq!(changesets.len(), 1, "{output}");
        assert_eq!(changesets[0]["baseRepository"], "done");
        let stderr = output.stderr();
        let (_, end) = stderr.split_once("interrupted").expect("it is told");
        insta::allow_duplicates!(insta::assert_snapshot!(end, @r"
    : stopping containers and removing workspaces; once more to leave at once
    [slow] cancelled
    done: branch change
      README.md | 2 ++
      1 file changed, 2 insertions(+)
    wrote out/changesets.json
    2 workspaces: 1 done, 1 cancelled; 1 changeset; <time>
    "));

        let spec = world.write(
            "spec.yaml",
            world.read("spec.yaml").replace("sleep 1000", "true"),
        );
        let again = world
            .capstan(["batch", "run", "-j", "1", "-f"])
            .arg(spec)
            .args(["slow"])
            .run();
        assert!(
            again.stderr().contains("[slow] step 1/2: from the cache"),
            "{again}"
        );
    }
}

#[test]
fn a_second_signal_leaves_at_once_and_the_next_start_sweeps() {
    let engine = Engine::require();
    let world = World::new();
    let mut running = sleeping(&world);
    // Held in the middle of its orderly end: signals wait until it goes on, and come together.
    running.signal(Signal::STOP);
    running.signal(Signal::INT);
    running.signal(Signal::TERM);
    running.signal(Signal::CONT);
    running.wait().assert_code(130);
    swept_by_the_next(&world, engine);
}

#[test]
fn what_a_killed_run_left_is_swept_by_the_next() {
    let engine = Engine::require();
    let world = World::new();
    let mut running = sleeping(&world);
    running.signal(Signal::KILL);
    running.wait().assert_code(128 + 9);
    assert_ne!(engine.containers(&world), [""; 0]);
    assert_eq!(run_directories(&world), 1);
    swept_by_the_next(&world, engine);
}

fn swept_by_the_next(world: &World, engine: Engine) {
    let spec = world.write("quick.yaml", specs::of(&["true"]));
    world
        .capstan(["batch", "run", "-f"])
        .arg(spec)
        .arg("done")
        .run()
        .assert_code(0);
    engine.assert_no_containers(world);
    assert_eq!(leftovers(world), [""; 0]);
    assert_eq!(run_directories(world), 0);
}

#[test]
fn a_run_leaves_another_that_is_alive_alone() {
    let engine = Engine::require();
    let world = World::new();
    let mut running = sleeping(&world);
    // Those of the finished steps are still being removed.
    let containers = loop {
        let containers = engine.containers(&world);
        if containers.len() <= 1 {
            break containers;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert_eq!(containers.len(), 1);
    let spec = world.write("quick.yaml", specs::of(&["true"]));
    for _ in 0..2 {
        world
            .capstan(["batch", "run", "--no-cache", "-f"])
            .arg(&spec)
            .arg("done")
            .run()
            .assert_code(0);
    }
    // Those of steps that were over may have been on their way out.
    let left = engine.containers(&world);
    assert!(left.len() == 1 && containers.contains(&left[0]), "{left:?}");
    assert!(running.is_running());
    running.signal(Signal::INT);
    running.wait().assert_code(130);
    engine.assert_no_containers(&world);
}

#[test]
fn a_container_that_was_never_opened_ends_by_itself() {
    let engine = Engine::require();
    let world = World::new();
    world.repository("slow", &[("README.md", "hi\n")]);
    let spec = world.write("spec.yaml", specs::of(&["echo asleep; sleep 1000", "true"]));
    let mut running = world
        .capstan(["batch", "run", "-v", "-f"])
        .arg(spec)
        .arg("slow")
        .spawn();
    running.wait_for("| asleep");
    // The second step's container is made ahead.
    let waiting = || {
        let ids = engine.containers(&world);
        let mut arguments = vec!["inspect", "--format", "{{.State.Running}}"];
        arguments.extend(ids.iter().map(String::as_str));
        let states = if ids.is_empty() {
            String::new()
        } else {
            engine.docker(&arguments)
        };
        states.lines().filter(|state| *state == "true").count()
    };
    let wait_until = |count: usize| {
        for _ in 0..600 {
            if waiting() == count {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("{} containers run, not {count}", waiting());
    };
    wait_until(2);
    running.signal(Signal::KILL);
    running.wait().assert_code(128 + 9);
    wait_until(1);
    let spec = world.write("quick.yaml", specs::of(&["true"]));
    world
        .capstan(["batch", "run", "-f"])
        .arg(spec)
        .arg("slow")
        .run()
        .assert_code(0);
    engine.assert_no_containers(&world);
}

#[test]
fn an_interrupt_while_a_repository_is_fetched() {
    let world = World::new();
    Engine::require();
    // Somebody who listens and never answers.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    let address = listener.local_addr().expect("it is bound");
    let spec = world.write("spec.yaml", specs::of(&["true"]));
    let mut running = world
        .capstan(["batch", "run", "-f"])
        .arg(spec)
        .arg(format!("http://{address}/widgets.git"))
        .spawn();
    let _client = listener.accept().expect("git connects");
    running.signal(Signal::INT);
    let output = running.wait();
    insta::assert_snapshot!(output, @r"
    --- stderr
    interrupted: stopping containers and removing workspaces; once more to leave at once
    --- exit 130
    ");
    assert_eq!((run_directories(&world), leftovers(&world).len()), (0, 0));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    Engine::require();
    let world = World::new();
    world.repository("widgets", &[("README.md", "hi\n")]);
    let script = "i=0; while [ $i -lt 20000 ]; do echo a line that fills the pipe $i; i=$((i + 1)); done > new";
    let spec = world.write("spec.yaml", specs::of(&[script]));
    let mut running = world
        .capstan(["batch", "run", "-f"])
        .arg(spec)
        .arg("widgets")
        .reader(Command::new("head").args(["-n", "1"]).stdout(Stdio::null()));
    running.wait_for("1 workspace: 1 done");
    let output = running.wait();
    output.assert_code(0);
    let stderr = output.stderr();
    assert!(
        !stderr.contains("error") && !stderr.contains("panic"),
        "{stderr}"
    );
}
