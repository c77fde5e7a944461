//! Jobs that are cancelled, whatever they are at.

use capstan_tests::{JobState, Mute, Sourcegraph};

use crate::executor::{Station, container, legacy, listening, native};

/// Cancels a job once `is_there` says that it is where the test wants it.
#[track_caller]
fn cancelled(at: &Station, id: i64, what: &str, is_there: impl Fn(&Sourcegraph) -> bool) {
    let running = listening(at.executor());
    at.server.wait_until(what, is_there);
    at.server.cancel(id);
    assert_eq!(at.server.wait_for(id), JobState::Canceled);
    // Whatever was at work is gone, not only at the end of the executor.
    at.engine.assert_no_containers(&at.world);
    let is_git = |line: &String| {
        let program = line.split(' ').next().unwrap_or_default();
        program
            .rsplit('/')
            .next()
            .is_some_and(|name| name.starts_with("git"))
    };
    at.server
        .wait_until("git is gone", |_| !at.world.processes().iter().any(is_git));
    for entry in at.server.log(id) {
        assert!(entry.exit_code.is_some(), "{entry:?}");
    }
    // It goes on with others.
    let next = at.server.enqueue(container(&["true"]));
    at.completed(next);
    at.stop(running);
    at.server.assert_pleased();
}

#[test]
fn during_the_clone() {
    let at = Station::new();
    at.server.hold("/git-upload-pack");
    let id = at.native(&["true"]);
    cancelled(&at, id, "the repository is fetched", |server| {
        server.count("/git-upload-pack") > 0
    });
    let fetch = at.entry(id, "setup.git.fetch");
    assert_eq!(fetch.exit_code, Some(-1), "{fetch:?}");
}

#[test]
fn during_the_pull() {
    let registry = Mute::start();
    for kind in ["native", "legacy", "plain"] {
        let at = Station::new();
        let image = format!("{}/private/{kind}:1", registry.address());
        let job = match kind {
            "native" => native(&at.commit, &["true"]),
            "legacy" => legacy(&at.commit, &["true"]),
            _ => container(&["true"]),
        };
        let id = at.server.enqueue(crate::executor::of_image(&job, &image));
        let before = registry.taken();
        cancelled(&at, id, "the image is pulled", |_| {
            registry.taken() > before
        });
    }
}

#[test]
fn during_the_diff() {
    let at = Station::new();
    // Git waits for somebody to write into it.
    let id = at.native(&["echo x > x; mkfifo .gitignore"]);
    cancelled(&at, id, "the diff is made", |server| {
        let log = server.log(id);
        log.iter()
            .any(|entry| entry.key == "step.docker.step.0.post")
    });
    let post = at.entry(id, "step.docker.step.0.post");
    assert_eq!(post.exit_code, Some(-1), "{post:?}");
}
