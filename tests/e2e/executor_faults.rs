//! What goes wrong around an executor: signals, kills, a server that fails or answers rubbish.

use capstan_tests::{Engine, JobState, Signal, Sourcegraph, World};

use crate::executor::{container, executor, started};

/// Waits until the only step of a job has said something.
fn wait_for_output(server: &Sourcegraph, id: i64, text: &str) {
    server.wait_until(&format!("job {id} says {text}"), |server| {
        server.log(id).iter().any(|entry| entry.out.contains(text))
    });
}

#[test]
fn the_first_signal_lets_the_job_finish() {
    Engine::require();
    let (world, server) = (World::new(), Sourcegraph::start());
    let id = server.enqueue(container(&["echo asleep", "sleep 3"]));
    let mut running = started(&world, &server);
    wait_for_output(&server, id, "stdout: asleep");
    let later = server.enqueue(container(&["true"]));
    running.signal(Signal::TERM);
    running.wait().assert_code(0);
    assert_eq!(server.job(id), JobState::Completed);
    assert_eq!(server.job(later), JobState::Queued);
    server.assert_pleased();
}

#[test]
fn the_second_signal_stops_the_job_and_leaves_it_for_others() {
    let engine = Engine::require();
    let (world, server) = (World::new(), Sourcegraph::start());
    let id = server.enqueue(container(&["echo asleep", "sleep 1000"]));
    let mut running = started(&world, &server);
    wait_for_output(&server, id, "stdout: asleep");
    running.signal(Signal::TERM);
    running.wait_for("no more jobs are taken");
    running.signal(Signal::INT);
    running.wait().assert_code(130);
    assert!(
        matches!(server.job(id), JobState::Processing(_)),
        "{:?}",
        server.job(id)
    );
    engine.assert_nothing_left(&world);
}

#[test]
fn a_cancelled_job_is_stopped() {
    let engine = Engine::require();
    let (world, server) = (World::new(), Sourcegraph::start());
    let id = server.enqueue(container(&["echo asleep", "sleep 1000"]));
    let mut running = started(&world, &server);
    wait_for_output(&server, id, "stdout: asleep");
    server.cancel(id);
    assert_eq!(server.wait_for(id), JobState::Canceled);
    running.signal(Signal::TERM);
    running.wait().assert_code(0);
    engine.assert_nothing_left(&world);
    server.assert_pleased();
}

#[test]
fn a_killed_executor_is_swept_and_its_job_done_by_the_next() {
    let engine = Engine::require();
    let (world, server) = (World::new(), Sourcegraph::start());
    let id = server.enqueue(container(&["echo asleep", "sleep 5"]));
    let mut running = started(&world, &server);
    wait_for_output(&server, id, "stdout: asleep");
    running.signal(Signal::KILL);
    running.wait().assert_code(128 + 9);
    assert_ne!(engine.containers(&world), [""; 0]);
    server.take_away(id);
    let mut running = started(&world, &server);
    assert_eq!(server.wait_for(id), JobState::Completed);
    running.signal(Signal::TERM);
    running.wait().assert_code(0);
    engine.assert_nothing_left(&world);
    server.assert_pleased();
}

#[test]
fn a_mark_that_could_not_be_told_is_told_by_the_next() {
    Engine::require();
    let (world, server) = (World::new(), Sourcegraph::start());
    let id = server.enqueue(container(&["true"]));
    server.fail("/markComplete", 503, usize::MAX);
    let mut running = started(&world, &server);
    server.wait_until("the mark is tried", |server| {
        server
            .requests()
            .iter()
            .any(|request| request.ends_with("/markComplete"))
    });
    running.signal(Signal::KILL);
    running.wait().assert_code(128 + 9);
    let marks = world.home().join(".local/state/capstan/executor/marks");
    let kept = || std::fs::read_dir(&marks).unwrap().count();
    assert_eq!(kept(), 1);
    server.recover();
    let mut running = started(&world, &server);
    assert_eq!(server.wait_for(id), JobState::Completed);
    running.signal(Signal::TERM);
    running.wait().assert_code(0);
    assert_eq!(kept(), 0);
    server.assert_pleased();
}

#[test]
fn a_server_in_trouble_is_waited_for() {
    Engine::require();
    let (world, server) = (World::new(), Sourcegraph::start());
    let id = server.enqueue(container(&["echo hi"]));
    server.fail("/heartbeat", 401, 2);
    server.fail("/dequeue", 500, 2);
    server.fail("/addExecutionLogEntry", 502, 3);
    server.fail("/markComplete", 503, 3);
    let mut running = executor(&world, &server, "run").spawn();
    running.wait_for("is EXECUTOR_FRONTEND_PASSWORD the value of executors.accessToken");
    running.wait_for("listening for jobs");
    assert_eq!(server.wait_for(id), JobState::Completed);
    running.signal(Signal::TERM);
    running.wait().assert_code(0);
    server.assert_pleased();
}

#[test]
fn rubbish_for_a_job_is_survived() {
    Engine::require();
    let (world, server) = (World::new(), Sourcegraph::start());
    for rubbish in [
        "<html>Bad Gateway</html>",
        "{",
        "[]",
        "{\"id\": \"seven\"}",
        "{\"id\": 18446744073709551615}",
        "null",
        "{\"id\": 999, \"dockerSteps\": \"none\"}",
    ] {
        server.answer_dequeue(rubbish);
    }
    let id = server.enqueue(container(&["true"]));
    let mut running = started(&world, &server);
    assert_eq!(server.wait_for(id), JobState::Completed);
    running.signal(Signal::TERM);
    running.wait().assert_code(0);
}
