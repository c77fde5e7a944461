//! Engines that are not there, and one that goes away.

use capstan_tests::{Engine, World};

use crate::daemon::Daemon;
use crate::scene::{assert_says, spec, yaml};

#[test]
fn an_engine_that_is_not_there_is_told() {
    let world = World::new();
    world.repository("widgets", &[("README.md", "hi\n")]);
    world.write("spec.yaml", spec(&yaml(&[("alpine:3", "true")])));
    let run = |host: &str| {
        world
            .capstan(["batch", "run", "-f", "spec.yaml", "widgets"])
            .env("DOCKER_HOST", host)
            .run()
    };
    let hosts = [
        "unix:///nonexistent/docker.sock",
        "tcp://127.0.0.1:1",
        "ssh://me@far",
    ];
    let told = hosts.map(|host| run(host).to_string()).join("\n\n");
    insta::assert_snapshot!(told, @r#"
    --- stderr
    error: no container engine answers; tried:
      unix:///nonexistent/docker.sock (DOCKER_HOST): no such socket
    hint: check DOCKER_HOST and that the engine there runs (`docker version`)
    --- exit 3

    --- stderr
    error: no container engine answers; tried:
      tcp://127.0.0.1:<port> (DOCKER_HOST): Error in the hyper legacy client: client error (Connect): tcp connect error: Connection refused (os error 111)
    hint: check DOCKER_HOST and that the engine there runs (`docker version`)
    --- exit 3

    --- stderr
    error: DOCKER_HOST is "ssh://me@far": connections over ssh are not supported
    hint: forward the socket instead: `ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock me@far`, then DOCKER_HOST=unix:///tmp/docker.sock
    --- exit 3
    "#);
}

#[test]
fn an_engine_that_goes_away_in_the_middle_of_a_step_ends_the_run() {
    Engine::require();
    let world = World::new();
    let mut daemon = Daemon::start(&world);
    daemon.load("busybox:stable");
    for name in ["widgets", "gadgets"] {
        world.repository(name, &[("README.md", "hi\n")]);
    }
    let steps = [
        ("busybox:stable", "echo begun; sleep 1000"),
        ("busybox:stable", "true"),
    ];
    world.write("spec.yaml", spec(&yaml(&steps)));
    let mut running = world
        .capstan(["batch", "run", "-v", "--jobs", "1", "-f", "spec.yaml"])
        .args(["widgets", "gadgets"])
        .env("DOCKER_HOST", &daemon.host)
        .spawn();
    running.wait_for("| begun");
    daemon.kill();
    let output = running.wait();
    output.assert_code(3);
    // Which request fails first, and how, is chance.
    assert_says(
        &output.stderr(),
        &[
            "[widgets] cancelled\n",
            "✗ gadgets: step 1 failed\n  lost the connection to the Docker engine while running gadgets step 1: ",
            "\nhint: check that the engine runs and answers (`docker version`), then run again; `capstan doctor` tells more\n",
            "2 workspaces: 0 done, 1 failed, 1 cancelled; 0 changesets; ",
        ],
    );
    assert!(
        world
            .files(world.home().join(".local/state/capstan/runs"))
            .is_empty()
    );
}
