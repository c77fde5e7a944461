//! What goes wrong between a hub and its executors, with real processes.

use std::thread;
use std::time::{Duration, Instant};

use capstan_tests::{Engine, Signal, World};
use serde_json::{Value, json};

use super::line::{Line, Mode};
use super::scene::{PATIENCE, busy, executor, started, stop};
use super::{Hub, world};

/// How long an executor may be silent where it is to be found out soon: it beats every 5 s.
const SHORT_LEASE: [&str; 2] = ["--lease", "6s"];

#[test]
fn the_job_of_a_killed_executor_is_done_by_another() {
    let engine = Engine::require();
    let world = busy(1, 3);
    let hub = Hub::start_with(&world, "127.0.0.1:0", &SHORT_LEASE);
    hub.submit_sleeping(&world);
    let mut killed = started(&world, &hub.address);
    hub.wait_for_sleep(&world);
    killed.signal(Signal::KILL);
    assert_eq!(killed.wait().code(), 128 + 9);
    let other = started(&world, &hub.address);
    assert_eq!(hub.wait_for_end(&world, "completed"), [1]);
    hub.assert_each_once(&world, 1);
    stop(other);
    hub.stop();
    engine.assert_nothing_left(&world);
}

#[test]
fn of_two_executors_one_may_be_killed() {
    let engine = Engine::require();
    let (world, elsewhere) = (busy(4, 1), World::new());
    let hub = Hub::start_with(&world, "127.0.0.1:0", &SHORT_LEASE);
    let mut killed = started(&elsewhere, &hub.address);
    hub.submit_sleeping(&world);
    hub.wait_for_sleep(&world);
    let other = started(&world, &hub.address);
    killed.signal(Signal::KILL);
    assert_eq!(killed.wait().code(), 128 + 9);
    let resets = hub.wait_for_end(&world, "completed");
    assert_eq!(resets.iter().sum::<i64>(), 1, "{resets:?}");
    hub.assert_each_once(&world, 4);
    stop(other);
    // The next in its place puts away what it left.
    stop(started(&elsewhere, &hub.address));
    engine.assert_nothing_left(&elsewhere);
    hub.stop();
}

#[test]
fn a_hub_that_is_killed_keeps_its_executor() {
    Engine::require();
    let world = busy(1, 4);
    let hub = Hub::start(&world);
    hub.submit_sleeping(&world);
    let executor = started(&world, &hub.address);
    hub.wait_for_sleep(&world);
    let address = hub.address.clone();
    hub.kill();
    thread::sleep(Duration::from_secs(2));
    let hub = Hub::start_with(&world, &address, &[]);
    assert_eq!(hub.wait_for_end(&world, "completed"), [0]);
    hub.assert_each_once(&world, 1);
    stop(executor);
}

#[test]
fn a_cut_line_and_errors_on_the_way_cost_nothing() {
    Engine::require();
    for mode in [Mode::Cut, Mode::Answers(500)] {
        let world = busy(1, 4);
        let hub = Hub::start(&world);
        let line = Line::to(&hub.address);
        hub.submit_sleeping(&world);
        let executor = started(&world, &line.address.to_string());
        hub.wait_for_sleep(&world);
        line.is(mode);
        // The step ends meanwhile.
        thread::sleep(Duration::from_secs(6));
        line.is(Mode::Whole);
        assert_eq!(hub.wait_for_end(&world, "completed"), [0]);
        hub.assert_each_once(&world, 1);
        let logs = hub.command(&world, &["logs", "1"]).run();
        for entry in ["step.docker.step.0.run (exit 0)", "teardown.fs (exit 0)"] {
            assert!(logs.stdout().contains(entry), "{logs}");
        }
        stop(executor);
    }
}

#[test]
fn a_job_that_was_given_away_during_a_cut_is_done_once() {
    let engine = Engine::require();
    let (world, elsewhere) = (busy(1, 9), World::new());
    let hub = Hub::start_with(&world, "127.0.0.1:0", &SHORT_LEASE);
    let line = Line::to(&hub.address);
    hub.submit_sleeping(&world);
    let cut = started(&elsewhere, &line.address.to_string());
    hub.wait_for_sleep(&world);
    line.is(Mode::Cut);
    let other = started(&world, &hub.address);
    let taken = |shown: &Value| {
        shown["jobs"][0]["resets"] == 1 && shown["jobs"][0]["state"] == "processing"
    };
    hub.wait_until(&world, "the other has the job", taken);
    line.is(Mode::Whole);
    assert_eq!(hub.wait_for_end(&world, "completed"), [1]);
    hub.assert_each_once(&world, 1);
    stop(cut);
    stop(other);
    engine.assert_nothing_left(&elsewhere);
}

#[test]
fn cancelling_stops_what_runs_and_what_waits() {
    let engine = Engine::require();
    let world = busy(3, 1000);
    let hub = Hub::start(&world);
    hub.submit_sleeping(&world);
    let executor = started(&world, &hub.address);
    hub.wait_for_sleep(&world);
    hub.command(&world, &["cancel", "1"]).run().assert_code(0);
    hub.wait_for_end(&world, "canceled");
    // The executor goes on.
    let submit = ["submit", "-f", "spec.yaml", "widgets", "--wait"];
    hub.command(&world, &submit).run().assert_code(0);
    stop(executor);
    hub.stop();
    engine.assert_nothing_left(&world);
}

#[test]
fn a_job_that_kills_every_executor_fails_at_last() {
    let world = world();
    let hub = Hub::start_with(&world, "127.0.0.1:0", &["--lease", "1s"]);
    let submit = ["submit", "-f", "spec.yaml", "widgets"];
    hub.command(&world, &submit).run().assert_code(0);
    for n in 0..4 {
        let executor = hub.executor(&format!("dies-{n}"));
        let deadline = Instant::now() + PATIENCE;
        while executor.take().is_none() {
            assert!(Instant::now() < deadline, "it does not come back");
            thread::sleep(Duration::from_millis(50));
        }
    }
    assert_eq!(hub.wait_for_end(&world, "failed"), [3]);
    let shown = hub.json(&world, &["show", "1"]);
    let failure = &shown["jobs"][0]["failure"];
    assert_eq!(
        *failure,
        json!("job processor died while handling this message too many times")
    );
    assert!(hub.executor("lives").take().is_none());
}

#[test]
fn an_executor_with_a_wrong_secret_is_told_what_to_look_at() {
    let world = world();
    let hub = Hub::start(&world);
    let submit = ["submit", "-f", "spec.yaml", "widgets"];
    hub.command(&world, &submit).run().assert_code(0);
    let wrong = "not-the-secret-of-this-hub";
    let mut stranger = executor(&world, &hub.address)
        .env("EXECUTOR_FRONTEND_PASSWORD", wrong)
        .spawn();
    stranger.wait_for("A hub's is in the file executor-secret of its data directory");
    stranger.signal(Signal::TERM);
    let said = stranger.wait();
    assert!(!said.to_string().contains(wrong), "{said}");
    assert_eq!(
        hub.json(&world, &["show", "1"])["jobs"][0]["state"],
        "queued"
    );
    assert!(!hub.stop().contains(wrong));
}
